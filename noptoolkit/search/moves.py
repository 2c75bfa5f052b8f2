"""Moves from one structure to a near one: links, hubs and groups, places, and which nodes copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from noptoolkit.bounds import TopologyClass
from noptoolkit.search.graphs import Edges
from noptoolkit.search.structure import Structure, bare, keeps_rules, needed_nodes, placed, same_outline

__all__ = ["filled", "moved", "random_structure", "starts"]

Links = dict[tuple[int, int], int]
Rng = np.random.Generator


def _links(edges: Edges) -> Links:
    return {(a, b): count for a, b, count in edges}


def _edges(links: Links) -> Edges:
    return tuple(sorted((a, b, count) for (a, b), count in links.items() if count))


def _add(links: Links, a: int, b: int, more: int = 1) -> None:
    pair = (min(a, b), max(a, b))
    links[pair] = links.get(pair, 0) + more


def filled(within: TopologyClass, structure: Structure, rng: Rng) -> Structure:
    """Return a structure with what links still fit, in random order; none to a switch that has no other."""
    here = placed(within, structure)
    allowed, length = here.allowed, here.length
    links = _links(structure.edges)
    left = within.node_ports.astype(np.int64)
    wire = np.inf if within.wire is None else within.wire + 1e-9
    total = np.inf if within.total is None else within.total + 1e-9
    for (a, b), count in links.items():
        left[[a, b]] -= count
        wire -= count * length[a, b]
        total -= count
    used = np.zeros(len(within.nodes), bool)
    used[: len(within)] = True
    used[[end for pair in links for end in pair]] = True
    while total >= 1:
        free = (left > 0) & used
        may = np.triu(allowed & free[:, None] & free[None] & (length <= wire))
        if within.links == "single":
            for a, b in links:
                may[a, b] = False
        pairs = np.argwhere(may)
        if not len(pairs):
            break
        a, b = pairs[int(rng.integers(len(pairs)))].tolist()
        _add(links, a, b)
        left[[a, b]] -= 1
        wire -= length[a, b]
        total -= 1
    return replace(structure, edges=_edges(links))


def _swapped(within: TopologyClass, structure: Structure, rng: Rng) -> Structure | None:
    """Exchange the far ends of two links."""
    links = _links(structure.edges)
    if len(links) < 2:
        return None
    pairs = list(links)
    first, second = (pairs[i] for i in rng.choice(len(pairs), 2, replace=False).tolist())
    a, b = first
    c, d = second if rng.random() < 0.5 else second[::-1]
    if len({a, b, c, d}) < 4:
        return None
    for pair in (first, second):
        links[pair] -= 1
    _add(links, a, c)
    _add(links, b, d)
    return replace(structure, edges=_edges(links))


def _end_moved(within: TopologyClass, structure: Structure, rng: Rng) -> Structure | None:
    """Move one end of a link to any node with a free port: groups split, merge, and take in switches."""
    links = _links(structure.edges)
    used = np.zeros(len(within.nodes), np.int64)
    for (a, b), count in links.items():
        used[[a, b]] += count
    pair = list(links)[int(rng.integers(len(links)))]
    stays, _ = pair if rng.random() < 0.5 else pair[::-1]
    free = [v for v in np.flatnonzero(used < within.node_ports).tolist() if v not in pair]
    if not free:
        return None
    links[pair] -= 1
    _add(links, stays, int(rng.choice(free)))
    return replace(structure, edges=_edges(links))


def _inserted(within: TopologyClass, structure: Structure, rng: Rng) -> Structure | None:
    """Put a switch that is not used into a link, a hub for what is moved to it next."""
    links = _links(structure.edges)
    unused = set(range(len(within), len(within.nodes))) - {end for pair in links for end in pair}
    if not unused:
        return None
    pair = list(links)[int(rng.integers(len(links)))]
    switch = int(rng.choice(sorted(unused)))
    links[pair] -= 1
    _add(links, pair[0], switch)
    _add(links, pair[1], switch)
    return replace(structure, edges=_edges(links))


def _removed(within: TopologyClass, structure: Structure, rng: Rng) -> Structure | None:
    """Take a link away: what costs is not always worth its cost."""
    links = _links(structure.edges)
    links[list(links)[int(rng.integers(len(links)))]] -= 1
    return replace(structure, edges=_edges(links))


def _added(within: TopologyClass, structure: Structure, rng: Rng) -> Structure | None:
    """Add one link where ports are free."""
    full = filled(within, structure, rng)
    before, after = _links(structure.edges), _links(full.edges)
    more = [pair for pair in after if after[pair] > before.get(pair, 0)]
    if not more:
        return None
    _add(before, *more[int(rng.integers(len(more)))])
    return replace(structure, edges=_edges(before))


def _exchanged(within: TopologyClass, structure: Structure, rng: Rng) -> Structure | None:
    """Exchange two nodes in the graph; of chiplets whose places may change, the places too."""
    a, b = rng.choice(len(within.nodes), 2, replace=False).tolist()
    other = {a: b, b: a}
    links: Links = {}
    for u, v, count in structure.edges:
        _add(links, other.get(u, u), other.get(v, v), count)
    place = list(structure.place)
    if within.movable and max(a, b) < len(within) and same_outline(within, a, b):
        place[a], place[b] = place[b], place[a]
    copiers = tuple(sorted(other.get(v, v) for v in structure.copiers))
    return Structure(_edges(links), tuple(place), copiers)


def _copier_changed(within: TopologyClass, structure: Structure, rng: Rng) -> Structure | None:
    """Let another node copy in place of one."""
    others = sorted(set(range(len(within.nodes))) - set(structure.copiers))
    if not others or not structure.copiers:
        return None
    gone = int(rng.choice(list(structure.copiers)))
    kept = {*structure.copiers, int(rng.choice(others))} - {gone}
    return replace(structure, copiers=tuple(sorted(kept)))


Move = Callable[[TopologyClass, Structure, Rng], Structure | None]


def moved(within: TopologyClass, structure: Structure, rng: Rng, *, fill: bool) -> Structure | None:
    """Return a near structure of the class, or ``None`` if the move that was drawn leads to none.

    Parameters
    ----------
    fill
        Whether further links cannot harm, so that free ports are used.
    """
    moves: list[Move] = [_swapped, _swapped, _end_moved, _exchanged]
    if within.switches:
        moves += [_end_moved, _inserted]
    if isinstance(within.copiers, int) and within.copiers:
        moves += [_copier_changed, _copier_changed]
    if not fill or within.wire is not None or within.total is not None:
        moves += [_removed, _added]
    then = moves[int(rng.integers(len(moves)))](within, structure, rng)
    if then is None:
        return None
    if fill:
        then = filled(within, then, rng)
    return then if then != structure and keeps_rules(within, then) else None


def random_structure(within: TopologyClass, rng: Rng, tries: int = 200) -> Structure | None:
    """Return a random structure, a spanning tree first; ``None`` if none of some tries hangs together."""
    for _ in range(tries):
        links: Links = {}
        left = within.node_ports.astype(np.int64)
        size = len(within)
        switches = rng.permutation(np.arange(size, len(within.nodes)))
        used = [*range(size), *switches[: int(rng.integers(len(switches) + 1))].tolist()]
        order = sorted(used, key=lambda v: -left[v] + 1.5 * rng.random())  # leaves come last
        inside, allowed = [order[0]], within.allowed
        for v in order[1:]:
            near = [u for u in inside if left[u] > 0 and allowed[u, v]]
            if near:
                u = int(rng.choice(near))
                _add(links, u, v)
                left[[u, v]] -= 1
                inside.append(v)
        found = filled(within, bare(within, _edges(links)), rng)
        if keeps_rules(within, found):
            return bare(within, found.edges)
    return None


def starts(within: TopologyClass, rng: Rng) -> list[Structure]:
    """Return where a search begins: the template, hubs and groups, and a random structure."""
    found = []
    if within.template is not None:
        number = {name: i for i, name in enumerate(within.nodes)}
        links: Links = {}
        for link in within.template.links:
            if link.a in number and link.b in number:
                _add(links, number[link.a], number[link.b])
        found.append(bare(within, _edges(links)))
    found += [bare(within, _grouped(within, count)) for count in range(1, len(within.switches) + 1)]
    made = random_structure(within, rng)
    full = [filled(within, one, rng) for one in found if keeps_rules(within, one)]
    kept = [*found, *full, *([] if made is None else [made])]
    return [one for one in dict.fromkeys(kept) if keeps_rules(within, one)]


def _grouped(within: TopologyClass, count: int) -> Edges:
    """Return groups of chiplets, each round a switch, the largest first, below the chiplet of most ports."""
    size = len(within)
    switches = (size + np.argsort(-np.array(within.switches), kind="stable")[:count]).tolist()
    root = int(np.argmax(within.ports))
    members = [v for v in range(size) if v != root]
    links: Links = {}
    if count > 1 and within.ports[root] < count:  # too few ports for all groups: they hang on the first
        for other in switches[1:]:
            _add(links, switches[0], other)
        _add(links, root, switches[0])
    else:
        for switch in switches:
            _add(links, root, switch)
    for i, v in enumerate(members):
        _add(links, v, switches[i * count // len(members)])
    for switch in needed_nodes(within)[size:]:
        if switch not in switches:  # a stack hangs on it
            _add(links, switches[0], switch)
    return _edges(links)
