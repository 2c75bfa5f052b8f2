"""The best widening within a budget: planes and uses are added until bound and achieved time meet.

Each round solves the two master programs (`noptoolkit.flow.widths.masters`). Where they are apart, new
evidence comes from the whole program, where that is small enough
(`noptoolkit.flow.widths.folded_program`), or from the traffic solved again at bandwidths between the two
answers. Evidence holds for every budget, so that one search answers many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.flow.widths.choices import Choices
from noptoolkit.flow.widths.evidence import Evidence
from noptoolkit.flow.widths.folded_program import WidthProgram, width_program
from noptoolkit.flow.widths.masters import Outer, inner_widths, outer_widths
from noptoolkit.package import Package
from noptoolkit.progress import Progress
from noptoolkit.units import format_quantity

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["Answer", "WidthSearch"]

Resolve = Callable[[Package, int], "FlowResult"]
"""Solves the traffic of an index again on a widened package."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The best widening that was found within a budget.

    Parameters
    ----------
    budget
        What may be spent, in the budget's unit.
    extra
        Extra bandwidth of each choice, in B/s, [choices].
    time
        Weighted sum of times that flows achieve with it, in s.
    outer
        What was proved of every widening within the budget.
    """

    budget: float
    extra: Floats
    time: float
    outer: Outer

    @property
    def bound(self) -> float:
        """Lower bound on the weighted sum under any widening within the budget, in s."""
        return min(self.outer.bound, self.time)


@dataclass(eq=False)
class WidthSearch:
    """Evidence of one or several traffics on a package, and the choices that may be made.

    Parameters
    ----------
    choices
        Bandwidths that may change.
    evidence
        Evidence of each traffic, [traffics].
    weights
        Weight of each traffic's time in the sum, [traffics].
    resolve
        Solves one of them again.
    progress
        Callable that is given a line for each round.
    worst
        Whether the longest of the times counts, and not their weighted sum.
    """

    choices: Choices
    evidence: Sequence[Evidence]
    weights: Floats
    resolve: Resolve
    progress: Progress | None = None
    worst: bool = False
    solves: int = 0
    _program: WidthProgram | None = field(default=None, init=False)
    _programmed: bool = field(default=False, init=False)

    @property
    def capacity(self) -> Floats:
        """Capacity of each resource before anything is spent, in B/s, [resources]."""
        return self.choices.capacity

    def score(self, times: Floats) -> float:
        """Return the longest of some times, or their weighted sum, in s."""
        return float(np.max(times)) if self.worst else float(self.weights @ times)

    def best(self, budget: float, *, tol: float = 1e-4, most: int = 40) -> Answer:
        """Return the best widening within a budget.

        Parameters
        ----------
        tol
            Relative gap between time and bound at which to stop.
        most
            Number of solves after which to stop.
        """
        best: Answer | None = None
        program_asked = False
        rounds = 0
        while True:
            outer = outer_widths(
                self.evidence, self.weights, self.choices, self.capacity, budget, worst=self.worst
            )
            inner = inner_widths(
                self.evidence, self.weights, self.choices, self.capacity, budget, worst=self.worst
            )
            time = self.score(inner.times)
            if best is None or time < best.time or outer.bound > best.outer.bound:
                keep = best is not None and best.time <= time
                extra, time = (best.extra, best.time) if keep and best is not None else (inner.extra, time)
                best = Answer(budget, extra, time, outer)
            if best.time <= outer.bound * (1 + tol) or rounds >= most:
                return best
            if self.progress is not None:
                self.progress(
                    f"best widths: {format_quantity(best.time, 's')}, at least "
                    f"{format_quantity(outer.bound, 's')}, {self.solves} solves"
                )
            rounds += 1
            if not program_asked and self._ask_program(budget):
                program_asked = True
                continue
            if all(one.fixed for one in self.evidence):
                return best
            for i, one in enumerate(self.evidence):
                if not one.fixed and inner.prices[i].any():
                    one.learn_prices(inner.prices[i], "prices of the widths")
            share = 0.5 if rounds % 2 else 1.0
            between = share * outer.extra + (1 - share) * best.extra
            self.try_at(self.choices.widened(between))

    def ascend(self, budget: float, steps: int) -> None:
        """Spread a budget anew by mirror ascent, and keep what each solve shows: for links that keep nothing.

        A choice whose price per unit of the budget is above the mean grows, the others shrink; where all that
        have bandwidth are equal, no other spread is better (Beck and Teboulle, Operations Research Letters
        31, 2003).
        """
        choices = self.choices
        if choices.start[np.asarray(choices.lanes.sum(axis=1)).ravel() > 0].any():
            return
        today = choices.lanes.T @ choices.package.link_bandwidths.ravel()
        shares = choices.price * today / np.asarray(choices.lanes.sum(axis=0)).ravel()
        shares /= shares.sum()
        for k in range(steps):
            extra = budget * shares / choices.price
            flows = self.try_at(choices.widened(extra))
            if self.progress is not None:
                time = self.score(np.array([flow.time for flow in flows]))
                self.progress(
                    f"best widths: mirror ascent, {format_quantity(time, 's')}, {self.solves} solves"
                )
            worth = np.zeros(len(shares))
            for weight, flow in zip(self.weights, flows, strict=True):
                worth += weight * flow.time * (choices.on_resources.T @ flow.prices) / choices.price
            if not worth.any():
                return
            worth *= budget / max(budget * float(shares @ worth), 1e-300)
            shares = shares * np.exp(0.5 * (worth - 1.0).clip(-0.6, 0.8) / np.sqrt(k + 1.0))
            shares = np.maximum(shares, 1e-6 / len(shares))
            shares /= shares.sum()

    def try_at(self, package: Package) -> list[FlowResult]:
        """Solve every traffic that has a choice again on a widened package, and learn from it."""
        found = []
        for i, one in enumerate(self.evidence):
            flow = self.resolve(package, i)
            found.append(flow)
            if not one.fixed:
                self.solves += 1
                one.learn(flow)
        return found

    def _ask_program(self, budget: float) -> bool:
        if len(self.evidence) > 1 or self.evidence[0].fixed:
            return False
        if not self._programmed:
            self._programmed = True
            self._program = width_program(self.evidence[0].problem, self.choices)
        if self._program is None:
            return False
        found = self._program.solve(budget)
        if found is None:
            return False
        self.solves += 1
        prices, use = found
        if prices.any():
            self.evidence[0].learn_prices(prices, "linear program of flows and widths")
        self.evidence[0].learn_use(use)
        return True
