"""Parts of allocation on numbers that a reader can follow."""

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
from allocation_cases import problem_of, topical, tree

from noptoolkit import Chiplet, Link, Package, RoutingTrace, Switch
from noptoolkit.allocation import Allocation, allocate, allocating, portfolio
from noptoolkit.allocation.caps import _nearest, limits_of
from noptoolkit.allocation.compiled_swaps import descend_swaps
from noptoolkit.allocation.cuts import _passable
from noptoolkit.allocation.evidence import compare_layouts
from noptoolkit.allocation.grouping import _cluster_problem, chiplet_kinds
from noptoolkit.allocation.layout import _sizes
from noptoolkit.allocation.limits import is_kept
from noptoolkit.allocation.merging import _matched, place_agglomerated
from noptoolkit.allocation.plain import place_by_load
from noptoolkit.allocation.replication import replicate_by_traffic
from noptoolkit.allocation.swap_search import _start
from noptoolkit.allocation.time_search import _limits
from noptoolkit.network import flow_network


def test_as_many_clusters_as_can_be_are_matched() -> None:
    """Two tokens apart from each other's experts are matched, too, where nothing joins them."""
    weight = np.zeros((4, 4))
    weight[1, 2] = weight[2, 1] = 5.0
    assert _matched(weight, np.ones(4), 2) == [(0, 3), (1, 2)]
    weight[0, 1] = weight[1, 0] = weight[2, 3] = weight[3, 2] = 2.0  # 5 alone is more than 2 + 2
    assert _matched(weight, np.ones(4), 2) == [(0, 3), (1, 2)]


def test_clusters_that_no_token_joins_are_merged_as_well() -> None:
    """Two pairs and two experts of nobody on two chiplets of three: no pair is parted to fill one."""
    trace = RoutingTrace([[0, 1]] * 5 + [[2, 3]] * 4, 6)
    places = place_agglomerated(problem_of(trace, 1, 2), np.random.default_rng(0))
    assert places[0] == places[1] != places[2] == places[3]


def test_a_descent_counts_its_swaps() -> None:
    """Pairs of experts on two chiplets: parted, one swap brings both together; then there is none left."""
    problem = problem_of(RoutingTrace([[0, 1]] * 5 + [[2, 3]] * 4, 4), 1, 2)
    for places, swaps in (([0, 1, 0, 1], 1), ([0, 0, 1, 1], 0)):
        assert descend_swaps(*_start(problem, np.array(places)), 1e-6) == swaps


def test_six_sizes_of_groups_are_shown_and_of_seven_the_first_six() -> None:
    parts = tuple((i,) for i in range(7))
    assert _sizes(parts[:6]) == "1, 1, 1, 1, 1, 1"
    assert _sizes(parts) == "1, 1, 1, 1, 1, 1, ..."


def test_seconds_of_a_report_are_within_those_that_it_took() -> None:
    begun = time.perf_counter()
    report = compare_layouts(topical(16, 4, tokens=50), tree(2, 2), ["contiguous", "mozart"])
    assert 0 < sum(row.seconds for row in report.rows) <= time.perf_counter() - begun


def test_copies_are_read_only() -> None:
    layout = Allocation(("a", "b"), [0, 1], replicas=[[[0, 1]]])
    with pytest.raises(ValueError, match="read-only"):
        layout.replicas[0, 0, 0] = 1


def test_caps_of_groups_are_those_of_clusters() -> None:
    """A layout of clusters keeps the limits exactly where its groups hold no more than their caps."""
    trace = topical(16, 4, tokens=200)
    problem = problem_of(trace, 2, 2, cap_group=1.2)
    (limit,) = problem.limits
    places = np.arange(16) // 4
    clusters = _cluster_problem(problem, places, chiplet_kinds(problem))
    (found,) = clusters.limits
    assert found.name == limit.name
    load = np.bincount(places, problem.load, 4)
    for groups in ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]):
        held = np.bincount(groups, load, 2)
        assert found.held(np.array([*groups, 2])) == pytest.approx([*held, 0.0])
        assert is_kept(clusters.limits, np.array([*groups, 2])) == (held <= limit.cap).all()


