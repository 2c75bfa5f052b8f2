"""Wire that may be laid in any way between dies where they lie: bytes times the least length.

With l_uv the length of a link between two dies (edge to edge; through a die it costs nothing) and W the sum
of bandwidth x length over all links, both directions,

    T >= (sum of D_st dist_l(s, t) + sum over messages of bytes x Steiner length(root and set)) / W,

for every package with these dies at these places, whatever its links and their widths. Steiner lengths are
exact to 16 endpoints (Dreyfus and Wagner, Networks 1, 1971), else half the minimum spanning tree, or the
farthest member. Without sets, and without a limit on edge, links as wide as the loads of shortest paths
attain it: on a k x k grid of points with a mesh's wire, k^2 (k + 1) / 6 for a uniform demand of 1 over links
of 1, attained by the mesh itself, re-widened; the mesh of equal links takes k^3 / 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.bounds.needs import Needs, needs_of
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.errors import TopologyError
from noptoolkit.package import Memory, Package
from noptoolkit.physical.geometry import lengths_between, link_lengths
from noptoolkit.traffic import DestinationSets, Traffic
from noptoolkit.units import format_quantity

__all__ = ["WireCertificate", "wire_bound"]

MOST_ENDS = 16
"""Endpoints up to which Steiner lengths are exact."""


@dataclass(frozen=True, eq=False)
class WireCertificate:
    """Equal prices on all wire.

    Parameters
    ----------
    needs
        What is asked.
    length
        Length of a link between any two dies, in m, [dies, dies].
    place
        Die of each endpoint, [endpoints].
    wire
        Bandwidth x length of all links, both directions, in B m/s.
    """

    needs: Needs
    length: Floats
    place: Ints
    wire: float

    def recount(self) -> float:
        """Return the time, distances relaxed one die after the other and trees found in another way."""
        apart = self.length.copy()
        for die in range(len(apart)):
            apart = np.minimum(apart, apart[:, die, None] + apart[die])
        near = apart[np.ix_(self.place, self.place)]
        total = float((self.needs.demand * near).sum())
        if self.needs.copies:
            for part in (self.needs.traffic.multicast, self.needs.traffic.reduction):
                if part is not None and len(part):
                    total += _recounted_trees(part, apart, self.place)
        return total / self.wire


def wire_bound(package: Package, traffic: Traffic, *, copies: bool = True) -> TopologyBound:
    """Return a bound over all packages with these dies at these places, and as much wire.

    Parameters
    ----------
    package
        With positions. Its die-to-die links are the wire.
    copies
        Whether the network may copy messages to sets, and add reductions, wherever it likes.

    Raises
    ------
    TopologyError
        If a node has no position, or the links have no length at all.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.traffic import all_to_all
    >>> grid = mesh(4, link_bandwidth="1 GB/s")
    >>> found = wire_bound(grid, all_to_all(grid, "1 GB"))
    >>> round(found.time, 3), found.verify()  # 16.0 with equal links
    (13.333, True)
    """
    needs = needs_of(traffic, copies=copies)
    dies = [i for i, node in enumerate(package.nodes) if not isinstance(node, Memory)]
    length = lengths_between(package)[np.ix_(dies, dies)]
    number = {package.nodes[i].name: k for k, i in enumerate(dies)}
    lost = [name for name in traffic.endpoints if name not in number]
    if lost:
        raise TopologyError(f"memory stack {lost[0]!r} sends or receives: its links are not counted as wire")
    place = np.array([number[name] for name in traffic.endpoints])
    stacks = {memory.name for memory in package.memories}
    laid = np.array([not {link.a, link.b} & stacks for link in package.links], dtype=bool)
    wire = float((package.link_totals * link_lengths(package))[laid].sum())
    if not wire > 0:
        raise TopologyError(f"package {package.name!r}: its links have no length, so that wire costs nothing")
    apart = shortest_path(length, directed=False)
    near = apart[np.ix_(place, place)]
    total = float((needs.demand * near).sum())
    if copies:
        for part in (traffic.multicast, traffic.reduction):
            if part is not None and len(part):
                total += float(part.bytes @ _tree_lengths(part, apart, place))
    over = (
        f"the packages with the dies of {package.name!r} where they lie and "
        f"{format_quantity(wire, 'B/s')} x m of wire, laid in any way"
        + (", copying and adding anywhere" if copies else ", copying nowhere")
    )
    certificate = WireCertificate(needs, length, place, wire)
    return TopologyBound(total / wire, "wire", over, traffic.name or "traffic", certificate)


def _members(part: DestinationSets, size: int) -> Bools:
    inside = part.contains(size)
    inside[np.arange(len(part)), part.root] = False
    return inside


def _tree_lengths(part: DestinationSets, apart: Floats, place: Ints) -> Floats:
    """Return the length that each message crosses at least, in m, [messages]."""
    inside = _members(part, len(place))
    start = place[part.root]
    if len(place) <= MOST_ENDS + 1:
        from noptoolkit.flow.trees.compiled_steiner import tree_costs

        used = np.flatnonzero(inside.any(axis=0))
        if len(used) <= MOST_ENDS:
            mask = inside[:, used] @ (1 << np.arange(len(used)))
            most = int(inside.sum(axis=1).max(initial=0))
            exact: Floats = tree_costs(np.ascontiguousarray(apart), place[used], most)[mask, start]
            return exact
    far: Floats = np.where(inside, apart[start][:, place], 0.0).max(axis=1, initial=0.0)
    distinct, which = np.unique(inside, axis=0, return_inverse=True)
    for row, root in {(int(r), int(s)) for r, s in zip(which.ravel(), part.root, strict=True)}:
        ends = np.append(place[distinct[row]], place[root])
        tree = minimum_spanning_tree(apart[np.ix_(ends, ends)]).sum()
        mine = (which.ravel() == row) & (part.root == root)
        if len(ends) > 2:
            far[mine] = np.maximum(far[mine], tree / (2 - 2 / len(ends)))
    return far


def _recounted_trees(part: DestinationSets, apart: Floats, place: Ints) -> float:
    """Return the bytes x length of all messages, each set once."""
    inside = _members(part, len(place))
    used = np.flatnonzero(inside.any(axis=0)).tolist()
    exact = len(used) <= MOST_ENDS and len(place) <= MOST_ENDS + 1
    table = _subset_trees(apart, place[used]) if exact else None
    known: dict[tuple[int, bytes], float] = {}
    total = 0.0
    for row, root, amount in zip(inside, part.root.tolist(), part.bytes.tolist(), strict=True):
        key = (root, row.tobytes())
        if key not in known:
            if table is not None:
                subset = sum(1 << i for i, end in enumerate(used) if row[end])
                known[key] = float(table[subset, place[root]])
            else:
                known[key] = _half_tree(apart, [*place[row].tolist(), int(place[root])])
        total += known[key] * amount
    return total


def _subset_trees(apart: Floats, ends: Ints) -> Floats:
    """Return the length of the shortest tree that joins each subset and each die, [subsets, dies].

    Subset by subset: any two halves that meet at a die, then the way from there.
    """
    table = np.zeros((1 << len(ends), len(apart)))
    for subset in range(1, len(table)):
        first = subset & -subset
        halves = np.array([first])
        rest = subset ^ first
        if not rest:
            table[subset] = apart[ends[first.bit_length() - 1]]
            continue
        while rest:
            halves = np.concatenate([halves, halves | (rest & -rest)])
            rest &= rest - 1
        halves = halves[:-1]  # the last is the whole
        meets = (table[halves] + table[subset ^ halves]).min(axis=0)
        table[subset] = (meets[:, None] + apart).min(axis=0)
    return table


def _half_tree(apart: Floats, ends: list[int]) -> float:
    """Return half a minimum spanning tree (Prim), or the way to the farthest end."""
    if len(ends) < 2:
        return 0.0
    left, reach, total = list(ends[1:]), {v: float(apart[ends[0], v]) for v in ends[1:]}, 0.0
    while left:
        nearest = min(left, key=lambda v: reach[v])
        left.remove(nearest)
        total += reach[nearest]
        for v in left:
            reach[v] = min(reach[v], float(apart[nearest, v]))
    far = max(float(apart[ends[-1], v]) for v in ends)
    return max(far, total / (2 - 2 / len(ends)))
