"""What is left of a package when links or chiplets are lost, as happens with wafer-scale yield.

Each trial takes some links or nodes away and asks `congestion` again. Traffic of lost endpoints is lost
with them; nodes that are cut off and have no traffic (a memory stack, of traffic among experts) are lost
too. Where endpoints with traffic are cut off from each other, that trial's time is
infinite. It is also infinite where the routing has no alternative path (dor on a grid with a hole, a table
whose path is cut); the bound, which holds for every routing, stays finite there.

Losses that a symmetry of package and traffic carries into each other are worked out once (the routings that
look at no names: optimal, ecmp, valiant). A loss that takes no traffic away can only slow the rest down, so
the bound of the intact package is one of the damaged package too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import comb
from pathlib import Path

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._seeds import generator_from
from noptoolkit.errors import InfeasibleError, RoutingError, TopologyError
from noptoolkit.flow.evaluation import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.formats.results import write_csv, write_json
from noptoolkit.package import Package
from noptoolkit.progress import Countdown, Progress
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.study.loss_sets import draw_sets, pool_of
from noptoolkit.study.relabelling import alike, relabellings
from noptoolkit.tables import Column, Table
from noptoolkit.traffic import DestinationSets, Traffic
from noptoolkit.units import format_quantity

__all__ = ["Resilience", "loss_times", "resilience"]


@dataclass(frozen=True, eq=False, repr=False)
class Resilience:
    """Congestion of a traffic after each of several losses.

    Parameters
    ----------
    intact
        Result without loss.
    lost
        Names of the channels (one direction stands for the link) or nodes of each trial.
    time, time_bound
        Times of each trial, infinite where a demand has no path (``time`` also where the routing has none),
        in s, [trials].
    complete
        Whether these are all sets of so many parts: the worst of them is then the worst case.
    """

    intact: FlowResult
    lost: tuple[tuple[str, ...], ...]
    time: Floats = field(metadata={"unit": "s"})
    time_bound: Floats = field(metadata={"unit": "s"})
    complete: bool = False

    def __repr__(self) -> str:
        fatal = int(np.isinf(self.time).sum())
        worst = "no loss completes"
        if fatal < len(self.lost):
            finite = np.where(np.isfinite(self.time), self.time, -1.0)
            k = int(np.argmax(finite))
            those = "the others " if fatal else ""
            worst = f"{those}at worst {self.slowdown[k]:.3g} times as long, without {', '.join(self.lost[k])}"
        said = f"{fatal} never complete, " if 0 < fatal < len(self.lost) else ""
        return (
            f"Resilience({self.intact.package.name!r}, {self.intact.routing}: {len(self.lost)} losses, "
            f"{said}{worst})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self, most: int | None = 8) -> Table:
        """Return the losses that never complete, then those that take the longest, as a table.

        Parameters
        ----------
        most
            Rows of each kind at most; all where ``None``.
        """
        columns = [
            Column("lost", meaning="names of the lost channels or nodes"),
            Column("time", unit="s", meaning="time of the routing; inf where it has no path"),
            Column(
                "time_bound",
                "lower bound",
                unit="s",
                meaning="lower bound for any routing; inf where a demand has no path",
            ),
            Column("slowdown", form=".3g x", meaning="time over the time without loss"),
        ]
        rows, sections = [], []
        for title, those in self._kinds():
            shown = those[:most].tolist()
            more = f", and {len(those) - len(shown)} more" if len(those) > len(shown) else ""
            rows += [
                [", ".join(self.lost[i]), self.time[i], self.time_bound[i], self.slowdown[i]] for i in shown
            ]
            sections += [f"{title}: {len(those)} of {len(self.lost)} losses{more}"] * len(shown)
        return Table(columns, rows, title=repr(self), notes=self.notes(most), sections=sections)

    def _kinds(self) -> list[tuple[str, Ints]]:
        """Return losses that never complete, and the others from the slowest on, [losses of the kind]."""
        finite = np.isfinite(self.time)
        torn = np.flatnonzero(np.isinf(self.time_bound))
        stuck = np.flatnonzero(~finite & np.isfinite(self.time_bound))
        stuck = stuck[np.argsort(-self.time_bound[stuck], kind="stable")]
        rest = np.flatnonzero(finite)
        rest = rest[np.lexsort((-self.time_bound[rest], -self.time[rest]))]
        return [
            ("a demand is left without a path", torn),
            (f"a path is left that {self.intact.routing} does not take", stuck),
            ("complete", rest),
        ]

    def cells(self, most: int = 8) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return replace(self.table(most), sections=()).cells()

    def notes(self, shown: int | None = None) -> list[str]:
        """Return what a reader of the table (of its first ``shown`` rows) must know besides."""
        intact, finite = self.intact, np.isfinite(self.time)
        lines = [
            f"{intact.traffic.name or 'traffic'}, {intact.routing}: "
            f"{format_quantity(intact.time, 's')} without loss, {intact.status}"
        ]
        if finite.any():
            mean, most = self.slowdown[finite].mean(), self.slowdown[finite].max()
            those = f"{len(self.lost)} losses"
            if not finite.all():
                those = f"{int(finite.sum())} of {those} that complete"
            lines.append(f"{those}: {mean:.3g} times as long on average, at most {most:.3g}")
        if {name for names in self.lost for name in names} & set(intact.traffic.endpoints):
            lines.append("what a lost chiplet sends and receives is lost with it")
        torn = int(np.isinf(self.time_bound).sum())
        if torn:
            lines.append(f"{torn} of {len(self.lost)} losses leave a demand without a path")
        if not finite[np.isfinite(self.time_bound)].all():
            stuck = int((~finite).sum()) - torn
            lines.append(
                f"{stuck} of {len(self.lost)} losses leave a path that {intact.routing} does not take"
            )
        hidden = sum(max(len(those) - shown, 0) for _, those in self._kinds()) if shown is not None else 0
        if hidden:
            lines.append(f"and {hidden} more losses that are not shown")
        if self.complete and finite.any():
            lines.append("these are all sets of so many parts: the slowest is the worst case")
        return lines

    @property
    def rows(self) -> tuple[dict[str, float | str], ...]:
        """One mapping per loss, in the order of `lost`: what is lost, times in s, slowdown."""
        columns = self.time.tolist(), self.time_bound.tolist(), self.slowdown.tolist()
        return tuple(
            {"lost": ", ".join(names), "time": time, "time_bound": bound, "slowdown": slowdown}
            for names, time, bound, slowdown in zip(self.lost, *columns, strict=True)
        )

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` with the unit of each column in its heading; ``inf`` never completes."""
        named = {"time": "time [s]", "time_bound": "time_bound [s]"}
        write_csv(path, [{named.get(key, key): value for key, value in row.items()} for row in self.rows])

    def to_json(self, path: str | Path) -> None:
        """Write `rows`, in s, and the intact result; ``null`` never completes."""
        rows = [{key: None if value == np.inf else value for key, value in row.items()} for row in self.rows]
        intact = {
            "package": self.intact.package.name,
            "traffic": self.intact.traffic.name,
            "routing": self.intact.routing,
            "time": self.intact.time,
            "time_bound": self.intact.time_bound,
        }
        write_json(path, {"schema": 1, "intact": intact, "rows": rows})

    @property
    def worst(self) -> tuple[str, ...]:
        """The loss that takes the longest; the first that never completes, if there is one."""
        return self.lost[int(np.argmax(self.time))]

    @property
    def slowdown(self) -> Floats:
        """Time over the intact time, [trials]."""
        return self.time / self.intact.time if self.intact.time > 0 else np.ones_like(self.time)


