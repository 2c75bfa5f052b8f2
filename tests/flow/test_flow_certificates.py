"""verify() accepts what the solvers hand back, and nothing that was tampered with."""

import dataclasses

import networkx as nx
import numpy as np
import pytest
from flow_cases import all_to_all, from_graph, random_package, random_traffic
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit.errors import RoutingError
from noptoolkit.flow import congestion
from noptoolkit.flow.bounds.certificate import price_bound
from noptoolkit.flow.result import Bottleneck
from noptoolkit.routing.problem import routing_problem


@given(seed=st.integers(0, 10_000), routing=st.sampled_from(["optimal", "ecmp", "shortest"]))
@settings(max_examples=examples(25), deadline=None)
def test_every_result_verifies(seed, routing):
    package = random_package(seed, nodes=8)
    flow = congestion(package, random_traffic(package, seed), routing=routing)
    assert flow.verify()
    assert flow.time_bound <= flow.time
    if routing == "optimal":
        assert flow.status == "exact"


@given(seed=st.integers(0, 10_000))
@settings(max_examples=examples(25), deadline=None)
def test_any_prices_bound_the_optimum(seed):
    """Zeros and ties among the prices must never lift the bound above the truth."""
    package = random_package(seed, nodes=7)
    traffic = random_traffic(package, seed)
    problem = routing_problem(package, traffic)
    optimum = congestion(package, traffic).time
    rng = np.random.default_rng(seed)
    for density in (0.1, 0.4, 1.0):
        prices = rng.integers(0, 3, problem.network.num_resources) * (
            rng.random(problem.network.num_resources) < density
        )
        assert price_bound(problem, prices.astype(float), "random").time <= optimum * (1 + 1e-7)


@pytest.fixture(scope="module")
def result():
    package = from_graph(nx.grid_2d_graph(4, 4), capacity_seed=3)
    return congestion(package, random_traffic(package, 3))


def tampered_proof(flow, change):
    proof = flow.routed.proof
    return dataclasses.replace(
        flow,
        routed=dataclasses.replace(
            flow.routed, proof=dataclasses.replace(proof, flow=change(proof.flow.copy()))
        ),
    )


def drop_a_tenth(flow):
    flow[2] *= 0.9
    return flow


def swap_two_commodities(flow):
    flow[[1, 2]] = flow[[2, 1]]
    return flow


def negative_entry(flow):
    flow[0, np.argmin(flow[0])] = -1.0
    return flow


@pytest.mark.parametrize("change", [drop_a_tenth, swap_two_commodities, negative_entry])
def test_tampered_flow_is_rejected(result, change):
    assert result.verify()
    with pytest.raises(RoutingError, match="short"):
        tampered_proof(result, change).verify()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_bound": lambda flow: flow.time_bound * (1 + 1e-5)}, "above time"),
        ({"time": lambda flow: flow.time * 0.999}, "busiest resource"),
        ({"prices": lambda flow: flow.prices * 0 + 1 / flow.network.capacity}, "prove"),
        ({"prices": lambda flow: flow.prices - 1e-3 * flow.prices.max()}, "negative"),
        ({"load": lambda flow: flow.load * 0.9}, "loads of the channels"),
        ({"use": lambda flow: flow.use * 2}, "use of resources"),
        ({"prices": lambda flow: flow.prices * 2}, "capacity @ prices is 2"),
        ({"status": lambda flow: "fixed routing"}, "the status is 'fixed routing'"),
        ({"status": lambda flow: "certified"}, "the status is 'certified', not 'exact'"),
        ({"bottleneck": lambda flow: Bottleneck("channel", flow.package.channels[0].name)}, "bottleneck"),
        ({"bottleneck": lambda flow: Bottleneck()}, "bottleneck"),
        ({"time": lambda flow: np.nan}, "busiest resource"),
        ({"time_bound": lambda flow: np.nan}, "or no number"),
        ({"load": lambda flow: np.nan * flow.load}, "loads of the channels"),
        ({"prices": lambda flow: np.nan * flow.prices}, "or no number"),
        ({"use": lambda flow: np.nan * flow.use}, "use of resources"),
        ({"efficiency": lambda flow: 0.5}, "busiest resource"),
    ],
)
def test_tampered_result_is_rejected(result, changes, message):
    values = {key: change(result) for key, change in changes.items()}
    with pytest.raises(RoutingError, match=message):
        dataclasses.replace(result, **values).verify()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_prices_of_any_size_are_checked(scale):
    """Prices are in s/B: those of a fast network are tiny, and must not count as no link at all."""
    package = from_graph(nx.grid_2d_graph(3, 3), capacity_seed=1)
    links = [
        dataclasses.replace(
            link, bandwidth=link.bandwidth * scale, reverse_bandwidth=link.reverse_bandwidth * scale
        )
        for link in package.links
    ]
    package = package.replace(links=links)
    flow = congestion(package, random_traffic(package, 1))
    assert flow.verify()
    uneven = np.random.default_rng(0).exponential(1, len(flow.prices)) / flow.network.capacity
    with pytest.raises(RoutingError, match="prove"):
        dataclasses.replace(flow, prices=uneven).verify()


def test_capacity_that_is_not_the_packages_is_rejected(result):
    wider = dataclasses.replace(result.network, capacity=result.network.capacity * 2)
    with pytest.raises(RoutingError, match="not those of the package"):
        dataclasses.replace(result, network=wider).verify()


def test_cut_names_the_bottleneck():
    """Two cliques of four, joined by one link: the cut is the link."""
    graph = nx.disjoint_union(nx.complete_graph(4), nx.complete_graph(4))
    graph.add_edge(0, 4)
    package = from_graph(graph)
    flow = congestion(package, all_to_all(package))
    assert flow.time == pytest.approx(16)
    assert flow.cut.time == pytest.approx(16)
    assert flow.cut.channels in (("n0->n4",), ("n4->n0",))
    assert len(flow.cut.inside) == 4
    prices = dict(zip((channel.name for channel in package.channels), flow.dual, strict=True))
    assert prices["n0->n4"] + prices["n4->n0"] == pytest.approx(1, rel=1e-4)


def test_dual_is_what_a_wider_channel_buys():
    package = from_graph(nx.path_graph(4), capacity_seed=5)
    traffic = all_to_all(package)
    flow = congestion(package, traffic)
    worst = int(np.argmax(flow.dual))
    channel = package.channels[worst]
    step = 1e-4
    link = package.links[channel.link]
    field = "bandwidth" if channel.tail == link.a else "reverse_bandwidth"
    wider = dataclasses.replace(link, **{field: channel.bandwidth + step})
    links = list(package.links)
    links[channel.link] = wider
    gain = flow.time - congestion(package.replace(links=links), traffic).time
    assert gain == pytest.approx(flow.time * flow.dual[worst] * step, rel=1e-3)
