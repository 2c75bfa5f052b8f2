"""``--report``: one HTML page of what a command computed; and ``noptoolkit report`` of a stored study."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from noptoolkit.cli.screen import errors, warned
from noptoolkit.formats.results import made_folder

__all__ = ["Report", "checked_report", "report", "write_page_of"]

Report = Annotated[
    Path | None,
    typer.Option("--report", help="Also write one HTML page, which needs no network, to this file."),
]
"""Option of every command that computes."""

words: list[str] = []
"""Arguments of the command that runs, for its page."""


def checked_report(path: Path | None) -> Path | None:
    """Refuse a page that could not be written before anything is computed; make its folder.

    Raises
    ------
    NopError
        If the extra ``report`` is not installed, or the folder cannot be made.
    """
    if path is not None:
        from noptoolkit.report.page import needed

        needed()
        made_folder(path.parent)
    return path


def write_page_of(results: Any, path: Path | None, title: str = "") -> None:
    """Write the page of results to where ``--report`` says, with the command and the warnings it gave."""
    if path is None:
        return
    from noptoolkit.report import write_report

    write_report(
        results, path, command=["noptoolkit", *words], title=title, notes=list(dict.fromkeys(warned))
    )
    errors.print(f"report written to {path}", markup=False, highlight=False)


def report(
    store: Annotated[Path, typer.Argument(help="Store of studies, as noptoolkit sweep writes it.")],
    study: Annotated[str | None, typer.Argument(help="Name of the study; the only one if not given.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File of the page; beside the store if not given.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Keep points that meet it, such as 'step < 10 ms'. May be repeated."),
    ] = None,
) -> None:
    """Write one HTML page of a stored study: its points, the front of any two metrics, its table."""
    from noptoolkit import studies
    from noptoolkit.report.study import study_page

    path = checked_report(out or store.with_suffix(".html"))
    assert path is not None
    with studies.Store(store, create=False) as kept:
        page = study_page(kept, study, where=where or (), command=["noptoolkit", *words])
    from noptoolkit.report.page import write_page

    write_page(page, path)
    sys.stdout.write(f"{path}\n")
