"""``noptoolkit compare`` and ``noptoolkit plot``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from noptoolkit import study
from noptoolkit.allocation import ALLOCATORS, Allocation
from noptoolkit.allocation.allocating import Objective
from noptoolkit.cli.pictures import save_picture, write_comparison
from noptoolkit.cli.screen import AsJson, Verbose, errors, print_json, progress, show
from noptoolkit.flow import ROUTINGS
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.formats.allocations import load_allocation
from noptoolkit.formats.results import made_folder
from noptoolkit.metrics import METRICS
from noptoolkit.pipeline import run
from noptoolkit.step import POLICIES
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Workload

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ALLOCATOR", "LAYOUT", "OBJECTIVE", "POLICY", "SEED", "compare", "placement", "plot", "with_trace"]

ALLOCATOR = f"How experts are placed: {', '.join(ALLOCATORS)}."
POLICY = f"How the step is scheduled: {', '.join(POLICIES)}."
SEED = "Seed of the trace's split and of the allocator."
LAYOUT = "Use this layout file instead of an allocator."
OBJECTIVE = "What the allocator auto minimises: time of a layer on the package, or C_T.  [default: time]"
METRIC = f"A metric of the table, and what it needs; may be repeated: {', '.join(METRICS)}.  [default: all]"


def compare(
    topologies: Annotated[list[str], typer.Argument(help="Presets or TOML files.")],
    on: Annotated[
        list[str],
        typer.Option(help="A workload: preset or TOML file, or WORKLOAD@TRACE to use a recorded trace."),
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for tables and pictures.")] = None,
    allocator: Annotated[str | None, typer.Option(help=f"{ALLOCATOR}  [default: auto]")] = None,
    allocation: Annotated[
        Path | None, typer.Option(help="Use this layout file instead of an allocator.")
    ] = None,
    routing: Annotated[str, typer.Option(help=f"How traffic is routed: {', '.join(ROUTINGS)}.")] = "optimal",
    policy: Annotated[str, typer.Option(help=POLICY)] = "streaming",
    degree: Annotated[
        Degree | None, typer.Option(help="Copies of a token, if not as the policy says.")
    ] = None,
    normalise: Annotated[
        str | None,
        typer.Option(help="Scale links to the first topology's total: beachfront, wire, bandwidth or cost."),
    ] = None,
    objective: Annotated[Objective | None, typer.Option(help=OBJECTIVE)] = None,
    seed: Annotated[int, typer.Option(help=SEED, min=0)] = 0,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", help="Runs at once, each in its own process; -1: one per core.")
    ] = 1,
    metric: Annotated[list[str] | None, typer.Option(help=METRIC)] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Compare topologies on workloads: one table per workload, and pictures with -o."""
    placed = placement(allocator, allocation)
    folder = None if out is None else made_folder(out)
    with progress() as tell:
        result = study.compare(
            topologies,
            [with_trace(reference) for reference in on],
            allocator=placed or "auto",
            routing=routing,
            policy=policy,
            degree=degree,
            normalise=normalise,
            objective=objective,
            rng=seed,
            jobs=jobs,
            progress=tell,
            metrics=metric,
            report=tell if verbose else None,
        )
        if folder is not None:
            tell("pictures")
            written = write_comparison(result, folder)
    if as_json:
        print_json(result.as_json())
    else:
        show(result.table())
    if folder is not None:
        errors.print(f"written to {folder}: " + ", ".join(written), markup=False, highlight=False)


def placement(allocator: str | None, layout: Path | None) -> str | Allocation | None:
    """Return what places the experts: the name of an allocator, or a layout from its file."""
    if layout is None:
        return allocator
    if allocator is not None:
        raise typer.BadParameter("give an allocator or a layout, not both", param_hint="--allocation")
    return load_allocation(layout)


def with_trace(reference: str) -> Workload:
    """Return the workload of ``WORKLOAD``, or that of ``WORKLOAD@TRACE``, named after both."""
    name, at, trace = reference.partition("@")
    if not at:
        return load_workload(name)
    if not name or not trace:
        raise typer.BadParameter(f"{reference!r} is not WORKLOAD@TRACE", param_hint="--on")
    workload = load_workload(name, trace=trace)
    return dataclasses.replace(workload, name=f"{workload.name}@{Path(trace).stem}")


Shown = Literal["topology", "load", "traffic", "schedule", "utilisation", "layout", "coactivation"]


def plot(
    topology: Annotated[str, typer.Argument(help="Preset or file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Picture: .png, .svg or .pdf.")],
    shown: Annotated[
        Shown, typer.Option("--show", help="What to draw; all but the topology need --on.")
    ] = "topology",
    on: Annotated[str | None, typer.Option(help="A workload, as compare takes it.")] = None,
    seed: Annotated[int, typer.Option(help=SEED, min=0)] = 0,
) -> None:
    """Draw a topology, or what a workload does on it."""
    import noptoolkit.plot as draw

    made_folder(out.parent)
    if shown == "topology":
        if on is not None:
            what = "a topology is drawn without a workload; say what of it to --show"
            raise typer.BadParameter(what, param_hint="--on")
        save_picture(draw.topology(load_topology(topology)), out)
    elif on is None:
        raise typer.BadParameter(f"--show {shown} needs a workload", param_hint="--on")
    else:
        with progress() as tell:
            one = run(topology, with_trace(on), rng=seed, progress=tell)
            pictures: dict[str, Callable[[], Axes]] = {
                "load": lambda: draw.load(one.dispatch),
                "traffic": lambda: draw.traffic(one.dispatch.traffic),
                "schedule": lambda: draw.schedule(one.plan),
                "utilisation": lambda: draw.utilisation(one.plan),
                "layout": lambda: draw.layout(one.package, one.allocation, one.trace),
                "coactivation": lambda: draw.coactivation(one.trace, one.allocation),
            }
            save_picture(pictures[shown](), out)
    errors.print(f"written to {out}", markup=False, highlight=False)
