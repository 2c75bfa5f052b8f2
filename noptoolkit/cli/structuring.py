"""``noptoolkit search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.formats import save_topology
from noptoolkit.search import load_search
from noptoolkit.search import search as find

__all__ = ["search"]


def search(
    file: Annotated[Path, typer.Argument(help="Search: TOML with [class], [traffic] and [search].")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File for the best package: a topology.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="File with the best so far: run again to go on from it.")
    ] = None,
    solves: Annotated[int | None, typer.Option(help="Graphs that may be solved.", min=1)] = None,
    screens: Annotated[int | None, typer.Option(help="Graphs that may be screened.", min=0)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search the topologies of a class for the fastest, beside what none of them can beat."""
    read = load_search(file)
    with progress() as tell:
        found = find(
            read.within,
            read.traffic,
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
