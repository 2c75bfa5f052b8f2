"""Routings that split: parallel cables of unequal speed, and messages to sets where paths part."""

import dataclasses

import numpy as np
import pytest
from flow_cases import random_package
from message_cases import capable, messages, random_sets

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import RoutingError
from noptoolkit.flow import ROUTINGS, congestion
from noptoolkit.flow.trees import split_paths
from noptoolkit.routing import zero_load_latency
from noptoolkit.topology import fat_tree, hypercube, mesh, torus
from noptoolkit.traffic import DestinationSets, Traffic, all_to_all, from_matrix

FIXED = sorted(name for name, method in ROUTINGS.items() if not method.searches)
CABLES = [12.5e9, 12.5e9, 6.25e9, 3.125e9]


def cables(middle: bool, half_duplex: bool = False) -> Package:
    """A leaf and a spine, joined by four cables, with a switch in the middle of each or without."""
    nodes = [Chiplet("a"), Chiplet("b"), Switch("leaf"), Switch("spine")]
    links = [Link("a", "leaf", 50e9), Link("spine", "b", 50e9)]
    for i, speed in enumerate(CABLES):
        if middle:
            nodes.append(Switch(f"m{i}"))
            links.append(Link("leaf", f"m{i}", speed))
            links.append(Link(f"m{i}", "spine", speed))
        else:
            links.append(Link("leaf", "spine", speed, half_duplex=half_duplex))
    return Package("cables", nodes, links)


@pytest.mark.parametrize("half_duplex", [False, True])
@pytest.mark.parametrize(
    ("routing", "time", "bottleneck"),
    [
        ("ecmp", 80e-3, "leaf->spine#4"),  # a quarter each: 0.25 GB over 3.125 GB/s
        ("valiant", 80e-3, "leaf->spine#4"),  # there and on: all cross the cables once
        ("up-down", 80e-3, "leaf->spine#4"),
        ("shortest", 80e-3, "leaf->spine"),  # all on the first cable: 1 GB over 12.5 GB/s
        ("optimal", 1e9 / sum(CABLES), None),  # in proportion to their speeds
    ],
)
def test_parallel_cables_of_unequal_speed(routing, time, bottleneck, half_duplex):
    package = cables(False, half_duplex)
    flow = congestion(package, from_matrix(package, [[0, 1e9], [0, 0]]), routing=routing)
    assert flow.time == pytest.approx(time, rel=1e-9)
    assert flow.time_bound == pytest.approx(1e9 / sum(CABLES), rel=1e-6)  # what any routing can do
    assert flow.verify()
    if not half_duplex:
        beside = cables(True)
        other = congestion(beside, from_matrix(beside, [[0, 1e9], [0, 0]]), routing=routing)
        assert flow.time == pytest.approx(other.time, rel=1e-6)
    if bottleneck is not None:
        channels = [
            channel for channel in package.channels if (channel.tail, channel.head) == ("leaf", "spine")
        ]
        slowest = channels[3] if routing != "shortest" else channels[0]
        assert str(flow.bottleneck) == slowest.name


def test_loads_of_parallel_cables_add_up_and_a_wrong_split_is_rejected():
    package = cables(False)
    flow = congestion(package, from_matrix(package, [[0, 1e9], [0, 0]]), routing="ecmp")
    there = [load for load, c in zip(flow.load, package.channels, strict=True) if c.tail == "leaf" != c.head]
    assert [load for load in there if load][-4:] == [0.25e9] * 4
    wrong = flow.network.share_of_channel.copy()
    wrong[flow.load == 0.25e9] = [0.4, 0.4, 0.1, 0.0]
    with pytest.raises(RoutingError, match="in parts"):
        dataclasses.replace(flow, network=dataclasses.replace(flow.network, share_of_channel=wrong)).verify()


def test_latency_of_parallel_cables():
    """shortest waits for the first cable, ecmp in the mean for each alike."""
    nodes = [Chiplet("a"), Chiplet("b")]
    links = [Link("a", "b", 1e9, latency="8 ns"), Link("a", "b", 3e9, latency="2 ns")]
    package = Package("pair", nodes, links)
    assert zero_load_latency(package, routing="shortest").max == pytest.approx(8e-9)
    assert zero_load_latency(package, routing="ecmp").max == pytest.approx(5e-9)


def one_member_each(package, demand, kind):
    """A demand matrix as messages to one member each."""
    source, sink = np.nonzero(demand)
    root, other = (source, sink) if kind == "multicast" else (sink, source)
    members = np.zeros((len(source), 1), np.uint64)
    members[:, 0] = np.uint64(1) << other.astype(np.uint64)
    sets = DestinationSets(root, members, demand[source, sink])
    return Traffic(package.terminals, np.zeros_like(demand), **{kind: sets})


