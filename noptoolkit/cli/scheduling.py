"""``noptoolkit schedule``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noptoolkit.cli.comparing import ALLOCATOR, POLICY, SEED, placement, with_trace
from noptoolkit.cli.pictures import write_schedule
from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.flow import ROUTINGS
from noptoolkit.formats import load_topology
from noptoolkit.formats.results import made_folder
from noptoolkit.pipeline import plan_step

__all__ = ["schedule"]


def schedule(
    topology: Annotated[str, typer.Argument(help="Preset or file.")],
    on: Annotated[str, typer.Option(help="The workload: preset or TOML file, or WORKLOAD@TRACE.")],
    policy: Annotated[str, typer.Option(help=POLICY)] = "streaming",
    routing: Annotated[
        str, typer.Option(help=f"Routing of the whole step: {', '.join(ROUTINGS)} or optimal-alone.")
    ] = "optimal",
    micro_batches: Annotated[
        int | None, typer.Option(help="Parts of the batch, if not as the workload says.")
    ] = None,
    allocator: Annotated[str | None, typer.Option(help=f"{ALLOCATOR}  [default: as the policy says]")] = None,
    allocation: Annotated[Path | None, typer.Option(help="A layout written by allocate, instead.")] = None,
    seed: Annotated[int, typer.Option(help=SEED, min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the Gantt chart and the Perfetto trace.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Schedule one step: makespan against its bound, what is exposed, what is busy, energy."""
    placed = placement(allocator, allocation)
    package, workload = load_topology(topology), with_trace(on)
    folder = None if out is None else made_folder(out)
    with progress() as tell:
        plan = plan_step(
            package,
            workload,
            allocator=placed,
            policy=policy,
            routing=routing,
            micro_batches=micro_batches,
            rng=seed,
            progress=tell,
        )
        written = () if folder is None else write_schedule(plan, folder)
    show(plan.table(), as_json=as_json)
    if folder is not None:
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)
