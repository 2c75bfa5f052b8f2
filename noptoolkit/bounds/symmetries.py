"""Symmetries of a class and a demand: turns and reflections of the plane that change neither."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from noptoolkit._arrays import Floats, Ints

__all__ = ["plane_symmetries"]

Move = Callable[[Floats], Floats]

MOVES: tuple[Move, ...] = (
    lambda p: p * [1, 1],
    lambda p: p * [-1, 1],
    lambda p: p * [1, -1],
    lambda p: p * [-1, -1],
    lambda p: p[:, ::-1] * [1, 1],
    lambda p: p[:, ::-1] * [-1, 1],
    lambda p: p[:, ::-1] * [1, -1],
    lambda p: p[:, ::-1] * [-1, -1],
)
"""The eight that keep Manhattan distances, about the middle."""

TURNS = (3, 5, 6)
"""Those of them that turn and do not reflect, by halves and quarters."""


def plane_symmetries(positions: Floats | None, ports: Ints, demand: Floats, *, turns: bool = False) -> Ints:
    """Return the permutations of places that keep positions, ports and demand, [symmetries, chiplets].

    The first is the identity. ``turns`` leaves out reflections.

    Examples
    --------
    >>> square = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=float)
    >>> len(plane_symmetries(square, np.full(4, 2), 1 - np.eye(4)))
    8
    >>> len(plane_symmetries(square, np.array([2, 2, 1, 1]), 1 - np.eye(4)))
    2
    >>> len(plane_symmetries(square, np.full(4, 2), 1 - np.eye(4), turns=True))
    4
    """
    identity = np.arange(len(ports))
    if positions is None:
        return identity[None]
    middle = positions - (positions.min(axis=0) + positions.max(axis=0)) / 2
    number = {place: i for i, place in enumerate(map(tuple, middle.round(6).tolist()))}
    found = [identity]
    for move in [MOVES[i] for i in TURNS] if turns else MOVES[1:]:
        moved = (move(middle).round(6) + 0.0).tolist()
        if any(tuple(place) not in number for place in moved):
            continue
        image = np.array([number[tuple(place)] for place in moved])
        same = (ports[image] == ports).all() and np.allclose(demand[np.ix_(image, image)], demand, rtol=1e-12)
        if len(np.unique(image)) == len(ports) and same:
            found.append(image)
    return np.array(found)
