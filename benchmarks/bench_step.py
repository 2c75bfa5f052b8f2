"""How far steps are from their lower bound over all routings and orders, on every preset.

    python benchmarks/bench_step.py [WORKLOAD ...] [--trace FILE] [--on PACKAGE ...]

One row for each preset: the step with routes chosen for all its traffic (one path for each transfer), with
the best of shortest, dor and ecmp, its two lower bounds and the gap to the bound over all routings, and into
how many slices and parts it was cut where that is more than SRAM asks for; training, policy streaming,
layouts by the allocator ``mozart``. Times of the search and of the bound are CPU seconds. ``--trace`` gives
one workload the routing of a file, such as a recorded one.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from noptoolkit.allocation import Allocation, allocate
from noptoolkit.errors import NopWarning, RoutingError
from noptoolkit.formats import list_topologies, load_topology, load_workload
from noptoolkit.package import Package
from noptoolkit.step import StepSchedule, schedule
from noptoolkit.tables import text_table
from noptoolkit.workload import Workload

WORKLOADS = ("qwen3-30b-a3b", "olmoe-1b-7b", "gpt-oss-20b", "deepseek-moe-16b")


def best_fixed(package: Package, workload: Workload, layout: Allocation) -> float:
    """Return the shortest step under the fixed routings that serve the package, in s."""
    found = []
    for routing in ("shortest", "dor", "ecmp"):
        try:
            found.append(schedule(package, workload, layout, routing=routing).makespan)
        except RoutingError:
            continue
    return min(found)


def cuts_of(plan: StepSchedule) -> str:
    """Return what a schedule was cut into, beyond what SRAM asks for."""
    slices, parts = plan.step.options.slices, plan.policy.parts
    told = [f"{slices} slices"] if slices else []
    return ", ".join(told + ([f"{parts} parts"] if parts != 1 else []))


def row(name: str, workload: Workload) -> tuple[list[str], float]:
    """Return one row, and the gap."""
    package = load_topology(name)
    layout = allocate(workload.trace, package, method="mozart", rng=0)
    begin = time.process_time()
    plan = schedule(package, workload, layout)
    chosen = time.process_time()
    bound = plan.lower_bound
    end = time.process_time()
    fixed = best_fixed(package, workload, layout)
    assert plan.makespan <= fixed
    return [
        name,
        f"{1e3 * plan.makespan:.2f}",
        f"{1e3 * fixed:.2f}",
        f"{1e3 * plan.bound_of_routes:.2f}",
        f"{1e3 * bound:.2f}",
        f"{100 * plan.gap:.2f} %",
        plan.routing,
        cuts_of(plan),
        f"{chosen - begin:.1f}",
        f"{end - chosen:.1f}",
    ], plan.gap


def main() -> None:
    """Print a table for each workload, the largest gap first, and the median gap."""
    warnings.simplefilter("ignore", NopWarning)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="names or files; four by default")
    parser.add_argument("--trace", metavar="FILE", help="routing of tokens that takes the workload's place")
    parser.add_argument("--on", nargs="+", metavar="PACKAGE", help="all presets by default")
    asked = parser.parse_args()
    if asked.trace is not None and len(asked.workloads) != 1:
        parser.error("--trace is the routing of one workload: name it")
    head = [
        "package",
        "step ms",
        "fixed",
        "routes' bound",
        "bound",
        "gap",
        "routing",
        "cut",
        "search s",
        "bound s",
    ]
    for name in asked.workloads or WORKLOADS:
        workload = load_workload(name, trace=asked.trace)
        rows = [row(preset, workload) for preset in asked.on or list_topologies()]
        rows.sort(key=lambda one: -one[1])
        gaps = 100 * np.array([gap for _, gap in rows])
        told = f"median gap {np.median(gaps):.2f} %, largest {gaps.max():.2f} %"
        print(f"{name}, routing {workload.trace.origin}: {told}")
        print(text_table(head, [cells for cells, _ in rows]))


if __name__ == "__main__":
    main()