@pytest.mark.parametrize("kind", ["multicast", "reduction"])
@pytest.mark.parametrize(
    ("package", "routing", "time"),
    [
        (fat_tree(4, link_bandwidth="1 GB/s"), "ecmp", 15e-3),
        (hypercube(4, link_bandwidth="1 GB/s"), "ecmp", 8e-3),
        (torus(4, link_bandwidth="1 GB/s"), "dor", 8e-3),
    ],
    ids=["fat tree", "hypercube", "torus"],
)
def test_a_message_to_one_member_is_unicast(package, routing, time, kind):
    package = capable(package)
    demand = all_to_all(package, "1 MB").demand
    flow = congestion(package, one_member_each(package, demand, kind), routing=routing)
    assert flow.time == pytest.approx(time)
    assert flow.verify()


def demand_by_separate_copies(package, sets, reverse):
    size = len(package.terminals)
    demand = np.zeros((size, size))
    for row, held in enumerate(sets.contains(size)):
        demand[sets.root[row], held] += sets.bytes[row]
    np.fill_diagonal(demand, 0.0)
    return from_matrix(package, demand.T if reverse else demand)


@pytest.mark.parametrize("routing", FIXED)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("begin", [0, *(pytest.param(k, marks=pytest.mark.long) for k in (4, 8))])
def test_copying_never_loads_a_channel_more_than_separate_copies(routing, reverse, begin):
    """On any package, whoever copies; and where nobody is anybody's fellow, exactly as much."""
    for seed in range(begin, begin + 4):
        package = capable(random_package(seed, nodes=8), None if seed % 2 else {"n1", "n2", "n5"})
        if routing == "dor":
            package = capable((mesh if seed % 2 else torus)(3, 4), None if seed % 4 else {"e1", "e5", "e10"})
        sets = random_sets(len(package.terminals), 12, 5, seed=seed)
        try:
            flow = congestion(package, messages(package, sets, reverse=reverse), routing=routing)
            apart = congestion(package, demand_by_separate_copies(package, sets, reverse), routing=routing)
        except RoutingError:
            assert routing in ("up-down", "booksim-min")
            continue
        assert (flow.load <= apart.load * (1 + 1e-9) + 1e-12).all()
        assert not flow.verify().unchecked
        single = sets.members & (~sets.members + np.uint64(1))  # the first member of each alone
        alone = dataclasses.replace(sets, members=single)
        flow = congestion(package, messages(package, alone, reverse=reverse), routing=routing)
        apart = congestion(package, demand_by_separate_copies(package, alone, reverse), routing=routing)
        np.testing.assert_allclose(flow.load, apart.load, rtol=1e-9)


def test_half_of_a_broadcast_each_way():
    """Two spines: a multicast to two other leaves goes half over each, copied there: half a byte a cable."""
    nodes = [Chiplet(f"c{i}") for i in range(3)]
    nodes += [Switch(f"leaf{i}", replicates=True) for i in range(3)]
    nodes += [Switch(f"spine{i}", replicates=True) for i in range(2)]
    links = [Link(f"c{i}", f"leaf{i}", 1.0) for i in range(3)]
    links += [Link(f"leaf{i}", f"spine{j}", 1.0) for i in range(3) for j in range(2)]
    package = Package("clos", nodes, links)
    sets = DestinationSets(np.array([0]), np.array([[0b110]], np.uint64), np.ones(1))
    flow = congestion(package, messages(package, sets), routing="ecmp")
    load = dict(zip((c.name for c in package.channels), flow.load.tolist(), strict=True))
    assert load["c0->leaf0"] == load["leaf1->c1"] == load["leaf2->c2"] == 1.0
    up_and_down = [load[f"leaf0->spine{j}"] for j in range(2)]
    up_and_down += [load[f"spine{j}->leaf{i}"] for j in range(2) for i in (1, 2)]
    assert up_and_down == [0.5] * 6
    assert flow.verify()


def test_many_parts_become_few_of_equal_size(monkeypatch):
    """The mean over equal parts is close to the exact mean, and still a routing that verify() follows."""
    package = capable(mesh(4, 4))
    sets = random_sets(16, 60, 5, seed=1)
    exact = congestion(package, messages(package, sets), routing="ecmp")
    monkeypatch.setattr(split_paths, "MOST_PARTS", 16 * 2)
    rough = congestion(package, messages(package, sets), routing="ecmp")
    assert len(rough.routed.trees.trees) <= 16 * 2 < len(exact.routed.trees.trees)
    assert rough.load.sum() == pytest.approx(exact.load.sum(), rel=0.05)
    assert rough.verify()
