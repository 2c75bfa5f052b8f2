"""How a type that stands below the plots comes to its picture in a notebook, and to its page.

Imports point down, so a package does not know who draws it: the top of the house names an artist, and
whoever is asked for a picture asks that one. Pages (`noptoolkit.report`) go the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["Artist", "Reported", "Reporter", "name_artist", "name_reporter", "picture_of"]

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


Reporter = Callable[[object, str | Path], None]
_reporters: list[Reporter] = []


def name_reporter(reporter: Reporter) -> None:
    """Let ``reporter`` write the pages that `Reported.to_html` is asked for."""
    _reporters[:] = [reporter]


class Reported:
    """A result that writes itself as a page."""

    def to_html(self, path: str | Path) -> None:
        """Write the result as one HTML page that needs no network (needs the extra ``report``).

        Parameters
        ----------
        path
            File to write.

        Raises
        ------
        NopError
            If the extra is not installed, or the place cannot be written to.
        """
        _reporters[0](self, path)
