"""Expert layouts: held-out C_T against other partitioners at equal balance, seconds, and time on packages.

    python benchmarks/bench_allocation.py quality     # all methods, every layer of the recorded trace
    python benchmarks/bench_allocation.py seconds     # auto at 32, 64, 128 and 256 experts
    python benchmarks/bench_allocation.py time        # the objective "time" against "c_t" on six packages

Everything in one table runs in one process, one after the other, so that ratios are of like with like. KaHIP,
METIS and Mt-KaHyPar take part where installed (``pip install kahip pymetis mtkahypar``). The recorded
trace is gpt-oss-20b's in ../shared/data; without it only the synthetic cases run. All cases have 16 chiplets.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from noptoolkit import RoutingTrace, SyntheticRouting, load_topology, topology
from noptoolkit.allocation import ALLOCATORS, LayoutProblem, allocate, package_time
from noptoolkit.allocation.packing import rebalance
from noptoolkit.flow import congestion
from noptoolkit.synthetic import draw_trace
from noptoolkit.traffic import combine, dispatch

RECORDED = Path(__file__).parents[1] / ".." / "shared" / "data" / "gptoss20b_top4.npz"
SYNTHETIC = {  # calibrated to the C_T that Mozart (arXiv 2603.07006) publishes
    "qwen3 (synthetic)": SyntheticRouting(128, 8, 8192, 4, 16, 2.338, 0.3, 0.0, seed=7),
    "olmoe (synthetic)": SyntheticRouting(64, 8, 8192, 4, 8, 2.631, 0.3, 0.6, seed=7),
    "deepseek-moe (synthetic)": SyntheticRouting(64, 6, 8192, 4, 8, 2.905, 0.3, 1.0, seed=7),
    "256 experts (synthetic)": SyntheticRouting(256, 8, 8192, 2, 32, 2.5, 0.3, 0.0, seed=7),
}
OUTSIDE = {"metis": "pymetis", "mt-kahypar": "mtkahypar", "kahip": "kahip"}
METHODS = (
    "contiguous",
    "mozart",
    "agglomerative",
    "matching",
    "spectral",
    "leiden",
    "tabu",
    "auto",
    *OUTSIDE,
)


def place_by_kahip(problem: LayoutProblem, rng: np.random.Generator) -> np.ndarray:
    """KaHIP's strong preset on the co-activation graph, then balanced exactly."""
    import kahip

    together = problem.coactivation
    weight = np.where(together > 0, np.maximum(np.rint(together * (10_000 / together.max())), 1), 0).astype(
        int
    )
    starts = np.concatenate([[0], np.cumsum((weight > 0).sum(axis=1))])
    seed, strong = int(rng.integers(2**31)), 2
    _, block = kahip.kaffpa(
        [1] * len(together),
        starts.tolist(),
        weight[weight > 0].tolist(),
        np.nonzero(weight)[1].tolist(),
        problem.num_chiplets,
        0.0,
        True,
        seed,
        strong,
    )
    return rebalance(np.array(block), together, problem.slots)


def cases() -> Iterator[tuple[str, RoutingTrace]]:
    if RECORDED.exists():
        with np.load(RECORDED) as data:
            yield "gpt-oss-20b (recorded)", RoutingTrace(data["topk"], 32)
    for name, routing in SYNTHETIC.items():
        yield name, draw_trace(routing)


def quality() -> None:
    package = load_topology("mozart-nop-tree")
    place: dict[str, str | Callable] = {name: name for name in METHODS if name in ALLOCATORS}
    place["kahip"] = place_by_kahip
    missing = [name for name, module in OUTSIDE.items() if importlib.util.find_spec(module) is None]
    for name, trace in cases():
        ((fit, held_out),) = trace.split(rng=0)
        print(f"\n{name}: {trace}; fitted to half of the tokens, C_T of the others, mean over layers")
        print(f"{'method':<16}{'fitted':>9}{'held out':>10}{'/ mozart':>10}{'imbalance':>11}{'seconds':>9}")
        mozart = allocate(fit, package, method="mozart").c_t(held_out)
        for method in METHODS:
            if method in missing or (method == "matching" and trace.num_experts > 128):
                continue
            start = time.process_time()
            layout = allocate(fit, package, method=place[method])
            seconds = time.process_time() - start
            found = layout.c_t(held_out)
            imbalance = layout.imbalance(held_out)
            print(
                f"{method:<16}{layout.c_t(fit):>9.4f}{found:>10.4f}{found / mozart:>10.4f}"
                f"{imbalance:>11.2f}{seconds:>9.2f}"
            )
    for name in missing:
        print(f"{name}: not installed here, so not compared")


def seconds() -> None:
    package = load_topology("mozart-nop-tree")
    print("CPU seconds of one layer")
    print(f"{'experts':>8}{'top-k':>7}{'tokens':>8}{'auto, c_t':>11}{'auto, time':>12}")
    for experts, k, topics in ((32, 4, 8), (64, 8, 8), (128, 8, 16), (256, 8, 32)):
        trace = draw_trace(SyntheticRouting(experts, k, 8192, 1, topics, 2.5, 0.3, 0.0, seed=3))
        allocate(trace.tokens(slice(0, 64)), package, objective="time")  # compiles the kernels
        taken = []
        for objective in ("c_t", "time"):
            start = time.process_time()
            allocate(trace, package, objective=objective)
            taken.append(time.process_time() - start)
        print(f"{experts:>8}{k:>7}{8192:>8}{taken[0]:>11.3f}{taken[1]:>12.3f}")


def package_times() -> None:
    print("Dispatch + combine of one layer, held out, by flow (routing optimal); relative to auto with c_t.")
    print(
        "Presets dispatch from an attention chiplet, copying where they can; the others from every chiplet."
    )
    print(f"{'trace':<26}{'package':<18}{'mozart':>9}{'c_t':>9}{'time':>9}{'C_T: c_t':>11}{'time':>8}")
    presets = [load_topology(name) for name in ("mozart-nop-tree", "mesh-4x4", "torus-4x4")]
    for name, trace in cases():
        one = trace.layer(trace.num_layers // 2)
        ((fit, held_out),) = one.split(rng=0)
        for package in (*presets, topology.mesh(4), topology.torus(4), topology.ring(16)):
            layouts = [
                allocate(fit, package, method="mozart"),
                allocate(fit, package),
                allocate(fit, package, objective="time", layer_time=package_time(package)),
            ]
            taken = []
            for layout in layouts:
                made = (
                    make(package, held_out, layout, token_bytes=4096, degree="in-network")
                    if package in presets
                    else make(package, held_out, layout, token_bytes=4096)
                    for make in (dispatch, combine)
                )
                taken.append(sum(congestion(package, traffic).time for traffic in made))
            ratios = "".join(f"{value / taken[1]:>9.3f}" for value in taken)
            copies = "".join(f"{layout.c_t(held_out):>9.3f}" for layout in layouts[1:])
            title = package.name if package in presets else f"{package.name}, plain"
            print(f"{name:<26}{title:<18}{ratios}  {copies}", flush=True)


if __name__ == "__main__":
    tables = {"quality": quality, "seconds": seconds, "time": package_times}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=tables)
    tables[parser.parse_args().table]()
