"""Recount of cuts and prices for the verification of collectives: names, networkx and plain recursion."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from noptoolkit.package import Chiplet, Memory, Package

if TYPE_CHECKING:
    from noptoolkit.collectives.requests import Request
    from noptoolkit.collectives.result import CollectiveResult

__all__ = ["cheapest_tree", "cut_faults", "least_cost", "price_faults"]

MOST_MEMBERS = 40  # of a group whose arborescences are found again
MOST_NODES = 300


def _split_graph(package: Package) -> list[tuple[str, str, float, str]]:
    """Return arcs between labels (nodes, cores, inputs), with their capacity and name."""
    arcs = []
    entry = {}
    for node in package.nodes:
        if isinstance(node, Memory):
            entry[node.name] = f"{node.name} (in)"
        else:
            entry[node.name] = node.name if node.crossbar_bandwidth is None else f"{node.name} input"
    for channel in package.channels:
        arcs.append((channel.tail, entry[channel.head], channel.bandwidth, channel.name))
    for node in package.nodes:
        name = node.name
        if isinstance(node, Memory):
            arcs.append((f"{name} reads", name, node.bandwidth, f"{name} port"))
            arcs.append((f"{name} (in)", f"{name} writes", node.bandwidth, f"{name} port"))
            continue
        if node.crossbar_bandwidth is not None:
            arcs.append((f"{name} input", name, node.crossbar_bandwidth, f"{name} crossbar"))
        if isinstance(node, Chiplet) and (node.injection_bandwidth or node.ejection_bandwidth):
            arcs.append((f"{name} core", name, node.injection_bandwidth or math.inf, f"{name} injection"))
            arcs.append((name, f"{name} core", node.ejection_bandwidth or math.inf, f"{name} ejection"))
    return arcs


def _home(package: Package, name: str, *, reads: bool) -> str:
    node = package[name]
    if isinstance(node, Memory):
        return f"{name} reads" if reads else f"{name} writes"
    if isinstance(node, Chiplet) and (node.injection_bandwidth or node.ejection_bandwidth):
        return f"{name} core"
    return name


def cut_faults(result: CollectiveResult, tolerance: float) -> list[str]:
    """Return what is wrong with a cut: its capacity, what must cross it, or its time."""
    cut, package = result.cut, result.package
    assert cut is not None
    if len(result.requests) != 1:
        return ["a cut stands for several requests"]
    request = result.requests[0]
    part_of = {label: p for p, part in enumerate(cut.parts) for label in part}
    capacity = 0.0
    used = set()
    for u, v, width, _name in _split_graph(package):
        a, b = part_of.get(u), part_of.get(v)
        if a is None or b is None or a == b:
            continue
        if cut.way == "between" or (a, b) == ((0, 1) if cut.way == "out of" else (1, 0)):
            capacity += width
            used.add((u, v))
    faults = []
    if abs(capacity - cut.capacity) > tolerance * max(capacity, cut.capacity):
        faults.append(f"the cut has {capacity!r} B/s, not {cut.capacity!r} B/s")
    demand = _must_cross(package, request, part_of, cut.way, len(cut.parts))
    if abs(demand - cut.demand) > tolerance * max(demand, cut.demand):
        faults.append(f"{demand!r} B must cross the cut, not {cut.demand!r} B")
    if capacity > 0 and abs(demand / capacity - result.time_bound) > tolerance * result.time_bound:
        faults.append(f"the cut proves {demand / capacity!r} s, not {result.time_bound!r} s")
    return faults


def _must_cross(package: Package, request: Request, part_of: dict[str, int], way: str, parts: int) -> float:
    """Return the bytes that must cross a cut, counted from the request."""

    def part(name: str, *, reads: bool) -> int | None:
        return part_of.get(_home(package, name, reads=reads))

    members = request.members
    if request.motion == "both":
        held = {part(name, reads=True) for name in members}
        if held != set(range(parts)):
            return 0.0  # a part without a member: nothing need enter it
        return 2.0 * (parts - 1) * request.size if way == "between" else request.size
    spreads = way == "out of"
    if request.motion == "exchange":
        pairs = request.pair_bytes()
        inside = [part(name, reads=True) == 0 for name in members]
        lands = [part(name, reads=False) == 0 for name in members]
        total = 0.0
        for i in range(len(members)):
            for j in range(len(members)):
                leaves = (inside[i] and not lands[j]) if spreads else (not inside[i] and lands[j])
                total += float(pairs[i, j]) if leaves else 0.0
        return total
    shares = request.share_bytes()
    other = [part(name, reads=not spreads) for name in members]
    if all(p == 0 for p in other):
        return 0.0  # no member outside
    return float(
        sum(x for name, x in zip(members, shares.tolist(), strict=True) if part(name, reads=spreads) == 0)
    )


def price_faults(result: CollectiveResult, tolerance: float) -> tuple[list[str], list[str]]:
    """Return what is wrong with the prices, and what was too much to check."""
    import networkx as nx

    package = result.package
    largest = max(len(request.members) for request in result.requests)
    trees = any(request.motion != "exchange" for request in result.requests)
    if len(package.nodes) > MOST_NODES or (trees and largest > MOST_MEMBERS):
        return [], ["the prices behind the bound: too many nodes or members to price again"]
    price = {name: float(p) for name, p in zip(result.network.names, result.prices, strict=True)}
    capacity = dict(zip(result.network.names, result.network.capacity.tolist(), strict=True))
    least = 1e-12 * sum(p * capacity[name] for name, p in price.items()) / max(len(price), 1)
    price = {name: max(p, least / capacity[name]) for name, p in price.items()}
    worth = sum(p * capacity[name] for name, p in price.items())
    graph: nx.DiGraph[Any] = nx.DiGraph()
    for arc, (tail, head) in enumerate(_arc_ends(result)):
        length = sum(price[result.network.names[r]] for r in _uses(result, arc))
        graph.add_edge(tail, head, length=length)
    total = 0.0
    for request in result.requests:
        members = list(request.members)
        cost: dict[tuple[int, int], float] = {}
        for i, u in enumerate(members):
            reached = nx.single_source_dijkstra_path_length(graph, _vertex(package, u, True), weight="length")
            for j, v in enumerate(members):
                to = _vertex(package, v, False)
                if i != j and to in reached:
                    ports = price.get(f"{u} injection", 0.0) + price.get(f"{v} ejection", 0.0)
                    for name in (u, v):
                        ports += price.get(f"{name} port", 0.0)
                    cost[i, j] = reached[to] + ports
        total += least_cost(request, cost)
    faults = []
    if total / worth < result.time_bound * (1 - max(tolerance, 1e-6)):
        faults.append(f"the prices prove {total / worth!r} s, less than {result.time_bound!r} s")
    return faults, []


def _arc_ends(result: CollectiveResult) -> list[tuple[int, int]]:
    network = result.network
    return list(zip(network.tail.tolist(), network.head.tolist(), strict=True))


def _vertex(package: Package, name: str, reads: bool) -> int:
    memories = [memory.name for memory in package.memories]
    if name in memories and not reads:
        return len(package.nodes) + memories.index(name)
    return package.index[name]


def _uses(result: CollectiveResult, arc: int) -> list[int]:
    package, network = result.package, result.network
    used = [int(network.own[arc])]
    head = int(network.head[arc])
    if head < len(package.nodes) and getattr(package.nodes[head], "crossbar_bandwidth", None) is not None:
        used.append(network.names.index(f"{package.nodes[head].name} crossbar"))
    return used


def least_cost(request: Request, cost: dict[tuple[int, int], float]) -> float:
    """Return what any schedule must pay for a request under costs between its members."""
    count = len(request.members)
    if request.motion == "exchange":
        pairs = request.pair_bytes()
        return float(sum(float(pairs[i, j]) * c for (i, j), c in cost.items() if pairs[i, j] > 0))
    back = {(j, i): c for (i, j), c in cost.items()}
    if request.motion == "both":
        levels = sorted({min(c, back[pair]) for pair, c in cost.items()})
        return request.size * max(_least_of_parties(*_parties(count, cost, x)) for x in [-1.0, *levels])
    shares = request.share_bytes().tolist()
    used = back if request.motion == "collect" else cost
    return float(sum(x * cheapest_tree(count, v, used) for v, x in enumerate(shares) if x > 0))


def _parties(
    count: int, cost: dict[tuple[int, int], float], level: float
) -> tuple[int, dict[tuple[int, int], float]]:
    """Make members one party that are linked by steps of at most a level; return their number and costs."""
    import networkx as nx

    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(pair for pair, c in cost.items() if c <= level * (1 + 1e-9))
    party = {v: p for p, found in enumerate(nx.connected_components(graph)) for v in found}
    smaller: dict[tuple[int, int], float] = {}
    for (u, v), c in cost.items():
        pair = party[u], party[v]
        if pair[0] != pair[1]:
            smaller[pair] = min(smaller.get(pair, math.inf), c)
    return len(set(party.values())), smaller


def _least_of_parties(count: int, cost: dict[tuple[int, int], float]) -> float:
    if count < 2:
        return 0.0
    back = {(j, i): c for (i, j), c in cost.items()}
    into = [min(cost[i, j] for i in range(count) if i != j) for j in range(count)]
    out = [min(cost[i, j] for j in range(count) if i != j) for i in range(count)]
    forth = min(cheapest_tree(count, v, back) + sum(into) - into[v] for v in range(count))
    again = min(cheapest_tree(count, v, cost) + sum(out) - out[v] for v in range(count))
    return max(forth, again)


def cheapest_tree(count: int, root: int, cost: dict[tuple[int, int], float]) -> float:
    """Return the cost of a minimum arborescence by recursive contraction (Chu and Liu, Edmonds).

    Examples
    --------
    >>> cheapest_tree(3, 0, {(0, 1): 5.0, (0, 2): 1.0, (2, 1): 1.0, (1, 2): 1.0})
    2.0
    """
    entering: dict[int, tuple[float, int]] = {}
    for (u, v), c in cost.items():
        if v != root and u != v and c < entering.get(v, (math.inf, -1))[0]:
            entering[v] = (c, u)
    if len(entering) < count - 1:
        return math.inf
    total = sum(c for c, _ in entering.values())
    mark: dict[int, int] = {root: root}
    label: dict[int, int] = {}
    for start in range(count):
        v = start
        while v not in mark:
            mark[v] = start
            v = entering[v][1]
        if v != root and mark[v] == start and v not in label:
            u = entering[v][1]
            label[v] = v
            while u != v:
                label[u] = v
                u = entering[u][1]
    if not label:
        return total
    names: dict[int, int] = {}
    for v in range(count):
        names.setdefault(label.get(v, v), len(names))
    smaller: dict[tuple[int, int], float] = defaultdict(lambda: math.inf)
    for (u, v), c in cost.items():
        a, b = names[label.get(u, u)], names[label.get(v, v)]
        if a != b and v != root:
            smaller[a, b] = min(smaller[a, b], c - entering[v][0])
    return total + cheapest_tree(len(names), names[label.get(root, root)], dict(smaller))
