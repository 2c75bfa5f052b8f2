"""Where a type that stands below the plots finds its picture; filled in by `noptoolkit.notebook`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["PICTURES", "picture_of"]

PICTURES: dict[type, Callable[[Any], str]] = {}
"""From a type to the function that draws one of its values as SVG."""


def picture_of(value: object) -> str | None:
    """Return a value's picture as SVG; ``None`` where nobody draws its type, which notebooks take as a no.

    Examples
    --------
    >>> picture_of(1.0) is None
    True
    """
    draw = PICTURES.get(type(value))
    return draw(value) if draw else None
