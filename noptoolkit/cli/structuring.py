"""``noptoolkit search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.errors import FormatError
from noptoolkit.formats import save_topology
from noptoolkit.search import load_search
from noptoolkit.search import search as find
from noptoolkit.studies import metric_figure

__all__ = ["search"]


def search(
    file: Annotated[
        Path, typer.Argument(help="Search: TOML with [class], [traffic] or [objective], [search].")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File for the best package: a topology.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="File with the best so far: run again to go on from it.")
    ] = None,
    solves: Annotated[int | None, typer.Option(help="Packages that each walk may solve.", min=1)] = None,
    screens: Annotated[int | None, typer.Option(help="Graphs that may be screened.", min=0)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search the packages of a class for the best, beside what none of them can beat."""
    read = load_search(file)
    with progress() as tell:
        given = dict(read.objective)
        if given:
            layout = given.pop("layout", "fixed")
            if layout not in ("fixed", "own"):
                raise FormatError(f"{file}: [objective] layout {layout!r}: give 'fixed' or 'own'")
            tell("layout")
        found = find(
            read.within,
            metric_figure(like=read.within.template if layout == "fixed" else None, **given)
            if given
            else read.traffics,
            solves=read.solves if solves is None else solves,
            screens=read.screens if screens is None else screens,
            rng=read.seed if seed is None else seed,
            store=store,
            name=read.name,
            progress=tell,
        )
        tell("verification")
        found.verify()
        if out is not None:
            save_topology(found.package, out)
    show(found.table(), as_json=as_json)
    if out is not None:
        errors.print(f"written: {out}", markup=False, highlight=False)
