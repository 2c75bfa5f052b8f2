import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit import Chiplet
from noptoolkit.errors import FormatError
from noptoolkit.units import format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("256 GB/s", "B/s", 256e9),
        ("256GB/s", "B/s", 256e9),
        ("200 Gb/s", "B/s", 25e9),
        ("200Gb/s", "B/s", 25e9),
        ("200 Gbps", "B/s", 25e9),
        ("200 Gbit/s", "B/s", 25e9),
        ("200 Gbits/s", "B/s", 25e9),
        ("1 Tb/s", "B/s", 125e9),
        ("1.6 Tbps", "B/s", 200e9),
        ("800 Mbit/s", "B/s", 100e6),
        ("64 kbps", "B/s", 8e3),
        ("1 Gib/s", "B/s", 2**27),
        ("8 bit/s", "B/s", 1.0),
        ("8 bps", "B/s", 1.0),
        ("25 GBps", "B/s", 25e9),
        ("25 Gbyte/s", "B/s", 25e9),
        ("25 GB/sec", "B/s", 25e9),
        ("16 Gb", "B", 2e9),
        ("16 Gbit", "B", 2e9),
        ("16 Gib", "B", 2**31),
        ("0.5 pJ/b", "J/bit", 0.5e-12),
        ("4 pJ/B", "J/bit", 0.5e-12),
        ("8 GiB", "B", 8 * 2**30),
        ("64 KiB", "B", 65536),
        ("1 kB", "B", 1000),
        ("74 TFLOP/s", "FLOP/s", 74e12),
        ("50 um", "m", 50e-6),
        ("1.5e3 GB/s", "B/s", 1.5e12),
        ("1,500 GB/s", "B/s", 1.5e12),
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
        ("200 Gb", "B/s", "is in b, not in B/s"),
        ("200 Gb/s", "B", "is in b/s, not in B"),
        ("100 mbps", "B/s", "M is mega"),
        ("200 GT/s", "B/s", "is in GT/s, not in B/s"),
        ("100 G", "B/s", "no unit"),
        ("12 cycles", "s", "is in cycles, not in s"),
        ("1 parsec", "B", "is in parsec, not in B"),
        ("1e400 MB/s", "B/s", "not finite"),
        ("1e-3 m", "B/s", "'1e-3 m' is in m, not in B/s"),
        ("1,5 GB/s", "B/s", "a comma is for thousands"),
        ("1.5,3 GB/s", "B/s", "a comma is for thousands"),
        ("fast", "B/s", "not a quantity"),
        ("", "B/s", "not a quantity"),
        (float("nan"), "B/s", "not finite"),
        (float("inf"), "B/s", "not finite"),
        ("inf", "B/s", "no unit|not finite"),
        (1e61, "B/s", "too large to compute with"),
        ("1e200 B/s", "B/s", "too large to compute with"),
        (-1e308, "B/s", "too large to compute with"),
        (5e-324, "B/s", "too small to compute with: give 0"),
        ("1e-300 B/s", "B/s", "too small to compute with"),
        (True, "B/s", "not a quantity"),
        (None, "B/s", "not a quantity"),
        ([1.0], "B/s", "not a quantity"),
    ],
)
def test_parse_refuses(text: object, unit: str, says: str) -> None:
    with pytest.raises(FormatError, match=says) as caught:
        parse_quantity(text, unit, "bandwidth")  # type: ignore[arg-type]
    assert "bandwidth" in str(caught.value)
    assert "write it like" in str(caught.value) or "1e-60 and 1e+60 B/s" in str(caught.value)


def test_a_field_of_a_package_is_in_the_range_of_quantities() -> None:
    with pytest.raises(FormatError, match="chiplet 'a': latency 1e\\+308 is too large"):
        Chiplet("a", latency=1e308)
    assert Chiplet("a", latency=0.0).latency == 0


@given(st.floats(min_value=1e-15, max_value=1e18))
def test_format_and_parse_agree(value: float) -> None:
    again = parse_quantity(format_quantity(value, "B/s", digits=6), "B/s")
    assert math.isclose(again, value, rel_tol=1e-5)
