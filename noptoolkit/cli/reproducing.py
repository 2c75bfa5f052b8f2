"""``noptoolkit reproduce``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noptoolkit.cli.options import complete_workload, workload_of
from noptoolkit.cli.screen import AsJson, print_json, progress, show
from noptoolkit.study import (
    best_package,
    reproduce_collectives,
    reproduce_deepseek_serving,
    reproduce_fred,
    reproduce_korthikanti,
    reproduce_mechanism,
    reproduce_mozart,
    reproduce_parallel_folding,
)
from noptoolkit.study.best_package import WORKLOADS

__all__ = ["reproduce"]

Paper = Literal[
    "mozart",
    "tacos",
    "te-ccl",
    "fred",
    "korthikanti",
    "moe-parallel-folding",
    "piper",
    "watos",
    "aquilamoe",
    "deepseek-serving",
    "best-package",
]


def reproduce(
    paper: Annotated[Paper, typer.Argument(help="Which paper's figures.")],
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit the parameters anew instead of taking the preset's.")
    ] = False,
    on: Annotated[
        list[str] | None,
        typer.Option(
            help="Workload of best-package, or WORKLOAD@TRACE for recorded routing; may be repeated.",
            autocompletion=complete_workload,
        ),
    ] = None,
    allocator: Annotated[str, typer.Option(help="Allocator of best-package.")] = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="best-package with one layout for all, and without its searches.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a paper's published figures beside ours, with residuals and what they mean.

    best-package is no paper: bounds over all topologies, and how near each package comes.
    """
    if paper == "best-package":
        with progress() as tell:
            answers = best_package(
                [workload_of(name) for name in on or WORKLOADS],
                allocator=allocator,
                own_layouts=not quick,
                searched=not quick,
                progress=tell,
            )
        tables = [table for one in answers for table in one.tables()]
        if as_json:
            print_json({"schema": 1, "tables": [table.as_json() for table in tables]})
        else:
            for table in tables:
                show(table)
        return
    if quick:
        raise typer.BadParameter("only best-package takes it", param_hint="--quick")
    if on:
        raise typer.BadParameter(f"{paper} has its own workloads", param_hint="--on")
    if paper == "mozart":
        with progress() as tell:
            result = reproduce_mozart(refit=refit, progress=tell)
        show(result.table(), as_json=as_json)
        return
    if paper == "moe-parallel-folding":
        with progress() as tell:
            folding = reproduce_parallel_folding(refit=refit, progress=tell)
        show(folding.table(), as_json=as_json)
        return
    if refit:
        raise typer.BadParameter(f"{paper} has no fitted parameters", param_hint="--refit")
    if paper in ("tacos", "te-ccl"):
        show(reproduce_collectives(paper).table(), as_json=as_json)
        return
    if paper == "fred":
        found = reproduce_fred()
    elif paper == "deepseek-serving":
        found = reproduce_deepseek_serving()
    elif paper == "korthikanti":
        found = reproduce_korthikanti()
    else:
        found = reproduce_mechanism(paper)
    show(found.table(), as_json=as_json)
