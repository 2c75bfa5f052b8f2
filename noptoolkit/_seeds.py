"""Generators of random numbers from what a caller gave: a seed, a generator, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from noptoolkit.errors import NopError

__all__ = ["generator_from"]


def generator_from(given: int | np.random.Generator | None, what: str = "rng") -> np.random.Generator:
    """Return the generator of a seed, a generator itself, or an unpredictable one where there is none.

    Parameters
    ----------
    given
        What numpy's ``default_rng`` takes.
    what
        The argument's name, for the message.

    Raises
    ------
    NopError
        If numpy can make no generator of it.

    Examples
    --------
    >>> generator_from(0).integers(10), generator_from(0).integers(10)
    (np.int64(8), np.int64(8))
    >>> generator_from(-1)
    Traceback (most recent call last):
    noptoolkit.errors.NopError: rng -1 is not a seed: give a whole number ...
    """
    try:
        return np.random.default_rng(given)
    except (TypeError, ValueError):
        raise NopError(
            f"{what} {given!r} is not a seed: give a whole number from 0 up, a numpy Generator, or None"
        ) from None


@contextmanager
def callers_random_state() -> Iterator[None]:
    """Keep igraph, which draws from Python's global generator, from moving the caller's."""
    import random

    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
