"""Resolve "a name or a callable" against a table, with a suggestion where the name is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from noptoolkit.errors import UnknownNameError

__all__ = ["did_you_mean", "resolve"]

T = TypeVar("T")

MOST_COMPARED = 200
"""Names that are compared letter by letter; of more, some that begin alike."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known names, or lists what there is.

    Examples
    --------
    >>> did_you_mean("mehs", ["mesh", "torus"])
    "did you mean 'mesh'?"
    >>> did_you_mean("zzz", ["mesh", "torus"])
    'known: mesh, torus'
    """
    names = [str(other) for other in known]
    spelt = {other.lower(): other for other in _likely(str(name), names)}
    near = difflib.get_close_matches(str(name).lower(), spelt, n=1, cutoff=0.6)
    if near:
        return f"did you mean {spelt[near[0]]!r}?"
    if not names:
        return "there are none here"
    shown = ", ".join(names[:12])
    return f"known: {shown}" + (", ..." if len(names) > 12 else "")


def _likely(name: str, names: list[str]) -> list[str]:
    """Return the names to compare letter by letter: all, or a few that begin as the given one does."""
    if len(names) <= MOST_COMPARED:
        return names
    for length in range(min(len(name), 60), -1, -1):
        alike = [other for other in names if other.startswith(name[:length])]
        if len(alike) >= MOST_COMPARED or (alike and length <= len(name) // 2):
            break
    return alike[:MOST_COMPARED]


def resolve(choice: str | T, table: Mapping[str, T], kind: str) -> T:
    """Return ``choice`` itself if it is not a string, else the table's entry of that name.

    Parameters
    ----------
    choice
        A name in ``table`` or the thing itself (usually a callable).
    table
        The family's one literal dict.
    kind
        What the family is, for the message: ``"allocator"``.

    Raises
    ------
    UnknownNameError
        If ``choice`` is a string that is not in the table.

    Examples
    --------
    >>> resolve("low", {"low": min, "high": max}, "end")
    <built-in function min>
    >>> resolve(max, {"low": min}, "end")
    <built-in function max>
    >>> resolve("lo", {"low": min}, "end")
    Traceback (most recent call last):
    noptoolkit.errors.UnknownNameError: no end named 'lo'; did you mean 'low'?
    """
    if not isinstance(choice, str):
        return choice
    if choice not in table:
        raise UnknownNameError(f"no {kind} named {choice!r}; {did_you_mean(choice, table)}")
    return table[choice]
