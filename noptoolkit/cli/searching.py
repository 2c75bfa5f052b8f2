"""``noptoolkit optimise`` and ``noptoolkit sensitivity``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noptoolkit import studies
from noptoolkit.cli.options import MetricNames
from noptoolkit.cli.screen import AsJson, errors, note, print_json, progress, show
from noptoolkit.cli.sweeping import Jobs, Most, Scheduler, StoreFile, StudyFile, bar

__all__ = ["optimise", "sensitivity"]


def optimise(
    study: StudyFile,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            help="Goal: 'step', 'min links', 'max params.rows'; the file's if not given. May be repeated."
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="Limit that the best must meet, such as 'links <= 40'. May be repeated."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Points in all.  [default: the file's, else 100]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the search.  [default: the file's, else 0]")
    ] = None,
    metric: MetricNames = None,
    warm: Annotated[
        str | None, typer.Option("--from", metavar="STUDY", help="Study of the store to learn from first.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the search in the store.  [default: NAME-search]")
    ] = None,
    store: StoreFile = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compute the best again from scratch and check it.")
    ] = True,
    most: Most = 20,
    as_json: AsJson = False,
) -> None:
    """Search a study's space for the best points; run it again to go on."""
    read = studies.load_study(study)
    goals = tuple(goal or read.goals)
    if not goals:
        raise typer.BadParameter(
            "say what is wanted, such as 'step', here or as goals = [...]", param_hint="--goal"
        )
    file = store or study.with_suffix(".db")
    given = read.budget if budget is None else budget
    with progress() as tell:
        found = studies.optimise(
            read.space,
            goals,
            100 if given is None else given,
            read.seed if seed is None else seed,
            limits=tuple(limit or read.limits),
            metrics=tuple(metric or ()),
            store=file,
            study=name or f"{read.name}-search",
            warm=warm,
            layout=read.layout,  # type: ignore[arg-type]
            jobs=jobs,
            scheduler=scheduler,
            verify=verify,
            progress=lambda line: tell(bar(line)),
        )
    show(found.table(most or None), as_json=as_json)
    if not as_json:
        note(f"in {file}, study {found.study.name}")


def sensitivity(
    study: StudyFile,
    metric: MetricNames = None,
    method: Annotated[
        Literal["morris", "sobol"],
        typer.Option(help="morris: which parameters matter; sobol: shares of variance."),
    ] = "morris",
    samples: Annotated[
        int | None, typer.Option(help="Trajectories (10 if not given), or base samples of Sobol (64).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the design.  [default: the file's, else 0]")
    ] = None,
    store: StoreFile = None,
    jobs: Jobs = -1,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Say which parameters of a study's space its metrics depend on, by a design of its own."""
    read = studies.load_study(study)
    file = store or study.with_suffix(".db")
    with progress() as tell:
        found = studies.sensitivity(
            read.space,
            tuple(metric or read.metrics),
            method=method,
            samples=samples,
            seed=read.seed if seed is None else seed,
            store=file,
            study=f"{read.name}-{method}",
            layout=read.layout,  # type: ignore[arg-type]
            jobs=jobs,
            scheduler=scheduler,
            progress=lambda line: tell(bar(line)),
        )
    table = found.table()
    if as_json:
        print_json(table.as_json())
        return
    show(table)
    errors.print(f"points in {file}, study {read.name}-{method}", markup=False, highlight=False)
