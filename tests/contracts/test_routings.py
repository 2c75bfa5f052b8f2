"""What every routing owes its caller, over the whole table."""

import dataclasses
import pickle

import networkx as nx
import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.flow import ROUTINGS, congestion
from noptoolkit.traffic import DestinationSets, Traffic, from_matrix


def grid_package(rows=3, columns=4):
    graph = nx.Graph(nx.grid_2d_graph(rows, columns).edges())
    package = Package.from_networkx(graph, bandwidth="1 GB/s", name="grid")
    cells = {str((r, c)): (c * 1e-2, r * 1e-2) for r, c in np.ndindex(rows, columns)}
    kind = {"role": "expert", "replicates": True, "reduces": True}
    nodes = [Chiplet(node.name, position=cells[node.name], **kind) for node in package.nodes]
    return package.replace(nodes=nodes)


def random_traffic(package, seed=0):
    size = len(package.terminals)
    return from_matrix(package, np.random.default_rng(seed).pareto(1.5, (size, size)) * 1e6)


@pytest.fixture(params=sorted(ROUTINGS))
def routing(request):
    return request.param


def test_result_is_consistent(routing):
    package = grid_package()
    traffic = random_traffic(package)
    flow = congestion(package, traffic, routing=routing)
    assert flow.package == package
    assert flow.traffic is traffic
    assert flow.routing == routing
    assert flow.load.shape == flow.utilisation.shape == flow.dual.shape == (len(package.channels),)
    assert not flow.load.flags.writeable
    assert flow.time == pytest.approx((flow.load / 1e9).max(), rel=1e-9)
    assert 0 < flow.time_bound <= flow.time
    assert flow.gap == pytest.approx(flow.time / flow.time_bound - 1, abs=1e-12)
    assert flow.utilisation.max() == pytest.approx(1)
    names = [channel.name for channel in package.channels]
    assert flow.utilisation[names.index(flow.bottleneck)] == pytest.approx(1)
    assert flow.bottleneck.kind == "channel"
    assert flow.status in ("exact", "certified", "time limit", "fixed routing")
    assert "grid" in repr(flow)


def test_never_beats_the_optimum(routing):
    package = grid_package()
    traffic = random_traffic(package, 1)
    best = congestion(package, traffic)
    assert congestion(package, traffic, routing=routing).time >= best.time_bound * (1 - 1e-9)
    assert congestion(package, traffic, routing=routing).time_bound <= best.time * (1 + 1e-9)


def test_verifies_completely(routing):
    """Flow, messages, loads, times and the bound of every routing are checked to the last claim."""
    package = grid_package()
    for traffic in (random_traffic(package, 5), messages_to_sets(package)):
        flow = congestion(package, traffic, routing=routing)
        checked = flow.verify()
        assert checked.complete
        assert checked
        assert not checked.unchecked
    lighter = dataclasses.replace(flow, load=flow.load * 0.999)
    with pytest.raises(NopError, match="does not hold"):
        lighter.verify()


def messages_to_sets(package, seed=0):
    """A unicast demand beside multicasts and reductions of random sets, where every node copies and adds."""
    size, rng = len(package.terminals), np.random.default_rng(seed)
    members = rng.integers(1, 2**size, 20, dtype=np.uint64)[:, None]
    sets = DestinationSets(rng.integers(0, size, 20), members, rng.random(20) * 1e6)
    return dataclasses.replace(random_traffic(package, seed), multicast=sets, reduction=sets)


def test_no_traffic_takes_no_time(routing):
    package = grid_package()
    flow = congestion(package, from_matrix(package, np.zeros((12, 12))), routing=routing)
    assert flow.verify().complete
    assert (flow.time, flow.time_bound, flow.gap, flow.bottleneck) == (0.0, 0.0, 0.0, "")
    assert not flow.load.any()
    assert not flow.utilisation.any()


