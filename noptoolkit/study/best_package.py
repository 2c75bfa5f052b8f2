"""The paper's question, answered: what the best package is for a model's tokens, and how far each is from it.

Every row is dispatch + combine of one layer under one layout of the experts (the allocator's, on the tree),
scaled to the total of the tree as drawn: of chiplet ends (switches free), of all dies, of wire, of cost. The
bounds range over all topologies: for this layout, and over all layouts (with the allocator's lower bound of
C_T).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import resolve
from noptoolkit.allocation import c_t_bound
from noptoolkit.bounds import TopologyBound, any_package
from noptoolkit.bounds.needs import needs_of
from noptoolkit.errors import NopError, NopWarning, TopologyError
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.package import Chiplet, Link, LinkKind, Package, Switch
from noptoolkit.physical import normalise, violations
from noptoolkit.physical.geometry import is_of
from noptoolkit.physical.placement import place
from noptoolkit.pipeline import run
from noptoolkit.progress import Progress
from noptoolkit.stages import Run
from noptoolkit.study.rewidened import best_widths_of
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.topology.composition import scale_bandwidth
from noptoolkit.traffic import Traffic
from noptoolkit.workload import Workload

__all__ = [
    "CONTENDERS",
    "BestPackage",
    "Contender",
    "best_package",
    "chain_package",
    "chain_time",
    "hub_package",
    "with_one_trunk_width",
]

FAR = 1e3
"""Factor of bandwidth at which dies are asked for their room."""

CHAINS = "fully connected, widths of chains"

EDGES = ("beachfront", "phy area")

WORKLOADS = ("qwen3-30b-a3b", "olmoe-1b-7b", "deepseek-moe-16b", "gpt-oss-20b")


@dataclass(frozen=True, eq=False)
class Contender:
    """One package, at the totals of the tree as drawn.

    Parameters
    ----------
    name
        What it is.
    package
        The package, its chiplet ends equal to the tree's.
    dispatch
        Dispatch on it.
    times
        Dispatch + combine at equal ``chiplet edge``, ``all edge``, ``wire`` and ``cost``, in s; a reason
        where that cannot be.
    step
        Makespan of a step at equal chiplet edge, in s, if asked for.
    too_long, too_full
        Links that are longer than UCIe drives, and edges or dies without room, at equal chiplet edge.
    """

    name: str
    package: Package
    dispatch: FlowResult
    times: dict[str, float | Missing]
    step: float | Missing
    too_long: int
    too_full: int


@dataclass(frozen=True, eq=False, repr=False)
class BestPackage:
    """All contenders for one workload, and what bounds them.

    Parameters
    ----------
    workload
        The workload.
    run
        The tree as drawn, whose layout all have.
    contenders
        The packages.
    bounds
        Bounds of dispatch over all topologies under this layout, by ``chiplet edge`` and ``all edge``.
    c_t, c_t_bound
        Copies per token of the layout, and a number below that of any layout.
    """

    workload: Workload
    run: Run = field(repr=False)
    contenders: tuple[Contender, ...]
    bounds: dict[str, TopologyBound]
    c_t: float
    c_t_bound: float

    def __repr__(self) -> str:
        return f"BestPackage({self.workload.name!r}: {len(self.contenders)} packages)"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table().html()

    def bound(self, like: str, *, any_layout: bool = False) -> float:
        """Return what dispatch + combine take at least on any package, in s.

        Parameters
        ----------
        like
            ``chiplet edge`` or ``all edge``.
        any_layout
            Over all layouts of the experts too.
        """
        share = (1 + self.c_t_bound) / (1 + self.c_t) if any_layout else 1.0
        return 2 * self.bounds[like].time * share

    def table(self) -> Table:
        """Return bounds and packages as a table."""
        columns = [
            Column("package"),
            Column("chiplet_edge", "chiplet edge", unit="s", meaning="switches are free"),
            Column("over_chiplet_edge", "of it", form=".2f", meaning="over the bound"),
            Column("all_edge", "all dies", unit="s", meaning="switches pay"),
            Column("over_all_edge", "of it", form=".2f", meaning="over the bound"),
            Column("wire", "wire", unit="s", meaning="bandwidth x length; no more than dies have room for"),
            Column("cost", "cost", unit="s", meaning="no more bandwidth than dies have room for"),
            Column("step", unit="s", meaning="makespan of a step at equal chiplet edge"),
            Column("broken", "breaks", meaning="rules: links too long for UCIe, sides or dies without room"),
            Column("too_long", shown=False, meaning="links too long for UCIe, at equal chiplet edge"),
            Column("too_full", shown=False, meaning="sides of dies, or dies, without room"),
        ]
        none = Missing("-")
        rows: list[list[object]] = [
            [
                f"any package, {name}",
                self.bound("chiplet edge", any_layout=every),
                1.0 if not every else none,
                self.bound("all edge", any_layout=every),
                1.0 if not every else none,
                *[none] * 6,
            ]
            for name, every in (("this layout", False), ("any layout", True))
        ]
        for one in self.contenders:
            ratios = {
                like: value / self.bound(like)
                for like, value in one.times.items()
                if like in self.bounds and not isinstance(value, Missing)
            }
            rows.append(
                [
                    one.name,
                    one.times["chiplet edge"],
                    ratios["chiplet edge"],
                    one.times["all edge"],
                    ratios["all edge"],
                    one.times["wire"],
                    one.times["cost"],
                    one.step,
                    one.too_long + one.too_full,
                    one.too_long,
                    one.too_full,
                ]
            )
        return Table(
            columns,
            rows,
            title=f"Best package for {self.workload.name}, at the totals of the tree as drawn",
            notes=self.notes(),
        )

    def notes(self) -> list[str]:
        """Return what a reader of the table must know besides."""
        best = {like: min(self.contenders, key=lambda one: _known(one.times[like])) for like in self.bounds}
        first = self.contenders[0]
        lines = [
            f"dispatch + combine of one layer, {self.run.given.origin} routing, copied and added in the "
            f"network; one layout for all ({self.run.layout_name} on the tree, C_T {self.c_t:.3f}; any "
            f"layout has at least {self.c_t_bound:.3f})",
        ]
        for like, text in (("chiplet edge", "switches free"), ("all edge", "all dies pay")):
            one = best[like]
            ratio = _known(one.times[like]) / self.bound(like)
            gain = _known(first.times[like]) / _known(one.times[like])
            more = "faster" if ratio <= 1.001 else f"more than {ratio:.2f} times faster still"
            lines.append(
                f"{text}: the best is {one.name}, {gain:.2f} times faster than {first.name}; no package of "
                f"these chiplets with this layout is {more}"
            )
        return lines


def best_package(
    workloads: str | Workload | Sequence[str | Workload] = WORKLOADS,
    *,
    allocator: str = "auto",
    step: bool = True,
    among: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> tuple[BestPackage, ...]:
    """Return the answer for some workloads on the chiplets of Mozart's tree.

    Parameters
    ----------
    workloads
        Names, files or values.
    allocator
        Places the experts, on the tree as drawn.
    step
        Whether to schedule a step on each package too, some seconds each.
    among
        Names in ``CONTENDERS``; all but ``mesh, best widths`` (some minutes) where ``None``.
    progress
        Callable that is given a line for each part.

    Raises
    ------
    NopError
        If a workload's tokens cross nothing.
    """
    several = [workloads] if isinstance(workloads, str | Workload) else list(workloads)
    tell = progress or (lambda _: None)
    chosen = [name for name in CONTENDERS if name != "mesh, best widths"] if among is None else list(among)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)  # full memory, crowded edges: the table counts them
        return tuple(_answer(load_workload(one), allocator, step, chosen, tell) for one in several)


def _answer(
    workload: Workload, allocator: str, step: bool, among: Sequence[str], tell: Progress
) -> BestPackage:
    tree = load_topology("mozart-nop-tree")
    base = run(tree, workload, allocator=allocator, progress=tell)
    out = base.dispatch_traffic
    needs = needs_of(out)
    if out.multicast is None or not needs.entered:
        raise NopError(
            f"workload {workload.name!r}: no token leaves the attention chiplet; nothing to compare"
        )
    contenders = []
    for name in among:
        make = resolve(name, CONTENDERS, "contender")
        tell(f"{workload.name}: {name}")
        contenders.append(_contender(name, make(base), tree, base, step=step))
    bounds = {like: any_package(tree, out, like) for like in ("chiplet edge", "all edge")}
    c_t = float(needs.received.sum() / needs.sent.max())
    tell(f"{workload.name}: bound of C_T")
    least = min(c_t_bound(base.trace, tree), c_t)
    return BestPackage(workload, base, tuple(contenders), bounds, c_t, least)


def _contender(name: str, package: Package, tree: Package, base: Run, *, step: bool) -> Contender:
    level = normalise([tree, package], "beachfront")[1].replace(name=package.name)
    flow = congestion(
        level, base.dispatch_traffic.on(level), tol=0.01, time_limit=3 if package.name == CHAINS else None
    )
    both = 2 * flow.time  # combine is dispatch backwards, and all that copy add
    if package.name == CHAINS:
        both = min(both, 2 * chain_time(level, base.dispatch_traffic))
    times: dict[str, float | Missing] = {"chiplet edge": both}
    times["all edge"] = both * _d2d(level) / _d2d(tree)
    room = _room(level)
    for like in ("wire", "cost"):
        try:
            wider = normalise([tree, level], like)[1]
            times[like] = both / min(_d2d(wider) / _d2d(level), room)
        except TopologyError:
            times[like] = Missing("too dear")
    broken = len([one for one in violations(level, "ucie-2d") if one.rule in EDGES])
    too_long = len([one for one in violations(level, "ucie-2d") if one.rule == "reach"])
    makespan: float | Missing = Missing("-")
    if step:
        makespan = run(level, base.given, allocator=base.allocation).plan.makespan
    return Contender(name, level, flow, times, makespan, too_long, broken)


def _room(package: Package) -> float:
    """Return by how much all die-to-die links may grow until an edge, or a die with its PHYs, is full."""
    fits = [
        one.available / one.needed
        for one in violations(scale_bandwidth(package, FAR), "ucie-2d")
        if one.rule in EDGES and one.needed > 0
    ]
    return FAR * min(fits, default=np.inf)


def _d2d(package: Package) -> float:
    return float(package.link_totals[is_of(package, LinkKind.D2D)].sum())


def _known(value: float | Missing) -> float:
    return np.inf if isinstance(value, Missing) else value


def with_one_trunk_width(tree: Package, out: Traffic) -> Package:
    """Return the tree with one width of all trunks and one of all leaves, in the proportion of the fullest.

    Over every such pair of widths with the same chiplet ends it is the best: the trunk and the leaf that
    carry most are full at the same time.
    """
    loads = _tree_loads(tree, out)
    sets = out.multicast
    assert sets is not None
    root = out.endpoints[int(sets.root[0])]
    trunks = [i for i in loads if root in (tree.links[i].a, tree.links[i].b)]
    leaves = [i for i in loads if i not in trunks]
    wide, narrow = max(loads[i] for i in trunks), max(loads[i] for i in leaves)
    return _with_widths(tree, {i: wide if i in trunks else narrow for i in loads}, "one trunk width")


def _tree_loads(tree: Package, out: Traffic) -> dict[int, float]:
    """Return what crosses each die-to-die link of a tree, bytes of the copies that it needs."""
    import networkx as nx

    d2d = np.flatnonzero(is_of(tree, LinkKind.D2D)).tolist()
    graph = nx.Graph([(tree.links[i].a, tree.links[i].b, {"link": i}) for i in d2d])
    sets = out.multicast
    assert sets is not None
    inside = sets.contains(len(out.endpoints))
    found = {}
    for i in d2d:
        a, b = tree.links[i].a, tree.links[i].b
        graph.remove_edge(a, b)
        side = np.array([name in nx.node_connected_component(graph, a) for name in out.endpoints])
        graph.add_edge(a, b, link=i)
        across = (inside & (side[None] != side[sets.root][:, None])).any(axis=1)
        found[i] = float(sets.bytes[across].sum())
    return found


def _with_widths(package: Package, widths: dict[int, float], what: str) -> Package:
    links = [
        dataclasses.replace(link, bandwidth=1e3 * widths[i]) if i in widths else link
        for i, link in enumerate(package.links)
    ]
    return package.replace(name=f"{package.name}, {what}", links=links)


def hub_package(tree: Package, out: Traffic) -> Package:
    """Return the chiplets of a package round one switch that copies, links as wide as their chiplets need.

    With chiplet ends alone counted, no package is faster, whatever the traffic (`noptoolkit.bounds.edges`).
    """
    needs = needs_of(out)
    need = dict(zip(needs.names, needs.busier_way.tolist(), strict=True))
    hub = Switch("hub", replicates=True, reduces=True)
    kept = [node for node in tree.nodes if not isinstance(node, Switch)]
    links = [Link(name, "hub", 1e3 * amount) for name, amount in need.items() if amount > 0]
    switches = {node.name for node in tree.switches}
    for link in tree.links:
        if link.kind == LinkKind.MEMORY:
            a, b = ("hub" if end in switches else end for end in (link.a, link.b))
            links.append(replace(link, a=a, b=b, length=None))
    bare = [dataclasses.replace(node, position=None) for node in kept]
    return place(Package("hub", [hub, *bare], links))


def chain_package(grid: Package, out: Traffic) -> Package:
    """Return the chiplets of a package fully connected, with the widths of chains in random order.

    A token goes from its root to one of its members, from there to the next, and so on: on average each pair
    of members and each root link carries bytes / |set|. All dies counted, no package is faster for one root.

    Raises
    ------
    NopError
        If the messages have several roots.
    """
    sets = out.multicast
    assert sets is not None
    if len(np.unique(sets.root)) > 1:
        raise NopError(f"traffic {out.name!r} has several roots; chains are the best for one")
    entry, pair = _chain_loads(out)
    root = out.endpoints[int(sets.root[0])]
    links = [
        Link(root, name, 1e3 * w) for name, w in zip(out.endpoints, entry.tolist(), strict=True) if w > 0
    ]
    for i, one in enumerate(out.endpoints):
        for j in range(i):
            if pair[i, j] > 0:
                links.append(Link(out.endpoints[j], one, 1e3 * float(pair[i, j])))
    links += [link for link in grid.links if link.kind == LinkKind.MEMORY]
    return Package(CHAINS, _copying(grid).nodes, links)


def _chain_loads(out: Traffic) -> tuple[Floats, Floats]:
    """Return what chains in random order put on each root link and on each pair, either way, in B."""
    sets = out.multicast
    assert sets is not None
    inside = sets.contains(len(out.endpoints)).astype(float)
    inside[np.arange(len(sets)), sets.root] = 0.0
    size = inside.sum(axis=1)
    some = size > 0
    weight = sets.bytes[some] / size[some]
    pair: Floats = (inside[some] * weight[:, None]).T @ inside[some]
    entry: Floats = weight @ inside[some]
    return entry, pair


def chain_time(package: Package, out: Traffic) -> float:
    """Return how long chains in random order take on a fully connected package, in s."""
    entry, pair = _chain_loads(out)
    place_of = {name: i for i, name in enumerate(out.endpoints)}
    sets = out.multicast
    assert sets is not None
    root = int(sets.root[0])
    slowest = 0.0
    for link in package.links:
        if link.a in place_of and link.b in place_of:
            a, b = place_of[link.a], place_of[link.b]
            load = entry[a + b - root] if root in (a, b) else pair[a, b]
            slowest = max(slowest, float(load) / min(link.bandwidth, link.backward_bandwidth))
    return slowest


def _copying(package: Package) -> Package:
    nodes = [
        dataclasses.replace(node, replicates=True, reduces=True)
        if isinstance(node, Chiplet | Switch)
        else node
        for node in package.nodes
    ]
    return package.replace(name=f"{package.name}, copying", nodes=nodes)


def _mesh_of_best_widths(base: Run) -> Package:
    again = run("mesh-4x4-in-network", base.given, allocator=base.allocation)
    return best_widths_of(again).package


CONTENDERS: dict[str, Callable[[Run], Package]] = {
    "tree as drawn": lambda base: base.package,
    "tree, best trunk width": lambda base: with_one_trunk_width(base.package, base.dispatch_traffic),
    "tree, best widths": lambda base: best_widths_of(base).package,
    "one hub that copies": lambda base: hub_package(base.package, base.dispatch_traffic),
    "mesh whose routers copy": lambda base: load_topology("mesh-4x4-in-network"),
    "mesh, best widths": _mesh_of_best_widths,
    "torus whose routers copy": lambda base: _copying(load_topology("torus-4x4")),
    "fully connected, chains": lambda base: chain_package(
        load_topology("mesh-4x4-in-network"), base.dispatch_traffic
    ),
}
"""Packages of the same chiplets: name to function of the run on the tree as drawn."""
