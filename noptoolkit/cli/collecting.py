"""``noptoolkit collective``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noptoolkit._names import did_you_mean
from noptoolkit.cli.options import Bandwidth, Topology, folder_and_file, topology_of
from noptoolkit.cli.reporting import Report, checked_report, write_page_of
from noptoolkit.cli.screen import AsJson, Verbose, errors, print_json, progress, show
from noptoolkit.collectives import collective as solve
from noptoolkit.collectives import compare_algorithms
from noptoolkit.collectives.exports import as_data
from noptoolkit.collectives.msccl import as_msccl
from noptoolkit.collectives.whole_chunks import in_whole_chunks
from noptoolkit.errors import RoutingError, UnknownNameError
from noptoolkit.formats.collective_schedules import check_schedule_name, save_collective
from noptoolkit.formats.results import save_table
from noptoolkit.units import format_quantity

__all__ = ["collective"]


def collective(
    topology: Topology,
    kind: Annotated[
        str,
        typer.Option(
            help="broadcast, reduce, scatter, gather, all-gather, reduce-scatter, all-reduce, all-to-all "
            "or send."
        ),
    ] = "all-reduce",
    size: Annotated[str, typer.Option("--bytes", help="Bytes of the buffer, such as '64 MB'.")] = "64 MB",
    among: Annotated[
        str | None,
        typer.Option(
            help="experts, terminals, names of chiplets, with commas between; experts if not given."
        ),
    ] = None,
    root: Annotated[
        str | None, typer.Option(help="Root of a rooted kind; the first member if not given.")
    ] = None,
    in_network: Annotated[
        bool | None,
        typer.Option(
            "--in-network/--no-in-network",
            help="Every relay adds and copies, or none; those that say so if not given.",
        ),
    ] = None,
    forwards: Annotated[
        str,
        typer.Option(
            help="Chiplets that forward: all, none, or names with commas between; switches always do."
        ),
    ] = "all",
    tol: Annotated[float, typer.Option(help="Gap at which to stop on large packages.")] = 0.01,
    time_limit: Annotated[float | None, typer.Option(help="Time for iterative solvers, in s.")] = None,
    schedule: Annotated[
        Path | None, typer.Option(help="File for the schedule: .json, or .xml in the style of MSCCL.")
    ] = None,
    simulated: Annotated[
        bool,
        typer.Option("--simulate", help="Run the schedule in simulated routers too, beside its fluid time."),
    ] = False,
    chunks: Annotated[
        int | None, typer.Option(help="Chunks of each tree in a simulation; the best number if not given.")
    ] = None,
    whole_chunks: Annotated[
        int | None,
        typer.Option(help="Chunks of the buffer that trees carry whole, for the schedule that is written."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the schedule and the tables.")
    ] = None,
    bandwidth: Bandwidth = None,
    report: Report = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Print the fastest way to run a collective, its bound and cut, and what algorithms of today reach."""
    folder, file = folder_and_file(out, schedule, "--schedule")
    if folder is not None and file is None:
        file = folder / "schedule.json"
    if file is not None:
        check_schedule_name(file)
    checked_report(report)
    package = topology_of(topology, bandwidth)
    members: str | list[str] | None = among
    sets = {"experts": package.experts, "terminals": package.terminals}
    if among is not None and among not in sets:
        words = [word.strip() for word in among.split(",")]
        for word in words:
            if word not in sets and word not in package.index:
                hint = did_you_mean(word, [*sets, *package.index])
                raise UnknownNameError(
                    f"--among: package {package.name!r} has no node or set {word!r}; {hint}"
                )
        members = [name for word in words for name in sets.get(word, (word,))]
    forwarding: bool | list[str] = forwards != "none"
    if forwards not in ("all", "none"):
        forwarding = [name.strip() for name in forwards.split(",")]
    for name, number in (("--chunks", chunks), ("--whole-chunks", whole_chunks)):
        if number is not None and number < 1:
            raise typer.BadParameter(f"{number} is no number of chunks: give 1 or more", param_hint=name)
    if whole_chunks is not None and file is None:
        raise RoutingError("--whole-chunks is for a schedule that is written; add --schedule FILE")
    if chunks is not None and not simulated:
        raise RoutingError("--chunks is for a simulation; add --simulate (a schedule has --whole-chunks)")
    with progress() as tell:
        tell("the best schedule and its bound")
        best = solve(
            package,
            kind,
            size,
            among=members,
            root=root,
            in_network=in_network,
            tol=tol,
            time_limit=time_limit,
            report=tell if verbose else None,
            forwards=forwarding,
        )
        tell("algorithms of today")
        found = compare_algorithms(best)
        seen = None
        if simulated:
            from noptoolkit.collectives.simulated import check_collective

            seen = check_collective(best, chunks=chunks, progress=tell)
    if file is not None:
        if best.schedule is None:
            raise RoutingError("this result keeps no schedule to write; see its notes")
        kept = best if whole_chunks is None else in_whole_chunks(best, whole_chunks)
        save_collective(file, as_msccl(kept) if file.suffix == ".xml" else as_data(kept))
    if folder is not None:
        save_table(folder / "collective", found.table())
        if seen is not None:
            save_table(folder / "simulation", seen.table())
    write_page_of([found] if seen is None else [found, seen], report)
    if seen is not None and as_json:
        print_json({"collective": found.table().as_json(), "simulation": seen.table().as_json()})
    else:
        for table in [found.table()] if seen is None else [found.table(), seen.table()]:
            show(table, as_json=as_json)
    if file is not None:
        slower = ""
        if whole_chunks is not None:
            slower = f"; {whole_chunks} whole chunks take {format_quantity(kept.time, 's')}"
        errors.print(f"written to {file}{slower}", markup=False, highlight=False)
