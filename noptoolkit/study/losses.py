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
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._seeds import generator_from
from noptoolkit.errors import InfeasibleError, RoutingError, TopologyError, UnknownNameError
from noptoolkit.flow.evaluation import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.formats.results import write_csv, write_json
from noptoolkit.package import Package
from noptoolkit.progress import Countdown, Progress
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.study.relabelling import alike, relabellings
from noptoolkit.tables import Column, Table
from noptoolkit.traffic import DestinationSets, Traffic
from noptoolkit.units import format_quantity

__all__ = ["Resilience", "resilience"]


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
    """

    intact: FlowResult
    lost: tuple[tuple[str, ...], ...]
    time: Floats = field(metadata={"unit": "s"})
    time_bound: Floats = field(metadata={"unit": "s"})

    def __repr__(self) -> str:
        most = self.slowdown.max()
        worst = f"{most:.3g} times as long" if most < np.inf else "never completes"
        return (
            f"Resilience({self.intact.package.name!r}, {self.intact.routing}: {len(self.lost)} losses, "
            f"at worst {worst}, without {', '.join(self.worst)})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self, most: int | None = 8) -> Table:
        """Return the losses that take the longest (all of them where ``None``) as a table."""
        order = np.lexsort((-self.time_bound, -self.time))[:most].tolist()
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
        rows = [[", ".join(self.lost[i]), self.time[i], self.time_bound[i], self.slowdown[i]] for i in order]
        return Table(columns, rows, title=repr(self), notes=self.notes(most))

    def cells(self, most: int = 8) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return self.table(most).cells()

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
        if shown is not None and len(self.lost) > shown:
            lines.append(f"the {shown} slowest losses are shown, and {len(self.lost) - shown} more are not")
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
        """The loss that takes the longest."""
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
        Seed or generator that draws those sets.
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
    kinds = {
        "links": _one_channel_per_link(package),
        "chiplets": package.terminals,
        "switches": tuple(node.name for node in package.switches),
        "memories": tuple(node.name for node in package.memories),
    }
    if of not in kinds:
        raise UnknownNameError(f"nothing to lose called {of!r}; known: {', '.join(kinds)}")
    pool = kinds[of]
    for name, number, least in (("failures", failures, 1), ("trials", trials, 1)):
        if number is not None and (not isinstance(number, int | np.integer) or number < least):
            raise RoutingError(f"{name}={number!r} must be a whole number from {least} up")
    if failures > len(pool):
        raise RoutingError(f"package {package.name!r} has {len(pool)} {of}: {failures} cannot fail")
    generator = generator_from(rng)
    if trials is None or trials >= comb(len(pool), failures):
        losses = list(combinations(pool, failures))
    else:
        drawn: dict[frozenset[str], tuple[str, ...]] = {}
        while len(drawn) < trials:  # no set twice
            names = tuple(str(name) for name in generator.choice(pool, failures, replace=False))
            drawn.setdefault(frozenset(names), names)
        losses = list(drawn.values())
    intact = congestion(package, traffic, routing=routing, tol=tol)
    same = not method_of(routing).names_matter and len(losses) > 1
    maps = relabellings(package, traffic) if same else []
    chosen = alike(losses, maps)
    time, bound = np.full(len(losses), np.inf), np.full(len(losses), np.inf)
    distinct = np.unique(chosen)
    count = Countdown(len(distinct), "losses")
    for i in distinct.tolist():
        time[i], bound[i] = _after(package, traffic, losses[i], intact, routing, tol)
        count.finish_one()
        if report is not None:
            slow = time[i] / intact.time if intact.time > 0 else 1.0
            outcome = f"{slow:.3g} times as long" if slow < np.inf else "never completes"
            report(f"{count.finished()}: without {', '.join(losses[i])} {outcome}")
    return Resilience(intact, tuple(losses), time[chosen], bound[chosen])


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


def _one_channel_per_link(package: Package) -> tuple[str, ...]:
    first: dict[int, str] = {}
    for channel in package.channels:
        first.setdefault(channel.link, channel.name)
    return tuple(first.values())


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
