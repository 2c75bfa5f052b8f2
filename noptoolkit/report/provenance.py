"""Where every number comes from, what proves it, and how to have it again."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable, Sequence
from importlib import metadata

from noptoolkit._version import __version__
from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.report.page import Block, Section
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.tables import Column, Table
from noptoolkit.trace import ORIGINS
from noptoolkit.workload import Workload

__all__ = ["assumptions", "certificates", "reproduce", "stamps"]

LIBRARIES = ("numpy", "scipy", "highspy", "numba", "igraph", "networkx", "bokeh", "jinja2")


def stamps(workloads: Iterable[Workload]) -> list[str]:
    """Return what must be seen before any number: routing that nobody recorded."""
    found = dict.fromkeys(
        f"{one.name}: {ORIGINS[one.origin]}" for one in workloads if one.origin != "recorded"
    )
    return list(found)


def certificates(
    flows: Sequence[tuple[str, str, FlowResult]], plans: Sequence[tuple[str, str, StepSchedule]]
) -> Section:
    """Return values with their bounds, what range the bounds have, and which methods gave both.

    Parameters
    ----------
    flows, plans
        Workload and package of each, and the result.
    """
    columns = [
        Column("of"),
        Column("package"),
        Column("workload"),
        Column("value", unit="s"),
        Column("bound", "lower bound", unit="s"),
        Column("gap", form=".3f %", meaning="value / lower bound - 1: what is left at most"),
        Column("status"),
        Column("ranges_over", "the bound ranges over"),
        Column("method"),
        Column("bound_method", "method of the bound"),
    ]
    rows: list[list[object]] = [
        [
            flow.traffic.name or "traffic", package, workload, flow.time, flow.time_bound, flow.gap,
            flow.status,
            "all routings, split or not", flow.method, flow.bound_method,
        ]
        for workload, package, flow in flows
    ]  # fmt: skip
    rows += [
        [
            "step", package, workload, plan.makespan, plan.lower_bound, plan.gap,
            "exact" if plan.gap <= 1e-6 else "certified gap",
            "all routings and all orders of the same work", f"{plan.policy.graph.__name__}, list scheduling",
            plan.any_routing.method,
        ]
        for workload, package, plan in plans
    ]  # fmt: skip
    return Section(
        "certificates",
        "Certificates",
        [Block("table", Table(columns, rows, title="Values and what proves them"))],
        "No value comes without a bound that code of its own can check: flow.verify() and Schedule.verify() "
        "derive both again.",
    )


def assumptions(packages: Iterable[Package], workloads: Iterable[Workload]) -> Section:
    """Return sources and assumptions of packages and workloads, a row each."""
    rows = []
    named: list[tuple[str, Package | Workload]] = [("package", one) for one in dict.fromkeys(packages)]
    named += [("workload", one) for one in {id(load): load for load in workloads}.values()]
    for kind, one in named:
        if one.source:
            rows.append([kind, one.name, "source", one.source])
        rows += [[kind, one.name, "assumed", text] for text in one.assumed]
        if isinstance(one, Workload):
            rows.append([kind, one.name, "routing of tokens", ORIGINS[one.origin]])
    table = Table(["of", "name", "kind", "what"], rows, title="Sources and assumptions")
    return Section(
        "assumptions",
        "Assumptions and provenance",
        [Block("table", table)],
        "Sources are published; what is assumed, no source gives.",
    )


def reproduce(
    command: Sequence[str] | str, runs: Sequence[Run] = (), packages: Sequence[Package] = ()
) -> Section:
    """Return the command, versions, seeds and digests."""
    blocks = []
    line = command if isinstance(command, str) else shlex.join(command)
    blocks.append(
        Block("commands", [line or "this page was made in Python; the settings below make the same results"])
    )
    versions = [
        ["noptoolkit", __version__],
        ["Python", platform.python_version()],
        ["system", platform.system()],
    ]
    for name in LIBRARIES:
        try:
            versions.append([name, metadata.version(name)])
        except metadata.PackageNotFoundError:
            continue
    if runs:
        records = [run.record() for run in runs]
        keys = [key for key in records[0] if any(record[key] not in (None, "") for record in records)]
        columns = [Column(key, form=".4g" if key == "tol" else "") for key in keys]
        told = [[record[key] for key in keys] for record in records]
        blocks.append(Block("table", Table(columns, told, title="Settings, seeds and digests of each run")))
    elif packages:
        told = [[one.name, one.digest()] for one in packages]
        blocks.append(Block("table", Table(["package", "digest"], told, title="Digests")))
    blocks.append(Block("table", Table(["library", "version"], versions, title="Versions")))
    return Section(
        "reproduce",
        "How to reproduce it",
        blocks,
        "Equal digests are equal content on every machine; equal seeds draw the same numbers.",
    )
