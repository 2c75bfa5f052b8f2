"""``noptoolkit allocate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from noptoolkit.allocation import allocate as fit_layout
from noptoolkit.allocation import compare_layouts, layouts_by_cap
from noptoolkit.allocation.allocating import Objective
from noptoolkit.allocation.replication import REPLICATIONS
from noptoolkit.cli.comparing import OBJECTIVE, with_trace
from noptoolkit.cli.pictures import write_layouts
from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.formats import load_topology, load_trace
from noptoolkit.formats.allocations import save_allocation
from noptoolkit.formats.results import made_folder
from noptoolkit.trace import RoutingTrace

__all__ = ["allocate"]

METHODS = ("contiguous", "random", "mozart", "agglomerative", "leiden", "auto")


def allocate(
    trace: Annotated[
        str,
        typer.Argument(
            help="A file of routing; or a workload for its routing: preset, TOML, WORKLOAD@TRACE."
        ),
    ],
    on: Annotated[str, typer.Option(help="The topology: preset or file.")],
    method: Annotated[
        list[str] | None,
        typer.Option(help="An allocator; may be repeated; the last one's layout is written."),
    ] = None,
    objective: Annotated[Objective | None, typer.Option(help=OBJECTIVE)] = None,
    by: Annotated[Literal["token", "document"], typer.Option(help="What is held out.")] = "token",
    domains: Annotated[
        bool, typer.Option("--domains", help="Also fit on each domain and judge on the others.")
    ] = False,
    cap_chiplet: Annotated[
        float | None, typer.Option(help="Largest load of a chiplet over the mean.")
    ] = None,
    cap_group: Annotated[float | None, typer.Option(help="Largest load of a group over the mean.")] = None,
    redundant: Annotated[int, typer.Option(help="Redundant experts in each layer.", min=0)] = 0,
    redundant_by: Annotated[
        Literal["traffic", "load"],
        typer.Option(help="Copy experts where that saves the most messages, or by load alone."),
    ] = "traffic",
    experts: Annotated[int | None, typer.Option(help="Experts, where the file does not say.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Experts per token, for a file of loads.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the allocators.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the layout here: .toml or .json.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures of the layout.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare layouts of a trace's experts on a topology, judged on tokens they were not fitted to."""
    if out is not None:
        if out.suffix not in (".toml", ".json"):
            raise typer.BadParameter(
                f"a layout is written as .toml or .json, not {out.suffix!r}", param_hint="--out"
            )
        made_folder(out.parent)
    folder = None if pictures is None else made_folder(pictures)
    package = load_topology(on)
    limits: dict[str, Any] = {
        "objective": objective,
        "cap_chiplet": cap_chiplet,
        "cap_group": cap_group,
        "rng": seed,
    }
    copies: dict[str, Any] = {"redundant": redundant, "redundant_by": redundant_by}
    with progress() as tell:
        tell(f"{trace}: routing trace")
        routing = _routing(trace, experts, top_k)
        tell(f"{package.name}: expert allocation")
        report = compare_layouts(
            routing, package, method or METHODS, by=by, domains=domains, **copies, **limits
        )
        if out is not None:
            tell(f"{package.name}: layout of all tokens")
            layout = fit_layout(routing, package, method=(method or METHODS)[-1], **limits)
            if redundant:
                layout = REPLICATIONS[redundant_by](layout, routing, redundant)
            save_allocation(out, layout)
        if folder is not None:
            tell("pictures")
            curve = layouts_by_cap(routing, package, objective=objective, rng=seed)
            write_layouts(report, curve, folder)
    show(report.table(), as_json=as_json)
    if out is not None:
        say = f"written to {out}: layout by {layout.method}, fitted to all tokens"
        errors.print(say, markup=False, highlight=False)


def _routing(reference: str, experts: int | None, top_k: int | None) -> RoutingTrace:
    if "@" not in reference and Path(reference).suffix not in ("", ".toml"):
        return load_trace(reference, num_experts=experts, top_k=top_k)
    if experts is not None or top_k is not None:
        raise typer.BadParameter(f"{reference} says both itself", param_hint="--experts, --top-k")
    return with_trace(reference).trace