def test_time_scales_with_bytes_and_bandwidth(routing):
    package = grid_package()
    traffic = random_traffic(package, 2)
    flow = congestion(package, traffic, routing=routing)
    more = congestion(package, from_matrix(package, 8 * traffic.demand), routing=routing)
    assert more.time == pytest.approx(8 * flow.time, rel=1e-6)
    faster = [Link(link.a, link.b, 4 * link.bandwidth) for link in package.links]
    wide = congestion(package.replace(links=faster), traffic, routing=routing)
    assert wide.time == pytest.approx(flow.time / 4, rel=1e-6)
    derated = congestion(package, traffic, routing=routing, efficiency=0.5)
    assert derated.time == pytest.approx(2 * flow.time, rel=1e-6)
    assert derated.time_bound == pytest.approx(2 * flow.time_bound, rel=1e-6)


def test_node_limits_count(routing):
    package = grid_package()
    slow = [
        Chiplet(node.name, injection_bandwidth="1 MB/s", position=node.position) if i == 5 else node
        for i, node in enumerate(package.nodes)
    ]
    package = package.replace(nodes=slow)
    traffic = random_traffic(package, 3)
    flow = congestion(package, traffic, routing=routing)
    assert flow.bottleneck == f"{package.nodes[5].name} injection"
    assert (flow.bottleneck.kind, flow.bottleneck.place) == ("injection", package.nodes[5].name)
    assert flow.time == pytest.approx(traffic.demand[5].sum() / 1e6, rel=1e-9)
    assert flow.status == "exact"


def test_memory_never_forwards(routing):
    """Two chiplets in a line and a stack that is linked to both ends: the stack is no short cut."""
    chiplets = [Chiplet(f"e{i}", role="expert", position=(i * 1e-2, 0.0)) for i in range(3)]
    memory = Memory("hbm", bandwidth="1 GB/s")
    links = [Link("e0", "e1", "1 GB/s"), Link("e1", "e2", "1 GB/s")]
    links += [Link("e0", "hbm", "9 GB/s"), Link("e2", "hbm", "9 GB/s")]
    package = Package("line", [*chiplets, memory], links)
    demand = np.zeros((3, 3))
    demand[0, 2] = 1e9
    flow = congestion(package, from_matrix(package, demand), routing=routing)
    by_name = dict(zip((channel.name for channel in package.channels), flow.load, strict=True))
    assert by_name["e0->hbm"] == by_name["hbm->e2"] == 0
    assert flow.time == pytest.approx(1)
    reads = from_matrix(package, [[0, 1e9], [2e9, 0]], endpoints=("e1", "hbm"))
    flow = congestion(package, reads, routing=routing)
    assert flow.bottleneck == "hbm port"
    again = pickle.loads(pickle.dumps(flow.bottleneck))
    assert (again, again.kind, again.place) == ("hbm port", "port", "hbm")
    assert flow.time == pytest.approx(3)


def test_unknown_routing_offers_the_nearest():
    package = grid_package()
    with pytest.raises(UnknownNameError, match="did you mean 'ecmp'"):
        congestion(package, random_traffic(package), routing="ecpm")


@pytest.mark.parametrize("options", [{"tol": 0.0}, {"efficiency": 1.5}, {"time_limit": -1.0}])
def test_option_out_of_range(options):
    package = grid_package()
    with pytest.raises(NopError, match=r"must be above 0|in \(0, 1\]"):
        congestion(package, random_traffic(package), **options)


def test_all_routings_agree_on_a_tree():
    leaves = [Chiplet(f"e{i}", role="expert", position=(i * 1e-2, 0.0)) for i in range(5)]
    tree = Package("path", leaves, [Link(f"e{i}", f"e{i + 1}", "1 GB/s") for i in range(4)])
    traffic = random_traffic(tree, 4)
    flows = [congestion(tree, traffic, routing=routing) for routing in ROUTINGS if routing != "valiant"]
    assert (congestion(tree, traffic, routing="valiant").load >= flows[0].load).all()  # it detours on purpose
    for flow in flows:
        np.testing.assert_allclose(flow.load, flows[0].load, rtol=1e-9)
        assert flow.status == "exact"


def test_unknown_end_point():
    package = Package(
        "pair", [Chiplet("a"), Switch("s"), Chiplet("b")], [Link("a", "s", 1.0), Link("s", "b", 1.0)]
    )
    with pytest.raises(UnknownNameError, match="no node named 'c'"):
        congestion(package, Traffic(("a", "c"), np.ones((2, 2))))
