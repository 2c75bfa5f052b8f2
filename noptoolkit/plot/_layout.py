"""Where each node is drawn: its physical position, or a layout that depends on nothing but the graph.

Packages whose nodes all have positions are drawn true to them. Otherwise the nodes that forward are laid
out as a tree (root: the attention chiplet, else the centre of the graph), in layers where there are
switches, else on a circle; memory stacks stand outside the node that they hang on. No layout is
force-directed: the same package always gives the same picture.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noptoolkit.package import Chiplet, Memory, Package, Switch

__all__ = ["Layout", "place"]

BEVEL = {Chiplet: 1.85, Switch: 1.42, Memory: 2.0}
WIDE_TREE = 24  # leaves beyond which a tree is drawn round its root


@dataclass(frozen=True, eq=False)
class Layout:
    """Centres and half sizes of the boxes that stand for the nodes.

    Parameters
    ----------
    centre, half
        [nodes, 2], in m where ``physical``, else in steps of the layout.
    bevel
        How far the corners reach, [nodes]: |x| + |y| in half sizes; 2 is a full box.
    pitch
        The least distance between two centres (the larger of its two components).
    physical
        Whether the positions are the package's own.
    """

    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    bevel: NDArray[np.float64]
    pitch: float
    physical: bool

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower left corner of what is drawn."""
        return np.asarray((self.centre - self.half).min(axis=0))

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper right corner of what is drawn."""
        return np.asarray((self.centre + self.half).max(axis=0))


def place(package: Package) -> Layout:
    """Return the layout of a package.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Package
    >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
    >>> place(pair).pitch
    1.0
    """
    positions = [node.position for node in package.nodes]
    physical = all(position is not None for position in positions)
    if physical:
        centre = np.array([position for position in positions if position is not None])
    else:
        centre = _drawn(package)
    pitch = _pitch(centre)
    half = _half_sizes(package, centre, pitch, physical)
    bevel = np.array([BEVEL[type(node)] for node in package.nodes])
    return Layout(centre, half, bevel, pitch, physical)


def _pitch(centre: NDArray[np.float64]) -> float:
    if len(centre) < 2:
        return 1.0
    from scipy.spatial import cKDTree

    distance = np.asarray(cKDTree(centre).query(centre, k=2, p=np.inf)[0])
    nearest = distance[:, 1]
    return float(nearest[nearest > 0].min(initial=np.inf)) if (nearest > 0).any() else 1.0


def _half_sizes(
    package: Package, centre: NDArray[np.float64], pitch: float, physical: bool
) -> NDArray[np.float64]:
    """Return half sizes that leave room for the links between neighbours."""
    plain = {Chiplet: (0.31, 0.31), Switch: (0.24, 0.24), Memory: (0.29, 0.22)}
    half = np.array([plain[type(node)] for node in package.nodes]) * pitch
    if not physical:
        return half
    for i, node in enumerate(package.nodes):
        if node.size is not None:
            half[i] = np.array(node.size) / 2
    apart = np.abs(centre[:, None] - centre[None]) - half[:, None] - half[None]
    gap = apart.max(axis=2)
    np.fill_diagonal(gap, np.inf)
    margin = max(0.0, (0.36 * pitch - float(gap.min())) / 2)
    return np.asarray(np.maximum(half - margin, 0.5 * half))


def _drawn(package: Package) -> NDArray[np.float64]:
    index = package.index
    bearers = [i for i, node in enumerate(package.nodes) if not isinstance(node, Memory)]
    neighbours: dict[int, list[int]] = {i: [] for i in range(len(package.nodes))}
    for link in package.links:
        a, b = index[link.a], index[link.b]
        if b not in neighbours[a]:
            neighbours[a].append(b)
            neighbours[b].append(a)
    core = {i: [j for j in neighbours[i] if not isinstance(package.nodes[j], Memory)] for i in bearers}
    centre = np.zeros((len(package.nodes), 2))
    edges = sum(map(len, core.values())) // 2
    root = _root(package, core)
    if edges == len(bearers) - 1:
        _place_tree(centre, core, root)
    elif package.switches:
        _place_layers(centre, core, root)
    else:
        _place_circle(centre, bearers)
    _place_memories(package, centre, neighbours, bearers)
    return centre


def _root(package: Package, core: dict[int, list[int]]) -> int:
    for i in core:
        node = package.nodes[i]
        if isinstance(node, Chiplet) and node.role == "attention":
            return i
    if len(core) > 400:  # the exact centre takes a search from every node
        return max(core, key=lambda i: len(core[i]))
    return min(core, key=lambda i: (max(_hops(core, i).values()), i))


def _hops(core: dict[int, list[int]], root: int) -> dict[int, int]:
    depth = {root: 0}
    queue = deque([root])
    while queue:
        i = queue.popleft()
        for j in core[i]:
            if j not in depth:
                depth[j] = depth[i] + 1
                queue.append(j)
    return depth


def _place_tree(centre: NDArray[np.float64], core: dict[int, list[int]], root: int) -> None:
    """Leaves side by side, each parent over the middle of its children; round the root where wide."""
    depth = _hops(core, root)
    children = {i: [j for j in core[i] if depth[j] > depth[i]] for i in core}
    order: list[int] = []
    stack = [root]
    while stack:
        i = stack.pop()
        order.append(i)
        stack.extend(reversed(children[i]))
    leaves = [i for i in order if not children[i]]
    across = dict(zip(leaves, np.arange(len(leaves), dtype=float), strict=True))
    for i in reversed(order):
        if children[i]:
            across[i] = (across[children[i][0]] + across[children[i][-1]]) / 2
    middle = across[root]
    for i in order:
        if len(leaves) <= WIDE_TREE:
            centre[i] = across[i] - middle, _rise(len(leaves)) * -depth[i]
        else:
            angle = np.pi / 2 - 2 * np.pi * across[i] / len(leaves)
            ring = depth[i] / max(depth.values()) * len(leaves) / (2 * np.pi)
            centre[i] = ring * np.cos(angle), ring * np.sin(angle)


def _rise(width: int) -> float:
    """Return the distance of two layers: a wide picture needs tall steps."""
    return max(1.0, 0.14 * width)


def _place_layers(centre: NDArray[np.float64], core: dict[int, list[int]], root: int) -> None:
    """Layers by hops from the root, each ordered by the mean place of its neighbours above."""
    depth = _hops(core, root)
    layers: list[list[int]] = [[] for _ in range(max(depth.values()) + 1)]
    for i in core:
        layers[depth[i]].append(i)
    widest = max(map(len, layers))
    for level, members in enumerate(layers):
        if level:
            above = {i: [centre[j, 0] for j in core[i] if depth[j] < level] for i in members}
            members = sorted(members, key=lambda i: (float(np.mean(above[i])), i))
        step = (widest - 1) / max(len(members) - 1, 1) if len(members) > 1 else 0.0
        for k, i in enumerate(members):
            centre[i] = (k - (len(members) - 1) / 2) * step, -_rise(widest) * level


def _place_circle(centre: NDArray[np.float64], bearers: list[int]) -> None:
    angle = np.pi / 2 - 2 * np.pi * np.arange(len(bearers)) / len(bearers)
    radius = len(bearers) / (2 * np.pi)
    centre[bearers] = radius * np.column_stack([np.cos(angle), np.sin(angle)])


def _place_memories(
    package: Package, centre: NDArray[np.float64], neighbours: dict[int, list[int]], bearers: list[int]
) -> None:
    """Each stack one step outside the nodes it hangs on, seen from the middle of the picture."""
    middle = (centre[bearers].min(axis=0) + centre[bearers].max(axis=0)) / 2
    taken = [tuple(centre[i]) for i in bearers]
    for i, node in enumerate(package.nodes):
        if not isinstance(node, Memory):
            continue
        at = np.mean([centre[j] for j in neighbours[i]], axis=0) if neighbours[i] else middle
        out = at - middle
        turn = np.arctan2(out[1], out[0]) if np.hypot(*out) > 1e-9 else -np.pi / 2
        centre[i] = _free_spot(at, turn, taken)
        taken.append(tuple(centre[i]))


def _free_spot(at: NDArray[np.float64], turn: float, taken: list[tuple[float, float]]) -> NDArray[np.float64]:
    others = np.array(taken)
    for reach in (1.0, 1.5, 2.0, 3.0):
        for swing in (0, 1, -1, 2, -2, 3, -3, 4):
            angle = turn + swing * np.pi / 4
            spot = at + reach * np.array([np.cos(angle), np.sin(angle)])
            if np.abs(others - spot).max(axis=1).min() >= 0.9:
                return np.asarray(spot)
    return np.asarray(at + 4.0 * np.array([np.cos(turn), np.sin(turn)]))
