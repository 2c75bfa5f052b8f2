"""For each package of a comparison, the one upgrade that pays most for the same budget.

An upgrade gives the whole budget to one link, or in equal parts to all links between the same kinds of nodes.
All are ranked by what today's prices and loads prove of them; they are solved again in that order until none
that is left can beat the best one found, so that it is the best of all up to the solver's gap. Beside it
stands the best use of the budget over all links at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import NopError
from noptoolkit.flow import BestWidths, FlowResult
from noptoolkit.flow.best_widths import search_of
from noptoolkit.flow.widths.choices import Choices, choices_of
from noptoolkit.package import Chiplet, Package
from noptoolkit.progress import Progress
from noptoolkit.stages import Run
from noptoolkit.study.comparison import Comparison
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity
from noptoolkit.whatif import Budget, budget_of, spend

__all__ = ["BestUpgrade", "best_upgrade", "best_upgrades"]


@dataclass(frozen=True, eq=False, repr=False)
class BestUpgrade:
    """The one upgrade of a package that pays most for a budget.

    Parameters
    ----------
    run
        Run on the package as it is.
    budget
        What is spent.
    what
        Links that are widened.
    extra
        What each gets per direction, in B/s.
    before, after
        Dispatch and combine as they are, and with the upgrade.
    best_use
        Best use of the same budget over all links.
    tried, candidates
        Upgrades that were solved again, and that there are.
    """

    run: Run
    budget: Budget
    what: str
    extra: float
    before: tuple[FlowResult, ...]
    after: tuple[FlowResult, ...]
    best_use: BestWidths
    tried: int
    candidates: int

    def __repr__(self) -> str:
        return (
            f"BestUpgrade({self.run.package.name!r}, {self.budget}: {self.what}, "
            f"{format_quantity(self.today, 's')} becomes {format_quantity(self.time, 's')})"
        )

    @property
    def today(self) -> float:
        """Time of dispatch and combine as they are, in s."""
        return sum(flow.time for flow in self.before)

    @property
    def time(self) -> float:
        """Time of dispatch and combine with the upgrade, solved again, in s."""
        return sum(flow.time for flow in self.after)


def best_upgrade(run: Run, budget: str | float | Budget, *, progress: Progress | None = None) -> BestUpgrade:
    """Return the one upgrade of a run's package that makes dispatch and combine fastest for a budget.

    Parameters
    ----------
    budget
        As `noptoolkit.whatif.budget_of` takes it.
    progress
        Callable that is given a line for each upgrade.

    Raises
    ------
    NopError
        If the budget is none, or nothing crosses the network.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> tree = nop.run("mozart-nop-tree", "stdlib-moe", allocator="contiguous")
    >>> found = best_upgrade(tree, "256 GB/s")
    >>> found.time < found.today, found.best_use.time <= found.time * 1.001
    (True, True)
    """
    package = run.package
    amount = budget if isinstance(budget, Budget) else budget_of(package, budget)
    flows = tuple(flow for flow in (run.dispatch, run.combine) if flow.time > 0)
    if not flows:
        raise NopError(f"nothing of {run.given.name!r} crosses the network of {package.name!r}")
    if not amount.amount > 0:
        raise NopError(f"a budget of {amount} buys nothing; give more than 0")
    choices = choices_of(package, "d2d", price=amount.price)
    search = search_of(flows, choices)
    names, extras = _candidates(choices, amount.amount)
    bounds = np.array(
        [
            sum(one.bound(choices.capacity + choices.on_resources @ extra) for one in search.evidence)
            for extra in extras
        ]
    )
    best: tuple[float, int, tuple[FlowResult, ...]] | None = None
    tried = 0
    for k in np.argsort(bounds, kind="stable").tolist():
        if best is not None and bounds[k] >= best[0]:
            break
        known = sum(
            one.bound(choices.capacity + choices.on_resources @ extras[k]) for one in search.evidence
        )  # what was learned since may rule it out
        if best is not None and known >= best[0]:
            continue
        after = tuple(search.try_at(choices.widened(extras[k])))
        tried += 1
        time = sum(flow.time for flow in after)
        if progress is not None:
            progress(f"{package.name}: {names[k]}, {format_quantity(time, 's')}")
        if best is None or time < best[0]:
            best = (time, k, after)
    assert best is not None
    _, k, after = best
    return BestUpgrade(
        run,
        amount,
        names[k],
        float(extras[k].max()),
        flows,
        after,
        spend(package, [flow.traffic for flow in flows], amount, tol=0.01),
        tried,
        len(names),
    )


def best_upgrades(
    compared: Comparison | Sequence[Run], budget: str, *, progress: Progress | None = None
) -> Table:
    """Return a table: for each package the one upgrade that pays most, at the same budget for all.

    Parameters
    ----------
    compared
        A comparison, or runs.
    budget
        As `noptoolkit.whatif.budget_of` takes it; a share is one of the first package.
    """
    runs = compared.runs if isinstance(compared, Comparison) else tuple(compared)
    text = budget
    if budget.strip().endswith("%"):
        text = format_quantity(budget_of(runs[0].package, budget).amount, "B/s")
    columns = [
        Column("package"),
        Column("workload", shown=len({run.given.name for run in runs}) > 1),
        Column("upgrade", "one upgrade that pays most", meaning="links that get the whole budget"),
        Column("extra", "each gets", unit="B/s", meaning="per direction"),
        Column("today", unit="s", meaning="dispatch + combine"),
        Column("time", "with it", unit="s", meaning="dispatch + combine, solved again"),
        Column("saved", form=".1f %"),
        Column("best_use", "best use of it", unit="s", meaning="the budget spread over all links"),
        Column("best_use_bound", "lower bound", unit="s", meaning="over every use and routing", shown=False),
    ]
    rows = []
    for run in runs:
        found = best_upgrade(run, text, progress=progress)
        best = found.best_use
        rows.append(
            [
                run.package.name,
                run.given.name,
                found.what,
                found.extra,
                found.today,
                found.time,
                1 - found.time / found.today,
                best.time,
                best.time_bound,
            ]
        )
    return Table(
        columns,
        rows,
        title=f"What if each package got {text} more",
        notes=["dispatch + combine of one layer, optimally routed; bandwidth counts both directions"],
    )


def _candidates(choices: Choices, amount: float) -> tuple[list[str], list[Floats]]:
    """Return single links, and links between the same kinds of nodes, with the budget given to each."""
    names, extras = [], []
    for j, name in enumerate(choices.names):
        extra = np.zeros(len(choices.names))
        extra[j] = amount / choices.price[j]
        names.append(name)
        extras.append(extra)
    groups: dict[str, list[int]] = {}
    for j, name in enumerate(choices.names):
        groups.setdefault(_kinds(choices.package, name), []).append(j)
    for title, members in groups.items():
        if len(members) > 1:
            extra = np.zeros(len(choices.names))
            extra[members] = amount / float(choices.price[members].sum())
            names.append(f"all {len(members)} links {title}")
            extras.append(extra)
    return names, extras


def _kinds(package: Package, name: str) -> str:
    ends = sorted(_kind(package, end) for end in name.split("#")[0].replace("<->", "->").split("->"))
    return f"{ends[0]} to {ends[1]}"


def _kind(package: Package, name: str) -> str:
    node = package[name]
    return node.role if isinstance(node, Chiplet) else type(node).__name__.lower()
