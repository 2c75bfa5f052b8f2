"""Swap gains against a recount, searches against brute force, exact matching, groups and relabelling."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from allocation_cases import all_layouts, least_connectivity, problem_of, topical, tree
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit import RoutingTrace, load_workload
from noptoolkit.allocation import allocate
from noptoolkit.allocation.caps import limits_of
from noptoolkit.allocation.grouping import place_in_groups
from noptoolkit.allocation.limits import excess_of
from noptoolkit.allocation.merging import place_matched
from noptoolkit.allocation.plain import place_randomly
from noptoolkit.allocation.portfolio import connectivity_of, search_portfolio
from noptoolkit.allocation.swap_search import STRICTNESS, anneal, descend, search_tabu, swap_changes


@pytest.mark.parametrize("caps", [{}, {"cap_chiplet": 1.01}, {"cap_chiplet": 1.05, "cap_group": 1.001}])
def test_swap_gain_equals_a_recount_with_every_term(caps: dict[str, float]) -> None:
    problem = problem_of(topical(), **caps)
    places = place_randomly(problem, np.random.default_rng(1))

    def cost(layout: np.ndarray) -> float:
        penalty = sum(excess_of(limit, layout) for limit in problem.limits)
        return connectivity_of(problem, layout) + STRICTNESS * problem.tokens * penalty

    changes, before = swap_changes(problem, places), cost(places)
    pairs = [(a, b) for a in range(32) for b in range(a) if places[a] != places[b]]
    for a, b in pairs[::7]:
        swapped = places.copy()
        swapped[[a, b]] = swapped[[b, a]]
        assert changes[a, b] == pytest.approx(cost(swapped) - before, abs=1e-5)
        assert changes[a, b] == changes[b, a]


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_swap_gains_hold_for_any_small_trace(seed: int, k: int, per_chiplet: int, spare: int) -> None:
    rng = np.random.default_rng(seed)
    experts = 3 * per_chiplet + 2
    ids = np.argsort(rng.random((rng.integers(1, 30), experts)), axis=1)[:, : min(k, experts)]
    problem = problem_of(RoutingTrace(ids, experts), 1, 4, capacity=per_chiplet + spare + 1)
    places = place_randomly(problem, rng)
    changes = swap_changes(problem, places)
    for a in range(experts):
        for b in range(a):
            swapped = places.copy()
            swapped[[a, b]] = swapped[[b, a]]
            expected = connectivity_of(problem, swapped) - connectivity_of(problem, places)
            assert changes[a, b] == pytest.approx(expected, abs=1e-9)


def test_gains_stay_right_through_a_search() -> None:
    """A search that miscounted its own state would end where a better swap is left."""
    problem = problem_of(topical(64, 8))
    places = descend(problem, place_randomly(problem, np.random.default_rng(0)))
    assert swap_changes(problem, places).min() >= 0
    after = search_tabu(problem, places, patience=100, rng=np.random.default_rng(0))
    assert swap_changes(problem, after).min() >= -1e-6
    assert connectivity_of(problem, after) <= connectivity_of(problem, places)


@pytest.mark.parametrize(("experts", "chiplets"), [(8, 4), (9, 3), (12, 6), (12, 4), (12, 3)])
@pytest.mark.parametrize("search", ["tabu", "anneal", "portfolio"])
def test_searches_equal_brute_force(experts: int, chiplets: int, search: str) -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        scores = rng.random((120, experts)) + rng.random(experts)
        trace = RoutingTrace(np.argsort(-scores, axis=1)[:, :3], experts)
        problem = problem_of(trace, 1, chiplets)
        best = least_connectivity(problem, chiplets)
        start = place_randomly(problem, rng)
        if search == "tabu":
            found = search_tabu(problem, start, patience=300, rng=rng)
        elif search == "anneal":
            found = anneal(problem, start, proposals=20_000, rng=rng, hot=0.2, cold=4e-3)
        else:
            found, _ = search_portfolio(problem, rng)
        assert connectivity_of(problem, found) == best


def test_matching_is_exact_for_two_experts_per_chiplet() -> None:
    for seed in range(3):
        trace = topical(32, 4, seed=seed)
        problem = problem_of(trace)
        exact = connectivity_of(problem, place_matched(problem, np.random.default_rng(0)))
        together = problem.coactivation
        places = place_matched(problem, np.random.default_rng(0))
        inside = together[places[:, None] == places].sum() / 2
        assert exact == problem.tokens * 4 - inside  # k copies less one for each pair that shares a chiplet
        found, _ = search_portfolio(problem, np.random.default_rng(0))
        assert exact == connectivity_of(problem, found)
        searched = search_tabu(
            problem,
            place_randomly(problem, np.random.default_rng(0)),
            patience=200,
            rng=np.random.default_rng(0),
        )
        assert exact <= connectivity_of(problem, searched) <= 1.005 * exact


def test_searches_are_near_the_exact_matching_on_recorded_routing(gptoss: RoutingTrace) -> None:
    for layer in (0, 12, 23):
        trace = gptoss.layer(layer)
        exact = allocate(trace, tree(4, 4), method="matching").c_t(trace)
        assert allocate(trace, tree(4, 4), objective="c_t").c_t(trace) == exact
        assert exact <= allocate(trace, tree(4, 4), method="tabu").c_t(trace) <= 1.005 * exact


def test_groups_improve_c_g_and_keep_c_t() -> None:
    trace = topical(64, 6)
    package = tree(4, 4)
    clustered = allocate(trace, package, method="agglomerative")
    problem = problem_of(trace)
    moved = place_in_groups(problem, clustered.chiplet_of_expert[0], np.random.default_rng(0))
    grouped = type(clustered)(clustered.experts, moved, clustered.groups)
    assert grouped.c_t(trace) == clustered.c_t(trace)
    assert grouped.c_g(trace) < clustered.c_g(trace)


def test_groups_equal_brute_force_over_cluster_pairings() -> None:
    trace = topical(16, 4)
    problem = problem_of(trace, 4, 2)
    places = np.arange(16) // 2
    moved = place_in_groups(problem, places, np.random.default_rng(0))
    best = min(connectivity_of(problem, group[places]) for group in all_layouts(8, 4))
    assert connectivity_of(problem, moved // 2) == best


def test_relabelling_experts_changes_nothing() -> None:
    trace = topical(64, 8)
    new = np.random.default_rng(9).permutation(64)
    renamed = RoutingTrace(new[trace.topk], 64)
    first = allocate(trace, tree(4, 4), objective="c_t")
    second = allocate(renamed, tree(4, 4), objective="c_t")
    assert second.c_t(renamed) == first.c_t(trace)
    assert second.c_g(renamed) == first.c_g(trace)
    assert (second.chiplet_of_expert[0][new] == first.chiplet_of_expert[0]).all()


def test_auto_names_its_winner_and_is_no_worse_than_any_other() -> None:
    trace = topical(64, 8, layers=2)
    auto = allocate(trace, tree(4, 4), objective="c_t")
    assert auto.method.startswith("auto: ")
    assert " of 2 layers" in auto.method
    for method in ("mozart", "agglomerative", "leiden", "spectral", "tabu", "descent"):
        assert auto.c_t(trace) <= allocate(trace, tree(4, 4), method=method).c_t(trace) + 1e-12


def test_leiden_in_threads_is_leiden_alone() -> None:
    trace, package = load_workload("stdlib-moe").trace, tree(4, 4)

    def places(_: int) -> bytes:
        return allocate(trace, package, method="leiden", rng=0).chiplet_of_expert.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(places, range(8)))) == 1


def test_leiden_leaves_pythons_generator_alone() -> None:
    import random

    random.seed(5)
    expected = [random.random() for _ in range(3)]
    random.seed(5)
    drawn = [random.random()]
    allocate(topical(), tree(4, 4), method="leiden")
    drawn += [random.random() for _ in range(2)]
    assert drawn == expected


def test_an_expert_nobody_uses_and_a_trace_of_one_token() -> None:
    for method in ("auto", "mozart", "matching", "spectral", "leiden", "agglomerative"):
        layout = allocate(RoutingTrace([[0, 1]], 32), tree(4, 4), method=method)
        assert (np.bincount(layout.chiplet_of_expert[0]) == 2).all()


def test_limits_are_multiples_of_the_mean_load() -> None:
    problem = problem_of(topical())
    chiplet, group = limits_of(problem, 1.5, 2.0)
    assert chiplet.cap.sum() == pytest.approx(1.5 * problem.load.sum())
    assert group.cap.tolist() == [pytest.approx(2.0 * problem.load.sum() / 4)] * 4
