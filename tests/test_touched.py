"""Experts that a batch touches: recounted from the trace, all subsets, closed forms."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noptoolkit import RoutingTrace
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.touched import token_places, touched, touched_by, untouched


def random_trace(seed: int, tokens: int, experts: int = 6, k: int = 2, layers: int = 2) -> RoutingTrace:
    rng = np.random.default_rng(seed)
    weight = rng.random((layers, experts)) ** 2 + 0.01
    noise = rng.gumbel(size=(layers, tokens, experts)) + np.log(weight)[:, None]
    return RoutingTrace(np.argsort(-noise, axis=2)[:, :, :k], num_experts=experts)


@given(seed=st.integers(0, 10**6), tokens=st.integers(1, 7), batch=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_expected_and_spread_are_those_of_all_subsets(seed: int, tokens: int, batch: int) -> None:
    trace, batch = random_trace(seed, tokens), min(batch, tokens)
    found = touched(trace, batch)
    for layer in range(2):
        rows = trace.topk[layer].tolist()
        sizes = [
            len({expert for i in subset for expert in rows[i]})
            for subset in itertools.combinations(range(tokens), batch)
        ]
        assert found.experts[layer] == pytest.approx(np.mean(sizes))
        assert found.spread[layer] == pytest.approx(np.std(sizes), abs=1e-6)


def test_resampled_is_the_mean_over_draws_with_replacement() -> None:
    trace = random_trace(3, 4)
    found = touched(trace, 5, method="resampled")
    rows = trace.topk[1].tolist()
    sizes = [
        len({expert for i in draw for expert in rows[i]}) for draw in itertools.product(range(4), repeat=5)
    ]
    assert found.experts[1] == pytest.approx(np.mean(sizes))
    assert found.spread[1] == pytest.approx(np.std(sizes))
    assert touched(trace, 5).method == "resampled"  # there are four tokens only


@pytest.mark.parametrize("batch", [1, 8, 64, 512])
def test_uniform_independent_routing_has_its_closed_form(batch: int) -> None:
    """E (1 - (1 - k / E)^n) per layer, for a trace that is long beside the batch."""
    experts, k, tokens = 64, 8, 200_000
    rng = np.random.default_rng(0)
    ids = np.argsort(rng.random((tokens, experts)), axis=1)[:, :k]
    found = touched(RoutingTrace(ids, num_experts=experts), batch).experts[0]
    assert found == pytest.approx(experts * (1 - (1 - k / experts) ** batch), rel=2e-3)


def test_chances_are_ratios_of_binomials() -> None:
    for there, batch in ((30, 7), (30, 30), (1, 1)):
        exact = [math.comb(there - c, batch) / math.comb(there, batch) for c in range(there + 1)]
        assert untouched(there, batch) == pytest.approx(exact, abs=1e-12)


def test_a_batch_of_the_traces_own_tokens_is_counted_exactly() -> None:
    trace = random_trace(1, 50)
    for batch, number in ((1, 0), (7, 3), (50, 0), (120, 9)):
        used = touched_by(trace, batch, number)
        places = [(i * 50 // batch + number) % 50 for i in range(batch)]
        for layer in range(2):
            wanted = {int(e) for i in places for e in trace.topk[layer][i]}
            assert set(np.flatnonzero(used[layer]).tolist()) == wanted
        assert token_places(batch, 50, number).tolist() == places


def test_one_token_touches_k_and_the_whole_trace_all_that_it_has() -> None:
    trace = random_trace(2, 40)
    assert touched(trace, 1).experts == pytest.approx([2.0, 2.0])
    assert touched(trace, 1).spread == pytest.approx([0.0, 0.0], abs=1e-6)
    assert touched(trace, 40).experts.tolist() == [len(np.unique(ids)) for ids in trace.topk]


@pytest.mark.parametrize("tokens", [0, -1, 2.5, True])
def test_a_number_of_tokens_is_whole_and_above_0(tokens: object) -> None:
    with pytest.raises(WorkloadError, match="whole number above 0"):
        touched(random_trace(0, 4), tokens)  # type: ignore[arg-type]


def test_what_cannot_be_expected_is_refused() -> None:
    with pytest.raises(WorkloadError, match="no subset of it has 5; method='resampled'"):
        touched(random_trace(0, 4), 5, method="expected")
    with pytest.raises(UnknownNameError, match="expected"):
        touched(random_trace(0, 4), 2, method="expectd")  # type: ignore[arg-type]
