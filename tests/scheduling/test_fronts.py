"""What comes after and before the fronts of a bound, and how far, against the definitions on small graphs."""

import numpy as np
import pytest
from seeds import seeds

from noptoolkit._arrays import read_only
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder, bounds
from noptoolkit.scheduling.compiled_fronts import reach_of_chain, reach_of_fronts, ways_between_fronts
from noptoolkit.scheduling.list_scheduling import bounds_of
from noptoolkit.scheduling.verify_bounds import proved_bound, verify_bounds


class Order:
    """A random precedence among a few tasks, with every path of it."""

    def __init__(self, rng: np.random.Generator) -> None:
        n = int(rng.integers(4, 20))
        self.rng, self.count = rng, n
        order = rng.permutation(n)
        density = rng.uniform(0.1, 0.5)
        direct = np.zeros((n, n), bool)
        for k in range(n):
            for j in range(k):
                direct[order[j], order[k]] = rng.random() < density
        self.time = rng.integers(0, 6, n).astype(float)
        # longest time between the end of one task and the start of another, -inf where there is no path
        self.between = np.where(direct, 0.0, -np.inf)
        for k in order:
            through = self.between[:, [k]] + self.time[k] + self.between[[k], :]
            self.between = np.maximum(self.between, through)
        self.leads = self.between > -np.inf
        self.walks = tuple(map(read_only, (order, *_ragged(direct.T), *_ragged(direct))))
        self.order = order

    def fronts(self) -> list[list[int]]:
        """Return sets of tasks, some named twice, that follow each other in the order."""
        cuts = np.sort(self.rng.choice(self.count, size=int(self.rng.integers(1, 5)), replace=False))
        sets = []
        for part in np.split(self.order, cuts):
            if len(part):
                some = self.rng.choice(part, size=int(self.rng.integers(1, 4)))
                sets.append(some.tolist())
        return sets[int(self.rng.integers(len(sets))) :]


