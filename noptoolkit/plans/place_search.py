"""Where the ranks of a plan should sit: orders of the chiplets tried on the package's own times, then swaps.

The cost of a placement is the time of a step's collectives without overlap: each exchange of
`noptoolkit.plans.exchanges_of` as often as a rank of the busiest stage waits for it, all its groups at
once. A search by swaps goes by quick times (shortest paths); the best few are then timed with certificates,
and the winner is the fastest of those.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from typing import Literal

import numpy as np

from noptoolkit._names import resolve
from noptoolkit.errors import PlanError
from noptoolkit.package import Package
from noptoolkit.plans.checks import check_plan, micro_batches_of
from noptoolkit.plans.exchanges import Exchange, exchanges_of
from noptoolkit.plans.network_times import PlanNetwork
from noptoolkit.plans.placing import Placement, nested_order, placed, rank_chiplets
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.stages import chunks_of
from noptoolkit.workload import Workload

__all__ = ["METHODS", "communication_time", "place"]

Method = Literal["order", "nested", "optimised"]
METHODS: dict[str, str] = {
    "order": "the chiplets in the order of the package",
    "nested": "consecutive ranks on chiplets that are near: halves of halves, nodes, groups",
    "optimised": "the fastest of several orders and of swaps, by the package's own times",
}


def place(
    plan: ParallelPlan,
    package: Package,
    workload: Workload | None = None,
    *,
    method: Method = "order",
    seconds: float = 5.0,
    seed: int = 0,
) -> Placement:
    """Return which chiplet each rank of a plan is.

    Parameters
    ----------
    plan
        What is placed; its replicas follow from the number of chiplets where they are not given.
    package
        The ranks are its expert chiplets, or all chiplets where it has fewer than two.
    workload
        Model and batch whose traffic counts; for ``optimised``, which needs them.
    method
        ``order``, ``nested`` or ``optimised``; see `METHODS`.
    seconds
        Time for the swaps of ``optimised``, in s; its orders and certificates come on top.
    seed
        Of the swaps.

    Raises
    ------
    PlanError
        If there are more ranks than chiplets, or the plan does not fit the workload.
    UnknownNameError
        If there is no such method.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> place(ParallelPlan(tp=4, dp=4), topology.mesh(4, 4), method="nested").chiplets[:4]
    ('e0', 'e4', 'e1', 'e5')
    """
    resolve(method, METHODS, "method of placing")
    if method == "order":
        return placed(plan, package)
    nested = nested_order(package)
    if method == "nested":
        return placed(plan, package, nested, "nested")
    return _optimised(plan, package, workload, nested, seconds, seed)


def communication_time(
    exchanges: Sequence[Exchange], placement: Placement, network: PlanNetwork, workload: Workload
) -> tuple[float, float]:
    """Return the collectives of a step that the busiest stage waits for and their bound, in s; no overlap."""
    plan, count = placement.plan, micro_batches_of(placement.plan, workload.batch)
    held = chunks_of(plan, workload.model)
    often = {
        "every layer": max(sum(c.num_layers for c in chunks) for chunks in held) * count,
        "moe layer": max(sum(c.moe_layers for c in chunks) for chunks in held) * count,
        "dense layer": max(sum(c.dense_layers for c in chunks) for chunks in held) * count,
        "boundary": plan.vpp * count,
        "replica": 1,
    }
    time = bound = 0.0
    for exchange in exchanges:
        found = network.time(exchange, placement)
        factor = often[exchange.where] * exchange.times
        time, bound = time + factor * found.time, bound + factor * found.bound
    return time, bound


def _optimised(
    plan: ParallelPlan,
    package: Package,
    workload: Workload | None,
    nested: tuple[str, ...],
    seconds: float,
    seed: int,
) -> Placement:
    if workload is None:
        raise PlanError(f"plan {plan}: method 'optimised' needs the workload whose traffic counts")
    plain = rank_chiplets(package)
    world = None if plan.dp is not None else len(plain)
    sized = check_plan(plan, workload.model, workload.batch, world=world)
    exchanges = exchanges_of(sized, workload.model, workload.batch)
    quick = PlanNetwork(package, effort="quick")
    first = [placed(sized, package, names, "optimised") for names in _orders(sized, plain, nested)]
    scored = sorted(
        ((communication_time(exchanges, one, quick, workload)[0], i) for i, one in enumerate(first)),
    )
    best_time, best = scored[0][0], list(first[scored[0][1]].chiplets)
    spare = [name for name in plain if name not in set(best)]
    rng, deadline = np.random.default_rng(seed), clock.perf_counter() + seconds
    tries = 0
    while clock.perf_counter() < deadline and tries < 40 * len(best) and len(best) > 2 and best_time > 0:
        tries += 1
        tried = _swapped(best, spare, sized, rng)
        time, _ = communication_time(exchanges, placed(sized, package, tried, "optimised"), quick, workload)
        if time < best_time * (1 - 1e-9):
            best_time, best = time, tried
            spare = [name for name in plain if name not in set(best)]
    certified = PlanNetwork(package)
    finalists = [placed(sized, package, best, "optimised"), *(first[i] for _, i in scored[:2])]
    times = [communication_time(exchanges, one, certified, workload)[0] for one in finalists]
    return finalists[int(np.argmin(times))]


def _orders(plan: ParallelPlan, plain: tuple[str, ...], nested: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return orders to try: as they come, nested, and both with stages or replicas inside."""
    found = []
    assert plan.dp is not None
    for names in (plain[: plan.world], nested[: plan.world]):
        sizes = (plan.pp, plan.dp, plan.cp * plan.tp)
        found.append(tuple(names))
        for axes in ((1, 0, 2), (2, 0, 1), (2, 1, 0), (1, 2, 0), (0, 2, 1)):
            grid = np.array(names).reshape([sizes[axis] for axis in axes])
            back = np.transpose(grid, [axes.index(axis) for axis in range(3)])
            found.append(tuple(back.ravel().tolist()))
    return list(dict.fromkeys(found))


def _swapped(names: list[str], spare: list[str], plan: ParallelPlan, rng: np.random.Generator) -> list[str]:
    """Return a placement with two ranks or aligned blocks exchanged, or one moved to a spare chiplet."""
    tried = list(names)
    if spare and rng.random() < 0.3:
        tried[int(rng.integers(len(names)))] = spare[int(rng.integers(len(spare)))]
        return tried
    blocks = {1, plan.tp, plan.tp * plan.cp, plan.etp, plan.stage_ranks}
    sizes = [size for size in blocks if 2 * size <= len(names)]
    size = int(rng.choice(sorted(sizes)))
    one, other = rng.choice(len(names) // size, 2, replace=False) * size
    tried[one : one + size] = names[other : other + size]
    tried[other : other + size] = names[one : one + size]
    return tried
