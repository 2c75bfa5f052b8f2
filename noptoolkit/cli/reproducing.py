"""``noptoolkit reproduce``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noptoolkit.cli.screen import AsJson, progress, show
from noptoolkit.study import reproduce_collectives, reproduce_mozart

__all__ = ["reproduce"]


def reproduce(
    paper: Annotated[Literal["mozart", "tacos", "te-ccl"], typer.Argument(help="Which paper's figures.")],
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit the parameters anew instead of taking the preset's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a paper's published figures beside ours, with residuals and what they mean."""
    if paper != "mozart":
        show(reproduce_collectives(paper).table(), as_json=as_json)
        return
    with progress() as tell:
        result = reproduce_mozart(refit=refit, progress=tell)
    show(result.table(), as_json=as_json)
