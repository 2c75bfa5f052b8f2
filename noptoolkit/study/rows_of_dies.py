"""A package that can be built: dies in rows, links within reach, widths as the sides of the dies allow.

Where only the dies themselves limit bandwidth (few switches, short wires), what counts is the length of each
die's sides. Chiplets lie in rows round the attention chiplet; a link joins every two dies within the reach of
the technology. Prices of sides rise where they are full (multiplicative weights: Garg and Koenemann, SIAM J.
Comput. 37, 2007); messages take cheap trees under them; the mean of all loads gives the widths, scaled until
the first side is full. Several numbers of chiplets a row are tried.

No package of these dies beats `noptoolkit.bounds.room_bound`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Node, Package
from noptoolkit.physical import TECHNOLOGIES, Technology
from noptoolkit.physical.feasibility import SHARE_OF_PHYS
from noptoolkit.physical.geometry import SIDES, is_of, link_lengths, link_ports
from noptoolkit.traffic import Traffic

__all__ = ["package_in_rows"]

GAP = 1e-3
"""Between two dies, in m."""

FEW, MANY = 40, 160
"""Rounds of prices for a first look at each arrangement, and for the best."""

FIRST = 2000
"""Messages, the largest, that a first look counts."""

STEP = 0.5
"""Of the prices' logarithms, in the first round."""


def package_in_rows(package: Package, traffic: Traffic, technology: str = "ucie-2d") -> tuple[Package, float]:
    """Return the chiplets of a package in rows, linked with what is in reach, and how long the traffic takes.

    The widths are those of one routing, in s: another may be faster on them.

    Parameters
    ----------
    package
        Whose chiplets and stacks these are; they copy and add. Its switches are left out.
    traffic
        What the widths are for: messages from one chiplet to sets.
    technology
        Name in `noptoolkit.physical.TECHNOLOGIES`.

    Raises
    ------
    TopologyError
        If a die has no size, or the dies of no arrangement lie within reach of each other.
    """
    chosen = TECHNOLOGIES[technology]
    found = []
    for shape in _shapes(len(package.chiplets) - 1):
        placed = _placed(package, traffic, shape)
        sides = _Sides(placed, chosen)
        if sides.connected:
            found.append((_Messages(placed, traffic, FIRST).spread(sides, FEW)[0], shape, sides))
    if not found:
        raise TopologyError(f"package {package.name!r}: no rows of its dies lie within {technology}'s reach")
    _, shape, sides = min(found, key=lambda one: one[0])
    time, width = _Messages(sides.package, traffic).spread(sides, MANY)
    links = [
        dataclasses.replace(link, bandwidth=float(wide) / (time * (1 + 1e-9)))
        for link, wide in zip(sides.links, width, strict=True)
        if wide > 0
    ]
    name = f"rows of {'-'.join(map(str, shape))}"
    return sides.package.replace(name=name, links=[*links, *sides.bus]), time * (1 + 1e-9)


