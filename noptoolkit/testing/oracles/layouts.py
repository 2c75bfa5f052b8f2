"""Layouts of a few experts, all of them, counted in plain Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

__all__ = ["copies_of", "every_layout", "fewest_copies"]


def every_layout(experts: int, chiplets: int) -> Iterator[tuple[int, ...]]:
    """Yield the chiplet of each expert, for every layout with equally many on each, up to chiplets' names."""

    def extend(left: tuple[int, ...], chiplet: int, places: dict[int, int]) -> Iterator[tuple[int, ...]]:
        if not left:
            yield tuple(places[e] for e in range(experts))
            return
        for others in combinations(left[1:], experts // chiplets - 1):
            block = (left[0], *others)
            rest = tuple(e for e in left if e not in block)
            yield from extend(rest, chiplet + 1, places | dict.fromkeys(block, chiplet))

    yield from extend(tuple(range(experts)), 0, {})


def copies_of(tokens: Sequence[Sequence[int]], places: Sequence[int]) -> float:
    """Return the mean number of chiplets that a token is sent to."""
    return sum(len({places[e] for e in token}) for token in tokens) / len(tokens)


def fewest_copies(tokens: Sequence[Sequence[int]], experts: int, chiplets: int) -> float:
    """Return the least mean number of chiplets that a token is sent to, over every layout."""
    return min(copies_of(tokens, places) for places in every_layout(experts, chiplets))
