"""The optimal routing as one linear program, solved by HiGHS (interior point, without crossover).

One commodity per source (or per destination, where there are fewer): flows x >= 0 of the commodity on
each arc, conservation at each vertex but the commodity's own, and ::

    minimise z    with    on_arcs @ sum(x) + base <= z C    for every resource

Interior point without crossover ends near the optimum, not on it: its flows are repaired and its row
prices evaluated by `noptoolkit.flow.certificate`, so that value and bound hold in float64 whatever
HiGHS's tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit.flow.certificate import repair
from noptoolkit.flow.multicast import TreeLoads
from noptoolkit.flow.problem import RoutingProblem
from noptoolkit.flow.routed import Routed

__all__ = ["solve_linear_program"]

Floats = NDArray[np.float64]

METHOD = "linear program (HiGHS interior point)"


def solve_linear_program(
    problem: RoutingProblem, trees: TreeLoads, *, tol: float = 1e-8, time_limit: float | None = None
) -> Routed | None:
    """Return the optimal flow of a problem's demand beside messages that already follow ``trees``.

    Parameters
    ----------
    tol
        HiGHS's optimality tolerance.
    time_limit
        In s; ``None`` is without limit.

    Returns
    -------
    Routed or None
        With the prices that HiGHS found; ``None`` where it stopped without an answer.
    """
    import highspy
    from scipy.sparse import csc_array, csr_array, hstack, vstack
    from scipy.sparse import kron as kronecker

    network = problem.network
    base = problem.ports + trees.use(network)
    by_source = len(problem.sources) <= len(problem.destinations)
    ends = problem.sources if by_source else problem.destinations
    tail, head = (network.tail, network.head) if by_source else (network.head, network.tail)
    wanted = problem.demand[ends] if by_source else problem.demand[:, ends].T
    commodities, arcs, vertices = len(ends), network.num_arcs, network.num_vertices
    byte = float(wanted.sum()) / commodities  # natural units: the mean commodity and the mean resource are 1
    rate = float(network.capacity.mean())

    # an arc into the commodity's own vertex, or out of a memory stack that it is not, is never of use
    dead_end = np.isin(np.arange(vertices), head, invert=True)
    useful = (head[None, :] != ends[:, None]) & (~dead_end[tail][None, :] | (tail[None, :] == ends[:, None]))
    kept = np.flatnonzero(useful.ravel())
    index = np.arange(arcs)
    balance = csr_array((np.ones(arcs), (head, index)), shape=(vertices, arcs))
    balance = balance - csr_array((np.ones(arcs), (tail, index)), shape=(vertices, arcs))
    per_commodity = csr_array(np.eye(commodities))
    conservation: Any = csc_array(kronecker(per_commodity, balance, format="csc"))[:, kept]
    inner = np.ones((commodities, vertices), bool)
    inner[np.arange(commodities), ends] = False
    conservation = conservation.tocsr()[np.flatnonzero(inner.ravel())]
    limits = np.flatnonzero(np.diff(network.on_arcs.indptr))
    use = csc_array(kronecker(np.ones((1, commodities)), network.on_arcs[limits], format="csc"))[:, kept]
    matrix = vstack(
        [
            hstack([conservation, csr_array((conservation.shape[0], 1))]),
            hstack([use, csr_array(-(network.capacity[limits] / rate)[:, None])]),
        ],
        format="csc",
    )
    owed = (wanted / byte).ravel()[inner.ravel()]
    spare = -base[limits] / byte

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = np.r_[np.zeros(len(kept)), 1.0]
    lp.col_lower_ = np.zeros(len(kept) + 1)
    lp.col_upper_ = np.full(len(kept) + 1, highspy.kHighsInf)
    lp.row_lower_ = np.r_[owed, np.full(len(limits), -highspy.kHighsInf)]
    lp.row_upper_ = np.r_[owed, spare]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    new_solver: Any = highspy.Highs
    highs = new_solver()
    options: dict[str, str | bool | float] = {
        "output_flag": False,
        "solver": "ipx",
        "run_crossover": "off",
        "ipm_optimality_tolerance": tol,
    }
    if time_limit is not None:
        options["time_limit"] = max(time_limit, 1e-3)
    for name, value in options.items():
        highs.setOptionValue(name, value)
    highs.passModel(lp)
    highs.run()
    solution = highs.getSolution()
    if not solution.value_valid:
        return None
    flow = np.zeros(commodities * arcs)
    flow[kept] = np.array(solution.col_value)[:-1] * byte
    prices = np.zeros(network.num_resources)
    if solution.dual_valid:
        prices[limits] = np.maximum(-np.array(solution.row_dual)[-len(limits) :], 0.0)
    scale = max(float(prices @ network.capacity), 1e-3)
    length = network.on_arcs.T @ (prices + 1e-9 * scale / network.capacity)
    flow = repair(network, length, ends, wanted, flow.reshape(commodities, arcs), towards=not by_source)
    return Routed(flow, by_source, ends, trees, METHOD, ((METHOD, prices),))
