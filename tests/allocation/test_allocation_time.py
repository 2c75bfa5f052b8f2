"""The time model against the flow room and a recount; its search against fresh counts and brute force."""

import dataclasses
from itertools import permutations

import numpy as np
import pytest
from allocation_cases import grid, topical, tree

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.allocation import time_search as ts
from noptoolkit.allocation.allocating import layout_problems
from noptoolkit.allocation.time_model import package_time
from noptoolkit.allocation.time_search import layout_time, search_time
from noptoolkit.errors import NopError
from noptoolkit.flow import congestion
from noptoolkit.traffic import combine, dispatch

TRACE = topical(32, 4, tokens=800, layers=1, seed=3)


@pytest.mark.parametrize("degree", ["chiplets", "in-network"])
@pytest.mark.parametrize("root", [True, False])
def test_on_a_tree_the_model_is_the_flow(degree: str, root: bool) -> None:
    """Routes and multicast trees are unique, so the congestion of flow is the model's maximum."""
    package = tree(4, 4, root)
    layout = allocate(TRACE, package, method="random", rng=2)
    out, _, back = package_time(package, token_bytes=64, degree=degree).times(layout, TRACE)
    options = {"token_bytes": 64, "degree": degree}
    assert out == pytest.approx(
        congestion(package, dispatch(package, TRACE, layout, **options)).time, rel=1e-6
    )
    assert back == pytest.approx(
        congestion(package, combine(package, TRACE, layout, **options)).time, rel=1e-6
    )


@pytest.mark.parametrize("degree", ["chiplets", "in-network"])
def test_on_a_mesh_no_routing_beats_the_bound_and_the_tree_is_a_routing(degree: str) -> None:
    package = grid(3, 3)
    trace = topical(16, 4, tokens=300)
    layout = allocate(trace, package, method="random", rng=2)
    out, _, _ = package_time(package, token_bytes=64, degree=degree).times(layout, trace)
    flow = congestion(package, dispatch(package, trace, layout, token_bytes=64, degree=degree))
    assert flow.time_bound <= out * (1 + 1e-6)


@pytest.mark.parametrize("degree", ["chiplets", "in-network"])
def test_parallel_links_share(degree: str) -> None:
    """Two links of 1 and 3 B/s beside each other carry what one of 4 would, as in the flow."""
    leaves = [Chiplet(f"e{i}", role="expert") for i in range(3)]
    hub = Switch("hub", replicates=True, reduces=True)
    links = [*(Link("hub", leaf.name, 8.0) for leaf in leaves), Link("root", "hub", 1.0)]
    package = Package(
        "pair", [Chiplet("root", role="attention"), hub, *leaves], [*links, Link("root", "hub", 3.0)]
    )
    layout = Allocation(package.experts, [0, 0, 1, 1, 2, 2])
    trace = topical(6, 2, tokens=60)
    out, _, back = package_time(package, degree=degree).times(layout, trace)
    for time, traffic in ((out, dispatch), (back, combine)):
        flow = congestion(package, traffic(package, trace, layout, token_bytes=1, degree=degree))
        assert time == pytest.approx(flow.time, rel=1e-9)


def test_ports_crossbars_and_half_duplex_links_are_busy_too() -> None:
    leaves = [
        Chiplet(f"e{i}", role="expert", ejection_bandwidth=0.5, injection_bandwidth=0.25) for i in range(2)
    ]
    nodes = [
        Chiplet("root", role="attention"),
        Switch("hub", crossbar_bandwidth=0.1),
        *leaves,
        Memory("m", 1.0),
    ]
    links = [
        Link("root", "hub", 10.0),
        Link("hub", "e0", 10.0, half_duplex=True),
        Link("hub", "e1", 10.0),
        Link("m", "hub", 1.0),
    ]
    package = Package("ports", nodes, links)
    layout = Allocation(package.experts, [0, 0, 1, 1])
    trace = topical(4, 2, tokens=60)
    trace = trace.tokens(slice(0, 40))
    model = package_time(package)
    copies = layout.c_t(trace) * 40
    met = np.array([(layout.chiplets(trace)[0] == c).any(axis=1).sum() for c in (0, 1)])
    busy = dict(zip(model.resources, model.out @ model.tokens_met(layout, trace)[0], strict=True))
    assert busy["hub crossbar"] == pytest.approx(copies / 0.1)
    assert busy["e0 ejection"] == pytest.approx(met[0] / 0.5)
    assert busy["hub->e0"] == pytest.approx(met[0] / 10)
    back = dict(zip(model.resources, model.back @ model.tokens_met(layout, trace)[0], strict=True))
    assert back["e1 injection"] == pytest.approx(met[1] / 0.25)
    assert back["hub->e0"] == pytest.approx(met[0] / 10)  # the shared link, the other way
    assert back["hub->root"] == pytest.approx(copies / 10)
    assert not any(name.startswith("hub->m") and value for name, value in busy.items())


