"""Packages that stand still for their picture: no builder or preset moves their nodes."""

import dataclasses

from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.package import Node


def grid(side: int, *, wrap: bool = False) -> Package:
    """Return a square mesh or torus of expert chiplets with positions, 10 mm apart."""
    nodes = [
        Chiplet(f"e{i}", role="expert", position=(0.01 * (i % side), -0.01 * (i // side)))
        for i in range(side * side)
    ]
    links = []
    for i in range(side * side):
        row, column = divmod(i, side)
        if column + 1 < side or wrap:
            links.append(Link(f"e{i}", f"e{row * side + (column + 1) % side}", "128 GB/s"))
        if row + 1 < side or wrap:
            links.append(Link(f"e{i}", f"e{(row + 1) % side * side + column}", "128 GB/s"))
    return Package(f"{'torus' if wrap else 'mesh'} {side}x{side}", nodes, links)


def wired_grid(side: int, *, wrap: bool = False) -> Package:
    """Return a grid with an attention chiplet on its left and a memory stack right of each row."""
    bare = grid(side, wrap=wrap)
    middle = -0.005 * (side - 1)
    nodes: list[Node] = [dataclasses.replace(node, size=(0.009, 0.009)) for node in bare.chiplets]
    nodes.append(Chiplet("attn", role="attention", position=(-0.013, middle), size=(0.013, 0.013)))
    links = list(bare.links)
    for row in range(side):
        at = (0.01 * side, -0.01 * row)
        nodes.append(Memory(f"hbm{row}", "256 GB/s", position=at, size=(0.007, 0.008)))
        links.append(Link("attn", f"e{row * side}", "128 GB/s"))
        last = f"e{row * side + side - 1}"
        links.append(Link(f"hbm{row}", last, "256 GB/s", kind="memory", half_duplex=True))
    return bare.replace(nodes=nodes, links=links)


def nop_tree() -> Package:
    """Return 1 attention chiplet, 4 switches that copy, 16 experts, 4 memory stacks: all round the centre."""
    nodes: list[Node] = [Chiplet("attn", role="attention", position=(0.0, 0.0), size=(0.016, 0.016))]
    links = []
    for group in range(4):
        (ax, ay), (bx, by) = ((0, 1), (1, 0)) if group % 2 == 0 else ((1, 0), (0, -1))
        sign = 1 if group < 2 else -1

        def at(along: float, across: float, a=(ax * sign, ay * sign), b=(bx, by)) -> tuple[float, float]:
            return along * a[0] + across * b[0], along * a[1] + across * b[1]

        nodes.append(Switch(f"sw{group}", replicates=True, position=at(0.022, 0.0), size=(0.008, 0.008)))
        links.append(Link("attn", f"sw{group}", "512 GB/s"))
        for k in range(4):
            name = f"e{4 * group + k}"
            nodes.append(
                Chiplet(name, role="expert", position=at(0.044, 0.012 * (k - 1.5)), size=(0.01, 0.01))
            )
            links.append(Link(f"sw{group}", name, "128 GB/s"))
        nodes.append(Memory(f"hbm{group}", "256 GB/s", position=at(0.056, 0.0), size=(0.008, 0.008)))
        links.append(Link(f"hbm{group}", f"sw{group}", "256 GB/s", kind="memory", half_duplex=True))
    return Package("NoP-Tree 4x4", nodes, links)
