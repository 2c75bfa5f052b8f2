"""The section of the package map: packages, workloads, views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from noptoolkit.collectives import CollectiveResult
from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.report.map_values import BINS, collective_view, flow_view, package_view, step_view
from noptoolkit.report.package_map import package_map
from noptoolkit.report.page import SHADES, Block, Section
from noptoolkit.step import StepSchedule
from noptoolkit.traffic import Traffic

__all__ = ["MapRun", "View", "map_section"]

MOST_FACING = 24  # others that a node lists at most

View = FlowResult | StepSchedule | CollectiveResult | Package
"""What a map shows."""

MapRun = tuple[str, Package, Mapping[str, View], str]
"""Workload, package, views by key, and the key of the Gantt chart, empty without one."""

TITLES = {"dispatch": "dispatch", "combine": "combine", "uniform": "uniform all-to-all"}


def map_section(runs: Sequence[MapRun]) -> tuple[Section, dict[str, Any]]:
    """Return the section and what its script draws from."""
    packages = list(dict.fromkeys(run[1] for run in runs))
    workloads = list(dict.fromkeys(run[0] for run in runs))
    maps = [package_map(package, key=f"p{i}") for i, package in enumerate(packages)]
    told = []
    for workload, package, views, chart in runs:
        shown: dict[str, Any] = {}
        for key, value in views.items():
            if isinstance(value, FlowResult):
                shown[key] = flow_view(value, TITLES.get(key, value.traffic.name or "traffic"))
                shown[key] |= _facing(value.traffic, package)
                shown[key]["reduces"] = value.traffic.reduction is not None
            elif isinstance(value, CollectiveResult):
                shown[key] = collective_view(value)
            elif isinstance(value, Package):
                shown[key] = package_view(value)
            else:
                shown[key] = step_view(value)
        told.append(
            {
                "w": workloads.index(workload),
                "p": packages.index(package),
                "views": shown,
                "gantt": chart,
            }
        )
    kinds = list(dict.fromkeys(node["k"] for one in maps for node in one.nodes))
    data = {
        "shades": SHADES,
        "packages": [{"name": one.name, "nodes": one.nodes, "channels": one.channels} for one in maps],
        "workloads": workloads,
        "runs": told,
    }
    section = Section(
        "map-section",
        "Package map",
        [Block("map", {"maps": maps, "kinds": kinds, "bins": BINS})],
        "To scale where the package gives positions. Each direction of a link is a ribbon, on the right in "
        "the direction of travel, as wide as it is fast and coloured by load; all packages share a scale.",
    )
    return section, data


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
