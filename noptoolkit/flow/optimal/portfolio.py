"""The optimal routing by the solver that suits the problem, each with its proof.

Forced loads are peeled off; the rest is folded by its symmetry; then follows the linear program if it is
small, path columns if few pairs have demand, a first-order method otherwise; a linear program of shares where
bandwidths differ so widely that those do not close their gap. Fixed routings may still be
faster; the best value and the best bound of all are returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from noptoolkit.flow.bounds.certificate import price_bound, repair
from noptoolkit.flow.bounds.program import FlowProgram, Peeled, peel
from noptoolkit.flow.optimal.first_order import solve_first_order
from noptoolkit.flow.optimal.linear_program import solve_linear_program
from noptoolkit.flow.optimal.path_columns import is_sparse, solve_path_columns
from noptoolkit.flow.optimal.scaled_program import is_wide, solve_scaled_program
from noptoolkit.flow.optimal.solution import Solution
from noptoolkit.flow.optimal.symmetry import fold
from noptoolkit.routing.problem import RoutingProblem
from noptoolkit.routing.solution import Bound, CommodityFlow, Routed, TreeLoads

__all__ = ["route_best"]

SMALL_COLUMNS = 40_000  # commodities x arcs that HiGHS's interior point solves in about a second


def route_best(
    problem: RoutingProblem,
    trees: TreeLoads,
    *,
    tol: float,
    deadline: float = float("inf"),
    report: Callable[[str], None] | None = None,
) -> Routed:
    """Return the best routing of a problem's demand beside messages along given trees.

    Parameters
    ----------
    tol
        Gap at which to stop.
    deadline
        Value of ``time.perf_counter()`` at which to stop, in s.
    report
        Function that receives the progress, one line at a time.
    """
    peeled = peel(problem, trees)
    if peeled.program is None:
        load = peeled.forced
        none = np.zeros((0, len(peeled.arcs)))
        nothing = CommodityFlow(none, peeled.arcs, True, np.zeros(0, np.int64), peeled.anchor)
        method = "forced loads" if peeled.has_choice else "unique paths"
        return Routed(load, trees, method, _forced_bounds(problem, peeled, trees), nothing)
    solution = solve_program(peeled.program, tol=tol, deadline=deadline, report=report)
    return _unpeel(problem, peeled, trees, solution)


def solve_program(
    program: FlowProgram,
    *,
    tol: float,
    deadline: float = float("inf"),
    report: Callable[[str], None] | None = None,
) -> Solution:
    """Return the answer of whichever solver suits a program, folded by symmetry where it has any."""
    folded = fold(program) if len(program.ends) > 2 and time.perf_counter() < deadline else None
    small = program if folded is None else folded.program
    if folded is not None:
        if report is not None:
            report(f"symmetry: {len(small.ends):,} of {len(program.ends):,} commodities stand for all")
        deadline -= folded.seconds  # unfolding takes about as long

    def first_order(some: FlowProgram) -> Solution:
        symmetric = some is not program
        return solve_first_order(some, tol=tol, deadline=deadline, report=report, folded=symmetric)

    columns = len(small.ends) * len(small.tail)
    if columns <= SMALL_COLUMNS:
        left = deadline - time.perf_counter()
        if report is not None:
            report(f"linear program: {columns:,} columns")
        solution = solve_linear_program(small, time_limit=left if np.isfinite(left) else None)
        if solution is None or _gap(small, solution) > tol:  # the interior-point method did not converge
            solution = _by_shares(small, solution, tol, deadline)
        if solution is None or _gap(small, solution) > tol:
            solution = _better(solution, first_order(small))
        solution = _straightened(small, solution)
    elif is_sparse(program):
        folded, small = None, program
        solution = solve_path_columns(program, tol=tol, deadline=deadline, report=report)
        if _gap(program, solution) > tol and not solution.limited:
            solution = _by_shares(small, solution, tol, deadline) or solution
        if _gap(program, solution) > tol and not solution.limited:
            solution = _better(solution, first_order(small))
    else:
        solution = first_order(small)
    if folded is None:
        return solution
    flow = folded.unfold_flow(solution.flow)
    return Solution(
        flow,
        program.time(flow.sum(axis=0)),
        folded.unfold_prices(solution.prices),
        solution.bound,
        f"{solution.method}, folded by symmetry",
        solution.limited,
        solution.bound_method,
    )


def _straightened(program: FlowProgram, solution: Solution) -> Solution:
    """Return a solution without the circulations that an interior point leaves in its flow."""
    from noptoolkit.flow.optimal.compiled_circulations import without_circulations

    flow = without_circulations(program, solution.flow)
    return replace(solution, flow=flow, time=min(program.time(flow.sum(axis=0)), solution.time))


def _by_shares(program: FlowProgram, before: Solution | None, tol: float, deadline: float) -> Solution | None:
    """Return the better of an answer and that of the program of shares, where capacities differ widely."""
    if not is_wide(program):
        return before
    known = before.time if before is not None and np.isfinite(before.time) else _shortest_time(program)
    found = solve_scaled_program(program, known, tol=tol, deadline=deadline)
    return before if found is None else _better(before, found)


def _shortest_time(program: FlowProgram) -> float:
    """Return the time of sending everything along the paths of the widest arcs."""
    length = program.on_arcs.T @ (1.0 / program.capacity)
    flow = repair(program, length, np.zeros((len(program.ends), len(program.tail))))
    return program.time(flow.sum(axis=0))


def _gap(program: FlowProgram, solution: Solution) -> float:
    return solution.time / max(solution.bound, program.known) - 1


def _better(one: Solution | None, other: Solution) -> Solution:
    """Return the best flow and the best prices of two answers."""
    if one is None:
        return other
    limited = other.limited
    if one.time < other.time:
        one, other = other, one
    if one.bound > other.bound:
        other = replace(
            other, bound=one.bound, prices=one.prices, bound_method=one.bound_method or one.method
        )
    return replace(other, limited=limited)


def _forced_bounds(problem: RoutingProblem, peeled: Peeled, trees: TreeLoads) -> tuple[Bound, ...]:
    """Return the bound of the resource that forced loads and ports alone keep busy the longest.

    Without cycles, messages count for what each must put on that resource, however nodes copy: every
    channel between its root and a member is crossed once at least.
    """
    network = problem.network
    use = problem.ports + network.on_arcs @ peeled.forced
    if problem.messages and not peeled.has_choice:
        use = use + trees.use(network)
    worst = int(np.argmax(use / network.capacity))
    prices = np.zeros(network.num_resources)
    prices[worst] = 1 / network.capacity[worst]
    if problem.messages and not peeled.has_choice:
        return (price_bound(problem, prices, "forced loads"),)
    return (Bound(float(use[worst] * prices[worst]), "forced loads", prices),)


def _unpeel(problem: RoutingProblem, peeled: Peeled, trees: TreeLoads, solution: Solution) -> Routed:
    network = problem.network
    assert peeled.program is not None
    load = peeled.forced.copy()
    flow = solution.flow * peeled.byte
    load[peeled.arcs] += flow.sum(axis=0)
    prices = np.zeros(network.num_resources)
    prices[peeled.resources] = np.maximum(solution.prices, 0.0)
    if problem.messages:
        bound = price_bound(problem, prices, solution.method)  # trees of another shape may be cheaper
    else:
        seconds = solution.bound * peeled.byte / peeled.rate
        bound = Bound(
            seconds, solution.bound_method or solution.method, prices / float(network.capacity @ prices)
        )
    ends = peeled.vertices[peeled.program.ends]
    proof = CommodityFlow(flow, peeled.arcs, peeled.by_source, ends, peeled.anchor)
    bounds = (bound, *_forced_bounds(problem, peeled, trees))
    return Routed(load, trees, solution.method, bounds, proof, solution.limited)
