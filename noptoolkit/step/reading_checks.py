"""A second look at weights that one reading brings to several chiplets: who shares it, and what it brings.

Counted from layout, trace and memory stacks by code of its own: the slices of a reading are of one kind and
size, on chiplets with the same stacks; the reading brings each of them all its bytes from each stack; and the
experts that some chiplets share are those that all of these load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from noptoolkit.step.step import Block, Slice, Step
from noptoolkit.step.transfers import Transfer

__all__ = ["reading_faults"]


def reading_faults(step: Step) -> Iterator[str]:
    """Yield what is wrong with the readings of a step."""
    for block in (*step.blocks, step.head):
        groups: dict[int, list[Slice]] = {}
        for part in block.slices:
            groups.setdefault(part.index if part.reading is None else part.reading, []).append(part)
        for number, parts in groups.items():
            yield from _group_faults(step, number, parts)
        if block.row is not None:
            yield from _expert_faults(step, block)


def _group_faults(step: Step, number: int, parts: list[Slice]) -> Iterator[str]:
    name = f"the reading of slice {number}"
    first = next((part for part in parts if part.index == number), None)
    if first is None:
        yield f"{name}: no such slice"
        return
    own = step.options.weights == "each" or (first.kind == "head" and step.options.split_head)
    if len(parts) > 1 and own:
        yield f"{name}: goes to several chiplets, each of which reads its own"
    if len({part.chiplet for part in parts}) < len(parts):
        yield f"{name}: goes to a chiplet twice"
    found = _delivered(first.load)
    for part in parts:
        if (part.kind, part.size, part.copies) != (first.kind, first.size, first.copies):
            yield f"{name}: slice {part.index} has other weights"
        if part is not first and _delivered(part.load):
            yield f"{name}: slice {part.index} is read once more"
        for memory, share in step.stacks.shares(part.chiplet):
            got, wanted = found.pop((memory.name, part.chiplet), 0.0), share * part.size
            if not abs(got - wanted) <= 1e-9 * part.size:
                yield f"{name}: brings {part.chiplet} {got:.6g} B from {memory.name}, not {wanted:.6g}"
    if any(size > 0 for size in found.values()):
        yield f"{name}: brings bytes to chiplets that do not want them"


def _delivered(sent: Transfer) -> dict[tuple[str, str], float]:
    """Return the bytes that a load brings from each stack to each chiplet, pairs and messages."""
    found = dict(sent.pairs)
    traffic = None if sent.problem is None or not sent.problem.messages else sent.problem.traffic
    sets = None if traffic is None else traffic.multicast
    if traffic is None or sets is None:
        return found
    names = traffic.endpoints
    for root, row, size in zip(
        sets.root.tolist(), sets.contains(len(names)), sets.bytes.tolist(), strict=True
    ):
        for place in np.flatnonzero(row).tolist():
            if place != root and (names[root], names[place]) not in sent.pairs:
                ends = (names[root], names[place])
                found[ends] = found.get(ends, 0.0) + size
    return found


def _expert_faults(step: Step, block: Block) -> Iterator[str]:
    """Hold the bytes of experts that chiplets share against those that the layout has them load."""
    copying = any(getattr(node, "replicates", False) for node in step.package.nodes)
    none = {"each": True, "multicast": not copying, "broadcast": False}[step.options.weights]
    if none or step.resident:
        return
    assert block.row is not None
    layout, trace = step.allocation.layer(block.row), step.workload.trace.layer(block.row)
    loads = np.array(layout.holds[0])
    if not step.training and step.options.experts != "all":
        count = step.workload.batch.tokens
        places = (np.arange(count) * trace.num_tokens // count + step.options.number) % trace.num_tokens
        used = np.zeros_like(loads)
        for some in np.split(places, step.micro_batches):
            chosen = trace.tokens(some)
            used[layout.chiplets(chosen)[0], chosen.topk[0]] = True
        loads &= used
    size = float(step.workload.model.expert_parameters * step.workload.batch.bytes_per_value)
    wanted: Counter[frozenset[str]] = Counter()
    for expert in range(layout.num_experts):
        alike: dict[frozenset[tuple[str, float]], set[str]] = {}
        for i in np.flatnonzero(loads[:, expert]).tolist():
            stacks = frozenset(
                (memory.name, share) for memory, share in step.stacks.shares(layout.experts[i])
            )
            alike.setdefault(stacks, set()).add(layout.experts[i])
        wanted.update(frozenset(names) for stacks, names in alike.items() if stacks)
    found: dict[frozenset[str], float] = {}
    groups: dict[int, list[Slice]] = {}
    for part in block.experts:
        groups.setdefault(part.index if part.reading is None else part.reading, []).append(part)
    for parts in groups.values():
        key = frozenset(part.chiplet for part in parts)
        found[key] = found.get(key, 0.0) + parts[0].size
    for key in {*found, *wanted}:
        if not abs(found.get(key, 0.0) - size * wanted[key]) <= 1e-6 * size:
            yield (
                f"experts of layer {block.row} on {', '.join(sorted(key))}: {found.get(key, 0.0):.6g} B are "
                f"read for all of them, the layout has {size * wanted[key]:.6g} B"
            )