def _ragged(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.cumsum([0, *matrix.sum(axis=1)]), np.nonzero(matrix)[1]


def _ends(sets: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ends, members = np.cumsum([0, *map(len, sets)]), np.concatenate(sets).astype(np.int64)
    return read_only(ends), read_only(members)


def chain_of(order: Order, fronts: list[list[int]]) -> list[int]:
    """Return the fronts that follow each other, each the first that does."""
    kept = [0]
    for f in range(1, len(fronts)):
        leads = order.leads[np.ix_(fronts[kept[-1]], fronts[f])]
        if leads.any(axis=0).all() and leads.any(axis=1).all():
            kept.append(f)
    return kept


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_reaches_are_as_defined(seed: int) -> None:
    order = Order(np.random.default_rng(seed))
    fronts = order.fronts()
    ends, members = _ends(fronts)
    kept, after_some, after_all, before_some, before_all = reach_of_fronts(ends, members, *order.walks)
    assert kept.tolist() == chain_of(order, fronts)
    chain = [fronts[k] for k in kept]
    last = len(chain)
    for i in range(order.count):
        to, back = order.leads[i], order.leads[:, i]
        assert after_some[i] == max((f for f in range(last) if back[chain[f]].any()), default=-1)
        assert after_all[i] == max((f for f in range(last) if back[chain[f]].all()), default=-1)
        inside = [f for f in range(last) if to[chain[f]].any() or i in chain[f]]
        assert before_some[i] == min(inside, default=last)
        assert before_all[i] == min((f for f in range(last) if to[chain[f]].all()), default=last)
    check_ways(order, chain, after_all, before_some, before_all)


def check_ways(
    order: Order, chain: list[list[int]], after: np.ndarray, before: np.ndarray, before_all: np.ndarray
) -> None:
    """Hold the ways of the tasks between neighbouring fronts against all paths."""
    ends, members = _ends(chain)
    head = np.maximum(0.0, (order.between + order.time[:, None]).max(axis=0))
    tail = np.maximum(0.0, (order.between + order.time).max(axis=1))
    since, until_last, until_first = ways_between_fronts(
        ends, members, *order.walks, order.time, after, before, head, tail
    )
    for i in range(order.count):
        f = before[i]
        if f < len(chain) and after[i] == f - 1:
            onward = order.between[i, chain[f]] + order.time[chain[f]]
            assert until_last[i] == max(0.0, onward.max())
            if i in chain[f]:
                assert until_first[i] == 0.0
            elif before_all[i] == f:
                assert until_first[i] == onward.min()
        if f == len(chain):
            assert (until_last[i], until_first[i]) == (tail[i], tail[i])
        if after[i] >= f - 1:
            assert since[i] == (head[i] if after[i] < 0 else order.between[chain[after[i]], i].min())


@pytest.mark.parametrize("seed", seeds(30, 300))
def test_reaches_of_a_chain_are_as_defined(seed: int) -> None:
    order = Order(np.random.default_rng(seed))
    chain = [int(order.rng.integers(order.count))]
    while len(after := np.flatnonzero(order.leads[chain[-1]])):
        chain.append(int(order.rng.choice(after)))
    kept, after_some, after_all, before_or_in, before = reach_of_chain(
        read_only(np.array(chain)), *order.walks
    )
    assert kept.tolist() == list(range(len(chain)))
    for i in range(order.count):
        reached = [k for k, task in enumerate(chain) if order.leads[task, i]]
        ahead = [k for k, task in enumerate(chain) if order.leads[i, task]]
        assert after_some[i] == after_all[i] == max(reached, default=-1)
        assert before[i] == min(ahead, default=len(chain))
        assert before_or_in[i] == min(
            [*ahead, *(k for k, task in enumerate(chain) if task == i)], default=len(chain)
        )


def test_a_front_may_have_64_members() -> None:
    """Every bit of a word is one member's: a task after all but one of them is not after all of them."""
    size = 64
    for missing in (0, 31, 63):
        direct = np.zeros((size + 2, size + 2), bool)
        direct[:size, size + 1] = True
        direct[np.delete(np.arange(size), missing), size] = True
        walks = tuple(map(read_only, (np.arange(size + 2), *_ragged(direct.T), *_ragged(direct))))
        ends, members = _ends([list(range(size))])
        _, after_some, after_all, *_ = reach_of_fronts(ends, members, *walks)
        assert after_some[size:].tolist() == [0, 0]
        assert after_all[size:].tolist() == [-1, 0]
        walks = tuple(map(read_only, (np.arange(size + 2)[::-1], *_ragged(direct), *_ragged(direct.T))))
        *_, before_some, before_all = reach_of_fronts(ends, members, *walks)
        assert before_some[size:].tolist() == [0, 0]
        assert before_all[size:].tolist() == [1, 0]


def staged(rng: np.random.Generator) -> TaskGraph:
    """Return stages of a few tasks, with others between that may wait for the stage before."""
    tasks = TaskGraphBuilder({"pair": 2})
    last: list[int] = []

    def add(after: list[int]) -> int:
        if rng.random() < 0.2:
            return tasks.add_flow(1.0, {"x": float(rng.integers(1, 4))}, after)
        return tasks.add(float(rng.integers(0, 5)), rng.choice([None, "a", "b", "pair"]), after)

    def some(of: list[int]) -> list[int]:
        return [one for one in of if rng.random() < 0.5]

    for _ in range(int(rng.integers(1, 5))):
        between = [add(some(last)) for _ in range(int(rng.integers(0, 5)))]
        size = int(rng.integers(1, 4))
        stage = [add([*last[m::size], *last[:1], *some(between)]) for m in range(size)]
        tasks.front(stage)
        last = stage
    for _ in range(int(rng.integers(0, 4))):
        add(some(last))
    return tasks.build()


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_bounds_are_those_that_plain_code_proves(seed: int) -> None:
    graph = staged(np.random.default_rng(seed))
    found = bounds_of(graph)
    assert proved_bound(graph, found.stages) == pytest.approx(found.value, rel=1e-12)
    verify_bounds(graph, found)


def test_long_chains_are_thinned_evenly() -> None:
    for count in (bounds.FRONTS, bounds.FRONTS + 1, 1000):
        kept = bounds._thinned(np.arange(count))
        assert len(kept) == bounds.FRONTS
        assert (kept[0], kept[-1]) == (0, count - 1)
        assert set(np.diff(kept)) <= {count // bounds.FRONTS, count // bounds.FRONTS + 1}
