"""Comparisons of one parameter or metric with a value, such as ``step < 10 ms``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, UnknownNameError
from noptoolkit.studies.quantities import as_number, base_unit

__all__ = ["Filter", "filter_of"]

WRITTEN = re.compile(r"\s*([\w.*<>+-]+?)\s*(<=|>=|==|!=|=|<|>)\s*(.+?)\s*")
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Filter:
    """One comparison.

    Parameters
    ----------
    text
        As it is written.
    name, sign
        Parameter or metric, and one of ``< <= > >= = !=``.
    value
        A number in its base unit, or text.
    """

    text: str
    name: str
    sign: str
    value: float | str

    def holds(self, value: Any) -> bool:
        """Return whether a value meets it; a value of another kind, or none, does not."""
        if isinstance(self.value, float):
            number = as_number(value)
            return number is not None and SIGNS[self.sign](number, self.value)
        return isinstance(value, str) and SIGNS[self.sign](value, self.value)

    def excess(self, value: Any) -> float | None:
        """Return by how much a number misses a limit: 0 or less where it is met, ``None`` without a number.

        Examples
        --------
        >>> units = {"step": "s", "links": ""}
        >>> filter_of("step <= 10 ms", units).excess(0.012), filter_of("links >= 4", units).excess(6)
        (0.002, -2.0)
        """
        number = as_number(value)
        if number is None or number != number or not isinstance(self.value, float):
            return None
        if self.sign in ("<", "<="):
            return number - self.value
        return self.value - number if self.sign in (">", ">=") else abs(number - self.value)


def filter_of(text: str, units: Mapping[str, str], where: str = "in the study") -> Filter:
    """Return the comparison that a text is.

    Parameters
    ----------
    text
        Such as ``"params.link_bandwidth >= 128 GB/s"``.
    units
        Base unit of each metric; empty for pure numbers, text, and parameters, whose values bring their own.
    where
        Where they are, for the message.

    Raises
    ------
    FormatError
        If it is none, or its value is of another unit than the metric.
    UnknownNameError
        If the name is not known, with the nearest one.
    """
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise FormatError(f"filter {text!r} cannot be read; write it like 'step < 10 ms'")
    name, sign, value = found[1], {"==": "="}.get(found[2], found[2]), found[3].strip("'\"")
    if name not in units:
        raise UnknownNameError(f"no parameter or metric {name!r} {where}; {did_you_mean(name, units)}")
    number = as_number({"true": True, "false": False}.get(value, value))
    unit = units[name]
    if unit and (number is None or base_unit(value) not in ("", unit)):
        raise FormatError(f"filter {text!r}: {name} is in {unit}, which {value!r} is not")
    return Filter(text, name, sign, value if number is None or name == "status" else number)
