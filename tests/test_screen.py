"""Tables on a screen that is too narrow for them."""

import io

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
