"""Where the attention chiplet and the memory stacks go beside a floor plan that has no room for them within.

A group's stack stands at the right or the left edge of the plan, whichever is nearer to one of the group's
chiplets, in line with that chiplet, which is its port. Stacks that are taller than the rows of chiplets make
way for each other along the edge, as little as may be (least squares: isotonic regression), or stand in
several lanes where that keeps buses shorter. The attention chiplet is to the left, half-way up, with its own
stacks behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.topology.builder_options import Parts, Point

__all__ = ["Outlines", "attention_beside", "nearest_of", "stacks_beside"]


SAME = 1e-9
"""Distance in m that counts as none."""


@dataclass(frozen=True, eq=False)
class Outlines:
    """Rectangles on a plane.

    Parameters
    ----------
    centre, size
        Centres and sizes in m, [rectangles, 2].
    """

    centre: Floats
    size: Floats

    @classmethod
    def of(cls, boxes: Sequence[tuple[Point, Point]]) -> Outlines:
        """Return rectangles given one by one: centre, and width and height."""
        return cls(np.array([at for at, _ in boxes]), np.array([size for _, size in boxes]))

    def and_more(self, places: Sequence[Point], size: Point) -> Outlines:
        """Return these and some of one size."""
        if not places:
            return self
        more = np.broadcast_to(size, (len(places), 2))
        return Outlines(np.vstack([self.centre, places]), np.vstack([self.size, more]))

    def edge(self, side: float, y: float, height: float = 0.0) -> float:
        """Return how far the rectangles reach to the right (1) or, negated, to the left (-1) near a height.

        All count where none is near.
        """
        reach = side * self.centre[:, 0] + self.size[:, 0] / 2
        near = np.abs(self.centre[:, 1] - y) < (self.size[:, 1] + height) / 2 - SAME
        return float(reach[near].max() if near.any() else reach.max())


def nearest_of(names: Sequence[str], positions: Mapping[str, Point], place: Point) -> str:
    """Return which of some nodes is nearest to a place, the last of equals.

    Examples
    --------
    >>> nearest_of(["a", "b"], {"a": (0.0, 1.0), "b": (0.0, -1.0)}, (1.0, 0.0))
    'b'
    """

    def distance(name: str) -> float:
        x, y = positions[name]
        return round(abs(x - place[0]) + abs(y - place[1]), 9)

    return min(reversed(names), key=distance)


def stacks_beside(
    positions: Mapping[str, Point], groups: Sequence[Sequence[str]], outlines: Outlines, parts: Parts
) -> tuple[list[Point], list[str]]:
    """Return the place of each group's memory stack and the chiplet it is linked to.

    Examples
    --------
    >>> row = {"e0": (0.0, 0.0), "e1": (0.011, 0.0)}
    >>> outlines = Outlines.of([(at, (0.01, 0.01)) for at in row.values()])
    >>> stacks_beside(row, [["e0"], ["e1"]], outlines, Parts())
    ([(-0.00989..., 0.0), (0.0209, 0.0)], ['e0', 'e1'])
    """
    ports: dict[float, list[int]] = {1.0: [], -1.0: []}
    reach = {y: {side: outlines.edge(side, y) for side in ports} for y in {y for _, y in positions.values()}}
    chosen: list[str] = []
    for i, group in enumerate(groups):
        depth = {
            side: {name: reach[y][side] - side * x for name, (x, y) in ((n, positions[n]) for n in group)}
            for side in ports
        }
        side = min(ports, key=lambda side: round(min(depth[side].values()), 9))
        least = min(depth[side].values()) + SAME
        ends = [name for name in group if depth[side][name] <= least]
        middle = float(np.mean([positions[name][1] for name in ends]))
        ports[side].append(i)
        chosen.append(nearest_of(ends, positions, (positions[ends[-1]][0], middle)))
    places: dict[int, Point] = {}
    for side, members in ports.items():
        members.sort(key=lambda i: (-positions[chosen[i]][1], -side * positions[chosen[i]][0]))
        wanted = np.array([positions[chosen[i]][1] for i in members])
        found = _in_lanes(wanted, side, outlines, parts) if members else []
        places |= dict(zip(members, found, strict=True))
    return [places[i] for i in range(len(groups))], chosen


def attention_beside(outlines: Outlines, parts: Parts) -> tuple[Point, list[Point]]:
    """Return the place of the attention chiplet and those of its memory stacks."""
    lower, upper = outlines.centre - outlines.size / 2, outlines.centre + outlines.size / 2
    middle = float(lower[:, 1].min() + upper[:, 1].max()) / 2
    (width, height), (deep, tall) = parts.attention_die, parts.stack
    attention = -outlines.edge(-1.0, middle, height + parts.spacing) - parts.spacing - width / 2, middle
    around = outlines.and_more([attention], parts.attention_die)
    step = tall + parts.spacing
    column = parts.attention_memories * step
    x = -around.edge(-1.0, middle, column) - parts.spacing - deep / 2
    count = parts.attention_memories
    return attention, [(x, middle + ((count - 1) / 2 - i) * step) for i in range(count)]


def _in_lanes(wanted: Floats, side: float, outlines: Outlines, parts: Parts) -> list[Point]:
    """Return places beside an edge for stacks at wanted heights, from above, in the best number of lanes."""
    wide, tall = parts.stack[0] + parts.spacing, parts.stack[1] + parts.spacing
    best, lanes = _spread(wanted, tall), 1
    for more in range(2, len(wanted) + 1):
        detour = np.abs(best - wanted).max() + (lanes - 1) * wide
        if detour <= (more - 1) * wide + SAME:
            break
        heights = np.empty_like(wanted)
        for lane in range(more):
            heights[lane::more] = _spread(wanted[lane::more], tall)
        if np.abs(heights - wanted).max() + (more - 1) * wide < detour:
            best, lanes = heights, more
    places: list[Point] = []
    for lane in range(lanes):
        room = outlines.and_more(places, parts.stack)
        places += [
            (side * (room.edge(side, y, tall) + wide - parts.stack[0] / 2), y)
            for y in best[lane::lanes].tolist()
        ]
    order = np.argsort(np.concatenate([np.arange(len(wanted))[lane::lanes] for lane in range(lanes)]))
    return [places[i] for i in order.tolist()]


def _spread(wanted: Floats, step: float) -> Floats:
    """Return heights at least a step apart, from above, with the least squares of their differences."""
    from scipy.optimize import isotonic_regression

    down = step * np.arange(len(wanted))
    return np.asarray(isotonic_regression(wanted + down, increasing=False).x - down, dtype=float)
