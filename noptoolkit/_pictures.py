"""Where a type that stands below the plots finds its picture.

Imports point down; a notebook's question for a picture is the one thing that goes up, by name and only when
it is asked.
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["picture_of"]


def picture_of(value: object) -> str | None:
    """Return a value's picture as SVG; ``None`` where nobody draws its type, which notebooks take as a no.

    Examples
    --------
    >>> picture_of(1.0) is None
    True
    """
    draw = import_module("noptoolkit.notebook").PICTURES.get(type(value))
    return str(draw(value)) if draw else None
