"""``noptoolkit schedule``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from noptoolkit.cli.options import (
    AllocationFile,
    AllocatorName,
    Bandwidth,
    Length,
    MicroBatches,
    Mode,
    ObjectiveName,
    PolicyName,
    RoutingName,
    Seed,
    Sequences,
    Settings,
    Topology,
    WeightsName,
    WorkloadName,
    hosts_of,
    placement,
    topology_of,
    workload_of,
)
from noptoolkit.cli.pictures import write_schedule
from noptoolkit.cli.reporting import Report, checked_report, write_page_of
from noptoolkit.cli.screen import AsJson, Verbose, errors, progress, show
from noptoolkit.formats.results import made_folder
from noptoolkit.pipeline import run
from noptoolkit.step import POLICIES, Policy

__all__ = ["schedule"]


def schedule(
    topology: Topology,
    on: WorkloadName,
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: MicroBatches = None,
    policy: PolicyName = "streaming",
    routing: RoutingName = "optimal",
    weights: WeightsName = None,
    allocator: AllocatorName = None,
    allocation: AllocationFile = None,
    objective: ObjectiveName = None,
    slices: Annotated[
        int | None,
        typer.Option(help="Slices of each chiplet's experts in a block; as many as pay if not given."),
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Keep a block's input and compute the block again backward.")
    ] = False,
    split_head: Annotated[
        bool, typer.Option("--split-head", help="Spread the head over the experts' chiplets.")
    ] = False,
    hosts: Annotated[
        str | None,
        typer.Option(help="Chiplets that tokens live on: experts, all, or names with commas between."),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the Gantt chart and the Perfetto trace.")
    ] = None,
    bandwidth: Bandwidth = None,
    report: Report = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Schedule one step: makespan against its bound, what is exposed, what is busy, energy."""
    checked_report(report)
    package, workload = (
        topology_of(topology, bandwidth),
        workload_of(on, settings, mode, sequences, length, micro_batches),
    )
    placed = placement(allocator, allocation, [package], [workload])
    folder = None if out is None else made_folder(out)
    chosen: str | Policy = policy
    if micro_batches is not None:
        chosen = replace(POLICIES[policy], micro_batches=micro_batches)
    options = {
        "slices": slices,
        "recompute": recompute or None,
        "split_head": split_head or None,
        "hosts": hosts_of(hosts),
    }
    with progress() as tell:
        one = run(
            package,
            workload,
            allocator=placed,
            policy=chosen,
            routing=routing,
            weights=weights,
            objective=objective,
            step={name: value for name, value in options.items() if value is not None},
            rng=seed,
            progress=tell,
            report=tell if verbose else None,
        )
        plan = one.plan
        written = () if folder is None else write_schedule(plan, folder)
    write_page_of(one, report)
    show(plan.table(), as_json=as_json)
    if folder is not None:
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)
