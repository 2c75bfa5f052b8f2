"""A second look at the work of a step: bytes and times from the model, tasks from the step, and energy.

What is counted, not searched, is counted again from package, workload, layout and options, and must be the
same: slices, transfers, tasks and their precedences, of the schedule and of the graph that bounds all
routings. The tokens that reach each chiplet, the time of each kind of task on each resource, and the energy
are added up by code of their own.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit.errors import NopWarning, ScheduleError
from noptoolkit.nodes import OPTIMISERS
from noptoolkit.nodes.operations import head_work, step_flops
from noptoolkit.package import Memory
from noptoolkit.scheduling import TaskGraph
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.step import Block, Slice, Step
from noptoolkit.step.transfers import Transfer

if TYPE_CHECKING:
    from noptoolkit.step.result import StepSchedule

__all__ = ["energy_faults", "graph_faults", "passes", "task_faults", "work_faults"]


def work_faults(step: Step, other: Step) -> Iterator[str]:
    """Yield where a step, or another one of the same work, does other work than it was made for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        fresh = unrouted_step(step.package, step.workload, step.allocation, step.options)
    for one, name in ((step, "the step"), (other, "the step of the bound over all routings")):
        if (one.layers, one.hosts, one.micro_batches) != (fresh.layers, fresh.hosts, fresh.micro_batches):
            yield f"{name} has other layers, hosts or micro-batches"
            continue
        if one.ledger.holdings != fresh.ledger.holdings:
            yield f"{name} holds other bytes in its ledger"
        kinds = zip((*one.blocks, one.head), (*fresh.blocks, fresh.head), strict=True)
        slices = [pair for mine, known in kinds for pair in zip(mine.slices, known.slices, strict=True)]
        for part, known in slices:
            if not _same_slice(part, known):
                yield f"{name}: slice {part.index} on {part.chiplet} is not what the model computes there"
                break
        for sent, known_sent in zip(one.transfers(), fresh.transfers(), strict=True):
            if not _same_bytes(sent, known_sent):
                yield f"{name}: {sent.kind} {sent.index} moves other bytes than the workload asks for"
                break
    yield from _token_faults(step)


def _same_slice(one: Slice, other: Slice) -> bool:
    fields = ("chiplet", "kind", "size", "state", "update", "index", "copies", "room", "reading")
    return all(getattr(one, name) == getattr(other, name) for name in fields) and np.array_equal(
        one.forward, other.forward
    )


def _same_bytes(one: Transfer, other: Transfer) -> bool:
    if (one.kind, one.index, dict(one.pairs)) != (other.kind, other.index, dict(other.pairs)):
        return False
    if one.summed is not None or other.summed is not None:
        return (
            one.summed is not None
            and other.summed is not None
            and one.summed.size == other.summed.size
            and one.summed.result.requests == other.summed.result.requests
        )
    if one.problem is None or other.problem is None:
        return one.problem is other.problem
    mine, known = one.problem, other.problem
    parts = zip(mine.messages, known.messages, strict=True)
    return np.array_equal(mine.demand, known.demand) and all(
        part.reverse == whole.reverse
        and np.array_equal(part.root, whole.root)
        and np.array_equal(part.members, whole.members)
        and np.array_equal(part.bytes, whole.bytes)
        for part, whole in parts
    )


