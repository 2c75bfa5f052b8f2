"""Linear programs by HiGHS, with the options that SciPy hides."""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit._arrays import Floats

__all__ = ["run_highs"]


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


def run_program(
    matrix: Any,
    cost: Floats,
    *,
    lower: Floats,
    upper: Floats,
    whole: int = 0,
    time_limit: float | None = None,
    gap: float = 1e-4,
) -> tuple[Floats, Floats] | None:
    """Minimise a linear cost over variables >= 0; return variables and row prices, or ``None``.

    Parameters
    ----------
    matrix : csc_array
        Coefficients, [rows, variables].
    whole : int
        Number of variables, the first ones, that are 0 or 1; the row prices are then of no use.
    gap : float
        Relative gap at which a program with such variables may stop.
    """
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = cost
    lp.col_lower_ = np.zeros(lp.num_col_)
    lp.col_upper_ = np.r_[np.ones(whole), np.full(lp.num_col_ - whole, np.inf)]
    lp.row_lower_, lp.row_upper_ = lower, upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    if whole:
        kinds = [highspy.HighsVarType.kInteger] * whole
        lp.integrality_ = kinds + [highspy.HighsVarType.kContinuous] * (lp.num_col_ - whole)
    solver: Any = highspy.Highs.__base__  # the class itself prints a banner when it is made
    highs = solver()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("mip_rel_gap", gap)
    if time_limit is not None:
        highs.setOptionValue("time_limit", max(time_limit, 1e-3))
    highs.passModel(lp)
    highs.run()
    solution = highs.getSolution()
    if not solution.value_valid:
        return None
    prices = np.array(solution.row_dual) if solution.dual_valid else np.zeros(lp.num_row_)
    return np.array(solution.col_value), prices
