"""``noptoolkit resilience``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from noptoolkit.cli.options import (
    Bandwidth,
    Length,
    MicroBatches,
    Mode,
    RoutingName,
    Seed,
    Sequences,
    Settings,
    Topology,
    complete_workload,
    topology_of,
    workload_of,
)
from noptoolkit.cli.pictures import write_resilience
from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.formats.results import made_folder
from noptoolkit.pipeline import run
from noptoolkit.study import resilience as lose
from noptoolkit.traffic import all_to_all

__all__ = ["resilience"]


def resilience(
    topology: Topology,
    failures: Annotated[int, typer.Option(help="Number of parts that are lost at a time.")] = 1,
    of: Annotated[
        Literal["links", "chiplets", "switches", "memories"],
        typer.Option(help="Kind of parts that are lost."),
    ] = "links",
    trials: Annotated[
        int | None, typer.Option(help="Number of random losses to try; every loss if not given.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="Workload whose dispatch is the traffic; 1 MB between all experts if not given.",
            autocompletion=complete_workload,
        ),
    ] = None,
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: MicroBatches = None,
    routing: RoutingName = "optimal",
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for tables, and a picture of single losses.")
    ] = None,
    bandwidth: Bandwidth = None,
    as_json: AsJson = False,
) -> None:
    """Show how much longer traffic takes when links, chiplets, switches or memory stacks are lost."""
    package = topology_of(topology, bandwidth)
    if on is None and (settings or any((mode, sequences, length, micro_batches))):
        raise typer.BadParameter("--set, --mode, ... change a workload; give it with --on", param_hint="--on")
    folder = None if out is None else made_folder(out)
    with progress() as tell:
        if on is not None:
            workload = workload_of(on, settings, mode, sequences, length, micro_batches)
            traffic = run(package, workload, rng=seed, progress=tell).dispatch_traffic
        else:
            traffic = all_to_all(package, "1 MB")
        found = lose(package, traffic, failures, of=of, trials=trials, routing=routing, rng=seed, report=tell)
        written = () if folder is None else write_resilience(found, folder)
    show(found.table(most=None if as_json else 8), as_json=as_json)
    if folder is not None:
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)
