"""``noptoolkit reproduce``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from noptoolkit.cli.screen import AsJson, progress, show
from noptoolkit.study import reproduce_collectives, reproduce_fred, reproduce_mozart

__all__ = ["reproduce"]

Paper = Literal["mozart", "tacos", "te-ccl", "fred"]


def reproduce(
    paper: Annotated[Paper, typer.Argument(help="Which paper's figures.")],
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit the parameters anew instead of taking the preset's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a paper's published figures beside ours, with residuals and what they mean."""
    if paper == "mozart":
        with progress() as tell:
            result = reproduce_mozart(refit=refit, progress=tell)
        show(result.table(), as_json=as_json)
        return
    if refit:
        raise typer.BadParameter(f"{paper} has no fitted parameters", param_hint="--refit")
    if paper == "fred":
        show(reproduce_fred().table(), as_json=as_json)
        return
    show(reproduce_collectives(paper).table(), as_json=as_json)
