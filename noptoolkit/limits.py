"""What a file may ask for before any work is done: one table of limits, for every reader.

A file is anybody's, and a small one can ask for much: numbers of thousands of digits, archives that unpack to
gigabytes, a map whose one entry makes an array of a billion. Every reader checks what it is asked for against
`Limits` first, and raises a `FormatError` that names the limit. To raise one, for files that are trusted:

* ``NOPTOOLKIT_LIMITS="text_bytes=50e6, values=1e8"`` in the environment, for commands and programs;
* ``with limits.raised(text_bytes=50e6): ...`` in a program.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._shown import shown
from noptoolkit.errors import FormatError

__all__ = ["Limits", "array_of", "check_values", "current", "raised", "usual", "within"]

VARIABLE = "NOPTOOLKIT_LIMITS"


@dataclass(frozen=True)
class Limits:
    """The limits of readers; each is a count.

    Parameters
    ----------
    text_bytes
        Bytes of a file of text: topologies, workloads, plans, studies, layouts. 65,536 chiplets fit.
    table_bytes
        Bytes of a trace or a server's dump as text: 4 million tokens, top-8, fit.
    archive_bytes
        Bytes that the members of an archive (``.npz``, ``.pt``) unpack to, and of an ``.npy`` file: 60 layers
        of 4 million tokens, top-8, fit.
    archive_ratio
        Bytes that an archive of more than 64 MB unpacks to, for each byte that it has on disk.
    members
        Members of an archive.
    pickle_bytes
        Bytes of the pickle in a PyTorch archive: tensors are not in it.
    digits
        Digits of a whole number: 308 is what a float holds.
    letters
        Letters of one text.
    quantity_letters
        Letters of a quantity, such as ``"256 GB/s"``.
    depth
        Tables and lists within each other.
    columns
        Columns of a table.
    nodes, edges
        Nodes and edges of a graph.
    values
        Values that a reader lays out beyond those that stand in the file: layers x experts of a map, layers x
        tokens x experts per token that are drawn from loads.
    draws
        Layers x tokens x experts among which they are drawn.
    tokens
        Tokens of a step that are counted one by one.
    """

    text_bytes: int = 10_000_000
    table_bytes: int = 100_000_000
    archive_bytes: int = 2_000_000_000
    archive_ratio: int = 200
    members: int = 10_000
    pickle_bytes: int = 64_000_000
    digits: int = 308
    letters: int = 1_000_000
    quantity_letters: int = 100
    depth: int = 100
    columns: int = 10_000
    nodes: int = 500_000
    edges: int = 500_000
    values: int = 50_000_000
    draws: int = 200_000_000
    tokens: int = 20_000_000


_RAISED: ContextVar[Limits | None] = ContextVar("limits", default=None)


def current() -> Limits:
    """Return the limits that hold here: those of `raised`, of the environment, or the usual ones."""
    chosen = _RAISED.get()
    return _from_text(os.environ.get(VARIABLE, "")) if chosen is None else chosen


@contextmanager
def raised(**changes: float) -> Iterator[Limits]:
    """Hold other limits for a while, in this thread or task.

    Raises
    ------
    FormatError
        If there is no such limit, or it is no whole number above 0.

    Examples
    --------
    >>> with raised(text_bytes=5e7) as limits:
    ...     limits.text_bytes, current().text_bytes
    (50000000, 50000000)
    """
    token = _RAISED.set(dataclasses.replace(current(), **_checked(changes, "limits")))
    try:
        yield current()
    finally:
        _RAISED.reset(token)


@contextmanager
def usual() -> Iterator[None]:
    """Hold the usual limits for a while, in this thread or task, whatever the environment says."""
    token = _RAISED.set(Limits())
    try:
        yield
    finally:
        _RAISED.reset(token)


def within(limit: str, amount: float, place: str, what: str) -> None:
    """Raise where a file asks for more than a limit allows.

    Parameters
    ----------
    limit
        Name of a field of `Limits`.
    amount
        What the file asks for.
    place
        Name of the file.
    what
        What it is an amount of, with the verb: ``"unpacks to bytes"``.

    Raises
    ------
    FormatError
        It names the limit and how to raise it.

    Examples
    --------
    >>> within("columns", 20_000, "a.csv", "columns")
    Traceback (most recent call last):
    noptoolkit.errors.FormatError: a.csv: 20,000 columns, more than 10,000; is it the right file? If so, \
