"""Tables on a screen that is too narrow for them."""

import io

import pytest
from rich.console import Console

from noptoolkit.cli.screen import output, table


def test_text_gives_way_before_numbers_and_headings() -> None:
    head = ["package", *(f"measure {i}" for i in range(6)), "breaks"]
    rows = [["mesh whose routers copy", *["367.5 us"] * 5, "1.00", "0"]]
    shown = io.StringIO()
    Console(width=output.width, file=shown).print(table("", head, rows))
    lines = shown.getvalue().splitlines()
    assert "breaks" in shown.getvalue()
    assert sum("367.5 us" in line for line in lines) == 1
    assert all(len(line) <= output.width for line in lines)


def test_no_word_is_broken_where_all_words_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_width", 80)
    head = ["rank", "plan", "variant", "step", "behind", "memory", "MFU", "why"]
    numbers = ["36.5 ms", "+0.0 %", "14.9 GB", "27.3 %"]
    variant, why = "interleaved, 4 micro-batches, ZeRO 1", "538 us more compute and communication"
    rows = [["1", "TP4 EP8 VPP8", variant, *numbers, why]]
    shown = io.StringIO()
    Console(width=80, file=shown).print(
        table("", head, rows, text=[False, True, True, False, False, False, False, True])
    )
    assert all(len(line) <= 80 for line in shown.getvalue().splitlines())
    assert {word for cell in (*head, *rows[0]) for word in cell.split()} <= set(shown.getvalue().split())
