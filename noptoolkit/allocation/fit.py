"""From a trace and a package to a layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noptoolkit._names import resolve
from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.problem import Allocator, LayoutProblem, distinct_sets, slots_of
from noptoolkit.allocation.table import ALLOCATORS
from noptoolkit.package import Package
from noptoolkit.trace import RoutingTrace

__all__ = ["allocate"]


def allocate(
    trace: RoutingTrace,
    package: Package,
    *,
    method: str | Allocator = "mozart",
    per_layer: bool = True,
    capacity: int | Sequence[int] | None = None,
    rng: int | np.random.Generator | None = 0,
) -> Allocation:
    """Return a layout of a trace's experts on the expert chiplets of a package.

    Parameters
    ----------
    trace
        The routing that the layout is fitted to.
    package
        Its ``experts`` hold the experts, its ``expert_groups`` are the groups.
    method
        A name in `ALLOCATORS`, or a callable of a `LayoutProblem` and a generator.
    per_layer
        One layout for each layer of the trace, as every layer has experts of its own whose weights are placed
        separately; ``False`` makes one layout that all layers share.
    capacity
        Experts per chiplet, one number or one for each of ``package.experts``; ``None`` is exactly balanced.
    rng
        Seed or generator; the same seed gives the same layout.

    Raises
    ------
    UnknownNameError
        If no allocator has that name.
    WorkloadError
        If the package has no expert chiplets.
    InfeasibleError
        If there are more experts than slots.

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
    """
    place = resolve(method, ALLOCATORS, "allocator")
    name = method if isinstance(method, str) else getattr(method, "__name__", "callable")
    generator = np.random.default_rng(rng)
    slots = slots_of(package, trace.num_experts, capacity)
    group = np.empty(len(slots), dtype=np.int64)
    for g, members in enumerate(package.expert_groups):
        group[list(members)] = g
    parts = [trace.layer(i) for i in range(trace.num_layers)] if per_layer else [trace]
    layouts = []
    for part in parts:
        sets, counts = distinct_sets(part)
        layouts.append(place(LayoutProblem(sets, counts, trace.num_experts, slots, group), generator))
    return Allocation(package.experts, np.stack(layouts), package.expert_groups, name)
