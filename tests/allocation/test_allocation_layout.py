"""C_T, C_G and imbalance against closed forms and a per-token recount."""

from math import comb

import numpy as np
import pytest
from allocation_cases import topical, tree
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit import RoutingTrace
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.allocation.layout import count_distinct
from noptoolkit.errors import WorkloadError


@given(st.lists(st.lists(st.integers(0, 300), min_size=5, max_size=5), min_size=1, max_size=20))
def test_count_distinct_is_the_size_of_the_set(rows: list[list[int]]) -> None:
    assert count_distinct(np.array(rows, dtype=np.uint16)).tolist() == [len(set(row)) for row in rows]


def test_metrics_equal_a_recount_token_by_token() -> None:
    trace, package = topical(layers=2), tree(4, 4)
    layout = allocate(trace, package, method="random", rng=3)
    copies, group_copies, hottest = [], [], []
    for layer in range(2):
        load = np.zeros(16)
        for token in trace.topk[layer]:
            chiplets = layout.chiplet_of_expert[layer][token]
            copies.append(len(set(chiplets)))
            group_copies.append(len({c // 4 for c in chiplets}))
            for chiplet in chiplets:
                load[chiplet] += 1
        hottest.append(load.max() / load.mean())
    assert layout.c_t(trace) == pytest.approx(np.mean(copies))
    assert layout.c_g(trace) == pytest.approx(np.mean(group_copies))
    assert layout.imbalance(trace) == pytest.approx(np.mean(hottest))
    assert layout.load(trace).sum() == trace.topk.size


@pytest.mark.parametrize(("experts", "chiplets", "k"), [(32, 16, 4), (64, 16, 8), (24, 8, 6)])
def test_random_layouts_have_the_closed_form_mean(experts: int, chiplets: int, k: int) -> None:
    """G (1 - C(E - E/G, k) / C(E, k)) for any routing whatever."""
    trace = topical(experts, k, tokens=400)
    package = tree(4, chiplets // 4)
    drawn = [allocate(trace, package, method="random", rng=seed).c_t(trace) for seed in range(300)]
    expected = chiplets * (1 - comb(experts - experts // chiplets, k) / comb(experts, k))
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert abs(np.mean(drawn) - expected) < 4 * error
    assert error < 0.01 * expected


def test_c_t_is_hypergraph_connectivity() -> None:
    """C_T = km1 / T + 1, km1 = sum over hyperedges of weight x (blocks touched - 1)."""
    trace, package = topical(), tree(4, 4)
    layout = allocate(trace, package, method="contiguous")
    graph = trace.hypergraph()
    sets, counts = graph.sets, graph.counts
    blocks = layout.chiplet_of_expert[0]
    km1 = sum(count * (len(set(blocks[members])) - 1) for members, count in zip(sets, counts, strict=True))
    assert layout.c_t(trace) == pytest.approx(km1 / trace.num_tokens + 1)
    assert counts.sum() == trace.num_tokens


def test_one_expert_per_chiplet_sends_k_copies_and_one_chiplet_sends_one() -> None:
    trace = topical(16, 4)
    assert allocate(trace, tree(4, 4), method="random").c_t(trace) == 4.0
    assert allocate(trace, tree(1, 1), objective="c_t").c_t(trace) == 1.0


def test_a_shared_layout_serves_every_layer_and_layers_average() -> None:
    trace, package = topical(layers=3), tree(4, 4)
    shared = allocate(trace, package, method="mozart", per_layer=False)
    assert shared.num_layers == 1
    each = [shared.layer(i).c_t(trace.layer(i)) for i in range(3)]
    assert shared.c_t(trace) == pytest.approx(np.mean(each))
    own = allocate(trace, package, method="mozart")
    assert own.num_layers == 3
    assert own.c_t(trace) < shared.c_t(trace)


def test_what_does_not_fit_is_named() -> None:
    trace, package = topical(layers=3), tree(4, 4)
    layout = allocate(trace, package, method="mozart")
    with pytest.raises(
        WorkloadError, match=r"1 layers, the allocation 3 layouts; take allocation.layer\(i\)"
    ):
        layout.c_t(trace.layer(0))
    with pytest.raises(WorkloadError, match="64 experts, the allocation places 32; give another"):
        layout.c_t(topical(64))
    with pytest.raises(WorkloadError, match="chiplet 2 is out of range 0 to 1"):
        Allocation(("a", "b"), [0, 2])
    with pytest.raises(WorkloadError, match="is for 16 chiplets"):
        layout.check_fits(tree(2, 4))
    with pytest.raises(WorkloadError, match="no layer 3"):
        layout.layer(3)


def test_chiplets_that_a_package_lacks_are_named() -> None:
    package = tree(2, 3)
    *names, last = package.experts
    layout = Allocation((*names, f"{last}x"), [0])
    lacking = rf"no expert chiplet named '{last}x' \(did you mean '{last}'\?\); allocate again"
    with pytest.raises(WorkloadError, match=lacking):
        layout.check_fits(package)
    with pytest.raises(WorkloadError, match="has 6 in another order; allocate again"):
        Allocation((last, *names), [0]).check_fits(package)


def test_layouts_are_read_only() -> None:
    layout = Allocation(("a", "b"), [0, 1])
    with pytest.raises(ValueError, match="read-only"):
        layout.chiplet_of_expert[0, 0] = 1


def test_groups_default_to_single_chiplets() -> None:
    trace = RoutingTrace([[0, 1], [1, 2]], num_experts=3)
    layout = Allocation(("a", "b"), [0, 0, 1])
    assert layout.c_g(trace) == layout.c_t(trace) == 1.5
