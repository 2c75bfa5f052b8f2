"""What the pictures of a schedule share: its rows, its time, and what is said over it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from noptoolkit._names import did_you_mean
from noptoolkit.errors import ScheduleError, UnknownNameError
from noptoolkit.package import Chiplet, Memory
from noptoolkit.plot._style import axes_points, origin_note, quantity, small_type
from noptoolkit.scheduling import Schedule
from noptoolkit.step import StepSchedule
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["digest_of", "group", "name_rows", "notes_of", "rows_of", "title_of", "window_of"]

MANY_CHIPLETS = 48
"""Chiplets from which a schedule is drawn by groups."""


def rows_of(plan: Schedule, chosen: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the rows to show: those chosen, else the resources in use.

    Chiplets come first, then memory stacks, then channels, each in the package's order.

    Raises
    ------
    UnknownNameError
        If the schedule has no resource of a chosen name.
    """
    if chosen is not None:
        for name in chosen:
            if name not in plan.resources:
                hint = did_you_mean(name, plan.resources)
                raise UnknownNameError(f"the schedule has no resource named {name!r}; {hint}")
        return tuple(chosen)
    used = [name for name, share in zip(plan.resources, plan.utilisation, strict=True) if share > 0]
    if not isinstance(plan, StepSchedule):
        return tuple(used)
    order = {node.name: i for i, node in enumerate(plan.package.nodes)}
    order |= {channel.name: len(order) + i for i, channel in enumerate(plan.package.channels)}
    return tuple(sorted(used, key=lambda name: (group(plan, name), order.get(name, len(order)))))


def digest_of(
    plan: Schedule, rows: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[int, tuple[str, list[str]]]]:
    """Return fewer rows where there are very many chiplets, and what stands for groups of them.

    Returns
    -------
    tuple
        The rows, and for those that stand for a group its name and its members, by the place among the rows.
    """
    if not isinstance(plan, StepSchedule) or len(plan.package.chiplets) < MANY_CHIPLETS:
        return rows, {}
    busy = dict(zip(plan.resources, plan.utilisation.tolist(), strict=True))
    experts = set(plan.package.experts)
    blocks: dict[str, list[str]] = {}
    for name in rows:
        kind = ("", "stacks", "channels")[group(plan, name)] or ("experts" if name in experts else "others")
        blocks.setdefault(kind, []).append(name)
    shown: list[str] = []
    means: dict[int, tuple[str, list[str]]] = {}
    for kind, most in (("others", 4), ("experts", 4), ("stacks", 3), ("channels", 6)):
        members = blocks.get(kind, [])
        if len(members) > most + 1:
            name = f"mean of {len(members)} {kind}"
            means[len(shown)] = (name, members)
            shown.append(name)
            busiest = sorted(members, key=lambda name: -busy[name])[:most]
            members = [name for name in members if name in busiest]
        shown += members
    return tuple(shown), means


def group(plan: Schedule, resource: str) -> int:
    """Return which block of rows a resource belongs to: 0 chiplets, 1 memory, 2 all else."""
    if not isinstance(plan, StepSchedule) or resource not in plan.package.index:
        return 2
    node = plan.package[resource]
    return 0 if isinstance(node, Chiplet) else 1 if isinstance(node, Memory) else 2


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
    """Name the rows, every second, third, ... of them where they are narrow."""
    size = small_type()
    room = axes_points(ax)[1] / max(len(rows), 1)
    step = max(1, int(np.ceil(1.05 * min(size, 6.0) / room)))
    ax.set_yticks(range(0, len(rows), step), rows[::step], fontsize=min(size, max(room / 1.05, 5.0)))
    ax.tick_params(axis="y", length=0)
