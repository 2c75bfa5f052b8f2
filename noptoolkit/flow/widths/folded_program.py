"""The best widening of one traffic as one linear program, folded by symmetry.

Flows f of each commodity, X = time x extra bandwidth of each choice, and z = time are variables together::

    minimise z    with    on_arcs @ sum(f) + base <= z c + E X    for every resource,    price . X <= z budget

Its answer is not trusted: the prices of its rows and the use of its flows are evidence like any other
(`noptoolkit.flow.widths.evidence`), counted again by shortest paths on the whole network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import bmat, csc_array, csr_array, kron

from noptoolkit._arrays import Floats, Ints
from noptoolkit._highs import run_highs
from noptoolkit.flow.bounds.certificate import repair, without_zeros
from noptoolkit.flow.bounds.program import FlowProgram, Peeled, peel
from noptoolkit.flow.optimal.linear_program import conservation_rows
from noptoolkit.flow.optimal.symmetry import fold
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.flow.widths.choices import Choices
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import RoutingProblem

__all__ = ["WidthProgram", "width_program"]

LARGE = 80_000
"""Columns beyond which the program is not solved as one."""


@dataclass(frozen=True, eq=False)
class WidthProgram:
    """A traffic and the choices as one program, made once for all budgets.

    Parameters
    ----------
    problem, choices
        What is asked.
    peeled
        The problem without its trees.
    program
        Flow program of one commodity per orbit.
    orbit
        Row of the program of each of ``peeled.resources``.
    group
        Class of equal choices of each choice, [choices].
    forced
        Use of each resource that no routing changes, in B, [resources].
    """

    problem: RoutingProblem
    choices: Choices
    peeled: Peeled
    program: FlowProgram
    orbit: Ints
    group: Ints
    forced: Floats

    def solve(self, budget: float) -> tuple[Floats, Floats] | None:
        """Return prices and the use of a flow, each [resources], of the best widening within a budget.

        ``None`` where HiGHS stopped without an answer.
        """
        from noptoolkit.flow.optimal.compiled_circulations import without_circulations

        program, peeled, choices = self.program, self.peeled, self.choices
        network = self.problem.network
        capacity = choices.capacity
        inside = np.zeros(network.num_resources, bool)
        inside[peeled.resources] = True
        rows_in = len(program.capacity)
        gather: Any = csr_array(
            (np.ones(len(self.orbit)), (self.orbit, peeled.resources)), (rows_in, network.num_resources)
        )
        merge: Any = csr_array(
            (1.0 / np.bincount(self.group)[self.group], (np.arange(len(self.group)), self.group))
        )  # the extra of a class, shared equally among its choices
        extra_in = gather @ choices.on_resources @ merge
        outside = np.flatnonzero(~inside & ((self.forced > 0) | (choices.on_resources.sum(axis=1) > 0)))
        extra_out = choices.on_resources[outside] @ merge
        conservation, kept, owed = conservation_rows(program)
        use = csc_array(kron(np.ones((1, len(program.ends))), program.on_arcs, format="csc"))[:, kept]
        price = merge.T @ choices.price
        mean = float(price.mean())
        matrix = bmat(
            [
                [conservation, None, None],
                [use, -extra_in, csr_array(-(gather @ capacity)[:, None] / peeled.rate)],
                [None, -extra_out, csr_array(-capacity[outside][:, None] / peeled.rate)],
                [None, csr_array((price / mean)[None, :]), csr_array([[-budget / mean / peeled.rate]])],
            ],
            format="csc",
        )
        base = np.r_[-program.base, -self.forced[outside] / peeled.byte, 0.0]
        answer = run_highs(
            csc_array(matrix),
            lower=np.r_[owed, np.full(len(base), -np.inf)],
            upper=np.r_[owed, base],
            options={"solver": "ipx", "run_crossover": "off", "ipm_optimality_tolerance": 1e-9},
        )
        if answer is None:
            return None
        columns, duals = answer
        row_prices = np.maximum(-duals[len(owed) : -1], 0.0)
        prices = np.zeros(network.num_resources)
        prices[peeled.resources] = row_prices[:rows_in][self.orbit]
        prices[outside] = row_prices[rows_in:]
        flow = np.zeros(len(program.ends) * len(program.tail))
        flow[kept] = columns[: len(kept)]
        length = program.on_arcs.T @ without_zeros(row_prices[:rows_in], program.capacity, share=1e-9)
        straight = without_circulations(program, flow.reshape(len(program.ends), -1))
        mended = repair(program, length, straight)
        folded_use = program.on_arcs @ mended.sum(axis=0) + program.base
        total = self.forced.copy()
        size = np.bincount(self.orbit, minlength=rows_in)
        total[peeled.resources] = (folded_use / size)[self.orbit] * peeled.byte
        return prices, total


def width_program(problem: RoutingProblem, choices: Choices) -> WidthProgram | None:
    """Return the program of a traffic without messages to sets, ``None`` where it is too large."""
    if problem.messages:
        return None
    peeled = peel(problem, tree_loads(problem, take_first))
    if peeled.program is None:
        return None
    network = problem.network
    forced = problem.ports + network.on_arcs @ peeled.forced
    folded = fold(peeled.program) if len(peeled.program.ends) > 2 else None
    orbit = np.arange(len(peeled.resources)) if folded is None else folded.orbit_of_resource
    whole_orbit = -1 - np.arange(network.num_resources)
    whole_orbit[peeled.resources] = orbit
    by_choice = csc_array(choices.on_resources)
    keys: dict[tuple[object, ...], int] = {}
    group = np.zeros(len(choices.names), np.int64)
    for j in range(len(choices.names)):
        rows = by_choice.indices[by_choice.indptr[j] : by_choice.indptr[j + 1]]
        key = (*sorted(whole_orbit[rows].tolist()), float(choices.price[j]))
        group[j] = keys.setdefault(key, len(keys))
    program = peeled.program if folded is None else folded.program
    if folded is not None and not _keeps(choices, group, orbit, peeled):
        program, orbit = peeled.program, np.arange(len(peeled.resources))
        group = np.arange(len(choices.names))
    if len(program.ends) * len(program.tail) > LARGE:
        return None
    return WidthProgram(problem, choices, peeled, program, orbit, group, forced)


def _keeps(choices: Choices, group: Ints, orbit: Ints, peeled: Peeled) -> bool:
    """Return whether the choices are as symmetric as the flows: equal resources are widened at one price."""
    rows = choices.on_resources[peeled.resources]
    dearest = np.zeros(len(orbit))
    dense = csr_array(rows)
    which = np.zeros(len(orbit))
    for r in range(len(orbit)):
        mine = dense.indices[dense.indptr[r] : dense.indptr[r + 1]]
        dearest[r] = len(mine)
        which[r] = group[mine[0]] if len(mine) else -1.0
    return all(
        np.ptp(values[orbit == o]) == 0 for values in (dearest, which) for o in range(int(orbit.max()) + 1)
    )
