"""Algorithms of today for all-reduce, reduce-scatter and all-gather, to measure against the optimum.

=====================  ==================================================================================
name                   reduce-scatter phase (an all-gather is the same backwards, an all-reduce both)
=====================  ==================================================================================
ring                   block by block round a cycle of all members, N - 1 steps; the cycle is the given
                       order, a Hamiltonian cycle of the grid, or a short tour, whichever is fastest
ring (given order)     the same round the members as they are listed
two rings              half of the blocks each way round
halving-doubling       halves exchanged at distance 1, 2, 4, ..: near first; N a power of two
halving-doubling far   halves exchanged at distance N/2, N/4, ..: far first (Rabenseifner 2004)
recursive doubling     no such phase: whole buffers exchanged at distance 1, 2, 4, .. are an all-reduce
2D rings               rings in all rows, then in all columns of a grid
direct                 every block straight to its owner, one step
hierarchical           direct inside every group, rings across groups
=====================  ==================================================================================

Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in MPICH, 2005; Patarasu
and Yuan, Bandwidth optimal all-reduce algorithms for clusters of workstations, 2009.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.collectives.algorithms.steps import Step, Steps, turned_round
from noptoolkit.collectives.algorithms.tours import given_tour, grid_of, tours
from noptoolkit.collectives.values.requests import Request
from noptoolkit.errors import RoutingError
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Chiplet

__all__ = ["ALGORITHMS", "Algorithm", "steps_of"]

PHASES = ("all-reduce", "reduce-scatter", "all-gather")

Scatter = tuple[int, Ints, tuple[Step, ...]]
"""Number of blocks, their owners, and the steps of a reduce-scatter."""


@dataclass(frozen=True)
class Algorithm:
    """One algorithm of today.

    Parameters
    ----------
    scatter
        Function of network, nodes of the members and bytes to a reduce-scatter.
    kinds
        Kinds that it serves.
    summary
        One line on what it does.
    """

    scatter: Callable[[FlowNetwork, Ints, float], Scatter]
    kinds: tuple[str, ...] = PHASES
    summary: str = ""


def round_tour(tour: Ints, first_block: int = 0, blocks: int | None = None) -> tuple[Ints, list[Step]]:
    """Return the owners and steps of a reduce-scatter round a tour; block i ends at the i-th of the tour."""
    n = len(tour)
    steps = []
    place = np.arange(n)
    for s in range(n - 1):
        block = (place - s - 1) % n
        steps.append(Step(tour, np.roll(tour, -1), first_block + block[:, None], adds=True))
    return tour, steps


def _ring_of(tour: Ints) -> Scatter:
    owner, steps = round_tour(tour)
    return len(tour), owner, tuple(steps)


def ring(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return the fastest of the tours that are known."""
    found = [_ring_of(tour) for tour in tours(network, nodes)]
    return min(found, key=lambda scatter: _first_step(network, nodes, scatter))


def _first_step(network: FlowNetwork, nodes: Ints, scatter: Scatter) -> float:
    """Return the time of the first step: in a ring all steps take the same."""
    return Steps("", scatter[0], scatter[1], scatter[2][:1]).measure(network, nodes, 1.0)[0]


