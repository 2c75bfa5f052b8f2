"""Whole ports: what the chiplets of a tree can do with links of one width, wired in any way, searched.

Edge that splits freely has a best package in closed form; ports of one width have none, and which radix the
switches have decides. Each row is a class of packages (the tree's chiplets, stacks and ports, with its own
switches or those of other radices; the chiplets and ports of a mesh, without any), its bound over all
topologies, and the best that a search of a few packages found, by dispatch + combine or by the step. Layout:
that of the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit.bounds import class_like
from noptoolkit.formats import load_topology
from noptoolkit.package import Package
from noptoolkit.physical import violations
from noptoolkit.pipeline import run
from noptoolkit.progress import Progress
from noptoolkit.search import SearchResult, search
from noptoolkit.stages import Run
from noptoolkit.tables import Column, Missing, Table

__all__ = ["WholePorts", "WholePortsRow", "whole_ports"]

MESH = "mesh-4x4-in-network"
"""Package without switches whose ports are looked at besides, where it has the tree's chiplets."""

RULES = ("reach", "beachfront", "phy area")
"""Rules of UCIe that links break, not dies."""


@dataclass(frozen=True, eq=False)
class WholePortsRow:
    """The best package found of one class.

    Parameters
    ----------
    name
        Which switches the class has.
    by
        What was made small: ``dispatch + combine`` or ``step``.
    found
        Result of the search.
    time
        Dispatch + combine on it, in s.
    bound
        Of dispatch + combine over all topologies of the class, in s.
    step
        Makespan of a step on it, in s, if asked for.
    """

    name: str
    by: str
    found: SearchResult
    time: float
    bound: float
    step: float | Missing


@dataclass(frozen=True, eq=False, repr=False)
class WholePorts:
    """All rows for one workload."""

    workload: str
    rows: tuple[WholePortsRow, ...]

    def __repr__(self) -> str:
        return f"WholePorts({self.workload!r}: {len(self.rows)} classes)"

    def __str__(self) -> str:
        return str(self.table())

    def table(self) -> Table:
        """Return the rows as a table."""
        columns = [
            Column("switches", meaning="ports of each; one port is a link of the tree's width"),
            Column("by", meaning="what the search made small"),
            Column("links"),
            Column("time", "dispatch + combine", unit="s"),
            Column("bound", "at least", unit="s", meaning="any topology of these ports, this layout"),
            Column("over", "of it", form=".2f", meaning="over the bound"),
            Column("step", unit="s", meaning="makespan of a step"),
            Column("broken", "breaks", meaning="links too long for UCIe, sides or dies without room"),
            Column("solves", "solved", shown=False, meaning="packages that the search solved"),
        ]
        rows = [
            [
                row.name,
                row.by,
                len(row.found.package.links),
                row.time,
                row.bound,
                row.time / row.bound,
                row.step,
                sum(one.rule in RULES for one in violations(row.found.package, "ucie-2d")),
                row.found.solves,
            ]
            for row in self.rows
        ]
        notes = [
            "whole links of one width, one a pair, between the ports of the tree's chiplets and these "
            "switches; the best of the packages solved, not of the class, but where it is at its bound"
        ]
        return Table(columns, rows, title=f"Whole ports for {self.workload}", notes=notes)


def whole_ports(
    base: Run,
    *,
    step: bool = True,
    solves: int = 6,
    progress: Progress | None = None,
) -> WholePorts:
    """Return what packages of a tree's chiplets and of several switches can do with whole ports.

    Parameters
    ----------
    base
        Run on the tree, whose layout all have.
    step
        Whether a step is scheduled on each best, and one search makes the step small.
    solves
        Packages that each search solves.
    progress
        Callable that is given a line for each part.
    """
    tell = progress or (lambda _: None)
    tree = base.package
    own = tuple(
        sum(link.kind == "d2d" and switch.name in (link.a, link.b) for link in tree.links)
        for switch in tree.switches
    )
    count, leaves = len(own), len(tree.experts)
    radices = {
        "as drawn": own,
        f"{count} of {own[0] + count - 1} ports": tuple(ports + count - 1 for ports in own),
        f"one of {leaves + count} ports": (leaves + count, *own[1:]),
    }
    classes = {name: class_like(tree, switches=switches) for name, switches in radices.items()}
    mesh = load_topology(MESH)
    if sorted(mesh.terminals) == sorted(tree.terminals):
        classes["none, the mesh's ports"] = class_like(mesh)
    tokens = (base.dispatch_traffic, base.combine_traffic)

    def makespan(package: Package) -> float:
        return run(package, base.given, allocator=base.allocation.on(package)).plan.makespan

    rows = []
    for name, within in classes.items():
        tell(f"{base.given.name}: whole ports, switches {name}")
        found = search(within, tokens, solves=solves, name=f"switches {name}")
        bound = sum(one.time for one in found.bounds)
        after = makespan(found.package) if step else Missing("-")
        rows.append(WholePortsRow(name, "dispatch + combine", found, found.cost, bound, after))
    if step:
        name = list(classes)[1]
        tell(f"{base.given.name}: whole ports, switches {name}, by the step")
        found = search(classes[name], makespan, solves=solves, name=f"switches {name}, by the step")
        again = run(found.package, base.given, allocator=base.allocation.on(found.package))
        time = again.dispatch.time + again.combine.time
        rows.append(WholePortsRow(name, "step", found, time, rows[1].bound, found.cost))
    return WholePorts(base.given.name, tuple(rows))
