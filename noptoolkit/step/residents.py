"""Which experts stay in a chiplet's SRAM between the steps of a server, and are not loaded again.

A share of each chiplet's SRAM keeps whole experts; the rest is the ring of slices. Two policies:

* ``pinned``: the pairs of layer and expert on the chiplet that a batch of this size uses most probably
  (`noptoolkit.touched`), chosen once;
* ``recent``: the room is dealt evenly over the layers, and each layer keeps the experts that it used last
  (LRU), within a step those with more tokens. Its content is that after `WARM` earlier steps, each a token
  earlier in the trace. One LRU list for all layers would keep nothing: each step goes through all layers
  before it comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.allocation import Allocation
from noptoolkit.package import Chiplet, Package
from noptoolkit.step.step import StepOptions
from noptoolkit.touched import token_places, touched
from noptoolkit.workload import Workload

__all__ = ["WARM", "Residents", "residents_of"]

WARM = 32
"""Earlier steps from which the content of ``recent`` comes."""

Residents = dict[str, frozenset[int]]
"""Experts in SRAM by chiplet."""


def residents_of(
    package: Package,
    workload: Workload,
    allocation: Allocation,
    options: StepOptions,
    rows: Sequence[int | None],
) -> list[Residents]:
    """Return what is in SRAM before a step, for each layer of the model.

    Parameters
    ----------
    rows
        Layer of the trace that each layer of the model takes; ``None`` for a dense one.
    """
    found: list[Residents] = [{} for _ in rows]
    if options.resident == "none" or workload.batch.mode == "training":
        return found
    size = workload.model.expert_parameters * workload.batch.bytes_per_value
    slots = {
        name: int(options.resident_share * chiplet.sram // size)
        for name in package.experts
        if isinstance(chiplet := package[name], Chiplet) and chiplet.sram is not None
    }
    chosen = _pinned if options.resident == "pinned" else _recent
    for layer, name, expert in chosen(workload, allocation, options, slots, rows):
        found[layer][name] = found[layer].get(name, frozenset()) | {expert}
    return found


def _pinned(
    workload: Workload,
    allocation: Allocation,
    options: StepOptions,
    slots: dict[str, int],
    rows: Sequence[int | None],
) -> Iterator[tuple[int, str, int]]:
    chance = touched(workload.trace, workload.batch.tokens).chance
    holds = allocation.holds
    for index, name in enumerate(allocation.experts):
        places = [
            (-float(chance[row, expert]), layer, int(expert))
            for layer, row in enumerate(rows)
            if row is not None
            for expert in np.flatnonzero(holds[min(row, len(holds) - 1), index])
        ]
        for _, layer, expert in sorted(places)[: slots.get(name, 0)]:
            yield layer, name, expert


def _recent(
    workload: Workload,
    allocation: Allocation,
    options: StepOptions,
    slots: dict[str, int],
    rows: Sequence[int | None],
) -> Iterator[tuple[int, str, int]]:
    routed = [layer for layer, row in enumerate(rows) if row is not None]
    lists = {
        row: _history(workload, allocation, options, row)
        for row in {rows[i] for i in routed}
        if row is not None
    }
    for place, layer in enumerate(routed):
        row = rows[layer]
        assert row is not None
        for index, name in enumerate(allocation.experts):
            here = slots.get(name, 0)
            room = here // len(routed) + (place < here % len(routed))
            for expert in lists[row][index][:room]:
                yield layer, name, expert


def _history(workload: Workload, allocation: Allocation, options: StepOptions, row: int) -> list[list[int]]:
    """Return each chiplet's experts of a layer, those used last first."""
    trace, layout = workload.trace.layer(row), allocation.layer(row)
    lists: list[list[int]] = [[] for _ in allocation.experts]
    for number in range(options.number - WARM, options.number):
        places = token_places(workload.batch.tokens, trace.num_tokens, number)
        counts = _served(trace.topk[0][places], layout.chiplets(trace.tokens(places))[0], layout)
        for chiplet, count in enumerate(counts):
            used = np.flatnonzero(count)
            fresh = used[np.argsort(-count[used], kind="stable")].tolist()
            lists[chiplet] = [*fresh, *(expert for expert in lists[chiplet] if count[expert] == 0)]
    return lists


def _served(topk: Ints, chiplets: Ints, layout: Allocation) -> Ints:
    """Return the activations of each expert that each chiplet serves, [chiplets, experts]."""
    counts = np.zeros((len(layout.experts), layout.num_experts), np.int64)
    np.add.at(counts, (chiplets, topk), 1)
    return counts
