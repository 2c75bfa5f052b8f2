"""The assignment of items to places of several slots, against scipy's with a column for each slot."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from noptoolkit.allocation.compiled_assignment import assign


@pytest.mark.parametrize("seed", range(40))
def test_assignment_costs_as_little_as_one_with_a_column_for_each_slot(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slots = rng.integers(0, 5, rng.integers(1, 9))
    slots[0] += 1
    items = int(rng.integers(1, slots.sum() + 1))
    cost = rng.normal(size=(items, len(slots)))
    place = assign(cost, slots)
    assert (place >= 0).all()
    assert (np.bincount(place, minlength=len(slots)) <= slots).all()
    wide = cost[:, np.repeat(np.arange(len(slots)), slots)]
    rows, columns = linear_sum_assignment(wide)
    assert cost[np.arange(items), place].sum() == pytest.approx(wide[rows, columns].sum())
