"""Which chiplet each rank of a plan is: by order, by nesting, or the fastest that a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.errors import PlanError
from noptoolkit.package import Package, expect_package
from noptoolkit.plans.plan import ParallelPlan

__all__ = ["Placement", "nested_order", "placed", "rank_chiplets"]


@dataclass(frozen=True, eq=False, repr=False)
class Placement:
    """The chiplet of each rank.

    Parameters
    ----------
    plan, package
        What is placed, and on what.
    chiplets
        Names by rank, [world].
    method
        How they were chosen.
    """

    plan: ParallelPlan
    package: Package
    chiplets: tuple[str, ...] = field(repr=False)
    method: str

    def __repr__(self) -> str:
        return f"Placement({self.plan} on {self.package.name!r}, {self.method}: {self.chiplets[0]}, ...)"

    def names(self, ranks: Ints) -> list[list[str]]:
        """Return groups of ranks as groups of names."""
        return [[self.chiplets[rank] for rank in group] for group in ranks.tolist()]

    @property
    def nodes(self) -> Ints:
        """Vertex of each rank in the package, [world]."""
        index = self.package.index
        return np.array([index[name] for name in self.chiplets], np.int64)


def rank_chiplets(package: Package) -> tuple[str, ...]:
    """Return the chiplets that ranks may be: the experts where there are two or more, else all."""
    expect_package(package)
    return package.experts if len(package.experts) > 1 else package.terminals


def placed(
    plan: ParallelPlan, package: Package, chiplets: Sequence[str] | None = None, method: str = "by order"
) -> Placement:
    """Return a placement on named chiplets, or on `rank_chiplets` in their order.

    Raises
    ------
    PlanError
        If there are more ranks than chiplets, or a chiplet is named twice, or is none of the package.
    """
    expect_package(package)
    names = rank_chiplets(package) if chiplets is None else tuple(chiplets)
    if plan.dp is None:
        plan = plan.on(len(names))
    if plan.world > len(names):
        from noptoolkit.plans.checks import nearest_plan

        near = nearest_plan(plan, len(names)) if names else None
        offer = "" if near is None else f"; the nearest plan that has room: {near}"
        raise PlanError(
            f"plan {plan} has {plan.world} ranks, package {package.name!r} has {len(names)} chiplets{offer}"
        )
    names = names[: plan.world]
    unknown = [name for name in names if name not in package.index]
    if unknown or len(set(names)) < len(names):
        fault = f"no node named {unknown[0]!r}" if unknown else "a chiplet is named twice"
        raise PlanError(f"plan {plan} on package {package.name!r}: {fault}")
    return Placement(plan, package, names, method)


def _blocks(package: Package, names: tuple[str, ...]) -> list[list[str]]:
    """Return what the widest links join, or the groups behind switches; one set where there is neither."""
    import networkx as nx

    stacks = {memory.name for memory in package.memories}
    widths = [link.bandwidth for link in package.links if link.a not in stacks and link.b not in stacks]
    graph = nx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from(
        (link.a, link.b)
        for link in package.links
        if link.bandwidth == max(widths, default=0.0) and link.a not in stacks and link.b not in stacks
    )
    kept = set(names)
    joined = [[n for n in names if n in part] for part in nx.connected_components(graph) if part & kept]
    if 1 < len(joined) < len(names):
        return joined
    held: dict[str | None, list[str]] = {}
    for name in names:
        held.setdefault(getattr(package[name], "group", None), []).append(name)
    if package.switches and None not in held and 1 < len(held) < len(names):
        return list(held.values())
    return [list(names)]


def nested_order(package: Package) -> tuple[str, ...]:
    """Return the chiplets so that consecutive ones are near: what the widest links join, then the floor plan.

    Chiplets that the widest links join (the nodes of a machine), and those of a group behind a switch, stay
    together. Within, a set is cut across the longer side of its outline into two halves of equal count, and
    so on; without positions, a breadth-first order is taken.
    """
    blocks = _blocks(package, rank_chiplets(package))
    if len(blocks) > 1:
        return tuple(name for block in blocks for name in block)
    names = list(rank_chiplets(package))
    places = [package[name].position for name in names]
    if any(place is None for place in places):
        import networkx as nx

        order = [name for name in nx.bfs_tree(package.graph, names[0]) if name in set(names)]
        return tuple(order)
    at = np.array(places, dtype=float)
    order_of: list[int] = []

    def cut(members: Ints) -> None:
        if len(members) <= 1:
            order_of.extend(members.tolist())
            return
        spans = np.ptp(at[members], axis=0)
        axis = int(spans[1] > spans[0] * (1 + 1e-9))
        along = np.round(at[members, axis] * (-1 if axis else 1), 9)
        ordered = members[np.lexsort((members, along))]
        half = 1 << (len(members) - 1).bit_length() - 1
        half = half if half < len(members) else len(members) // 2
        cut(ordered[:half])
        cut(ordered[half:])

    cut(np.arange(len(names)))
    return tuple(names[i] for i in order_of)
