"""``noptoolkit convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noptoolkit.cli.screen import AsJson, show
from noptoolkit.formats import FORMATS
from noptoolkit.formats import convert as convert_files

__all__ = ["convert"]

KNOWN = ", ".join(FORMATS)


def convert(
    source: Annotated[str, typer.Argument(help="A preset, or a file or folder of any format.")],
    target: Annotated[Path, typer.Argument(help="What to write; its ending says the format.")],
    source_format: Annotated[str | None, typer.Option("--from", help=f"One of: {KNOWN}.")] = None,
    target_format: Annotated[str | None, typer.Option("--to", help=f"One of: {KNOWN}.")] = None,
    bandwidth: Annotated[
        str | None, typer.Option(help="Of links in files that have none, such as '128 GB/s'.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert a topology, and report what was assumed, ignored and lost."""
    options = {} if bandwidth is None else {"bandwidth": bandwidth}
    result = convert_files(
        source, target, source_format=source_format, target_format=target_format, **options
    )
    show(result.table(), as_json=as_json)
