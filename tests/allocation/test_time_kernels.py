"""The compiled search for a layout of least time against the same walk with every time computed anew."""

import math

import numpy as np
import pytest
from seeds import seeds

from noptoolkit.allocation.compiled_times import anneal_time, smooth_time, start_time
from noptoolkit.allocation.time_search import _columns


class Case:
    """A few sets of experts on a few chiplets, with parts of them that tokens visit, and limits."""

    def __init__(self, rng: np.random.Generator) -> None:
        experts, chiplets, k = int(rng.integers(4, 12)), int(rng.integers(2, 6)), int(rng.integers(1, 4))
        drawn = {
            tuple(sorted(rng.choice(experts, k, replace=False))) for _ in range(int(rng.integers(2, 20)))
        }
        self.members = np.array(sorted(drawn), np.int32)  # as in the search: a kernel is compiled once
        self.weight = rng.integers(1, 9, len(self.members)).astype(float)
        self.places = rng.permutation(np.resize(np.arange(chiplets), experts))
        self.load = rng.integers(0, 9, experts).astype(float)
        parts = rng.random((int(rng.integers(1, 5)), chiplets)) < 0.5
        self.single = bool(rng.random() < 0.4)  # every chiplet a part of its own, and of no other
        self.parts = np.vstack([parts[: 0 if self.single else None], np.eye(chiplets, dtype=bool)])
        shape = (int(rng.integers(1, 6)), len(self.parts))
        self.out, self.back = (rng.integers(0, 4, shape) * rng.uniform(0.5, 2, shape) for _ in range(2))
        self.choice_time, self.streaming = rng.uniform(0.2, 2, chiplets), float(rng.uniform(0, 20))
        self.weights = rng.integers(0, 4, (int(rng.integers(0, 3)), experts)).astype(float)
        self.blocks = rng.integers(0, 3, (len(self.weights), chiplets))
        self.room = rng.integers(-1, 4, (len(self.weights), 3)).astype(float)  # a block may be too full

    def start(self, places: np.ndarray) -> tuple[np.ndarray, ...]:
        return start_time(
            self.members, self.weight, places, self.load, self.parts, self.out, self.back, self.choice_time,
            self.streaming,
        )  # fmt: skip

    def busy(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return how long links are busy out and back, and chiplets; nobody is on a chiplet that is none."""
        chiplets = len(self.choice_time)
        tokens = np.zeros(len(self.parts))
        for row, weight in zip(self.members, self.weight, strict=True):
            on = {int(places[a]) for a in row} - {chiplets}
            for j, part in enumerate(self.parts):
                tokens[j] += weight * any(part[q] for q in on)
        loads = [sum(self.load[places == q]) * self.choice_time[q] for q in range(chiplets)]
        return self.out @ tokens, self.back @ tokens, np.array([*loads, self.streaming])

    def time(self, places: np.ndarray) -> float:
        return sum(math.fsum(v**16 for v in values) ** (1 / 16) for values in self.busy(places))


@pytest.mark.parametrize("seed", seeds(30, 300))
def test_the_state_of_a_layout_is_as_defined(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = Case(rng)
    chiplets = len(case.choice_time)
    places = np.where(rng.random(len(case.places)) < 0.2, chiplets, case.places)
    inside, met, *busy = case.start(places)
    for t, row in enumerate(case.members):
        count = np.bincount(places[row], minlength=chiplets + 1)[:chiplets]
        assert inside[:, t].tolist() == count.tolist()
        assert met[:, t].tolist() == [int((count[part] > 0).sum()) for part in case.parts]
    for found, wanted in zip(busy, case.busy(places), strict=True):
        assert found == pytest.approx(wanted)
    for scale in (1.0, 3.5):
        assert smooth_time(*busy, scale) == pytest.approx(case.time(places))


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_the_walk_is_that_of_whole_times(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = Case(rng)
    experts, steps, streaming = len(case.places), 40, case.streaming
    pairs, chances = rng.integers(0, experts, (steps, 2)), rng.random(steps)
    hot, cold = float(rng.choice([0.02, 0.3])), 0.01
    here, room = case.places.copy(), case.room.copy()
    best = now = case.time(here)
    moved = barred = refused = 0
    for step, (a, b) in enumerate(pairs):
        there = here.copy()
        there[[a, b]] = here[[b, a]]
        more = [(m, case.weights[m, b] - case.weights[m, a]) for m in range(len(case.weights))]
        after = room.copy()
        for m, extra in more:
            after[m, case.blocks[m, here[a]]] -= extra
            after[m, case.blocks[m, here[b]]] += extra
        if here[a] == here[b]:
            continue
        if (after < np.minimum(room, 0) - 1e-9).any():
            barred += 1
            continue
        then = case.time(there)
        heat = max(best - streaming, 1e-9 * best) * hot * (cold / hot) ** (step / steps)
        if then > now and chances[step] >= np.exp((now - then) / heat):
            refused += 1
            continue
        here, now, room, moved = there, then, after, moved + 1
        best = min(best, now)
    chiplets = len(case.choice_time)
    count = case.parts.sum(axis=0)
    near = np.zeros((chiplets, max(1, count.max())), np.int64)
    for q in range(chiplets):
        near[q, : count[q]] = np.flatnonzero(case.parts[:, q])
    held = [np.flatnonzero((case.members == a).any(axis=1)) for a in range(experts)]
    starts, sets_of = np.cumsum([0, *map(len, held)]), np.concatenate(held).astype(np.int32)
    places, state, found_room = case.places.copy(), case.start(case.places), case.room.copy()
    anneal_time(
        (case.members, case.weight, starts, sets_of, case.load), places, state,
        _columns(case.out), _columns(case.back), case.choice_time, (near, count, case.parts, case.single),
        (case.weights, case.blocks, found_room), pairs, chances, hot, cold,
    )  # fmt: skip
    assert case.time(places) == pytest.approx(best, rel=1e-9)
    for found, wanted in zip(state[2:], case.busy(here), strict=True):  # where the walk ended
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    inside, met, *_ = case.start(here)
    assert (state[0] == inside).all()
    assert (state[1] == met).all()
    assert found_room == pytest.approx(room)
    assert moved + barred + refused
