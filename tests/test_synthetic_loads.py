"""Tokens drawn from loads alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit.errors import WorkloadError
from noptoolkit.synthetic import draw_from_loads


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.integers(1, 50), min_size=4, max_size=12), st.integers(1, 4), st.integers(0, 99))
def test_expected_loads_are_the_recorded(loads: list[int], top_k: int, seed: int) -> None:
    tokens = 4000
    trace = draw_from_loads(loads, top_k, tokens=tokens, seed=seed)
    share = trace.load() / tokens
    assert share.sum() == pytest.approx(top_k)
    wanted = np.array(loads) * top_k / np.sum(loads)
    if wanted.max() <= 1:
        assert share == pytest.approx(wanted, abs=0.05)  # 6 standard deviations of 4000 tokens


def test_an_expert_cannot_be_used_twice() -> None:
    trace = draw_from_loads([100, 1, 1], 2, tokens=1000)
    assert trace.load()[0] == 1000


@pytest.mark.parametrize("loads", [[], [[1, -1]], [1, np.inf], [0, 0, 1], [[[1, 1]]]])
def test_refused(loads: object) -> None:
    with pytest.raises(WorkloadError):
        draw_from_loads(loads, 2)


def test_what_is_left_may_be_too_small_for_floats() -> None:
    """The first expert is in every token; the others' loads are below the smallest normal float."""
    trace = draw_from_loads([6e-154, 1e-320, 8e-320, 8e-320], 2, tokens=1000)
    assert trace.load()[0] == 1000
    assert trace.load()[1:].sum() == 1000
