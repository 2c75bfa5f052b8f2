"""Schedules against CP-SAT, layouts against all of them; see `noptoolkit.testing.duels`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from noptoolkit.allocation import allocate
from noptoolkit.allocation.bounds import c_t_bound
from noptoolkit.errors import NopError, ScheduleError
from noptoolkit.package import Chiplet, Link, Package, Switch
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder, schedule_graph
from noptoolkit.scheduling.verify_bounds import proved_bound
from noptoolkit.testing.duels import Duel
from noptoolkit.testing.oracles.layouts import copies_of, fewest_copies
from noptoolkit.testing.oracles.schedule_program import shortest_schedule
from noptoolkit.trace import RoutingTrace

__all__ = ["ORDER_DUELS", "Placed", "Task", "Tasks"]

ROOM = 8
"""Size of the buffer, in B."""


@dataclass(frozen=True)
class Task:
    """A task of a `Tasks`: what it needs, the earlier tasks it waits for, bytes taken or given back."""

    duration: int
    resources: tuple[str, ...]
    after: tuple[int, ...]
    hold: int = 0


@dataclass(frozen=True)
class Tasks:
    """Tasks in an order that respects what waits for what; ``pair`` serves two at a time.

    Parameters
    ----------
    fronts
        Sets of tasks that the bound may take for stages of the graph; not all of them are.
    """

    tasks: tuple[Task, ...]
    fronts: tuple[tuple[int, ...], ...] = ()

    def graph(self) -> TaskGraph:
        """Return them as a graph."""
        made = TaskGraphBuilder({"pair": 2}, {"room": float(ROOM)})
        for task in self.tasks:
            buffer = "room" if task.hold else None
            made.add(float(task.duration), task.resources or None, task.after, buffer=buffer, hold=task.hold)
        named = [made.front(front) for front in self.fronts]
        made.chain(named[::2])
        return made.build()

    def __str__(self) -> str:
        lines = [f"{i}: {task}" for i, task in enumerate(self.tasks)]
        return "\n".join([*lines, f"fronts {self.fronts}"])


@dataclass(frozen=True)
class Placed:
    """Tokens whose experts are placed, equally many on each chiplet of a star."""

    experts: int
    chiplets: int
    tokens: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        return f"{self.experts} experts on {self.chiplets} chiplets, tokens {list(self.tokens)}"


def draw_tasks(rng: np.random.Generator) -> Tasks:
    """Draw up to 10 tasks of whole durations on up to three resources, some of which hold room."""
    buffers = rng.random() < 0.4
    tasks: list[Task] = []
    held: list[int] = []
    for i in range(int(rng.integers(1, 11))):
        after = (
            set(rng.choice(i, int(rng.integers(0, min(i, 3) + 1)), replace=False).tolist()) if i else set()
        )
        number = int(rng.choice([0, 1, 1, 1, 2]))
        resources = tuple(rng.choice(["a", "b", "pair"], number, replace=False).tolist())
        hold = 0
        if buffers and held and rng.random() < 0.5:
            taker = held.pop(int(rng.integers(len(held))))
            hold, after = -tasks[taker].hold, after | {taker}
        elif buffers and rng.random() < 0.5:
            hold = int(rng.integers(1, ROOM + 1))
            held.append(i)
        tasks.append(Task(int(rng.integers(0, 7)), resources, tuple(sorted(after)), hold))
    marks = sorted(rng.choice(len(tasks) + 1, int(rng.integers(0, 5))).tolist())
    fronts = [tuple(range(a, b)) for a, b in pairwise(marks) if a < b]
    if rng.random() < 0.3:  # any tasks at all
        drawn = (rng.choice(len(tasks), int(rng.integers(1, len(tasks) + 1)), replace=False) for _ in marks)
        fronts = [tuple(members.tolist()) for members in drawn]
    return Tasks(tuple(tasks), tuple(fronts))


def schedule_faults(problem: Tasks) -> Iterator[str]:
    """Hold list schedules and their bounds against CP-SAT."""
    graph = problem.graph()
    best = shortest_schedule(graph)
    for rounds in (0, 5):
        try:
            plan = schedule_graph(graph, rounds=rounds)
        except ScheduleError as error:
            if best is not None:
                yield f"no schedule found: CP-SAT takes {best[0]} s; {error}"
            return
        if best is None:
            yield f"a schedule where there is none: {plan.makespan!r} s"
            return
        if plan.makespan < best[1] * (1 - 1e-9):
            yield f"faster than any schedule: {plan.makespan!r} s, CP-SAT proves {best[1]} s"
        bounds = plan.bounds
        for name in ("critical_path", "load", "head_load_tail", "fronts", "value"):
            if getattr(bounds, name) > best[0] * (1 + 1e-9):
                yield f"bound {name} above the optimum: {getattr(bounds, name)!r} s, CP-SAT takes {best[0]} s"
        again = proved_bound(graph, bounds.stages)
        if abs(again - bounds.value) > 1e-9 * again:
            yield f"bound computed twice: {bounds.value!r} s, by its verification {again!r} s"
        try:
            plan.verify()
        except NopError as error:
            yield f"verify() refuses: {error}"


def smaller_tasks(problem: Tasks) -> Iterator[Tasks]:
    """Yield problems with a task, a front or a wait less, or shorter tasks."""
    tasks, fronts = problem.tasks, problem.fronts
    for i in range(len(fronts)):
        yield replace(problem, fronts=(*fronts[:i], *fronts[i + 1 :]))
    for i, task in enumerate(tasks):
        if len(tasks) > 1 and not task.hold and not any(i in front for front in fronts):
            fewer = [
                replace(other, after=tuple(k - (k > i) for k in other.after if k != i))
                for j, other in enumerate(tasks)
                if j != i
            ]
            moved = [tuple(k - (k > i) for k in front) for front in fronts]
            yield Tasks(tuple(fewer), tuple(moved))
        simpler = [replace(task, after=tuple(k for k in task.after if k != gone)) for gone in task.after]
        simpler += [replace(task, duration=1)] if task.duration > 1 else []
        for one in simpler:
            if not task.hold:
                yield replace(problem, tasks=(*tasks[:i], one, *tasks[i + 1 :]))


def draw_layout(rng: np.random.Generator) -> Placed:
    """Draw 4 to 9 experts on 2 to 4 chiplets, and tokens that choose 1 to 3 of them."""
    experts, chiplets = [(4, 2), (6, 2), (6, 3), (8, 2), (8, 4), (9, 3)][int(rng.integers(6))]
    top_k = int(rng.integers(1, 4))
    weight = rng.dirichlet(np.full(experts, 0.7))
    weight = 0.9 * weight + 0.1 / experts
    count = int(rng.integers(1, 40))
    tokens = [tuple(rng.choice(experts, top_k, replace=False, p=weight).tolist()) for _ in range(count)]
    return Placed(experts, chiplets, tuple(tokens))


def layout_faults(problem: Placed) -> Iterator[str]:
    """Hold allocators and the bound of C_T against every layout."""
    names = [f"e{i}" for i in range(problem.chiplets)]
    nodes: list[Chiplet | Switch] = [Switch("hub"), *(Chiplet(name, role="expert") for name in names)]
    star = Package("star", nodes, [Link("hub", name, 1e9) for name in names])
    trace = RoutingTrace([list(token) for token in problem.tokens], num_experts=problem.experts)
    best = fewest_copies(problem.tokens, problem.experts, problem.chiplets)
    bound = c_t_bound(trace, star)
    if bound > best * (1 + 1e-9):
        yield f"bound above the optimum: {bound!r} copies, a layout has {best!r}"
    for method in ("auto", "contiguous", "longest-first", "mozart", "agglomerative", "matching", "spectral",
                   "descent", "tabu", "annealing"):  # fmt: skip
        options = {"objective": "c_t"} if method == "auto" else {}
        layout = allocate(trace, star, method=method, **options)  # type: ignore[arg-type]
        places = layout.chiplet_of_expert[0].tolist()
        each = [places.count(chiplet) for chiplet in range(problem.chiplets)]
        counted = copies_of(problem.tokens, places)
        if each != [problem.experts // problem.chiplets] * problem.chiplets:
            yield f"capacities not kept by {method}: {each}"
        elif counted < best * (1 - 1e-9):
            yield f"fewer copies than any layout by {method}: {counted!r}, every layout has {best!r}"
        if abs(layout.c_t(trace) - counted) > 1e-9 * counted:
            yield f"copies miscounted by {method}: {layout.c_t(trace)!r}, counted {counted!r}"
        exact = "exact" in layout.method or (method == "matching" and problem.experts == 2 * problem.chiplets)
        if exact and counted > best * (1 + 1e-9):
            yield f"not exact by {layout.method}: {counted!r}, a layout has {best!r}"
        load = [sum(places[e] == c for token in problem.tokens for e in token) for c in range(len(names))]
        if load != layout.load(trace)[0].tolist():
            yield f"load miscounted by {method}: {layout.load(trace)[0].tolist()}, counted {load}"


def smaller_layouts(problem: Placed) -> Iterator[Placed]:
    """Yield problems with fewer tokens."""
    tokens = problem.tokens
    half = len(tokens) // 2
    if half:
        yield replace(problem, tokens=tokens[:half])
        yield replace(problem, tokens=tokens[half:])
    for i in range(len(tokens) if len(tokens) > 1 else 0):
        yield replace(problem, tokens=(*tokens[:i], *tokens[i + 1 :]))


ORDER_DUELS: dict[str, Duel] = {
    "schedule": Duel(draw_tasks, schedule_faults, smaller_tasks),
    "allocation": Duel(draw_layout, layout_faults, smaller_layouts),
}
