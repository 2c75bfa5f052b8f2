"""Results out: CSV and JSON, written beside the old file and then put in its place."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from noptoolkit._shown import harmless_cell
from noptoolkit.errors import FormatError
from noptoolkit.tables import Table

__all__ = [
    "file_in_place_of",
    "files_kept",
    "made_folder",
    "no_empty_folders",
    "replace_file",
    "save_table",
    "write_csv",
    "write_json",
]


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that share their keys; the first line holds the keys.

    Examples
    --------
    >>> write_csv("/nowhere/a.csv", [{"package": "mesh"}])
    Traceback (most recent call last):
    noptoolkit.errors.FormatError: /nowhere/a.csv: cannot be written: No such file or directory
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writerow({key: harmless_cell(key) for key in writer.fieldnames})
    writer.writerows({key: harmless_cell(value) for key, value in row.items()} for row in rows)
    replace_file(path, text.getvalue())


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON."""
    replace_file(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def save_table(stem: str | Path, table: Table) -> tuple[str, str]:
    """Write a table as ``stem.csv`` and ``stem.json``; return the names of the files.

    Raises
    ------
    FormatError
        If the place cannot be written to.
    """
    base = Path(stem)
    files = base.with_name(f"{base.name}.csv"), base.with_name(f"{base.name}.json")
    for path, text in zip(files, (table.csv(), table.json()), strict=True):
        replace_file(path, text)
    return files[0].name, files[1].name


_kept: ContextVar[frozenset[Path]] = ContextVar("noptoolkit_files_kept", default=frozenset())
_made: ContextVar[list[Path] | None] = ContextVar("noptoolkit_folders_made", default=None)


@contextmanager
def files_kept(paths: Iterable[Path]) -> Iterator[None]:
    """Let nothing inside a ``with`` block write over some files: those that a command reads."""
    before = _kept.set(frozenset(Path(os.path.realpath(path)) for path in paths))
    try:
        yield
    finally:
        _kept.reset(before)


@contextmanager
def no_empty_folders() -> Iterator[None]:
    """Remove folders that were made inside a ``with`` block and are empty, if it ends with an exception."""
    made: list[Path] = []
    before = _made.set(made)
    try:
        yield
    except BaseException:  # Ctrl-C, too
        for folder in reversed(made):
            with suppress(OSError):  # it holds something, or is gone
                folder.rmdir()
        raise
    finally:
        _made.reset(before)


def replace_file(path: str | Path, content: str | bytes) -> None:
    """Write a file, which is either whole and new or left as it was; folders are not made.

    A link's target is replaced, not the link; an existing file keeps its permissions. What is not a file,
    such as ``/dev/stdout``, is written to.

    Raises
    ------
    FormatError
        If the place cannot be written to.
    """
    data = content.encode() if isinstance(content, str) else content
    with file_in_place_of(path) as part:
        part.write_bytes(data)


@contextmanager
def file_in_place_of(path: str | Path) -> Iterator[Path]:
    """Yield the path of a file to write, of the same ending; it takes the place of ``path`` at the end.

    Raises
    ------
    FormatError
        If the place cannot be written to.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # a device, a pipe; a folder refuses
            yield target
            return
        target = Path(os.path.realpath(target))
        if target in _kept.get():
            raise FormatError(f"{path}: this command reads that file; give another name for what it writes")
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        _remove_left_overs(target.parent)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f"{_OURS}{os.getpid()}-", suffix=target.suffix
        )
        os.close(handle)
        part = Path(name)
        try:
            yield part
            part.chmod(mode)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise FormatError(f"{path}: cannot be written: {error.strerror or error}") from error


_OURS = f".noptoolkit-{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]}-"
"""How the names of files begin that are being written by a process of this machine; its number follows."""


def _remove_left_overs(folder: Path) -> None:
    """Remove what processes that were killed have left half written in a folder; looked at once a run."""
    if folder in _LOOKED_AT:
        return
    _LOOKED_AT.add(folder)
    for path in folder.glob(f"{_OURS}*"):
        pid = path.name.removeprefix(_OURS).partition("-")[0]
        if not pid.isdecimal() or len(pid) > 9:
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            with suppress(OSError):
                path.unlink()
        except OSError:
            continue  # another user's


_LOOKED_AT: set[Path] = set()


def made_folder(path: Path) -> Path:
    """Return a folder, made where it is not there yet.

    Raises
    ------
    FormatError
        If the path is a file or cannot be made.
    """
    try:
        if (made := _made.get()) is not None:
            made.extend(folder for folder in reversed((path, *path.parents)) if not folder.exists())
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # a ValueError: zero bytes
        raise FormatError(
            f"{path}: no folder can be made here: {getattr(error, 'strerror', error)}"
        ) from error
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
