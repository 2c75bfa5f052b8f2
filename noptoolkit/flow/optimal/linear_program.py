"""The optimal routing as one linear program, solved by HiGHS (interior point, without crossover).

Flows x >= 0 of each commodity on each arc, conservation at each vertex but the commodity's own, and ::

    minimise z    with    on_arcs @ sum(x) + base <= z capacity    for every resource

Interior point without crossover ends near the optimum, not on it. What goes round is taken out of its flows,
beside which float64 may not see what is missing (where bandwidths differ widely it can be 1e13 times the
demand); then they are repaired, and its row prices are evaluated by `noptoolkit.flow.bounds.certificate`, so
that value and bound hold in float64 whatever HiGHS's tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._highs import run_highs
from noptoolkit.flow.bounds.certificate import program_bound, repair, without_zeros
from noptoolkit.flow.bounds.program import FlowProgram
from noptoolkit.flow.optimal.solution import Solution

__all__ = ["conservation_rows", "solve_linear_program"]


def solve_linear_program(
    program: FlowProgram, *, tol: float = 1e-8, time_limit: float | None = None
) -> Solution | None:
    """Return an optimal flow of a program.

    Parameters
    ----------
    tol
        HiGHS's optimality tolerance.
    time_limit
        Time limit in s; ``None`` for no limit.

    Returns
    -------
    Solution or None
        ``None`` where HiGHS stopped without an answer.
    """
    from scipy.sparse import csc_array, csr_array, hstack, vstack
    from scipy.sparse import kron as kronecker

    from noptoolkit.flow.optimal.compiled_circulations import without_circulations

    commodities, arcs = len(program.ends), len(program.tail)
    resources = len(program.capacity)
    conservation, kept, owed = conservation_rows(program)
    use: Any = csc_array(kronecker(np.ones((1, commodities)), program.on_arcs, format="csc"))[:, kept]
    matrix = vstack(
        [
            hstack([conservation, csr_array((conservation.shape[0], 1))]),
            hstack([use, csr_array(-program.capacity[:, None])]),
        ],
        format="csc",
    )
    answer = run_highs(
        matrix,
        lower=np.r_[owed, np.full(resources, -np.inf)],
        upper=np.r_[owed, -program.base],
        options={"solver": "ipx", "run_crossover": "off", "ipm_optimality_tolerance": tol},
        time_limit=time_limit,
    )
    if answer is None:
        return None
    columns, rows = answer
    flow = np.zeros(commodities * arcs)
    flow[kept] = columns[:-1]
    prices = np.maximum(-rows[-resources:], 0.0)
    length = program.on_arcs.T @ without_zeros(prices, program.capacity, share=1e-9)
    flow = repair(program, length, without_circulations(program, flow.reshape(commodities, arcs)))
    bound = program_bound(program, prices)
    return Solution(
        flow, program.time(flow.sum(axis=0)), prices, bound, "linear program (HiGHS interior point)"
    )


def conservation_rows(program: FlowProgram) -> tuple[Any, Ints, Floats]:
    """Return the rows that conserve flow, the columns (commodity and arc) of use, and what each row owes."""
    from scipy.sparse import csc_array, csr_array, kron

    commodities, arcs, vertices = len(program.ends), len(program.tail), program.num_vertices
    tail, head, ends = program.tail, program.head, program.ends
    # an arc into the commodity's own vertex, or out of a vertex that nothing enters, is never of use
    entered = np.isin(np.arange(vertices), head)
    useful = (head[None, :] != ends[:, None]) & (entered[tail][None, :] | (tail[None, :] == ends[:, None]))
    kept = np.flatnonzero(useful.ravel())
    index = np.arange(arcs)
    balance: Any = csr_array((np.ones(arcs), (head, index)), shape=(vertices, arcs))
    balance = balance - csr_array((np.ones(arcs), (tail, index)), shape=(vertices, arcs))
    inner = np.ones((commodities, vertices), bool)
    inner[np.arange(commodities), ends] = False
    rows: Any = csc_array(kron(csr_array(np.eye(commodities)), balance, format="csc"))[:, kept]
    return rows.tocsr()[np.flatnonzero(inner.ravel())], kept, program.demand.ravel()[inner.ravel()]
