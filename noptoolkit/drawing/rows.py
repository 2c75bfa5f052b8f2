"""The rows of a schedule: which resources, in what order, and which stand for groups."""

from __future__ import annotations

from noptoolkit._names import did_you_mean
from noptoolkit.errors import UnknownNameError
from noptoolkit.package import Chiplet, Memory
from noptoolkit.scheduling import Schedule
from noptoolkit.step import StepSchedule

__all__ = ["digest_of", "group", "rows_of"]

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