def _shapes(beside: int) -> list[tuple[int, ...]]:
    """Return numbers of chiplets beside the first one in each row, evenly, and fewer in its own row."""
    found = []
    for rows in range(2, min(beside, 6)):
        even = [(beside * (r + 1)) // rows - (beside * r) // rows for r in range(rows)]
        found.append(tuple(even))
        middle = rows // 2
        if rows > 2 and even[middle] > 2:
            fewer = list(even)
            fewer[middle] -= 2
            fewer[0] += 1
            fewer[-1] += 1
            found.append(tuple(fewer))
    return list(dict.fromkeys(found))


def _placed(package: Package, traffic: Traffic, shape: tuple[int, ...]) -> Package:
    """Return the dies in rows: the root of the messages and its stacks in the middle, others' outside."""
    sets = traffic.multicast
    assert sets is not None
    root = traffic.endpoints[int(sets.root[0])]
    near = [other for link in package.links for other in _stack_at(package, link, root)]
    far = [memory.name for memory in package.memories if memory.name not in near]
    waiting = [chiplet.name for chiplet in package.chiplets if chiplet.name != root]
    rows = [far[: len(far) // 2]]
    for r, count in enumerate(shape):
        row, waiting = waiting[:count], waiting[count:]
        if r == len(shape) // 2:
            inner = [*near[: len(near) // 2], root, *near[len(near) // 2 :]]
            row = [*row[: count // 2], *inner, *row[count // 2 :]]
        rows.append(row)
    rows.append(far[len(far) // 2 :])
    place: dict[str, tuple[float, float]] = {}
    y = 0.0
    for row in rows:
        sizes = [_size(package, name) for name in row]
        x = -(sum(width for width, _ in sizes) + GAP * (len(row) - 1)) / 2
        tall = max((height for _, height in sizes), default=-GAP)
        for name, (width, _) in zip(row, sizes, strict=True):
            place[name] = (x + width / 2, y - tall / 2)
            x += width + GAP
        y -= tall + GAP
    nodes: list[Node] = []
    for name, at in place.items():
        node = dataclasses.replace(package[name], position=at)
        if isinstance(node, Chiplet):
            node = dataclasses.replace(node, replicates=True, reduces=True)
        nodes.append(node)
    like = next(link for link in package.links if link.kind == LinkKind.D2D)
    names = [node.name for node in nodes if isinstance(node, Chiplet)]
    every = [
        dataclasses.replace(like, a=a, b=b, bandwidth=1.0, reverse_bandwidth=None, length=None)
        for i, a in enumerate(names)
        for b in names[:i]
    ]
    return Package(package.name, nodes, [*every, *_bus(package, nodes)])


def _stack_at(package: Package, link: Link, name: str) -> list[str]:
    ends = (link.a, link.b)
    return [end for end in ends if name in ends and isinstance(package[end], Memory)]


def _size(package: Package, name: str) -> tuple[float, float]:
    size = package[name].size
    if size is None:
        raise TopologyError(f"package {package.name!r}: {name!r} has no size; give it one to place it")
    return size


def _bus(package: Package, nodes: list[Node]) -> list[Link]:
    """Return the links of stacks: to their chiplet as before, else to the chiplet that is nearest now."""
    place = {node.name: np.array(node.position) for node in nodes}
    chiplets = [node.name for node in nodes if isinstance(node, Chiplet)]
    found = []
    for link in package.links:
        if link.kind != LinkKind.MEMORY:
            continue
        stack, other = (link.a, link.b) if isinstance(package[link.a], Memory) else (link.b, link.a)
        if not isinstance(package[other], Chiplet):
            apart = {name: float(np.abs(place[name] - place[stack]).sum()) for name in chiplets}
            other = min(chiplets, key=apart.__getitem__)
        found.append(dataclasses.replace(link, a=other, b=stack, length=None))
    return found


class _Sides:
    """A placed package with a link between any two chiplets in reach, and the sides that they take."""

    def __init__(self, package: Package, chosen: Technology) -> None:
        length = link_lengths(package)
        far = np.inf if chosen.reach is None else chosen.reach
        joins = is_of(package, LinkKind.D2D)
        kept = np.flatnonzero(joins & (length <= far)).tolist()
        self.links = [package.links[i] for i in kept]
        self.bus = [package.links[i] for i in np.flatnonzero(~joins).tolist()]
        self.package = package
        ports = link_ports(package)
        ends, side = ports.node[kept], ports.side[kept]
        self.ends: Ints = ends
        own = len(SIDES) + 1  # four sides, and the area for PHYs
        nodes = len(package.nodes)
        self.at = np.stack([own * ends + side, own * ends + len(SIDES)], axis=2)
        room = np.full((nodes, own), np.inf)
        for i, node in enumerate(package.nodes):
            width, height = _size(package, node.name)
            room[i, :4] = np.array([height, height, width, width]) * chosen.edge_density
            if chosen.areal_density is not None:
                room[i, 4] = SHARE_OF_PHYS * width * height * chosen.areal_density
        self.room: Floats = room.ravel()

    @property
    def connected(self) -> bool:
        """Whether the links join all chiplets."""
        import networkx as nx

        graph = nx.Graph([(link.a, link.b) for link in self.links])
        return len(graph) == len(self.package.chiplets) and nx.is_connected(graph)

    def fullness(self, width: Floats) -> Floats:
        """Return the time that each side needs for links of some widths, both directions, [resources]."""
        both = np.repeat(2 * width, 4)
        used: Floats = np.bincount(self.at.ravel(), both, len(self.room)) / self.room
        return used

    def prices(self, of_side: Floats) -> Floats:
        """Return the price of a byte over each link, either way, [nodes, nodes]."""
        size = len(self.package.nodes)
        price = np.full((size, size), np.inf)
        each = 2 * (of_side / self.room)[self.at].sum(axis=(1, 2))
        price[self.ends[:, 0], self.ends[:, 1]] = each
        price[self.ends[:, 1], self.ends[:, 0]] = each
        return price


class _Messages:
    """Messages from one root to sets, on the nodes of a placed package; some of them stand for all."""

    def __init__(self, package: Package, traffic: Traffic, most: int | None = None) -> None:
        sets = traffic.multicast
        assert sets is not None
        inside = sets.contains(len(traffic.endpoints))
        some = slice(None) if most is None else np.argsort(-sets.bytes, kind="stable")[:most]
        at = np.array([package.index[name] for name in traffic.endpoints])
        self.inside = np.zeros((len(sets.root[some]), len(package.nodes)), dtype=bool)
        self.inside[:, at] = inside[some]
        self.root = at[sets.root[some]]
        self.amount = sets.bytes[some] * float(sets.bytes.sum()) / float(sets.bytes[some].sum())

    def spread(self, sides: _Sides, rounds: int) -> tuple[float, Floats]:
        """Return a time, and the bytes of each link's busier direction that its widths are for, [links]."""
        from noptoolkit.study.compiled_rows import tree_loads

        there = np.isfinite(sides.room)
        price = np.where(there, 1.0, 0.0)
        total = np.zeros((len(sides.package.nodes),) * 2)
        weight, best, kept = 0.0, np.inf, np.zeros(len(sides.ends))
        for k in range(rounds):
            load, _ = tree_loads(sides.prices(price / price.sum()), self.root, self.inside, self.amount)
            total += (k + 1) * load
            weight += k + 1
            a, b = sides.ends.T
            width = np.maximum(total[a, b], total[b, a]) / weight
            time = float(sides.fullness(width).max())
            if time < best:
                best, kept = time, width
            now = sides.fullness(np.maximum(load[a, b], load[b, a]))
            price *= np.exp(STEP / np.sqrt(1 + k) * np.minimum(now / best - 1, 3.0))
            price = np.maximum(price, 1e-6 * price.max()) * there
        return best, kept
