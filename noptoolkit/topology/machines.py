"""Nodes of accelerators on a fabric: two levels, as in published machines; chiplets are the accelerators.

`gpu_nodes` has a crossbar switch in each node (NVSwitch in DGX H100: NVIDIA's DGX H100 data sheet, 2023) and
a network card at every accelerator; the fabric is one switch, or rails with a spine (NVIDIA DGX SuperPOD
reference architecture RA-11333-001, 2023). A non-blocking Clos network is one switch to a fluid model: no
cut of it is narrower than the network cards.

`mi250x_nodes` has the node of Frontier (OLCF, Frontier user guide): eight dies in four modules, four links
within a module, one or two between modules, a network card at every module; switches of a group are fully
connected, and groups too (Slingshot's dragonfly; Kim et al., ISCA 2008).
"""

from __future__ import annotations

import math
from typing import Unpack

from noptoolkit._numbers import is_number
from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.topology.assembly import Wire, assemble, grid_sketch
from noptoolkit.topology.builder_options import Parts, PartsOptions, Point, parts_of
from noptoolkit.topology.size_checks import check_count, check_links, need
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["dgx_h100", "frontier", "gpu_nodes", "mi250x_nodes"]

MODULE_LINKS = (
    (0, 1, 4),
    (2, 3, 4),
    (4, 5, 4),
    (6, 7, 4),
    (0, 6, 2),
    (2, 4, 2),
    (0, 2, 1),
    (1, 3, 1),
    (1, 5, 1),
    (3, 7, 1),
    (4, 6, 1),
    (5, 7, 1),
)
"""Links between the dies of a Frontier node and how many; with its CPU link and, on odd dies, its network
card, every die has eight ports."""


