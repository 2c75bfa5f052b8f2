"""A command of the command line: it knows where it can write, keeps what it reads, leaves no empty folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from noptoolkit.errors import FormatError
from noptoolkit.formats.results import files_kept, no_empty_folders

__all__ = ["Command"]

WRITTEN = ("out", "report", "target", "schedule", "layout", "pictures", "picture", "export", "recover")
"""Parameters of commands that name what is written."""

MADE = ("report", "schedule", "layout", "picture")
"""Those of files whose folders are made where they are not there yet."""

FILES_BY_OUT = ("report", "search")
"""Commands whose ``-o`` is a file, not a folder."""


class Command(TyperCommand):
    """A command whose inputs stay as they are, whatever its outputs are called."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises
        ------
        FormatError
            If a file to write is one that is read, or there is no place to write to.
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
        for place, of_file, made in _outputs(ctx.command.name, ctx.params):
            _check_place(place, of_file, made)
        with files_kept(read), no_empty_folders():
            return super().invoke(ctx)


def _outputs(command: str | None, given: Mapping[str, Any]) -> Iterator[tuple[Path, bool, bool]]:
    """Yield the paths that a command writes to, whether each is of a file, and whether folders are made."""
    for name in WRITTEN:
        path = given.get(name)
        if not isinstance(path, Path) or command == "convert":
            continue  # its target is a folder in some formats, and nothing takes long
        of_file = name not in ("out", "pictures") or command in FILES_BY_OUT
        if name == "out" and {"schedule", "layout", "picture"} & given.keys() and path.suffix:
            of_file = not os.path.isdir(path)  # -o FILE, as it was
        made = not of_file or name in MADE or (name == "out" and command != "search")
        yield path, of_file, made


def _check_place(path: Path, of_file: bool, made: bool) -> None:
    """Raise where nothing could be written, before anything is computed."""
    if of_file and os.path.isdir(path):
        raise FormatError(f"{path}: cannot be written: it is a folder; name a file in it")
    over = path.parent if of_file else path
    there = next((folder for folder in (over, *over.parents) if os.path.lexists(folder)), over)
    if os.path.lexists(there) and not os.path.isdir(there):
        raise FormatError(f"{path}: cannot be written: {there} is no folder; name another place")
    if not made and there != over:
        raise FormatError(f"{path}: cannot be written: there is no folder {over}")
    if not (of_file and os.path.exists(path)) and not os.access(there, os.W_OK | os.X_OK):
        raise FormatError(f"{path}: cannot be written: no permission to write to {there}")


def _files(value: object) -> Iterator[Path]:
    """Yield the files that an argument names, by their real paths."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, str | Path) and len(str(one)) < 4096 and "\0" not in str(one):
            try:
                if os.path.isfile(one):
                    yield Path(os.path.realpath(one))
            except OSError:  # a text that is no name of a file
                continue
