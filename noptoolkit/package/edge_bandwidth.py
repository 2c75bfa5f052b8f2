"""Where the edges of a graph have their bandwidth: one for all, an attribute with its unit, or a function.

Graphs of networkx and public files call bandwidth ``capacity``, ``weight`` or ``LinkSpeed``, in units of
their own. An attribute is mapped by its name and unit: ``("capacity", "Gbit/s")``, in text ``"capacity
Gbit/s"``. The Internet Topology Zoo has the number in one attribute and the prefix of bit/s in another:
``("LinkSpeed", "LinkSpeedUnits")``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError
from noptoolkit.package.elements import Link
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["BandwidthChoice", "EdgeBandwidth", "bandwidth_of_all", "edge_bandwidth"]

BandwidthFunction = Callable[[str, str, Mapping[str, Any]], Quantity | None]
BandwidthChoice = Quantity | tuple[str, str] | BandwidthFunction
"""A quantity, an attribute with its unit (or the attribute that holds the unit), or a function of an edge."""

UNIT = re.compile(r"([kKMGTPE]?)(i?)(bit/s|bps|b/s|B/s)")
PREFIX = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


@dataclass(frozen=True)
class EdgeBandwidth:
    """How the bandwidth of an edge is found.

    Parameters
    ----------
    of
        Function of tail, head and attributes to a bandwidth in B/s, or ``None`` where it has none; asked
        before the edge's own attribute ``bandwidth``.
    default
        Bandwidth in B/s of the edges without any, or ``None`` where each needs its own.
    attributes
        Names of the attributes that ``of`` may read.
    """

    of: BandwidthFunction | None = None
    default: float | None = None
    attributes: frozenset[str] = frozenset()


def edge_bandwidth(
    choice: BandwidthChoice | None, known: Iterable[str], *, default: float | None = None
) -> EdgeBandwidth:
    """Return how the bandwidth of edges is found.

    Parameters
    ----------
    choice
        Quantity for the edges that do not say; or a pair (attribute, unit), the unit text such as
        ``"Gbit/s"`` or the name of the attribute that holds it; the same pair as one text; or a function of
        (tail, head, attributes) that returns a quantity, or ``None`` where it has none.
    known
        Names of the attributes that edges have.
    default
        Bandwidth in B/s of the edges for which an attribute or a function gives none.

    Raises
    ------
    FormatError
        If it is none of these, or no edge has the attribute.

    Examples
    --------
    >>> rule = edge_bandwidth("LinkSpeed LinkSpeedUnits", ["LinkSpeed", "LinkSpeedUnits"])
    >>> rule.of("a", "b", {"LinkSpeed": "10", "LinkSpeedUnits": "G"})
    1250000000.0
    """
    if choice is None:
        return EdgeBandwidth(default=default)
    names = list(dict.fromkeys(known))
    if callable(choice):  # the caller has looked at the attributes
        fields = {field.name for field in dataclasses.fields(Link)}
        return EdgeBandwidth(choice, default, frozenset(names) - fields - {"channels", "links"})
    parts: tuple[str, ...] = ()
    if isinstance(choice, str):
        words = choice.split()
        if not words or words[0] not in names:
            return EdgeBandwidth(default=_quantity_or_attribute(choice, names))
        parts = tuple(words) if len(words) > 1 else (words[0], "")
    elif isinstance(choice, tuple):
        parts = choice
    if not parts:
        return EdgeBandwidth(default=bandwidth_of_all(choice))  # type: ignore[arg-type]
    if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise FormatError(f"bandwidth {choice!r}: give an attribute and its unit, such as ('speed', 'GB/s')")
    attribute, unit = parts
    if attribute not in names:
        raise FormatError(
            f"bandwidth {choice!r}: no edge has {attribute!r}; {did_you_mean(attribute, names)}"
        )
    if unit in names:
        return EdgeBandwidth(_Attribute(attribute, unit, True), default, frozenset((attribute, unit)))
    if unit:
        _scale(unit, str(choice))
    return EdgeBandwidth(_Attribute(attribute, unit, False), default, frozenset((attribute,)))


def bandwidth_of_all(given: Quantity) -> float:
    """Return the bandwidth of the edges that do not say theirs, in B/s.

    Raises
    ------
    FormatError
        If it is no quantity above 0.
    """
    found = parse_quantity(given, "B/s", "bandwidth")
    if found <= 0:
        raise FormatError(f"bandwidth {given!r}: give one above 0")
    return found


def _quantity_or_attribute(text: str, names: list[str]) -> float:
    try:
        return bandwidth_of_all(text)
    except FormatError as error:
        if text[:1].isdigit() or not names:
            raise
        raise FormatError(f"{error}; or name an attribute of edges: {did_you_mean(text, names)}") from None


@dataclass(frozen=True)
class _Attribute:
    """The bandwidth that an attribute holds, in a unit or in that of another attribute."""

    attribute: str
    unit: str
    elsewhere: bool

    def __call__(self, tail: str, head: str, given: Mapping[str, Any]) -> float | None:
        value = given.get(self.attribute)
        if value is None or value == "":
            return None
        place = f"edge {tail!r}-{head!r}: {self.attribute} = {str(value)[:40]!r}"
        unit = self.unit
        if self.elsewhere:
            unit = str(given.get(self.unit) or "")
            unit += "" if unit.endswith(("/s", "bps")) else "bit/s"  # Topology Zoo: 'G' alone
        elif not unit:
            return parse_quantity(value, "B/s", place)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise FormatError(f"{place} is not a number") from None
        return parse_quantity(number * _scale(unit, place), "B/s", place)


def _scale(unit: str, place: str) -> float:
    """Return how many B/s a unit is."""
    match = UNIT.fullmatch(unit.strip())
    if match is None:
        raise FormatError(f"{place}: unit {unit[:20]!r}; write one such as 'GB/s' or 'Gbit/s'")
    step = 1024.0 if match[2] else 1000.0
    return float(step ** PREFIX[match[1]]) / (1 if match[3] == "B/s" else 8)
