"""``noptoolkit schedule``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from noptoolkit._names import resolve
from noptoolkit.allocation.allocating import Objective
from noptoolkit.cli.comparing import ALLOCATOR, LAYOUT, OBJECTIVE, POLICY, SEED, placement, with_trace
from noptoolkit.cli.pictures import write_schedule
from noptoolkit.cli.screen import AsJson, Verbose, errors, progress, show
from noptoolkit.flow import ROUTINGS
from noptoolkit.formats import load_topology
from noptoolkit.formats.results import made_folder
from noptoolkit.pipeline import run
from noptoolkit.step import POLICIES, Policy

__all__ = ["schedule"]


def schedule(
    topology: Annotated[str, typer.Argument(help="Preset or file.")],
    on: Annotated[str, typer.Option(help="The workload: preset or TOML file, or WORKLOAD@TRACE.")],
    policy: Annotated[str, typer.Option(help=POLICY)] = "streaming",
    routing: Annotated[
        str, typer.Option(help=f"Routing of the whole step: {', '.join(ROUTINGS)} or optimal-alone.")
    ] = "optimal",
    micro_batches: Annotated[
        int | None, typer.Option(help="Number of micro-batches (default: the workload's).")
    ] = None,
    allocator: Annotated[str | None, typer.Option(help=f"{ALLOCATOR}  [default: as the policy says]")] = None,
    allocation: Annotated[Path | None, typer.Option(help=LAYOUT)] = None,
    objective: Annotated[Objective | None, typer.Option(help=OBJECTIVE)] = None,
    seed: Annotated[int, typer.Option(help=SEED, min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the Gantt chart and the Perfetto trace.")
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Schedule one step: makespan against its bound, what is exposed, what is busy, energy."""
    placed = placement(allocator, allocation)
    package, workload = load_topology(topology), with_trace(on)
    folder = None if out is None else made_folder(out)
    chosen: str | Policy = policy
    if micro_batches is not None:
        chosen = replace(resolve(policy, POLICIES, "policy"), micro_batches=micro_batches)
    with progress() as tell:
        plan = run(
            package,
            workload,
            allocator=placed,
            policy=chosen,
            routing=routing,
            objective=objective,
            rng=seed,
            progress=tell,
            report=tell if verbose else None,
        ).plan
        written = () if folder is None else write_schedule(plan, folder)
    show(plan.table(), as_json=as_json)
    if folder is not None:
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)
