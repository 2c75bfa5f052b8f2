"""What the pictures of a schedule share: its rows, its time, and what is said over it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from noptoolkit.errors import ScheduleError
from noptoolkit.plot._style import axes_points, origin_note, quantity, small_type
from noptoolkit.scheduling import Schedule
from noptoolkit.step import StepSchedule
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["name_rows", "notes_of", "title_of", "window_of"]


def window_of(plan: Schedule, window: tuple[Quantity, Quantity] | None) -> tuple[float, float]:
    """Return the start and the end of what is shown, in s."""
    if window is None:
        return 0.0, 1.004 * plan.makespan or 1.0
    begin, end = (parse_quantity(value, "s", "window") for value in window)
    if not begin < end:
        raise ScheduleError(f"window {window!r} is empty; give an earlier start or a later end")
    return begin, end


def origin_of(plan: Schedule) -> str:
    """Return where a schedule's trace comes from, empty for a custom task graph."""
    return plan.workload.trace.origin if isinstance(plan, StepSchedule) else ""


def title_of(plan: Schedule) -> str:
    """Return what a schedule is of, empty for a custom task graph."""
    if not isinstance(plan, StepSchedule):
        return ""
    return f"{plan.workload.name} on {plan.package.name}"


def notes_of(plan: Schedule, dashed: bool | None = None) -> list[str]:
    """Return how long it takes and whether its routing is synthetic.

    And, unless ``dashed`` is ``None``, its bound, and whether a dashed line shows that.
    """
    what = quantity(plan.makespan, "s")
    if dashed is not None:
        what += f", lower bound {quantity(plan.lower_bound, 's')}{' (dashed)' if dashed else ''}"
    origin = origin_of(plan)
    return [origin_note(what, origin)]


def name_rows(ax: Axes, rows: tuple[str, ...]) -> None:
    """Name the rows, every second, third, ... of them where they are narrow: a tick says which."""
    size = small_type()
    room = axes_points(ax)[1] / max(len(rows), 1)
    step = max(1, int(np.ceil(1.05 * min(size, 6.0) / room)))
    ax.set_yticks(range(0, len(rows), step), rows[::step], fontsize=min(size, max(room / 1.05, 5.0)))
    ax.tick_params(axis="y", length=0 if step == 1 else 2.5, width=0.5)