def resilience(
    package: Package,
    traffic: Traffic,
    failures: int = 1,
    *,
    of: str = "links",
    trials: int | None = None,
    routing: str | Routing = "optimal",
    tol: float = 0.01,
    rng: int | np.random.Generator | None = None,
    jobs: int = 1,
    report: Progress | None = None,
) -> Resilience:
    """Return the congestion after the loss of some links or nodes.

    Parameters
    ----------
    failures
        Number of links or nodes lost at a time.
    of
        Kind of the parts lost: ``links``, ``chiplets``, ``switches`` or ``memories``.
    trials
        How many random sets to lose; every set where ``None`` (or where there are no more).
    routing, tol
        Options of `congestion`.
    rng
        Seed or generator that draws those sets: different ones, each as likely as any other.
    jobs
        Losses at once, each in its own process; -1 is one per core.
    report
        Callable that is given the progress, one line at a time.

    Raises
    ------
    RoutingError
        If fewer are there than are to fail, an option is out of range, or the routing does not apply to the
        intact package.
    NopError
        If ``rng`` is not a seed.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> from noptoolkit.traffic import from_matrix
    >>> ring = Package("ring", [Chiplet(n) for n in "abcd"],
    ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "cd", "da")])
    >>> after = resilience(ring, from_matrix(ring, [[1e9] * 4] * 4))
    >>> after.intact.time, after.time.round(3).tolist()
    (2.0, [4.0, 4.0, 4.0, 4.0])
    """
    generator = generator_from(rng)
    losses = draw_sets(package, of, failures, trials, generator)
    intact, time, bound = loss_times(
        package, traffic, losses, routing=routing, tol=tol, jobs=jobs, report=report
    )
    complete = len(losses) == comb(len(pool_of(package, of)), failures)
    return Resilience(intact, tuple(losses), time, bound, complete)


