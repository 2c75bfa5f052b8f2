"""Dies on dies: memory under a chiplet, and chiplets that stand on each other.

A memory die whose links are all hybrid bonds to one node lies under that node: what is drawn of it is the rim
that looks out behind the node's box, as of the lower of two cards. Chiplets that are bonded to chiplets are
drawn as a cascade: layer k of every stack is moved k steps to the lower right, so that no link of one layer
meets a box of another.
"""

from __future__ import annotations

import networkx as nx
import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.package import Chiplet, LinkKind, Package

__all__ = ["cascade", "dies_under", "rim"]

RIM = 0.3  # how far a die looks out from under what stands on it, in half sizes of that
HIGHEST = 16  # chiplets in a stack; beyond, bonds are taken to join neighbours


def dies_under(package: Package) -> dict[str, str]:
    """Return the memory dies that lie under a node, each with the name of that node.

    Examples
    --------
    >>> from noptoolkit.topology import mesh, stack_sram
    >>> dies_under(stack_sram(mesh(2), capacity="80 MB", bandwidth="4 TB/s", under=["e3"]))
    {'sram under e3': 'e3'}
    """
    joined: dict[str, set[tuple[str, LinkKind]]] = {memory.name: set() for memory in package.memories}
    for link in package.links:
        for end, other in ((link.a, link.b), (link.b, link.a)):
            if end in joined:
                joined[end].add((other, link.kind))
    found = {die: next(iter(ends)) for die, ends in joined.items() if len(ends) == 1}
    return {die: node for die, (node, kind) in found.items() if kind is LinkKind.HYBRID_BOND}


def rim(half: Floats) -> Floats:
    """Return how far a die is moved from the centre of the box that stands on it, of that half size."""
    return RIM * float(half.min()) * np.array([1.0, -1.0])


def cascade(package: Package, centre: Floats) -> Floats:
    """Return the centres of all nodes, [nodes, 2], with stacked chiplets fanned out over their lowest.

    What hangs on a stack moves with it.
    """
    index = package.index
    ends = [(index[link.a], index[link.b], link.kind) for link in package.links]
    chiplet = [isinstance(node, Chiplet) for node in package.nodes]
    bonds = [(a, b) for a, b, kind in ends if kind is LinkKind.HYBRID_BOND and chiplet[a] and chiplet[b]]
    stacks = [sorted(members) for members in nx.connected_components(nx.Graph(bonds))]
    highest = max(map(len, stacks), default=0)
    if len(stacks) < 2 or highest > HIGHEST:
        return centre
    apart = np.abs(centre[[s[0] for s in stacks]][:, None] - centre[[s[0] for s in stacks]]).max(axis=2)
    step = float(apart[apart > 0].min(initial=np.inf)) / (highest + 0.5)
    moved = centre.copy()
    if not np.isfinite(step):
        return centre
    for stack in stacks:
        moved[stack] = centre[stack[0]] + np.outer(np.arange(len(stack)), [step, -step])
    in_stack = {i for stack in stacks for i in stack}
    shifts: dict[int, list[Floats]] = {}
    for a, b, _ in ends:
        for hanging, on in ((a, b), (b, a)):
            if on in in_stack and hanging not in in_stack:
                shifts.setdefault(hanging, []).append(moved[on] - centre[on])
    for i, of_neighbours in shifts.items():
        moved[i] += np.mean(of_neighbours, axis=0)
    return moved
