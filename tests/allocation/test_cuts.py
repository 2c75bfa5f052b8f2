"""Times that no routing can shorten: against flow's optimum and by hand; searches with nothing to gain."""

import dataclasses

import numpy as np
import pytest
from allocation_cases import grid, topical, tree

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch
from noptoolkit.allocation import Allocation, allocate, portfolio
from noptoolkit.allocation.allocating import layout_problems
from noptoolkit.allocation.cuts import cut_uses, has_one_way
from noptoolkit.allocation.time_model import package_time
from noptoolkit.flow import congestion
from noptoolkit.network import flow_network
from noptoolkit.traffic import combine, dispatch

TRACE = topical(32, 4, tokens=800, layers=1, seed=3)


@pytest.mark.parametrize("name", ["mesh-4x4", "torus-4x4", "ring-16", "express-ring-16", "hexamesh-19"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_routing_is_faster_than_the_cuts_say(name: str, seed: int) -> None:
    package = nop.load_topology(name)
    layout = allocate(TRACE, package, method="random", rng=seed)
    model = package_time(package, token_bytes=64, routes="any", degree="chiplets")
    out, _, back = model.times(layout, TRACE)
    options = {"token_bytes": 64, "degree": "chiplets"}
    for time, sent in ((out, dispatch), (back, combine)):
        flow = congestion(package, sent(package, TRACE, layout, **options), tol=1e-3)
        assert time <= flow.time * (1 + 1e-9)
        assert time >= 0.7 * flow.time_bound  # the cut that limits is among those tried, or nearly


def diamond(**ends: float) -> Package:
    """A source with two ways, of 1 and 2 B/s, to a chiplet, and one of 8 B/s from there to the next."""
    nodes = [
        Chiplet("root", role="attention"),
        Switch("a"),
        Switch("b"),
        Chiplet("near", role="expert", **ends),
        Chiplet("far", role="expert"),
        Memory("m", 1.0),
    ]
    pairs = [("root", "a", 1.0), ("a", "near", 1.0), ("root", "b", 2.0), ("b", "near", 2.0)]
    links = [
        Link(one, other, width) for one, other, width in (*pairs, ("near", "far", 0.5), ("m", "near", 9.0))
    ]
    return Package("diamond", nodes, links)


def test_cuts_of_a_diamond_by_hand() -> None:
    """All bytes leave the root at 3 B/s, whatever the split; those for the far chiplet cross 0.5 B/s, too."""
    network = flow_network(diamond())
    assert not has_one_way(network)
    for backward in (False, True):
        uses, names = cut_uses(network, backward=backward)
        found = dict(zip(names, uses.tolist(), strict=True))
        assert found["0 hops"] == pytest.approx([1 / 3, 1 / 3])
        assert found["1 hops"] == pytest.approx([1 / 3, 1 / 3])
        assert found["2 hops"] == pytest.approx([0, 2])
        assert found["into near"] == pytest.approx([1 / (3 + 0.5), 0])
        assert found["near - far"] == pytest.approx([0, 2])
        assert found["near - far, back"] == [0, 0]  # the far side holds no source
        assert not any("m" in name.split() for name in found)  # nothing passes a stack


def test_ports_of_chiplets_count_whatever_the_routes() -> None:
    network = flow_network(diamond(ejection_bandwidth=0.25, injection_bandwidth=0.125))
    out, names = cut_uses(network, backward=False)
    back, same = cut_uses(network, backward=True)
    assert names[-2:] == same[-2:] == ("near injection", "near ejection")
    assert out[-2:].tolist() == [[0, 0], [4, 0]]
    assert back[-2:].tolist() == [[8, 0], [0, 0]]


def test_sources_that_are_chiplets_keep_their_own_tokens() -> None:
    package = nop.topology.ring(4, link_bandwidth=1.0)
    uses, names = cut_uses(flow_network(package), backward=False)
    into = uses[names.index(f"into {package.experts[1]}")]
    assert into == pytest.approx([0, 3 / 4 / 2, 0, 0])  # three of four sources are elsewhere, two channels in


def test_where_there_is_one_way_or_nodes_copy_the_model_is_that_of_shortest_paths() -> None:
    for package, degree in ((tree(4, 4), "in-network"), (tree(4, 4), "chiplets")):
        one, other = (package_time(package, routes=routes, degree=degree) for routes in ("any", "shortest"))
        np.testing.assert_array_equal(one.out, other.out)
        assert one.resources == other.resources
    ways = [package_time(grid(4, 4), routes=how, degree="chiplets").resources for how in ("any", "shortest")]
    assert ways[0] != ways[1]


def test_time_per_copy_is_what_every_copy_takes() -> None:
    leaves = [Chiplet(f"e{i}", role="expert") for i in range(3)]
    links = [Link("root", "hub", 1.0), *(Link("hub", leaf.name, 9.0) for leaf in leaves)]
    star = Package("star", [Chiplet("root", role="attention"), Switch("hub"), *leaves], links)
    assert package_time(star).time_per_copy == pytest.approx(2.0)  # there and back
    assert package_time(tree(4, 4)).time_per_copy == 0.0  # copied on the way: of several, one


def test_where_all_copies_pass_one_place_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    package = nop.load_topology("hexamesh-19")  # the attention chiplet has one link
    trace = topical(64, 8, tokens=600, layers=2)
    model = package_time(package, token_bytes=256, routes="any")

    def refuse(*given: object, **options: object) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(portfolio, "search_time", refuse)
    found = [allocate(trace, package, objective="c_t"), allocate(trace, package, layer_time=model)]
    np.testing.assert_array_equal(*(layout.chiplet_of_expert for layout in found))
    with pytest.raises(AssertionError, match="searched"):
        allocate(trace, tree(4, 4), layer_time=package_time(tree(4, 4)))


def test_layers_after_one_that_was_searched_start_from_the_same_fewest_copies() -> None:
    """The search for time must not shift the draws of the layers that follow."""
    package = tree(4, 4)
    trace = topical(32, 4, tokens=400, layers=3)
    model = package_time(package)
    free = dataclasses.replace(model, out=0 * model.out, back=0 * model.back)  # nothing to gain by time
    found = [allocate(trace, package, objective="c_t"), allocate(trace, package, layer_time=free)]
    np.testing.assert_array_equal(*(layout.chiplet_of_expert for layout in found))


def test_what_is_gained_on_tokens_seen_only_is_not_taken() -> None:
    """One half of the tokens wants a layout, the other half its opposite: no gain on one counts."""
    package = tree(2, 2)
    seen = RoutingTrace([[0, 1], [2, 3], [4, 5], [6, 7]] * 20, num_experts=8)
    other = RoutingTrace([[0, 2], [1, 3], [4, 6], [5, 7]] * 20, num_experts=8)
    both = RoutingTrace(np.concatenate([seen.topk, other.topk], axis=1), num_experts=8)
    (whole,), (one,), (two,) = (layout_problems(part, package) for part in (both, seen, other))
    model, rng = package_time(package), np.random.default_rng
    alone, _ = portfolio.search_portfolio(whole, rng(0), model, (one, one))
    judged, _ = portfolio.search_portfolio(whole, rng(0), model, (one, two))
    fewest, _ = portfolio.search_portfolio(whole, rng(0))
    times = [model.time(Allocation(package.experts, places), other) for places in (alone, judged, fewest)]
    assert times[1] <= min(times[0], times[2])
