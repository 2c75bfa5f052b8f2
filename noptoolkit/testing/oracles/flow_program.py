"""The fastest way to carry bytes between pairs: the textbook program of a flow for each source, by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noptoolkit.package import Memory, Package
from noptoolkit.testing.oracles.resources import Resources

__all__ = ["least_flow_time"]

Demand = tuple[str, str, float]


def least_flow_time(package: Package, demands: Sequence[Demand]) -> float:
    """Return the least time in which demands can be carried, in s.

    Parameters
    ----------
    demands
        Source, destination and bytes of each. Nothing passes through a memory stack.

    Raises
    ------
    ArithmeticError
        If HiGHS finds no optimum.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    resources, channels = Resources(package), package.channels
    memories = {node.name for node in package.nodes if isinstance(node, Memory)}
    sources = sorted({source for source, _, _ in demands})
    nodes = [node.name for node in package.nodes]
    scale = float(np.median(resources.capacity))  # HiGHS likes numbers near 1
    amount = max((size for _, _, size in demands), default=0.0)
    if amount == 0:
        return 0.0
    time, flows = len(sources) * len(channels), len(sources) * len(channels)
    entries: list[tuple[int, int, float]] = []
    owed: list[float] = []
    for k, source in enumerate(sources):
        for node in nodes:
            if node == source:
                continue
            row = len(owed)
            for a, channel in enumerate(channels):
                barred = channel.tail in memories and channel.tail != source
                if barred or channel.head == source:
                    continue
                if channel.head == node:
                    entries.append((row, k * len(channels) + a, 1.0))
                elif channel.tail == node:
                    entries.append((row, k * len(channels) + a, -1.0))
            owed.append(sum(size for s, t, size in demands if s == source and t == node) / amount)
    carried = _matrix(coo_array, entries, (len(owed), flows + 1))
    base = np.zeros(len(resources.capacity))
    for s, t, size in demands:
        for there, name in ((resources.sends, s), (resources.receives, t)):
            if name in there:
                base[there[name]] += size / amount
    goal = np.zeros(flows + 1)
    goal[time] = 1.0
    capacity, unit = resources.capacity / scale, 1.0
    for _ in range(20):  # in units of the time found before, until the rows are near 1
        entries = [(r, time, -1.0) for r in range(len(capacity))]
        for a, use in enumerate(resources.uses):
            entries += [
                (r, k * len(channels) + a, 1 / capacity[r] / unit) for k in range(len(sources)) for r in use
            ]
        room = _matrix(coo_array, entries, (len(capacity), flows + 1))
        limit = -base / capacity / unit
        answer = linprog(goal, A_ub=room, b_ub=limit, A_eq=carried, b_eq=owed, method="highs")
        if answer.status != 0:
            raise ArithmeticError(f"HiGHS: {answer.message}")
        found = float(answer.fun)
        unit *= min(max(found, 1e-4), 1e4)
        if 0.5 < found < 2:
            return unit * amount / scale
    raise ArithmeticError("the scales of the program do not settle")


def _matrix(kind: object, entries: list[tuple[int, int, float]], shape: tuple[int, int]) -> object:
    rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
    return kind((values, (rows, columns)), shape=shape).tocsr()  # type: ignore[operator]
