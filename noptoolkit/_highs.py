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
