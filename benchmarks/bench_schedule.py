"""How fast schedules are made and how good they are: ratios measured side by side, in one run.

    python benchmarks/bench_schedule.py

* per task: CPU time of the list scheduler with its lower bounds, on random layered graphs of growing size;
* beside SimPy: the same rule on the same graph, as a process per task with a priority resource;
* a full step: from package and workload to the schedule, CPU and gap to the bound, by policy.
"""

from __future__ import annotations

import dataclasses
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np
import simpy

from noptoolkit import Chiplet
from noptoolkit.allocation import allocate
from noptoolkit.errors import NopWarning
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder, schedule_graph
from noptoolkit.step import schedule
from noptoolkit.tables import text_table


def layered(count: int, width: int = 64, seed: int = 0) -> TaskGraph:
    """Return a graph of layers: each task waits for two of the layer before and needs one of 32 resources."""
    rng = np.random.default_rng(seed)
    durations = rng.uniform(0.5, 1.5, count).tolist()
    places = rng.integers(0, 32, count).tolist()
    back = rng.integers(1, width, (count, 2)).tolist()
    names = [f"r{i}" for i in range(32)]
    tasks = TaskGraphBuilder()
    for i in range(count):
        first = i // width * width
        tasks.add(durations[i], names[places[i]], [first - j for j in back[i]] if first else ())
    return tasks.build()


def with_simpy(graph: TaskGraph) -> float:
    """Return the makespan of a graph by SimPy."""
    env = simpy.Environment()
    servers = [simpy.PriorityResource(env) for _ in graph.resources]
    done = [env.event() for _ in range(len(graph))]
    rank = np.argsort(np.argsort(-np.arange(len(graph)))).tolist()
    duration, place = graph.duration.tolist(), graph.resource_of.tolist()
    pred, pointers = graph.pred.tolist(), graph.pred_ptr.tolist()

    def task(i: int):  # type: ignore[no-untyped-def]
        for p in pred[pointers[i] : pointers[i + 1]]:
            if not done[p].processed:
                yield done[p]
        with servers[place[i]].request(priority=rank[i]) as turn:
            yield turn
            yield env.timeout(duration[i])
        done[i].succeed()

    for i in range(len(graph)):
        env.process(task(i))
    env.run()
    return float(env.now)


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    before = time.process_time()
    work()
    return time.process_time() - before


def bench_tasks() -> None:
    """Print the time per task by size, and SimPy's beside it where it is bearable."""
    print(f"first call, with compilation or its cache: {cpu(lambda: schedule_graph(layered(100))):.1f} s CPU")
    rows = []
    for count in (1_000, 10_000, 100_000, 1_000_000):
        built = cpu(lambda count=count: layered(count))
        graph = layered(count)
        ours = cpu(lambda graph=graph: schedule_graph(graph))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        theirs = cpu(lambda graph=graph: with_simpy(graph)) if count <= 100_000 else None
        rows.append(
            [
                f"{count}",
                f"{1e6 * built / count:.2f}",
                f"{1e6 * ours / count:.2f}",
                f"{ours + built:.2f}",
                f"{peak:.0f}" if theirs is None or count < 100_000 else "-",
                "-" if theirs is None else f"{theirs / ours:.0f}",
            ]
        )
    head = ["tasks", "build us/task", "schedule us/task", "both s", "peak MB", "SimPy / ours"]
    print(text_table(head, rows))


def bench_steps() -> None:
    """Print time and gap of full steps; ``rounds=0`` is the list schedule without improvement."""
    rows = []
    base, mesh = load_topology("mozart-nop-tree"), load_topology("mesh-4x4")
    roomy = base.replace(
        name="the same, SRAM unlimited",
        nodes=[dataclasses.replace(n, sram=None) if isinstance(n, Chiplet) else n for n in base.nodes],
    )
    for name in ("qwen3-30b-a3b", "olmoe-1b-7b", "deepseek-moe-16b"):
        workload = load_workload(name)
        layout = allocate(workload.trace, base, method="mozart")
        for package, options in (
            (base, {"policy": "serial"}),
            (base, {"rounds": 0}),
            (base, {}),
            (mesh, {"rounds": 0}),
            (mesh, {}),
            (roomy, {"prefetch": 1}),
            (roomy, {"prefetch": 96}),
        ):
            before = time.process_time()
            plan = schedule(package, workload, layout, **options)
            spent = time.process_time() - before
            rows.append(
                [
                    f"{name} on {package.name}",
                    ", ".join(f"{key} {value}" for key, value in options.items()),
                    f"{len(plan.graph)}",
                    f"{spent:.2f}",
                    f"{1e3 * plan.makespan:.1f}",
                    f"{100 * plan.gap:.2f}",
                ]
            )
    print(text_table(["step", "streaming, but", "tasks", "end to end CPU s", "step ms", "gap %"], rows))


if __name__ == "__main__":
    warnings.simplefilter("ignore", NopWarning)
    bench_tasks()
    print()
    bench_steps()
