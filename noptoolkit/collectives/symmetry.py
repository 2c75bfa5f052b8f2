"""Symmetry of a package under which a set of collectives looks the same: a few groups stand for all.

By convexity some optimal prices and some optimal loads are invariant under all automorphisms that map the
network, with its capacities, onto itself and every request onto a request of the same kind and size. So the
cheapest trees of one group per orbit are found, counted as often as the orbit is large, and loads are
averaged over the orbits of the resources. Bounds stay valid for every price; an average over symmetries is
a schedule.

*Reversal*: turning every tree round serves reduce-scatter where all-gather was, and an all-reduce as
before. Where channels have the same capacity both ways and the requests are the same turned round, both
directions share one price, and an all-reduce needs one minimum spanning tree, used up and down, instead of
two arborescences a root.

Generators come from BLISS (through igraph), on a graph of vertices, arcs, resources and requests, coloured by
what must be kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._seeds import callers_random_state
from noptoolkit.collectives.pricing import Groups
from noptoolkit.collectives.requests import KINDS, Request
from noptoolkit.network import FlowNetwork

__all__ = ["Symmetry", "symmetry_of"]


@dataclass(frozen=True, eq=False)
class Symmetry:
    """Orbits of groups and of resources; without any symmetry, each is an orbit of its own.

    Parameters
    ----------
    chosen, weights
        One group of each orbit, and the size of its orbit, [orbits].
    orbit
        Orbit of each resource, [resources].
    reversible
        Whether both directions of every channel are in one orbit.
    """

    chosen: Ints
    weights: Floats
    orbit: Ints
    reversible: bool

    def mean(self, values: Floats) -> Floats:
        """Return values averaged over the orbits of resources, [resources]."""
        sums = np.bincount(self.orbit, values)
        return np.asarray((sums / np.bincount(self.orbit))[self.orbit])


def symmetry_of(groups: Groups, *, fold: bool = True) -> Symmetry:
    """Return the symmetry of a network with requests.

    Parameters
    ----------
    fold
        Whether to look for automorphisms, or for reversal alone.
    """
    count, resources = len(groups.requests), groups.network.num_resources
    partner = _partner(groups.network) if _same_reversed(groups.requests) else None
    of_resources = [] if partner is None else [partner]
    of_groups = [np.arange(count)]
    if fold:
        for group_map, resource_map in _generators(groups):
            of_resources.append(resource_map)
            of_groups.append(group_map)
    orbit_of_group = _orbits(count, of_groups)
    orbit = _orbits(resources, of_resources) if of_resources else np.arange(resources)
    _, chosen, counts = np.unique(orbit_of_group, return_index=True, return_counts=True)
    return Symmetry(chosen.astype(np.int64), counts.astype(float), orbit, partner is not None)


def _same_reversed(requests: tuple[Request, ...]) -> bool:
    def key(request: Request, kind: str) -> tuple[object, ...]:
        return kind, request.size, frozenset(request.members), request.root, request.shares

    for request in requests:
        pairs = request.pair_bytes() if request.kind in ("all-to-all", "send") else np.zeros((1, 1))
        if not np.array_equal(pairs, pairs.T):
            return False
    ahead = Counter(key(request, request.kind) for request in requests)
    return ahead == Counter(key(request, KINDS[request.kind].dual) for request in requests)


def _partner(network: FlowNetwork) -> Ints | None:
    """Return the resource that is each one's reverse; ``None`` where a network is not its own reverse."""
    ends = zip(network.tail.tolist(), network.head.tolist(), strict=True)
    arc_at = {end: arc for arc, end in enumerate(ends)}
    if len(arc_at) < network.num_arcs or network.package.memories:
        return None
    partner = np.arange(network.num_resources)
    for (u, v), arc in arc_at.items():
        back = arc_at.get((v, u))
        if back is None or network.arc_capacity[back] != network.arc_capacity[arc]:
            return None
        partner[network.own[arc]] = network.own[back]
    names = {name: r for r, name in enumerate(network.names)}
    for name, r in names.items():
        if name.endswith(" crossbar"):
            return None
        for port, other in ((" injection", " ejection"), (" ejection", " injection")):
            if name.endswith(port):
                twin = names.get(name.removesuffix(port) + other)
                if twin is None or network.capacity[twin] != network.capacity[r]:
                    return None
                partner[r] = twin
    return partner


def _generators(groups: Groups) -> list[tuple[Ints, Ints]]:
    """Return generators of the automorphisms as maps of the groups and of the resources."""
    import igraph

    network = groups.network
    n, m, r, g = network.num_vertices, network.num_arcs, network.num_resources, len(groups.requests)
    arcs, resources, requests = n + np.arange(m), n + m + np.arange(r), n + m + r + np.arange(g)
    on_arcs = network.on_arcs.tocoo()
    edges = [np.c_[network.tail, arcs], np.c_[arcs, network.head]]
    edges.append(np.c_[arcs[on_arcs.col], resources[on_arcs.row]])
    for table, home in ((network.on_injected, network.origin), (network.on_ejected, network.destination)):
        ports = table.tocoo()
        edges.append(np.c_[home[ports.col], resources[ports.row]])
    owner = np.repeat(np.arange(g), np.diff(groups.start))
    edges.append(np.c_[requests[owner], groups.origin])
    keys: list[object] = [*["vertex"] * n, *["arc"] * m]
    for name, capacity in zip(network.names, network.capacity.tolist(), strict=True):
        kind = [name.endswith(port) for port in (" crossbar", " injection", " ejection", " port")]
        keys.append(("resource", capacity, *kind))
    alone = set()  # members that must stay where they are: roots, and members of unequal shares
    for i, request in enumerate(groups.requests):
        members = groups.nodes[groups.start[i] : groups.start[i + 1]].tolist()
        if request.shares is not None or request.kind == "send":
            alone |= set(members)
        elif request.root is not None:
            alone.add(members[request.members.index(request.root)])
        keys.append(("request", request.kind, request.size, len(members)))
    for node in alone:
        keys[int(network.origin[node])] = ("alone", node)
    known = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    graph = igraph.Graph(n=len(keys), edges=np.concatenate(edges).tolist(), directed=True)
    with callers_random_state():
        generators = graph.automorphism_group(color=[known[key] for key in keys])
    maps = [np.array(generator, np.int64) for generator in generators]
    return [(found[requests] - requests[0], found[resources] - resources[0]) for found in maps]


def _orbits(size: int, maps: list[Ints]) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.tile(np.arange(size), len(maps))
    joined = coo_array((np.ones(len(rows)), (rows, np.concatenate(maps))), shape=(size, size))
    return np.asarray(connected_components(joined, directed=False)[1], np.int64)
