"""Sets of parts that are lost: all of them, or different ones drawn with equal chance."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np

from noptoolkit._names import did_you_mean
from noptoolkit.errors import NopError, RoutingError, UnknownNameError
from noptoolkit.package import Package

__all__ = ["KINDS", "draw_sets", "interval_of_share", "pool_of"]

KINDS = ("links", "chiplets", "switches", "memories")


def pool_of(package: Package, of: str) -> tuple[str, ...]:
    """Return the names of the parts of a kind; of each link, those of its first channel.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    if of == "links":
        first: dict[int, str] = {}
        for channel in package.channels:
            first.setdefault(channel.link, channel.name)
        return tuple(first.values())
    if of not in KINDS:
        raise UnknownNameError(
            f"nothing to lose called {of!r}; known: {', '.join(KINDS)}; {did_you_mean(of, KINDS)}"
        )
    kinds = {
        "chiplets": package.terminals,
        "switches": tuple(node.name for node in package.switches),
        "memories": tuple(node.name for node in package.memories),
    }
    return kinds[of]


def draw_sets(
    package: Package, of: str, failures: int, trials: int | None, generator: np.random.Generator
) -> list[tuple[str, ...]]:
    """Return all sets of ``failures`` parts, or ``trials`` different ones, each as likely as any other.

    Raises
    ------
    RoutingError
        If fewer parts are there than are to fail, or a number is out of range.
    """
    pool = pool_of(package, of)
    for name, number in (("failures", failures), ("trials", trials)):
        if number is not None and (not isinstance(number, int | np.integer) or number < 1):
            raise RoutingError(f"{name}={number!r} must be a whole number from 1 up")
    if failures > len(pool):
        raise RoutingError(f"package {package.name!r} has {len(pool)} {of}: {failures} cannot fail")
    if trials is None or trials >= comb(len(pool), failures):
        return list(combinations(pool, failures))
    drawn: dict[frozenset[str], tuple[str, ...]] = {}
    while len(drawn) < trials:  # no set twice
        names = tuple(str(name) for name in generator.choice(pool, failures, replace=False))
        drawn.setdefault(frozenset(names), names)
    return list(drawn.values())


def interval_of_share(hits: float, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927).

    Examples
    --------
    >>> [round(x, 3) for x in interval_of_share(0, 20)], [round(x, 3) for x in interval_of_share(10, 20)]
    ([0.0, 0.161], [0.299, 0.701])
    """
    if trials < 1:
        raise NopError("a share of no trials has no interval")
    share = hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))
