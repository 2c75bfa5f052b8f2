"""Records of routings: whatever may stand for a name gives the right flow, latency and proof."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit import Chiplet, Link, Memory, Package, congestion
from noptoolkit.errors import RoutingError
from noptoolkit.network import flow_network
from noptoolkit.routing import ROUTINGS, NextHops, RoutingMethod, UpDown, check_deadlock, zero_load_latency
from noptoolkit.routing.forwarding import split_equally
from noptoolkit.topology import mesh, torus
from noptoolkit.traffic import all_to_all, from_matrix

MESH = mesh(3, 4, link_bandwidth=1.0)
UNIFORM = all_to_all(MESH, 1.0, among="terminals")
DIAMOND = Package("diamond", [Chiplet(n) for n in "abcd"], [Link(*p, 1.0) for p in ("ab", "ac", "bd", "cd")])
PAIR = from_matrix(DIAMOND, [[0, 1], [0, 0]], endpoints=("a", "d"))
SHARES = {("a", "d"): {"b": 0.75, "c": 0.25}, ("b", "d"): {"d": 1}, ("c", "d"): {"d": 1}}


def x_first(here, destination):
    (row, column), (goal_row, goal_column) = (divmod(int(n[1:]), 4) for n in (here, destination))
    if column != goal_column:
        return {f"e{4 * row + column + (1 if goal_column > column else -1)}": 1.0}
    return {f"e{4 * (row + (1 if goal_row > row else -1)) + column}": 1.0}


def test_a_splitting_rule_by_names_is_dimension_order():
    mine, dor = NextHops(x_first), "dor"
    flow, other = (congestion(MESH, UNIFORM, routing=routing) for routing in (mine, dor))
    np.testing.assert_array_equal(flow.load, other.load)
    assert (flow.routing, flow.method, flow.status) == ("x_first", "next hops", other.status)
    assert flow.verify()
    lone, both = (zero_load_latency(MESH, routing=routing).per_pair for routing in (mine, dor))
    np.testing.assert_allclose(lone, both)
    assert check_deadlock(MESH, routing=mine) == check_deadlock(MESH, routing=dor)


@settings(max_examples=examples(25), deadline=None)
@given(st.floats(0, 1))
def test_shares_are_the_loads(share):
    rule = NextHops({**SHARES, ("a", "d"): {"b": share, "c": 1 - share}})
    flow = congestion(DIAMOND, PAIR, routing=rule)
    by_name = dict(zip((c.name for c in DIAMOND.channels), flow.load, strict=True))
    assert by_name["a->b"] == by_name["b->d"] == pytest.approx(share)
    assert by_name["a->c"] == pytest.approx(1 - share)
    assert flow.time == pytest.approx(max(share, 1 - share))
    assert flow.verify()


def test_the_same_rule_in_arrays():
    flow = congestion(MESH, UNIFORM, routing=RoutingMethod("mine", forward=split_equally))
    known = congestion(MESH, UNIFORM, routing="ecmp")
    np.testing.assert_allclose(flow.load, known.load, rtol=1e-12)
    assert (flow.routing, flow.time_bound) == ("mine", pytest.approx(known.time_bound))
    assert flow.verify()
    whole = split_equally(flow_network(MESH), np.arange(12))
    given = congestion(MESH, UNIFORM, routing=whole)
    np.testing.assert_allclose(given.load, known.load, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(ROUTINGS))
def test_a_record_is_as_good_as_its_name(name):
    flow, other = (congestion(MESH, UNIFORM, routing=routing) for routing in (ROUTINGS[name], name))
    np.testing.assert_array_equal(flow.load, other.load)
    assert (flow.routing, flow.status, flow.method) == (name, other.status, other.method)


def test_a_name_changes_no_status():
    def optimal(a, b):
        return [a, "b" if (a, b) == ("a", "d") else "c", b]

    flow = congestion(DIAMOND, PAIR, routing=optimal)
    assert flow.status == "fixed routing"
    assert flow.routing == "optimal (user's)"
    assert congestion(DIAMOND, PAIR, routing=NextHops(SHARES, name="valiant")).verify()


def test_a_search_of_ones_own():
    def search(problem, effort):
        from noptoolkit.flow.routings import route

        assert effort.tol == 0.5
        return route(ROUTINGS["ecmp"], problem, effort)

    method = RoutingMethod("mine", route=search, searches=True)
    flow = congestion(torus(4, 5, link_bandwidth=1.0), all_to_all(torus(4, 5), 1.0), routing=method, tol=0.5)
    assert flow.status in ("certified", "exact", "bounded")
    lopsided = congestion(DIAMOND, PAIR, routing=RoutingMethod("mine", route=search, searches=True), tol=0.5)
    assert lopsided.status == "exact"


def test_a_record_is_one_thing():
    for fields in ({}, {"forward": split_equally, "paths": {}}, {"relayed": True, "searches": True}):
        with pytest.raises(RoutingError, match="give one of forward, paths, relayed, route"):
            RoutingMethod("mine", **fields)
    for fields in ({"forward": 3}, {"route": "ecmp"}, {"paths": 3}):
        with pytest.raises(RoutingError, match=r"is not a function|neither a table"):
            RoutingMethod("mine", **fields)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({("a", "d"): {"b": 0.5}}, "sum to 0.5; they must sum to 1"),
        ({("a", "d"): {"b": 1.5, "c": -0.5}}, "at least 0"),
        ({("a", "d"): {"b": 1.0}}, "at 'b' towards 'd': packets get there, but no next hop"),
        ({("a", "d"): {"b": 1.0}, ("b", "d"): {"a": 1.0}}, "packets can go round in a loop"),
        ({("a", "d"): {"d": 1.0}}, "no channel leads from 'a' to 'd'"),
        ({("a", "d"): {"x": 1.0}}, "no node named 'x'"),
        ({("a", "d"): ["b"]}, "not a mapping"),
        ({}, "no next hop at 'a' towards 'd'"),
        (lambda here, destination: 1 / 0, r"failed at 'a' towards 'd' \(ZeroDivisionError"),
    ],
)
def test_next_hops_that_lead_nowhere(shares, message):
    with pytest.raises(RoutingError, match=message):
        congestion(DIAMOND, PAIR, routing=NextHops(shares))


def test_no_packet_goes_through_a_memory_stack():
    nodes = [Chiplet("a"), Chiplet("b"), Memory("m", bandwidth=1.0)]
    package = Package("short cut", nodes, [Link("a", "b", 1.0), Link("a", "m", 1.0), Link("b", "m", 1.0)])
    rule = NextHops({("a", "b"): {"m": 1.0}, ("m", "b"): {"b": 1.0}})
    with pytest.raises(RoutingError, match="'m' is a memory stack, which does not forward"):
        congestion(package, from_matrix(package, [[0, 1], [0, 0]]), routing=rule)
    reads = from_matrix(package, [[0, 1], [1, 0]], endpoints=("m", "b"))
    direct = NextHops(lambda here, destination: {destination: 1.0} if here != "a" else None)
    assert congestion(package, reads, routing=direct).verify()


def test_a_path_function_that_gives_shares_is_told_of_next_hops():
    with pytest.raises(RoutingError, match=r"write routing=noptoolkit\.routing\.NextHops"):
        congestion(MESH, UNIFORM, routing=x_first)


def broken(**changes):
    import dataclasses

    def rule(network, destinations):
        whole = split_equally(network, destinations)
        made = {name: change(getattr(whole, name)) for name, change in changes.items()}
        return dataclasses.replace(whole, **made)

    return RoutingMethod("broken", forward=rule)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": lambda share: share / 2}, "they must sum to 1"),
        ({"share": lambda share: -share}, "negative"),
        ({"level": lambda level: 0 * level}, "level must fall"),
        ({"arc": lambda arc: arc[::-1]}, "ends elsewhere"),
        ({"arc": lambda arc: arc + 1000}, "not in 0 .. "),
        ({"to": lambda to: to[1:]}, "differ in length"),
        ({"destinations": lambda ends: ends[::-1]}, "other destinations"),
    ],
)
def test_arrays_that_are_no_rule(changes, message):
    with pytest.raises(RoutingError, match=message):
        congestion(MESH, UNIFORM, routing=broken(**changes))


def test_old_tables_still_work():
    with pytest.warns(DeprecationWarning, match=r"now in ROUTINGS, as \.forward"):
        from noptoolkit.routing.rules import FORWARDING
    assert FORWARDING["ecmp"] is split_equally
    from noptoolkit.routing import Effort
    from noptoolkit.routing.problem import routing_problem

    with pytest.warns(DeprecationWarning, match="values of ROUTINGS are records"):
        routed = ROUTINGS["ecmp"](routing_problem(MESH, UNIFORM), Effort())
    assert routed.arc_load.sum() == congestion(MESH, UNIFORM, routing="ecmp").load.sum()


def test_up_down_from_a_root_is_a_record_too():
    flow = congestion(MESH, UNIFORM, routing=UpDown("e5"))
    assert (flow.routing, flow.method) == ("up-down from e5", "up*/down*")
    assert flow.verify()
