import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit.errors import FormatError
from noptoolkit.units import format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("256 GB/s", "B/s", 256e9),
        ("256GB/s", "B/s", 256e9),
        ("8 GiB", "B", 8 * 2**30),
        ("64 KiB", "B", 65536),
        ("1 kB", "B", 1000),
        ("74 TFLOP/s", "FLOP/s", 74e12),
        ("50 um", "m", 50e-6),
        ("5 m", "m", 5.0),
        ("5 mm", "m", 5e-3),
        ("2 ns", "s", 2e-9),
        ("0.5 pJ/bit", "J/bit", 0.5e-12),
        ("1 GHz", "Hz", 1e9),
        (3, "B/s", 3.0),
        (2.5, "s", 2.5),
    ],
)
def test_parse(text: str | float, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("256 GB", "B/s", "is in B, not in B/s"),
        ("256", "B/s", "no unit"),
        ("100 G", "B/s", "no unit"),
        ("12 cycles", "s", "is in ycles"),
        ("fast", "B/s", "not a quantity"),
        ("", "B/s", "not a quantity"),
        (float("nan"), "B/s", "not finite"),
        (float("inf"), "B/s", "not finite"),
        ("inf", "B/s", "no unit|not finite"),
        (True, "B/s", "not a quantity"),
        (None, "B/s", "not a quantity"),
        ([1.0], "B/s", "not a quantity"),
    ],
)
def test_parse_refuses(text: object, unit: str, says: str) -> None:
    with pytest.raises(FormatError, match=says) as caught:
        parse_quantity(text, unit, "bandwidth")  # type: ignore[arg-type]
    assert "bandwidth" in str(caught.value)
    assert "write it like" in str(caught.value)


@given(st.floats(min_value=1e-15, max_value=1e18))
def test_format_and_parse_agree(value: float) -> None:
    again = parse_quantity(format_quantity(value, "B/s", digits=6), "B/s")
    assert math.isclose(again, value, rel_tol=1e-5)
