"""What a package that lost some parts still does: experts re-homed, weights on other stacks, a new schedule.

Nodes that a loss cuts off from the attention chiplets (from most expert chiplets, where there are none) are
lost with it. Experts of lost chiplets move to spare ones, or to the others by load and coactivation, no
chiplet holding more than an equal share rounded up; all others stay where they are, or everything is
allocated anew. Weights of a chiplet whose stacks are lost come from the nearest that are left
(`noptoolkit.step.memory_stacks`). The step is then scheduled, and verifies, like any other.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.allocation.allocating import layout_problems
from noptoolkit.errors import NopError, NopWarning, TopologyError
from noptoolkit.package import Package
from noptoolkit.stages import Run

__all__ = ["Move", "Rehomed", "rehome", "with_spares"]

Move = Literal["lost", "all"]
"""Which experts move: those of lost chiplets, or all, by the run's allocator."""


@dataclass(frozen=True, eq=False)
class Rehomed:
    """A run on what is left of its package.

    Parameters
    ----------
    lost
        Names of the parts that were lost.
    cut_off
        Nodes that are lost with them, since nothing joins them to the rest.
    moved
        Experts that moved, over all layers.
    run
        The run on the rest; ``None`` where there is none.
    reason
        Why there is none; empty otherwise.
    """

    lost: tuple[str, ...]
    cut_off: tuple[str, ...]
    moved: int
    run: Run | None
    reason: str = ""


def rehome(run: Run, lost: Sequence[str], *, move: Move = "lost") -> Rehomed:
    """Return the run of a workload on what a loss leaves of its package.

    Parameters
    ----------
    run
        Run on the intact package.
    lost
        Names of nodes, or of channels (the whole link is lost).
    move
        ``lost``: the experts of lost chiplets move, the others stay. ``all``: everything is allocated anew
        by the run's allocator.

    Raises
    ------
    UnknownNameError
        If the package has no such part.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> whole = nop.run("mesh-4x4", "stdlib-moe", allocator="contiguous", routing="shortest")
    >>> after = rehome(whole, ["e5"])
    >>> after.moved, after.run.package.experts[5], after.run.plan.makespan > whole.plan.makespan
    (16, 'e6', True)
    """
    if move not in ("lost", "all"):
        raise NopError(f"move={move!r} is not known; give 'lost' or 'all'")
    names = tuple(str(name) for name in lost)
    whole = run.package
    cut_off = _cut_off(whole, names)
    gone = {*names, *cut_off}
    attention = whole.with_role("attention")
    for needed, what in (
        (attention, "no attention chiplet is left"),
        (whole.experts, "no expert chiplet is left"),
        (tuple(memory.name for memory in whole.memories), "no memory stack is left"),
    ):
        if needed and gone.issuperset(needed):
            return Rehomed(names, cut_off, 0, None, what)
    try:
        left = whole.without(*names, *cut_off)
    except TopologyError as error:
        return Rehomed(names, cut_off, 0, None, str(error))
    if left.experts == whole.experts:
        layout, moved = run.allocation.on(left), 0
    elif move == "all":
        if isinstance(run.allocator, Allocation):
            raise NopError("the run was given its layout and no allocator; re-home with move='lost'")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NopWarning)
            layout = allocate(run._split()[0], left, method=run.allocator, rng=run.seed)
        moved = _moved(run.allocation, layout)
    else:
        layout, moved = _moved_layout(run, left)
    return Rehomed(names, cut_off, moved, dataclasses.replace(run, package=left, allocator=layout))


