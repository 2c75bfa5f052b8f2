"""Grids that stand still for their picture."""

from noptoolkit import Chiplet, Link, Package


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
