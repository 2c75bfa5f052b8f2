"""Load caps, uneven chiplets, experts of different size, and what is said where nothing fits."""

from itertools import permutations

import numpy as np
import pytest
from allocation_cases import topical, tree

from noptoolkit import RoutingTrace
from noptoolkit.allocation import allocate
from noptoolkit.errors import InfeasibleError, NopError, WorkloadError

PACKAGE = tree(4, 4)


@pytest.mark.parametrize("method", ["auto", "mozart", "random", "tabu", "annealing"])
@pytest.mark.parametrize("cap", [1.05, 1.3])
def test_chiplet_cap_is_kept(method: str, cap: float) -> None:
    trace = topical(64, 8, layers=2)
    layout = allocate(trace, PACKAGE, method=method, cap_chiplet=cap)
    load = layout.load(trace)
    assert (load.max(axis=1) / load.mean(axis=1) <= cap + 1e-9).all()
    assert (np.bincount(layout.chiplet_of_expert[0]) == 4).all()


def test_a_tighter_cap_never_sends_less() -> None:
    trace = topical(64, 8)
    sent = [allocate(trace, PACKAGE, cap_chiplet=cap, objective="c_t").c_t(trace) for cap in (1.02, 1.2, 3.0)]
    free = allocate(trace, PACKAGE, objective="c_t").c_t(trace)
    assert sent[0] >= sent[1] >= sent[2] == free


def test_group_cap_is_kept() -> None:
    trace = topical(64, 8)
    layout = allocate(trace, PACKAGE, cap_group=1.01, objective="c_t")
    assert layout.group_imbalance(trace) <= 1.01
    both = allocate(trace, PACKAGE, cap_group=1.01, cap_chiplet=1.05, objective="c_t")
    assert both.group_imbalance(trace) <= 1.01
    assert both.imbalance(trace) <= 1.05


def test_an_impossible_cap_names_the_nearest() -> None:
    """One token uses experts 0 and 1, another 0 and 2, ...: expert 0 alone is half of all load."""
    trace = RoutingTrace([[0, i] for i in range(1, 8)], 8)
    package = tree(1, 4)
    with pytest.raises(
        InfeasibleError, match=r"no layout keeps cap_chiplet=1.2; the nearest cap .* is 2.286"
    ) as caught:
        allocate(trace, package, cap_chiplet=1.2, objective="c_t")
    load = np.array([7, 1, 1, 1, 1, 1, 1, 1])
    best = min(load[list(p)].reshape(4, 2).sum(axis=1).max() for p in list(permutations(range(8)))[:5040])
    assert best / load.sum() * 4 == pytest.approx(2.2857, abs=1e-3)
    nearest = float(str(caught.value).rsplit(" ", 1)[1])
    assert allocate(trace, package, cap_chiplet=nearest, objective="c_t").imbalance(trace) <= nearest
    with pytest.raises(InfeasibleError, match=r"no layout keeps cap_group=0.9; the nearest cap"):
        allocate(topical(), PACKAGE, cap_group=0.9, objective="c_t")


def test_a_cap_below_the_hottest_expert_and_the_coolest_is_known_to_be_impossible() -> None:
    trace = topical(64, 6, tokens=1500)
    load = np.sort(trace.load())
    least = (load[-1] + load[:3].sum()) / (load.sum() / 16)
    with pytest.raises(InfeasibleError, match="no layout keeps") as caught:
        allocate(trace, PACKAGE, cap_chiplet=least - 1e-3, objective="c_t")
    assert float(str(caught.value).rsplit(" ", 1)[1]) == pytest.approx(least, abs=1e-3)


def test_sizes_of_experts_fit_the_chiplets() -> None:
    trace = topical(32, 4)
    sizes = [1, 2, 3, 2] * 8
    capacity = [6, 2, 4, 4] * 4
    for method in ("auto", "mozart", "random"):
        (row,) = allocate(
            trace, PACKAGE, method=method, capacity=capacity, expert_sizes=sizes
        ).chiplet_of_expert
        held = np.bincount(row, weights=sizes, minlength=16)
        assert (held <= capacity).all()


def test_uneven_chiplets_use_their_room_for_fewer_copies() -> None:
    trace = topical(64, 8)
    even = allocate(trace, PACKAGE, objective="c_t").c_t(trace)
    roomy = allocate(trace, PACKAGE, capacity=[16, 0, 0, 0] * 4, objective="c_t").c_t(trace)
    assert roomy < even
    assert roomy <= 4


def test_spare_slots_help() -> None:
    trace = topical(64, 8)
    assert allocate(trace, PACKAGE, capacity=8, objective="c_t").c_t(trace) < allocate(
        trace, PACKAGE, objective="c_t"
    ).c_t(trace)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cap_chiplet": 0}, WorkloadError, "cap_chiplet 0 must be above 0"),
        ({"cap_group": float("nan")}, WorkloadError, "cap_group nan must be above 0"),
        ({"capacity": [1, 2]}, WorkloadError, "give one whole number, or 16 of them"),
        ({"capacity": -1}, WorkloadError, "not negative"),
        ({"expert_sizes": [1] * 32}, WorkloadError, "need a capacity"),
        ({"expert_sizes": [1] * 31, "capacity": 2}, WorkloadError, "give 32 numbers above 0"),
        (
            {"expert_sizes": [2] * 32, "capacity": 3},
            InfeasibleError,
            "experts of size 64, but 48 slots; give at least 4",
        ),
        ({"expert_sizes": [3] * 32, "capacity": 7}, None, None),  # two each: just enough
        (
            {"expert_sizes": [5] * 16 + [1] * 16, "capacity": [4] * 8 + [9] * 8},
            InfeasibleError,
            "sizes fit the chiplets",
        ),
    ],
)
def test_what_cannot_be_is_named(options: dict, error: type[NopError] | None, message: str | None) -> None:
    trace = topical(32, 4)
    if error is None:
        allocate(trace, PACKAGE, **options, objective="c_t")
    else:
        with pytest.raises(error, match=message):
            allocate(trace, PACKAGE, **options, objective="c_t")
