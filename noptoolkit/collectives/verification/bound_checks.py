"""Recount of cuts and prices for the verification of collectives: names, networkx and plain recursion."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from noptoolkit.collectives.verification.claim_checks import capacities_of
from noptoolkit.package import Chiplet, Memory, Package

if TYPE_CHECKING:
    from noptoolkit.collectives.result import CollectiveResult
    from noptoolkit.collectives.values.requests import Request

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
    """Return what is wrong with a cut: its parts, its channels, what must cross it, or its time."""
    cut, package = result.cut, result.package
    assert cut is not None
    if len(result.requests) != 1:
        return ["a cut stands for several requests"]
    request = result.requests[0]
    arcs = _split_graph(package)
    labels = {label for tail, head, _, _ in arcs for label in (tail, head)}
    placed = [label for part in cut.parts for label in part]
    faults = [f"{label!r} of the cut is no node of the package" for label in sorted(set(placed) - labels)]
    if len(set(placed)) < len(placed) or len(cut.parts) < 2 or not all(cut.parts):
        faults.append("a part of the cut is empty, or a node is in two parts")
    part_of = {label: p for p, part in enumerate(cut.parts) for label in part}
    arcs = _live_arcs(package, request, arcs)
    lost = {label for tail, head, _, _ in arcs for label in (tail, head)} - set(part_of)
    if lost:
        return [*faults, f"{sorted(lost)[0]!r} is in no part of the cut"]
    capacity = 0.0
    crossing: dict[tuple[str, str], str] = {}  # parallel channels stand under the first one's name
    for u, v, width, name in arcs:
        a, b = part_of[u], part_of[v]
        if a != b and (cut.way == "between" or (a, b) == ((0, 1) if cut.way == "out of" else (1, 0))):
            capacity += width
            crossing.setdefault((u, v), name)
    if cut.way not in ("out of", "into", "between"):
        faults.append(f"a cut goes out of, into or between parts, not {cut.way!r}")
    if sorted(crossing.values()) != sorted(cut.resources):
        faults.append("the cut names other channels than those that cross it")
    demand = _must_cross(package, request, part_of, cut.way, len(cut.parts))
    if not (capacity > 0 and demand > 0 and math.isfinite(capacity)):
        return [*faults, f"the cut proves nothing: {demand!r} B over {capacity!r} B/s"]
    for what, mine, given in (
        ("B/s wide", capacity, cut.capacity),
        ("B that must cross", demand, cut.demand),
        ("s", demand / capacity, cut.time),
        ("s of bound", demand / capacity, result.time_bound),
    ):
        if not math.isclose(mine, given, rel_tol=tolerance):
            faults.append(f"the cut proves {mine!r} {what}, not {given!r}")
    return faults


def _live_arcs(
    package: Package, request: Request, arcs: list[tuple[str, str, float, str]]
) -> list[tuple[str, str, float, str]]:
    """Return the arcs on a walk from a member to a member: what ends elsewhere can carry nothing."""

    def reached(start: set[str], forward: bool) -> set[str]:
        after: dict[str, list[str]] = defaultdict(list)
        for tail, head, _, _ in arcs:
            after[tail if forward else head].append(head if forward else tail)
        queue = list(start)
        for label in queue:
            for other in after[label]:
                if other not in start:
                    start.add(other)
                    queue.append(other)
        return start

    senders, receivers = set(request.members), set(request.members)
    for name in request.members:  # a memory stack stands at one end only
        if isinstance(package[name], Memory):
            first = request.kind in ("broadcast", "scatter") or name == request.members[0]
            (receivers if first and request.kind not in ("reduce", "gather") else senders).discard(name)
    ahead = reached({_home(package, name, reads=True) for name in senders}, True)
    behind = reached({_home(package, name, reads=False) for name in receivers}, False)
    return [arc for arc in arcs if arc[0] in ahead and arc[1] in behind]


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


def price_faults(
    result: CollectiveResult, tolerance: float, *, trees: bool = False
) -> tuple[list[str], list[str]]:
    """Return what is wrong with the prices behind a bound, and what was too much to check.

    Parameters
    ----------
    trees
        Whether the bound is that on schedules in trees, which must then be no more and no less.
    """
    import networkx as nx

    package = result.package
    bound = result.time_bound_trees if trees else result.time_bound
    given = result.prices_trees if trees else result.prices
    if given is None:
        return ["the bound in trees has no prices"], []
    largest = max(len(request.members) for request in result.requests)
    grown = any(request.motion != "exchange" for request in result.requests)
    if len(package.nodes) > MOST_NODES or (grown and largest > MOST_MEMBERS):
        return [], ["the prices behind the bound: too many nodes or members to price again"]
    capacity = capacities_of(package)
    price = {name: float(p) for name, p in zip(result.network.names, given, strict=True)}
    worth = sum(p * capacity[name] for name, p in price.items())
    if not (worth > 0 and min(price.values()) >= 0):
        return ["the prices are all 0, or some are negative: they prove nothing"], []
    least = 1e-12 * worth / len(price)
    price = {name: max(p, least / capacity[name]) for name, p in price.items()}
    worth = sum(p * capacity[name] for name, p in price.items())
    graph = _priced_graph(package, price, set(result.non_forwarding))
    total = 0.0
    for request in result.requests:
        members = list(request.members)
        cost: dict[tuple[int, int], float] = {}
        for i, u in enumerate(members):
            reached = nx.single_source_dijkstra_path_length(graph, (u, "out"), weight="length")
            for j, v in enumerate(members):
                if i != j and (v, "in") in reached:
                    ports = price.get(f"{u} injection", 0.0) + price.get(f"{v} ejection", 0.0)
                    for name in (u, v):
                        ports += price.get(f"{name} port", 0.0)
                    cost[i, j] = reached[v, "in"] + ports
        ends = {i for i, name in enumerate(members) if name in result.non_forwarding}
        total += least_cost(request, cost, trees=trees, ends=ends)
    slack = max(tolerance, 1e-6)
    where = " in trees" if trees else ""
    if not total / worth >= bound * (1 - slack):
        return [f"the prices prove {total / worth!r} s, less than {bound!r} s{where}"], []
    if trees and not total / worth <= bound * (1 + 10 * slack):
        return [f"the prices prove {total / worth!r} s, not only {bound!r} s{where}"], []
    return [], []


def _priced_graph(package: Package, price: dict[str, float], closed: set[str]) -> Any:
    """Return nodes as (name, "in") and (name, "out"), joined where a node forwards; arcs as long as dear."""
    import networkx as nx

    graph: nx.DiGraph[Any] = nx.DiGraph()
    lead: dict[object, str] = {}
    for node in package.nodes:
        if not isinstance(node, Memory) and node.name not in closed:
            graph.add_edge((node.name, "in"), (node.name, "out"), length=0.0)
        else:
            graph.add_nodes_from([(node.name, "in"), (node.name, "out")])
    channels = iter(package.channels)
    for link in package.links:
        for tail, head, width in (
            (link.a, link.b, link.bandwidth),
            (link.b, link.a, link.backward_bandwidth),
        ):
            if width <= 0:
                continue
            name = next(channels).name
            name = lead.setdefault(frozenset((tail, head)) if link.half_duplex else (tail, head), name)
            length = price[name] + price.get(f"{head} crossbar", 0.0)
            ends = (tail, "out"), (head, "in")
            if not graph.has_edge(*ends) or graph.edges[ends]["length"] > length:
                graph.add_edge(*ends, length=length)
    return graph


def least_cost(
    request: Request,
    cost: dict[tuple[int, int], float],
    *,
    trees: bool = False,
    ends: Collection[int] = (),
) -> float:
    """Return what any schedule (or any in trees) must pay for a request under costs between its members.

    Parameters
    ----------
    ends
        Members that send nothing but what is their own.
    """

    def out_of(v: int) -> dict[tuple[int, int], float]:
        return {(i, j): c for (i, j), c in cost.items() if i == v or i not in ends}

    def into(v: int) -> dict[tuple[int, int], float]:
        return {(j, i): c for (i, j), c in cost.items() if j == v or j not in ends}

    count = len(request.members)
    if request.motion == "exchange":
        pairs = request.pair_bytes()
        return float(sum(float(pairs[i, j]) * c for (i, j), c in cost.items() if pairs[i, j] > 0))
    back = {(j, i): c for (i, j), c in cost.items()}
    if request.motion == "both" and trees:
        pairs_of_trees = (
            cheapest_tree(count, v, into(v)) + cheapest_tree(count, v, out_of(v)) for v in range(count)
        )
        return request.size * min(pairs_of_trees)
    if request.motion == "both":
        levels = sorted({min(c, back[pair]) for pair, c in cost.items()})
        least = max(_least_of_parties(*_parties(count, cost, x)) for x in [-1.0, *levels])
        if ends:
            near = [min(c for (_, j), c in cost.items() if j == v) for v in range(count)]
            least = max(
                least, min(cheapest_tree(count, v, into(v)) + sum(near) - near[v] for v in range(count))
            )
        return request.size * least
    shares = request.share_bytes().tolist()
    used = into if request.motion == "collect" else out_of
    return float(sum(x * cheapest_tree(count, v, used(v)) for v, x in enumerate(shares) if x > 0))


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
