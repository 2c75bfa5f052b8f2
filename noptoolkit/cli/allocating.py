"""``noptoolkit allocate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from noptoolkit._names import did_you_mean
from noptoolkit.allocation import ALLOCATORS, compare_layouts, layouts_by_cap
from noptoolkit.allocation import allocate as fit_layout
from noptoolkit.allocation.replication import REPLICATIONS
from noptoolkit.cli.options import (
    Bandwidth,
    ObjectiveName,
    Settings,
    complete_topology,
    complete_workload,
    folder_and_file,
    topology_of,
    workload_of,
)
from noptoolkit.cli.pictures import write_layouts
from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.errors import UnknownNameError
from noptoolkit.formats import load_trace
from noptoolkit.formats.allocations import save_allocation
from noptoolkit.formats.results import made_folder, save_table
from noptoolkit.trace import RoutingTrace

__all__ = ["allocate"]

METHODS = ("contiguous", "random", "mozart", "agglomerative", "leiden", "auto")


def _methods(given: list[str] | None) -> list[str] | None:
    """Refuse a misspelt allocator before the trace is read."""
    for name in given or ():
        if name not in ALLOCATORS:
            raise UnknownNameError(f"no allocator named {name!r}; {did_you_mean(name, ALLOCATORS)}")
    return given


def allocate(
    trace: Annotated[
        str,
        typer.Argument(
            help="Trace: a file, or a workload for its routing (preset, TOML, WORKLOAD@TRACE).",
            autocompletion=complete_workload,
        ),
    ],
    on: Annotated[str, typer.Option(help="Topology: preset or file.", autocompletion=complete_topology)],
    settings: Settings = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Allocator; may be repeated. The layout of the smallest held-out time is written.",
            callback=_methods,
        ),
    ] = None,
    objective: ObjectiveName = None,
    by: Annotated[Literal["token", "document"], typer.Option(help="Unit that is held out.")] = "token",
    domains: Annotated[
        bool, typer.Option("--domains", help="Also fit on each domain and judge on the others.")
    ] = False,
    cap_chiplet: Annotated[
        float | None, typer.Option(help="Largest load of a chiplet over the mean.")
    ] = None,
    cap_group: Annotated[float | None, typer.Option(help="Largest load of a group over the mean.")] = None,
    redundant: Annotated[int, typer.Option(help="Redundant experts in each layer.", min=0)] = 0,
    redundant_by: Annotated[
        Literal["traffic", "load", "hierarchical"],
        typer.Option(help="Copy experts where that saves the most messages, or by load alone."),
    ] = "traffic",
    experts: Annotated[
        int | None, typer.Option(help="Number of experts, where the file does not say.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Experts per token, for a file of loads.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the allocators.", min=0)] = 0,
    layout: Annotated[Path | None, typer.Option(help="File for the best layout: .toml or .json.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the best layout, the table and pictures.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for the pictures alone.")] = None,
    bandwidth: Bandwidth = None,
    as_json: AsJson = False,
) -> None:
    """Compare layouts of a trace's experts on a topology, judged on tokens they were not fitted to."""
    single = layout if layout is not None or out is None or out.is_dir() or not out.suffix else out
    if single is not None and single.suffix not in (".toml", ".json"):
        raise typer.BadParameter(
            f"a layout is written as .toml or .json, not {single.suffix!r}", param_hint="--layout"
        )
    folder, file = folder_and_file(out, layout, "--layout")
    drawn = folder if pictures is None else made_folder(pictures)
    if folder is not None and file is None:
        file = folder / "layout.toml"
    package = topology_of(on, bandwidth)
    limits: dict[str, Any] = {
        "objective": objective,
        "cap_chiplet": cap_chiplet,
        "cap_group": cap_group,
        "rng": seed,
    }
    copies: dict[str, Any] = {"redundant": redundant, "redundant_by": redundant_by}
    with progress() as tell:
        tell(f"{trace}: routing trace")
        routing = _routing(trace, experts, top_k, settings)
        tell(f"{package.name}: expert allocation")
        report = compare_layouts(
            routing, package, method or METHODS, by=by, domains=domains, **copies, **limits
        )
        if file is not None:
            tell(f"{package.name}: layout of all tokens")
            best = report.best.method
            aims = limits if best == "auto" else {**limits, "objective": None}
            written = fit_layout(routing, package, method=best, **aims)
            if redundant:
                written = REPLICATIONS[redundant_by](written, routing, redundant)
            save_allocation(file, written)
        if drawn is not None:
            tell("pictures")
            curve = layouts_by_cap(routing, package, objective=objective or "c_t", rng=seed)
            write_layouts(report, curve, drawn)
        if folder is not None:
            save_table(folder / "layouts", report.table())
    show(report.table(), as_json=as_json)
    if file is not None:
        why = "" if len(report.rows) == 1 else ", the smallest time of those above"
        say = f"written to {file}: layout by {written.method}{why}, fitted to all tokens"
        errors.print(say, markup=False, highlight=False)


def _routing(
    reference: str, experts: int | None, top_k: int | None, settings: list[str] | None
) -> RoutingTrace:
    if "@" not in reference and Path(reference).suffix not in ("", ".toml"):
        if settings:
            raise typer.BadParameter(
                f"{reference} is a trace; only a workload has fields", param_hint="--set"
            )
        return load_trace(reference, num_experts=experts, top_k=top_k)
    if experts is not None or top_k is not None:
        raise typer.BadParameter(f"{reference} holds both", param_hint="--experts, --top-k")
    return workload_of(reference, settings).trace
