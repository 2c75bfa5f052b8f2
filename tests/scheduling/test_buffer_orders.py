"""Buffers that urgent tasks block: a schedule is found if there is one, and else it is proved."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from seeds import seeds

from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder, buffer_orders, schedule_graph


def blocking() -> TaskGraph:
    """Return y, its give, x and its give: 8 s one after the other; x first leaves no room for y."""
    tasks = TaskGraphBuilder(buffers={"sram": 10.0})
    x = tasks.add(1.0, buffer="sram", hold=6.0)
    y = tasks.add(1.0, buffer="sram", hold=7.0)
    tasks.add(1.0, after=[y], buffer="sram", hold=-7.0)
    tasks.add(5.0, after=[x, y], buffer="sram", hold=-6.0)
    return tasks.build()


def test_an_order_is_found_where_the_urgent_task_blocks() -> None:
    schedule = schedule_graph(blocking())
    schedule.verify()
    assert schedule.makespan == pytest.approx(8.0)


def test_a_search_that_gives_up_says_that_it_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_orders, "MOST_STEPS", 1)
    with pytest.raises(ScheduleError, match="does not prove that there is none"):
        schedule_graph(blocking())
    monkeypatch.undo()
    order = [1, 2, 0, 3]
    monkeypatch.setattr(buffer_orders, "MOST_WAITS", 1)
    again = buffer_orders.following_order(blocking(), order)
    assert again is not None
    assert again.pred.tolist() == [2, 1, 0, 1]  # x waits for what y gives back
    monkeypatch.setattr(buffer_orders, "MOST_WAITS", 0)  # then one at a time
    assert buffer_orders.following_order(blocking(), order) is None
    assert schedule_graph(blocking()).makespan == pytest.approx(8.0)


@pytest.mark.parametrize(("urgency", "steps"), [([4, 3, 2, 1], 4), ([1, 2, 3, 4], 3)])
def test_steps_of_a_search_are_counted(
    urgency: list[int], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where x is tried first, y does not fit behind it, and x is taken back."""
    for most, found in ((steps - 1, None), (steps, [1, 2, 0, 3])):
        monkeypatch.setattr(buffer_orders, "MOST_STEPS", most)
        order, proved = buffer_orders.order_that_fits(blocking(), np.array(urgency, dtype=float))
        assert (order, proved) == (found, found is not None)


def exists(
    holds: Sequence[int], buffers: Sequence[str], before: Sequence[set[int]], room: dict[str, int]
) -> bool:
    """Return whether any order of all tasks, one at a time, fits: every subset of tasks is looked at once."""
    seen: set[frozenset[int]] = set()
    todo = [frozenset[int]()]
    while todo:
        done = todo.pop()
        if len(done) == len(holds):
            return True
        level = {name: sum(holds[t] for t in done if buffers[t] == name) for name in room}
        for task in set(range(len(holds))) - done:
            after = done | {task}
            fits = level[buffers[task]] + holds[task] <= room[buffers[task]]
            if before[task] <= done and fits and after not in seen:
                seen.add(after)
                todo.append(after)
    return False


class Drawn:
    """A few tasks that take and give back room in two buffers."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        self.room = {"x": draw.randint(4, 10), "y": draw.randint(4, 10)}
        tasks = TaskGraphBuilder(buffers={name: float(size) for name, size in self.room.items()})
        self.holds: list[int] = []
        self.buffers: list[str] = []
        self.before: list[set[int]] = []
        held: dict[str, list[int]] = {"x": [], "y": []}
        for task in range(draw.randint(2, 9)):
            name = draw.choice("xy")
            waits = {other for other in range(task) if draw.random() < 0.25}
            if held[name] and draw.random() < 0.5:
                given = held[name].pop(draw.randrange(len(held[name])))
                hold, waits = -self.holds[given], waits | {given}
            else:
                hold = draw.randint(1, self.room[name])
                held[name].append(task)
            self.holds.append(hold)
            self.buffers.append(name)
            self.before.append(waits)
            resource = draw.choice([None, "r"])
            tasks.add(float(draw.randint(0, 3)), resource, sorted(waits), buffer=name, hold=float(hold))
        self.graph = tasks.build()

    def fits(self) -> bool:
        return exists(self.holds, self.buffers, self.before, self.room)


@pytest.mark.parametrize("seed", seeds(40, 600))
def test_there_is_a_schedule_if_and_only_if_some_order_fits(seed: int) -> None:
    drawn = Drawn(seed)
    if drawn.fits():
        schedule = schedule_graph(drawn.graph)
        schedule.verify()
        assert np.isfinite(schedule.makespan)
    else:
        with pytest.raises(ScheduleError, match="in every order"):
            schedule_graph(drawn.graph)


@pytest.mark.parametrize("seed", [*seeds(20, 600), 385, 420, 558, 606])
def test_whatever_is_tried_first_some_order_is_found_or_there_is_none(seed: int) -> None:
    """In the last four, what was tried in vain behind some tasks must stay possible behind others."""
    drawn = Drawn(seed)
    for urgency in (np.arange(len(drawn.graph), 0, -1.0), np.arange(len(drawn.graph), dtype=float)):
        order, proved = buffer_orders.order_that_fits(drawn.graph, urgency)
        assert proved
        assert (order is not None) == drawn.fits()
        assert order is None or sorted(order) == list(range(len(drawn.graph)))
