"""What every allocator of the table owes: full slots, no favourites among names, one layout per seed."""

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package, RoutingTrace, Switch, SyntheticRouting
from noptoolkit.allocation import ALLOCATORS, allocate
from noptoolkit.errors import InfeasibleError, UnknownNameError, WorkloadError
from noptoolkit.synthetic import draw_trace

GROUPED = [Chiplet(f"e{i}", role="expert", group=f"g{i // 4}") for i in range(16)]
STAR = Package("star", [Switch("hub"), *GROUPED], [Link("hub", c.name, "1 GB/s") for c in GROUPED])
TRACE = draw_trace(SyntheticRouting(32, 4, 1500, 2, affinity=3.0, seed=5))
OPTIONAL = {"metis": "pymetis", "mt-kahypar": "mtkahypar"}  # extras


@pytest.fixture(autouse=True)
def _skip_missing_extras(request: pytest.FixtureRequest) -> None:
    method = getattr(request.node, "callspec", None) and request.node.callspec.params.get("method")
    if method in OPTIONAL:
        pytest.importorskip(OPTIONAL[method])


BLIND = {"contiguous", "random", "round-robin", "longest-first"}  # they look at no co-activation


@pytest.mark.parametrize("method", ALLOCATORS)
class TestEveryAllocator:
    def test_fills_every_slot_exactly(self, method: str) -> None:
        layout = allocate(TRACE, STAR, method=method)
        for row in layout.chiplet_of_expert:
            assert (np.bincount(row, minlength=16) == 2).all()

    def test_spreads_a_remainder(self, method: str) -> None:
        trace = draw_trace(SyntheticRouting(27, 4, 400, 1, topics=9, seed=1))
        (row,) = allocate(trace, STAR, method=method).chiplet_of_expert
        assert sorted(np.bincount(row, minlength=16)) == [1] * 5 + [2] * 11

    def test_respects_uneven_capacities(self, method: str) -> None:
        capacity = [4, 0, 3, 1] * 4 + []
        (row, _) = allocate(TRACE, STAR, method=method, capacity=capacity).chiplet_of_expert
        assert (np.bincount(row, minlength=16) == capacity).all()

    def test_leaves_spare_slots_empty(self, method: str) -> None:
        (row, _) = allocate(TRACE, STAR, method=method, capacity=3).chiplet_of_expert
        assert len(row) == 32
        assert np.bincount(row, minlength=16).max() <= 3

    def test_same_seed_same_layout(self, method: str) -> None:
        first, second = (allocate(TRACE, STAR, method=method, rng=7) for _ in range(2))
        assert (first.chiplet_of_expert == second.chiplet_of_expert).all()

    def test_fewer_experts_than_chiplets(self, method: str) -> None:
        trace = draw_trace(SyntheticRouting(8, 2, 200, 1, seed=2))
        (row,) = allocate(trace, STAR, method=method).chiplet_of_expert
        assert len(set(row)) == 8

    def test_one_chiplet(self, method: str) -> None:
        pair = Package(
            "pair", [Switch("hub"), GROUPED[0], Chiplet("root")], (STAR.links[0], Link("hub", "root", 1))
        )
        layout = allocate(TRACE, pair, method=method)
        assert layout.c_t(TRACE) == 1.0

    def test_too_few_slots(self, method: str) -> None:
        with pytest.raises(InfeasibleError, match="32 experts, but 16 slots; give at least 2 per chiplet"):
            allocate(TRACE, STAR, method=method, capacity=1)


@pytest.mark.parametrize("method", sorted(set(ALLOCATORS) - BLIND))
class TestThoseThatLookAtCoactivation:
    def test_beats_the_mean_of_random_layouts(self, method: str) -> None:
        layout = allocate(TRACE, STAR, method=method)
        drawn = [allocate(TRACE, STAR, method="random", rng=i).c_t(TRACE) for i in range(10)]
        assert layout.c_t(TRACE) < np.min(drawn)


def test_the_table_resolves_names_and_callables() -> None:
    with pytest.raises(UnknownNameError, match="no allocator named 'mozrt'; did you mean 'mozart'"):
        allocate(TRACE, STAR, method="mozrt")
    given = allocate(TRACE, STAR, method=lambda problem, rng: np.arange(32) // 2)
    assert (given.chiplet_of_expert == allocate(TRACE, STAR, method="contiguous").chiplet_of_expert).all()


def test_a_package_without_expert_chiplets_is_named() -> None:
    bare = Package("bare", [Chiplet("a", role="io"), Chiplet("b", role="io")], [Link("a", "b", 1.0)])
    with pytest.raises(
        WorkloadError, match="package 'bare' has no expert chiplet: give some chiplets role='expert'"
    ):
        allocate(RoutingTrace([[0, 1]], 2), bare)
