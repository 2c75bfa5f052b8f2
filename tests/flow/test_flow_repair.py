"""The repair of a rough flow, in numpy and compiled: whatever goes in, all demand is carried."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from flow_cases import from_graph, random_package, random_traffic

from noptoolkit.flow import congestion
from noptoolkit.flow.bounds.certificate import program_bound, repair
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.optimal.first_order import Kernels
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import routing_problem


def program_of(seed):
    package = random_package(seed, nodes=12)
    problem = routing_problem(package, random_traffic(package, seed))
    return peel(problem, tree_loads(problem, take_first)).program


def delivered(program, flow, commodity):
    """What a maximum flow brings from the commodity's end to a sink that takes each vertex's demand."""
    graph = nx.DiGraph()
    for tail, head, x in zip(program.tail.tolist(), program.head.tolist(), flow, strict=True):
        before = graph.get_edge_data(tail, head, {"capacity": 0.0})["capacity"]
        graph.add_edge(tail, head, capacity=before + float(x))
    for vertex, amount in enumerate(program.demand[commodity]):
        graph.add_edge(vertex, "sink", capacity=float(amount))
    return nx.maximum_flow_value(graph, int(program.ends[commodity]), "sink")


def rough_flows(program, seed):
    rng = np.random.default_rng(seed)
    shape = (len(program.ends), len(program.tail))
    yield "nothing", np.zeros(shape)
    yield "noise on every arc", rng.exponential(0.3, shape)
    yield "negative and sparse noise", rng.normal(0, 0.5, shape) * (rng.random(shape) < 0.3)


@pytest.mark.parametrize("seed", range(3))
def test_repair_carries_all_demand(seed):
    program = program_of(seed)
    length = np.random.default_rng(seed).uniform(0.1, 1, len(program.tail))
    for _, rough in rough_flows(program, seed):
        flow = repair(program, length, rough)
        assert flow.min() >= 0
        for commodity in range(len(program.ends)):
            owed = program.demand[commodity].sum()
            assert delivered(program, flow[commodity], commodity) == pytest.approx(owed, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_compiled_repair_and_bound_are_the_same(seed):
    program = program_of(seed)
    prices = np.random.default_rng(seed).uniform(0.1, 1, len(program.capacity))
    length = program.on_arcs.T @ prices
    kernels = Kernels(program)
    for _, rough in rough_flows(program, seed):
        single = rough.astype(np.float32).astype(float)
        load, cost = kernels.certify(length, kernels.blocked(single))
        np.testing.assert_allclose(load, repair(program, length, single).sum(axis=0), rtol=1e-9, atol=1e-12)
        bound = (cost + program.base @ prices) / (program.capacity @ prices)
        assert bound == pytest.approx(program_bound(program, prices), rel=1e-12)


def garg_koenemann(package, traffic, epsilon=0.05):
    """The multiplicative-weights scheme of Garg and Koenemann (1998) on networkx: a bracket of the time."""
    graph = nx.DiGraph()
    for channel in package.channels:
        graph.add_edge(channel.tail, channel.head, capacity=channel.bandwidth, load=0.0)
    pairs = [
        (traffic.endpoints[i], traffic.endpoints[j], traffic.demand[i, j])
        for i, j in np.argwhere(traffic.demand > 0)
    ]
    edges = [graph.edges[e] for e in graph.edges]
    for edge in edges:
        edge["length"] = 1 / edge["capacity"]
    bound, phases = 0.0, 60
    for _ in range(phases):
        scale = sum(edge["length"] * edge["capacity"] for edge in edges)
        cost = sum(amount * nx.dijkstra_path_length(graph, a, b, weight="length") for a, b, amount in pairs)
        bound = max(bound, cost / scale)
        for a, b, amount in pairs:
            path = nx.dijkstra_path(graph, a, b, weight="length")
            for tail, head in pairwise(path):
                edge = graph.edges[tail, head]
                edge["load"] += amount / phases
                edge["length"] *= 1 + epsilon * amount / (bound * edge["capacity"])
    return bound, max(edge["load"] / edge["capacity"] for edge in edges)


@pytest.mark.parametrize("seed", range(3))
def test_optimum_lies_in_the_bracket_of_garg_and_koenemann(seed):
    package = from_graph(nx.gnm_random_graph(8, 14, seed=seed), capacity_seed=seed)
    traffic = random_traffic(package, seed)
    flow = congestion(package, traffic)
    low, high = garg_koenemann(package, traffic)
    assert high / low < 1.3
    assert low * (1 - 1e-9) <= flow.time
    assert flow.time_bound <= high * (1 + 1e-9)
