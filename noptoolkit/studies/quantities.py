"""Numbers inside values: ``"128 GB/s"`` is 1.28e11 where points are compared, filtered and drawn."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from noptoolkit._numbers import is_number
from noptoolkit.errors import NopError
from noptoolkit.units import parse_quantity

__all__ = ["as_number", "base_unit", "is_rising", "split_quantity"]

UNITS = ("B/s", "B", "s", "m", "J/bit", "FLOP/s", "W", "J", "m2")
"""Base units of texts, the likely ones first."""

WRITTEN = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*)?")


def split_quantity(value: Any) -> tuple[float | None, str]:
    """Return the number and the unit as they are written; ``None`` for what begins with no number.

    Examples
    --------
    >>> split_quantity("64 GB/s"), split_quantity(3), split_quantity("mesh")
    ((64.0, 'GB/s'), (3.0, ''), (None, ''))
    """
    if is_number(value):
        return float(value), ""
    found = WRITTEN.fullmatch(value) if isinstance(value, str) else None
    return (float(found[1]), (found[2] or "").strip()) if found else (None, "")


def as_number(value: Any) -> float | None:
    """Return a value as a number in its base unit; ``None`` for text that is no quantity.

    Examples
    --------
    >>> as_number("128 GB/s"), as_number("10 mm"), as_number(True), as_number("mesh")
    (128000000000.0, 0.01, 1.0, None)
    """
    if isinstance(value, bool):
        return float(value)
    if is_number(value):
        return float(value)
    return _parsed(value)[0] if isinstance(value, str) else None


def base_unit(value: Any) -> str:
    """Return the base unit of a quantity; empty for pure numbers and other text.

    Examples
    --------
    >>> base_unit("128 GB/s"), base_unit("10 mm"), base_unit(3), base_unit("mesh")
    ('B/s', 'm', '', '')
    """
    return _parsed(value)[1] if isinstance(value, str) else ""


def is_rising(values: Sequence[Any]) -> bool:
    """Return whether all values are numbers or quantities, each larger than the one before.

    Examples
    --------
    >>> is_rising([2, 4]), is_rising(["64 GB/s", "0.1 TB/s"]), is_rising(["mesh", "ring"])
    (True, True, False)
    """
    numbers = [as_number(value) for value in values]
    known = [number for number in numbers if number is not None]
    return len(known) == len(numbers) and all(a < b for a, b in itertools.pairwise(known))


@lru_cache(maxsize=65536)
def _parsed(text: str) -> tuple[float | None, str]:
    number, unit = split_quantity(text)
    if number is None or not unit:
        return number, ""
    for base in UNITS:
        try:
            return parse_quantity(text, base), base
        except NopError:
            continue
    return None, ""
