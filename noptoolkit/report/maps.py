"""The section of the package map: packages, workloads, views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from noptoolkit.collectives import CollectiveResult
from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.plans import PlanStep
from noptoolkit.report.map_values import (
    BINS,
    collective_view,
    flow_view,
    package_view,
    plan_view,
    simulation_view,
    step_view,
)
from noptoolkit.report.package_map import package_map
from noptoolkit.report.page import SHADES, Block, Section
from noptoolkit.simulate import Simulation
from noptoolkit.step import StepSchedule
from noptoolkit.traffic import Traffic

__all__ = ["MapRun", "View", "map_section"]

MOST_FACING = 24  # others that a node lists at most

View = FlowResult | StepSchedule | CollectiveResult | Simulation | PlanStep | Package
"""What a map shows."""


class MapRun(NamedTuple):
    """What a map shows of one workload on one package.

    Parameters
    ----------
    workload
        Its name, empty without one.
    package
        Where it is.
    views
        What is shown, by name; one scale colours views of one name on several packages.
    charts
        Keys of the Gantt charts of those that have one.
    label
        What the package is called here; its name where empty.
    """

    workload: str
    package: Package
    views: Mapping[str, View]
    charts: Mapping[str, str] = {}
    label: str = ""


TITLES = {"uniform": "uniform all-to-all", "step": "whole step"}


def map_section(runs: Sequence[MapRun]) -> tuple[Section, dict[str, Any]]:
    """Return the section and what its script draws from."""
    names: dict[Package, str] = {}
    for run in runs:
        names[run.package] = names.get(run.package) or run.label or run.package.name
    packages = list(names)
    workloads = list(dict.fromkeys(run.workload for run in runs))
    maps = [package_map(package, name=name) for package, name in names.items()]
    told = []
    for run in runs:
        shown = {
            key: _view(value) | {"title": TITLES.get(key, key), "gantt": run.charts.get(key, "")}
            for key, value in run.views.items()
        }
        told.append({"w": workloads.index(run.workload), "p": packages.index(run.package), "views": shown})
    kinds = list(dict.fromkeys(node["k"] for one in maps for node in one.nodes))
    data = {
        "shades": SHADES,
        "packages": [{"name": one.name, "nodes": one.nodes, "channels": one.channels} for one in maps],
        "workloads": workloads,
        "runs": told,
    }
    loaded = any(not isinstance(view, Package | PlanStep) for run in runs for view in run.views.values())
    section = Section(
        "map-section",
        "Package map",
        [Block("map", {"maps": maps, "kinds": kinds, "bins": BINS, "loaded": loaded})],
        "To scale where the package gives positions. Each direction of a link is a ribbon, on the right in "
        "the direction of travel, the wider the faster and coloured by load; all packages share a scale.",
    )
    return section, data


def _view(value: View) -> dict[str, Any]:
    """Return what the page draws from."""
    if isinstance(value, FlowResult):
        reduces = value.traffic.reduction is not None
        return flow_view(value) | _facing(value.traffic, value.package) | {"reduces": reduces}
    if isinstance(value, CollectiveResult):
        return collective_view(value)
    if isinstance(value, Simulation):
        return simulation_view(value)
    if isinstance(value, PlanStep):
        return plan_view(value)
    if isinstance(value, StepSchedule):
        return step_view(value)
    return package_view()


def _facing(traffic: Traffic, package: Package) -> dict[str, Any]:
    """Return to whom each node sends and from whom it receives, the most first."""
    matrix = traffic.delivered()
    place = [package.index[name] for name in traffic.endpoints]
    found: dict[str, Any] = {}
    for key, rows in (("goes", matrix), ("comes", matrix.T)):
        told: list[Any] = [None] * len(package.nodes)
        for i, row in enumerate(rows):
            others = np.flatnonzero(row)
            if len(others):
                order = others[np.argsort(-row[others], kind="stable")]
                kept = order[:MOST_FACING]
                told[place[i]] = [
                    [place[j] for j in kept.tolist()],
                    [float(f"{row[j]:.6g}") for j in kept.tolist()],
                    len(order) - len(kept),
                ]
        found[key] = told
    return found
