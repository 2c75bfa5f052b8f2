"""Lower bounds against brute force, and the report of fitted, held-out and out-of-domain C_T."""

from itertools import permutations
from typing import Literal

import numpy as np
import pytest
from allocation_cases import grid, least_connectivity, problem_of, topical, tree

from noptoolkit import RoutingTrace, SyntheticRouting
from noptoolkit.allocation import allocate
from noptoolkit.allocation.bounds import c_t_bound, connectivity_bound
from noptoolkit.allocation.evidence import compare_layouts, layouts_by_cap, random_c_t
from noptoolkit.allocation.portfolio import connectivity_of, search_portfolio
from noptoolkit.errors import NopWarning
from noptoolkit.synthetic import draw_trace


@pytest.mark.parametrize(
    ("experts", "chiplets", "k"), [(8, 4, 3), (9, 3, 3), (12, 4, 4), (12, 3, 5), (12, 2, 2)]
)
def test_bound_is_never_above_brute_force(experts: int, chiplets: int, k: int) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sharpness = 10.0**-seed  # from uniform to nearly fixed routing
        scores = (
            rng.gumbel(size=(80, experts)) * sharpness + rng.random(experts) + 2 * rng.random((80, 1, 1))[0]
        )
        problem = problem_of(RoutingTrace(np.argsort(-scores, axis=1)[:, :k], experts), 1, chiplets)
        best = least_connectivity(problem, chiplets)
        bound = connectivity_bound(problem)
        assert bound <= best * (1 + 1e-12)
        if experts == 2 * chiplets:
            assert bound == best


def test_bound_says_something_and_is_tight_where_topics_fill_chiplets() -> None:
    trace = topical(64, 8)
    problem = problem_of(trace)
    places, _ = search_portfolio(problem, np.random.default_rng(0))
    assert 0.7 < connectivity_bound(problem) / connectivity_of(problem, places) <= 1
    fixed = RoutingTrace(np.repeat(np.arange(64).reshape(8, 8), 5, axis=0), 64)  # eight disjoint sets
    assert c_t_bound(fixed, tree(4, 2)) == allocate(fixed, tree(4, 2), objective="c_t").c_t(fixed) == 1.0


def test_bound_with_uneven_and_spare_slots() -> None:
    trace = topical(32, 4)
    for capacity in (4, [8, 1, 1, 1] * 4, [2] * 15 + [16]):
        layout = allocate(trace, tree(4, 4), capacity=capacity, objective="c_t")
        assert c_t_bound(trace, tree(4, 4), capacity=capacity) <= layout.c_t(trace) + 1e-12


@pytest.mark.parametrize("capacity", [[1, 2, 2], [2, 2, 2], [3, 1, 1], [1, 1, 3, 2], [5, 0, 1], [1] * 5])
def test_bound_and_auto_against_brute_force_on_uneven_chiplets(capacity: list[int]) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        trace = RoutingTrace(np.argsort(-rng.random((40, 5)) - rng.random(5), axis=1)[:, :3], 5)
        package = tree(1, len(capacity))
        problem = problem_of(trace, 1, len(capacity), capacity=capacity)
        slots = [chiplet for chiplet, size in enumerate(capacity) for _ in range(size)]
        best = min(connectivity_of(problem, np.array(places)) for places in set(permutations(slots, 5)))
        assert connectivity_bound(problem) <= best
        auto = allocate(trace, package, capacity=capacity, objective="c_t")
        assert connectivity_of(problem, auto.chiplet_of_expert[0]) == best


def test_bound_averages_layers() -> None:
    trace = topical(64, 8, layers=2)
    each = [c_t_bound(trace.layer(i), tree(4, 4)) for i in range(2)]
    assert c_t_bound(trace, tree(4, 4)) == pytest.approx(np.mean(each))
    assert c_t_bound(trace, tree(4, 4), per_layer=False) <= allocate(
        trace, tree(4, 4), per_layer=False, objective="c_t"
    ).c_t(trace)