def test_compute_is_that_of_the_hottest_chiplet() -> None:
    package = tree(4, 4)
    layout = allocate(TRACE, package, method="random", rng=2)
    _, experts, _ = package_time(package, flops_per_choice=3e6).times(layout, TRACE)
    assert experts == pytest.approx(layout.load(TRACE).max() * 3e6 / 1e12)


@pytest.mark.parametrize(
    "package", [tree(4, 4), tree(4, 4, root=False), grid(4, 4)], ids=["tree", "leaves", "mesh"]
)
def test_bookkeeping_of_the_search_equals_a_fresh_count(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At temperature 0 the search ends at its best layout, so its state must be that layout's."""
    from noptoolkit.allocation import compiled_times

    states = []
    start = compiled_times.start_time
    monkeypatch.setattr(
        compiled_times, "start_time", lambda *given: states.append((given, start(*given))) or states[-1][1]
    )
    monkeypatch.setattr(ts, "HOT", 1e-15)
    monkeypatch.setattr(ts, "COLD", 1e-15)
    (problem,) = layout_problems(TRACE, package)
    model = package_time(package, flops_per_choice=1e4)
    places = allocate(TRACE, package, method="random").chiplet_of_expert[0]
    found = search_time(problem, places, model, proposals=600, rng=np.random.default_rng(0))
    assert layout_time(problem, found, model) < layout_time(problem, places, model)
    given, state = states[-1]
    fresh = start(given[0], given[1], found, *given[3:])
    for kept, counted in zip(state, fresh, strict=True):
        np.testing.assert_allclose(kept, counted, rtol=1e-9, atol=1e-18)


def test_parts_of_one_chiplet_are_counted_as_any_others() -> None:
    """One more part, of two chiplets, whose tokens take no time: other code counts, with the same result."""
    package = grid(4, 4)
    (problem,) = layout_problems(TRACE, package)
    model = package_time(package, flops_per_choice=1e4, degree="chiplets")
    np.testing.assert_array_equal(model.parts, np.eye(16))
    pair = np.isin(np.arange(16), (0, 1))[None]
    wide = dataclasses.replace(
        model,
        parts=np.concatenate([model.parts, pair]),
        out=np.pad(model.out, ((0, 0), (0, 1))),
        back=np.pad(model.back, ((0, 0), (0, 1))),
    )
    places = allocate(TRACE, package, method="random").chiplet_of_expert[0]
    found = [
        search_time(problem, places, one, proposals=600, rng=np.random.default_rng(0))
        for one in (model, wide)
    ]
    assert (found[0] != places).any()
    np.testing.assert_array_equal(*found)


def test_layout_time_is_the_models_time() -> None:
    package = tree(4, 4)
    (problem,) = layout_problems(TRACE, package)
    layout = allocate(TRACE, package, method="random", rng=4)
    model = package_time(package, token_bytes=10, flops_per_choice=1e4)
    assert layout_time(problem, layout.chiplet_of_expert[0], model) == pytest.approx(
        model.time(layout, TRACE)
    )


def test_search_equals_brute_force_over_all_placements() -> None:
    package = grid(2, 3)
    ids = np.random.default_rng(0).permuted(np.tile(np.arange(6), (200, 1)), axis=1)[:, :2]
    trace = RoutingTrace(ids, 6)
    (problem,) = layout_problems(trace, package)
    model = package_time(package)
    best = min(layout_time(problem, np.array(p), model) for p in permutations(range(6)))
    found = search_time(problem, np.arange(6), model, proposals=4000, rng=np.random.default_rng(1))
    assert layout_time(problem, found, model) <= best * 1.005  # it anneals a smooth stand-in of the maximum


def test_with_one_expert_each_only_places_are_searched() -> None:
    package = tree(4, 4)
    trace = topical(16, 4, tokens=300)
    fewest, fastest = (allocate(trace, package, objective=objective) for objective in ("c_t", "time"))
    for layout in (fewest, fastest):
        assert (np.sort(layout.chiplet_of_expert) == np.arange(16)).all()
        assert layout.method.startswith("auto: one expert each (exact)")
        assert layout.c_t(trace) == 4
    timed = package_time(package)
    assert timed.time(fastest, trace) <= timed.time(fewest, trace)
    random = allocate(trace, package, method="random")
    assert fewest.c_g(trace) <= random.c_g(trace)


@pytest.mark.parametrize("package", [tree(4, 4), grid(4, 4)], ids=["tree", "mesh"])
def test_the_time_objective_shortens_and_keeps_caps(package: Package) -> None:
    trace = topical(64, 6, tokens=1500)
    model = package_time(package)
    fewest = allocate(trace, package, objective="c_t")
    fastest = allocate(trace, package, objective="time")
    assert model.time(fastest, trace) < 0.99 * model.time(fewest, trace)
    assert fastest.c_t(trace) >= fewest.c_t(trace)
    assert fastest.method.startswith("auto: ")
    capped = allocate(trace, package, objective="time", cap_chiplet=1.04, cap_group=1.01)
    assert capped.imbalance(trace) <= 1.04 + 1e-9
    assert capped.group_imbalance(trace) <= 1.01 + 1e-9
    uneven = allocate(trace, package, objective="time", capacity=[8, 4, 2, 2] * 4)
    assert (np.bincount(uneven.chiplet_of_expert[0]) == [8, 4, 2, 2] * 4).all()


def test_relabelling_and_seeds_change_nothing() -> None:
    new = np.random.default_rng(9).permutation(32)
    renamed = RoutingTrace(new[TRACE.topk], 32)
    package = grid(4, 4)
    first, second = (allocate(trace, package, objective="time") for trace in (TRACE, renamed))
    assert (second.chiplet_of_expert[0][new] == first.chiplet_of_expert[0]).all()
    assert (allocate(TRACE, package, objective="time").chiplet_of_expert == first.chiplet_of_expert).all()


def test_unknown_names_and_one_way_packages() -> None:
    with pytest.raises(NopError, match="no objective 'tiem'; did you mean 'time'"):
        allocate(TRACE, tree(4, 4), objective="tiem")
    with pytest.raises(NopError, match="no degree 'copies'"):
        package_time(tree(4, 4), degree="copies")


def test_compute_that_hides_under_the_loading_of_weights_costs_nothing() -> None:
    """Experts take the longer of computing and loading; beyond that, balance is not worth a copy."""
    package = tree(4, 4)
    layout = allocate(TRACE, package, method="random", rng=2)
    plain = package_time(package, token_bytes=64, flops_per_choice=3e6)
    busy = plain.times(layout, TRACE)[1]
    for share in (0.5, 2.0):
        model = dataclasses.replace(plain, streaming=share * busy / TRACE.num_tokens)
        out, experts, back = model.times(layout, TRACE)
        assert experts == pytest.approx(max(1.0, share) * busy)
        assert (out, back) == (plain.times(layout, TRACE)[0], plain.times(layout, TRACE)[2])
        (problem,) = layout_problems(TRACE, package)
        assert layout_time(problem, layout.chiplet_of_expert[0], model) == pytest.approx(out + experts + back)
    hidden = dataclasses.replace(plain, streaming=1e3 * busy / TRACE.num_tokens)
    found = allocate(TRACE, package, objective="time", layer_time=hidden)
    without = allocate(TRACE, package, objective="time", layer_time=package_time(package, token_bytes=64))
    assert plain.times(found, TRACE)[[0, 2]].sum() <= plain.times(without, TRACE)[[0, 2]].sum() * 1.02


@pytest.mark.parametrize(
    "name",
    ["mesh-4x4", *(pytest.param(name, marks=pytest.mark.long) for name in ("mozart-nop-tree", "torus-4x4"))],
)
def test_a_step_is_not_longer_by_the_objective_time_than_by_c_t(name: str) -> None:
    """The recorded routing of the shipped model: 0.5 % are left for what two halves of a trace differ in."""
    steps = [
        nop.run(name, "stdlib-moe", objective=objective, routing="shortest").plan.makespan
        for objective in ("time", "c_t")
    ]
    assert steps[0] <= 1.005 * steps[1]
