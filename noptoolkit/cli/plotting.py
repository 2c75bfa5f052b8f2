"""``noptoolkit plot``: one picture of a topology, or of what a workload does on one or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from noptoolkit._names import did_you_mean
from noptoolkit._shown import file_name
from noptoolkit.cli.options import (
    AllocationFile,
    AllocatorName,
    Bandwidth,
    DegreeName,
    Jobs,
    Length,
    MicroBatches,
    Mode,
    NormaliseBy,
    ObjectiveName,
    PolicyName,
    RoutingOfPicture,
    Seed,
    Sequences,
    Settings,
    complete_topology,
    complete_workload,
    folder_and_file,
    placement,
    workload_of,
)
from noptoolkit.cli.pictures import save_picture
from noptoolkit.cli.screen import errors, progress
from noptoolkit.errors import UnknownNameError
from noptoolkit.metrics import METRICS

__all__ = ["KINDS", "plot"]

KINDS: dict[str, Literal["nothing", "topology", "workload"]] = {
    "topology": "topology",
    **dict.fromkeys(("load", "loads", "traffic", "multicast"), "workload"),
    **dict.fromkeys(("schedule", "utilisation", "breakdown", "step_bounds", "animate"), "workload"),
    **dict.fromkeys(("comparison", "scaling"), "workload"),
    **dict.fromkeys(("layout", "layouts", "coactivation", "pareto"), "workload"),
    **dict.fromkeys(("roofline", "degradation"), "workload"),
    **dict.fromkeys(("bandwidth_curve", "ladder", "upgrades"), "workload"),
    **dict.fromkeys(("temperature", "collective", "latency", "latencies"), "topology"),
    "published": "nothing",
}
"""Each kind of picture, and what it is drawn of."""

SEVERAL = ("loads", "breakdown", "comparison", "scaling")
"""Pictures of several topologies."""


ONLY = {
    "--power": ("temperature",),
    "--link": ("bandwidth_curve", "upgrades"),
    "--to": ("upgrades",),
    "--layer": ("layout", "coactivation", "multicast"),
    "--token": ("multicast",),
    "--kind": ("collective",),
    "--bytes": ("collective",),
    "--x": ("scaling",),
    "--y": ("scaling",),
}
"""Options that only some pictures depend on."""


def _kind(value: str) -> str:
    if value not in KINDS:
        raise UnknownNameError(f"no picture named {value!r}; {did_you_mean(value, KINDS)}")
    return value


def _metric(value: str) -> str:
    if value not in METRICS:
        raise UnknownNameError(f"no metric named {value!r}; {did_you_mean(value, METRICS)}")
    return value


def _powers(given: Sequence[str] | None) -> list[tuple[str, str]]:
    pairs = [tuple(part.strip() for part in text.partition("=")[::2]) for text in given or ()]
    for (name, power), text in zip(pairs, given or (), strict=True):
        if not (name and power):
            raise typer.BadParameter(f"{text!r} is not NODE=POWER", param_hint="--power")
    return [(name, power) for name, power in pairs]


def _given(context: typer.Context) -> set[str]:
    """Return the options that stand on the command line, by their long names."""
    return {
        parameter.opts[0]
        for parameter in context.command.params
        if getattr(context.get_parameter_source(parameter.name or ""), "name", "") == "COMMANDLINE"
    }


def plot(
    context: typer.Context,
    topologies: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Topologies: presets or files; several for {', '.join(SEVERAL)}.",
            autocompletion=complete_topology,
        ),
    ] = None,
    shown: Annotated[
        str,
        typer.Option(
            "--show",
            help=f"Picture: {', '.join(KINDS)}.",
            callback=_kind,
            autocompletion=lambda incomplete: [name for name in KINDS if name.startswith(incomplete)],
        ),
    ] = "topology",
    on: Annotated[
        str | None,
        typer.Option(help="Workload, as compare takes it.", autocompletion=complete_workload),
    ] = None,
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: MicroBatches = None,
    allocator: AllocatorName = None,
    allocation: AllocationFile = None,
    routing: RoutingOfPicture = None,
    policy: PolicyName = "streaming",
    degree: DegreeName = None,
    normalise: NormaliseBy = None,
    objective: ObjectiveName = None,
    part: Annotated[
        Literal["dispatch", "combine", "uniform"],
        typer.Option(
            "--traffic",
            help="Traffic that is drawn, degraded or upgraded.",
        ),
    ] = "dispatch",
    layer: Annotated[
        int, typer.Option(help="Layer of the trace, for layout, coactivation, multicast.", min=0)
    ] = 0,
    token: Annotated[int, typer.Option(help="Token of the trace, for multicast.", min=0)] = 0,
    power: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE=POWER", help="Power by name, wildcard or role, for temperature: 'expert=20 W'."
        ),
    ] = None,
    x: Annotated[
        str, typer.Option(help="Metric along x, for scaling.", callback=_metric)
    ] = "total_bandwidth",
    y: Annotated[str, typer.Option(help="Metric along y, for scaling.", callback=_metric)] = "step",
    link: Annotated[
        list[str] | None,
        typer.Option(
            help="Link to change, for bandwidth_curve and upgrades: 'a->b', 'a<->b', wildcards, or 'd2d'. "
            "May be repeated."
        ),
    ] = None,
    to: Annotated[str | None, typer.Option(help="New bandwidth per direction, for upgrades.")] = None,
    kind: Annotated[str, typer.Option(help="Kind of the collective, such as 'all-gather'.")] = "all-reduce",
    size: Annotated[str, typer.Option("--bytes", help="Bytes of the collective's buffer.")] = "64 MB",
    style: Annotated[
        Literal["column", "page"], typer.Option(help="Width of the picture: of one column, or of a page.")
    ] = "column",
    bandwidth: Bandwidth = None,
    seed: Seed = 0,
    jobs: Jobs = 1,
    picture: Annotated[
        Path | None,
        typer.Option(help="File: .png, .svg, .pdf or another ending that matplotlib knows; .gif of animate."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the picture, named after what it shows.")
    ] = None,
) -> None:
    """Draw a topology, or what a workload does on one or several."""
    references, needs = topologies or [], KINDS[shown]
    given = _given(context)
    if needs != "nothing" and not references:
        raise typer.BadParameter(f"--show {shown} needs a topology", param_hint="TOPOLOGIES")
    if len(references) > 1 and shown not in SEVERAL:
        raise typer.BadParameter(
            f"--show {shown} draws one topology; several are for {', '.join(SEVERAL)}",
            param_hint="TOPOLOGIES",
        )
    if needs != "workload" and on is not None:
        what = f"the picture {shown} is drawn without a workload; say what of it to --show"
        raise typer.BadParameter(what, param_hint="--on")
    if needs == "workload" and on is None:
        raise typer.BadParameter(f"--show {shown} needs a workload", param_hint="--on")
    for option, shows in ONLY.items():
        if option in given and shown not in shows:
            raise typer.BadParameter(f"it only counts with --show {' or '.join(shows)}", param_hint=option)
    if out is None and picture is None:
        raise typer.BadParameter("give --picture FILE or -o FOLDER", param_hint="--picture")
    batch = (mode, sequences, length, micro_batches)
    workload = None if on is None else workload_of(on, settings, *batch)
    placed = placement(allocator, allocation, [], [] if workload is None else [workload])
    folder, file = folder_and_file(out, picture, "--picture")
    ending = "gif" if shown == "animate" else "png"
    name = "-".join([shown, *(Path(reference).stem for reference in references[:1])])
    target = file if file is not None or folder is None else folder / f"{file_name(name)}.{ending}"
    assert target is not None
    import noptoolkit.plot as draw
    from noptoolkit.cli.scenes import METRICS_OF, PICTURES, Scene

    with progress() as tell, draw.style(style):
        options = {
            "allocator": placed or "auto",
            "routing": routing or ("shortest" if shown == "multicast" else "optimal"),
            "policy": policy,
            "degree": degree,
            "objective": objective,
            "rng": seed,
            "jobs": jobs,
        }
        scene = Scene(
            references=references,
            bandwidth=bandwidth,
            workload=workload,
            normalise=normalise,
            metrics=METRICS_OF.get(shown, (x, y) if shown == "scaling" else ()),
            options=options,
            part=part,
            layer=layer,
            token=token,
            power=_powers(power),
            x=x,
            y=y,
            links=link or (),
            to=to,
            kind=kind,
            size=size,
            tell=tell,
        )
        if shown == "animate":
            draw.animate(scene.run.plan, target)
        else:
            save_picture(PICTURES[shown](scene), target)
    errors.print(f"written to {target}", markup=False, highlight=False)
