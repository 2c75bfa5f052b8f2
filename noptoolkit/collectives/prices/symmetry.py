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
from noptoolkit.collectives.prices.pricing import Groups
from noptoolkit.collectives.values.requests import KINDS, Request
from noptoolkit.network import FlowNetwork
from noptoolkit.package import Memory

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
    counts
        For how many members of its own group each member of a chosen group stands; 0 for those that another
        one stands for, [all members].
    """

    chosen: Ints
    weights: Floats
    orbit: Ints
    reversible: bool
    counts: Floats

    @property
    def classes(self) -> int:
        """Number of orbits of resources."""
        return len(np.unique(self.orbit))

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
    orbits = [np.arange(resources), np.arange(count), np.arange(len(groups.nodes))]
    if fold:
        orbits = _plain_orbits(groups) or _orbits_of_all(groups)
    partner = _partner(groups.network) if _same_reversed(groups.requests) else None
    orbit, orbit_of_group, orbit_of_member = orbits
    if partner is not None:
        first = np.unique(orbit, return_index=True)[1]
        orbit = _orbits(resources, [first[orbit], partner])
    _, chosen, counts = np.unique(orbit_of_group, return_index=True, return_counts=True)
    stand_for = np.zeros(len(groups.nodes))
    _, first, size = np.unique(orbit_of_member, return_index=True, return_counts=True)
    owner = np.repeat(np.arange(count), np.diff(groups.start))
    stand_for[first] = size / counts[np.searchsorted(np.unique(orbit_of_group), orbit_of_group[owner[first]])]
    return Symmetry(chosen.astype(np.int64), counts.astype(float), orbit, partner is not None, stand_for)


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
    partner, wide = np.arange(network.num_resources), network.arc_capacity.tolist()
    for (u, v), arc in arc_at.items():
        back = arc_at.get((v, u))
        if back is None or wide[back] != wide[arc]:
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


def _plain_orbits(groups: Groups) -> list[Ints] | None:
    """Return the orbits of resources, groups and members where every channel has an equal one back.

    Links are then edges of a small undirected graph, or vertices that tell their capacity. Memory stacks
    that are no members carry nothing: what belongs to them is one class. ``None`` for other networks.
    """
    import igraph

    from noptoolkit.collectives.prices.compiled_orbits import join_orbits

    network, package = groups.network, groups.network.package
    nodes = len(network.origin)
    aside = np.array([isinstance(node, Memory) for node in package.nodes])
    if aside[groups.nodes].any():
        return None
    lost = np.zeros(network.num_vertices, bool)
    lost[network.origin[aside]] = lost[network.destination[aside]] = True
    live = ~lost[network.tail] & ~lost[network.head]
    tail, head, wide = network.tail[live], network.head[live], network.arc_capacity[live]
    order, back = np.lexsort((head, tail)), np.lexsort((tail, head))
    there, again = np.c_[tail, head][order], np.c_[head, tail][back]
    if len(there) > 1 and (there[1:] == there[:-1]).all(axis=1).any():
        return None
    if not np.array_equal(there, again) or not np.array_equal(wide[order], wide[back]):
        return None
    own = network.own[live]
    shared = np.bincount(own, minlength=network.num_resources)[own] > 1
    once = tail < head
    a, b, kind = tail[once], head[once], np.unique(np.c_[wide, shared][once], axis=0, return_inverse=True)[1]
    kind = kind.ravel()
    common = int(np.argmax(np.bincount(kind)))
    told = np.flatnonzero(kind != common)
    requests, count = network.num_vertices + np.arange(len(groups.requests)), len(groups.requests)
    owner = np.repeat(np.arange(count), groups.sizes)
    special = [
        i
        for g, request in enumerate(groups.requests)
        for i, name in enumerate(request.members, int(groups.start[g]))
        if name == (request.members[0] if request.kind == "send" else request.root)
    ]
    links = network.num_vertices + count + np.arange(len(told))
    ends = network.num_vertices + count + len(told) + np.arange(len(special))
    edges = np.concatenate(
        [
            np.c_[a, b][kind == common],
            np.c_[a[told], links],
            np.c_[b[told], links],
            np.c_[requests[owner], groups.origin],
            np.c_[requests[owner[special]], ends],
            np.c_[ends, groups.origin[special]],
        ]
    )
    keys: list[object] = [("aside", v) if out else "vertex" for v, out in enumerate(lost.tolist())]
    for table, home in (
        (network.on_arcs, network.head),
        (network.on_injected, network.origin),
        (network.on_ejected, network.destination),
    ):
        ports = table.tocoo()
        for r, column in zip(ports.row.tolist(), ports.col.tolist(), strict=True):
            if home is not network.head or r != network.own[column]:
                key = (network.names[r].rsplit(" ", 1)[-1], float(network.capacity[r]))
                vertex = int(home[column])
                if not isinstance(keys[vertex], frozenset):
                    keys[vertex] = frozenset([keys[vertex]])
                keys[vertex] = frozenset([*keys[vertex], key])  # type: ignore[misc]
    for i, request in enumerate(groups.requests):
        if request.shares is not None:
            for node in groups.nodes[groups.start[i] : groups.start[i + 1]].tolist():
                keys[int(network.origin[node])] = ("alone", node)
    keys += [("request", r.kind, r.size, len(r.members)) for r in groups.requests]
    keys += [("link", k) for k in kind[told].tolist()] + ["special"] * len(special)
    known = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    graph = igraph.Graph(n=len(keys), edges=edges.tolist())
    with callers_random_state():
        found = graph.automorphism_group(color=[known[key] for key in keys])
    maps = np.array(found, np.int64).reshape(len(found), len(keys))
    start, heads, arcs = groups.rows
    sorted_keys = owner * network.num_vertices + groups.origin
    by_key = np.argsort(sorted_keys)
    resource = np.arange(network.num_resources)
    of_group, of_member = np.arange(count), np.arange(len(owner))
    join_orbits(
        maps,
        network.num_vertices,
        start,
        heads,
        arcs,
        network.own.astype(np.int64),
        sorted_keys[by_key],
        by_key,
        owner,
        groups.origin,
        resource,
        of_group,
        of_member,
    )
    idle = network.own[~live]
    if len(idle):
        resource[idle] = idle.min()
    _join_ports(groups, maps[:, :nodes], resource, int(idle.min()) if len(idle) else -1)
    return [_orbits(len(x), [x]) for x in (resource, of_group, of_member)]


def _join_ports(groups: Groups, maps: Ints, resource: Ints, idle: int) -> None:
    """Make crossbars and ports one class where their nodes are one, those of stacks aside idle ones."""
    names = groups.network.names
    first = int(groups.network.own.max(initial=-1)) + 1
    if first == len(names):
        return
    index = groups.network.package.index
    node = _orbits(maps.shape[1], [np.arange(maps.shape[1]), *maps])
    known = {(-1, "aside"): idle}
    for r in range(first, len(names)):
        name, port = names[r].rsplit(" ", 1)
        key = (-1, "aside") if port == "port" else (int(node[index[name]]), port)
        resource[r] = known.setdefault(key, r)


def _orbits_of_all(groups: Groups) -> list[Ints]:
    """Return the orbits of resources, groups and members of any network."""
    found = _generators(groups)
    count, resources = len(groups.requests), groups.network.num_resources
    sizes = count, resources, len(groups.nodes)
    group, resource, member = (
        _orbits(size, [np.arange(size), *(maps[place] for maps in found)]) for place, size in enumerate(sizes)
    )
    return [resource, group, member]


def _generators(groups: Groups) -> list[tuple[Ints, Ints, Ints]]:
    """Return generators of the automorphisms as maps of the groups, the resources and the members."""
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
    members = n + m + r + g + np.arange(len(owner))
    edges += [np.c_[requests[owner], members], np.c_[members, groups.origin]]
    ending = np.flatnonzero(groups.ends)
    edges.append(np.c_[groups.destination[ending], members[ending]])
    keys: list[object] = [*["vertex"] * n, *["arc"] * m]
    for name, capacity in zip(network.names, network.capacity.tolist(), strict=True):
        kind = [name.endswith(port) for port in (" crossbar", " injection", " ejection", " port")]
        keys.append(("resource", capacity, *kind))
    alone = set()  # members that must stay where they are: roots, and members of unequal shares
    for i, request in enumerate(groups.requests):
        nodes = groups.nodes[groups.start[i] : groups.start[i + 1]].tolist()
        if request.shares is not None:
            alone |= set(nodes)
        keys.append(("request", request.kind, request.size, len(nodes)))
    for request in groups.requests:
        special = request.members[0] if request.kind == "send" else request.root
        keys += [("member", name == special) for name in request.members]
    for node in alone:
        keys[int(network.origin[node])] = ("alone", node)
    known = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    graph = igraph.Graph(n=len(keys), edges=np.concatenate(edges).tolist(), directed=True)
    with callers_random_state():
        generators = graph.automorphism_group(color=[known[key] for key in keys])
    maps = [np.array(generator, np.int64) for generator in generators]
    return [
        (found[requests] - requests[0], found[resources] - resources[0], found[members] - members[0])
        for found in maps
    ]


def _orbits(size: int, maps: list[Ints]) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.tile(np.arange(size), len(maps))
    joined = coo_array((np.ones(len(rows)), (rows, np.concatenate(maps))), shape=(size, size))
    return np.asarray(connected_components(joined, directed=False)[1], np.int64)
