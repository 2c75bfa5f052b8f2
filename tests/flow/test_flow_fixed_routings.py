"""Fixed routings against path enumeration, closed forms and each other."""

import dataclasses
import itertools

import networkx as nx
import numpy as np
import pytest
from flow_cases import all_to_all, from_graph, random_package, random_traffic

from noptoolkit import Chiplet, Link, Memory, Package, topology
from noptoolkit.errors import RoutingError, UnknownNameError
from noptoolkit.flow import congestion
from noptoolkit.network import flow_network
from noptoolkit.routing import UpDown, check_deadlock, forwarding, hop_loads, zero_load_latency
from noptoolkit.routing.dimension_order_loads import dimension_order_load
from noptoolkit.routing.dimension_order_routing import dimension_order
from noptoolkit.routing.forwarding import in_parts, push, take_first
from noptoolkit.routing.hops import eccentricity, plain_graph, search_hops, set_bits
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.rules import ROUTINGS
from noptoolkit.study import resilience
from noptoolkit.traffic import from_matrix

FORWARDED = sorted(name for name, method in ROUTINGS.items() if method.forward is not None)


def grid(rows, columns, wrap=False, extras=False):
    nodes = [
        Chiplet(f"e{r},{c}", role="expert", position=(c * 1e-2, r * 1e-2), latency=1.0)
        for r, c in np.ndindex(rows, columns)
    ]
    links = []
    for r, c in np.ndindex(rows, columns):
        for dr, dc, length, at in ((0, 1, columns, c), (1, 0, rows, r)):
            if at + 1 < length or (wrap and length > 2):
                other = f"e{(r + dr) % rows},{(c + dc) % columns}"
                links.append(Link(f"e{r},{c}", other, 1.0, latency=0.25))
    if extras:
        nodes.append(Chiplet("attn", role="attention", position=(-1e-2, (rows - 1) / 2 * 1e-2)))
        links += [Link("attn", f"e{r},0", 1.0) for r in range(rows)]
        nodes.append(Memory("hbm", bandwidth=4.0))
        links += [Link("hbm", f"e{r},{columns - 1}", 1.0) for r in range(rows)]
    return Package("grid", nodes, links)


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (3, 5), (2, 6), (1, 5)])
def test_dor_on_a_mesh_walks_x_then_y(rows, columns):
    package = grid(rows, columns)
    traffic = random_traffic(package, 1)
    load = dict.fromkeys((channel.name for channel in package.channels), 0.0)
    names = traffic.endpoints
    for i, j in np.argwhere(traffic.demand > 0):
        (r, c), (r2, c2) = (tuple(map(int, names[k][1:].split(","))) for k in (i, j))
        while (r, c) != (r2, c2):
            step = (r, c + np.sign(c2 - c)) if c != c2 else (r + np.sign(r2 - r), c)
            load[f"e{r},{c}->e{step[0]},{step[1]}"] += traffic.demand[i, j]
            r, c = step
    flow = congestion(package, traffic, routing="dor")
    np.testing.assert_allclose(flow.load, list(load.values()), rtol=1e-12)
    assert flow.verify()


@pytest.mark.parametrize(("size", "expected"), [(4, 8), (6, 27), (5, 15)])
def test_dor_on_a_torus_is_optimal_for_all_to_all(size, expected):
    package = grid(size, size, wrap=True)
    assert congestion(package, all_to_all(package), routing="dor").time == pytest.approx(expected)


def test_dor_with_attention_and_memory_on_the_edges():
    package = grid(3, 4, extras=True)
    demand = np.zeros((14, 14))
    names = (*package.terminals, "hbm")
    demand[names.index("attn"), names.index("e2,1")] = 1.0
    demand[names.index("hbm"), names.index("e0,0")] = 2.0
    demand[names.index("e1,2"), names.index("attn")] = 4.0
    flow = congestion(package, from_matrix(package, demand, endpoints=names), routing="dor")
    used = {c.name: x for c, x in zip(package.channels, flow.load, strict=True) if x > 0}
    assert used == {
        "attn->e2,0": 1.0, "e2,0->e2,1": 1.0,
        "hbm->e0,3": 2.0, "e0,3->e0,2": 2.0, "e0,2->e0,1": 2.0, "e0,1->e0,0": 2.0,
        "e1,2->e1,1": 4.0, "e1,1->e1,0": 4.0, "e1,0->attn": 4.0,
    }  # fmt: skip
    assert flow.verify()


