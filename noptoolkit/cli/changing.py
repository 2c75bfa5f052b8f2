"""``noptoolkit what-if``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from noptoolkit.cli.options import (
    AllocationFile,
    AllocatorName,
    Bandwidth,
    Jobs,
    Length,
    MicroBatches,
    Mode,
    PolicyName,
    RoutingName,
    Seed,
    Sequences,
    Settings,
    Topology,
    complete_workload,
    placement,
    topology_of,
    workload_of,
)
from noptoolkit.cli.pictures import write_what_if
from noptoolkit.cli.reporting import Report, checked_report, write_page_of
from noptoolkit.cli.screen import AsJson, errors, print_json, progress, show
from noptoolkit.errors import NopError
from noptoolkit.flow import FlowResult, Ladder, Upgrade, congestion
from noptoolkit.flow.bandwidth_curves import named
from noptoolkit.flow.upgrades import upgrade_table
from noptoolkit.formats.results import made_folder
from noptoolkit.package import Package
from noptoolkit.pipeline import run
from noptoolkit.stages import Run
from noptoolkit.step.routing_choice import routing_alone
from noptoolkit.tables import Table
from noptoolkit.traffic import all_to_all
from noptoolkit.units import format_quantity
from noptoolkit.whatif import StepUpgrade, budget_of, schedule_on, spend, upgrade_step, what_limits

__all__ = ["what_if"]

Of = Literal["dispatch", "combine", "both"]


def what_if(
    topology: Topology,
    on: Annotated[
        str | None,
        typer.Option(
            help="Workload; 1 MB between all experts if not given.", autocompletion=complete_workload
        ),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(
            help="Link to change: 'a->b' one direction, 'a<->b' both, wildcards, or 'd2d'. May be repeated."
        ),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Its new bandwidth per direction.")] = None,
    by: Annotated[str | None, typer.Option(help="What is added to it, per direction.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--spend",
            help="Best use over all links of '512 GB/s', '4 mm' of die edge, 'cost 5' or '10 %'.",
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="Part of a step to make faster: links, stacks, attention, experts, sram, or one by its name."
        ),
    ] = None,
    times: Annotated[float, typer.Option(help="Factor by which a part of the step is made faster.")] = 2.0,
    step: Annotated[bool, typer.Option("--step", help="What limits the step, and what is next.")] = False,
    rungs: Annotated[int, typer.Option(help="Number of steps of the ladder of bottlenecks.", min=1)] = 10,
    of: Annotated[Of, typer.Option(help="Traffic of the workload.")] = "both",
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: MicroBatches = None,
    allocator: AllocatorName = None,
    allocation: AllocationFile = None,
    routing: RoutingName = "optimal",
    policy: PolicyName = "streaming",
    seed: Seed = 0,
    jobs: Jobs = 1,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for tables and pictures.")] = None,
    bandwidth: Bandwidth = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Show what other bandwidths or faster parts would do, how far that holds, and what limits next.

    Without --link, --spend, --part or --step: the ladder of bottlenecks.
    """
    if (link is None) != (to is None and by is None):
        raise typer.BadParameter("--link needs --to or --by, and they need --link", param_hint="--link")
    if on is None and (step or part or settings or any((mode, sequences, length, micro_batches))):
        raise typer.BadParameter("--step, --part, --set, ... need a workload", param_hint="--on")
    checked_report(report)
    package = topology_of(topology, bandwidth)
    spent = None if budget is None else budget_of(package, budget)
    folder = None if out is None else made_folder(out)
    tables: list[Table] = []
    drawn: list[Upgrade | Ladder] = []
    others: list[Any] = []  # on the page only
    with progress() as tell:
        one: Run | None = None
        if on is not None:
            workload = workload_of(on, settings, mode, sequences, length, micro_batches)
            one = run(
                package,
                workload,
                allocator=placement(allocator, allocation, [package], [workload]) or "auto",
                routing=routing,
                policy=policy,
                rng=seed,
                progress=tell,
            )
        if link is not None or budget is not None or not (step or part):
            flows = _flows(package, one, routing, of)
            if link is not None:
                tell("upgrade")
                found = [flow.upgrade(link, to=to, by=by) for flow in flows]
                tables += [upgrade_table([each]) for each in found]
                drawn += found
                if one is not None:
                    tell("schedule of the step with the upgrade")
                    others.append(_step_with(one, found[0]))
                    tables.append(others[-1].table())
            if spent is not None:
                tell("best widths")
                best = spend(
                    package,
                    [flow.traffic for flow in flows],
                    spent,
                    routing=routing_alone(routing),
                    progress=tell,
                )
                tables.append(best.table())
                others.append(best)
            if link is None and budget is None:
                ladders = [flow.ladder(rungs, progress=tell) for flow in flows]
                tables += [each.table() for each in ladders]
                drawn += ladders
        if one is not None and part is not None:
            tell(f"step with {part} faster")
            others.append(upgrade_step(one, part, times))
            tables.append(others[-1].table())
        if one is not None and step:
            others.append(what_limits(one, factor=times, jobs=jobs, progress=tell))
            tables.append(others[-1].table())
        written = () if folder is None else write_what_if(tables, drawn, folder)
    write_page_of([*drawn, *others, *([one] if one is not None else []), *tables], report)
    if as_json:
        print_json({"schema": 1, "tables": [table.as_json() for table in tables]})
    else:
        for table in tables:
            show(table)
    if folder is not None:
        errors.print(f"written to {folder}: {', '.join(written)}", markup=False, highlight=False)


def _flows(package: Package, one: Run | None, routing: str, of: Of) -> list[FlowResult]:
    """Return the traffics asked for, solved."""
    if one is None:
        return [congestion(package, all_to_all(package, "1 MB"), routing=routing_alone(routing))]
    flows = {"dispatch": [one.dispatch], "combine": [one.combine], "both": [one.dispatch, one.combine]}[of]
    there = [flow for flow in flows if flow.time > 0]
    if not there:
        raise NopError(f"nothing of {one.given.name!r} crosses the network of {one.package.name!r}")
    return there


def _step_with(one: Run, found: Upgrade) -> StepUpgrade:
    """Return the step with the upgrade beside the step as it is."""
    change = f"{named(found.links, 2)} at {format_quantity(float(found.new[0]), 'B/s')}"
    return StepUpgrade(change, None, one.plan, schedule_on(one, found.after.package))
