"""``noptoolkit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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
    WeightsName,
    WorkloadNames,
    placement,
    topologies_of,
    workload_of,
)
from noptoolkit.cli.pictures import write_comparison
from noptoolkit.cli.reporting import Report, checked_report, write_page_of
from noptoolkit.cli.screen import AsJson, Verbose, errors, print_json, progress, show
from noptoolkit.formats.results import made_folder, replace_file

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
    weights: WeightsName = None,
    normalise: NormaliseBy = None,
    widths: Annotated[
        Literal["given", "best"],
        typer.Option(help="Widths of links: as given, or best for dispatch + combine at an equal total."),
    ] = "given",
    objective: ObjectiveName = None,
    plan: Annotated[
        str | None, typer.Option(help="Parallel plan of the metrics plan_step, mfu, ...: 'TP2 EP8'.")
    ] = None,
    seed: Seed = 0,
    jobs: Jobs = 1,
    metric: MetricNames = None,
    what_if: Annotated[
        str | None,
        typer.Option(
            help="The one upgrade of each that pays most: '512 GB/s', '4 mm', 'cost 5', '10 %' of the first."
        ),
    ] = None,
    bandwidth: Bandwidth = None,
    report: Report = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Compare topologies on workloads: one table per workload, and pictures with -o."""
    batch = (mode, sequences, length, micro_batches)
    checked_report(report)
    packages = topologies_of(topologies, bandwidth)
    workloads = [workload_of(reference, settings, *batch) for reference in on]
    placed = placement(allocator, allocation, packages, workloads)
    folder = None if out is None else made_folder(out)
    with progress() as tell:
        result = study.compare(
            packages,
            workloads,
            allocator=placed or "auto",
            routing=routing,
            policy=policy,
            degree=degree,
            weights=weights,
            normalise=normalise,
            widths=widths,
            objective=objective,
            plan=plan,
            rng=seed,
            jobs=jobs,
            progress=tell,
            metrics=metric,
            report=tell if verbose else None,
        )
        changed = None if what_if is None else study.best_upgrades(result, what_if, progress=tell)
        if folder is not None:
            tell("pictures")
            written = write_comparison(result, folder)
            if changed is not None:
                replace_file(folder / "what-if.csv", changed.csv())
                written = (*written, "what-if.csv")
    write_page_of(result, report)
    if as_json:
        more = {} if changed is None else {"what_if": changed.as_json()}
        print_json({**result.as_json(), **more})
    else:
        show(result.table())
        if changed is not None:
            show(changed)
    if folder is not None:
        errors.print(f"written to {folder}: " + ", ".join(written), markup=False, highlight=False)
