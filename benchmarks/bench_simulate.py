"""Router-cycles per CPU second of the simulator, beside a fixed loop of the same process.

python benchmarks/bench_simulate.py
"""

from __future__ import annotations

import time

import numpy as np

from noptoolkit import topology
from noptoolkit.simulate import BOOKSIM, BOOKSIM_SPEEDUP, Router, Sampling, simulate

CASES: tuple[tuple[int, str, Router, float], ...] = (
    (8, "plain, 30 %", BOOKSIM, 0.13),
    (8, "plain, 90 %", BOOKSIM, 0.39),
    (8, "speedup 2, 30 %", BOOKSIM_SPEEDUP, 0.15),
    (8, "speedup 2, 90 %", BOOKSIM_SPEEDUP, 0.45),
    (16, "plain, 30 %", BOOKSIM, 0.065),
    (16, "plain, 90 %", BOOKSIM, 0.19),
    (32, "plain, 30 %", BOOKSIM, 0.03),
)


def calibration() -> float:
    """Return the CPU seconds of a fixed piece of work: sorting and summing of a million numbers."""
    numbers = np.random.default_rng(0).integers(0, 1 << 30, 1 << 20)
    start = time.process_time()
    for _ in range(5):
        order = np.argsort(numbers, kind="stable")
        np.cumsum(numbers[order])
    return time.process_time() - start


def main() -> None:
    start = time.process_time()
    simulate(topology.mesh(2), "uniform", rate=0.1, sampling=Sampling(period=10))  # compiled once, and kept
    first = time.process_time() - start
    loops = first / calibration()
    print(f"first call, with compilation or its cache: {first:.1f} s CPU, {loops:.0f} fixed loops")
    print("million router-cycles per CPU second, and times the seconds of the fixed loop")
    for side, name, router, rate in CASES:
        package = topology.mesh(side)
        fixed = calibration()
        start = time.process_time()
        run = simulate(package, "uniform", rate=rate, routing="dor", router=router, rng=1)
        seconds = time.process_time() - start
        speed = run.cycles * side * side / seconds / 1e6
        print(f"{side}x{side:<4} {name:18} {speed:7.2f} {speed * fixed:8.3f}")


if __name__ == "__main__":
    main()
