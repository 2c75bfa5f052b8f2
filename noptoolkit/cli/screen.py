"""What the commands print with: tables on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from noptoolkit._shown import visible, visible_json
from noptoolkit._table_text import NAME_WIDTH, wrap_name
from noptoolkit.progress import Progress
from noptoolkit.tables import Table

__all__ = [
    "AsJson",
    "Verbose",
    "errors",
    "note",
    "now_and_then",
    "output",
    "print_json",
    "print_toml",
    "progress",
    "show",
    "table",
    "warned",
]

LEAST_WIDTH = 8
"""Characters that a column of text keeps where a table is wider than the screen."""


class _Screen(Console):
    """A console on which text from files moves no cursor and turns no writing."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts with what is not seen written out."""
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)


def _width() -> int | None:
    """Return a width where COLUMNS asks for less than a word, or for 0: then nobody knows it."""
    given = os.environ.get("COLUMNS", "")
    if not given.isdecimal() or len(given) > 6 or int(given) >= NARROWEST:
        return None  # as the console finds out
    return NARROWEST if int(given) else UNKNOWN


NARROWEST, UNKNOWN = 20, 80
output = _Screen(width=_width())
errors = _Screen(stderr=True, width=_width())
warned: list[str] = []
"""Warnings that the command has given."""

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the table as JSON, in base units, and nothing else.")
]
"""Option of every command that prints a table."""

Verbose = Annotated[bool, typer.Option("--verbose", help="Also show what the solvers report.")]
"""Option of every command that calls a solver."""


def show(found: Table, *, as_json: bool = False) -> None:
    """Print a table with its title and notes, or as JSON."""
    if as_json:
        print_json(found.as_json())
        return
    for part in found.parts():
        if part.title:
            output.print(part.title, style="bold", markup=False, highlight=False)
        if part.rows:
            head, body = part.cells()
            output.print(table("", head, body, text=part.is_text()))
        for line in part.notes:
            note(line)
        if found.sections:
            output.print()


def note(line: str) -> None:
    """Print a line of text, wrapped at the width of the screen."""
    output.print(line, markup=False, highlight=False)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a mapping as JSON to standard output."""
    sys.stdout.write(visible_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n")


def print_toml(text: str) -> None:
    """Write TOML to standard output, as it is but on a terminal, where nothing stays unseen."""
    sys.stdout.write(visible_json(text) if sys.stdout.isatty() else text)


def table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: bool = False,
    text: Sequence[bool] = (),
) -> Grid:
    """Return a grid of text for the screen.

    Parameters
    ----------
    title, head, rows
        Title, headings and cells.
    words
        Whether every column is text.
    text
        Whether each column is text, aligned left; the first one only where empty.
    """
    grid = Grid(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    left = [True] * len(head) if words else list(text) or [True] + [False] * (len(head) - 1)
    longest = [max((len(row[i]) for row in rows), default=0) for i in range(len(head))]
    whole = sum(max(len(name), width) + 2 for name, width in zip(head, longest, strict=True))
    headings = [name if whole <= output.width else wrap_name(name, longest[i]) for i, name in enumerate(head)]
    needed = [max(width, *map(len, headings[i].split("\n"))) for i, width in enumerate(longest)]
    numbers = sum(needed[i] for i in range(len(head)) if not left[i])
    spare = output.width - numbers - 2 * len(head)
    narrow = min(max(spare // max(sum(left), 1), LEAST_WIDTH), NAME_WIDTH)
    fitted = _whole_words([(head[i], *(row[i] for row in rows)) for i in range(len(head)) if left[i]], spare)
    for i, width in enumerate(longest):
        if left[i] and fitted:
            grid.add_column(visible(head[i]), overflow="fold", width=fitted.pop(0))
        elif left[i]:
            grid.add_column(visible(head[i]), overflow="fold", min_width=min(width, narrow))
        else:  # a heading may wrap, a number may not
            grid.add_column(headings[i], justify="right", overflow="fold", min_width=needed[i])
    for row in rows:
        grid.add_row(*map(visible, row))
    return grid


def _whole_words(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return widths of columns of text that break no word, the narrowest whole first; none where too wide."""
    widths = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    free = room - sum(widths)
    if free < 0:
        return []
    whole = [max(map(len, column)) for column in columns]
    for i in sorted(range(len(columns)), key=lambda i: whole[i]):
        more = min(whole[i] - widths[i], free)
        widths[i] += more
        free -= more
    return widths


def now_and_then(tell: Progress, every: float = 10.0) -> Progress:
    """Return a `Progress` that passes on a line every some seconds at most, for where lines stay."""
    last = time.monotonic()

    def told(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            tell(line)

    return told


@contextmanager
def progress() -> Iterator[Progress]:
    """Show the stage at work: a spinner on a terminal, a line per stage elsewhere."""
    if errors.is_terminal:
        with errors.status("") as status:
            yield lambda stage: status.update(visible(stage))
    else:
        yield lambda stage: errors.print(stage, markup=False, highlight=False)
