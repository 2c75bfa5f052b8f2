"""Detours: the last per cent of a flow's time, for a few shortest paths.

First-order iterates end with many resources a little over the time that is in reach, and many beside
them a little under. What passes an arc from u to v may as well take any other path from u to v, whatever
commodity it belongs to: so the excess of an overfull resource over a target time, taken from all
commodities alike, is led round over resources that have slack,

    length of an arc = sum over what it uses of 1 / (target x capacity - use)

along shortest paths, until it is gone or no path is left. Balance holds at every vertex by construction;
no arc both loses and gains, since a resource at its target takes no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.flow.bounds.program import FlowProgram

__all__ = ["DetourSearch", "Detours"]


MOVES_PER_ARC = 2  # that are tried at most, over all arcs
HOPS_PER_MOVE = 8  # on average at most
ATTEMPTS = 3  # at targets ever easier
NEAR = 1.5  # times the goal: a time from which detours may help


@dataclass(frozen=True, eq=False)
class Detours:
    """Shares of what some arcs carry, and where they go instead.

    Parameters
    ----------
    time
        Time of the flow after the moves.
    moved
        The arc that each move takes from, [moves].
    share
        Share of the arc's load before any move, [moves].
    path_first, path
        Arcs of move m are ``path[path_first[m]:path_first[m + 1]]``.
    """

    time: float
    moved: Ints
    share: Floats
    path_first: Ints
    path: Ints

    def take(self, flow: Floats) -> None:
        """Change a flow, [commodities, arcs], in place."""
        from noptoolkit.flow.optimal.compiled_detours import take_detours

        left = 1 - np.bincount(self.moved, self.share, flow.shape[1])
        take_detours(flow, self.moved, self.share, self.path_first, self.path, np.maximum(left, 0.0))


class DetourSearch:
    """Detours in one program."""

    def __init__(self, program: FlowProgram) -> None:
        self.program = program
        self.first = program.first_arc()
        by_arc, by_resource = program.on_arcs.T.tocsr(), program.on_arcs.tocsr()
        self.use = (*_rows(by_arc), by_arc.data)
        self.users = _rows(by_resource)

    def find(self, load: Floats, target: float) -> Detours:
        """Return detours from a load on the arcs towards a time; that it is reached is not certain."""
        from noptoolkit.flow.optimal.compiled_detours import find_detours

        program, arcs = self.program, len(load)
        after = load.copy()
        slack = target * program.capacity - (program.base + program.on_arcs @ load)
        moved, amount = np.zeros(MOVES_PER_ARC * arcs, np.int64), np.zeros(MOVES_PER_ARC * arcs)
        path_first = np.zeros(len(moved) + 1, np.int64)
        path = np.zeros(HOPS_PER_MOVE * len(moved), np.int64)
        graph = (self.first, program.tail, program.head)
        moves = find_detours(
            *graph, *self.use, *self.users, program.capacity, slack, after, moved, amount, path_first, path
        )
        moved, path_first = moved[:moves], path_first[: moves + 1]
        share = amount[:moves] / load[moved]
        return Detours(program.time(after), moved, share, path_first, path[: path_first[-1]].copy())

    def reach(self, load: Floats, goal: float) -> tuple[float, float]:
        """Return the least time found on the way to a goal, and the target whose detours take it.

        The target is infinite where no detours help, or none are needed.
        """
        best, of_best = self.program.time(load), np.inf
        if goal < best < NEAR * goal:
            target = goal
            for _ in range(ATTEMPTS):
                time = self.find(load, target).time
                if time < best:
                    best, of_best = time, target
                if time <= target * (1 + 1e-6):
                    break
                target = (target * best) ** 0.5
        return best, of_best


def _rows(matrix: Any) -> tuple[Ints, Ints]:
    """Return where the rows of a sparse matrix begin, and their columns, as 64-bit integers."""
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
