"""What counts as a number: fields and arguments of the wrong type are named, not computed on."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

__all__ = ["is_number", "is_whole", "type_faults"]

WORDS = {"int": "a whole number", "float": "a finite number", "bool": "True or False", "str": "text"}
"""Annotations that are checked, and what they ask for."""


def is_number(value: object) -> bool:
    """Return whether a value is a real, finite number; True and False are not.

    Examples
    --------
    >>> is_number(0.5), is_number(2), is_number(math.nan), is_number(True), is_number("2")
    (True, True, False, False, False)
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and math.isfinite(value)  # type: ignore[arg-type]


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number; True, False and 2.0 are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def type_faults(instance: Any) -> list[str]:
    """Return a line for each field of a dataclass that is not of its annotated type.

    Fields of int, float, bool and str, and those or ``None``, are checked.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Pair:
    ...     count: int
    ...     share: float | None = None
    >>> type_faults(Pair(1.5, math.nan))
    ['count 1.5 must be a whole number', 'share nan must be a finite number']
    """
    faults = []
    for field in dataclasses.fields(instance):
        kind, _, rest = getattr(field.type, "__name__", str(field.type)).partition(" | ")
        value = getattr(instance, field.name)
        if kind in WORDS and not (value is None and rest == "None") and not _is(kind, value):
            faults.append(f"{field.name} {value!r} must be {WORDS[kind]}")
    return faults


def _is(kind: str, value: object) -> bool:
    if kind == "int":
        return is_whole(value)
    if kind == "float":
        return is_number(value)
    return isinstance(value, bool | np.bool_) if kind == "bool" else isinstance(value, str)
