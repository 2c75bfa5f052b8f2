"""The steps of redundant experts' placement, each on arrays that a reader can follow."""

import numpy as np
import pytest

from noptoolkit.allocation.replication import _evening_out, _packed, _part_twins, _relieve


def test_twins_part_by_the_exchange_that_costs_least_balance() -> None:
    holds = np.array([[2, 0, 0], [0, 1, 1]])
    _part_twins(holds, np.array([3.0, 1.0, 2.0]))
    assert holds.tolist() == [[1, 0, 1], [1, 1, 0]]
    holds = np.array([[0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]])  # of two chiplets the one with the nearest
    _part_twins(holds, np.array([9.0, 5.0, 8.0, 4.0]))
    assert holds.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 1, 0]]


def test_twins_stay_where_no_other_chiplet_can_take_one() -> None:
    holds = np.array([[2, 0], [1, 1]])  # both have the expert already
    _part_twins(holds, np.array([1.0, 1.0]))
    assert holds.tolist() == [[2, 0], [1, 1]]


def test_an_exchange_relieves_the_hottest_chiplet_most() -> None:
    """8 + 6 beside 1 + 3: 6 for 1, or 8 for 3, leaves 9 and 9; other exchanges leave 11."""
    for unit in (1.0, 2.0**-10):
        holds = np.eye(2, dtype=np.int64).repeat(2, axis=1)
        share = unit * np.array([8.0, 6.0, 1.0, 3.0])
        _relieve(holds, share)
        assert (holds @ share).tolist() == [9.0 * unit, 9.0 * unit]
        assert holds.sum(axis=0).tolist() == [1, 1, 1, 1]
    holds = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]])  # 7 for 2, not 5 for 1
    _relieve(holds, np.array([7.0, 5.0, 6.0, 1.0, 2.0]))
    assert (holds @ [7.0, 5.0, 6.0, 1.0, 2.0]).tolist() == [7.0, 7.0, 8.0]
    even = np.array([[1, 0, 1], [0, 1, 1]])  # nothing to gain, and a copy never joins its twin
    _relieve(even, np.array([4.0, 4.0, 2.0]))
    assert even.tolist() == [[1, 0, 1], [0, 1, 1]]
    twins = np.array([[1, 1, 0], [0, 1, 1]])  # 5 + 3 beside 3 + 1: only 5 may go, for 1, which helps nobody
    _relieve(twins, np.array([5.0, 3.0, 1.0]))
    assert twins.tolist() == [[1, 1, 0], [0, 1, 1]]


def test_copies_are_packed_by_falling_load_on_the_least_loaded_chiplet() -> None:
    holders = _packed(np.array([4.0, 5.0, 3.0]), np.array([2, 1, 1]), np.array([2, 2]))
    assert holders == [[0, 1], [0], [1]] or holders == [[1, 0], [0], [1]]
    assert _packed(np.array([1.0]), np.array([3]), np.array([1, 2])) == [[0, 1, 1]]


@pytest.mark.parametrize("seed", range(20))
def test_further_experts_go_where_fewest_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    held, extra = rng.integers(0, 5, int(rng.integers(1, 8))), int(rng.integers(0, 15))
    more = _evening_out(held, extra)
    wanted = held.copy()
    for _ in range(extra):  # one after the other to one of the emptiest
        wanted[np.argmin(wanted)] += 1
    assert more.sum() == extra
    assert (more >= 0).all()
    assert sorted(held + more) == sorted(wanted)


def test_what_is_left_over_is_spread_over_the_chiplets() -> None:
    assert _evening_out(np.full(8, 3), 2).tolist() == [0, 0, 0, 1, 0, 0, 0, 1]
    assert _evening_out(np.array([1, 2, 1, 2]), 3).tolist() == [1, 0, 1, 1]
