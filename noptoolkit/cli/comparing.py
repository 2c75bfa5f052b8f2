"""``noptoolkit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noptoolkit import study
from noptoolkit.cli.options import (
    AllocationFile,
    AllocatorName,
    Bandwidth,
    DegreeName,
    Jobs,
    Length,
    MetricNames,
    MicroBatches,
    Mode,
    NormaliseBy,
    ObjectiveName,
    PolicyName,
    RoutingName,
    Seed,
    Sequences,
    Settings,
    Topologies,
    WorkloadNames,
    placement,
    topology_of,
    workload_of,
)
from noptoolkit.cli.pictures import write_comparison
from noptoolkit.cli.screen import AsJson, Verbose, errors, print_json, progress, show
from noptoolkit.formats.results import made_folder

__all__ = ["compare"]


def compare(
    topologies: Topologies,
    on: WorkloadNames,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for tables and pictures.")] = None,
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: MicroBatches = None,
    allocator: AllocatorName = None,
    allocation: AllocationFile = None,
    routing: RoutingName = "optimal",
    policy: PolicyName = "streaming",
    degree: DegreeName = None,
    normalise: NormaliseBy = None,
    objective: ObjectiveName = None,
    seed: Seed = 0,
    jobs: Jobs = 1,
    metric: MetricNames = None,
    bandwidth: Bandwidth = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Compare topologies on workloads: one table per workload, and pictures with -o."""
    batch = (mode, sequences, length, micro_batches)
    placed = placement(allocator, allocation)
    folder = None if out is None else made_folder(out)
    with progress() as tell:
        result = study.compare(
            [topology_of(topology, bandwidth) for topology in topologies],
            [workload_of(reference, settings, *batch) for reference in on],
            allocator=placed or "auto",
            routing=routing,
            policy=policy,
            degree=degree,
            normalise=normalise,
            objective=objective,
            rng=seed,
            jobs=jobs,
            progress=tell,
            metrics=metric,
            report=tell if verbose else None,
        )
        if folder is not None:
            tell("pictures")
            written = write_comparison(result, folder)
    if as_json:
        print_json(result.as_json())
    else:
        show(result.table())
    if folder is not None:
        errors.print(f"written to {folder}: " + ", ".join(written), markup=False, highlight=False)
