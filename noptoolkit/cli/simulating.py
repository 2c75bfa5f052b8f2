"""``noptoolkit simulate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from noptoolkit.cli.options import (
    AllocationFile,
    AllocatorName,
    Bandwidth,
    Topology,
    complete_workload,
    placement,
    topology_of,
    workload_of,
)
from noptoolkit.cli.pictures import save_picture
from noptoolkit.cli.reporting import Report, checked_report, write_page_of
from noptoolkit.cli.screen import AsJson, errors, print_json, progress, show
from noptoolkit.flow import congestion
from noptoolkit.formats.results import made_folder, replace_file
from noptoolkit.pipeline import run as run_stages
from noptoolkit.tables import Table
from noptoolkit.traffic import Traffic, all_to_all, hotspot, transpose

if TYPE_CHECKING:
    from noptoolkit.package import Package
    from noptoolkit.simulate import LatencyCurve, Pattern, Simulation
    from noptoolkit.workload import Workload

__all__ = ["simulate"]

PATTERNS = ("uniform", "all-to-all", "transpose", "hotspot")


def simulate(
    topology: Topology,
    traffic: Annotated[
        str | None,
        typer.Option(
            help=f"Traffic: {', '.join(PATTERNS)}; uniform if not given. uniform: every packet to any "
            "chiplet, the sender's own included, as in BookSim2; a hotspot is the first chiplet."
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Run at one load, in flits per cycle and source.")
    ] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Show the latency at rising loads.")] = False,
    saturate: Annotated[bool, typer.Option("--saturation", help="Find the load of saturation.")] = False,
    on: Annotated[
        str | None,
        typer.Option(
            help="Workload whose dispatch and combine are run until done.", autocompletion=complete_workload
        ),
    ] = None,
    allocator: AllocatorName = None,
    allocation: AllocationFile = None,
    routing: Annotated[str, typer.Option(help="Routing by destination, valiant or adaptive.")] = "shortest",
    vcs: Annotated[int, typer.Option(help="Virtual channels of each port.")] = 8,
    depth: Annotated[int, typer.Option(help="Buffer of each virtual channel, in flits.")] = 16,
    packet: Annotated[int, typer.Option(help="Size of a packet, in flits.")] = 1,
    flit: Annotated[str | None, typer.Option(help="Size of a flit, such as '64 B'.")] = None,
    speedup: Annotated[float, typer.Option(help="Internal speedup of the routers.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Seed of the random draws.", min=0)] = 0,
    threads: Annotated[int | None, typer.Option(help="Runs of a sweep at a time.")] = None,
    allow_deadlock: Annotated[
        bool, typer.Option("--allow-deadlock", help="Run a routing that can deadlock.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for tables, pictures and a trace of packets.")
    ] = None,
    bandwidth: Bandwidth = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Simulate routers with buffers and virtual channels, cycle by cycle."""
    from noptoolkit import simulate as room

    checked_report(report)
    package = topology_of(topology, bandwidth)
    results: list[Any] = []
    models: list[Workload] = []
    router = room.Router(vcs=vcs, depth=depth, packet=packet, flit=flit, speedup=speedup)
    runs = {"--rate": rate is not None, "--sweep": sweep, "--saturation": saturate, "--on": on is not None}
    asked = [option for option, given in runs.items() if given]
    if len(asked) != 1:
        raise typer.BadParameter(f"give one of {', '.join(runs)}", param_hint=" and ".join(asked or runs))
    pattern = _pattern(package, traffic or "uniform")
    for option, given, needed, useful in (
        ("--traffic", traffic, "--rate, --sweep or --saturation", on is None),
        ("--allocator", allocator, "--on", on is not None),
        ("--allocation", allocation, "--on", on is not None),
        ("--threads", threads, "--sweep", sweep),
    ):
        if given is not None and not useful:
            raise typer.BadParameter(f"it only counts with {needed}", param_hint=option)
    folder = None if out is None else made_folder(out)
    found: list[Table] = []
    written: list[str] = []
    common: dict[str, Any] = {
        "routing": routing,
        "router": router,
        "rng": seed,
        "allow_deadlock": allow_deadlock,
    }
    with progress() as tell:
        if on is not None:
            workload = workload_of(on)
            placed = placement(allocator, allocation, [package], [workload]) or "auto"
            stages = run_stages(package, workload, allocator=placed, rng=seed, progress=tell)
            models.append(stages.given)
            for step in (stages.dispatch_traffic, stages.combine_traffic):
                flow = congestion(package, step, routing=routing if routing != "adaptive" else "ecmp")
                seen = room.check(
                    flow, router=router, routing=routing, rng=seed, allow_deadlock=allow_deadlock
                )
                results.append(seen)
                table = seen.table()
                layout = f"{stages.given.name}, layout: {stages.allocation.method or 'of a file'}"
                found.append(replace(table, notes=(layout, *table.notes)))
                if folder is not None:
                    name = step.name.split(" ")[0]
                    room.write_packet_trace(seen.run, folder / f"{name}.trace.json")
                    written += [f"{name}.trace.json", *_histogram(seen.run, folder, name)]
        else:
            if rate is not None:
                run = room.simulate(package, pattern, rate=rate, progress=tell, **common)
                results.append(run)
                found.append(run.table())
                if folder is not None:
                    written += _histogram(run, folder, "latency")
            elif saturate:
                bracket = room.saturation(package, pattern, progress=tell, **common)
                results.append(bracket)
                found.append(bracket.table())
            else:
                bound = room.load_bound(package, pattern, router=router)
                rates = [float(x) for x in np.linspace(0.1, 1.0, 10) * min(1.0, 1.05 * bound)]
                curve = room.latency_curve(package, pattern, rates, threads=threads, progress=tell, **common)
                table = curve.table()
                limit = f"no routing carries more than {bound:.4g} flits per cycle and source"
                found.append(replace(table, notes=(*table.notes, limit)))
                results += [curve, found[-1]]
                if folder is not None:
                    written += _curve(curve, bound, folder)
    write_page_of([*results, *models], report)
    if as_json and len(found) > 1:
        print_json({"tables": [table.as_json() for table in found]})
    else:
        for table in found:
            show(table, as_json=as_json)
    if folder is not None:
        for k, table in enumerate(found):
            name = "simulation" if len(found) == 1 else f"simulation-{k + 1}"
            replace_file(folder / f"{name}.csv", table.csv())
            written.append(f"{name}.csv")
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)


