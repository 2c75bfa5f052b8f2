"""Tokens drawn from loads: every expert gets its load exactly, and they are otherwise independent."""

import numpy as np
import pytest

from noptoolkit.errors import WorkloadError
from noptoolkit.loads import draw_tokens


@pytest.mark.parametrize(
    ("loads", "top_k"),
    [
        ([50, 30, 10, 10], 2),
        ([40, 30, 20, 10], 2),
        ([60, 20, 10, 10], 1),
        ([1, 1, 0, 0], 2),
        ([3, 2, 2, 1, 0, 1], 3),
    ],
)
def test_every_expert_gets_its_load(loads: list[float], top_k: int) -> None:
    tokens = 40_000
    ids = draw_tokens([loads], top_k, tokens=tokens, rng=1)[0]
    assert (np.diff(np.sort(ids.astype(int), axis=1), axis=1) > 0).all()
    wanted = top_k * np.array(loads) / sum(loads)
    got = np.bincount(ids.ravel(), minlength=len(loads)) / tokens
    assert (abs(got - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / tokens) + 1e-9).all()


def test_equal_loads_make_every_pair_as_likely() -> None:
    ids = draw_tokens(np.ones((1, 16)), 4, tokens=50_000, rng=0)[0]
    member = np.zeros((50_000, 16))
    np.put_along_axis(member, ids.astype(int), 1.0, axis=1)
    pairs = (member.T @ member)[np.triu_indices(16, 1)] / 50_000
    assert pairs == pytest.approx(4 * 3 / (16 * 15), abs=0.005)


def test_the_same_seed_draws_the_same_tokens() -> None:
    loads = np.arange(1, 17).reshape(2, 8)
    assert (draw_tokens(loads, 2, rng=3) == draw_tokens(loads, 2, rng=3)).all()
    assert (draw_tokens(loads, 2, rng=3) != draw_tokens(loads, 2, rng=4)).any()


@pytest.mark.parametrize(
    ("loads", "top_k", "message"),
    [
        ([1, 2], 1, "give them as"),
        ([[1, np.nan]], 1, "finite"),
        ([[1, -1]], 1, "not negative"),
        ([[1, 1]], 3, "top_k 3 of 2 experts"),
        ([[1, 1]], 0, "top_k 0"),
        ([[1, 1], [0, 0]], 1, "layer 1 has no load"),
        ([[3, 1, 0]], 2, "expert 0 has 75% of the load, and with top-2 it can have 50% at most"),
    ],
)
def test_impossible_loads_name_their_fault(loads: object, top_k: int, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        draw_tokens(loads, top_k)  # type: ignore[arg-type]
