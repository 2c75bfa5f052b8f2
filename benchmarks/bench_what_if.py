"""Ladders of bottlenecks, and what losses leave, beside what they stand for.

    python benchmarks/bench_what_if.py ladder             ten rungs on a mesh of 16x16 chiplets
    python benchmarks/bench_what_if.py losses [--seed N]  each link of a mesh of 8x8 chiplets lost
    python benchmarks/bench_what_if.py pairs              every two chiplets of a 4x4 preset lost, re-homed

``ladder`` solves the traffic again at the end of each rung, as a check of the rung. ``losses`` are of an
all-to-all, whose symmetry makes many alike, and of random traffic, which has none. ``pairs`` schedules
the step again after each loss by shortest paths, and after eight of them by the best of all routings, without
bounds. Seconds are of the processor, kernels compiled before.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from noptoolkit import resilience, run, topology, traffic
from noptoolkit.errors import NopWarning
from noptoolkit.flow import congestion
from noptoolkit.study import step_losses
from noptoolkit.tables import text_table
from noptoolkit.whatif import schedule_on


def ladder() -> None:
    """Print the time of a ladder and of the solves that check its rungs."""
    rows = []
    for side in (4, 8, 16):
        mesh = topology.mesh(side, link_bandwidth="128 GB/s")
        flow = congestion(mesh, traffic.all_to_all(mesh, "1 MB"))
        begin = time.process_time()
        found = flow.ladder(10)
        middle = time.process_time()
        found.verify()
        end = time.process_time()
        made = middle - begin
        rows.append(
            [
                mesh.name,
                f"{len(found.rungs)}",
                f"{made:.1f}",
                f"{(end - middle) / max(len(found.rungs), 1) / made:.2f}",
                f"{100 * found.gap:.3f} %",
            ]
        )
    head = ["package", "rungs", "CPU s", "a rung solved and verified / ladder", "gap"]
    print(text_table(head, rows))


def losses(seed: int) -> None:
    """Print the time of all single losses, and of one solve of the intact package."""
    mesh = topology.mesh(8, link_bandwidth="128 GB/s")
    rng = np.random.default_rng(seed)
    random = traffic.from_matrix(mesh, rng.uniform(0.5, 1.5, (64, 64)) * 1e6, name="random")
    rows = []
    for sent in (traffic.all_to_all(mesh, "1 MB"), random):
        congestion(mesh, sent)
        begin = time.process_time()
        congestion(mesh, sent)
        middle = time.process_time()
        found = resilience(mesh, sent)
        end = time.process_time()
        rows.append(
            [
                sent.name or "",
                f"{len(found.lost)}",
                f"{end - middle:.1f}",
                f"{(end - middle) / (middle - begin):.0f}",
                f"{float(found.slowdown.max()):.3f}",
            ]
        )
    print(f"{mesh.name}, optimal routing, each link lost")
    print(text_table(["traffic", "losses", "CPU s", "in solves of the whole", "worst slowdown"], rows))


def pairs() -> None:
    """Print the time of all pairs of lost chiplets with the step re-homed and scheduled again."""
    rows = []
    for routing, trials in (("shortest", None), ("optimal", 8)):
        whole = run("mesh-4x4", "stdlib-moe", routing=routing)
        whole.plan  # noqa: B018, kernels
        begin = time.process_time()
        schedule_on(whole, whole.package)
        middle = time.process_time()
        found = step_losses(whole, 2, of="chiplets", trials=trials, bounds=False, rng=0)
        end = time.process_time()
        rows.append(
            [
                routing,
                f"{len(found.after)}",
                f"{int(found.lasting.sum())}",
                f"{end - middle:.1f}",
                f"{(end - middle) / len(found.after) / (middle - begin):.2f}",
            ]
        )
    head = ["routing", "pairs", "leave a step", "CPU s", "a pair / the whole step"]
    print("mesh-4x4, stdlib-moe")
    print(text_table(head, rows))


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["ladder", "losses", "pairs"])
    parser.add_argument("--seed", type=int, default=307)
    given = parser.parse_args()
    warnings.simplefilter("ignore", NopWarning)
    if given.what == "losses":
        losses(given.seed)
    else:
        {"ladder": ladder, "pairs": pairs}[given.what]()


if __name__ == "__main__":
    main()
