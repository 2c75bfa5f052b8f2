"""Allocation on cases so small that the answer is known."""

import random
from functools import partial

import numpy as np
import pytest
from allocation_cases import topical, tree

from noptoolkit import RoutingTrace
from noptoolkit.allocation import Allocation, LayoutProblem, allocate
from noptoolkit.allocation.allocating import layout_problems
from noptoolkit.allocation.evidence import compare_layouts
from noptoolkit.allocation.hierarchical import hierarchical_copies
from noptoolkit.allocation.replication import replicate_by_traffic
from noptoolkit.errors import NopWarning, WorkloadError


def test_every_layer_is_a_problem_unless_one_layout_is_asked_for() -> None:
    trace, package = topical(16, 4, tokens=100, layers=3), tree(2, 2)
    assert [problem.tokens for problem in layout_problems(trace, package)] == [100] * 3
    assert [problem.tokens for problem in layout_problems(trace, package, per_layer=False)] == [300]


def test_leiden_leaves_igraph_to_pythons_generator() -> None:
    import igraph

    allocate(topical(), tree(4, 4), method="leiden")
    drawn = []
    for _ in range(2):
        random.seed(3)
        drawn.append(igraph.Graph.Erdos_Renyi(n=30, m=60).get_edgelist())
    assert drawn[0] == drawn[1]


def test_hierarchical_copies_of_one_group_are_packed_by_falling_load() -> None:
    """4, 2, 1, 1 on two chiplets: 4 and the last; then the hottest expert gets both further slots."""
    sizes = {"groups": 1, "nodes": 1, "chiplets": 2}
    assert hierarchical_copies([[4, 2, 1, 1]], copies=4, **sizes).tolist() == [[0, 3, 1, 2]]
    assert hierarchical_copies([[9, 2, 2, 2]], copies=6, **sizes).tolist() == [[0, 0, 3, 0, 1, 2]]
    assert hierarchical_copies([[3, 5]], copies=2, groups=2, nodes=1, chiplets=1).tolist() == [[1, 0]]


def test_no_copy_is_made_that_saves_nothing() -> None:
    """Tokens of one expert each go to one chiplet, wherever copies are."""
    layout = Allocation(("a", "b"), [0, 0, 1, 1])
    assert replicate_by_traffic(layout, RoutingTrace([[0], [1], [2]], 4), 2).replicas.shape == (1, 0, 2)


def test_groups_that_differ_are_told_by_their_sizes() -> None:
    eight, two = tree(8, 1), tree(2, 4)
    layout = Allocation(two.experts, [0] * 8, two.expert_groups)
    other = tree(4, 2)
    with pytest.raises(WorkloadError, match=r"for groups of 4, 4 chiplets.*in groups of 2, 2, 2, 2;"):
        layout.check_fits(other)
    with pytest.raises(
        WorkloadError, match=r"for groups of 4, 4 chiplets.*in groups of 1, 1, 1, 1, 1, 1, \.\.\.;"
    ):
        layout.check_fits(eight)
    layout.on(other).check_fits(other)
    Allocation(two.experts, [0] * 8).check_fits(two)  # groups of one chiplet say nothing


def test_a_layout_says_which_method_made_it() -> None:
    trace, package = topical(16, 4, tokens=50), tree(2, 2)

    def by_hand(problem: LayoutProblem, rng: np.random.Generator) -> np.ndarray:
        return np.arange(16) // 4

    assert allocate(trace, package, method="contiguous").method == "contiguous"
    assert allocate(trace, package, method=by_hand).method == "by_hand"
    assert allocate(trace, package, method=partial(by_hand)).method == "callable"
    with pytest.warns(NopWarning, match="not 'by_hand'"):
        allocate(trace, package, method=by_hand, objective="time")


def test_what_is_no_trace_is_refused_by_its_name() -> None:
    for call in (allocate, partial(compare_layouts, methods=["mozart"])):
        with pytest.raises(WorkloadError, match="'stdlib-moe' is not a RoutingTrace"):
            call("stdlib-moe", tree(2, 2))