def test_report_shows_what_a_layout_is_worth_on_tokens_it_has_not_seen() -> None:
    trace = topical(64, 8, tokens=1200)
    report = compare_layouts(trace, tree(4, 4), ["contiguous", "mozart", "auto"], rng=1, objective="c_t")
    ((fit, held_out),) = trace.split(rng=np.random.default_rng(1), by="token")
    for row in report.rows:
        assert row.fitted == row.allocation.c_t(fit)
        assert row.held_out == row.allocation.c_t(held_out)
        assert row.imbalance == row.allocation.imbalance(held_out)
    auto = report.rows[2]
    assert report.bound <= auto.fitted < auto.held_out < report.rows[1].held_out
    assert report.random == pytest.approx(random_c_t(tree(4, 4), 64, 8))
    head, body = report.cells()
    assert head == ["layout", "fitted", "held out", "C_G", "imbalance", "time", "seconds"]
    assert body[0][0] == "contiguous"
    assert body[0][5] == "1.000"
    assert all(len(line) == len(head) for line in body)
    assert "synthetic routing" in report.notes()[0]
    assert any(note.startswith("auto: ") for note in report.notes())
    assert sum(max(len(line[i]) for line in [head, *body]) + 2 for i in range(len(head))) <= 80
    assert "least held-out C_T" in repr(report)


def test_report_by_domain_is_worse_than_in_domain() -> None:
    parts = [topical(64, 8, tokens=400, seed=seed) for seed in (1, 2)]  # two seeds: two sets of topics
    ids = np.concatenate([part.topk for part in parts], axis=1)
    trace = RoutingTrace(ids, 64, domain=np.repeat([0, 1], 400), domains=("code", "prose"))
    report = compare_layouts(trace, tree(4, 4), ["auto"], domains=True, objective="c_t")
    assert report.rows[0].out_of_domain > report.rows[0].held_out
    assert report.cells()[0][3] == "other domains"


def test_curve_of_c_t_against_load_cap_is_monotone_and_leaves_impossible_caps_out() -> None:
    trace = topical(64, 8)
    layouts = layouts_by_cap(trace, tree(4, 4), caps=(0.9, 1.03, 1.3, 3.0), objective="c_t")
    assert list(layouts) == ["cap 1.03", "cap 1.3"]  # no layer comes near 1.3, so 3 says nothing new
    sent = [layout.c_t(trace) for layout in layouts.values()]
    assert sent == sorted(sent, reverse=True)
    assert layouts["cap 1.03"].imbalance(trace) <= 1.03 + 1e-9


def test_time_in_the_report_is_the_objective(gptoss: RoutingTrace) -> None:
    trace = gptoss.layer(5).tokens(slice(0, 4000))
    fewest = compare_layouts(trace, grid(4, 4), ["mozart", "auto"], objective="c_t")
    fastest = compare_layouts(trace, grid(4, 4), ["mozart", "auto"], objective="time")
    assert fastest.rows[1].layer_time < 0.95 * fewest.rows[1].layer_time


def test_recorded_routing_reaches_the_goal(gptoss: RoutingTrace) -> None:
    """Held-out C_T of auto at most 0.90 of Mozart's; every fourth layer here, all in the benchmark."""
    ((fit, held_out),) = gptoss.split(rng=0)
    auto, mozart = [], []
    for layer in range(0, 24, 4):
        for method, found in (("auto", auto), ("mozart", mozart)):
            objective: Literal["c_t"] | None = "c_t" if method == "auto" else None
            layout = allocate(fit.layer(layer), tree(4, 4), method=method, objective=objective)
            found.append(layout.c_t(held_out.layer(layer)))
    assert np.mean(auto) <= 0.90 * np.mean(mozart)


@pytest.mark.parametrize("by", ["traffic", "load"])
def test_redundant_experts_are_fitted_and_judged_apart(by: Literal["traffic", "load"]) -> None:
    trace, package = topical(64, 8), tree(4, 4)
    plain, more = (
        compare_layouts(trace, package, ["mozart"], redundant=extra, redundant_by=by) for extra in (0, 16)
    )
    assert more.rows[0].allocation.replicas.shape[1] == 16
    better = {"traffic": lambda row: row.held_out, "load": lambda row: row.imbalance}[by]
    assert better(more.rows[0]) < better(plain.rows[0])
    assert any("without redundant experts" in note for note in more.notes())
    assert not any("redundant" in note for note in plain.notes())


def test_an_objective_that_no_allocator_uses_is_told() -> None:
    trace, package = draw_trace(SyntheticRouting(16, 2, 200, 1, topics=4)), tree(2, 2)
    for call in (
        lambda: allocate(trace, package, method="contiguous", objective="time"),
        lambda: compare_layouts(trace, package, ["contiguous", "mozart"], objective="c_t"),
    ):
        with pytest.warns(NopWarning, match="has no effect: only the allocator 'auto'"):
            call()
    by_time = allocate(trace, package, objective="time")
    assert allocate(trace, package).digest() == by_time.digest()