def gpu_nodes(
    nodes: int = 2,
    gpus: int = 8,
    *,
    rails: int = 1,
    network_bandwidth: Quantity | None = None,
    spine_share: float = 1.0,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return nodes of accelerators behind a switch each, joined by a network.

    Parameters
    ----------
    nodes, gpus
        Number of nodes, and accelerators of each; accelerator j of node i is ``e{i * gpus + j}``.
    rails
        Switches of the network: accelerator j of every node is on rail j mod rails. With more than one there
        is a spine above them.
    network_bandwidth
        Bandwidth of an accelerator's network card, in B/s; ``link_bandwidth`` where ``None``.
    spine_share
        Bandwidth of a rail to the spine over that of its network cards; 1 is full bisection.
    options
        See `noptoolkit.topology.Parts`; a node is a group. ``memory_groups=nodes * gpus`` gives each
        accelerator a stack of its own.

    Examples
    --------
    >>> gpu_nodes(2, 8, network_bandwidth="50 GB/s", link_bandwidth="450 GB/s")
    Package('gpu_nodes-2x8': 16 chiplets (16 expert), 3 switches, 32 links, 64 channels, 16 TB/s)
    """
    family = "gpu_nodes"
    need(family, "nodes", nodes, 1)
    need(family, "gpus", gpus, 1)
    need(family, "rails", rails, 1, gpus)
    check_count(family, nodes * gpus)
    if not (is_number(spine_share) and spine_share > 0):
        raise TopologyError(f"{family}: spine_share {spine_share!r} must be above 0")
    parts = parts_of(options)
    card = _bandwidth(network_bandwidth, parts)
    names = [[f"e{i * gpus + j}" for j in range(gpus)] for i in range(nodes)]
    wires = [Wire(f"nv{i}", name) for i, node in enumerate(names) for name in node]
    fabric = [f"rail{r}" for r in range(rails)] if nodes > 1 else []
    if nodes > 1:
        wires += [Wire(f"rail{j % rails}", name, card) for node in names for j, name in enumerate(node)]
    if len(fabric) > 1:
        for r, rail in enumerate(fabric):
            cards = nodes * len(range(r, gpus, rails))
            wires.append(Wire("spine", rail, cards * card * spine_share))
        fabric = ["spine", *fabric]
    check_links(family, len(wires))
    return _drawn(f"{family}-{nodes}x{gpus}", names, ["nv"] * nodes, fabric, wires, parts, SOURCES[family])


def mi250x_nodes(
    nodes: int = 2,
    *,
    nodes_per_switch: int = 1,
    switches_per_group: int = 32,
    network_bandwidth: Quantity | None = None,
    global_bandwidth: Quantity | None = None,
    **options: Unpack[PartsOptions],
) -> Package:
    """Return nodes of eight dies in four modules on a dragonfly.

    Parameters
    ----------
    nodes
        Number of nodes; die j of node i is ``e{i * 8 + j}``.
    nodes_per_switch, switches_per_group
        Nodes at a switch of the network, and switches of a group.
    network_bandwidth
        Bandwidth of a network card (one per module, at its odd die) and of a link between switches of a
        group, in B/s; ``link_bandwidth`` where ``None``.
    global_bandwidth
        Bandwidth between two groups, in B/s; ``network_bandwidth`` where ``None``.
    options
        See `noptoolkit.topology.Parts`; ``link_bandwidth`` is that of one link between dies, which may have
        several; a node is a group.

    Examples
    --------
    >>> node = mi250x_nodes(1, link_bandwidth="50 GB/s")
    >>> len(node.links), len(node.switches)
    (26, 0)
    """
    family = "mi250x_nodes"
    need(family, "nodes", nodes, 1)
    need(family, "nodes_per_switch", nodes_per_switch, 1)
    need(family, "switches_per_group", switches_per_group, 1)
    check_count(family, nodes * 8)
    parts = parts_of(options)
    card = _bandwidth(network_bandwidth, parts)
    between = (
        card if global_bandwidth is None else parse_quantity(global_bandwidth, "B/s", "global_bandwidth")
    )
    names = [[f"e{i * 8 + j}" for j in range(8)] for i in range(nodes)]
    wires = [Wire(node[a], node[b]) for node in names for a, b, count in MODULE_LINKS for _ in range(count)]
    count = math.ceil(nodes / nodes_per_switch) if nodes > 1 else 0
    fabric = [f"sw{s}" for s in range(count)]
    if fabric:
        for i, node in enumerate(names):
            wires += [Wire(fabric[i // nodes_per_switch], node[j], card) for j in (1, 3, 5, 7)]
    groups = [fabric[s : s + switches_per_group] for s in range(0, count, switches_per_group)]
    for group in groups:
        wires += [Wire(a, b, card) for i, a in enumerate(group) for b in group[i + 1 :]]
    for i, one in enumerate(groups):
        for j in range(i + 1, len(groups)):
            wires.append(Wire(one[(j - 1) % len(one)], groups[j][i % len(groups[j])], between))
    check_links(family, len(wires))
    return _drawn(f"{family}-{nodes}", names, [], fabric, wires, parts, SOURCES[family])


SOURCES = {
    "gpu_nodes": "NVIDIA, DGX H100 data sheet and DGX SuperPOD reference architecture RA-11333-001, 2023",
    "mi250x_nodes": "OLCF, Frontier user guide",
}


def _check_multiple(family: str, what: str, value: int, each: int) -> None:
    if value % each:
        near = max(round(value / each), 1) * each
        raise TopologyError(
            f"{family}: {what} {value} is not a multiple of the {each} of a node; nearest: {near}"
        )


def _bandwidth(value: Quantity | None, parts: Parts) -> float:
    return parts.link_bandwidth if value is None else parse_quantity(value, "B/s", "network_bandwidth")


def _drawn(
    name: str,
    nodes: list[list[str]],
    node_switches: list[str],
    fabric: list[str],
    wires: list[Wire],
    parts: Parts,
    source: str,
) -> Package:
    """Return a package whose nodes are rows of dies under their switch, in columns under the fabric."""
    wide, tall = max(parts.die[0], parts.stack[0]) + parts.spacing, parts.die[1] + parts.spacing
    deep = parts.stack[1] + parts.spacing if parts.memory else 0.0
    high = parts.switch_die[1] + parts.spacing if node_switches else 0.0
    size = max(len(node) for node in nodes)
    block = (max(size * wide, parts.switch_die[0] + parts.spacing), tall + deep + high)
    columns = max(round(math.sqrt(len(nodes) * block[1] / block[0])), 1)
    positions: dict[str, Point] = {}
    switches: dict[str, Point] = {}
    for i, node in enumerate(nodes):
        left, top = i % columns * block[0], -(i // columns) * block[1]
        if node_switches:
            switches[f"{node_switches[i]}{i}"] = (left + block[0] / 2, top - high / 2)
        for j, chiplet in enumerate(node):
            positions[chiplet] = (left + (j + 0.5) * wide, top - high - tall / 2)
    pitch = parts.switch_die[0] + parts.spacing
    per_row = max(int(columns * block[0] / pitch), 1)
    for k, switch in enumerate(fabric):
        row, column = divmod(k, per_row)
        height = (row + 0.5) * (parts.switch_die[1] + parts.spacing)
        switches[switch] = ((column + 0.5) * pitch, height)
    groups = parts.memory_groups or len(nodes)
    flat = list(positions)
    stacks: list[Point] = []
    if parts.memory and len(flat) % groups == 0:
        for i in range(0, len(flat), len(flat) // groups):
            x, y = positions[flat[i]]
            stacks.append((x, y - (parts.die[1] + parts.stack[1]) / 2 - parts.spacing))
    sketch = grid_sketch(positions, wires, parts, groups=len(nodes), switches=switches, stacks=stacks)
    return assemble(name, sketch, parts, source=source)


def dgx_h100(gpus: int = 64, *, rails: int = 8, memory: bool = True) -> Package:
    """Return DGX H100 nodes of 8 GPUs on a network of full bisection.

    Parameters
    ----------
    gpus
        Number of GPUs, a multiple of 8, or fewer than 8 on one node.
    rails
        Switches of the network, see `gpu_nodes`.
    memory
        Whether each GPU has its memory stack: 80 GB of HBM3 at 3.35 TB/s.

    Notes
    -----
    Published (NVIDIA, H100 and DGX H100 data sheets, 2023): 989.5 TFLOP/s of dense BF16, 80 GB at 3.35 TB/s,
    50 MB of L2; 900 GB/s of NVLink per GPU, 450 each way; eight 400 Gb/s network cards per node. Sizes of
    dies are assumed.

    Examples
    --------
    >>> machine = dgx_h100(128)
    >>> len(machine.chiplets), len(machine.switches)
    (128, 25)
    """
    per_node = min(gpus, 8) if isinstance(gpus, int) and gpus > 0 else 8
    need("dgx_h100", "gpus", gpus, 1)
    _check_multiple("dgx_h100", "gpus", gpus, per_node)
    package = gpu_nodes(
        gpus // per_node,
        per_node,
        rails=min(rails, per_node),
        network_bandwidth="50 GB/s",
        link_bandwidth="450 GB/s",
        flops="989.5 TFLOP/s",
        sram="50 MB",
        chiplet_size=("26 mm", "31 mm"),
        memory=memory,
        memory_groups=gpus if memory else None,
        memory_kind="HBM3",
        memory_bandwidth="3.35 TB/s",
        memory_capacity="80 GB",
        role="compute",
    )
    return package.replace(name=f"dgx-h100-{gpus}")


def frontier(gcds: int = 64, *, memory: bool = True) -> Package:
    """Return nodes of Frontier: four MI250X of two dies each, on a dragonfly.

    Parameters
    ----------
    gcds
        Number of dies (GCDs), a multiple of 8.
    memory
        Whether each die has its memory stack: 64 GB at 1.6 TB/s.

    Notes
    -----
    Published (OLCF, Frontier user guide): 8 GCDs of 64 GB and 1.6 TB/s a node, 191.5 TFLOP/s of FP16 each,
    200 GB/s within a module, 50 to 100 GB/s between modules, four 200 Gb/s network cards a node. Assumed:
    which dies are joined by one link and which by two (the arrangement gives every die the eight ports that
    it has), 4 nodes a switch and 32 switches a group, one 25 GB/s cable between two switches, 16 between two
    groups.

    Examples
    --------
    >>> len(frontier(16).chiplets)
    16
    """
    need("frontier", "gcds", gcds, 8)
    _check_multiple("frontier", "gcds", gcds, 8)
    package = mi250x_nodes(
        gcds // 8,
        nodes_per_switch=4,
        network_bandwidth="25 GB/s",
        global_bandwidth="400 GB/s",
        link_bandwidth="50 GB/s",
        flops="191.5 TFLOP/s",
        sram="8 MB",
        chiplet_size=("26 mm", "28 mm"),
        memory=memory,
        memory_groups=gcds if memory else None,
        memory_kind="HBM2E",
        memory_bandwidth="1.6 TB/s",
        memory_capacity="64 GB",
        role="compute",
    )
    return package.replace(name=f"frontier-{gcds}")
