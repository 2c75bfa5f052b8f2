"""Shortest paths in hops to many destinations at once, by bit sets.

The model. A routing by hops moves a packet between *states* (vertices, or vertices with a memory of what
was done before) along *steps*, each over one arc. Breadth-first search runs backwards from all destinations
at the same time: a state holds the set of destinations that it has reached, 64 to a word, and one round of
bitwise operations over all steps advances every search by a hop (Then et al., The More the Merrier:
Efficient Multi-Source Graph Traversal, PVLDB 8, 2014). A step is on a shortest path to d if d reaches its
tail first, and over it; so the search leaves the set of destinations of every step as it goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Bits, Ints
from noptoolkit.network import FlowNetwork

__all__ = ["HopGraph", "eccentricity", "first_steps", "plain_graph", "search_hops", "set_bits"]

BitSets = Bits


@dataclass(frozen=True, eq=False)
class HopGraph:
    """The steps that a routing by hops may take.

    Parameters
    ----------
    num_states
        The first are the vertices of the network, in which traffic starts.
    arc
        Arc of the network that each step goes over, [steps].
    tail, head
        States between which it leads, [steps].
    ends
        States in which traffic for each vertex may arrive, [ways to arrive, vertices].
    """

    num_states: int
    arc: Ints
    tail: Ints
    head: Ints
    ends: Ints


def plain_graph(network: FlowNetwork) -> HopGraph:
    """Return the arcs as they are."""
    size = network.num_vertices
    return HopGraph(size, np.arange(network.num_arcs), network.tail, network.head, np.arange(size)[None])


def search_hops(graph: HopGraph, destinations: Ints) -> tuple[Ints, BitSets]:
    """Return the hops to each destination, and the destinations to which each step is on a shortest path.

    Parameters
    ----------
    destinations
        Vertices, [destinations].

    Returns
    -------
    hops : [destinations, states], -1 without a path
    used : bit sets over the destinations, [steps, words]
    """
    hops = np.full((len(destinations), graph.num_states), -1)
    hops[np.arange(len(destinations)), graph.ends[:, destinations]] = 0
    used = np.zeros((len(graph.tail), _words(destinations)), np.uint64)
    for level, (_, arriving, fresh) in enumerate(_rounds(graph, destinations), 1):
        used |= arriving
        state, destination = set_bits(fresh)
        hops[destination, state] = level
    return hops, used


def eccentricity(graph: HopGraph, vertices: Ints) -> Ints:
    """Return the most hops that any of some vertices is from each of them, ``num_states`` without a path."""
    count = len(vertices)
    farthest = np.zeros(count, np.int64)
    everyone = np.zeros((1, _words(vertices)), np.uint64)
    for level, (reached, _, fresh) in enumerate(_rounds(graph, vertices), 1):
        farthest[set_bits(np.bitwise_or.reduce(fresh[vertices], axis=0)[None])[1]] = level
        everyone = np.bitwise_and.reduce(reached[vertices], axis=0)[None]
    connected = set_bits(everyone)[1] if count > 1 else np.zeros(1, np.int64)
    farthest[np.setdiff1d(np.arange(count), connected)] = graph.num_states
    return farthest


def _words(destinations: Ints) -> int:
    return -(-len(destinations) // 64)


def _rounds(graph: HopGraph, destinations: Ints) -> Iterator[tuple[BitSets, BitSets, BitSets]]:
    """Yield, hop by hop, what each state has reached, what each step brings, what each state has newly."""
    bit = np.arange(len(destinations))
    reached = np.zeros((graph.num_states, _words(destinations)), np.uint64)
    for states in graph.ends[:, destinations]:
        np.bitwise_or.at(reached, (states, bit // 64), np.uint64(1) << (bit % 64).astype(np.uint64))
    by_tail = np.argsort(graph.tail, kind="stable")
    tails, first = np.unique(graph.tail[by_tail], return_index=True)
    fresh = reached
    while len(tails):
        arriving = fresh[graph.head] & ~reached[graph.tail]
        fresh = np.zeros_like(reached)
        fresh[tails] = np.bitwise_or.reduceat(arriving[by_tail], first, axis=0)
        if not fresh.any():
            return
        reached = reached | fresh
        yield reached, arriving, fresh


def first_steps(graph: HopGraph, used: BitSets) -> BitSets:
    """Return the sets of steps thinned out: to each destination, each state keeps its lowest step."""
    left = used.copy()
    by_tail = np.argsort(graph.tail, kind="stable")
    _, first, count = np.unique(graph.tail[by_tail], return_index=True, return_counts=True)
    taken = np.zeros((graph.num_states, used.shape[1]), np.uint64)
    for turn in range(int(count.max(initial=0))):
        steps = by_tail[first[count > turn] + turn]
        left[steps] &= ~taken[graph.tail[steps]]
        taken[graph.tail[steps]] |= left[steps]
    return left


def set_bits(sets: BitSets) -> tuple[Ints, Ints]:
    """Return the row and the number of every bit that is set, in order, of bit sets [rows, words].

    Examples
    --------
    >>> set_bits(np.array([[0], [6]], np.uint64))
    (array([1, 1]), array([1, 2]))
    """
    flat = sets.ravel()
    word = np.flatnonzero(flat)
    little = flat[word].astype("<u8").view(np.uint8)
    there = np.flatnonzero(np.unpackbits(little, bitorder="little").view(bool))
    row, column = np.divmod(word, max(sets.shape[1], 1))
    which = there >> 6
    return row[which], column[which] * 64 + (there & 63)
