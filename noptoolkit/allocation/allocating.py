"""From a trace and a package to a layout."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np

from noptoolkit._names import did_you_mean, resolve
from noptoolkit._seeds import generator_from
from noptoolkit.allocation.caps import keep_limits, limits_of
from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.limits import Ints
from noptoolkit.allocation.portfolio import search_portfolio
from noptoolkit.allocation.problem import Allocator, LayoutProblem, slots_of
from noptoolkit.allocation.table import ALLOCATORS
from noptoolkit.allocation.time_model import PackageTime, package_time
from noptoolkit.errors import NopWarning, UnknownNameError
from noptoolkit.package import Package, expect_package
from noptoolkit.trace import RoutingTrace, expect_trace

__all__ = ["OBJECTIVES", "Objective", "allocate", "layout_problems", "objective_of"]

Objective = Literal["c_t", "time", "step"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

ENOUGH_DOCUMENTS = 8
"""Of a trace, for a search on half of them that a quarter each must confirm."""


def allocate(
    trace: RoutingTrace,
    package: Package,
    *,
    method: str | Allocator = "auto",
    objective: Objective | None = None,
    per_layer: bool = True,
    capacity: int | Sequence[int] | None = None,
    expert_sizes: Sequence[int] | None = None,
    cap_chiplet: float | None = None,
    cap_group: float | None = None,
    layer_time: PackageTime | None = None,
    rng: int | np.random.Generator | None = 0,
) -> Allocation:
    """Return a layout of a trace's experts on the expert chiplets of a package.

    Parameters
    ----------
    trace
        The routing that the layout is fitted to.
    package
        Package whose ``experts`` hold the experts, in its ``expert_groups``.
    method
        A name in `ALLOCATORS`, or a callable of a `LayoutProblem` and a generator. ``auto`` is a portfolio
        that returns the best layout by the objective, and names the winner in ``method``.
    objective
        Objective of ``auto``: ``time`` (where ``None``) is the time of dispatch, experts and combine on this
        package, ``c_t`` is C_T, then C_G. ``step`` asks for a workload's step: `noptoolkit.run` has it. The
        other allocators have aims of their own.
    per_layer
        One layout for each layer of the trace, as every layer has experts of its own whose weights are placed
        separately; ``False`` makes one layout that all layers share.
    capacity
        Experts per chiplet, one number or one for each of ``package.experts``; ``None`` is exactly balanced.
    expert_sizes
        Size of each expert in the unit of ``capacity``, which then has to be given; ``None`` is 1 each.
    cap_chiplet, cap_group
        Largest load of a chiplet, and largest load per chiplet of a group, as multiples of the mean load on
        the trace fitted; ``None`` is no cap.
    layer_time
        The time that ``time`` means; ``None`` is `package_time` of the package without compute.
    rng
        Seed or generator; the same seed gives the same layout.

    Warns
    -----
    NopWarning
        If an objective is given to an allocator that does not use it.

    Raises
    ------
    UnknownNameError
        If no allocator or objective has that name.
    WorkloadError
        If the package has no expert chiplets, or capacities and sizes do not fit it.
    InfeasibleError
        If there are more experts than slots, or no layout keeps a cap: the message names the nearest cap that
        a layout was found for.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> names = ["e0", "e1"]
    >>> star = Package("star", [Switch("hub"), *(Chiplet(n, role="expert") for n in names)],
    ...                [Link("hub", n, "1 GB/s") for n in names])
    >>> trace = RoutingTrace([[0, 2], [0, 2], [1, 3], [1, 2]], num_experts=4)
    >>> layout = allocate(trace, star, method="mozart")
    >>> layout.chiplet_of_expert, layout.c_t(trace)
    (array([[0, 1, 0, 1]]), 1.25)
    >>> allocate(trace, star, objective="c_t")
    Allocation(4 experts on 2 chiplets, 1 layout, auto: matching (exact))
    """
    expect_package(package)
    expect_trace(trace)
    place = resolve(method, ALLOCATORS, "allocator")
    posed = partial(
        layout_problems,
        package=package,
        per_layer=per_layer,
        capacity=capacity,
        expert_sizes=expert_sizes,
        cap_chiplet=cap_chiplet,
        cap_group=cap_group,
    )
    problems = posed(trace)
    aim = objective_of(objective, method)
    if aim == "step" and method == "auto":
        raise UnknownNameError(
            "objective 'step' compares the steps of a workload, and a trace is none: ask run(), compare() or "
            "`noptoolkit schedule` for it, or allocate by 'time' or 'c_t'"
        )
    if aim == "time" and method == "auto" and layer_time is None:
        layer_time = package_time(package)
    generator = generator_from(rng)
    parts: list[tuple[LayoutProblem, ...]] = []
    if aim == "time" and method == "auto" and _documents(trace) >= ENOUGH_DOCUMENTS:
        apart = map(posed, _by_documents(trace, generator.spawn(1)[0]))
        for whole, *some in zip(problems, *apart, strict=True):  # the limits are those of all tokens
            parts.append(tuple(dataclasses.replace(part, limits=whole.limits) for part in some))
    layouts: list[Ints] = []
    winners: Counter[str] = Counter()
    for layer, problem in enumerate(problems):
        if method == "auto":
            timed = layer_time if aim == "time" else None
            places, winner = search_portfolio(problem, generator, timed, parts[layer] if parts else ())
            winners[winner] += 1
        else:
            places = place(problem, generator)
        layouts.append(keep_limits(problem, places, generator))
    name = method if isinstance(method, str) else getattr(method, "__name__", "callable")
    if winners:
        winner, count = winners.most_common(1)[0]
        share = f" in {count} of {len(layouts)} layers" if len(layouts) > 1 else ""
        name = f"auto: {winner}{share}"
    return Allocation(package.experts, np.stack(layouts), package.expert_groups, name)


def _documents(trace: RoutingTrace) -> int:
    return 0 if trace.document is None else len(np.unique(trace.document))


def _by_documents(trace: RoutingTrace, rng: np.random.Generator) -> list[RoutingTrace]:
    """Return half of the documents to search on, and the rest in two parts."""
    [(seen, rest)] = trace.split(rng=rng, by="document")
    [judges] = rest.split(rng=rng, by="document")
    return [seen, *judges]


def objective_of(objective: Objective | None, method: object) -> Objective:
    """Return the objective of ``auto``, ``time`` by default; warn where the method does not use one.

    Raises
    ------
    UnknownNameError
        If no objective has that name.
    """
    if objective is None:
        return "time"
    if objective not in OBJECTIVES:
        raise UnknownNameError(f"no objective {objective!r}; {did_you_mean(objective, OBJECTIVES)}")
    if method != "auto":
        name = method if isinstance(method, str) else getattr(method, "__name__", "a layout")
        warnings.warn(
            f"objective {objective!r} has no effect: only the allocator 'auto' has one, not {name!r}",
            NopWarning,
            stacklevel=3,
        )
    return objective


def layout_problems(
    trace: RoutingTrace,
    package: Package,
    *,
    per_layer: bool = True,
    capacity: int | Sequence[int] | None = None,
    expert_sizes: Sequence[int] | None = None,
    cap_chiplet: float | None = None,
    cap_group: float | None = None,
) -> list[LayoutProblem]:
    """Return what `allocate` hands to an allocator: one problem per layer, or one for all.

    Parameters and errors are those of `allocate`.
    """
    slots, size_limits = slots_of(package, trace.num_experts, capacity, expert_sizes)
    group = np.empty(len(slots), dtype=np.int64)
    for g, members in enumerate(package.expert_groups):
        group[list(members)] = g
    problems = []
    for part in [trace.layer(i) for i in range(trace.num_layers)] if per_layer else [trace]:
        graph = part.hypergraph()
        counts = graph.counts.astype(np.float64)
        bare = LayoutProblem(graph.sets, counts, trace.num_experts, slots, group)
        limits = size_limits + limits_of(bare, cap_chiplet, cap_group)
        problems.append(dataclasses.replace(bare, limits=limits))
    return problems