def test_room_is_what_a_limit_leaves() -> None:
    problem = problem_of(topical(16, 4, tokens=200), 2, 2, cap_chiplet=1.5)
    (limit,) = problem.limits
    places = np.arange(16) // 4
    weights, blocks, room = _limits(problem, places)
    assert room[0] == pytest.approx(limit.cap - np.bincount(places, problem.load, 4))
    assert weights[0] == pytest.approx(problem.load)
    assert blocks[0].tolist() == [0, 1, 2, 3]


def test_nodes_that_nothing_joins_may_be_passed_as_well() -> None:
    package = Package("two", [Chiplet("a"), Chiplet("b"), Switch("s")], [Link("a", "b", 1e9)])
    assert sorted(_passable(flow_network(package)).nodes) == [0, 1, 2]


def test_layouts_that_differ_in_cost_are_annealed(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[int, ...]] = []

    def anneal(problem: Any, places: np.ndarray, **options: Any) -> np.ndarray:
        started.append(tuple(places.tolist()))
        return places

    monkeypatch.setattr(portfolio, "anneal", anneal)
    problem = problem_of(topical(16, 4, tokens=200), 2, 2)
    portfolio.search_portfolio(problem, np.random.default_rng(0))
    assert 1 <= len(set(started)) == len(started) <= portfolio.FINALISTS


def test_a_copy_that_saves_one_message_is_made() -> None:
    layout = Allocation(("a", "b"), [0, 0, 1, 1])
    copied = replicate_by_traffic(layout, RoutingTrace([[0, 2]], 4), 1)
    assert copied.replicas.tolist() in ([[[2, 0]]], [[[0, 1]]])


def test_the_nearest_cap_is_looked_for_without_other_caps() -> None:
    """7 + 5 + 1 and 6 + 4 + 3 are even; by falling load it is 14 and 12 first. No group can hold a half."""
    trace = RoutingTrace(np.repeat(np.arange(6), [7, 6, 5, 4, 3, 1])[:, None], 6)
    problem = problem_of(trace, 2, 1, capacity=3)
    limits = limits_of(problem, 0.9, 0.5)
    capped = dataclasses.replace(problem, limits=limits)
    rng = np.random.default_rng(0)
    assert limits[0].held(place_by_load(capped, rng)).max() == 14
    assert _nearest(capped, limits[0], rng) == 1.0


def test_a_report_without_a_seed_is_that_of_seed_0() -> None:
    trace = topical(16, 4, tokens=100)
    plain, other = (compare_layouts(trace, tree(2, 2), ["contiguous"], **given) for given in ({}, {"rng": 0}))
    assert plain.rows[0].held_out == other.rows[0].held_out
    halves = [trace.split(rng=np.random.default_rng(seed), by="token")[0][1] for seed in (0, 1)]
    assert halves[0].topk.tolist() != halves[1].topk.tolist()
    assert plain.rows[0].held_out == plain.rows[0].allocation.c_t(halves[0])


@pytest.mark.parametrize(("documents", "objective", "parts"), [(8, "time", 3), (7, "time", 0), (8, "c_t", 0)])
def test_documents_of_their_own_judge_a_search_by_time(
    documents: int, objective: Any, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One half is searched on, the rest judges in two parts; of few documents, all are searched on."""
    drawn = topical(16, 4, tokens=40)
    trace = dataclasses.replace(drawn, document=np.arange(40) % documents)
    asked: list[tuple[Any, ...]] = []

    def search(problem: Any, rng: Any, layer_time: Any, some: tuple[Any, ...]) -> tuple[np.ndarray, str]:
        asked.append((layer_time is not None, [part.tokens for part in some]))
        return np.arange(16) // 4, "by hand"

    monkeypatch.setattr(allocating, "search_portfolio", search)
    allocate(trace, tree(2, 2), objective=objective)
    ((timed, tokens),) = asked
    assert timed == (objective == "time")
    assert tokens == [20, 10, 10][:parts]
