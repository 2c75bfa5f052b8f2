"""The shortest schedule of a task graph, by CP-SAT of OR-tools."""

from __future__ import annotations

import numpy as np

from noptoolkit.scheduling import TaskGraph

__all__ = ["shortest_schedule"]


def shortest_schedule(graph: TaskGraph, *, seconds: float = 10.0) -> tuple[int, int] | None:
    """Return the best makespan found and its proven bound, or ``None`` where no schedule exists.

    Parameters
    ----------
    graph
        Graph without flows; durations and what buffers hold are whole numbers.
    seconds
        Time that CP-SAT may take.

    Raises
    ------
    ArithmeticError
        If CP-SAT finds nothing in that time.
    """
    from ortools.sat.python import cp_model  # type: ignore[import-not-found, import-untyped, unused-ignore]

    model = cp_model.CpModel()
    horizon = int(graph.duration.sum())
    count = len(graph)
    starts = [model.new_int_var(0, horizon, "") for _ in range(count)]
    ends = [starts[i] + int(graph.duration[i]) for i in range(count)]
    spans = [model.new_fixed_size_interval_var(starts[i], int(graph.duration[i]), "") for i in range(count)]
    for i in range(count):
        for before in graph.pred[graph.pred_ptr[i] : graph.pred_ptr[i + 1]]:
            model.add(starts[i] >= ends[int(before)])
    held = [graph.needs[need] for need in graph.need]
    for r, capacity in enumerate(graph.capacity):
        served = [spans[i] for i in range(count) if r in held[i][0]]
        model.add_cumulative(served, [1] * len(served), int(capacity))
    for b, size in enumerate(graph.buffer_size):
        mine = [i for i in range(count) if held[i][1] == b and graph.hold[i]]
        times = [starts[i] if graph.hold[i] > 0 else ends[i] for i in mine]
        holds = [int(graph.hold[i]) for i in mine]
        least = min(-1, sum(hold for hold in holds if hold < 0))
        if mine:
            model.add_reservoir_constraint(times, holds, least, int(size))
    end = model.new_int_var(0, horizon, "")
    for i in range(count):
        model.add(end >= ends[i])
    model.minimize(end)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = seconds
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return None
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise ArithmeticError(f"CP-SAT: {solver.status_name(status)} after {seconds:g} s")
    return round(solver.objective_value), int(np.ceil(solver.best_objective_bound - 1e-6))
