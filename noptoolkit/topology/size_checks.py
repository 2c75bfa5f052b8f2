"""Checks of sizes, with the nearest that a family has."""

from __future__ import annotations

from collections.abc import Callable

from noptoolkit.errors import TopologyError

__all__ = ["MOST_CHIPLETS", "MOST_LINKS", "check_count", "check_links", "nearest_sizes", "need"]

MOST_CHIPLETS = 65536
"""Builders refuse to draw more: a typo in a size must not exhaust memory."""

MOST_LINKS = 2**21
"""Likewise; a link takes about 0.2 kB."""


def need(family: str, what: str, value: int, least: int, most: int = MOST_CHIPLETS) -> None:
    """Raise unless a size is a whole number in its range.

    Examples
    --------
    >>> need("mesh", "rows", 0, 1)
    Traceback (most recent call last):
    noptoolkit.errors.TopologyError: mesh: rows 0 is not between 1 and 65536; nearest: 1
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TopologyError(f"{family}: {what} {value!r} is not a whole number")
    if not least <= value <= most:
        near = min(max(value, least), most)
        raise TopologyError(f"{family}: {what} {value} is not between {least} and {most}; nearest: {near}")


def check_count(family: str, count: int) -> None:
    """Raise if a package would have too many chiplets to draw."""
    if count > MOST_CHIPLETS:
        raise TopologyError(
            f"{family}: {count} chiplets are more than the {MOST_CHIPLETS} that builders draw; "
            "choose smaller sizes"
        )


def check_links(family: str, count: int) -> None:
    """Raise if a package would have too many links to hold.

    Examples
    --------
    >>> check_links("slim_noc", 8_894_340)
    Traceback (most recent call last):
    noptoolkit.errors.TopologyError: slim_noc: 8,894,340 links are more than the 2,097,152 that builders make;
    choose smaller sizes
    """
    if count > MOST_LINKS:
        raise TopologyError(
            f"{family}: {count:,} links are more than the {MOST_LINKS:,} that builders make; "
            "choose smaller sizes"
        )


def nearest_sizes(value: int, valid: Callable[[int], bool], count: int = 3, reach: int = 4096) -> str:
    """Return the valid sizes nearest to one that is not, as text.

    Examples
    --------
    >>> nearest_sizes(10, lambda n: n % 4 == 0)
    '4, 8, 12'
    """
    found: list[int] = []
    for distance in range(1, reach):
        found += [n for n in (value - distance, value + distance) if n > 0 and valid(n)]
        if len(found) >= count:
            break
    return ", ".join(map(str, sorted(found[:count]))) or "none"
