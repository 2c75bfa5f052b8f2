"""What the commands print with: tables on standard output, progress and errors on standard error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from noptoolkit.pipeline import Progress

__all__ = ["errors", "output", "progress", "table"]

NAME_WIDTH = 13  # characters that a name keeps where a table is wider than the screen

output = Console()
errors = Console(stderr=True)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> Table:
    """Return a table whose first column is the name of the row; the others are numbers unless ``words``."""
    grid = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    longest = [max((len(row[i]) for row in rows), default=0) for i in range(len(head))]
    whole = sum(max(len(name), width) + 2 for name, width in zip(head, longest, strict=True))
    for i, (name, width) in enumerate(zip(head, longest, strict=True)):
        if i == 0 or words:
            grid.add_column(name, overflow="fold", min_width=min(width, NAME_WIDTH))
        else:  # a heading may wrap, a number may not
            heading = name if whole <= output.width else wrap_name(name, width)
            grid.add_column(heading, justify="right", overflow="fold", min_width=width)
    for row in rows:
        grid.add_row(*row)
    return grid


def wrap_name(name: str, width: int) -> str:
    """Break a name behind its hyphens into lines of ``width``, or of its longest part.

    >>> print(wrap_name("mesh-4x4-in-network", 9))
    mesh-4x4-
    in-
    network
    """
    lines = [""]
    for part in re.findall(r"[^-]*-|[^-]+$", name):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show the stage at work: a spinner on a terminal, a line per stage elsewhere."""
    if errors.is_terminal:
        with errors.status("") as status:
            yield lambda stage: status.update(stage)
    else:
        yield lambda stage: errors.print(stage, markup=False, highlight=False)
