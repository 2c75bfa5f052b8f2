"""Families with switches beside the NoP-Tree: deep trees, fat tree, concentrated mesh, dragonfly.

Sources: trees with fat trunks: Leiserson, IEEE Transactions on Computers C-34, 1985; the fat tree of equal
switches: Al-Fares, Loukissas and Vahdat, SIGCOMM 2008; concentrated mesh: Balfour and Dally, ICS 2006;
dragonfly: Kim, Dally, Scott and Abts, ISCA 2008.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Unpack

from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.topology.assembly import Sketch, Wire, assemble, grid_sketch
from noptoolkit.topology.builder_options import Parts, PartsOptions, Point, parts_of
from noptoolkit.topology.floorplan import Plan, die, pack
from noptoolkit.topology.lines import grid_lines, path
from noptoolkit.topology.size_checks import check_count, check_links, need

__all__ = ["concentrated_mesh", "dragonfly", "fat_tree", "tree"]


def tree(
    fan_outs: Sequence[int] = (2, 2, 4),
    *,
    uplink_factor: float = 1.0,
    in_network: bool = True,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return a NoP-Tree of any depth, its trunks as fat as asked for.

    Parameters
    ----------
    fan_outs
        Children of the root, of each switch below it, and so on; the last are the expert chiplets of a
        switch.
    uplink_factor
        How many times the bandwidth of a link is that of the links one level below it; 1 is equal links.
    in_network
        Whether the switches replicate and reduce.
    options
        See `noptoolkit.topology.Parts`. There is an attention chiplet, the root, unless
        ``attention=False``, which makes the root a switch. Each lowest switch has a memory stack.

    Examples
    --------
    >>> tree((2, 2, 4), uplink_factor=2)
    Package('tree-2x2x4': 17 chiplets (1 attention, 16 expert), 6 switches, 22 links, 44 channels,
    8.19 TB/s)
    """
    for fan_out in fan_outs:
        need("tree", "fan-out", fan_out, 1)
    need("tree", "depth", len(fan_outs), 2, 16)
    check_count("tree", prod(fan_outs))
    if not 0 < uplink_factor <= 1e6:
        raise TopologyError(f"tree: uplink_factor {uplink_factor:g} must be above 0 and at most 1e6")
    parts = parts_of(options, attention=True)
    depth = len(fan_outs)
    level = [die(f"e{i}", parts.die) for i in range(prod(fan_outs))]
    names = [f"e{i}" for i in range(len(level))]
    wires: list[Wire] = []
    switches: list[str] = []
    groups: list[list[str]] = []
    bandwidth = parts.link_bandwidth
    for height, fan_out in enumerate(reversed(fan_outs[1:]), start=1):
        parents = [_switch_name(depth - 1 - height, i) for i in range(len(level) // fan_out)]
        plans = []
        for i, parent in enumerate(parents):
            children = slice(i * fan_out, (i + 1) * fan_out)
            wires += [Wire(parent, child, bandwidth) for child in names[children]]
            strip = [die(parent, parts.switch_die)]
            if height == 1:
                groups.append(names[children])
                strip += [die(f"hbm{i}", parts.stack)] if parts.memory else []
            plans.append(pack(level[children], strip, parts.spacing))
        level, names, switches = plans, parents, parents + switches
        bandwidth *= uplink_factor
    stacks = [f"attention hbm{i}" for i in range(parts.attention_memories if parts.memory else 0)]
    if parts.attention:
        root = [die("attn", parts.attention_die), *(die(name, parts.stack) for name in stacks)]
    else:
        root = [die("root", parts.switch_die)]
        wires = [Wire("root", child, bandwidth) for child in names] + wires
        switches = ["root", *switches]
    places = pack(level, root, parts.spacing).places
    sketch = Sketch(
        positions={f"e{i}": places[f"e{i}"] for i in range(prod(fan_outs))},
        wires=wires,
        groups=groups,
        attention=places.get("attn", (0.0, 0.0)),
        attention_ports=[(child, bandwidth) for child in names],
        stacks=[places[f"hbm{i}"] for i in range(len(groups) if parts.memory else 0)],
        stack_ports=[_switch_name(depth - 2, i) for i in range(len(groups) if parts.memory else 0)],
        attention_stacks=[places[name] for name in stacks if name in places],
        switches={name: places[name] for name in switches},
    )
    name = "tree-" + "x".join(map(str, fan_outs))
    return assemble(name, sketch, parts, in_network=in_network, source="Leiserson, 1985; Mozart, 2603.07006")


def _switch_name(level: int, index: int) -> str:
    return f"sw{index}" if level == 0 else f"sw{level}_{index}"


def fat_tree(ports: int = 4, *, in_network: bool = False, **options: Unpack[PartsOptions]) -> Package:
    """Return a fat tree of equal switches: full bisection, k^3/4 chiplets behind switches of k ports.

    Parameters
    ----------
    ports
        Number of ports of each switch, even. There are k pods of k/2 edge and k/2 aggregation switches, and
        (k/2)^2 core switches.
    in_network
        Whether the switches replicate and reduce.
    options
        See `noptoolkit.topology.Parts`; the chiplets of a pod are a group.

    Examples
    --------
    >>> fat_tree(4)
    Package('fat_tree-4': 16 chiplets (16 expert), 20 switches, 48 links, 96 channels, 12.3 TB/s)
    """
    need("fat_tree", "ports", ports, 2, 64)
    if ports % 2:
        raise TopologyError(f"fat_tree: ports {ports} must be even; nearest: {ports - 1}, {ports + 1}")
    parts = parts_of(options)
    half = ports // 2
    wires: list[Wire] = []
    pods: list[Plan] = []
    for pod in range(ports):
        edges = []
        for e in range(pod * half, (pod + 1) * half):
            leaves = [f"e{e * half + i}" for i in range(half)]
            wires += [Wire(f"edge{e}", leaf) for leaf in leaves]
            wires += [Wire(f"aggregation{pod * half + i}", f"edge{e}") for i in range(half)]
            blocks = [die(leaf, parts.die) for leaf in leaves]
            edges.append(pack(blocks, [die(f"edge{e}", parts.switch_die)], parts.spacing))
        strip = [die(f"aggregation{pod * half + i}", parts.switch_die) for i in range(half)]
        wires += [
            Wire(f"core{i * half + j}", f"aggregation{pod * half + i}")
            for i in range(half)
            for j in range(half)
        ]
        pods.append(pack(edges, [*strip, *_stack_within(pod, parts)], parts.spacing))
    plan = pack(pods, [die(f"core{i}", parts.switch_die) for i in range(half * half)], parts.spacing)
    source = "Al-Fares, Loukissas and Vahdat, SIGCOMM 2008"
    return _switched(f"fat_tree-{ports}", plan.places, wires, parts, ports, in_network, source)


def concentrated_mesh(
    rows: int = 2,
    columns: int | None = None,
    *,
    concentration: int = 4,
    in_network: bool = False,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return a mesh of switches with several chiplets at each.

    Parameters
    ----------
    rows, columns
        Size of the grid of switches; square where ``columns`` is not given.
    concentration
        Chiplets at each switch.
    in_network
        Whether the switches replicate and reduce.
    options
        See `noptoolkit.topology.Parts`; the chiplets of a row of switches are a group.

    Examples
    --------
    >>> concentrated_mesh(2)
    Package('concentrated_mesh-2x2x4': 16 chiplets (16 expert), 4 switches, 20 links, 40 channels, 5.12 TB/s)
    """
    family = "concentrated_mesh"
    columns = rows if columns is None else columns
    for what, size in (("rows", rows), ("columns", columns), ("concentration", concentration)):
        need(family, what, size, 1)
    count = rows * columns
    check_count(family, count * concentration)
    parts = parts_of(options)
    wires: list[Wire] = []
    places: dict[str, Point] = {}
    for router in range(count):
        leaves = [f"e{router * concentration + i}" for i in range(concentration)]
        wires += [Wire(f"sw{router}", leaf) for leaf in leaves]
        blocks = [die(leaf, parts.die) for leaf in leaves]
        block = pack(blocks, [die(f"sw{router}", parts.switch_die)], parts.spacing)
        x = router % columns * (block.width + parts.spacing)
        y = -(router // columns) * (block.height + parts.spacing)
        places |= {name: (x + dx, y + dy) for name, (dx, dy) in block.places.items()}
    for axis in grid_lines((rows, columns)):
        wires += [Wire(f"sw{line[i]}", f"sw{line[j]}") for line in axis for i, j in path(len(line))]
    name = f"{family}-{rows}x{columns}x{concentration}"
    return _switched(name, places, wires, parts, rows, in_network, "Balfour and Dally, ICS 2006")


def dragonfly(
    routers: int = 4,
    *,
    terminals: int = 1,
    global_links: int = 1,
    groups: int | None = 4,
    in_network: bool = False,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return a dragonfly: groups of completely linked switches, one link between every two groups.

    Parameters
    ----------
    routers
        Switches in each group (a).
    terminals
        Chiplets at each switch (p).
    global_links
        Links of each switch to other groups (h).
    groups
        Groups, at most a h + 1, which is what ``None`` takes. A balanced dragonfly has a = 2 p = 2 h.
    in_network
        Whether the switches replicate and reduce.
    options
        See `noptoolkit.topology.Parts`; the chiplets of a group share a memory stack.

    Examples
    --------
    >>> dragonfly(4, terminals=2, global_links=2, groups=None)
    Package('dragonfly-4-2-2-9': 72 chiplets (72 expert), 36 switches, 162 links, 324 channels, 41.5 TB/s)
    """
    family = "dragonfly"
    for what, size in (("routers", routers), ("terminals", terminals), ("global_links", global_links)):
        need(family, what, size, 1, 256)
    most = routers * global_links + 1
    groups = most if groups is None else groups
    need(family, "groups", groups, 2, most)
    check_count(family, groups * routers * terminals)
    within = routers * (routers - 1) // 2 + routers * terminals
    check_links(family, groups * within + groups * (groups - 1) // 2)
    parts = parts_of(options)
    wires: list[Wire] = []
    plans: list[Plan] = []
    for group in range(groups):
        blocks = []
        for r in range(group * routers, (group + 1) * routers):
            leaves = [f"e{r * terminals + i}" for i in range(terminals)]
            wires += [Wire(f"sw{r}", leaf) for leaf in leaves]
            wires += [Wire(f"sw{r}", f"sw{other}") for other in range(r + 1, (group + 1) * routers)]
            dies = [die(leaf, parts.die) for leaf in leaves]
            blocks.append(pack(dies, [die(f"sw{r}", parts.switch_die)], parts.spacing))
        for other in range(group + 1, groups):
            here = group * routers + (other - group - 1) // global_links
            there = other * routers + (group - other - 1) % groups // global_links
            wires.append(Wire(f"sw{here}", f"sw{there}"))
        plans.append(pack(blocks, _stack_within(group, parts), parts.spacing))
    places = pack(plans, [], parts.spacing).places
    name = f"{family}-{routers}-{terminals}-{global_links}-{groups}"
    return _switched(name, places, wires, parts, groups, in_network, "Kim, Dally, Scott and Abts, ISCA 2008")


def _stack_within(group: int, parts: Parts) -> list[Plan]:
    """Return the memory stack of a group, to be packed among its chiplets; none if it serves others too."""
    if parts.memory and parts.memory_groups is None:
        return [die(f"hbm{group}", parts.stack)]
    return []


def _switched(
    name: str,
    places: Mapping[str, Point],
    wires: list[Wire],
    parts: Parts,
    groups: int,
    in_network: bool,
    source: str,
) -> Package:
    chiplets = [f"e{i}" for i in range(sum(key[0] == "e" and key[1:].isdigit() for key in places))]
    stacks = [places[key] for key in (f"hbm{i}" for i in range(groups)) if key in places]
    positions = {key: places[key] for key in chiplets}
    switches = {key: at for key, at in places.items() if key not in positions and not key.startswith("hbm")}
    sketch = grid_sketch(positions, wires, parts, groups=groups, switches=switches, stacks=stacks)
    return assemble(name, sketch, parts, in_network=in_network, source=source)
