"""What the iterative solvers of groups say of their rounds."""

from __future__ import annotations

from noptoolkit.units import format_quantity

__all__ = ["interval_so_far"]


def interval_so_far(rounds: int, time: float, bound: float) -> str:
    """Return what a solver has reached: the best time found, and what no schedule of trees undercuts, in s.

    Examples
    --------
    >>> interval_so_far(50, 0.000316529, 0.000220588)
    'round 50: 317 us, and 221 us at least'
    """
    return f"round {rounds}: {format_quantity(time, 's')}, and {format_quantity(bound, 's')} at least"
