"""Multicast and in-network reduction along the paths of a routing, and a bound that holds for every tree.

The model. A message from root r to a set M travels along the routing's paths from r to each member, and its
copies part where those do (`noptoolkit.flow.trees.message_paths`); a routing that splits cuts the message
into parts (`noptoolkit.flow.trees.split_paths`). What that puts on the channels is counted in
`noptoolkit.flow.trees.message_loads`. Under ``valiant`` every message first goes to a random
chiplet, and along the tree of paths from there, which halves no distance but evens out where the trees
meet. A reduction is the same backwards.

A message may pass a node twice. On n2 - n0 - n1, where only n1 copies, a multicast from n2 to both others
goes to n1, is copied there, and one copy comes back to n0: one crossing of each channel, where sending two
copies from n2 crosses n2->n0 twice. So even without cycles the best way is not always the union of the
paths; it is where no channel of that union carries two copies of a message.

Whatever the trees, prices y cost a message at least its farthest member's distance, so the bound of
`noptoolkit.flow.bounds.certificate` counts that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import RoutingError
from noptoolkit.flow.trees.message_loads import LoadSum
from noptoolkit.flow.trees.message_paths import merge_paths, turned_round, walk
from noptoolkit.flow.trees.split_paths import most_parts, parts_of, splits
from noptoolkit.routing.forwarding import Forwarding, ForwardingRule
from noptoolkit.routing.problem import Messages, RoutingProblem, membership
from noptoolkit.routing.solution import Tree, TreeLoads

__all__ = [
    "by_root",
    "path_tree_loads",
    "relayed_tree_loads",
    "tree_loads",
    "tree_of_paths",
    "without_roots",
]


ROOTS = 64  # whose paths are merged at a time


def tree_loads(problem: RoutingProblem, rule: ForwardingRule) -> TreeLoads:
    """Return the loads of all messages of a problem along the paths of a forwarding rule.

    See `noptoolkit.flow.trees.message_paths` for where copies part.
    """
    network = problem.network
    loads = LoadSum(problem)
    for part in problem.messages:
        bits = _used_bits(part)
        nodes = part.endpoints[bits]
        roots, of_root = by_root(part)
        if not part.reverse:
            forwarding = rule(network, network.destination[nodes])
        else:
            forwarding = rule(network, network.destination[roots])
        if splits(forwarding):
            most = most_parts(len(roots), len(part.root))
            for number, (root, rows) in enumerate(zip(roots, of_root, strict=True)):
                way = (forwarding, number) if part.reverse else (forwarding, None)
                for tree, share in _parts(problem, part, way, int(root), bits, most):
                    loads.add(part, tree, rows, np.full(len(rows), root), share)
            continue
        for begin in range(0, len(roots), ROOTS):
            some = roots[begin : begin + ROOTS]
            owner, column = np.divmod(np.arange(len(some) * len(bits)), len(bits))
            if part.reverse:
                forwarding = rule(network, network.destination[some])
                paths = turned_round(walk(forwarding, network.origin[nodes][column], owner))
            else:
                paths = walk(forwarding, network.origin[some][owner], column)
            away = some[owner] != nodes[column]
            ends = bits[column[away]]
            trees = _grow(problem, part, owner[away], paths[away], ends, _starts(problem, part)[some])
            for root, tree, rows in zip(some, trees, of_root[begin : begin + ROOTS], strict=True):
                loads.add(part, tree, rows, np.full(len(rows), root), 1.0)
    return loads.total()


def path_tree_loads(problem: RoutingProblem, path_arcs: Callable[[str, str], Sequence[int]]) -> TreeLoads:
    """Return the loads of all messages of a problem along given paths.

    Parameters
    ----------
    path_arcs
        Gives the arcs from one node to another, by name.
    """
    names = [node.name for node in problem.network.package.nodes]
    loads = LoadSum(problem)
    for part in problem.messages:
        for root, rows in zip(*by_root(part), strict=True):
            bits = _used_bits(part, rows)
            found = {}
            for node in part.endpoints[bits].tolist():
                a, b = (node, root) if part.reverse else (root, node)
                if node != root:
                    found[node] = path_arcs(names[a], names[b])
            tree = tree_of_paths(problem, part, int(root), found)
            loads.add(part, tree, rows, np.full(len(rows), root), 1.0)
    return loads.total()


def tree_of_paths(
    problem: RoutingProblem, part: Messages, root: int, paths: Mapping[int, Sequence[int] | Ints]
) -> Tree:
    """Return the tree along which the messages of a root follow given paths.

    Parameters
    ----------
    paths
        Arcs from the root to each node (for reductions, from the node to the root), by node.
    """
    bits = np.array([bit for bit, node in enumerate(part.endpoints.tolist()) if node in paths], np.int64)
    found = [paths[node] for node in part.endpoints[bits].tolist()]
    steps = np.full((len(bits), max(map(len, found), default=0)), -1)
    for row, arcs in enumerate(found):
        steps[row, : len(arcs)] = arcs
    if part.reverse:
        steps = turned_round(steps)
    start = _starts(problem, part)[[root]]
    (tree,) = _grow(problem, part, np.zeros(len(bits), np.int64), steps, bits, start)
    return tree


def relayed_tree_loads(
    problem: RoutingProblem, rule: ForwardingRule, middle: Ints, carry: Callable[[Floats], Floats]
) -> TreeLoads:
    """Return the loads of messages that go via a random node each, and from there along trees.

    What the root sends to the node between is as many copies as that needs: one, if it can make the others.

    Parameters
    ----------
    middle
        The nodes between, all as likely, [nodes between].
    carry
        Gives the load on the arcs, in B, of bytes from each vertex to each other.
    """
    network = problem.network
    loads = LoadSum(problem)
    for part in problem.messages:
        most = most_parts(len(middle), len(middle) * len(part.root))
        others = without_roots(part)
        bits = _used_bits(others)
        nodes = part.endpoints[bits]
        relay = np.zeros((network.num_vertices,) * 2)
        rows = np.flatnonzero(others.members.any(axis=1))
        if not part.reverse:
            forwarding = rule(network, network.destination[nodes])
        for node in middle:
            if part.reverse:
                forwarding = rule(network, network.destination[[node]])
            way = (forwarding, 0) if part.reverse else (forwarding, None)
            start, ends = int(_starts(problem, part)[node]), _starts(problem, part)
            for tree, share in _parts(problem, part, way, int(node), bits, most, relayed=True):
                if (tree.ends[bits] < 0).any():
                    name = network.package.nodes[node].name
                    raise RoutingError(
                        f"package {network.package.name!r}: valiant has no path via {name!r} for a message; "
                        "use routing='ecmp'"
                    )
                sent = loads.add(others, tree, rows, part.root[rows], share / len(middle))
                np.add.at(relay[:, start], ends, sent)
        np.fill_diagonal(relay, 0.0)
        loads.arc += carry(relay.T if part.reverse else relay)
    return loads.total()


def _parts(
    problem: RoutingProblem,
    part: Messages,
    way: tuple[Forwarding, int | None],
    root: int,
    bits: Ints,
    most: int,
    *,
    relayed: bool = False,
) -> Iterator[tuple[Tree, float]]:
    """Yield the tree of each part of a message from, or to, a root, and its share.

    Parameters
    ----------
    way : tuple
        Routing, and which of its destinations is the root of reductions; ``None`` for multicasts.
    root : int
        Node at which the trees start.
    bits : array of int
        Endpoints that they lead to.
    most : int
        Largest number of parts.
    relayed : bool
        Whether the node is on the path of messages from other nodes.
    """
    network = problem.network
    forwarding, number = way
    nodes = part.endpoints[bits]
    if number is None:
        start, to = np.full(len(bits), network.origin[root]), np.arange(len(bits))
    else:
        start, to = network.origin[nodes], np.full(len(bits), number)
    away = nodes != root
    found = parts_of(forwarding, start[away], to[away], most)
    begin = _starts(problem, part)[[root]]
    for first in range(0, len(found.shares), ROOTS):
        some = found.chosen[first : first + ROOTS]
        owner = np.repeat(np.arange(len(some)), some.shape[1])
        paths = found.paths[some.ravel()]
        if part.reverse:
            paths = turned_round(paths)
        ends = np.tile(bits[away], len(some))
        trees = _grow(problem, part, owner, paths, ends, np.repeat(begin, len(some)))
        if relayed and not away.all():  # the node between is a member, of messages from elsewhere
            for tree in trees:
                tree.ends[bits[~away]] = 0
        yield from zip(trees, found.shares[first : first + ROOTS].tolist(), strict=True)


def _starts(problem: RoutingProblem, part: Messages) -> Ints:
    """Return the vertex at which a message rooted at each node starts (or, if reverse, ends), [nodes]."""
    return problem.network.destination if part.reverse else problem.network.origin


def _used_bits(part: Messages, rows: Ints | None = None) -> Ints:
    members = part.members if rows is None else part.members[rows]
    union = np.bitwise_or.reduce(members, axis=0)
    return np.array([bit for bit in range(len(part.endpoints)) if membership(union[None], bit)[0]], np.int64)


def by_root(part: Messages) -> tuple[Ints, list[Ints]]:
    """Return the nodes that messages have as roots, and the messages of each that go anywhere."""
    rows = np.flatnonzero(part.members.any(axis=1))
    count = np.bincount(part.root[rows])
    roots = np.flatnonzero(count)
    narrow = np.min_scalar_type(len(count))  # short integers are sorted by radix, far faster
    order = rows[np.argsort(part.root[rows].astype(narrow), kind="stable")]
    return roots, np.split(order, np.cumsum(count[roots])[:-1])


def without_roots(part: Messages) -> Messages:
    """Return messages whose sets leave their own root out."""
    members = part.members.copy()
    for bit, node in enumerate(part.endpoints):
        members[part.root == node, bit // 64] &= ~(np.uint64(1) << np.uint64(bit % 64))
    return dataclasses.replace(part, members=members)


def _grow(
    problem: RoutingProblem, part: Messages, owner: Ints, paths: Ints, bits: Ints, starts: Ints
) -> list[Tree]:
    """Return the tree of each start; ``paths`` lead from the start of their owner to endpoints, as bits."""
    network = problem.network
    none = np.full((len(starts), paths.shape[1]), -1)
    tries = merge_paths(np.r_[owner, np.arange(len(starts))], np.concatenate([paths, none]))
    end = tries.end[: len(owner)]
    vertex = (network.tail if part.reverse else network.head)[tries.arc]
    vertex[: len(starts)] = starts
    arrives = vertex[end] == (network.origin if part.reverse else network.destination)[part.endpoints[bits]]
    trees = []
    for number, start in enumerate(starts):
        mine = np.flatnonzero(tries.owner == number)
        there = arrives & (owner == number)
        ends = np.full(len(part.endpoints), -1)
        ends[bits[there]] = np.searchsorted(mine, end[there])
        parent = np.searchsorted(mine, tries.parent[mine])
        parent[0] = -1
        trees.append(Tree(part.reverse, int(start), parent, tries.arc[mine], ends))
    return trees