def _token_faults(step: Step) -> Iterator[str]:
    """Count the bytes that every chiplet receives in each dispatch again, token by token."""
    batch, trace, degree = step.workload.batch, step.workload.trace, step.options.degree
    size = step.workload.model.hidden * batch.bytes_per_value
    experts, each = step.package.experts, batch.tokens // step.micro_batches
    for block in step.blocks:
        if block.row is None:
            continue
        number, one = block.row, trace.layer(block.row)
        for b, sent in enumerate(block.dispatch):
            first = [(b * each + i) * one.num_tokens // batch.tokens for i in range(each)]
            chosen = [(place + step.options.number) % one.num_tokens for place in first]
            served = step.allocation.layer(number).chiplets(one.tokens(np.array(chosen)))[0]
            wanted = dict.fromkeys(experts, 0.0)
            for index, name in enumerate(experts):
                hits = served == index
                count = float(hits.sum() if degree == "copies" else hits.any(axis=1).sum())
                remote = sum(host != name for host in step.hosts) / len(step.hosts)
                wanted[name] = count * size * remote
            found = _received(sent)
            for name in experts:
                if not abs(found.get(name, 0.0) - wanted[name]) <= 1e-9 * max(wanted[name], 1.0):
                    yield (
                        f"dispatch {sent.index}: {name} receives {found.get(name, 0.0):.6g} B, "
                        f"its tokens are {wanted[name]:.6g} B"
                    )
                    return


def _received(sent: Transfer) -> dict[str, float]:
    found: dict[str, float] = {}
    for (_, sink), size in sent.pairs.items():
        found[sink] = found.get(sink, 0.0) + size
    if sent.problem is not None:
        nodes = sent.problem.network.package.nodes
        for part in sent.problem.messages:
            for bit, node in enumerate(part.endpoints.tolist()):
                held = (part.members[:, bit // 64] >> np.uint64(bit % 64)) & np.uint64(1)
                got = float(part.bytes[(held > 0) & (part.root != node)].sum())
                found[nodes[node].name] = found.get(nodes[node].name, 0.0) + got
    return found


def graph_faults(graph: TaskGraph, make: Callable[[], TaskGraph], name: str) -> Iterator[str]:
    """Yield where a task graph is not the one that its step gives."""
    try:
        fresh = make()
    except ScheduleError as error:
        yield f"{name}: {error}"
        return
    for field in dataclasses.fields(TaskGraph):
        one, other = getattr(graph, field.name), getattr(fresh, field.name)
        if isinstance(other, np.ndarray):
            same = np.array_equal(one, other)
        elif field.name == "fronts":
            same = len(one) == len(other) and all(map(np.array_equal, one, other))
        else:
            same = one == other
        if not same:
            yield f"the tasks of {name} differ in {field.name} from those that the policy makes of it"
            return


def passes(step: Step) -> Iterator[tuple[Block, float, Transfer]]:
    """Yield each transfer of a step with how often it runs."""
    for number, block in enumerate((*step.blocks, step.head)):
        times = 1.0 if block is step.head else float(step.layers.count(number))
        both = 2.0 if step.training and block is not step.head else 1.0
        for sent in (*block.dispatch, *block.combine, *block.gather, *block.scatter):
            yield block, times * both, sent
        for part in block.slices:
            yield block, times * both, part.load
            if step.training:
                yield block, times, part.store
        for kind, _ in block.exchanged:
            if step.training:
                yield block, times, block.exchange[kind]
        for cached in (block.cache_read, block.cache_written):
            if cached is not None and block is not step.head:
                yield block, times * step.micro_batches, cached


def task_faults(plan: StepSchedule, tol: float) -> Iterator[str]:
    """Compare the time of each kind of task on each resource in the graph with that of the step."""
    step, graph = plan.step, plan.graph
    wanted: dict[tuple[str, str], float] = {}

    def add(kind: str, place: str, time: float) -> None:
        wanted[kind, place] = wanted.get((kind, place), 0.0) + time

    for _, times, sent in passes(step):
        for name, time in sent.occupied.items():
            add(sent.kind, name, times * time)
    both = 1.0 + step.backward_factor if step.training else 1.0
    serial = plan.policy.graph.__name__ == "serial"
    own = not serial and plan.policy.graph.__name__ != "overlapping"  # a user's tasks have names of its own
    for number, block in enumerate((*step.blocks, step.head)):
        count = 1 if block is step.head else step.layers.count(number)
        factor = (3.0 if step.training else 1.0) if block is step.head else both
        for part in () if own else block.slices:
            kind = part.kind if not serial or part.kind in ("expert", "head") else "attention"
            add(kind, part.chiplet, count * factor * float(part.forward.sum()))
            if step.training:
                add("update", part.chiplet, count * part.update)
    found: dict[tuple[str, str], float] = {}
    moved = {sent.kind for _, _, sent in passes(step)}
    shared = plan.policy.contention != "factor"
    for task, need in enumerate(graph.need.tolist()):
        kind = graph.kinds[graph.kind[task]]
        for resource in graph.needs[need][0]:
            key = (kind, graph.resources[resource])
            found[key] = found.get(key, 0.0) + float(graph.duration[task])
    for key in sorted({*wanted, *found}):
        kind, name = key
        if (shared and kind in moved) or (own and kind not in moved):
            continue
        if not abs(wanted.get(key, 0.0) - found.get(key, 0.0)) <= 1e3 * tol * plan.makespan:
            yield (
                f"{kind} on {name}: the tasks take {found.get(key, 0.0):.6g} s, "
                f"the step's {wanted.get(key, 0.0):.6g} s"
            )


def energy_faults(plan: StepSchedule) -> Iterator[str]:
    """Add up the energy of accesses, links and arithmetic again."""
    step, package = plan.step, plan.step.package
    memory = network = 0.0
    for _, times, sent in passes(step):
        for pair, size in sent.pairs.items():
            for stack in (package[end] for end in pair):
                if isinstance(stack, Memory):
                    memory += times * 8 * size * (stack.energy_per_bit or 0.0)
        if sent.of_memory and sent.problem is not None and sent.problem.messages:  # copies that left a stack
            for i in np.flatnonzero(sent.load).tolist():
                stack = package[package.channels[i].tail]
                if isinstance(stack, Memory):
                    memory += times * 8 * float(sent.load[i]) * (stack.energy_per_bit or 0.0)
        for i in np.flatnonzero(sent.load).tolist():
            link = package.links[package.channels[i].link]
            network += times * 8 * float(sent.load[i]) * (link.energy_per_bit or 0.0)
    model, batch = step.workload.model, step.workload.batch
    flops = step_flops(model, batch, OPTIMISERS[step.options.optimiser])
    if step.training and step.options.recompute:
        flops += step_flops(model, dataclasses.replace(batch, mode="prefill"))
        flops -= head_work(model, batch.sequences).flops
    energy = plan.energy
    compute = flops * (energy.per_flop or 0.0)
    for name, value in (("compute", compute), ("memory", memory), ("network", network)):
        claimed = getattr(energy, name)
        if not abs(claimed - value) <= 1e-6 * value:
            yield f"the energy of {name} is {value:.6g} J, not {claimed:.6g} J"