def ring_as_given(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return the ring in the order of the members."""
    return _ring_of(given_tour(nodes))


def two_rings(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return two rings on one tour, one each way round, half of the blocks on each."""
    best: tuple[float, Scatter] | None = None
    n = len(nodes)
    for tour in tours(network, nodes):
        owner, there = round_tour(tour)
        other, back = round_tour(tour[::-1].copy(), first_block=n)
        steps = tuple(
            Step(
                np.r_[a.senders, b.senders],
                np.r_[a.receivers, b.receivers],
                np.r_[a.blocks, b.blocks],
                adds=True,
            )
            for a, b in zip(there, back, strict=True)
        )
        scatter = 2 * n, np.r_[owner, other], steps
        time = _first_step(network, nodes, scatter)
        if best is None or time < best[0]:
            best = time, scatter
    assert best is not None
    return best[1]


def _power_of_two(nodes: Ints) -> int:
    n = len(nodes)
    if n & (n - 1):
        raise RoutingError(f"halving and doubling need 2, 4, 8, ... members, not {n}; use 'ring'")
    return n


def _halving(nodes: Ints, distances: list[int]) -> Scatter:
    n = _power_of_two(nodes)
    place = np.arange(n)
    keep = [np.arange(n) for _ in range(n)]  # blocks that each member still gathers
    steps = []
    for distance in distances:
        partner = place ^ distance
        sent = np.array([[b for b in keep[i] if (b ^ i) & distance] for i in range(n)])
        steps.append(Step(place, partner, sent, adds=True))
        keep = [np.array([b for b in keep[i] if not (b ^ i) & distance]) for i in range(n)]
    return n, place, tuple(steps)


def halving_near_first(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return recursive halving with the largest messages between neighbours."""
    return _halving(nodes, [1 << b for b in range(len(nodes).bit_length() - 1)])


def halving_far_first(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return recursive halving as MPI libraries have it: the largest messages go farthest."""
    return _halving(nodes, [1 << b for b in reversed(range(len(nodes).bit_length() - 1))])


def doubling(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return the exchange of whole buffers at distance 1, 2, 4, ...: an all-reduce by itself."""
    n = _power_of_two(nodes)
    place = np.arange(n)
    steps = [
        Step(place, place ^ (1 << b), np.zeros((n, 1), np.int64), adds=True)
        for b in range(n.bit_length() - 1)
    ]
    return 1, np.zeros(1, np.int64), tuple(steps)


def direct(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return every block sent straight to its owner."""
    n = len(nodes)
    sender, receiver = np.nonzero(~np.eye(n, dtype=bool))
    return n, np.arange(n), (Step(sender, receiver, receiver[:, None], adds=True),)


def rings_in_rows_and_columns(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return rings in every row of a grid, then in every column."""
    grid = grid_of(network, nodes)
    if grid is None:
        raise RoutingError("2D rings need members that fill the rows and columns of a grid; use 'ring'")
    rows, columns = grid.shape
    # block r * columns + c ends at row r, column c
    first = [round_tour(grid[r])[1] for r in range(rows)]
    steps = []
    for parts in zip(*first, strict=True):
        blocks = [part.blocks + columns * np.arange(rows)[None, :] for part in parts]
        steps.append(_together(list(parts), blocks))
    second = [round_tour(grid[:, c])[1] for c in range(columns)]
    for parts in zip(*second, strict=True):
        blocks = [part.blocks * columns + c for c, part in enumerate(parts)]
        steps.append(_together(list(parts), blocks))
    return len(nodes), grid.ravel(), tuple(steps)


def _together(parts: list[Step], blocks: list[Ints]) -> Step:
    return Step(
        np.concatenate([part.senders for part in parts]),
        np.concatenate([part.receivers for part in parts]),
        np.concatenate(blocks),
        adds=True,
    )


def hierarchical(network: FlowNetwork, nodes: Ints, size: float) -> Scatter:
    """Return direct exchange inside every group of chiplets, then rings of the i-th ones across groups."""
    groups = _groups(network, nodes)
    if len(groups) < 2 or len({len(group) for group in groups}) > 1 or len(groups[0]) < 2:
        raise RoutingError(
            "hierarchical needs two groups or more of the same number of members: chiplets at one switch, "
            "or of one group; use 'ring'"
        )
    count, each = len(groups), len(groups[0])
    table = np.array(groups)  # group, rank
    owner = table.T.ravel()  # block rank * count + group ends at that member
    a, b = np.nonzero(~np.eye(each, dtype=bool))
    inside = [
        Step(table[g][a], table[g][b], b[:, None] * count + np.arange(count)[None, :], adds=True)
        for g in range(count)
    ]
    steps = [_together(inside, [part.blocks for part in inside])]
    across = [round_tour(table[:, rank])[1] for rank in range(each)]
    for parts in zip(*across, strict=True):
        steps.append(_together(list(parts), [part.blocks + rank * count for rank, part in enumerate(parts)]))
    return count * each, owner, tuple(steps)


def _groups(network: FlowNetwork, nodes: Ints) -> list[list[int]]:
    package = network.package
    switches = {i for i, node in enumerate(package.nodes) if not isinstance(node, Chiplet)}
    near: dict[int, list[int]] = {}
    for u, v in zip(network.tail.tolist(), network.head.tolist(), strict=True):
        near.setdefault(u, []).append(v)
    found: dict[object, list[int]] = {}
    for place, node in enumerate(nodes.tolist()):
        chiplet = package.nodes[node]
        group = chiplet.group if isinstance(chiplet, Chiplet) else None
        at_switch = [v for v in near.get(node, []) if v in switches]
        key: object = (
            group if group is not None else (at_switch[0] if len(at_switch) == 1 else ("alone", node))
        )
        found.setdefault(key, []).append(place)
    return list(found.values())


ALGORITHMS: dict[str, Algorithm] = {
    "ring": Algorithm(ring, summary="one ring on the fastest tour known"),
    "ring (given order)": Algorithm(ring_as_given, summary="one ring in the order of the members"),
    "two rings": Algorithm(two_rings, summary="two rings on one tour, opposite ways"),
    "halving-doubling": Algorithm(halving_near_first, summary="recursive halving, near first"),
    "halving-doubling far": Algorithm(halving_far_first, summary="recursive halving, far first"),
    "recursive doubling": Algorithm(
        doubling, ("all-reduce",), summary="whole buffers in log2 N steps, log2 N times the bytes"
    ),
    "2D rings": Algorithm(rings_in_rows_and_columns, summary="rings in rows, then in columns"),
    "direct": Algorithm(direct, summary="every share straight to its owner"),
    "hierarchical": Algorithm(hierarchical, summary="inside groups, then across"),
}
"""Algorithms by name, beside ``optimal``."""


def steps_of(network: FlowNetwork, request: Request, name: str) -> Steps:
    """Return an algorithm's steps for a request.

    Raises
    ------
    RoutingError
        If the algorithm does not serve the kind, needs equal shares, or does not fit the members.
    """
    algorithm = ALGORITHMS[name]
    if request.kind not in algorithm.kinds:
        raise RoutingError(
            f"{name!r} is for {' or '.join(algorithm.kinds)} alone, not for {request.kind}; use 'optimal'"
        )
    if request.shares is not None and len(set(request.shares)) > 1:
        raise RoutingError(f"{name!r} is for equal shares; use 'optimal'")
    index = network.package.index
    nodes = np.array([index[member] for member in request.members], np.int64)
    blocks, owner, scatter = algorithm.scatter(network, nodes, request.size)
    if request.kind == "reduce-scatter" or algorithm.kinds == ("all-reduce",):
        steps = scatter
    elif request.kind == "all-gather":
        steps = turned_round(scatter)
    else:
        steps = (*scatter, *turned_round(scatter))
    return Steps(name, blocks, owner, steps)