def _pattern(package: Package, name: str) -> Traffic | Pattern:
    """Return the traffic of a name, over the experts of a package, or all its chiplets."""
    from noptoolkit.simulate import uniform

    among = "experts" if len(package.experts) > 1 else "terminals"
    if name == "uniform":
        return uniform(package)
    if name == "all-to-all":
        return all_to_all(package, 1.0, among=among)
    if name == "transpose":
        return transpose(package, 1.0, among=among)
    if name == "hotspot":
        return hotspot(package, 1.0, to=(package.experts or package.terminals)[0], among=among)
    raise typer.BadParameter(f"no traffic {name!r}; known: {', '.join(PATTERNS)}", param_hint="--traffic")


def _curve(curve: LatencyCurve, bound: float, folder: Path) -> list[str]:
    import noptoolkit.plot as draw

    with draw.style("page"):
        save_picture(draw.latency(curve, bound=bound), folder / "latency.png", folder / "latency.svg")
    return ["latency.png", "latency.svg"]


def _histogram(run: Simulation, folder: Path, name: str) -> list[str]:
    import noptoolkit.plot as draw

    with draw.style("page"):
        save_picture(draw.latencies(run), folder / f"{name}.png", folder / f"{name}.svg")
    return [f"{name}.png", f"{name}.svg"]
