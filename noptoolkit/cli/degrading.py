"""``noptoolkit resilience``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from noptoolkit.cli.options import (
    AllocatorName,
    Bandwidth,
    Jobs,
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
from noptoolkit.cli.screen import AsJson, errors, now_and_then, progress, show
from noptoolkit.formats.results import made_folder, replace_file
from noptoolkit.pipeline import run
from noptoolkit.progress import Progress
from noptoolkit.stages import Run
from noptoolkit.study import expected_step, expected_time, step_losses, worst_loss
from noptoolkit.study import resilience as lose
from noptoolkit.study.rehoming import Move
from noptoolkit.tables import Table
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
    step: Annotated[
        bool,
        typer.Option(
            "--step", help="The step of the workload, re-homed and scheduled again, not its dispatch."
        ),
    ] = False,
    spares: Annotated[int, typer.Option(help="Expert chiplets kept empty to take over.", min=0)] = 0,
    move: Annotated[
        Literal["lost", "all"], typer.Option(help="Experts that move: of lost chiplets, or all anew.")
    ] = "lost",
    probability: Annotated[
        float | None,
        typer.Option(help="Expected time if each part is lost with this probability, 0 to 1."),
    ] = None,
    worst: Annotated[
        bool, typer.Option("--worst", help="The worst loss: exact where all can be tried, enclosed beyond.")
    ] = False,
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: MicroBatches = None,
    allocator: AllocatorName = None,
    routing: RoutingName = "optimal",
    jobs: Jobs = 1,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for tables, and a picture of single losses.")
    ] = None,
    bandwidth: Bandwidth = None,
    as_json: AsJson = False,
) -> None:
    """Show what is left when links, chiplets, switches or memory stacks are lost."""
    package = topology_of(topology, bandwidth)
    if on is None and (settings or any((mode, sequences, length, micro_batches))):
        raise typer.BadParameter("--set, --mode, ... change a workload; give it with --on", param_hint="--on")
    if on is None and (step or spares or allocator):
        raise typer.BadParameter("--step, --spares and --allocator need a workload", param_hint="--on")
    if not step and (spares or move != "lost"):
        raise typer.BadParameter("--spares and --move are of a step", param_hint="--step")
    if worst and (step or probability is not None):
        raise typer.BadParameter("it is of a traffic, and without --probability", param_hint="--worst")
    if probability is not None and not 0 <= probability <= 1:
        raise typer.BadParameter(
            f"{probability:g} is no probability: give a number from 0 to 1", param_hint="--probability"
        )
    folder = None if out is None else made_folder(out)
    written: tuple[str, ...] = ()
    with progress() as tell:
        losses = tell if errors.is_terminal else now_and_then(tell)  # a line per loss is too many for a file
        one: Run | None = None
        if on is not None:
            workload = workload_of(on, settings, mode, sequences, length, micro_batches)
            one = run(
                package,
                workload,
                allocator=allocator or "auto",
                routing=routing if step else "optimal",
                rng=seed,
                progress=tell,
            )
        if one is not None and step:
            table, written = _of_step(
                one, failures, of, trials, move, spares, probability, jobs, seed, losses, folder, as_json
            )
        else:
            traffic = all_to_all(package, "1 MB") if one is None else one.dispatch_traffic
            if probability is not None:
                table = expected_time(
                    package,
                    traffic,
                    probability,
                    of=of,
                    trials=trials or 100,
                    routing=routing,
                    jobs=jobs,
                    rng=seed,
                    progress=losses,
                ).table()
            elif worst:
                table = worst_loss(
                    package,
                    traffic,
                    failures,
                    of=of,
                    routing=routing,
                    trials=trials or 50,
                    jobs=jobs,
                    rng=seed,
                    progress=losses,
                ).table()
            else:
                found = lose(
                    package,
                    traffic,
                    failures,
                    of=of,
                    trials=trials,
                    routing=routing,
                    rng=seed,
                    jobs=jobs,
                    report=losses,
                )
                written = () if folder is None else write_resilience(found, folder)
                table = found.table(most=None if as_json else 8)
        if folder is not None and not written:
            replace_file(folder / "resilience.csv", table.csv())
            written = ("resilience.csv",)
    show(table, as_json=as_json)
    if folder is not None:
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)


def _of_step(
    one: Run,
    failures: int,
    of: str,
    trials: int | None,
    move: Move,
    spares: int,
    probability: float | None,
    jobs: int,
    seed: int,
    tell: Progress | None,
    folder: Path | None,
    as_json: bool,
) -> tuple[Table, tuple[str, ...]]:
    if probability is not None:
        expected = expected_step(
            one,
            probability,
            of=of,
            trials=trials or 30,
            move=move,
            spares=spares,
            jobs=jobs,
            rng=seed,
            progress=tell,
        )
        return expected.table(), ()
    found = step_losses(
        one, failures, of=of, trials=trials, move=move, spares=spares, jobs=jobs, rng=seed, progress=tell
    )
    if folder is None:
        return found.table(None if as_json else 8), ()
    found.to_csv(folder / "step-losses.csv")
    found.to_json(folder / "step-losses.json")
    return found.table(None if as_json else 8), ("step-losses.csv", "step-losses.json")
