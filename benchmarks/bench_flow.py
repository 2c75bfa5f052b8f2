"""Certified congestion at scale: how long to a gap of 1 %, side by side with HiGHS where that is possible.

Run from the checkout, for instance::

    python benchmarks/bench_flow.py cells --seed 31                 # the cases of the core list
    python benchmarks/bench_flow.py cells --all --seed 31      # 60 cells at 1,024 chiplets, half an hour
    python benchmarks/bench_flow.py cells mesh-1024/moe/random
    python benchmarks/bench_flow.py highs --size 256                # ratio to HiGHS, to 0.1 %
    python benchmarks/bench_flow.py scaling                         # exponent of time over chiplets
    python benchmarks/bench_flow.py routings                        # fixed routings at 1,024 chiplets
    python benchmarks/bench_flow.py multicast                       # 1,000,000 tokens on 64 chiplets

Times are wall times without numba's one-off compilation; ``cpu`` is the processor time of all threads, which
a busy machine changes less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from registry import CORE, GRID, Case

from noptoolkit import SyntheticRouting
from noptoolkit.allocation import allocate
from noptoolkit.errors import RoutingError
from noptoolkit.flow import congestion
from noptoolkit.flow.bounds.program import FlowProgram, peel
from noptoolkit.flow.optimal.first_order import solve_first_order
from noptoolkit.flow.optimal.linear_program import solve_linear_program
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.routing import check_deadlock, zero_load_latency
from noptoolkit.routing.dimension_order_loads import dimension_order_load
from noptoolkit.routing.forwarding import take_first, up_down_graph
from noptoolkit.routing.hop_loads import load_along_hops
from noptoolkit.routing.hops import plain_graph
from noptoolkit.routing.problem import RoutingProblem, routing_problem
from noptoolkit.study import resilience
from noptoolkit.synthetic import draw_trace
from noptoolkit.topology import flattened_butterfly, mesh, nop_tree, random_regular, torus
from noptoolkit.traffic import all_to_all, dispatch, from_matrix
from noptoolkit.traffic.routed import DEGREES


def program_of(case: Case) -> FlowProgram:
    """Return the program of a case, not folded by symmetry."""
    problem = routing_problem(*case.build())
    program = peel(problem, tree_loads(problem, take_first)).program
    assert program is not None
    return program


def warm_up() -> None:
    """Compile."""
    solve_first_order(program_of(Case("mesh", 16, "moe", "random", 0)), tol=0.1)
    congestion(*Case("rrg6", 300, "perm", "random", 0).build(), tol=0.3)
    congestion(*Case("mesh", 256, "uniform", "equal", 0).build(), routing="ecmp")


def cells(names: list[str], seed: int, limit: float, tol: float) -> None:
    """Print one line per case: gap, time and method."""
    done = 0
    for name in names:
        package, traffic = Case.parse(name, seed).build()
        start, cpu = time.perf_counter(), time.process_time()
        flow = congestion(package, traffic, tol=tol, time_limit=limit)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        done += flow.gap <= tol
        print(
            f"{name:28s} gap {flow.gap:7.3%}  wall {wall:6.2f} s  cpu {cpu:6.2f} s  {flow.method}", flush=True
        )
    print(f"{done} of {len(names)} certified to {tol:.1%} (seed {seed}, limit {limit:g} s)")


def against_highs(size: int, tol: float) -> None:
    """Print our time to a tolerance and that of HiGHS's interior point, on the same program."""
    for name in (f"mesh-{size}/uniform/equal", f"mesh-{size}/moe/random", f"rrg6-{size}/uniform/equal"):
        program = program_of(Case.parse(name, 0))
        start = time.perf_counter()
        ours = solve_first_order(program, tol=tol, deadline=start + 120)
        middle = time.perf_counter()
        theirs = solve_linear_program(program, tol=tol, time_limit=120)
        end = time.perf_counter()
        gap = f"{theirs.time / theirs.bound - 1:.3%}" if theirs else "none in 120 s"
        print(
            f"{name:28s} ours {middle - start:6.2f} s (gap {ours.time / ours.bound - 1:.3%})  HiGHS "
            f"{end - middle:6.2f} s (gap {gap})  ratio {(end - middle) / (middle - start):.1f}",
            flush=True,
        )


def scaling(sizes: list[int], tol: float) -> None:
    """Print the time over the number of chiplets, and its exponent."""
    for family, traffic in (("mesh", "uniform"), ("rrg6", "uniform"), ("mesh", "moe")):
        times = []
        for size in sizes:
            program = program_of(Case(family, size, traffic, "random", 0))
            start = time.process_time()
            solve_first_order(program, tol=tol)
            times.append(time.process_time() - start)
        exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        shown = "  ".join(f"{n}: {t:.2f} s" for n, t in zip(sizes, times, strict=True))
        print(f"{family}/{traffic}/random cpu  {shown}  exponent {exponent:.2f}", flush=True)


