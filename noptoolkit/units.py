"""SI floats inside, engineers' units at the edges.

Every quantity inside noptoolkit is a plain float in the base unit of its kind: B, B/s, s, m, J, W,
FLOP/s, Hz, J/bit. Public arguments and files also take text such as ``"256 GB/s"``; QuantiPhy reads
and writes it. Decimal prefixes are powers of 1000 (``G`` = 1e9), binary ones of 1024 (``Gi`` = 2**30).
Links, network cards and memory dies are sold in bits: ``"200 Gb/s"``, ``"200 Gbps"`` and ``"200 Gbit/s"`` are
25 GB/s, and ``"16 Gb"`` is 2 GB. A small b is a bit and a capital B a byte.

The unit of a dataclass field stands once, in its metadata (`measured`), and feeds conversion,
axis labels and CSV headers.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from noptoolkit._shown import shown
from noptoolkit.errors import FormatError
from noptoolkit.limits import current

__all__ = [
    "Gibi",
    "Giga",
    "Kibi",
    "Kilo",
    "Measured",
    "MeasuredOrNone",
    "MeasuredPair",
    "Mebi",
    "Mega",
    "Quantity",
    "Tera",
    "convert_fields",
    "format_quantity",
    "is_in_range",
    "measured",
    "measured_pair",
    "parse_quantity",
    "unit_of",
]

Kilo, Mega, Giga, Tera = 1e3, 1e6, 1e9, 1e12
Kibi, Mebi, Gibi = 2.0**10, 2.0**20, 2.0**30

Quantity = float | str
"""What public arguments take: a float in the base unit, or text with a unit."""

SMALLEST, LARGEST = 1e-60, 1e60
"""Range of a quantity that is not 0, in its base unit: products of five are finite, and none becomes 0."""

if TYPE_CHECKING:
    # A field takes a float or text and holds a float: only a descriptor can say so to a type checker.
    class Measured:
        """A field that takes a quantity and holds a float."""

        def __get__(self, instance: object, owner: type | None = None) -> float: ...
        def __set__(self, instance: object, value: Quantity) -> None: ...

    class MeasuredOrNone:
        """A field that takes a quantity or None and holds a float or None."""

        def __get__(self, instance: object, owner: type | None = None) -> float | None: ...
        def __set__(self, instance: object, value: Quantity | None) -> None: ...

    class MeasuredPair:
        """A field that takes two quantities or None and holds two floats or None."""

        def __get__(self, instance: object, owner: type | None = None) -> tuple[float, float] | None: ...
        def __set__(self, instance: object, value: tuple[Quantity, Quantity] | None) -> None: ...
else:
    Measured = float
    MeasuredOrNone = float | None
    MeasuredPair = tuple[float, float] | None

_EXAMPLES = {
    "B": "8 GiB",
    "B/s": "256 GB/s",
    "s": "10 ns",
    "m": "12 mm",
    "m2": "1e-4 m2",
    "J": "3 mJ",
    "W": "20 W",
    "FLOP/s": "74 TFLOP/s",
    "Hz": "1 GHz",
    "J/bit": "0.5 pJ/bit",
}


_BITS = ("b", "bit", "bits")
_BYTES = ("byte", "bytes", "Byte", "Bytes")
_SAME: dict[str, dict[str, float]] = {
    "B": dict.fromkeys(_BITS, 0.125) | dict.fromkeys(_BYTES, 1.0),
    "B/s": {
        **{f"{name}{per}": 0.125 for name in _BITS for per in ("/s", "/sec")},
        **{f"{name}{per}": 1.0 for name in ("B", *_BYTES) for per in ("/s", "/sec")},
        "bps": 0.125,
        "Bps": 1.0,
    },
    "J/bit": {"J/b": 1.0, "J/B": 0.125, "J/byte": 0.125},
}
"""Other units of a kind, and how many base units each is."""


def parse_quantity(value: Quantity, unit: str, what: str = "value") -> float:
    """Return a quantity as a float in its base unit.

    Parameters
    ----------
    value
        A number in the base unit, or text such as ``"256 GB/s"``.
    unit
        The base unit that is expected.
    what
        What the quantity is, for the message.

    Raises
    ------
    FormatError
        If the text is no number, has no unit or another unit, is NaN or infinite, or if its amount is not 0
        and beyond `SMALLEST` or `LARGEST`.

    Examples
    --------
    >>> parse_quantity("256 GB/s", "B/s")
    256000000000.0
    >>> parse_quantity("200 Gb/s", "B/s")
    25000000000.0
    >>> parse_quantity("8 GiB", "B")
    8589934592.0
    >>> parse_quantity("200 Gb/s", "B/s")  # bits: Gbps and Gbit/s too
    25000000000.0
    >>> parse_quantity("256 GB", "B/s", "bandwidth")
    Traceback (most recent call last):
    noptoolkit.errors.FormatError: bandwidth '256 GB' is in B, not in B/s; write it like '256 GB/s'
    """
    way_out = f"write it like {_EXAMPLES.get(unit, '1 ' + unit)!r}"
    if isinstance(value, bool) or (not hasattr(value, "__float__") and not isinstance(value, str)):
        raise FormatError(f"{what} {shown(value)} is not a quantity; {way_out}")
    try:
        number = _parse_text(value, unit, what, way_out) if isinstance(value, str) else float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise FormatError(f"{what} {shown(value)} is not finite; {way_out}")
    if not is_in_range(number):
        size = "small" if abs(number) < SMALLEST else "large"
        allowed = f"give 0, or between {SMALLEST:g} and {LARGEST:g} {unit}"
        raise FormatError(f"{what} {shown(value)} is too {size} to compute with: {allowed}")
    return number


def is_in_range(number: float) -> bool:
    """Return whether a number is 0, or between `SMALLEST` and `LARGEST` on either side of it.

    Examples
    --------
    >>> is_in_range(0.0), is_in_range(-1e-12), is_in_range(1e-320), is_in_range(math.nan)
    (True, True, False, False)
    """
    return number == 0 or SMALLEST <= number <= LARGEST or SMALLEST <= -number <= LARGEST


_KNOWN = {*_EXAMPLES, *(name for others in _SAME.values() for name in others)}
"""Units that stand behind a prefix; of others a letter may look like one: the p of parsec."""
_NUMERAL = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)(?![0-9_,.])\s*")
_COMMAS = re.compile(r"[+-]?[0-9_.]*,[0-9_.,]*")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)\b", re.IGNORECASE)


def _parse_text(text: str, unit: str, what: str, way_out: str) -> float:
    stripped = text.strip()
    if len(stripped) > current().quantity_letters:  # reading takes time in the square of the digits
        raise FormatError(f"{what} {shown(stripped)} has {len(stripped)} letters; {way_out}")
    if stripped.endswith(unit):  # "5 m" is five metres to us, five thousandths to QuantiPhy
        try:
            return float(stripped.removesuffix(unit))
        except ValueError:
            pass
    if _NOT_FINITE.match(stripped):  # QuantiPhy reads no prefix behind these
        return math.nan
    grouped = _COMMAS.match(stripped)
    if grouped and not _THOUSANDS.fullmatch(grouped[0]):  # QuantiPhy drops commas: 1,5 would be 15
        raise FormatError(f"{what} {text!r}: a comma is for thousands, a decimal point for parts; {way_out}")
    numeral = _NUMERAL.match(stripped)
    if numeral and math.isinf(float(numeral[1])):  # QuantiPhy reads no prefix behind these, either
        return math.inf
    from quantiphy import QuantiPhyError
    from quantiphy import Quantity as Parsed

    try:
        parsed = Parsed(stripped, binary=True)
    except QuantiPhyError as error:
        raise FormatError(f"{what} {text!r} is not a quantity; {way_out}") from error
    if not parsed.units:
        raise FormatError(f"{what} {text!r} has no unit; {way_out}")
    if parsed.units == unit:
        return float(parsed)
    factor = _SAME.get(unit, {}).get(parsed.units)
    if factor is None and numeral and numeral[2]:  # nor behind an exponent
        with suppress(FormatError):
            return float(numeral[1]) * _parse_text(f"1 {stripped[numeral.end() :]}", unit, what, way_out)
    if factor is None:
        named = parsed.units if parsed.units in _KNOWN or not numeral else stripped[numeral.end() :]
        raise FormatError(f"{what} {text!r} is in {named}, not in {unit}; {way_out}")
    if factor == 0.125 and unit != "J/bit" and 0 < abs(float(parsed)) < 1:
        raise FormatError(f"{what} {text!r} is less than a bit (m is milli, M is mega); {way_out}")
    return factor * float(parsed)


def format_quantity(value: float, unit: str, digits: int = 3) -> str:
    """Return a float in a base unit as short text with an SI prefix.

    Examples
    --------
    >>> format_quantity(256e9, "B/s")
    '256 GB/s'
    >>> format_quantity(1.2346e-5, "s")
    '12.3 us'
    >>> format_quantity(0.0, "s")
    '0 s'
    """
    from quantiphy import Quantity as Rendered

    return str(Rendered(float(value), unit).render(prec=max(digits - 1, 0)))


def measured(unit: str, **options: Any) -> Any:
    """Return a dataclass field that holds a quantity in ``unit`` (see `convert_fields`)."""
    return dataclasses.field(metadata={"unit": unit}, **options)


def measured_pair() -> Any:
    """Return an optional dataclass field that holds two lengths, converted by its own class."""
    return dataclasses.field(default=None)


def unit_of(cls: Any, field: str) -> str:
    """Return the unit of a dataclass field, empty where it has none.

    Examples
    --------
    >>> from noptoolkit import Link
    >>> unit_of(Link, "bandwidth")
    'B/s'
    """
    for candidate in dataclasses.fields(cls):
        if candidate.name == field:
            return str(candidate.metadata.get("unit", ""))
    raise AttributeError(f"{cls!r} has no field {field!r}")


def convert_fields(instance: Any, place: Callable[[], str]) -> None:
    """Replace each field of a frozen dataclass that has a unit by its float in that unit.

    Called from ``__post_init__``; ``None`` stays ``None`` where it is the default. ``place`` names the
    instance in a message.
    """
    for name, unit, optional in _units_of(type(instance)):
        value = getattr(instance, name)
        if (type(value) is float and is_in_range(value)) or (value is None and optional):
            continue
        number = parse_quantity(value, unit, f"{place()}: {name}")
        object.__setattr__(instance, name, number)


_UNITS: dict[Any, tuple[tuple[str, str, bool], ...]] = {}


def _units_of(cls: Any) -> tuple[tuple[str, str, bool], ...]:
    """Return name, unit and whether it may be None of each field with a unit; looked up once per class."""
    if cls not in _UNITS:
        fields = [field for field in dataclasses.fields(cls) if "unit" in field.metadata]
        _UNITS[cls] = tuple((field.name, field.metadata["unit"], field.default is None) for field in fields)
    return _UNITS[cls]
