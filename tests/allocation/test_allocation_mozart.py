"""Algorithm 1 on constructed co-activation, equation 5 against brute force."""

from itertools import permutations

import numpy as np
import pytest
from allocation_cases import topical, tree

from noptoolkit import SyntheticRouting
from noptoolkit.allocation import allocate
from noptoolkit.allocation.mozart import assign_groups, cluster_experts
from noptoolkit.synthetic import draw_trace


def test_planted_clusters_are_found() -> None:
    rng = np.random.default_rng(0)
    planted = rng.permutation(np.repeat(np.arange(4), 4))
    together = 100.0 * (planted[:, None] == planted) + rng.random((16, 16))
    together = together + together.T
    np.fill_diagonal(together, 0)
    cluster = cluster_experts(together, together.sum(axis=1), np.full(4, 4))
    assert len({(int(a), int(b)) for a, b in zip(planted, cluster, strict=True)}) == 4


def test_equation_5_equals_brute_force() -> None:
    rng = np.random.default_rng(1)
    group = np.array([0, 0, 1, 1, 2, 2])
    for _ in range(10):
        load = rng.random(6)
        chiplet = assign_groups(load, np.full(6, 2), group)
        assert sorted(chiplet) == list(range(6))
        best = min(max(load[np.array(p)].reshape(3, 2).sum(axis=1)) for p in permutations(range(6)))
        found = max(load[group[chiplet] == g].sum() for g in range(3))
        assert found <= best * 1.001


def test_equation_5_keeps_clusters_on_chiplets_of_their_size() -> None:
    slots = np.array([1, 3, 1, 3])
    load = np.array([1.0, 5.0, 2.0, 7.0])
    chiplet = assign_groups(load, slots, np.array([0, 0, 1, 1]))
    assert (slots[chiplet] == slots).all()
    assert sorted(chiplet) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("experts", "k", "topics", "affinity", "strided", "native", "mozart"),
    [
        (128, 8, 16, 2.338, 0.0, 6.58, 5.77),
        (64, 8, 8, 2.631, 0.6, 6.84, 5.63),
        (64, 6, 8, 2.905, 1.0, 5.56, 4.32),
    ],
    ids=["qwen3", "olmoe", "deepseek"],
)
def test_the_generator_reproduces_the_published_c_t(
    experts: int, k: int, topics: int, affinity: float, strided: float, native: float, mozart: float
) -> None:
    """Published: Mozart, table of C_T in native order (B) and after its layout (C)."""
    before, after = [], []
    for seed in (101, 102, 103):
        routing = SyntheticRouting(experts, k, 8192, 2, topics, affinity, 0.3, strided, seed=seed)
        trace = draw_trace(routing)
        fit, held_out = trace.tokens(slice(0, 4096)), trace.tokens(slice(4096, None))
        package = tree(4, 4)
        before.append(allocate(fit, package, method="contiguous").c_t(held_out))
        after.append(allocate(fit, package, method="mozart").c_t(held_out))
    assert np.mean(before) == pytest.approx(native, rel=0.02)
    assert np.mean(after) == pytest.approx(mozart, rel=0.02)


def test_groups_are_balanced_better_than_in_cluster_order() -> None:
    trace, package = topical(), tree(4, 4)
    layout = allocate(trace, package, method="mozart")
    other = layout.__class__(layout.experts, np.sort(layout.chiplet_of_expert), layout.groups)
    assert layout.group_imbalance(trace) < other.group_imbalance(trace)
    assert layout.group_imbalance(trace) < 1.05
