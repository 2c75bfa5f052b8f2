"""What a sweep saves against single runs, what it costs itself, and how fast a store answers.

    python benchmarks/bench_studies.py [sharing | step | overhead | jobs | store | import]
    python benchmarks/bench_studies.py rapidchiplet FOLDER

* ``sharing``: 1,000 points of link bandwidth, groups and uplinks of one model (objective C_T, shortest paths)
  against separate calls of ``run()`` of which the same metrics are read: dispatch + combine, C_T, structure.
  Nothing is shared between the calls; they are timed on a sample of the points, and the ratio is that of the
  mean call to the mean point of the whole sweep.
* ``step``: the same with the step's time under shortest paths, without the bound over all routings.
* ``overhead``: CPU time of a sweep of structural metrics beyond that of evaluating its points.
* ``jobs``: one process against two, wall and CPU time; the ratio of wall times says little where the cores
  are busy with other work.
* ``store``: 100,000 stored points filtered and sorted.
* ``import``: what ``import noptoolkit`` loads of the room.
* ``rapidchiplet``: the meshes of a sweep by RapidChiplet's own script (a copy of it in FOLDER), one after the
  other as its automation runs them, and the same meshes here.

CPU seconds are those of the process and its children.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import noptoolkit as nop
from noptoolkit.metrics import METRICS
from noptoolkit.studies import Points, Range, Space, Store, study_table, sweep_all
from noptoolkit.studies.evaluation import Evaluation, Task, evaluate
from noptoolkit.studies.memory import Memory
from noptoolkit.topology import nop_tree

STRUCTURE = ["all_to_all", "c_t", "links", "total_bandwidth"]
SPACE = Space(
    {
        "builder": "nop_tree",
        "params.groups": [2, 4, 8, 16],
        "params.experts_per_group": [8, 4, 2, 1],
        "params.flops": "300 TFLOP/s",
        "params.memory": True,
        "params.link_bandwidth": Range("64 GB/s", "512 GB/s", count=25, log=True),
        "params.uplink_bandwidth": Range("64 GB/s", "1 TB/s", count=10, log=True),
        "workload": "olmoe-1b-7b",
        "objective": "c_t",
        "routing": "shortest",
    },
    where="params.groups * params.experts_per_group == 16",
)
SAMPLE = 6


def cpu() -> float:
    """Return the CPU time of this process and its children that ended, in s."""
    return sum(
        resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def fresh(point: dict[str, Any], names: list[str]) -> float:
    """Return the CPU time of one call of run() and the reading of its metrics, in s."""
    begin = cpu()
    arguments = {k.removeprefix("params."): v for k, v in point.items() if k.startswith("params.")}
    package = nop_tree(**arguments)
    one = nop.run(package, point["workload"], objective="c_t", routing=point["routing"])
    for name in names:
        METRICS[name].value(one)
    return cpu() - begin


def against_single_runs(names: list[str], least: float) -> None:
    """Print the mean time of a single run over that of a point of the sweep."""
    points = list(SPACE)
    chosen = random.Random(1).sample(points, SAMPLE)
    fresh(chosen[0], names)  # compiles
    single = [fresh(point, names) for point in chosen]
    begin = cpu()
    rows = sweep_all(Points(points), names)
    whole = cpu() - begin
    assert not any(row.error for row in rows)
    each, mean = whole / len(rows), sum(single) / len(single)
    print(
        f"{', '.join(names)}: {len(rows)} points {whole:.1f} CPU s, {1e3 * each:.1f} ms each; a single run "
        f"{mean:.2f} CPU s (mean of {len(single)}, {min(single):.2f} to {max(single):.2f}): "
        f"{mean / each:.1f} times (asked: {least:g})"
    )


def overhead() -> None:
    """Print what a point of a sweep costs beyond its evaluation."""
    space = {"builder": "ring", "params.count": list(range(4, 404)), "workload": "stdlib-moe"}
    names = {"links": None, "total_bandwidth": None}
    memory = Memory()
    points = list(Space(space))
    evaluate(Task("0", points[0], names), memory)
    begin = cpu()
    for i, point in enumerate(points):
        evaluate(Task(str(i), point, names), memory)
    alone = cpu() - begin
    with tempfile.TemporaryDirectory() as folder:
        begin = cpu()
        sweep_all(space, list(names), store=Path(folder) / "a.db")
        swept = cpu() - begin
    print(
        f"{len(points)} points: evaluated {1e3 * alone / len(points):.2f} ms each, swept into a store "
        f"{1e3 * swept / len(points):.2f} ms: {1e3 * (swept - alone) / len(points):.2f} ms beyond (asked: 5)"
    )


JOBS = """
import sys
from noptoolkit.studies import Points, Range, Space, sweep_all
space = Space({"package": "mozart-nop-tree", "params.link_bandwidth": Range("64 GB/s", "512 GB/s", count=160),
               "workload": "olmoe-1b-7b", "allocator": "contiguous", "routing": "shortest"})