def best_ms(run: Callable[[], object], times: int = 5) -> float:
    """Return the least of some times, in ms, the first of them not counted."""
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken[1:]) * 1e3


def load_passes(problem: RoutingProblem) -> dict[str, Callable[[], object]]:
    """Return what turns a demand matrix into channel loads, of each fixed routing."""
    network, demand = problem.network, problem.demand
    plain = plain_graph(network)
    return {
        "dor": lambda: dimension_order_load(network, demand),
        "shortest": lambda: load_along_hops(network, plain, demand, first_only=True),
        "ecmp": lambda: load_along_hops(network, plain, demand),
        "up-down": lambda: load_along_hops(network, up_down_graph(network, problem.destinations), demand),
    }


def routings() -> None:
    """Print how long fixed routings take: channel loads, the whole call, latency, deadlock; then losses."""
    for package in (mesh(32, 32), torus(32, 32), flattened_butterfly(32, 32), random_regular(1024, 6)):
        skewed = np.random.default_rng(31).pareto(1.5, (1024, 1024))
        for traffic in (all_to_all(package, "1 kB"), from_matrix(package, skewed, name="Pareto")):
            problem = routing_problem(package, traffic)
            passes = load_passes(problem)
            setting = best_ms(lambda: routing_problem(package, traffic))  # noqa: B023
            print(f"{package.name}, {traffic.name} (of each call, the problem {setting:.0f} ms)")
            for routing in ("dor", "shortest", "ecmp", "up-down", "valiant"):
                try:
                    flow = congestion(package, traffic, routing=routing)
                except RoutingError:
                    continue
                call = best_ms(lambda: congestion(package, traffic, routing=routing))  # noqa: B023
                line = f"  {routing:9s} call {call:5.0f} ms"
                if routing in passes:
                    line += f"  loads {best_ms(passes[routing]):6.1f} ms"
                if routing in passes and traffic.name != "Pareto":
                    latency = best_ms(lambda: zero_load_latency(package, routing=routing), 2)  # noqa: B023
                    deadlock = best_ms(lambda: check_deadlock(package, routing=routing), 2)  # noqa: B023
                    line += f"  latency {latency:4.0f} ms  deadlock {deadlock:5.0f} ms"
                print(f"{line}  gap {flow.gap:.1%} ({flow.bound_method})", flush=True)
    for size in (8, 16):
        package = mesh(size, size)
        for routing in ("dor", "shortest", "ecmp", "optimal"):
            start = time.perf_counter()
            after = resilience(package, all_to_all(package, "1 kB"), routing=routing)
            seconds = time.perf_counter() - start
            apart = np.isfinite(after.time)
            gap = (
                f"gap {(after.time / after.time_bound - 1)[apart].max():.1%}"
                if apart.any()
                else "no way round"
            )
            print(
                f"{package.name} without each of {len(after.lost)} links, {routing}: {seconds:.1f} s, {gap}"
            )


def multicast() -> None:
    """Print how long a million tokens take, as destination sets and as copies, on a tree of 64 chiplets."""
    package = nop_tree(8, 8)
    for top_k in (4, 8):
        trace = draw_trace(SyntheticRouting(128, top_k, 1_000_000, 1, seed=4))
        layout = allocate(trace, package, method="contiguous")
        for degree in DEGREES:
            times = []
            for _ in range(5):
                start = time.perf_counter()
                traffic = dispatch(package, trace, layout, token_bytes="4 kB", degree=degree)
                middle = time.perf_counter()
                congestion(package, traffic)
                times.append((middle - start, time.perf_counter() - middle))
            made, routed = np.min(times[1:], axis=0) * 1e3
            messages = 0 if traffic.multicast is None else len(traffic.multicast)
            print(
                f"top-{top_k} {degree:10s} {messages:7d} sets  dispatch {made:5.0f} ms  "
                f"congestion {routed:4.0f} ms",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["cells", "highs", "scaling", "routings", "multicast"])
    parser.add_argument("cases", nargs="*", help="such as mesh-1024/moe/random")
    parser.add_argument("--all", action="store_true", help="the whole grid")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--limit", type=float, default=30.0, help="seconds per case")
    parser.add_argument("--tol", type=float)
    parser.add_argument("--size", type=int, default=256)
    given = parser.parse_args()
    warm_up()
    if given.what == "cells":
        cells(given.cases or (GRID if given.all else CORE), given.seed, given.limit, given.tol or 0.01)
    elif given.what == "highs":
        against_highs(given.size, given.tol or 0.001)
    elif given.what == "scaling":
        scaling([64, 144, 256, 576], given.tol or 0.01)
    elif given.what == "multicast":
        multicast()
    else:
        routings()


if __name__ == "__main__":
    main()