def with_spares(run: Run, spares: int | Sequence[str]) -> Run:
    """Return a run that leaves some expert chiplets without experts, to take over for lost ones.

    Parameters
    ----------
    spares
        Names of the spare chiplets, or how many, taken from the end of ``package.experts``.

    Raises
    ------
    NopError
        If there are not that many, or none would be left to work.
    """
    experts = run.package.experts
    if isinstance(spares, int):
        if not 0 <= spares < len(experts):
            raise NopError(f"{spares} spare chiplets of {len(experts)}: at least one has to work")
        names = set(experts[len(experts) - spares :]) if spares else set()
    else:
        names = set(spares)
        for name in names:
            if name not in experts:
                raise NopError(f"spare {name!r} is no expert chiplet of {run.package.name!r}")
        if len(names) == len(experts):
            raise NopError("all expert chiplets are spare: at least one has to work")
    if not names:
        return run
    if isinstance(run.allocator, Allocation):
        raise NopError("the run was given its layout: leave its spare chiplets empty there, not by spares=")
    working = [name not in names for name in experts]
    count = run.given.model.experts
    shares = np.diff(np.arange(sum(working) + 1) * count // sum(working))
    capacity = np.zeros(len(experts), np.int64)
    capacity[np.array(working)] = shares
    layout = allocate(
        run._split()[0], run.package, method=run.allocator, capacity=capacity.tolist(), rng=run.seed
    )
    return dataclasses.replace(run, allocator=layout)


def _cut_off(package: Package, lost: Sequence[str]) -> tuple[str, ...]:
    """Return the nodes that a loss separates from those that the step cannot do without."""
    import networkx as nx

    links = {channel.link for channel in package.channels if channel.name in set(lost)}
    graph = nx.DiGraph()
    graph.add_nodes_from(name for name in package.index if name not in set(lost))
    graph.add_edges_from(
        (c.tail, c.head)
        for c in package.channels
        if c.link not in links and c.tail in graph and c.head in graph
    )
    stacks = {memory.name for memory in package.memories}
    through = graph.subgraph([name for name in graph if name not in stacks])
    needed = set(package.with_role("attention"))
    experts = set(package.experts)
    parts = sorted(nx.strongly_connected_components(through), key=lambda part: (-len(part), min(part)))
    if not parts:
        return tuple(graph)
    kept = max(parts, key=lambda part: (len(part & needed), len(part & experts), len(part)))
    kept = kept | {
        name for name in stacks if name in graph and (set(graph[name]) | set(graph.pred[name])) & kept
    }
    return tuple(name for name in package.index if name in graph and name not in kept)


def _moved_layout(run: Run, left: Package) -> tuple[Allocation, int]:
    """Return the layout with the experts of lost chiplets on others, and how many moved."""
    old, fit = run.allocation, run._split()[0]
    place = {name: i for i, name in enumerate(left.experts)}
    new_index = np.array([place.get(name, -1) for name in old.experts])
    problems = layout_problems(fit, left, per_layer=old.num_layers > 1)
    count, room = old.num_experts, -(-old.num_experts // len(left.experts))
    layouts: list[Ints] = []
    replicas = np.array(old.replicas)
    kept = replicas[..., 0] >= 0
    replicas[kept, 1] = new_index[replicas[kept, 1]]
    replicas[replicas[..., 1] < 0] = -1
    moved = 0
    for layer in range(old.num_layers):
        places = new_index[old.chiplet_of_expert[layer]]
        copies = {int(e): int(c) for e, c in replicas[layer] if e >= 0}
        for expert in np.flatnonzero(places < 0).tolist():
            places[expert] = copies.get(expert, -1)  # another copy takes over where there is one
        problem = problems[min(layer, len(problems) - 1)]
        held = np.bincount(places[places >= 0], minlength=len(left.experts))
        load = np.bincount(
            places[places >= 0], problem.load[:count][places >= 0], minlength=len(left.experts)
        )
        spare = np.flatnonzero(held == 0).tolist()
        for name in [name for name in old.experts if name not in place]:
            mine = np.flatnonzero((old.chiplet_of_expert[layer] == old.experts.index(name)) & (places < 0))
            if spare and len(mine):
                places[mine] = spare.pop(0)
        homeless = np.flatnonzero(places < 0)
        moved += int((new_index[old.chiplet_of_expert[layer]] < 0).sum())
        held = np.bincount(places[places >= 0], minlength=len(left.experts))
        for expert in homeless[np.argsort(-problem.load[homeless], kind="stable")].tolist():
            here = places >= 0
            near = np.bincount(places[here], problem.coactivation[expert][here], minlength=len(left.experts))
            full = held >= max(room, int(held.min()) + 1)
            score = near / max(float(near.max()), 1e-300) - load / max(float(load.mean()), 1e-300)
            best = int(np.argmax(np.where(full, -np.inf, score)))
            places[expert] = best
            held[best] += 1
            load[best] += problem.load[expert]
        layouts.append(places)
    method = f"{old.method.partition(':')[0]}, re-homed"
    made = Allocation(
        left.experts,
        np.stack(layouts),
        left.expert_groups,
        method,
        replicas if replicas.size else None,
        old.choice,
    )
    return made, moved


def _moved(old: Allocation, new: Allocation) -> int:
    """Return how many experts are on another chiplet."""
    before = np.array(old.experts)[old.chiplet_of_expert]
    after = np.array(new.experts)[new.chiplet_of_expert]
    return int((before != np.broadcast_to(after, before.shape)).sum())