def loss_times(
    package: Package,
    traffic: Traffic,
    losses: list[tuple[str, ...]],
    *,
    routing: str | Routing = "optimal",
    tol: float = 0.01,
    jobs: int = 1,
    report: Progress | None = None,
) -> tuple[FlowResult, Floats, Floats]:
    """Return the intact result, and time and lower bound after each of some losses, in s, [losses].

    Losses that a symmetry carries into each other are worked out once.
    """
    from joblib import Parallel, delayed

    if jobs == 0 or not isinstance(jobs, int):
        raise RoutingError(f"jobs={jobs!r}: give how many losses at once, or -1 for one per core")
    intact = congestion(package, traffic, routing=routing, tol=tol)
    same = not method_of(routing).names_matter and len(losses) > 1
    maps = relabellings(package, traffic) if same else []
    chosen = alike(losses, maps)
    time, bound = np.full(len(losses), np.inf), np.full(len(losses), np.inf)
    distinct = np.unique(chosen).tolist()
    count = Countdown(len(distinct), "losses")
    tasks = (delayed(_after)(package, traffic, losses[i], intact, routing, tol) for i in distinct)
    for i, found in zip(distinct, Parallel(n_jobs=jobs, return_as="generator")(tasks), strict=True):
        time[i], bound[i] = found
        count.finish_one()
        if report is not None:
            slow = time[i] / intact.time if intact.time > 0 else 1.0
            outcome = f"{slow:.3g} times as long" if slow < np.inf else "never completes"
            report(f"{count.finished()}: without {', '.join(losses[i])} {outcome}")
    return intact, time[chosen], bound[chosen]


def _after(
    package: Package,
    traffic: Traffic,
    lost: tuple[str, ...],
    intact: FlowResult,
    routing: str | Routing,
    tol: float,
) -> tuple[float, float]:
    """Return the time of the routing, and the lower bound of any, after a loss."""
    try:
        try:
            left = package.without(*lost)
        except TopologyError:
            left = package.without(*lost, *_cut_off(package, lost, traffic))
        surviving = _surviving(traffic, left)
        try:
            flow = congestion(left, surviving, routing=routing, tol=tol)
            time = flow.time
        except RoutingError:
            flow = congestion(left, surviving, routing="ecmp")
            time = np.inf
    except (TopologyError, InfeasibleError):
        return np.inf, np.inf
    whole = len(surviving.endpoints) == len(traffic.endpoints)
    bound = max(flow.time_bound, intact.time_bound) if whole else flow.time_bound
    return time, min(bound, time)


def _cut_off(package: Package, lost: tuple[str, ...], traffic: Traffic) -> list[str]:
    """Return the nodes without traffic that a loss disconnects from those with traffic."""
    import networkx as nx

    links = {channel.link for channel in package.channels if channel.name in lost}
    graph = nx.DiGraph()
    graph.add_nodes_from(package.index)
    graph.add_edges_from((c.tail, c.head) for c in package.channels if c.link not in links)
    graph.remove_nodes_from(lost)
    busy = [name for name in _busy(traffic) if name in graph]
    if not busy:
        return []
    joined = {busy[0], *(nx.descendants(graph, busy[0]) & nx.ancestors(graph, busy[0]))}
    return [name for name in package.index if name not in {*joined, *busy, *lost}]


def _busy(traffic: Traffic) -> list[str]:
    """Return the names of the endpoints that send or receive something."""
    demand = np.asarray(traffic.demand)
    busy = (demand.sum(axis=0) + demand.sum(axis=1)) > np.diagonal(demand) * 2
    for sets in (traffic.multicast, traffic.reduction):
        if sets is not None:
            busy[sets.root] = True
            for place in range(len(busy)):
                member = sets.members[:, place // 64] >> np.uint64(place % 64) & np.uint64(1)
                busy[place] |= bool(member.any())
    return [name for name, at_work in zip(traffic.endpoints, busy.tolist(), strict=True) if at_work]


def _surviving(traffic: Traffic, package: Package) -> Traffic:
    """Return what is left of a traffic among the nodes of a package."""
    kept = [i for i, name in enumerate(traffic.endpoints) if name in package.index]
    if len(kept) == len(traffic.endpoints):
        return traffic.on(package)
    return replace(
        traffic,
        wiring=package.wiring,
        endpoints=tuple(traffic.endpoints[i] for i in kept),
        demand=np.asarray(traffic.demand)[np.ix_(kept, kept)],
        multicast=_surviving_sets(traffic.multicast, kept),
        reduction=_surviving_sets(traffic.reduction, kept),
    )


def _surviving_sets(sets: DestinationSets | None, kept: list[int]) -> DestinationSets | None:
    if sets is None:
        return None
    place = {old: new for new, old in enumerate(kept)}
    rows = np.flatnonzero(np.isin(sets.root, kept))
    members = np.zeros((len(rows), -(-len(kept) // 64)), np.uint64)
    for old, new in place.items():
        held = sets.members[rows, old // 64] >> np.uint64(old % 64) & np.uint64(1)
        members[:, new // 64] |= held << np.uint64(new % 64)
    root = np.array([place[int(r)] for r in sets.root[rows]], np.int64)
    return DestinationSets(root, members, sets.bytes[rows])
