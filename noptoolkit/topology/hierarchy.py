"""Hierarchies: any builder of any builder.

Every chiplet of an outer package becomes a copy of an inner one; every outer link joins two gateway
chiplets, which are spread over the inner packages so that the links of one of them start at different
chiplets where they can.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from typing import Any, Unpack

from noptoolkit._names import resolve
from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, Package
from noptoolkit.topology.assembly import Wire, assemble, grid_sketch
from noptoolkit.topology.builder_options import PartsOptions, Point, parts_of
from noptoolkit.topology.composition import extent
from noptoolkit.topology.size_checks import check_count, check_links
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["hierarchical"]

MOST_LEVELS = 8


def hierarchical(
    outer: str = "ring",
    inner: str = "mesh",
    *,
    outer_params: Mapping[str, Any] | None = None,
    inner_params: Mapping[str, Any] | None = None,
    outer_bandwidth: Quantity | None = None,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return an outer topology whose chiplets are inner topologies.

    Parameters
    ----------
    outer, inner
        Names of builders; a hierarchy may be made of hierarchies.
    outer_params, inner_params
        Their own arguments; where both are left out, a ring of 4 meshes of 2 x 2.
    outer_bandwidth
        Bandwidth of the outer links, in B/s; ``link_bandwidth`` where ``None``.
    options
        See `noptoolkit.topology.Parts`, for the whole; each inner package is a group.

    Examples
    --------
    >>> hierarchical("ring", "mesh", outer_params={"count": 4}, inner_params={"rows": 2})
    Package('hierarchical-ring-4-mesh-2x2': 16 chiplets (16 expert), 20 links, 40 channels, 5.12 TB/s)
    """
    parts = parts_of(options)
    _check_depth([outer_params or {}, inner_params or {}])
    if outer_params is None and inner_params is None and (outer, inner) == ("ring", "mesh"):
        outer_params, inner_params = {"count": 4}, {"rows": 2}
    wide = None if outer_bandwidth is None else parse_quantity(outer_bandwidth, "B/s", "outer_bandwidth")
    small = _build(inner, inner_params, {"chiplet_size": parts.die, "spacing": parts.spacing})
    (left, bottom), (width, height) = extent(small)
    within = parts.memory and parts.memory_groups is None  # each inner package has its stack at its right
    deep, tall = parts.stack
    cell = (width + parts.spacing + deep, max(height, tall)) if within else (width, height)
    large = _build(outer, outer_params, {"chiplet_size": cell, "spacing": parts.spacing})
    count = len(small.chiplets)
    check_count("hierarchical", count * len(large.chiplets))
    check_links("hierarchical", len(small.links) * len(large.chiplets) + len(large.links))
    positions: dict[str, Point] = {}
    switches: dict[str, Point] = {}
    stacks: list[Point] = []
    wires: list[Wire] = []
    rank = {chiplet.name: i for i, chiplet in enumerate(large.chiplets)}
    for name, i in rank.items():
        names = {chiplet.name: f"e{i * count + j}" for j, chiplet in enumerate(small.chiplets)}
        names |= {switch.name: f"{switch.name}_{i}" for switch in small.switches}
        x, y = _place(large, name)
        for node in small.nodes:
            dx, dy = _place(small, node.name)
            at = (x + dx - left - cell[0] / 2, y + dy - bottom - height / 2)
            (positions if isinstance(node, Chiplet) else switches)[names[node.name]] = at
        wires += [Wire(names[link.a], names[link.b], None, link.kind) for link in small.links]
        if within:
            stacks.append((x + (cell[0] - deep) / 2, y))
    above = {switch.name: f"{switch.name}{'_outer' * (switch.name in switches)}" for switch in large.switches}
    switches |= {above[switch.name]: _place(large, switch.name) for switch in large.switches}
    degree = Counter(end for link in large.links for end in (link.a, link.b))
    used: Counter[str] = Counter()
    for link in large.links:
        ends = []
        for end in (link.a, link.b):
            if end in rank:
                ends.append(f"e{rank[end] * count + used[end] * count // degree[end]}")
                used[end] += 1
            else:
                ends.append(above[end])
        wires.append(Wire(ends[0], ends[1], wide, link.kind))
    sketch = grid_sketch(positions, wires, parts, groups=len(rank), switches=switches, stacks=stacks)
    return assemble(f"hierarchical-{large.name}-{small.name}", sketch, parts, source="composition")


def _check_depth(params: list[Mapping[str, Any]]) -> None:
    for _ in range(MOST_LEVELS):
        params = [value for one in params for value in one.values() if isinstance(value, Mapping)]
    if params:
        raise TopologyError(f"hierarchical: params are nested more than {MOST_LEVELS} deep")


def _build(builder: str, params: Mapping[str, Any] | None, sizes: Mapping[str, Any]) -> Package:
    from noptoolkit.topology import BUILDERS

    build = resolve(builder, BUILDERS, "builder")
    known = inspect.signature(build).parameters
    for key in params or {}:
        if key not in known:
            raise TopologyError(f"hierarchical: builder {builder!r} has no argument {key!r}")
    return build(**{**(params or {}), **sizes, "attention": False})


def _place(package: Package, name: str) -> Point:
    return package[name].position or (0.0, 0.0)
