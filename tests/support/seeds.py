"""How many random cases every run takes: a few, and all of them in `make long`."""

import os

import pytest

LONG = True
"""Whether cases with the marker `long` are wanted; thousands that are not would be collected for nothing."""


def seeds(few: int, many: int) -> list[object]:
    """Return the first few of many seeds as they are, the others, if wanted, with the marker `long`."""
    many = many if LONG else few
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(few, many))]


def examples(many: int) -> int:
    """Return how many examples hypothesis draws: all of them where they are new each time, else a third."""
    return many if os.environ.get("HYPOTHESIS_PROFILE") == "random" else max(many // 3, 8)
