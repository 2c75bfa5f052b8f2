"""A command of the command line: it writes over no file that it reads, and leaves no empty folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from noptoolkit.errors import FormatError
from noptoolkit.formats.results import files_kept, no_empty_folders

__all__ = ["Command"]

WRITTEN = ("out", "report", "target", "schedule", "layout", "pictures", "picture", "export", "recover")
"""Parameters of commands that name what is written."""


class Command(TyperCommand):
    """A command whose inputs stay as they are, whatever its outputs are called."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises
        ------
        FormatError
            If a file to write is one that is read.
        """
        # the file of a search is read and written: it goes on from there
        skipped = (*WRITTEN, "store") if ctx.command.name == "search" else WRITTEN
        read = {path for name, value in ctx.params.items() if name not in skipped for path in _files(value)}
        for name in WRITTEN:
            for path in _files(ctx.params.get(name)):
                if path in read:
                    raise FormatError(
                        f"{ctx.params[name]}: is read by this command; give what it writes another name"
                    )
        with files_kept(read), no_empty_folders():
            return super().invoke(ctx)


def _files(value: object) -> Iterator[Path]:
    """Yield the files that an argument names, by their real paths."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, str | Path) and len(str(one)) < 4096 and "\0" not in str(one):
            try:
                if os.path.isfile(one):
                    yield Path(os.path.realpath(one))
            except OSError:  # a text that is no name of a file
                continue
