"""``noptoolkit plan``: the best plans of a model on a package, and the step of one plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from noptoolkit.cli.options import (
    Length,
    Mode,
    Sequences,
    Settings,
    complete_topology,
    complete_workload,
    workload_of,
)
from noptoolkit.cli.reporting import Report, checked_report, write_page_of
from noptoolkit.cli.screen import AsJson, progress, show
from noptoolkit.formats import load_topology
from noptoolkit.formats.results import made_folder, save_table
from noptoolkit.plans.constants import StepConstants
from noptoolkit.plans.dispatching import Copies
from noptoolkit.plans.plan_names import fields_of_plan, plan_of
from noptoolkit.plans.plan_step import plan_step
from noptoolkit.plans.planner import best_plans
from noptoolkit.study.parallel_folding import calibrated_constants

__all__ = ["plan"]

PackageName = Annotated[
    str,
    typer.Option("--package", help="Package: topology preset or file.", autocompletion=complete_topology),
]


def plan(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL | show PLAN",
            help="Workload to plan: preset or file. Or the word show and a plan, such as 'TP2 EP8 PP8'.",
            autocompletion=complete_workload,
        ),
    ],
    package: PackageName,
    on: Annotated[
        str | None,
        typer.Option("--on", help="Workload of the plan, with show.", autocompletion=complete_workload),
    ] = None,
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: Annotated[
        int | None, typer.Option(help="Micro-batches of a replica, with show; the search tries all.")
    ] = None,
    routed: Annotated[
        bool,
        typer.Option("--routed", help="Tokens go where the workload's routing sends them, not evenly."),
    ] = False,
    copies: Annotated[
        Copies, typer.Option(help="With --routed: a copy of a token for each expert, or for each chiplet.")
    ] = "experts",
    energy_per_flop: Annotated[
        str | None, typer.Option(help="With show: energy of one operation, such as '0.5 pJ'.")
    ] = None,
    objective: Annotated[str, typer.Option(help="step, or memory: least on the fullest rank.")] = "step",
    budget: Annotated[
        str | None, typer.Option(help="Memory that a rank may use, such as '72 GB'; all of it if not given.")
    ] = None,
    keep: Annotated[int, typer.Option(help="How many plans to list.", min=1)] = 5,
    schedules: Annotated[
        list[str] | None, typer.Option("--schedule", help="Pipeline schedule to try; may be repeated.")
    ] = None,
    fix: Annotated[
        str, typer.Option(help="Numbers that are fixed, such as 'CP1 TP2'; nothing if not given.")
    ] = "",
    folded: Annotated[
        bool, typer.Option("--folded/--not-folded", help="Whether experts are mapped apart from attention.")
    ] = True,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Also print the fastest plan for every smaller memory.")
    ] = False,
    constants: Annotated[
        str, typer.Option(help="ideal: all peak rates; eos: calibrated to published MFU on DGX H100.")
    ] = "ideal",
    time_limit: Annotated[float, typer.Option(help="Time for the search, in s.")] = 60.0,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the table.")] = None,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Print the best parallel plans of a model on a package, certified, or the step of one plan (show)."""
    checked_report(report)
    machine = load_topology(package)
    result: Any = None
    known = _constants(constants)
    if copies != "experts" and not routed:
        raise typer.BadParameter("without --routed tokens are dealt evenly", param_hint="--copies")
    if what[0] == "show":
        if on is None:
            raise typer.BadParameter("say which workload the plan is for: --on MODEL", param_hint="--on")
        if len(what) < 2:
            raise typer.BadParameter("say which plan to show, such as 'TP2 EP8 PP8'", param_hint="PLAN")
        workload = workload_of(on, settings, mode, sequences, length, None)
        shown = plan_of(" ".join(what[1:]), micro_batches=micro_batches, folded=folded)
        trace = workload.trace if routed else None
        result = plan_step(
            *(shown, workload, machine),
            constants=known,
            trace=trace,
            copies=copies,
            energy_per_flop=energy_per_flop,
        )
        table = result.table()
    else:
        for option, given in (("--micro-batches", micro_batches), ("--energy-per-flop", energy_per_flop)):
            if given is not None:
                raise typer.BadParameter("only of one plan: say show PLAN", param_hint=option)
        if len(what) > 1:
            raise typer.BadParameter(f"one model at a time, not {' '.join(what)!r}", param_hint="MODEL")
        workload = workload_of(what[0], settings, mode, sequences, length, None)
        with progress() as tell:
            found = best_plans(
                workload,
                machine,
                objective=objective,
                budget=budget,
                keep=keep,
                schedules=tuple(schedules or ("1f1b", "interleaved")),
                folded=folded,
                fixed=fields_of_plan(fix) if fix else None,
                constants=known,
                trace=workload.trace if routed else None,
                copies=copies,
                time_limit=time_limit,
                report=tell,
            )
            table = found.pareto_table() if pareto else found.table()
            result = [found, table] if pareto else found
    if out is not None:
        save_table(made_folder(out) / "plan", table)
    write_page_of(result, report)
    show(table, as_json=as_json)


def _constants(name: str) -> StepConstants:
    known: dict[str, Any] = {"ideal": StepConstants, "eos": calibrated_constants}
    if name not in known:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(known)}", param_hint="--constants")
    made: StepConstants = known[name]()
    return made
