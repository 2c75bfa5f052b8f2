"""What the commands print with: tables on standard output, progress and errors on standard error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from noptoolkit.pipeline import Progress

__all__ = ["errors", "output", "progress", "table"]

output = Console()
errors = Console(stderr=True)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> Table:
    """Return a table whose first column is the name of the row; the others are numbers unless ``words``."""
    grid = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD
    )
    for i, name in enumerate(head):
        grid.add_column(name, justify="left" if i == 0 or words else "right", no_wrap=i == 0)
    for row in rows:
        grid.add_row(*row)
    return grid


@contextmanager
def progress() -> Iterator[Progress]:
    """Show the stage at work: a spinner on a terminal, a line per stage elsewhere."""
    if errors.is_terminal:
        with errors.status("") as status:
            yield lambda stage: status.update(stage)
    else:
        yield lambda stage: errors.print(stage, markup=False, highlight=False)
