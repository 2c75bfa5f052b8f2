"""Folding a flow program by its symmetry: exact at any size, and smaller by the size of the orbits.

The model. An automorphism permutes vertices and arcs and leaves demand, capacity and base as they are. By
convexity some optimal flow is invariant under all of them, so one commodity per orbit of sources stands
for all (its demand times the size of the orbit), and the resources of one orbit act as one, with the sum
of their capacities. Prices of the folded program unfold by giving each resource its orbit's price; the
flow unfolds by averaging a representative over the symmetries that fix its source and carrying it to the
rest of the orbit.

Generators come from BLISS (through igraph), on a graph whose arcs are vertices of their own, coloured by
capacity, so that one-way and parallel arcs are seen; each is checked against demand, capacity and base
before it is used.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from noptoolkit._arrays import Floats, Ints
from noptoolkit._seeds import callers_random_state
from noptoolkit.flow.bounds.program import FlowProgram

__all__ = ["Folded", "fold"]


@dataclass(frozen=True, eq=False)
class Folded:
    """A folded program, and what it takes to unfold its answers.

    Parameters
    ----------
    program
        One commodity per orbit of sources, one resource per orbit of resources.
    whole
        The program that was folded.
    orbit_of_resource
        Row of ``program`` of each resource of ``whole``, [resources].
    size
        Commodities in each orbit, [commodities of ``program``].
    vertex_maps, arc_maps
        The generators as permutations, [generators, vertices] and [generators, arcs].
    seconds
        What folding took, in s.
    """

    program: FlowProgram
    whole: FlowProgram
    orbit_of_resource: Ints
    size: Ints
    vertex_maps: Ints
    arc_maps: Ints
    seconds: float

    def unfold_prices(self, prices: Floats) -> Floats:
        """Return the price of each resource of the whole program."""
        return prices[self.orbit_of_resource]

    def unfold_flow(self, flow: Floats) -> Floats:
        """Return the flow of every commodity of the whole program, invariant under the symmetry."""
        whole = self.whole
        commodity_at = np.full(whole.num_vertices, -1)
        commodity_at[whole.ends] = np.arange(len(whole.ends))
        unfolded = np.zeros((len(whole.ends), len(whole.tail)))
        colours = _Colours(whole)
        for q, end in enumerate(self.program.ends):
            fixing = colours.generators(fixed=int(end))
            arcs = [_arc_map(whole, vertex_map) for vertex_map in fixing]
            orbit = _orbits(len(whole.tail), [arc_map for arc_map in arcs if arc_map is not None])
            mean = np.bincount(orbit, flow[q]) / np.bincount(orbit)
            unfolded[commodity_at[end]] = mean[orbit] / self.size[q]
            frontier, reached = [int(end)], {int(end)}
            while frontier:
                here = frontier.pop()
                for vertex_map, arc_map in zip(self.vertex_maps, self.arc_maps, strict=True):
                    there = int(vertex_map[here])
                    if there not in reached:
                        reached.add(there)
                        frontier.append(there)
                        unfolded[commodity_at[there], arc_map] = unfolded[commodity_at[here]]
        return unfolded


def fold(program: FlowProgram) -> Folded | None:
    """Return a program folded by its symmetry, or ``None`` where it has none to speak of."""
    import igraph  # noqa: F401, now: its first import must not count as time of folding

    started = time.perf_counter()
    vertex_maps, arc_maps = [], []
    for vertex_map in _Colours(program).generators():
        arc_map = _arc_map(program, vertex_map)
        if arc_map is not None:
            vertex_maps.append(vertex_map)
            arc_maps.append(arc_map)
    orbit_of_vertex = _orbits(program.num_vertices, vertex_maps)
    representative, row, size = np.unique(
        orbit_of_vertex[program.ends], return_index=True, return_counts=True
    )[:3]
    if len(representative) > 0.7 * len(program.ends):
        return None
    resource_maps = [_resource_map(program, arc_map) for arc_map in arc_maps]
    orbit_of_resource = _orbits(len(program.capacity), resource_maps)
    resources = int(orbit_of_resource.max()) + 1
    index = np.arange(len(program.capacity))
    gather: Any = csr_array((np.ones(len(index)), (orbit_of_resource, index)), shape=(resources, len(index)))
    folded = replace(
        program,
        on_arcs=csr_array(gather @ program.on_arcs),
        capacity=gather @ program.capacity,
        base=gather @ program.base,
        ends=program.ends[row],
        demand=program.demand[row] * size[:, None],
    )
    maps = np.array(vertex_maps), np.array(arc_maps)
    return Folded(folded, program, orbit_of_resource, size, *maps, time.perf_counter() - started)


class _Colours:
    """The coloured graph whose automorphisms BLISS looks for: vertices, then one more for each arc."""

    def __init__(self, program: FlowProgram) -> None:
        import igraph

        n, m = program.num_vertices, len(program.tail)
        sent, received = np.zeros(n), program.demand.sum(axis=0)
        sent[program.ends] = program.demand.sum(axis=1)
        use = program.on_arcs.T.tocsr()
        arc_key = np.stack([use @ program.capacity, use @ program.base, np.diff(use.indptr).astype(float)])
        vertex_colour = _distinct(np.stack([sent, received]))
        arc_colour = _distinct(arc_key) + vertex_colour.max() + 1
        arcs = np.arange(m) + n
        edges = np.concatenate([np.c_[program.tail, arcs], np.c_[arcs, program.head]])
        self.graph = igraph.Graph(n=n + m, edges=edges.tolist(), directed=True)
        self.colour = np.r_[vertex_colour, arc_colour]
        self.num_vertices = n

    def generators(self, fixed: int | None = None) -> list[Ints]:
        """Return generators of the automorphism group (that fix one vertex) as maps of the vertices."""
        colour = self.colour.copy()
        if fixed is not None:
            colour[fixed] = colour.max() + 1
        with callers_random_state():
            found = self.graph.automorphism_group(color=colour.tolist())
        return [np.array(generator[: self.num_vertices]) for generator in found]


def _distinct(keys: Floats) -> Ints:
    """Return the index of each column among the different columns, equal to nine digits."""
    scale = np.abs(keys).max(axis=1, keepdims=True)
    rounded = np.round(keys / np.where(scale > 0, scale, 1.0), 9)
    return np.unique(rounded, axis=1, return_inverse=True)[1].ravel()


def _arc_map(program: FlowProgram, vertex_map: Ints) -> Ints | None:
    """Return the map of the arcs that goes with one of the vertices, or ``None`` if it is not a symmetry."""
    n = program.num_vertices
    key = program.tail * n + program.head
    order = np.argsort(key, kind="stable")
    if len(key) > 1 and (np.diff(key[order]) == 0).any():
        return None  # parallel arcs of different kinds: their ends do not tell which goes where
    wanted = vertex_map[program.tail] * n + vertex_map[program.head]
    position = np.searchsorted(key[order], wanted)
    if (position >= len(key)).any() or (key[order][np.minimum(position, len(key) - 1)] != wanted).any():
        return None
    arc_map: Ints = order[position]
    commodity_at = np.full(n, -1)
    commodity_at[program.ends] = np.arange(len(program.ends))
    images = commodity_at[vertex_map[program.ends]]
    if (images < 0).any():
        return None
    moved = program.demand[np.ix_(images, vertex_map)]
    if not np.allclose(moved, program.demand, rtol=1e-12, atol=0):
        return None
    resource_map = _resource_map(program, arc_map)
    if (resource_map < 0).any():
        return None
    for values in (program.capacity, program.base):
        if not np.allclose(values[resource_map], values, rtol=1e-12, atol=0):
            return None
    return arc_map


def _resource_map(program: FlowProgram, arc_map: Ints) -> Ints:
    """Return where each resource goes when its arcs do, -1 where no resource has those arcs."""
    rows = program.on_arcs
    by_arcs: dict[tuple[int, ...], list[int]] = {}
    names: list[tuple[int, ...]] = []
    for r in range(len(program.capacity)):
        names.append(tuple(sorted(rows.indices[rows.indptr[r] : rows.indptr[r + 1]].tolist())))
        by_arcs.setdefault(names[-1], []).append(r)
    image = np.full(len(names), -1)
    for r, arcs in enumerate(names):
        target = by_arcs.get(tuple(sorted(arc_map[list(arcs)].tolist())), [])
        if len(target) == 1:
            image[r] = target[0]
        else:  # a crossbar and a channel may use the same arcs: keep them in order
            twins = by_arcs[arcs]
            image[r] = target[twins.index(r)] if len(target) == len(twins) else -1
    return image


def _orbits(count: int, maps: list[Ints]) -> Ints:
    """Return the orbit of each of some things under permutations of them, numbered from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    here = np.tile(np.arange(count), len(maps))
    there = np.concatenate(maps) if maps else np.zeros(0, np.int64)
    graph: Any = coo_array((np.ones(len(here)), (here, there)), shape=(count, count))
    label: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return label
