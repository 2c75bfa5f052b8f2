"""The trees that a flow keeps of its messages, message by message, as trees that packets can follow."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Bools
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.problem import Messages, RoutingProblem
from noptoolkit.routing.solution import Tree, TreeLoads

__all__ = ["kept_trees"]

Ids = NDArray[np.integer[Any]]
ATTEMPTS = 50  # to lead the copies that vertices pass on so that all channels are used


def kept_trees(problem: RoutingProblem, loads: TreeLoads) -> tuple[Tree, ...]:
    """Return the trees of all messages; messages of the same root, members and channels share one.

    Raises
    ------
    RoutingError
        If there were too many to keep.
    """
    if loads.branches is None:
        raise RoutingError(
            "the flow has messages and keeps no trees of them: too many; choose the routing that packets "
            "follow, such as 'shortest'"
        )
    parts = {part.reverse: part for part in problem.messages}
    found = list(loads.trees)
    for ways in loads.branches:
        part = parts[ways.reverse]
        alike: dict[tuple[int, bytes, bytes], list[int]] = defaultdict(list)
        for k, message in enumerate(ways.messages.tolist()):
            arcs = np.sort(ways.arcs[ways.begins[k] : ways.begins[k + 1]])
            alike[int(part.root[message]), part.members[message].tobytes(), arcs.tobytes()].append(k)
        for (_, _, arcs_of), ks in alike.items():
            tree = _tree(problem.network, part, int(ways.messages[ks[0]]), np.frombuffer(arcs_of, np.int32))
            found.append(replace(tree, messages=ways.messages[ks], shares=ways.shares[ks]))
    return tuple(found)


def _tree(network: FlowNetwork, part: Messages, message: int, arcs: Ids) -> Tree:
    """Return the tree of a message, whose nodes are the copies that arcs bring, parents first."""
    near, far = (network.head, network.tail) if part.reverse else (network.tail, network.head)
    starts, stops = (network.origin, network.destination)[:: -1 if part.reverse else 1]
    root, bits = int(part.root[message]), np.arange(len(part.endpoints))
    member = (part.members[message, bits // 64] >> (bits % 64).astype(np.uint64)) & np.uint64(1) > 0
    for attempt in range(ATTEMPTS):
        grown = _Growth(int(starts[root]), far, part.helps)
        for bit in np.flatnonzero(member & (part.endpoints != root)).tolist():
            grown.waiting[int(stops[part.endpoints[bit]])].append(bit)
        for arc in np.random.default_rng(attempt).permutation(arcs).tolist():
            grown.leaving[int(near[arc])].append(arc)
        grown.from_node(0)
        while node := grown.to_be_led_round():
            grown.from_node(node)
        order = [0]
        for number in order:
            order += grown.children[number]
        if len(order) == len(grown.vertices) and not grown.is_left():
            break
    else:
        raise RoutingError(
            "the channels of a message are no tree from its root to its members; choose the routing that "
            "packets follow, such as 'shortest'"
        )
    place = np.argsort(order)
    parent, ends = np.full(len(order), -1), np.full(len(part.endpoints), -1)
    for number, below in enumerate(grown.children):
        parent[place[below]] = place[number]
    for number, own in enumerate(grown.own):
        ends[own] = place[number]
    return Tree(part.reverse, grown.vertices[0], parent, np.array(grown.entered)[order], ends)


class _Growth:
    """A tree on its way. A vertex that helps makes all copies of one; another passes each on, or keeps it."""

    def __init__(self, start: int, far: Ids, helps: Bools) -> None:
        self.far, self.helps = far, helps
        self.vertices, self.entered = [start], [-1]
        self.children: list[list[int]] = [[]]
        self.own: list[list[int]] = [[]]  # bits of the members that keep the copy
        self.leaving: dict[int, list[int]] = defaultdict(list)
        self.waiting: dict[int, list[int]] = defaultdict(list)
        self.held: dict[int, tuple[list[int], list[int]]] = {}  # what the next copy that comes again does

    def from_node(self, first: int) -> None:
        """Let the tree grow from a node as far as it can."""
        queue = [first]
        for number in queue:
            vertex, onward = self.vertices[number], list[int]()
            if number == 0 or self.helps[vertex]:
                onward, self.own[number] = self.leaving.pop(vertex, []), self.waiting.pop(vertex, [])
            elif self.leaving[vertex]:
                onward = [self.leaving[vertex].pop()]
            elif vertex in self.held:
                self.children[number], self.own[number] = self.held.pop(vertex)
            else:
                self.own[number] = self.waiting.pop(vertex, [])
            for arc in onward:
                self.children[number].append(len(self.vertices))
                queue.append(len(self.vertices))
                self.vertices.append(int(self.far[arc]))
                self.entered.append(arc)
                self.children.append([])
                self.own.append([])

    def to_be_led_round(self) -> int:
        """Return a node whose copy has to go another way first, and come again; 0 without."""
        for number, vertex in enumerate(self.vertices):
            if number and not self.helps[vertex] and self.leaving[vertex] and vertex not in self.held:
                self.held[vertex] = self.children[number], self.own[number]
                self.children[number], self.own[number] = [], []
                return number
        return 0

    def is_left(self) -> bool:
        """Return whether channels or members are left, or a copy that did not come again."""
        return bool(self.held) or any(self.leaving.values()) or any(self.waiting.values())
