"""``noptoolkit sweep``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from noptoolkit import studies
from noptoolkit.cli.options import MOST_JOBS, MetricNames
from noptoolkit.cli.screen import AsJson, errors, note, print_json, progress, show
from noptoolkit.errors import NopError
from noptoolkit.studies.parameters import check_parameters
from noptoolkit.studies.sweeping import metrics_of

__all__ = ["Jobs", "Most", "Scheduler", "StoreFile", "StudyFile", "bar", "sweep"]

Most = Annotated[int, typer.Option("--most", help="Rows to print; 0: all.", min=0)]
StudyFile = Annotated[Path, typer.Argument(help="Study: TOML with [space].")]
StoreFile = Annotated[
    Path | None, typer.Option("--store", help="SQLite file; STUDY.db beside the study if not given.")
]
Jobs = Annotated[
    int,
    typer.Option(
        "-j", "--jobs", max=MOST_JOBS, help="Points at once, each in its own process; -1: one per core."
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Dask scheduler whose workers evaluate the points: tcp://HOST:PORT.")
]
BAR = 24


def sweep(
    study: StudyFile,
    store: StoreFile = None,
    jobs: Jobs = -1,
    scheduler: Scheduler = None,
    metric: MetricNames = None,
    artefact: Annotated[
        list[str] | None,
        typer.Option(help="Also keep: layout, loads, schedule. May be repeated."),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try points again that failed before.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many points there are, and stop.")
    ] = False,
    most: Most = 20,
    as_json: AsJson = False,
) -> None:
    """Evaluate every point of a study; run it again to go on, or to add metrics."""
    read = studies.load_study(study)
    errors.print(f"{read.name}: {read.space.describe()}", markup=False, highlight=False)
    wanted = tuple(metric or read.metrics)
    if dry_run:
        check_parameters(read.space)
        metrics_of(wanted)
        points = sum(1 for _ in read.space)
        errors.print(f"{points:,} meet the conditions", markup=False, highlight=False)
        return
    file = store or study.with_suffix(".db")
    outcome: Counter[str] = Counter()
    with studies.Store(file) as kept:
        with progress() as tell:
            rows = studies.sweep(
                read.space,
                wanted,
                store=kept,
                study=read.name,
                layout=read.layout,  # type: ignore[arg-type]
                jobs=jobs,
                scheduler=scheduler,
                artefacts=tuple(artefact or ()),
                retry=retry,
                progress=lambda line: tell(bar(line)),
            )
            for row in rows:
                outcome["failed" if row.error else "stored before" if row.stored else "computed"] += 1
        found = studies.study_table(kept, read.name, most=most or None)
    if as_json:
        print_json(found.as_json())
    else:
        show(found)
        note(f"{', '.join(f'{count:,} {what}' for what, count in outcome.items())}; in {file}")
    if set(outcome) == {"failed"}:
        raise NopError(f"{study}: every point failed; what went wrong stands beside each, and in {file}")


def bar(line: str) -> str:
    """Return a line such as '3 of 12 points, ...' behind a bar."""
    done, _, rest = line.partition(" of ")
    total = rest.partition(" ")[0]
    if not (done.isdigit() and total.isdigit()):
        return line
    full = BAR * int(done) // max(int(total), 1)
    return f"|{'#' * full}{'.' * (BAR - full)}| {line}"
