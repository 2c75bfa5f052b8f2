"""The paper's question, answered: what the best package is for a model's tokens, and how far each is from it.

Rows are dispatch + combine of one layer, scaled to the total of the tree as drawn: of chiplet ends (switches
free), of all dies, of wire, of cost; under one layout of the experts (the allocator's, on the tree), and, in
a column of its own, under the layout that the allocator finds for each package. The bounds range over all
topologies: for the one layout, and over all layouts (with the allocator's lower bound of C_T). Wire and cost
as much as the tree's are more than these dies have room for, so that the room on their sides is the bound
there (`noptoolkit.study.rows_of_dies`); a step's is over all networks (`noptoolkit.study.any_network`).
Whole ports, which widths cannot be split over, are a table of their own (`noptoolkit.study.whole_ports`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._names import resolve
from noptoolkit.allocation import c_t_bound
from noptoolkit.bounds import TopologyBound, any_package
from noptoolkit.bounds.dies import room_bound
from noptoolkit.bounds.needs import needs_of
from noptoolkit.errors import NopError, NopWarning, TopologyError
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.package import LinkKind, Package
from noptoolkit.physical import normalise, violations
from noptoolkit.physical.geometry import is_of
from noptoolkit.pipeline import run
from noptoolkit.progress import Progress
from noptoolkit.stages import Run
from noptoolkit.study.any_network import step_on_any_network
from noptoolkit.study.contenders import CONTENDERS, ROWS, Candidate
from noptoolkit.study.whole_ports import WholePorts, whole_ports
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.topology.composition import scale_bandwidth
from noptoolkit.workload import Workload

__all__ = ["BestPackage", "Contender", "best_package"]

FAR = 1e3
"""Factor of bandwidth at which dies are asked for their room."""

EDGES = ("beachfront", "phy area")

PATIENCE = 3.0
"""Seconds after which the routing found so far counts on a package for which one is known."""

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
    own_layout
        Dispatch + combine at equal chiplet edge, the experts laid out anew for this package and its widths
        for that layout, if asked for; no more than under the one layout.
    step
        Makespan of a step at equal chiplet edge, in s, if asked for.
    too_long, too_full
        Links that are longer than UCIe drives, and edges or dies without room, at equal chiplet edge.
    """

    name: str
    package: Package
    dispatch: FlowResult
    times: dict[str, float | Missing]
    own_layout: float | Missing
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
    whole
        What whole ports of equal links can do, searched; ``None`` if not asked for.
    c_t, c_t_bound
        Copies per token of the layout, and a number below that of any layout.
    room
        Dispatch + combine at least, in s, on any package of these dies that keeps UCIe's rules, whatever its
        wire and cost, by whether any layout counts.
    step
        A step at least on any network between these dies and stacks, in s, if asked for.
    """

    workload: Workload
    run: Run = field(repr=False)
    contenders: tuple[Contender, ...]
    bounds: dict[str, TopologyBound]
    whole: WholePorts | None
    c_t: float
    c_t_bound: float
    room: dict[bool, float]
    step: float | Missing

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
            ``chiplet edge`` or ``all edge``; of ``wire`` and ``cost`` only the room on the dies is known.
        any_layout
            Over all layouts of the experts too.
        """
        if like in ("wire", "cost"):
            return self.room[any_layout]
        share = (1 + self.c_t_bound) / (1 + self.c_t) if any_layout else 1.0
        return 2 * self.bounds[like].time * share

    def table(self) -> Table:
        """Return bounds and packages as a table."""
        columns = [
            Column("package"),
            Column("chiplet_edge", "chiplet edge", unit="s", meaning="switches are free"),
            Column("over_chiplet_edge", "of it", form=".2f", meaning="over the bound"),
            Column(
                "own_layout", "own layout", unit="s", meaning="chiplet edge, layout of each package's own"
            ),
            Column("all_edge", "all dies", unit="s", meaning="switches pay"),
            Column("over_all_edge", "of it", form=".2f", shown=False, meaning="over the bound"),
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
                self.bound("chiplet edge", any_layout=True) if every else none,
                self.bound("all edge", any_layout=every),
                1.0 if not every else none,
                self.bound("wire", any_layout=every),
                self.bound("cost", any_layout=every),
                self.step if not every else none,
                *[none] * 3,
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
                    one.own_layout,
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

    def tables(self) -> list[Table]:
        """Return the table, and that of whole ports where they were searched."""
        return [self.table(), *([] if self.whole is None else [self.whole.table()])]

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
        fits = [one for one in self.contenders if not one.too_long + one.too_full]
        if fits:
            one = min(fits, key=lambda one: _known(one.times["cost"]))
            ratio = _known(one.times["cost"]) / self.bound("cost")
            lines.append(
                f"at equal cost, links as UCIe allows them: the best is {one.name}; no package of these dies "
                f"is more than {ratio:.2f} times faster still, whatever it costs: their sides are full"
            )
        if not isinstance(self.step, Missing):
            shortest = min(self.contenders, key=lambda one: _known(one.step))
            lines.append(
                f"step: no network is more than {_known(shortest.step) / self.step:.3f} times faster than "
                f"{shortest.name}: the rest is arithmetic and what the stacks deliver"
            )
        return lines


def best_package(
    workloads: str | Workload | Sequence[str | Workload] = WORKLOADS,
    *,
    allocator: str = "auto",
    step: bool = True,
    own_layouts: bool = False,
    searched: bool = False,
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
    own_layouts
        Whether the experts are laid out for each package too, as long as the allocator takes for each.
    searched
        Whether packages of whole ports are searched too, a minute or so; with ``step`` once more by the step.
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
        return tuple(
            _answer(load_workload(one), allocator, chosen, tell, step, own_layouts, searched)
            for one in several
        )


def _answer(
    workload: Workload,
    allocator: str,
    among: Sequence[str],
    tell: Progress,
    step: bool,
    own_layouts: bool,
    searched: bool,
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
        own = allocator if own_layouts and name != ROWS else None
        contenders.append(_contender(name, make(base), tree, base, step=step, allocator=own))
    bounds = {like: any_package(tree, out, like) for like in ("chiplet edge", "all edge")}
    c_t = float(needs.received.sum() / needs.sent.max())
    tell(f"{workload.name}: bound of C_T")
    least = min(c_t_bound(base.trace, tree), c_t)
    whole = whole_ports(base, step=step, progress=tell) if searched else None
    room = {any_layout: 2 * room_bound(tree, out, roots_alone=any_layout) for any_layout in (False, True)}
    shortest: float | Missing = step_on_any_network(base) if step else Missing("-")
    return BestPackage(workload, base, tuple(contenders), bounds, whole, c_t, least, room, shortest)


def _contender(
    name: str, given: Candidate, tree: Package, base: Run, *, step: bool, allocator: str | None
) -> Contender:
    level, flow, both = _tokens(given, tree, base)
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
    own: float | Missing = Missing("-")
    if allocator is not None:
        layout = run(level, base.given, allocator=allocator).allocation
        again = run(tree, base.given, allocator=layout.on(tree))
        own = min(both, _tokens(CONTENDERS[name](again), tree, again)[2])
    return Contender(name, level, flow, times, own, makespan, too_long, broken)


def _tokens(given: Candidate, tree: Package, base: Run) -> tuple[Package, FlowResult, float]:
    """Return a package at the tree's chiplet edge, dispatch on it, and the time of dispatch + combine."""
    level = normalise([tree, given.package], "beachfront")[1].replace(name=given.package.name)
    known = given.known * _d2d(given.package) / _d2d(level)
    limit = PATIENCE if np.isfinite(known) else None
    flow = congestion(level, base.dispatch_traffic.on(level), tol=0.01, time_limit=limit)
    return level, flow, 2 * min(flow.time, known)  # combine is dispatch backwards, and all that copy add


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
