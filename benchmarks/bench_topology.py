"""Every family of topologies: building, measuring and pricing it, beside the goals that were set for that.

Run from the checkout, for instance::

    python benchmarks/bench_topology.py                        # building at 4,096 chiplets, the rest at 1,024
    python benchmarks/bench_topology.py build mesh torus       # some families
    python benchmarks/bench_topology.py profile                # all that `show --metrics` measures, at 1,024
    python benchmarks/bench_topology.py price                  # geometry and cost, at 1,024
    python benchmarks/bench_topology.py profile --size 256

Each family has a process of its own, so that its peak memory is its own. ``cpu`` is processor time of all
threads, without the import of the toolkit, which a busy machine changes less than ``wall``; memory is the
peak of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

from noptoolkit.physical import area, link_lengths, package_cost, profile, violations
from noptoolkit.physical.cost import Process
from noptoolkit.topology import BUILDERS, of_size

GOALS = {"build": (4096, 1.0, 500.0), "profile": (1024, 5.0, 0.0), "price": (1024, 1.0, 0.0)}
"""Chiplets, seconds and, where there is a goal, MB."""


def one(task: str, family: str, size: int) -> None:
    """Do one task once and print its line."""
    package = None if task == "build" else of_size(family, size)
    wall, cpu = time.perf_counter(), time.process_time()
    if package is None:
        package = of_size(family, size)
    elif task == "profile":
        profile(package)
    else:
        link_lengths(package)
        area(package)
        violations(package, "ucie-2d")
        package_cost(package, carrier_process=Process(wafer_radius=10.0))  # any carrier fits this wafer
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _, seconds, memory = GOALS[task]
    met = cpu < seconds and (not memory or peak < memory)
    print(
        f"{family:22s} {len(package.chiplets):6,d} chiplets {len(package.links):8,d} links  "
        f"cpu {cpu:6.2f} s  wall {wall:6.2f} s  peak {peak:5.0f} MB  {'' if met else 'MISSED'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("task", nargs="?", choices=[*GOALS, "one"])
    parser.add_argument("names", nargs="*", metavar="family")
    parser.add_argument("--size", type=int)
    asked = parser.parse_args()
    if asked.task == "one":
        task, family = asked.names
        one(task, family, asked.size)
        return
    for task in [asked.task] if asked.task else GOALS:
        chiplets, seconds, memory = GOALS[task]
        size = asked.size or chiplets
        goal = f"under {seconds:g} s" + (f" and {memory:g} MB" if memory else "")
        print(f"-- {task} at about {size:,d} chiplets; the goal is {goal} at {chiplets:,d}", flush=True)
        for family in asked.names or BUILDERS:
            subprocess.run([sys.executable, __file__, "one", task, family, "--size", str(size)], check=True)


if __name__ == "__main__":
    main()
