"""``noptoolkit resilience``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from noptoolkit.cli.comparing import with_trace
from noptoolkit.cli.pictures import write_resilience
from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.formats import load_topology
from noptoolkit.formats.results import made_folder
from noptoolkit.pipeline import run
from noptoolkit.study import resilience as lose
from noptoolkit.traffic import all_to_all

__all__ = ["resilience"]


def resilience(
    topology: Annotated[str, typer.Argument(help="Preset or file.")],
    failures: Annotated[int, typer.Option(help="How many are lost at a time.")] = 1,
    of: Annotated[
        Literal["links", "chiplets", "switches", "memories"], typer.Option(help="What is lost.")
    ] = "links",
    trials: Annotated[int | None, typer.Option(help="Random losses to try; every one if not given.")] = None,
    on: Annotated[
        str | None,
        typer.Option(help="A workload, whose dispatch is the traffic; else 1 MB from every expert to every."),
    ] = None,
    routing: Annotated[str, typer.Option(help="How traffic is routed.")] = "optimal",
    seed: Annotated[
        int, typer.Option(help="Seed of the losses, the trace's split and the allocator.", min=0)
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for tables, and a picture of single losses.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how much longer traffic takes when links, chiplets, switches or memory stacks are lost."""
    package = load_topology(topology)
    folder = None if out is None else made_folder(out)
    with progress() as tell:
        if on is not None:
            traffic = run(package, with_trace(on), rng=seed, progress=tell).dispatch_traffic
        else:
            traffic = all_to_all(package, "1 MB", among="experts" if package.experts else "terminals")
        found = lose(package, traffic, failures, of=of, trials=trials, routing=routing, rng=seed, report=tell)
        written = () if folder is None else write_resilience(found, folder)
    show(found.table(most=None if as_json else 8), as_json=as_json)
    if folder is not None:
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)
