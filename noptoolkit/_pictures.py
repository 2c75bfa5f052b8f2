"""How a type that stands below the plots comes to its picture in a notebook.

Imports point down, so a package does not know who draws it: the top of the house names an artist, and
whoever is asked for a picture asks that one.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Artist", "name_artist", "picture_of"]

Artist = Callable[[object], str | None]
_artists: list[Artist] = []


def name_artist(artist: Artist) -> None:
    """Let ``artist`` draw what `picture_of` is asked for: as SVG, or ``None`` for what it cannot draw."""
    _artists[:] = [artist]


def picture_of(value: object) -> str | None:
    """Return a value's picture as SVG; ``None`` where no plot draws its type: notebooks then show the text.

    Examples
    --------
    >>> picture_of(1.0) is None
    True
    """
    return _artists[0](value) if _artists else None