rows = sweep_all(space, ["step"], jobs=int(sys.argv[1]))
assert not any(row.error for row in rows)
"""


def jobs() -> None:
    """Print wall and CPU times of one process and of two."""
    found = {}
    subprocess.run([sys.executable, "-c", JOBS.replace("count=160", "count=2"), "1"], check=True)  # compiles
    for count in (1, 2):
        begin, spent = time.perf_counter(), cpu()
        subprocess.run([sys.executable, "-c", JOBS, str(count)], check=True)
        found[count] = time.perf_counter() - begin, cpu() - spent
    (wall, spent), (two, both) = found[1], found[2]
    load = os.getloadavg()[0]
    print(
        f"one process {wall:.1f} s wall, {spent:.1f} CPU s; two {two:.1f} s wall, {both:.1f} CPU s: "
        f"{wall / two:.2f} times faster (asked: 1.6 on idle cores), {both / spent:.2f} times the CPU "
        f"(asked: 1.15); load of the machine {load:.1f}"
    )


def store() -> None:
    """Print how long 100,000 stored points take to be filtered and sorted."""
    rng = random.Random(1)
    metrics = {name: METRICS[name] for name in ("step", "links", "total_bandwidth")}
    count = 100_000
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "a.db") as held:
        points = [
            (f"{i:064d}", {"params.rows": i % 97, "params.link_bandwidth": f"{i % 1000} GB/s"})
            for i in range(count)
        ]
        held.add_points("study", points)
        held.save(Evaluation(points[0][0], dict.fromkeys(metrics, 0.0)), metrics, "")  # names the metrics
        with held.writing() as base:
            for key, _ in points[1:]:
                base.execute(
                    "INSERT INTO evaluations (key, status, record, version) VALUES (?, 'done', '{}', '0')",
                    (key,),
                )
                base.executemany(
                    "INSERT INTO results VALUES (?, ?, ?, NULL, NULL)",
                    [
                        (key, "step", rng.random()),
                        (key, "links", float(rng.randrange(100))),
                        (key, "total_bandwidth", rng.random()),
                    ],
                )
        for where, sort in (
            (["step < 500 ms", "links >= 50"], "step"),
            (["params.link_bandwidth > 900 GB/s"], "total_bandwidth"),
            ([], "step"),
        ):
            begin = cpu()
            table = study_table(held, where=where, sort=sort, most=20)
            print(
                f"{count:,} points, {' and '.join(where) or 'all'} by {sort}: {cpu() - begin:.2f} CPU s, "
                f"{table.title.partition(': ')[2]}"
            )


def imports() -> None:
    """Print what importing the toolkit takes, and whether it loads the room."""
    code = (
        "import sys, time; t = time.process_time(); import noptoolkit; t = time.process_time() - t; "
        "print(t, sum(m.startswith('noptoolkit.studies') for m in sys.modules), "
        "sum(m.split('.')[0] in ('optuna', 'SALib', 'distributed', 'sqlite3') for m in sys.modules))"
    )
    times = []
    for _ in range(5):
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        spent, mine, theirs = said.split()
        times.append(float(spent))
    print(
        f"import noptoolkit: {min(times):.3f} CPU s; loads {mine} modules of studies, {theirs} of its extras"
    )


MESHES = {
    "builder": "mesh",
    "params.rows": list(range(2, 11)),
    "params.columns": list(range(2, 11)),
    "params.link_bandwidth": ["64 GB/s", "128 GB/s", "256 GB/s", "512 GB/s"],
    "workload": "stdlib-moe",
    "routing": "shortest",
}


def rapidchiplet(folder: str) -> None:
    """Print what square meshes of 2x2 to 10x10 chiplets take there and here, four link bandwidths each."""
    place = Path(folder)
    experiment = json.loads((place / "experiments" / "example_experiment.json").read_text())
    experiment |= {
        "exp_name": "meshes",
        "metrics": ["link_summary", "latency", "throughput"],
        "topology": ["mesh"],
        "grid_scale": [f"{n}x{n}" for n in MESHES["params.rows"]],
        "phy_area": [0.425, 0.85, 1.7, 3.4],  # the bandwidth of its links follows from it
        "do_validate": [False],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(experiment, file)
    begin = cpu()
    words = [sys.executable, "run_experiment.py", "-e", file.name]
    subprocess.run(words, cwd=place, check=True, stdout=subprocess.DEVNULL)
    theirs = cpu() - begin
    space = Space(MESHES, where="params.rows == params.columns")
    names = ["uniform", "links", "total_bandwidth"]
    sweep_all({**MESHES, "params.rows": 2, "params.columns": 2}, names)  # compiles
    begin = cpu()
    rows = sweep_all(space, names)
    mine = cpu() - begin
    assert not any(row.error for row in rows)
    print(
        f"{len(rows)} meshes of 2x2 to 10x10: RapidChiplet {theirs:.1f} CPU s (links, latency, throughput of "
        f"uniform traffic, shortest paths), here {mine:.1f} CPU s (links, time of uniform traffic, shortest "
        f"paths, with its bound over all routings): {theirs / mine:.1f} times"
    )


CHOSEN = {
    "sharing": lambda: against_single_runs(STRUCTURE, 20.0),
    "step": lambda: against_single_runs(["step"], 10.0),
    "overhead": overhead,
    "jobs": jobs,
    "store": store,
    "import": imports,
}


def main() -> None:
    words = sys.argv[1:] or list(CHOSEN)
    if words[0] == "rapidchiplet":
        if len(words) != 2:
            sys.exit("rapidchiplet FOLDER: the folder of a copy of RapidChiplet")
        rapidchiplet(words[1])
        return
    for word in words:
        if word not in CHOSEN:
            sys.exit(f"no part {word!r}; known: {', '.join(CHOSEN)}")
        CHOSEN[word]()


if __name__ == "__main__":
    main()
