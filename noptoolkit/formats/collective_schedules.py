"""Files of collective schedules: JSON data, or XML text in the style of MSCCL.

What the data means is `noptoolkit.collectives.exports`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError
from noptoolkit.formats.attributes import parse_json
from noptoolkit.formats.files import read_text
from noptoolkit.formats.results import replace_file, write_json

__all__ = ["check_schedule_name", "load_collective", "save_collective"]

ENDINGS = (".json", ".xml")


def save_collective(path: str | Path, content: Mapping[str, Any] | str) -> None:
    """Write a schedule: a mapping as JSON, a text as it is.

    Raises
    ------
    FormatError
        If the ending is not that of the content.
    """
    path = Path(path)
    check_schedule_name(path)
    if isinstance(content, str) != (path.suffix == ".xml"):
        raise FormatError(f"{path.name}: a mapping goes into .json, a text into .xml")
    if isinstance(content, str):
        replace_file(path, content)
    else:
        write_json(path, content)


def load_collective(path: str | Path) -> Any:
    """Return what a schedule's file holds: a mapping of JSON, or the text of XML.

    Raises
    ------
    FormatError
        If the file cannot be read as that.
    """
    path = Path(path)
    check_schedule_name(path)
    text = read_text(path)
    return text if path.suffix == ".xml" else parse_json(text, path.name)


def check_schedule_name(path: Path) -> None:
    """Raise FormatError unless a file has an ending of schedules."""
    if path.suffix not in ENDINGS:
        raise FormatError(f"{path.name}: a schedule is a file that ends in .json or .xml (MSCCL)")
