"""Results out: CSV and JSON, written beside the old file and then put in its place."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError

__all__ = ["replace_file", "write_csv", "write_json"]


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
    writer.writeheader()
    writer.writerows(rows)
    replace_file(path, text.getvalue())


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON."""
    replace_file(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def replace_file(path: str | Path, text: str) -> None:
    """Write text to a file, which is either whole and new or left as it was.

    Raises
    ------
    FormatError
        If the place cannot be written to.
    """
    target = Path(path)
    try:
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
            os.chmod(part, 0o666 & ~_umask())
            os.replace(part, target)
        except BaseException:
            os.unlink(part)
            raise
    except OSError as error:
        raise FormatError(f"{path}: cannot be written: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
