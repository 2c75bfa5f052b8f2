"""Digests: sha256 of content in one canonical form.

Two values have one digest if and only if (but for collisions of sha256) they hold the same content, however
they were made, on every machine, Python, numpy and byte order. The canonical form:

* a float is its shortest text of 12 significant digits, so that the last bits of a library's sine do not
  matter; a whole number of up to 12 digits is the same as a float and as an int (longer ints keep every
  digit); -0 is 0;
* text is UTF-8; a sequence is its elements in order; a mapping is its entries by ascending key;
* an array of whole numbers is its shape and its values as 64-bit big-endian integers, whatever its dtype;
* a dataclass is the name of its type and the fields that differ from their defaults: a field that a later
  version adds changes no digest until it is used.

Every item is preceded by a letter for its type and its length, so no two contents have one form.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["digest", "fields_of"]


def digest(kind: str, content: object) -> str:
    """Return the sha256 of a content as 64 hexadecimal digits.

    Parameters
    ----------
    kind
        What the content is of; contents of two kinds have two digests.
    content
        Text, numbers, booleans, ``None``, whole-number arrays, dataclasses, sequences and mappings of these.

    Examples
    --------
    >>> digest("demo", {"a": 1, "b": [2.5, None]})[:16]
    '85ea3e65d30ab199'
    >>> digest("demo", 128e9) == digest("demo", 128 * 10**9)
    True
    """
    found = hashlib.sha256()
    for piece in _pieces([kind, content]):
        found.update(piece)
    return found.hexdigest()


def fields_of(value: Any, *, without: Sequence[str] = ()) -> dict[str, object]:
    """Return the fields of a dataclass that differ from their defaults, by name."""
    return {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if field.name not in without and not _is_default(field, getattr(value, field.name))
    }


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default is not dataclasses.MISSING:
        default: object = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    else:
        return False
    return isinstance(value, bool) == isinstance(default, bool) and bool(value == default)


def _pieces(value: object) -> Iterator[bytes]:
    if value is None:
        yield b"n;"
    elif isinstance(value, bool | np.bool_):
        yield b"b1;" if value else b"b0;"
    elif isinstance(value, int | float | np.integer | np.floating):
        yield _framed(b"f", _number(value))
    elif isinstance(value, str):
        yield _framed(b"s", value.encode())
    elif isinstance(value, np.ndarray):
        yield from _array(value)
    elif isinstance(value, Mapping):
        yield b"m%d:" % len(value)
        for key in sorted(value):
            yield _framed(b"s", str(key).encode())
            yield from _pieces(value[key])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield _framed(b"d", type(value).__name__.encode())
        yield from _pieces(fields_of(value))
    elif isinstance(value, Sequence):
        yield b"l%d:" % len(value)
        for item in value:
            yield from _pieces(item)
    else:
        raise TypeError(f"no canonical form of {type(value).__name__}")


def _number(value: Any) -> bytes:
    text = f"{float(value) + 0.0:.12g}"
    if isinstance(value, int | np.integer) and int(float(text)) != int(value):
        return b"%d" % int(value)  # a seed of many digits
    return text.encode()


def _array(value: np.ndarray[Any, Any]) -> Iterator[bytes]:
    if value.dtype.kind not in "iub":
        raise TypeError(f"no canonical form of an array of {value.dtype}: give whole numbers")
    yield b"a%d:" % value.ndim
    for length in value.shape:
        yield b"%d," % length
    rows = value if value.ndim > 1 else value[None]
    for row in rows:  # a part at a time: a trace may take gigabytes as 64-bit numbers
        yield np.ascontiguousarray(row, dtype=">i8").tobytes()


def _framed(kind: bytes, content: bytes) -> bytes:
    return b"%b%d:%b" % (kind, len(content), content)
