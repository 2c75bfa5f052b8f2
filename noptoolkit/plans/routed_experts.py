"""What the routing of tokens makes of a plan's experts: unequal messages, and a busiest member.

`noptoolkit.plans.step_costs` deals tokens evenly. With a trace, the all-to-alls of an EP group carry what the
tokens of each member send to each member (`noptoolkit.plans.dispatching`), all groups at the same time,
certified on the package; and every layer waits for the member whose experts get most tokens. Times are means
over the layers of the trace: the stages of a pipeline are taken as alike.

All of it depends on a plan by EP, by how far the members of a group are apart, and in proportion to the bytes
of a rank, so that one number serves many plans. What holds for even tokens need not hold here: tokens that
stay with their own member, or copies for chiplets, send less than an even all-to-all. `RoutedTimes.bound` is
therefore proved from the trace: the time of messages is a convex function of their bytes, so the mean over
layers is at least the time of the layers' mean, and that at least what the ports of each chiplet, the
distances and some cuts allow.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.plans.dispatching import Copies, dispatch_shares, rank_bytes
from noptoolkit.plans.group_times import Family, GroupTimes, Interval
from noptoolkit.plans.network_times import PlanNetwork
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Batch, MoEModel

__all__ = ["RoutedExperts", "RoutedLayer", "RoutedTimes"]


class RoutedLayer(NamedTuple):
    """A layer and micro-batch under a trace.

    Parameters
    ----------
    busiest
        Tokens of the busiest member over the mean, 1 or more.
    gathered
        Bytes that the members of an ETP group gather, over those of even tokens.
    exchange
        Dispatch and combine of one pass at full bandwidth, in s.
    """

    busiest: float
    gathered: float
    exchange: float


@dataclass(frozen=True)
class RoutedExperts:
    """The experts of a layer under a trace.

    Parameters
    ----------
    busiest, gathered
        As of a `RoutedLayer`, means over the trace's layers.
    exchange
        Dispatch and combine of a layer and micro-batch, one pass at full bandwidth, in s: of the schedule
        found, and what no schedule beats; and its energy in all stages at once, in J.
    copies
        What is sent, see `noptoolkit.plans.dispatched_bytes`.
    """

    busiest: float
    gathered: float
    exchange: Interval
    copies: Copies

    def layer(self, *, reached: bool) -> RoutedLayer:
        """Return what a step's costs take of it, with times that are reached or their bounds."""
        return RoutedLayer(
            self.busiest, self.gathered, self.exchange.reached if reached else self.exchange.bound
        )


class RoutedTimes:
    """The experts of plans of one model under one trace, on one package and placement.

    Parameters
    ----------
    model, batch
        What plans spread.
    times
        The package, its ranks, and when solvers must stop.
    trace, copies, owner
        See `noptoolkit.plans.dispatched_bytes`; an owner is for plans of one EP.

    Raises
    ------
    PlanError
        If the trace does not fit the model.
    """

    def __init__(
        self,
        model: MoEModel,
        batch: Batch,
        times: GroupTimes,
        trace: RoutingTrace,
        copies: Copies = "experts",
        owner: Sequence[int] | Ints | None = None,
    ) -> None:
        self.model, self.batch, self.times = model, batch, times
        self.trace, self.copies, self.owner = trace, copies, owner
        self._network = PlanNetwork(times.package)
        self._known: dict[tuple[int, int], Interval] = {}
        self._bounds: dict[tuple[int, int], float] = {}
        self._shares: dict[int, Floats] = {}
        self._busiest: dict[int, float] = {}
        if owner is None:
            self.shares(1)

    @property
    def solved(self) -> int:
        """Number of groups whose time is known."""
        return len(self._known)

    def shares(self, ep: int) -> Floats:
        """Return the mean copies of a token of each member that go to each, [layers, EP, EP]."""
        if ep not in self._shares:
            self._shares[ep] = dispatch_shares(
                self.model, ep, copies=self.copies, trace=self.trace, owner=self.owner
            )
        return self._shares[ep]

    def busiest(self, ep: int) -> float:
        """Return the tokens of the busiest member over the mean, the mean over layers."""
        if ep not in self._busiest:
            chosen = dispatch_shares(
                self.model, ep, copies="experts", trace=self.trace, owner=self.owner
            ).sum(axis=1)
            self._busiest[ep] = float(np.mean(chosen.max(axis=1) / chosen.mean(axis=1)))
        return self._busiest[ep]

    def gathered(self, ep: int) -> float:
        """Return the copies that reach the busiest member of a group over the k of even tokens."""
        return float(self.shares(ep).sum(axis=1).max(axis=1).mean()) / self.model.top_k

    def experts(self, plan: ParallelPlan) -> RoutedExperts:
        """Return the experts of a plan, solved if they must be."""
        return self._of(plan, self.interval(plan.ep, stride_of(plan)))

    def bounded(self, plan: ParallelPlan) -> RoutedExperts:
        """Return the experts of a plan with the bound of its messages as their time; never solves."""
        bound = self.bound(plan.ep, stride_of(plan))
        return self._of(plan, Interval(bound, bound))

    def _of(self, plan: ParallelPlan, per_byte: Interval) -> RoutedExperts:
        each = rank_bytes(plan, self.model, self.batch)
        exchange = Interval(*(each * value for value in per_byte))
        return RoutedExperts(self.busiest(plan.ep), self.gathered(plan.ep), exchange, self.copies)

    def is_known(self, plan: ParallelPlan) -> bool:
        """Return whether the messages of a plan are solved already."""
        return plan.ep == 1 or (plan.ep, stride_of(plan)) in self._known

    def interval(self, ep: int, stride: int) -> Interval:
        """Return the time of dispatch and combine per byte of a rank's tokens, solved if it must be."""
        if ep == 1:
            return Interval(0.0, 0.0)
        if (ep, stride) not in self._known:
            self._known[ep, stride] = self._solved(ep, stride)
        return self._known[ep, stride]

    def bound(self, ep: int, stride: int) -> float:
        """Return what no schedule of dispatch and combine beats, per byte of a rank's tokens."""
        if ep == 1:
            return 0.0
        if (ep, stride) in self._known:
            return self._known[ep, stride].bound
        if (ep, stride) not in self._bounds:
            mean, family = self.shares(ep).mean(axis=0), Family("all-to-all", ep, stride)
            self._bounds[ep, stride] = sum(
                self.times.bound_of_messages(family, matrix) for matrix in (mean, mean.T)
            )
        return self._bounds[ep, stride]

    def _solved(self, ep: int, stride: int) -> Interval:
        matrices = [matrix for layer in self.shares(ep) for matrix in (layer, layer.T)]
        members = self.times.places(Family("all-to-all", ep, stride))
        total = np.zeros(3)
        for i, matrix in enumerate(matrices):
            if self.times.deadline is not None:
                left = self.times.deadline - clock.perf_counter()
                self._network.time_limit = min(max(left / (len(matrices) - i), 0.02), 20.0)
            found = self._network.messages(members, matrix)
            total += (found.time, found.bound, found.joules)
        reached, bound, joules = (total / len(self.shares(ep))).tolist()
        known = self._bounds.get((ep, stride), 0.0)
        return Interval(reached, min(max(bound, known), reached), joules)


def stride_of(plan: ParallelPlan) -> int:
    """Return how many ranks the members of an EP group are apart."""
    return plan.etp if plan.folded else plan.tp * plan.cp
