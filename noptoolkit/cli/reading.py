"""``noptoolkit results``: what a store of studies holds, and what it says."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noptoolkit import studies
from noptoolkit.cli.options import MetricNames
from noptoolkit.cli.pictures import save_picture
from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.cli.sweeping import Most
from noptoolkit.formats.results import made_folder
from noptoolkit.tables import Table

if TYPE_CHECKING:
    from noptoolkit.studies import Front, Store, Study

__all__ = ["results"]


def results(
    store: Annotated[Path, typer.Argument(help="Store of studies.")],
    study: Annotated[str | None, typer.Argument(help="Name of the study; the only one if not given.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Keep points that meet it, such as 'step < 10 ms'. May be repeated."),
    ] = None,
    sort: Annotated[str | None, typer.Option(help="Parameter or metric to sort by.")] = None,
    descending: Annotated[bool, typer.Option("--descending", help="Large values first.")] = False,
    pareto: Annotated[
        str | None,
        typer.Option(
            metavar="GOALS",
            help="Pareto front of some goals, such as 'step,min links'; the others by distance.",
        ),
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(metavar="GOAL", help="Best points in a goal, such as 'step'; --where are its limits."),
    ] = None,
    why: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B", help="What changed between two points (digests): inputs, metrics, effects."
        ),
    ] = None,
    metric: MetricNames = None,
    diff: Annotated[str | None, typer.Option(help="Another study to compare with.")] = None,
    other: Annotated[Path | None, typer.Option(help="Store of the other study.")] = None,
    export: Annotated[
        Path | None, typer.Option("-e", "--export", help="Write all rows to a .csv, .json or .parquet file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder for pictures: parallel coordinates, scatter matrix, front with --pareto.",
        ),
    ] = None,
    recover: Annotated[
        Path | None, typer.Option(help="Save what can be read of a damaged store to a new file.")
    ] = None,
    most: Most = 20,
    as_json: AsJson = False,
) -> None:
    """List, filter, sort, judge, compare and export what a store of studies holds."""
    asked = [
        name
        for name, given in {"--pareto": pareto, "--best": best, "--why": why, "--diff": diff}.items()
        if given is not None
    ]
    if len(asked) > 1:
        raise typer.BadParameter(f"one of {' and '.join(asked)} at a time", param_hint=asked[1])
    if metric is not None and why is None:
        raise typer.BadParameter("goes with --why: which metrics to explain", param_hint="--metric")
    if recover is not None:
        saved = studies.recover(store, recover)
        rows = [[name, count] for name, count in saved.items()]
        show(Table(["table", "rows saved"], rows, title=f"{store} to {recover}"), as_json=as_json)
        return
    with _opened(store) as kept:
        known = kept.studies()
        if study is None and len(known) != 1:
            listed = [[name, count] for name, count in known.items()]
            show(Table(["study", "points"], listed, title=str(store)), as_json=as_json)
            return
        front = None
        cut = None if export is not None else most or None
        if diff is not None:
            found = _compared(kept, study or next(iter(known)), diff, other)
        elif pareto is not None:
            front = studies.pareto_front(studies.read_study(kept, study, where=where or ()), pareto)
            found = front.table(cut)
        elif best is not None:
            found = studies.best_points(studies.read_study(kept, study), best, where or ()).table(cut)
        elif why is not None:
            found = _why(kept, study, why, metric)
        else:
            found = studies.study_table(
                kept, study, where=where or (), sort=sort, descending=descending, most=cut
            )
        if out is not None:
            _draw(studies.read_study(kept, study, where=where or ()), front, made_folder(out))
    if export is not None:
        studies.export_table(found, export)
        errors.print(f"{len(found):,} rows written to {export}", markup=False, highlight=False)
        found = replace(found, rows=found.rows[: most or None], sections=found.sections[: most or None])
    show(found, as_json=as_json)


def _opened(path: Path) -> Store:
    """Return a store, for reading only where it cannot be written to."""
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return studies.Store(path, create=False, read_only=path.is_file() and not writable)


def _compared(store: Store, first: str, second: str, other: Path | None) -> Table:
    if other is None:
        return studies.diff_studies(store, first, second)
    with _opened(other) as apart:
        return studies.diff_studies(store, first, second, other=apart)


def _why(store: Store, name: str | None, keys: tuple[str, str], metrics: list[str] | None) -> Table:
    study = studies.read_study(store, name)
    first, second = (study.row(key) for key in keys)
    with progress() as tell:
        return studies.difference(first, second, metrics, store=store, progress=tell).table()


def _draw(study: Study, front: Front | None, folder: Path) -> None:
    import noptoolkit.plot as draw

    written = []

    def keep(picture: object, name: str) -> None:
        axes = picture[0] if isinstance(picture, list) else picture
        save_picture(axes, folder / f"{name}.png", folder / f"{name}.svg")  # type: ignore[arg-type]
        written.append(f"{name}.png")

    with draw.style("page"):
        if front is not None:
            keep(draw.front(front), "front")
        keep(draw.parallel_coordinates(study), "parallel")
        keep(draw.scatter_matrix(study), "scatter")
    errors.print(f"written to {folder}: {', '.join(written)}, and SVG", markup=False, highlight=False)
