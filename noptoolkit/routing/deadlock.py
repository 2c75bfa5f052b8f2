"""Whether a routing can deadlock: the channel dependency graph, and a cycle in it by name.

The model (Dally and Seitz, 1987). A packet that holds channel a and may ask for channel b next makes b
depend on a. A routing whose dependencies have no cycle cannot deadlock under wormhole or virtual
cut-through switching; one with a cycle can. Splitting a channel into virtual channels splits its
dependencies: ``datelines`` gives each ring of a torus two, the packet changing from the first to the
second at the wrap link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.package import Package, expect_package
from noptoolkit.routing.forwarding import Forwarding, ForwardingRule, in_parts
from noptoolkit.routing.given_paths import PathFunction, PathTable, path_walker
from noptoolkit.routing.rules import Routing, method_of, rule_of
from noptoolkit.routing.zero_load import endpoints_of

__all__ = ["Deadlock", "check_deadlock"]


AT_A_TIME = 1 << 16  # pairs whose sets of destinations are compared at once


@dataclass(frozen=True)
class Deadlock:
    """Channel dependencies of a routing, and a cycle among them.

    Parameters
    ----------
    free
        Whether the channel dependency graph has no cycle.
    cycle
        Names of channels that wait for each other in turn, empty where free; with ``@1`` on the second
        virtual channel.
    dependencies
        Number of ordered pairs of channels.
    """

    free: bool
    cycle: tuple[str, ...]
    dependencies: int


def check_deadlock(
    package: Package,
    *,
    routing: str | Routing = "dor",
    datelines: bool = False,
    among: str | Sequence[str] | None = None,
) -> Deadlock:
    """Return whether a routing between the endpoints of a package can deadlock.

    Parameters
    ----------
    routing : str or routing
        Routing by destination: shortest, ecmp, dor, up-down, `UpDown`, `NextHops`, a `RoutingMethod`; the
        split of a flow, as of ``congestion(...).forwarding()``; a table of paths (whose entries are all that
        travels), or a function that gives the path of every pair.
    datelines
        Whether channels in the rings of a torus have two virtual channels each.
    among
        Endpoints between which packets travel: ``experts``, ``terminals`` (all chiplets, also where
        ``None``), or names of nodes, memory stacks included.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> ring = Package("ring", [Chiplet(f"c{i}") for i in range(5)],
    ...                [Link(f"c{i}", f"c{(i + 1) % 5}", "1 GB/s") for i in range(5)])
    >>> check_deadlock(ring, routing="shortest").cycle
    ('c0->c1', 'c1->c2', 'c2->c3', 'c3->c4', 'c4->c0')
    >>> check_deadlock(ring, routing="up-down").free
    True
    """
    expect_package(package)
    names = endpoints_of(package, among)
    network = flow_network(package)
    method = method_of(routing)
    if method.paths is not None:
        holds, asks = _along_paths(network, method.paths, names)
    else:
        holds, asks = _by_destination(network, rule_of(method), datelines, names)
    cycle = _shortest_cycle(holds, asks, 2 * network.num_arcs)
    first_of_arc = {int(arc): i for i, arc in reversed(list(enumerate(network.arc_of_channel)))}
    channels = [package.channels[first_of_arc[c // 2]].name + ("@1" if c % 2 else "") for c in cycle]
    return Deadlock(not cycle, tuple(channels), len(holds))


def _by_destination(
    network: FlowNetwork, rule: ForwardingRule, datelines: bool, names: Sequence[str]
) -> tuple[Ints, Ints]:
    """Return the ordered pairs of channels that packets between endpoints use one after the other."""
    ends = np.array([network.package.index[name] for name in names], np.int64)
    size, pairs = 2 * network.num_arcs, []
    for _, forwarding in in_parts(network, rule, network.destination[ends]):
        layer = forwarding.virtual_channel if datelines else np.zeros(len(forwarding.to), np.int64)
        channel = forwarding.arc * 2 + layer
        holds, asks = _dependencies(forwarding, channel, network.origin[ends], network.num_vertices)
        pairs.append(holds * size + asks)
    together = np.sort(np.concatenate(pairs))
    together = together[np.diff(together, prepend=-1) > 0]  # np.unique hashes: ten times slower here
    return together // max(size, 1), together % max(size, 1)


def _along_paths(
    network: FlowNetwork, paths: PathFunction | PathTable, names: Sequence[str]
) -> tuple[Ints, Ints]:
    """Return the ordered pairs of channels that follow one another on given paths between endpoints."""
    walk = path_walker(network, paths)
    chosen = set(names)
    ends = (
        [*permutations(names, 2)] if callable(paths) else [pair for pair in paths if chosen.issuperset(pair)]
    )
    pairs = sorted({pair for a, b in ends for pair in pairwise(walk(a, b))})
    holds, asks = 2 * np.array(pairs, np.int64).reshape(-1, 2).T
    return holds, asks


def _dependencies(forwarding: Forwarding, channel: Ints, origins: Ints, vertices: int) -> tuple[Ints, Ints]:
    """Return the pairs of channels that some packet uses one after the other (some repeat), [pairs] each.

    A channel in one state is in use towards a set of destinations; it may ask for another that leaves the
    state it leads to if the two sets meet.
    """
    states = forwarding.num_states
    reached = np.zeros(len(forwarding.destinations) * states, bool)
    reached.reshape(-1, states)[:, origins] = True
    tail = forwarding.to * states + forwarding.tail
    head = forwarding.to * states + forwarding.head
    for step in reversed(forwarding.by_level()):
        reached[head[step[reached[tail[step]]]]] = True
    used = np.flatnonzero(reached[tail])
    ways = states // vertices
    use = (channel * ways + forwarding.tail // vertices)[used]
    size = int(use.max(initial=-1)) + 1
    towards = np.zeros((size, -(-len(forwarding.destinations) // 64)), np.uint64)
    word, bit = np.divmod(forwarding.to[used], 64)
    where = use * towards.shape[1] + word
    np.bitwise_or.at(towards.reshape(-1), where, np.uint64(1) << bit.astype(np.uint64))
    rows = np.flatnonzero(towards.any(axis=1))
    towards, channel = towards[rows], rows // ways
    tail, head = np.zeros((2, size), np.int64)
    tail[use], head[use] = forwarding.tail[used], forwarding.head[used]
    tail, head = tail[rows], head[rows]

    by_tail = np.argsort(tail, kind="stable")
    begin = np.searchsorted(tail[by_tail], head, side="left")
    follow = np.searchsorted(tail[by_tail], head, side="right") - begin
    holds = np.repeat(np.arange(len(rows)), follow)
    asks = by_tail[np.arange(len(holds)) - np.repeat(np.cumsum(follow) - follow - begin, follow)]
    meet = np.zeros(len(holds), bool)
    for start in range(0, len(holds), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        meet[part] = (towards[holds[part]] & towards[asks[part]]).any(axis=1)
    return channel[holds[meet]], channel[asks[meet]]


def _shortest_cycle(holds: Ints, asks: Ints, channels: int) -> list[int]:
    """Return the shortest cycle through the lowest channel that is on any, empty without."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    graph = csr_array((np.ones(len(holds)), (holds, asks)), shape=(channels, channels))
    _, strong = connected_components(graph, connection="strong")
    on_cycle = np.flatnonzero(np.bincount(strong)[strong] > 1)
    if len(on_cycle) == 0:
        return []
    start = int(on_cycle[0])
    order, before = breadth_first_order(graph, start)
    closing = holds[asks == start]
    rank = np.full(channels, channels)
    rank[order] = np.arange(len(order))
    cycle = [int(closing[np.argmin(rank[closing])])]
    while cycle[-1] != start:
        cycle.append(int(before[cycle[-1]]))
    return cycle[::-1]
