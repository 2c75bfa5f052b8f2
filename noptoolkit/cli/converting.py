"""``noptoolkit convert``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from noptoolkit.cli.options import Bandwidth
from noptoolkit.cli.screen import AsJson, show
from noptoolkit.formats import FORMATS, BookSimOptions
from noptoolkit.formats import convert as convert_files
from noptoolkit.physical import place
from noptoolkit.physical.placement import Placement

__all__ = ["convert"]

KNOWN = ", ".join(FORMATS)


def convert(
    source: Annotated[str, typer.Argument(help="A preset, or a file or folder of any format.")],
    target: Annotated[Path, typer.Argument(help="What to write; its ending gives the format.")],
    source_format: Annotated[str | None, typer.Option("--from", help=f"One of: {KNOWN}.")] = None,
    target_format: Annotated[str | None, typer.Option("--to", help=f"One of: {KNOWN}.")] = None,
    bandwidth: Bandwidth = None,
    placed: Annotated[
        Placement | None,
        typer.Option("--place", help="Give every die a position, for formats that need one."),
    ] = None,
    clock: Annotated[
        str | None, typer.Option(help="BookSim2: clock of the routers, such as '1.5 GHz'.")
    ] = None,
    packet_size: Annotated[int | None, typer.Option(help="BookSim2: flits of a packet.")] = None,
    vcs: Annotated[int | None, typer.Option(help="BookSim2: virtual channels of each channel.")] = None,
    vc_buffer: Annotated[int | None, typer.Option(help="BookSim2: flits in each VC's buffer.")] = None,
    injection_rate: Annotated[
        float | None, typer.Option(help="BookSim2: flits that each node injects per cycle.")
    ] = None,
    concentration: Annotated[
        bool | None,
        typer.Option(
            "--concentration/--no-concentration",
            help="BookSim2: chiplets that hang on one switch are nodes of its router, or routers.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert a topology, and report what was assumed, ignored and lost."""
    given: dict[str, Any] = {
        "clock": clock,
        "packet_size": packet_size,
        "vcs": vcs,
        "vc_buffer": vc_buffer,
        "injection_rate": injection_rate,
        "concentration": concentration,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    options: dict[str, Any] = {} if bandwidth is None else {"bandwidth": bandwidth}
    result = convert_files(
        source,
        target,
        source_format=source_format,
        target_format=target_format,
        booksim=BookSimOptions(**chosen) if chosen else None,
        prepare=None if placed is None else partial(place, method=placed),
        **options,
    )
    show(result.table(), as_json=as_json)