set NOPTOOLKIT_LIMITS=columns=20000
    """
    most = getattr(current(), limit)
    if amount <= most:
        return
    if amount < 1e15:
        asked, needed = f"{math.ceil(amount):,}", str(math.ceil(amount))
    else:
        asked, needed = "more than 10^15", "..."
    raise FormatError(
        f"{place}: {asked} {what}, more than {most:,}; is it the right file? "
        f"If so, set {VARIABLE}={limit}={needed}"
    )


def check_values(value: Any, place: str, *, finite: bool = True) -> Any:
    """Return a value that a parser made of a file's text, if none of its parts goes beyond a limit.

    Parameters
    ----------
    value
        Tables, lists, texts and numbers within each other.
    place
        Name of the file.
    finite
        Whether numbers must be finite: JSON knows no others, but Python reads 1e999 as infinity.

    Raises
    ------
    FormatError
        If a whole number has too many digits, a text too many letters, tables are nested too deeply, or a
        number is not finite.
    """
    limits = current()
    largest = _largest(limits.digits)
    layer = [value]
    depth = 0
    while layer:
        within("depth", depth, place, "tables and lists within each other")
        depth += 1
        below: list[Any] = []
        for one in layer:
            kind = type(one)
            if kind is str:
                if len(one) > limits.letters:
                    within("letters", len(one), place, f"letters in the text {shown(one[:20])}...")
            elif kind is int:
                if not -largest < one < largest:
                    within("digits", _digits(one), place, "digits in a whole number")
            elif kind is float:
                if finite and not math.isfinite(one):
                    raise FormatError(f"{place}: a number that is not finite ({one}); is it the right file?")
            elif kind is list or kind is tuple:
                below.extend(one)
            elif isinstance(one, Mapping):
                below.extend(one)
                below.extend(one.values())
        layer = below
    return value


def array_of(value: Any, place: str, what: str) -> NDArray[Any]:
    """Return lists of numbers as an array, or lists of texts.

    A list of both is refused: one long text among numbers makes NumPy's every entry as long.

    Parameters
    ----------
    value
        Numbers or texts, lists of equally many of them, or an array.
    place, what
        Name of the file, and of the value in it.

    Raises
    ------
    FormatError
        If rows are not equally long, texts stand among numbers, or texts are too long for an array.
    """
    if not isinstance(value, np.ndarray):
        kinds = _kinds(value, place, what)
        if str in kinds and len(kinds) > 1:
            raise FormatError(f"{place}: {what}: texts among numbers; give one or the other")
        if kinds == {str}:
            lengths = [len(text) for text in _flat(value)]
            within(
                "values",
                max(lengths) * len(lengths),
                place,
                f"letters of {what}, each as long as the longest",
            )
    try:
        return np.asarray(value)
    except (ValueError, OverflowError):
        raise FormatError(f"{place}: {what} is ragged: give as many values in every row") from None


def _kinds(value: Any, place: str, what: str) -> set[type]:
    kinds: set[type] = set()
    layer, depth = [value], 0
    while layer:
        if depth > 32:
            raise FormatError(f"{place}: {what} is nested too deeply")
        depth += 1
        found = set(map(type, layer))
        kinds |= found - {list, tuple}
        if not found & {list, tuple}:
            break
        layer = [entry for one in layer if isinstance(one, list | tuple) for entry in one]
    return kinds


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    else:
        yield value


def _digits(value: int) -> int:
    return int(value.bit_length() * 0.30102999566398120) + 1


@lru_cache(maxsize=8)
def _largest(digits: int) -> int:
    return int(10 ** min(digits, 100_000))


@lru_cache(maxsize=8)
def _from_text(text: str) -> Limits:
    """Return the limits that the environment's text describes."""
    given: dict[str, Any] = {}
    for part in filter(str.strip, text.split(",")):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            given[name] = float(number.replace("_", ""))
        except ValueError:
            raise FormatError(f"{VARIABLE}: {shown(part)} is not NAME=NUMBER") from None
    return Limits(**_checked(given, VARIABLE))


def _checked(given: Mapping[str, float], place: str) -> dict[str, int]:
    names = [field.name for field in dataclasses.fields(Limits)]
    for name, value in given.items():
        if name not in names:
            raise FormatError(f"{place}: no limit named {shown(name)}; known: {', '.join(names)}")
        if not (1 <= value < math.inf):
            raise FormatError(f"{place}: {name} = {value}: give a whole number above 0")
    return {name: int(value) for name, value in given.items()}
