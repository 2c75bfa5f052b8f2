"""What no routing can be made of is refused by name, with a way out."""

import networkx as nx
import numpy as np
import pytest
from flow_cases import all_to_all, from_graph

from noptoolkit import Chiplet, Link, Memory, Package
from noptoolkit.errors import NopError, RoutingError
from noptoolkit.flow import ROUTINGS, congestion
from noptoolkit.routing import check_deadlock, zero_load_latency
from noptoolkit.topology import mesh
from noptoolkit.traffic import from_matrix

MESH = mesh(3, 3)
PAIR = from_matrix(MESH, [[0, 1], [0, 0]], endpoints=("e0", "e8"))
GOOD = ["e0", "e1", "e2", "e5", "e8"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ([], "must begin with 'e0'"),
        (["e0"], "must begin with 'e0' and end with 'e8'"),
        (["e0", "e1"], "must begin with 'e0' and end with 'e8'"),
        (["e0", "e4", "e8"], "no channel 'e0->e4'; channels lead to e1, e3"),
        (["e0", "x", "e8"], "no node named 'x'"),
        (["e0", "e1", "e0", "e1", "e2", "e5", "e8"], "comes to 'e0' twice"),
        ([0, 1, 2, 5, 8], "not a sequence of node names"),
        (["e0", ["e1"], "e8"], "not a sequence of node names"),
        ("e0e8", "not a sequence of node names"),
        (None, "not a sequence of node names"),
        (7, "not a sequence of node names"),
    ],
)
def test_path_that_is_none(path, message):
    for routing in ({("e0", "e8"): path}, lambda a, b: path):
        with pytest.raises(RoutingError, match=message):
            congestion(MESH, PAIR, routing=routing)


@pytest.mark.parametrize(
    ("routing", "message"),
    [
        ({}, "no path from 'e0' to 'e8'; add one"),
        ({(0, 8): GOOD}, "no path from 'e0' to 'e8'"),
        ({"e0e8": GOOD}, "neither a name, nor a table"),
        (None, "neither a name, nor a table"),
        (3, "neither a name, nor a table"),
        (GOOD, "neither a name, nor a table"),
        (lambda a, b: {}[a], r"failed from 'e0' to 'e8' \(KeyError"),
        (lambda a: [a], r"failed from 'e0' to 'e8' \(TypeError"),
    ],
)
def test_routing_that_is_none(routing, message):
    with pytest.raises(RoutingError, match=message):
        congestion(MESH, PAIR, routing=routing)


def test_path_through_a_memory_stack():
    package = Package(
        "short cut",
        [Chiplet("a"), Chiplet("b"), Memory("m", bandwidth=1.0)],
        [Link("a", "b", 1.0), Link("a", "m", 1.0), Link("b", "m", 1.0)],
    )
    traffic = from_matrix(package, [[0, 1], [0, 0]])
    with pytest.raises(RoutingError, match="'m' is a memory stack"):
        congestion(package, traffic, routing={("a", "b"): ["a", "m", "b"]})
    reads = from_matrix(package, [[0, 1], [2, 0]], endpoints=("a", "m"))
    flow = congestion(package, reads, routing=lambda a, b: (name for name in (a, b)))
    assert flow.time == 3.0
    assert flow.verify()


@pytest.mark.parametrize("ask", [check_deadlock, zero_load_latency])
def test_routings_that_give_no_path_to_each_destination(ask):
    for routing in ("optimal", "valiant", "xy"):
        with pytest.raises(NopError, match=r"known: (optimal, )?shortest, ecmp, dor, up-down"):
            ask(MESH, routing=routing)
    with pytest.raises(RoutingError, match="neither a name, nor a table"):
        ask(MESH, routing=5)
    with pytest.raises(RoutingError, match="dor needs a grid"):
        ask(from_graph(nx.petersen_graph()), routing="dor")


def test_latency_in_one_line():
    assert repr(zero_load_latency(MESH)).startswith("Latency(9 endpoints: ")


def test_no_end_points_have_no_latency():
    with pytest.raises(RoutingError, match="name one endpoint or more"):
        zero_load_latency(MESH, among=())


def test_one_chiplet_alone():
    alone = Package("alone", [Chiplet("a")], [])
    for routing in ROUTINGS:
        if routing != "dor":
            flow = congestion(alone, from_matrix(alone, [[1.0]]), routing=routing)
            assert (flow.time, flow.gap, flow.status) == (0.0, 0.0, "exact")
            assert flow.load.shape == (0,)
    assert check_deadlock(alone, routing="ecmp").free


def column_first(a, b):
    (r, c), (r2, c2) = divmod(int(a[1:]), 3), divmod(int(b[1:]), 3)
    steps = [(x, c) for x in range(r, r2, 1 if r2 > r else -1)]
    steps += [(r2, x) for x in range(c, c2, 1 if c2 > c else -1)]
    return [f"e{3 * row + column}" for row, column in [*steps, (r2, c2)]]


def test_latency_and_deadlock_of_given_paths():
    ends = [(a, b) for a in MESH.terminals for b in MESH.terminals if a != b]
    table = {(a, b): column_first(a, b) for a, b in ends}
    for routing in (table, column_first):
        np.testing.assert_allclose(
            zero_load_latency(MESH, routing=routing).per_pair, zero_load_latency(MESH, routing="dor").per_pair
        )
        found = check_deadlock(MESH, routing=routing)
        assert found.free
        assert found.dependencies == check_deadlock(MESH, routing="dor").dependencies
    turning = {  # four corners, each round the centre: the four turns of a clock
        ("e0", "e4"): ["e0", "e1", "e4"],
        ("e1", "e3"): ["e1", "e4", "e3"],
        ("e4", "e0"): ["e4", "e3", "e0"],
        ("e3", "e1"): ["e3", "e0", "e1"],
    }
    assert check_deadlock(MESH, routing=turning).cycle == ("e0->e1", "e1->e4", "e4->e3", "e3->e0")
    flow = congestion(MESH, all_to_all(MESH), routing=table)
    assert flow.time == pytest.approx(congestion(MESH, all_to_all(MESH), routing="dor").time)
