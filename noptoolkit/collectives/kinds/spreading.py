"""All-gather, broadcast, reduce-scatter and reduce of one group: the exact cut, and trees that reach it.

To 64 members the trees are exact (`noptoolkit.collectives.exact.exact_trees`); where more members are all
vertices of the network they are laid and re-laid (`noptoolkit.collectives.groups.relaying`) to within the
tolerance. A collecting kind is the spreading one on the network with its arcs turned round.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.collectives.exact.cuts import spreading_cut
from noptoolkit.collectives.exact.exact_trees import exact_trees
from noptoolkit.collectives.exact.integer_graph import IntegerGraph, integer_graph, whole_numbers
from noptoolkit.collectives.groups.relaying import lay_spreading
from noptoolkit.collectives.values.answers import Answer, ProvedBound, cut_in, cut_out
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees
from noptoolkit.collectives.values.theorems import EDMONDS
from noptoolkit.network import FlowNetwork

__all__ = ["member_nodes", "spread_or_collect"]

EXACT_TREES = 64  # members up to which trees are exact; beyond, re-laid to within the tolerance first
MOST_EXACT_TREES = 150  # vertices


def spread_or_collect(
    network: FlowNetwork, request: Request, tol: float
) -> tuple[ProvedBound, Answer | None, str]:
    """Return the exact bound of a spreading or collecting kind, a schedule if one is found, and a note.

    Parameters
    ----------
    network
        Without half-duplex links.
    tol
        Gap at which a schedule of a large package is good enough.
    """
    collects = request.motion == "collect"
    shares = request.share_bytes()
    weights, _, _ = whole_numbers(shares, 2**16)
    graph = integer_graph(network, weight=int(weights.sum()))
    if collects:
        graph = graph.reversed()
    nodes = member_nodes(network, request)
    sources, targets = graph.origin[nodes], graph.destination[nodes]
    members = np.unique(np.r_[sources[weights > 0], targets])
    root = nodes[request.members.index(request.root)] if request.root is not None else -1
    receives = np.array([graph.origin[v] == graph.destination[v] or v != root for v in nodes])
    targets = targets[receives]
    members = np.unique(np.r_[sources[weights > 0], targets])
    graph = graph.without_dead_ends(members)
    found = spreading_cut(graph, sources, weights, targets)
    inside = found.inside
    held = float(shares[inside[sources]].sum())
    verb = "others must contribute to" if collects else "a member outside must receive"
    make = cut_in if collects else cut_out
    count = int((shares[inside[sources]] > 0).sum())
    cut = make(graph, inside, held, f"{verb} {count} shares", network.names)
    bound = ProvedBound(cut.time, "slowest cut, exact in integers", cut=cut)
    note = _relay_note(graph, members)
    if note:
        return bound, None, note
    schedule: CollectiveSchedule | None = None
    touched = np.union1d(graph.tail, graph.head)
    # relays, ports and crossbars need the exact method; so do few members
    everyone = len(touched) == len(members) == len(nodes) and bool((graph.arc >= 0).all())
    method = "arborescences packed in integers"
    if len(nodes) > EXACT_TREES and everyone:
        schedule, time = lay_spreading(graph, network, nodes, shares, bound.time, goal=tol, collects=collects)
        method = "arborescences laid and re-laid"
        if time > bound.time * (1 + tol) and len(nodes) <= MOST_EXACT_TREES:
            schedule = None
    if schedule is None and len(touched) <= MOST_EXACT_TREES:
        method = "arborescences packed in integers"
        schedule = _packed(graph, network, found.ratio, sources, weights, shares, members, collects)
    if schedule is None:
        return bound, None, ""
    return bound, Answer(schedule.use(), method, (bound,), schedule, EDMONDS), ""


def _packed(
    graph: IntegerGraph,
    network: FlowNetwork,
    ratio: Fraction,
    sources: Ints,
    weights: Ints,
    shares: Floats,
    members: Ints,
    collects: bool,
) -> CollectiveSchedule | None:
    trees = exact_trees(graph, ratio, sources, weights, members)
    if trees is None:
        return None
    bytes_at = dict(zip(sources.tolist(), shares.tolist(), strict=True))
    vertex_of = _vertex_of(graph, network, collects)
    rows = TreeRows()
    for tree in trees:
        paths = [[int(graph.arc[e]) for e in path if graph.arc[e] >= 0] for path in tree.paths]
        if collects:
            paths = [path[::-1] for path in reversed(paths)]
        amount = bytes_at[tree.root] * tree.units / tree.of_units
        at = vertex_of[tree.root]
        rows.add(0, at, amount, paths, collects=collects, part=at)
    return schedule_of_trees(network, rows)


def _vertex_of(graph: IntegerGraph, network: FlowNetwork, collects: bool) -> dict[int, int]:
    """Return the network's vertex of each vertex at which data starts (or is collected)."""
    homes = network.destination if collects else network.origin
    return dict(zip(graph.origin.tolist(), homes.tolist(), strict=True))


def _relay_note(graph: IntegerGraph, members: Ints) -> str:
    """Return why the cut need not be reached, a relay with unequal capacities in and out; else nothing."""
    name = graph.unbalanced_relay(members)
    if name is None:
        return ""
    return (
        f"relay {name!r} has more capacity on one side than on the other: "
        "the slowest cut is a bound that trees need not reach"
    )


def member_nodes(network: FlowNetwork, request: Request) -> Ints:
    """Return the nodes of a request's members, [members]."""
    index = network.package.index
    return np.array([index[name] for name in request.members], np.int64)
