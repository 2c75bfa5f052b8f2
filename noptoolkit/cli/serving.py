"""``noptoolkit serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from noptoolkit.cli.options import (
    AllocationFile,
    AllocatorName,
    RoutingName,
    Settings,
    Topology,
    WorkloadName,
    hosts_of,
    placement,
    workload_of,
)
from noptoolkit.cli.pictures import save_picture
from noptoolkit.cli.reporting import Report, checked_report, write_page_of
from noptoolkit.cli.screen import AsJson, errors, progress, show
from noptoolkit.formats import load_topology
from noptoolkit.formats.results import made_folder, replace_file

if TYPE_CHECKING:
    from noptoolkit.allocation import Allocation
    from noptoolkit.package import Package
    from noptoolkit.workload import Workload

__all__ = ["serve"]

ROWS = 24


def serve(
    topology: Topology,
    on: WorkloadName,
    settings: Settings = None,
    context: Annotated[int, typer.Option(help="Tokens of each sequence's context.")] = 4096,
    batch: Annotated[
        str, typer.Option(help="Sequences that decode at once: 1:256, 1:256:24 (24 of them) or 1,8,64.")
    ] = "1:256",
    prompt: Annotated[
        int | None, typer.Option(help="Tokens of the prompt to the first token; the context if not given.")
    ] = None,
    hosts: Annotated[
        str | None,
        typer.Option(
            help="Chiplets of attention: experts, all, or names with commas; else attention chiplets."
        ),
    ] = None,
    attention: Annotated[
        Literal["data", "tensor"], typer.Option(help="Attention on several hosts: by sequence or by head.")
    ] = "data",
    cache: Annotated[
        Literal["hosts", "sequences", "heads"],
        typer.Option(help="Where keys and values lie: at their hosts, or dealt over all stacks."),
    ] = "hosts",
    experts: Annotated[
        Literal["routed", "used", "all"],
        typer.Option(help="Experts that a step loads: those used, once routed or ahead; or all."),
    ] = "routed",
    resident: Annotated[
        Literal["none", "pinned", "recent"], typer.Option(help="Experts that stay in SRAM between steps.")
    ] = "none",
    proposed: Annotated[int, typer.Option(help="Tokens proposed per sequence and step (speculation).")] = 0,
    acceptance: Annotated[
        float | None, typer.Option(help="Share of proposed tokens that is accepted; 0.8 if not given.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second: adds continuous batching.")] = None,
    output: Annotated[
        int | None,
        typer.Option(help="Mean output tokens of a request, with --rate; 256 if not given.", min=1),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(
            help="Prompt tokens of a step at most, with --rate; 512 or what the model knows if not given.",
            min=1,
        ),
    ] = None,
    allocator: AllocatorName = None,
    allocation: AllocationFile = None,
    routing: RoutingName = "shortest",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the table and the picture.")
    ] = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Serve a model: time per token, tokens per second and per joule against the batch, and what fits."""
    from noptoolkit import serving as room
    from noptoolkit.serving.batches import batches_of

    if rate is None and not (output is None and chunk is None):
        raise typer.BadParameter("--output and --chunk are of a stream of requests", param_hint="--rate")
    if not proposed and acceptance is not None:
        raise typer.BadParameter("of proposed tokens; give --proposed too", param_hint="--acceptance")
    checked_report(report)
    package, workload = load_topology(topology), workload_of(on, settings)
    length = context if prompt is None else prompt
    accepted = 0.0 if not proposed else 0.8 if acceptance is None else acceptance
    # made here, so that a wrong number is told before any work
    speculation, batches = room.Speculation(proposed, accepted), batches_of(batch)
    requests = None
    if rate is not None:
        requests = room.Requests(rate, length, room.Lengths(256 if output is None else output, "geometric"))
    pieces = min(512, workload.model.context or 512) if chunk is None else chunk
    layout = _layout(package, workload, allocator, allocation)
    folder = None if out is None else made_folder(out)
    chosen: Any = hosts_of(hosts)
    with progress() as tell:
        curve = room.serve(
            package,
            workload,
            layout,
            context=context,
            batch=batches,
            prompt=prompt,
            speculation=speculation,
            progress=tell,
            routing=routing,
            hosts=chosen,
            attention=attention,
            cache=cache,
            experts=experts,
            resident=resident,
        )
        stream = None if requests is None else room.stream_of(curve, requests, chunk=pieces, progress=tell)
    write_page_of([curve] if stream is None else [curve, stream], report)
    show(curve.table() if as_json else curve.table(ROWS), as_json=as_json)
    for table in () if stream is None else stream.tables():
        show(table, as_json=as_json)
    if folder is not None:
        import noptoolkit.plot as draw

        replace_file(folder / "serving.csv", curve.table().csv())
        with draw.style("page"):
            save_picture(draw.serving({package.name: curve}), folder / "serving.png", folder / "serving.svg")
        written = "serving.csv, serving.png, serving.svg"
        errors.print(f"written to {folder}: {written}", markup=False, highlight=False)


def _layout(
    package: Package, workload: Workload, allocator: str | None, file: Path | None
) -> Allocation | None:
    from noptoolkit.allocation import allocate

    placed = placement(allocator, file, [package], [workload])
    if isinstance(placed, str):
        return allocate(workload.trace, package, method=placed)
    return placed
