"""The optimal routing as one linear program, solved by HiGHS (interior point, without crossover).

Flows x >= 0 of each commodity on each arc, conservation at each vertex but the commodity's own, and ::

    minimise z    with    on_arcs @ sum(x) + base <= z capacity    for every resource

Interior point without crossover ends near the optimum, not on it: its flows are repaired and its row
prices evaluated by `noptoolkit.flow.certificate`, so that value and bound hold in float64 whatever
HiGHS's tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.certificate import program_bound, repair
from noptoolkit.flow.optimal.program import FlowProgram
from noptoolkit.flow.optimal.solution import Solution

__all__ = ["solve_linear_program"]

Floats = NDArray[np.float64]


def solve_linear_program(
    program: FlowProgram, *, tol: float = 1e-8, time_limit: float | None = None
) -> Solution | None:
    """Return an optimal flow of a program.

    Parameters
    ----------
    tol
        HiGHS's optimality tolerance.
    time_limit
        In s; ``None`` is without limit.

    Returns
    -------
    Solution or None
        ``None`` where HiGHS stopped without an answer.
    """
    from scipy.sparse import csc_array, csr_array, hstack, vstack
    from scipy.sparse import kron as kronecker

    commodities, arcs, vertices = len(program.ends), len(program.tail), program.num_vertices
    resources = len(program.capacity)
    tail, head, ends = program.tail, program.head, program.ends
    # an arc into the commodity's own vertex, or out of a vertex that nothing enters, is never of use
    entered = np.isin(np.arange(vertices), head)
    useful = (head[None, :] != ends[:, None]) & (entered[tail][None, :] | (tail[None, :] == ends[:, None]))
    kept = np.flatnonzero(useful.ravel())
    index = np.arange(arcs)
    balance = csr_array((np.ones(arcs), (head, index)), shape=(vertices, arcs))
    balance = balance - csr_array((np.ones(arcs), (tail, index)), shape=(vertices, arcs))
    inner = np.ones((commodities, vertices), bool)
    inner[np.arange(commodities), ends] = False
    one_each = csr_array(np.eye(commodities))
    conservation: Any = csc_array(kronecker(one_each, balance, format="csc"))[:, kept]
    conservation = conservation.tocsr()[np.flatnonzero(inner.ravel())]
    use: Any = csc_array(kronecker(np.ones((1, commodities)), program.on_arcs, format="csc"))[:, kept]
    matrix = vstack(
        [
            hstack([conservation, csr_array((conservation.shape[0], 1))]),
            hstack([use, csr_array(-program.capacity[:, None])]),
        ],
        format="csc",
    )
    owed = program.demand.ravel()[inner.ravel()]
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
    smallest = 1e-9 * max(float(prices @ program.capacity), 1e-3) / program.capacity
    flow = repair(program, program.on_arcs.T @ (prices + smallest), flow.reshape(commodities, arcs))
    bound = program_bound(program, prices)
    return Solution(
        flow, program.time(flow.sum(axis=0)), prices, bound, "linear program (HiGHS interior point)"
    )


def run_highs(
    matrix: Any,
    *,
    lower: Floats,
    upper: Floats,
    options: dict[str, str | float],
    time_limit: float | None = None,
) -> tuple[Floats, Floats] | None:
    """Minimise the last variable, all variables >= 0; return variables and row prices, or ``None``."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = np.r_[np.zeros(lp.num_col_ - 1), 1.0]
    lp.col_lower_ = np.zeros(lp.num_col_)
    lp.col_upper_ = np.full(lp.num_col_, np.inf)
    lp.row_lower_, lp.row_upper_ = lower, upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    solver: Any = highspy.Highs.__base__  # the class itself prints a banner when it is made
    highs = solver()
    highs.setOptionValue("output_flag", False)
    if time_limit is not None:
        highs.setOptionValue("time_limit", max(time_limit, 1e-3))
    for name, value in options.items():
        highs.setOptionValue(name, value)
    highs.passModel(lp)
    highs.run()
    solution = highs.getSolution()
    if not (solution.value_valid and solution.dual_valid):
        return None
    return np.array(solution.col_value), np.array(solution.row_dual)
