"""Whole runs stage by stage, from a package and a model to the step, in CPU seconds of one process.

    python benchmarks/bench_run.py stages [SIDE ...]    DeepSeek-V3 on square meshes; 8 and 16 if left out
    python benchmarks/bench_run.py routes               routes of a whole step, and the bound over all of them

``stages`` has layouts by the allocator ``auto`` and the routing ``shortest``, without the bound over all
routings; ``routes`` contiguous layouts and the routing ``optimal``, and says how long the candidate routings
take to find, how long the whole step with a schedule of each, and how long its bound. Meshes have the
chiplets and stacks of the preset mesh-4x4, those of mozart-nop-tree. Kernels are loaded before the clock
starts.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

from noptoolkit import run
from noptoolkit.errors import NopWarning
from noptoolkit.package import Package
from noptoolkit.step import StepOptions
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.routing_choice import candidate_steps
from noptoolkit.tables import text_table
from noptoolkit.topology import mesh

T = TypeVar("T")


def cpu(work: Callable[[], T]) -> tuple[T, float]:
    """Return a result and the CPU seconds that it took."""
    begin = time.process_time()
    found = work()
    return found, time.process_time() - begin


def square(side: int) -> Package:
    """Return a mesh of the parts of the preset mesh-4x4."""
    return mesh(
        side,
        attention=True,
        link_latency="1 ns",
        link_energy="0.3 pJ/bit",
        flops="294.912 TFLOP/s",
        sram="81.54 MB",
        chiplet_size=("25.9 mm", "30.8 mm"),
        attention_flops="524.288 TFLOP/s",
        attention_sram="144.96 MB",
        attention_size=("37.6 mm", "37.6 mm"),
        memory=True,
        memory_capacity="8192 MB",
        memory_energy="3.97 pJ/bit",
    )


def stages(sides: list[int]) -> None:
    """Print a row for each mesh."""
    run("mesh-4x4", "stdlib-moe", routing="shortest").plan  # noqa: B018  loads the kernels
    rows = []
    for side in sides:
        one, start = cpu(lambda side=side: run(square(side), "deepseek-v3", routing="shortest"))
        _, traced = cpu(lambda one=one: one.trace)
        _, placed = cpu(lambda one=one: one.allocation)
        plan, scheduled = cpu(lambda one=one: one.plan)
        seconds = (start + traced, placed, scheduled, start + traced + placed + scheduled)
        rows.append(
            [one.package.name, f"{len(plan.graph)}", f"{plan.makespan:.4f}", *(f"{t:.1f}" for t in seconds)]
        )
    head = ["package", "tasks", "step s", "package and trace", "layout", "step", "all"]
    print("deepseek-v3, layouts by auto, routing shortest, CPU s")
    print(text_table(head, rows))


def routes() -> None:
    """Print a row for each package and model."""
    rows = []
    for package, model in (
        ("mozart-nop-tree", "qwen3-30b-a3b"),
        ("mesh-4x4", "qwen3-30b-a3b"),
        ("torus-4x4", "qwen3-30b-a3b"),
        (square(8), "deepseek-v3"),
    ):
        run("mesh-4x4", "stdlib-moe", allocator="contiguous").plan.lower_bound  # noqa: B018
        one = run(package, model, allocator="contiguous")
        step = unrouted_step(one.package, one.workload, one.allocation, StepOptions())
        found, chosen = cpu(lambda step=step: list(candidate_steps(step, "optimal")))
        plan, scheduled = cpu(lambda one=one: one.plan)
        bound, bounded = cpu(lambda plan=plan: plan.lower_bound)
        seconds = (f"{chosen:.2f}", f"{scheduled:.1f}", f"{bounded:.2f}")
        gap = f"{100 * (plan.makespan / bound - 1):.2f} %"
        rows.append([f"{model} on {one.package.name}", f"{len(found)}", *seconds, gap])
    print("contiguous layouts, routing optimal, CPU s")
    print(text_table(["step", "candidates", "their routes", "the whole step", "bound", "gap"], rows))


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["stages", "routes"])
    parser.add_argument("sides", nargs="*", type=int, default=[8, 16])
    given = parser.parse_args()
    warnings.simplefilter("ignore", NopWarning)
    stages(given.sides) if given.what == "stages" else routes()


if __name__ == "__main__":
    main()