def test_dor_needs_a_whole_grid():
    package = grid(3, 3)
    for broken in (package.without("e1,1"), package.without("e0,0->e0,1"), from_graph(nx.petersen_graph())):
        with pytest.raises(RoutingError, match="dor needs a grid"):
            congestion(broken, all_to_all(broken), routing="dor")


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (5, 6), (3, 8)])
def test_dor_on_a_folded_torus_is_dor_on_the_torus(rows, columns):
    """Folding moves nodes, not links: the times of all-to-all agree, and so do the deadlocks."""
    folded, plain = (
        build(rows, columns, link_bandwidth=1.0) for build in (topology.folded_torus, topology.torus)
    )
    flow = congestion(folded, all_to_all(folded), routing="dor")
    assert flow.time == pytest.approx(congestion(plain, all_to_all(plain), routing="dor").time)
    assert flow.verify()
    np.testing.assert_allclose(
        np.sort(flow.load), np.sort(congestion(plain, all_to_all(plain), routing="dor").load)
    )
    assert check_deadlock(folded, routing="dor", datelines=True).free


def test_dor_on_a_flattened_butterfly_takes_one_hop_per_dimension():
    package = topology.flattened_butterfly(4, 5, link_bandwidth=1.0)
    traffic = random_traffic(package, 4)
    load = dict.fromkeys((channel.name for channel in package.channels), 0.0)
    names = traffic.endpoints
    for i, j in np.argwhere(traffic.demand > 0):
        turn = names[5 * (i // 5) + j % 5]
        for a, b in itertools.pairwise((names[i], turn, names[j])):
            if a != b:
                load[f"{a}->{b}"] += traffic.demand[i, j]
    flow = congestion(package, traffic, routing="dor")
    np.testing.assert_allclose(flow.load, list(load.values()), rtol=1e-12)
    assert flow.verify()
    assert congestion(package, all_to_all(package), routing="dor").status == "exact"
    assert check_deadlock(package, routing="dor").free
    assert not check_deadlock(package, routing="ecmp").free
    latency = zero_load_latency(wired(package), routing="dor")
    assert (latency.max, latency.mean) == (2.0, pytest.approx((7 + 2 * 12) / 19))


def test_a_stack_enters_a_flattened_butterfly_by_whichever_node_is_one_hop_away():
    package = topology.flattened_butterfly(4, 5, link_bandwidth=1.0)
    links = [*package.links, Link("hbm", "e0", 1.0), Link("hbm", "e3", 1.0)]
    package = Package("with memory", [*package.nodes, Memory("hbm", bandwidth=1.0)], links)
    reads = from_matrix(package, [[0, 0], [2, 0]], endpoints=("e4", "hbm"))
    flow = congestion(package, reads, routing="dor")
    used = {c.name: x for c, x in zip(package.channels, flow.load, strict=True) if x > 0}
    assert used == {"hbm->e0": 1.0, "hbm->e3": 1.0, "e0->e4": 1.0, "e3->e4": 1.0}


def wired(package):
    return package.replace(links=[dataclasses.replace(link, latency=1.0) for link in package.links])


def test_dor_on_a_concentrated_mesh_is_dor_between_its_switches():
    package = topology.concentrated_mesh(3, 4, link_bandwidth=1.0)
    traffic = random_traffic(package, 2, memory=False)
    flow = congestion(package, traffic, routing="dor")
    assert flow.verify()
    home = {c.tail: c.head for c in package.channels if c.head in {s.name for s in package.switches}}
    order = [switch.name for switch in package.switches]
    between = np.zeros((12, 12))
    for (i, a), (j, b) in itertools.permutations(enumerate(traffic.endpoints), 2):
        between[order.index(home[a]), order.index(home[b])] += traffic.demand[i, j]
    chiplets = [Chiplet(switch.name, position=switch.position) for switch in package.switches]
    links = [link for link in package.links if link.a in order and link.b in order]
    routers = Package("routers", chiplets, links)
    alone = congestion(routers, from_matrix(routers, between, endpoints=tuple(order)), routing="dor")
    load = dict(zip((channel.name for channel in package.channels), flow.load, strict=True))
    for channel, expected in zip(routers.channels, alone.load, strict=True):
        assert load[channel.name] == pytest.approx(expected)


def test_a_few_nodes_in_a_row_are_no_grid():
    hexagons = topology.hexamesh(2)
    with pytest.raises(RoutingError, match="form no full lattice"):
        congestion(hexagons, all_to_all(hexagons), routing="dor")


def ecmp_by_hand(package, traffic):
    graph = nx.DiGraph()
    for channel in package.channels:
        count = graph.get_edge_data(channel.tail, channel.head, {"n": 0})["n"]
        graph.add_edge(channel.tail, channel.head, n=count + 1)
    memory = {stack.name for stack in package.memories}
    load = {}
    for i, j in np.argwhere(traffic.demand > 0):
        source, target = traffic.endpoints[i], traffic.endpoints[j]
        view = graph.subgraph(set(graph) - (memory - {source, target}))
        hops = nx.single_source_shortest_path_length(view.reverse(), target)

        def send(node, amount, hops=hops, view=view, target=target):
            if node == target:
                return
            nexts = [v for v in view[node] if hops.get(v, np.inf) == hops[node] - 1]
            total = sum(view[node][v]["n"] for v in nexts)
            for v in nexts:
                part = amount * view[node][v]["n"] / total
                load[node, v] = load.get((node, v), 0.0) + part
                send(v, part)

        send(source, traffic.demand[i, j])
    return load


@pytest.mark.parametrize("seed", range(5))
def test_ecmp_against_recursion(seed):
    package = random_package(seed, rich=seed > 1)
    if seed > 1:  # parallel links of one kind only
        package = package.replace(links=[link for link in package.links if not link.half_duplex])
    traffic = random_traffic(package, seed)
    flow = congestion(package, traffic, routing="ecmp")
    pairs = {}
    for channel, load in zip(package.channels, flow.load, strict=True):
        pairs[channel.tail, channel.head] = pairs.get((channel.tail, channel.head), 0.0) + load
    expected = ecmp_by_hand(package, traffic)
    for pair, load in pairs.items():
        assert load == pytest.approx(expected.get(pair, 0.0), rel=1e-9, abs=1e-12)
    assert flow.verify()


@pytest.mark.parametrize("routing", ["ecmp", "shortest", "up-down", "valiant"])
@pytest.mark.parametrize("seed", [5, 6])
def test_compiled_loads_are_the_same(monkeypatch, routing, seed):
    package = random_package(seed)
    traffic = random_traffic(package, seed)
    small = congestion(package, traffic, routing=routing)
    monkeypatch.setattr(hop_loads, "LARGE", 0)
    large = congestion(package, traffic, routing=routing)
    np.testing.assert_allclose(small.load, large.load, rtol=1e-12)
    assert large.verify()  # the flow by destination, worked out by other code, adds up to these loads


@pytest.mark.parametrize("seed", range(3))
def test_hops_against_networkx(seed):
    network = flow_network(random_package(seed))
    graph = nx.MultiDiGraph(list(zip(network.tail.tolist(), network.head.tolist(), strict=True)))
    graph.add_nodes_from(range(network.num_vertices))
    destinations = np.arange(network.num_vertices)
    plain = plain_graph(network)
    found, used = search_hops(plain, destinations)
    for d in destinations.tolist():
        expected = nx.single_target_shortest_path_length(graph, d)
        assert {v: h for v, h in enumerate(found[d].tolist()) if h >= 0} == dict(expected)
    step, to = set_bits(used)
    on_path = found[:, network.tail] == found[:, network.head] + 1
    assert set(zip(to.tolist(), step.tolist(), strict=True)) == set(
        zip(*(x.tolist() for x in np.nonzero(on_path & (found[:, network.head] >= 0))), strict=True)
    )
    far = found.T.max(axis=0)
    far[(found < 0).any(axis=1)] = network.num_vertices
    np.testing.assert_array_equal(eccentricity(plain, destinations), far)


def rich_grid(rows, columns, wrap, seed):
    """A grid with unequal links, some doubled or half duplex, and four kinds of nodes on its edges."""
    rng = np.random.default_rng(seed)
    package = grid(rows, columns, wrap=wrap, extras=True)
    links = []
    for k, link in enumerate(package.links):
        half = k % 5 == 0
        back = None if half else float(rng.uniform(0.5, 2))
        wide = float(rng.uniform(0.5, 2))
        links.append(Link(link.a, link.b, wide, reverse_bandwidth=back, half_duplex=half))
        if k % 4 == 0:
            links.append(Link(link.a, link.b, 1.0))  # beside a half-duplex link too: two arcs
    nodes = [*package.nodes, Chiplet("io"), Chiplet("far")]
    links += [Link("io", "attn", 1.0), Link("io", "e0,0", 1.0), Link("far", "io", 1.0)]
    return Package("rich grid", nodes, links)


def cliques(package):
    """The same with links between every two nodes of a row; columns stay what they are."""
    rows = {}
    for name in package.terminals:
        if name.startswith("e"):
            rows.setdefault(name.split(",")[0], []).append(name)
    there = {frozenset((link.a, link.b)) for link in package.links}
    pairs = [pair for names in rows.values() for pair in itertools.combinations(names, 2)]
    more = [Link(a, b, 1.5) for a, b in pairs if frozenset((a, b)) not in there]
    return package.replace(links=[*package.links, *more])


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize(
    ("rows", "columns", "clique"), [(4, 4, 0), (5, 3, 0), (2, 6, 0), (3, 7, 0), (3, 5, 1)]
)
def test_dor_by_sums_is_dor_by_destination(rows, columns, clique, wrap):
    package = rich_grid(rows, columns, wrap, rows)
    if clique:
        package = cliques(package)
    for density in (0.9, 0.1):
        traffic = random_traffic(package, columns, density)
        problem = routing_problem(package, traffic)
        network = problem.network
        forwarding = dimension_order(network, problem.destinations)
        twice = dimension_order(network, np.tile(problem.destinations, 2))
        assert (np.bincount(twice.to) == np.tile(np.bincount(forwarding.to), 2)).all()
        leaving = np.bincount(forwarding.to * network.num_vertices + forwarding.tail, forwarding.share)
        np.testing.assert_allclose(leaving[leaving > 0], 1.0)
        expected = push(network, forwarding, problem.demand).sum(axis=0)
        load = dimension_order_load(network, problem.demand)
        np.testing.assert_allclose(load, expected, rtol=1e-12)
        np.testing.assert_array_equal(load == 0, expected == 0)
        assert congestion(package, traffic, routing="dor").verify()


def test_valiant_of_a_permutation_on_a_complete_graph():
    """Half of each way is direct: 1/n per hop and phase from each source, twice on every channel."""
    package = from_graph(nx.complete_graph(8))
    demand = np.roll(np.eye(8), 1, axis=1)
    flow = congestion(package, from_matrix(package, demand), routing="valiant")
    np.testing.assert_allclose(flow.load, 2 / 8)


@pytest.mark.parametrize("seed", range(3))
def test_up_down_never_climbs_after_a_descent(seed):
    package = from_graph(nx.random_regular_graph(3, 12, seed=seed))
    traffic = random_traffic(package, seed)
    flow = congestion(package, traffic, routing="up-down")
    assert flow.verify()
    assert check_deadlock(package, routing="up-down").free


def test_up_down_from_a_root_of_ones_choice():
    """On a ring the lowest node sees no packet turn: its neighbours talk round the other way."""
    links = [Link(f"n{i}", f"n{(i + 1) % 6}", 1.0, latency=1.0) for i in range(6)]
    ring = Package("ring", [Chiplet(f"n{i}") for i in range(6)], links)
    traffic = all_to_all(ring)
    for root in ring.terminals:
        flow = congestion(ring, traffic, routing=UpDown(root))
        assert flow.routing == f"up-down from {root}"
        assert flow.verify()
        assert check_deadlock(ring, routing=UpDown(root)).free
        opposite = f"n{(int(root[1:]) + 3) % 6}"  # the lowest node: nothing turns there
        (a, b) = (f"n{(int(opposite[1:]) + step) % 6}" for step in (-1, 1))
        through = zero_load_latency(ring, routing=UpDown(root), among=(a, b))
        assert through.max == 4.0  # round via the root, not the two hops via the lowest
    with pytest.raises(UnknownNameError, match="no node named 'hub'"):
        congestion(ring, traffic, routing=UpDown("hub"))


def test_a_memory_stack_is_never_the_root():
    """It is as central as the chiplets, and comes first; but what climbs to it cannot go on from there."""
    ends = [("a", "b"), ("b", "c"), ("m", "a"), ("m", "c")]
    package = Package(
        "stack in the middle",
        [Memory("m", bandwidth=9.0), *(Chiplet(name) for name in "abc")],
        [Link(*pair, 1.0) for pair in ends],
    )
    flow = congestion(package, all_to_all(package), routing="up-down")
    assert flow.time == 2.0
    assert flow.verify()


def test_given_paths():
    package = grid(2, 2)
    traffic = from_matrix(package, [[0, 1], [2, 0]], endpoints=("e0,0", "e1,1"))
    table = {("e0,0", "e1,1"): ["e0,0", "e1,0", "e1,1"], ("e1,1", "e0,0"): ["e1,1", "e0,1", "e0,0"]}
    for routing in (table, lambda a, b: table[a, b]):
        flow = congestion(package, traffic, routing=routing)
        assert flow.time == 2
        assert flow.verify()
    for path, message in (
        (["e0,0", "e1,1"], "no channel 'e0,0->e1,1'"),
        (["e0,0", "e0,1"], "must begin with 'e0,0' and end with 'e1,1'"),
        (["e0,0", "e9", "e1,1"], "no node named 'e9'"),
    ):
        with pytest.raises(RoutingError, match=message):
            congestion(package, traffic, routing=table | {("e0,0", "e1,1"): path})
    with pytest.raises(RoutingError, match="no path from 'e1,1' to 'e0,0'"):
        congestion(package, traffic, routing={("e0,0", "e1,1"): table["e0,0", "e1,1"]})


def test_zero_load_latency_is_links_plus_routers():
    package = grid(3, 4)
    latency = zero_load_latency(package, routing="dor")
    for (i, a), (j, b) in itertools.product(enumerate(np.ndindex(3, 4)), repeat=2):
        hops = abs(a[0] - b[0]) + abs(a[1] - b[1])
        assert latency.per_pair[i, j] == pytest.approx(1.25 * hops + 1 if hops else 0)
    assert latency.max == pytest.approx(1.25 * 5 + 1)
    for routing in ("shortest", "ecmp"):
        np.testing.assert_allclose(zero_load_latency(package, routing=routing).per_pair, latency.per_pair)


def latency_by_hand(package, source, target, first_only):
    """Walk all minimum-hop paths with networkx; parallel channels count singly, memory forwards nothing."""
    graph = nx.MultiDiGraph()
    for i, channel in enumerate(package.channels):
        memory = {stack.name for stack in package.memories} - {source, target}
        if channel.tail not in memory and channel.head not in memory:
            graph.add_edge(channel.tail, channel.head, channel=i)
    hops = nx.single_source_shortest_path_length(graph.reverse(), target)
    latency = {target: 0.0}
    flight = [package.links[channel.link].latency for channel in package.channels]
    for node in sorted(hops, key=hops.get):
        onward = [
            (data["channel"], v)
            for _, v, data in graph.out_edges(node, data=True)
            if hops.get(v, np.inf) == hops[node] - 1
        ]
        if node != target:
            chosen = [min(onward)] if first_only else onward
            each = [flight[channel] + package[v].latency + latency[v] for channel, v in chosen]
            latency[node] = sum(each) / len(each)
    return package[source].latency + latency[source]


@pytest.mark.parametrize(("routing", "first_only"), [("shortest", True), ("ecmp", False)])
@pytest.mark.parametrize("seed", range(4))
def test_zero_load_latency_against_walking_all_paths(routing, first_only, seed):
    rng = np.random.default_rng(seed)
    package = random_package(seed, nodes=11)
    nodes = [dataclasses.replace(node, latency=float(rng.uniform(1, 2))) for node in package.nodes]
    links = [  # one kind of parallel links only, so that they share one arc
        dataclasses.replace(link, latency=float(rng.integers(1, 4)), half_duplex=False)
        for link in package.links
    ]
    package = package.replace(nodes=nodes, links=links)
    names = (*package.terminals, "m0")
    found = zero_load_latency(package, routing=routing, among=names)
    for (i, a), (j, b) in itertools.permutations(enumerate(names), 2):
        assert found.per_pair[i, j] == pytest.approx(latency_by_hand(package, a, b, first_only))
    apart = [found.per_pair[i, j] for i, j in itertools.permutations(range(len(names)), 2)]
    assert (found.mean, found.max) == (pytest.approx(np.mean(apart)), max(apart))


def test_deadlock_of_meshes_and_tori():
    assert check_deadlock(grid(4, 4), routing="dor").free
    assert check_deadlock(grid(3, 3, extras=True), routing="dor").free
    assert not check_deadlock(grid(4, 4), routing="ecmp").free
    torus = grid(5, 5, wrap=True)
    plain = check_deadlock(torus, routing="dor")
    assert not plain.free
    ends = [name.split("->") for name in plain.cycle]
    assert all(a[1] == b[0] for a, b in zip(ends, [*ends[1:], ends[0]], strict=True))
    assert check_deadlock(torus, routing="dor", datelines=True).free
    assert check_deadlock(torus, routing="up-down").free


def dependencies_by_walking(package, rule, layered):
    """Follow every packet over every arc that it may take; pairs of channels (arc, layer) in a row."""
    network = flow_network(package)
    ends = np.array([package.index[name] for name in package.terminals])
    forwarding = rule(network, network.destination[ends])
    layer = forwarding.virtual_channel if layered else 0 * forwarding.to
    pairs = set()
    for to in range(len(ends)):
        leaving = {}
        for e in np.flatnonzero(forwarding.to == to):
            leaving.setdefault(int(forwarding.tail[e]), []).append(e)
        frontier = [(int(origin), None) for origin in network.origin[ends]]
        seen = set(frontier)
        while frontier:
            state, held = frontier.pop()
            for e in leaving.get(state, []):
                channel = (int(forwarding.arc[e]), int(layer[e]))
                if held is not None:
                    pairs.add((held, channel))
                following = (int(forwarding.head[e]), channel)
                if following not in seen:
                    seen.add(following)
                    frontier.append(following)
    return pairs


@pytest.mark.parametrize("routing", FORWARDED)
def test_deadlock_against_walking_every_packet(routing):
    packages = [grid(4, 3, extras=True), grid(5, 4, wrap=True), grid(3, 6, wrap=True, extras=True)]
    if routing != "dor":
        packages += [from_graph(nx.random_regular_graph(3, 10, seed=seed)) for seed in range(3)]
        packages += [random_package(seed) for seed in range(4 * (routing != "up-down"))]
    for package, layered in itertools.product(packages, (False, True)):
        found = check_deadlock(package, routing=routing, datelines=layered)
        pairs = dependencies_by_walking(package, ROUTINGS[routing].forward, layered)
        graph = nx.DiGraph(list(pairs))
        assert found.dependencies == len(pairs)
        assert found.free == nx.is_directed_acyclic_graph(graph)
        assert len(set(found.cycle)) == len(found.cycle)
        arc_of = dict(
            zip((c.name for c in package.channels), flow_network(package).arc_of_channel, strict=True)
        )
        named = [(int(arc_of[name.removesuffix("@1")]), int(name.endswith("@1"))) for name in found.cycle]
        assert set(zip(named, [*named[1:], *named[:1]], strict=True)) <= pairs


@pytest.mark.parametrize("routing", FORWARDED)
def test_large_packages_are_asked_part_by_part(monkeypatch, routing):
    package = grid(9, 8, wrap=True)
    whole = zero_load_latency(package, routing=routing), check_deadlock(package, routing=routing)
    monkeypatch.setattr(forwarding, "AT_A_TIME", 1)
    parts = [len(part.destinations) for _, part in in_parts(flow_network(package), take_first, np.arange(72))]
    assert parts == [64, 8]
    np.testing.assert_allclose(zero_load_latency(package, routing=routing).per_pair, whole[0].per_pair)
    assert check_deadlock(package, routing=routing) == whole[1]
    assert congestion(package, all_to_all(package), routing=routing).verify()


def test_resilience():
    package = grid(2, 3)
    traffic = all_to_all(package)
    after = resilience(package, traffic)
    assert len(after.lost) == len(package.links)
    assert (after.time >= after.intact.time * (1 - 1e-6)).all()
    left = package.without(*after.worst)
    single = congestion(left, traffic.on(left))
    assert after.time.max() == pytest.approx(single.time)
    path = grid(1, 3)
    cut = resilience(path, all_to_all(path))
    assert np.isinf(cut.time).all()
    lost = resilience(package, traffic, of="chiplets")
    assert np.isfinite(lost.time).all()
    pairs = resilience(package, traffic, 2, trials=3, rng=0)
    assert len(pairs.lost) == 3
    with pytest.raises(RoutingError, match="cannot fail"):
        resilience(package, traffic, 99)
