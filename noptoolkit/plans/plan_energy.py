"""Dynamic energy of a plan's step, on all ranks and links: what it computes, moves and accesses.

The operations, bytes and messages are those that the step's time is made of, summed over all ranks:

* compute: all arithmetic, recomputation included, at the energy of one operation; the update's is left out,
  as in the time;
* memory: the bytes of kernels and of the update, read or written in the chiplet's stacks and moved between
  them, at the shortest path in hops;
* network: every collective's loads on the links, of the schedule whose time is counted. The stages of a
  pipeline are taken as alike in what a byte costs, and a message from the last to the first as a mean one.

The schedule of the passes does not change it. Static power is not counted. See `noptoolkit.nodes.energy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import networkx as nx

from noptoolkit.errors import PlanError
from noptoolkit.nodes import Work, access_energy, compute_energy, link_energy
from noptoolkit.package import LinkKind, Package
from noptoolkit.plans.checks import micro_batch_size, micro_batches_of
from noptoolkit.plans.group_times import Family, GroupTimes
from noptoolkit.plans.memory import parameters_of
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.rank_work import LayerWork, head_work_of, layer_work
from noptoolkit.plans.routed_experts import RoutedExperts
from noptoolkit.plans.stages import Chunk
from noptoolkit.plans.step_costs import (
    UPDATE_BYTES,
    VALUE,
    gradient_exchanges,
    layer_exchanges,
    virtual_stages,
)
from noptoolkit.step import StepEnergy
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.units import Quantity, parse_quantity
from noptoolkit.workload import Batch, MoEModel

__all__ = ["plan_energy"]


class _Case(NamedTuple):
    plan: ParallelPlan
    model: MoEModel
    batch: Batch
    micro_batches: int
    micro_batch: int
    chunks: tuple[Chunk, ...]

    @property
    def training(self) -> bool:
        return self.batch.mode == "training"

    @property
    def again(self) -> bool:
        return self.training and self.plan.recompute == "full"

    def layers(self) -> Iterator[tuple[int, bool, int]]:
        """Yield pipeline rank, whether its layers have experts, and how many there are, for every chunk."""
        for j, chunk in enumerate(self.chunks):
            for moe, number in ((True, chunk.moe_layers), (False, chunk.dense_layers)):
                if number:
                    yield j % self.plan.pp, moe, number


def plan_energy(
    plan: ParallelPlan,
    model: MoEModel,
    batch: Batch,
    package: Package,
    times: GroupTimes,
    *,
    routed: RoutedExperts | None = None,
    energy_per_flop: Quantity | None = None,
) -> StepEnergy:
    """Return the dynamic energy of a step of a plan.

    Parameters
    ----------
    plan, model, batch
        A plan that fits, with its replicas.
    package, times
        The package, and its collectives on the placement of the ranks.
    routed
        What a trace makes of the experts' messages; dealt evenly where None.
    energy_per_flop
        In J; no sourced figure is known to us, so that there is no default.

    Raises
    ------
    PlanError
        If energy_per_flop is negative.
    """
    each = 0.0 if energy_per_flop is None else parse_quantity(energy_per_flop, "J", "energy_per_flop")
    if each < 0:
        raise PlanError(f"energy_per_flop {each:g} J is negative")
    count, micro_batch = micro_batches_of(plan, batch), micro_batch_size(plan, batch)
    case = _Case(plan, model, batch, count, micro_batch, virtual_stages(plan, model))
    flops, moved = _work(case)
    unknown = [] if energy_per_flop is not None else ["compute"]
    if not package.memories or any(memory.energy_per_bit is None for memory in package.memories):
        unknown.append("memory")
    if any(link.energy_per_bit is None and link.kind is not LinkKind.MEMORY for link in package.links):
        unknown.append("network")
    per_byte = _access(package, [times.chiplets[i] for i in times.seat.tolist()])
    stage = len(per_byte) // plan.pp
    accessed = sum(moved[r // stage] * joules for r, joules in enumerate(per_byte))
    return StepEnergy(
        compute_energy(Work(flops), each),
        accessed,
        _network(case, times, routed),
        tuple(unknown),
        None if energy_per_flop is None else each,
    )


def _work(case: _Case) -> tuple[float, list[float]]:
    """Return the operations of all ranks, and the bytes of memory of a rank of each stage."""
    plan, model, batch = case.plan, case.model, case.batch
    flops, moved = 0.0, [0.0] * plan.pp

    def add(stage: int, work: LayerWork, times: float, again: bool) -> None:
        nonlocal flops
        passes = (3.0 if case.training else 1.0) + again
        scores = (3.5 if case.training else 1.0) + again
        flops += times * (passes * work.maps.flops + scores * work.scores)
        moved[stage] += times * passes * (work.maps.read + work.maps.written + work.moved)

    for stage, moe, number in case.layers():
        work = layer_work(model, plan, batch, case.micro_batch, moe=moe)
        add(stage, work, number * case.micro_batches, case.again)
    head = head_work_of(model, plan, batch, case.micro_batch)
    for j, chunk in enumerate(case.chunks):
        if chunk.head:
            add(j % plan.pp, head, case.micro_batches, again=False)
    if case.training:
        assert plan.dp is not None
        assert plan.edp is not None
        split = (plan.dp * plan.cp, plan.edp) if plan.zero else (1, 1)
        for stage in range(plan.pp):
            dense, expert = parameters_of(plan, model, case.chunks[stage :: plan.pp])
            moved[stage] += UPDATE_BYTES * (dense / split[0] + expert / split[1])
    return flops * plan.world / plan.pp, moved


def _access(package: Package, chiplets: list[str]) -> list[float]:
    """Return the energy of a byte between each chiplet and its stacks, access and way, in J/B."""
    if not package.memories:
        return [0.0] * len(chiplets)
    stacks = MemoryStacks(package)
    ways = nx.Graph()
    for link in package.links:
        joules = link_energy(link, 1.0)
        known = ways.get_edge_data(link.a, link.b)
        ways.add_edge(link.a, link.b, joules=min(joules, known["joules"]) if known else joules)
    found = []
    for chiplet in chiplets:
        total = 0.0
        for memory, share in stacks.shares(chiplet):
            way = nx.shortest_path(ways, memory.name, chiplet)
            crossed = nx.path_weight(ways, way, "joules")
            total += share * (access_energy(memory, 1.0) + crossed)
        found.append(total)
    return found


def _network(case: _Case, times: GroupTimes, routed: RoutedExperts | None) -> float:
    """Return the energy of all collectives on the links, in J."""
    plan, model, batch = case.plan, case.model, case.batch

    def joules(family: Family) -> float:
        """Return the energy of a byte of each member, in the groups of one stage."""
        return times.interval(family).joules / plan.pp

    total = 0.0
    for _, moe, number in case.layers():
        layer = 0.0
        for exchange in layer_exchanges(plan, model, batch, case.micro_batch, moe=moe):
            often = exchange.forward * (1 + case.again) + exchange.backward
            if routed is not None and exchange.dimension == "ep":
                layer += often / 2 * routed.exchange.joules / plan.pp  # of dispatch and combine
                continue
            more = routed.gathered if routed is not None and exchange.dimension == "etp" else 1.0
            layer += often * more * exchange.size * joules(exchange.family)
        total += number * case.micro_batches * layer
    if plan.pp > 1:
        message = case.micro_batch * batch.sequence_length / (plan.cp * plan.tp) * model.hidden * VALUE
        boundaries = (plan.pp * plan.vpp - 1) / (plan.pp - 1)
        once = message * times.interval(Family("send", plan.pp, plan.world // plan.pp)).joules
        total += case.micro_batches * (1 + case.training) * boundaries * once
    if case.training:
        for stage in range(plan.pp):
            dense, expert = parameters_of(plan, model, case.chunks[stage :: plan.pp])
            for exchange in gradient_exchanges(plan, dense, expert, case.micro_batches):
                total += exchange.forward * exchange.size * joules(exchange.family)
    return total
