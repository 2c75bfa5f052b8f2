"""The step of a plan: time, bubble, exposed communication, memory and MFU, and what no schedule can beat.

    time = makespan of the pipeline + exposed share of the exchange among replicas + update

(of an exchange that is longer than the makespan the rest is exposed, too).

The pipeline is `noptoolkit.plans.pipelines` with the costs of `noptoolkit.plans.step_costs`: within a pass,
computation and communication follow each other; schedules whose slots hold two passes hide the one behind the
other.

The *bound* holds for every order of the same passes on the same ranks, in the same model: a rank's own work,
before it the shortest forward path to its first stage, behind it the update or the input parts of the stages
before; each dimension's communication of a rank at its own bound; one micro-batch through everything. It lets
everything else overlap. It does not range over placements or other plans.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import PlanError
from noptoolkit.package import Package, expect_package
from noptoolkit.plans.checks import check_plan
from noptoolkit.plans.constants import Rates, StepConstants, rates_of
from noptoolkit.plans.exchanges import Copies
from noptoolkit.plans.group_times import GroupTimes
from noptoolkit.plans.memory import PlanMemory, plan_memory, rooms_of
from noptoolkit.plans.pipeline_formulas import FAST
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.pipeline_run import PipelineRun
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.plans.pipelines import pipeline
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.plan_names import plan_of
from noptoolkit.plans.rank_work import model_flops
from noptoolkit.plans.routed_experts import RoutedExperts, routed_experts
from noptoolkit.plans.stages import stage_layers
from noptoolkit.plans.step_costs import PlanCosts, costs_of
from noptoolkit.tables import Amount, Column, Missing, Table
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from noptoolkit.plans.memory import Room

__all__ = ["PlanStep", "exposed_of", "makespan_of_costs", "plan_step", "step_bound"]


def makespan_of_costs(plan: ParallelPlan, costs: PlanCosts) -> float:
    """Return the makespan of a plan's pipeline, in s."""
    order = plan.schedule or "1f1b"
    talk = costs.talk
    if order not in FAST:
        return _run(plan, costs, layers=1).makespan
    from noptoolkit.plans.compiled_pipelines import makespan_of

    return makespan_of(
        order,
        costs.forward + talk[:, 0],
        costs.backward + talk[:, 1],
        costs.weight,
        costs.micro_batches,
        devices=plan.pp,
        chunks=plan.vpp,
        transfer=costs.transfer,
    )


def exposed_of(costs: PlanCosts, constants: StepConstants, makespan: float) -> float:
    """Return the exchange among replicas that nothing hides: what the pipeline has no time for at least."""
    spent = sum(costs.gradients.values())
    return max(constants.exposed_gradients * spent, spent - makespan)


def step_bound(plan: ParallelPlan, costs: PlanCosts) -> float:
    """Return what no order of a plan's passes can beat, in s; ``costs`` are those with bounds as times."""
    p, m = plan.pp, costs.micro_batches
    forward, backward, talk = costs.forward, costs.backward, costs.talk
    path = forward.sum() + (backward - costs.weight).sum() + talk.sum()  # no task waits for weight parts
    once = path + 2 * (len(forward) - 1) * (costs.transfer if p > 1 else 0.0)
    before = np.concatenate([[0.0], np.cumsum(forward + talk[:, 0])])
    back = np.concatenate([[0.0], np.cumsum(backward - costs.weight + talk[:, 1])])
    best = float(once)
    two_way = ORDERS[plan.schedule or "1f1b"].two_way
    ends = {name: part.sum(axis=1) for name, part in costs.network.items()}
    for r in range(p):
        own = [r, p - 1 - r] if two_way else list(range(r, len(forward), p))
        share = 0.5 if two_way else 1.0
        first = min(own)
        work = share * m * float((forward + backward)[own].sum())
        early = share * m * float((forward + backward - costs.weight)[own].sum())
        best = max(best, before[first] + work + costs.update, before[first] + early + back[first])
        best = max([best, *(share * m * float(part[own].sum()) for part in ends.values())])
    return float(max([best, *costs.gradients.values()]))


def _run(
    plan: ParallelPlan, costs: PlanCosts, layers: int, kept: Sequence[float] | None = None
) -> PipelineRun:
    talk = costs.talk
    held = [1.0] * len(costs.forward) if kept is None else kept
    stages = [
        Stage(
            float(costs.forward[j]),
            float(costs.backward[j]),
            float(costs.weight[j]),
            forward_network=float(talk[j, 0]),
            backward_network=float(talk[j, 1]),
            activation=float(held[j]),
            layers=layers,
        )
        for j in range(len(costs.forward))
    ]
    return pipeline(
        plan.schedule or "1f1b",
        stages,
        costs.micro_batches,
        devices=plan.pp,
        chunks=plan.vpp,
        transfer=costs.transfer,
    )


@dataclass(frozen=True, eq=False, repr=False)
class PlanStep:
    """The step of a plan on a package.

    Parameters
    ----------
    plan, workload, package
        What was asked, the plan with its replicas.
    placement
        Chiplet of each rank, as an index into the package's experts (or chiplets), [ranks].
    constants
        What the machine reaches.
    costs
        Seconds of chunks, with the times of collectives that are reached.
    bound
        What no schedule of this plan on this placement can beat, in s.
    memory
        What each stage holds; None where the package has no memory.
    peak
        Peak arithmetic of all ranks, in FLOP/s.
    methods
        How the times of collectives were found, a line each.
    routed
        What a trace makes of the experts; None where tokens are dealt evenly.
    """

    plan: ParallelPlan
    workload: Workload
    package: Package
    placement: Ints
    constants: StepConstants
    costs: PlanCosts
    bound: float
    memory: PlanMemory | None
    peak: float
    methods: tuple[str, ...] = ()
    routed: RoutedExperts | None = None

    def __repr__(self) -> str:
        from noptoolkit.units import format_quantity

        what = f"{self.plan} of {self.workload.name} on {self.package.name}"
        if self.memory is not None and not self.memory.fits:
            verdict = self.memory.verdict.partition(";")[0]
            return f"PlanStep({what}: {verdict}; {format_quantity(self.time, 's')} if it fitted)"
        return (
            f"PlanStep({what}: {format_quantity(self.time, 's')}, "
            f"at most {100 * self.gap:.3g} % above the bound)"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    @cached_property
    def makespan(self) -> float:
        """Makespan of the pipeline, in s."""
        return makespan_of_costs(self.plan, self.costs)

    @cached_property
    def run(self) -> PipelineRun:
        """The pipeline as a schedule of tasks."""
        return _run(self.plan, self.costs, layers=max(stage_layers(self.plan, self.workload.model)))

    @property
    def exposed_gradients(self) -> float:
        """Exchange among replicas that nothing hides, in s."""
        return exposed_of(self.costs, self.constants, self.makespan)

    @property
    def time(self) -> float:
        """Time of the step, in s."""
        return float(self.makespan + self.exposed_gradients + self.costs.update)

    @property
    def gap(self) -> float:
        """Distance from the bound to the time, as a share of the bound."""
        return self.time / self.bound - 1.0 if self.bound > 0 else 0.0

    @property
    def flops(self) -> float:
        """Model FLOPs of the step."""
        return model_flops(self.workload.model, self.workload.batch)

    @property
    def mfu(self) -> float:
        """Model FLOPs over what all ranks could compute at their peak in the step's time."""
        return self.flops / (self.time * self.peak)

    @cached_property
    def busiest(self) -> int:
        """Pipeline rank that is busy longest."""
        return int(
            np.argmax(self._by_rank(self.costs.forward + self.costs.backward + self.costs.talk.sum(1)))
        )

    def _by_rank(self, per_stage: Floats) -> Floats:
        p = self.plan.pp
        if ORDERS[self.plan.schedule or "1f1b"].two_way:
            per_stage = (per_stage + per_stage[::-1]) / 2
        result: Floats = self.costs.micro_batches * per_stage.reshape(-1, p).sum(axis=0)
        return result

    @cached_property
    def compute_parts(self) -> dict[str, float]:
        """Seconds of the busiest rank's computation: arithmetic, overhead of layers, and memory traffic.

        Arithmetic includes what is computed again; of attention's scores it counts the causal half, MFU
        both halves. Memory traffic comes on top: a kernel's bytes and products take turns.
        """
        rates = Rates(rates_of(self.package).flops, float("inf"))
        bare = replace(self.constants, layer_overhead=0.0)
        model, batch = self.workload.model, self.workload.batch

        experts: tuple[dict[str, tuple[float, float]], float] = (
            {},
            1.0 if self.routed is None else self.routed.busiest,
        )

        def busy(costs: PlanCosts) -> float:
            return float(self._by_rank(costs.forward + costs.backward)[self.busiest])

        arithmetic, without_memory = (
            busy(costs_of(self.plan, model, batch, rates, given, lambda family: 0.0, experts=experts))
            for given in (bare, self.constants)
        )
        return {
            "arithmetic": arithmetic,
            "memory traffic": busy(self.costs) - without_memory,
            "layer overhead": without_memory - arithmetic,
        }

    @cached_property
    def breakdown(self) -> dict[str, float]:
        """Seconds of the busiest rank: compute, communication by dimension, bubble, and the step's end."""
        rank = self.busiest
        compute = float(self._by_rank(self.costs.forward + self.costs.backward)[rank])
        parts = {"compute": compute}
        for name, part in sorted(self.costs.network.items()):
            parts[f"{name} communication"] = float(self._by_rank(part.sum(axis=1))[rank])
        if self.plan.schedule is not None and ORDERS[self.plan.schedule].pairs:
            talk = sum(value for name, value in parts.items() if name != "compute")
            exposed = min(max(self.run.exposed, 0.0), talk)
            parts = {"compute": compute, "exposed communication": exposed}
        parts["bubble"] = max(self.makespan - sum(parts.values()), 0.0)
        parts["exposed gradients"] = self.exposed_gradients
        parts["update"] = self.costs.update
        return parts

    def table(self) -> Table:
        """Return the step as a table."""
        body = [
            ["step", Amount(self.time, "s"), f"at most {100 * self.gap:.3g} % above the bound"],
            ["bound", Amount(self.bound, "s"), "no schedule of this plan on this placement is faster"],
            ["MFU", Amount(self.mfu, form=".1f %"), f"model FLOPs {self.flops:.4g}"],
        ]
        for name, value in self.breakdown.items():
            body.append([name, Amount(value, "s"), self._remark(name, value)])
        body.append(
            ["micro-batches", self.costs.micro_batches, f"of a replica, schedule {self.plan.schedule}"]
        )
        if self.memory is None:
            body.append(["memory", Missing("not checked"), "the package has no memory; give it memory=True"])
        else:
            body.append(["memory", Amount(self.memory.total, "B"), self.memory.verdict])
        notes = [f"Constants: {self.constants.source}.", *self.methods]
        if self.routed is None:
            notes.append("Tokens are dealt evenly over the experts.")
        else:
            notes.append(
                f"Tokens go where the trace sends them, once for each of their {self.routed.copies}: the "
                f"busiest member of a group has {self.routed.busiest:.3g} times the mean."
            )
        again = "every layer" if self.plan.recompute == "full" else "attention's scores"
        again = (
            f", {again} computed again in the backward pass" if self.workload.batch.mode == "training" else ""
        )
        notes.append(
            "Compute is more than model FLOPs over the peak: a kernel's bytes take turns with its products. "
            f"Its arithmetic is that of attention's causal half{again}."
        )
        columns = [
            Column("what", meaning="part of the step, or what is said of it"),
            Column("value", meaning="its time, share, number or bytes, in the unit of its row"),
            Column("remark", meaning="how sure it is, or what it is made of"),
        ]
        return Table(columns, body, title=repr(self), notes=notes)

    def _remark(self, name: str, value: float) -> str:
        """Return what a part of the step is made of, or behind what the rest of it hides."""
        said = f"{100 * value / self.time:.1f} % of the step"
        if name == "compute":
            from noptoolkit.units import format_quantity

            parts = {part: spent for part, spent in self.compute_parts.items() if spent > 1e-9 * self.time}
            made = ", ".join(f"{part} {format_quantity(spent, 's')}" for part, spent in parts.items())
            return f"{said}, of the busiest rank: {made}"
        if name == "cp communication":
            return f"{said}; the rest of it is hidden behind attention's scores"
        return said


def plan_step(
    plan: ParallelPlan | str,
    workload: Workload,
    package: Package,
    *,
    constants: StepConstants | None = None,
    placement: Placement | Ints | None = None,
    times: GroupTimes | None = None,
    trace: RoutingTrace | None = None,
    copies: Copies = "experts",
    owner: Sequence[int] | Ints | None = None,
) -> PlanStep:
    """Return the step of a plan on a package.

    Parameters
    ----------
    plan
        How the model is spread, or its name, such as ``"TP2 EP8 PP8"`` (`plan_names.plan_of`); its replicas
        follow from the number of chiplets.
    workload
        Model and batch, in training or prefill.
    package
        Its expert chiplets are the ranks (all chiplets where it has none).
    constants
        What the machine reaches of its peaks; all of them where None.
    placement
        A `Placement`, or the chiplet of each rank by index, [ranks]; their order where None.
    times
        Times of collectives on this package and placement that are known already.
    trace
        Routing of tokens, such as ``workload.trace``: dispatch and combine carry what it sends, and layers
        wait for the busiest member of a group. Tokens are dealt evenly where None.
    copies, owner
        With a trace: what is sent, and who holds each expert; see `noptoolkit.plans.dispatched_bytes`.

    Raises
    ------
    PlanError
        If the plan does not fit the model, the batch or the package, or the mode is decode.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> package = nop.topology.mesh(2, 4, flops="74 TFLOP/s", memory=True)
    >>> step = plan_step(ParallelPlan(ep=4, pp=2, zero=1), nop.load_workload("olmoe-1b-7b"), package)
    >>> step.bound <= step.time
    True
    """
    expect_package(package)
    if workload.batch.mode == "decode":
        raise PlanError(
            f"workload {workload.name!r}: the step of a plan is for training and prefill; "
            "noptoolkit.schedule knows decode"
        )
    if isinstance(plan, str):
        plan = plan_of(plan)
    chosen = constants or StepConstants()
    known = times if times is not None else GroupTimes(package, placement)
    sized = check_plan(plan, workload.model, workload.batch, world=known.world)
    rates = rates_of(package)
    model, batch = workload.model, workload.batch
    routed = None
    if trace is not None and model.moe_layers:
        ranks = [known.chiplets[i] for i in known.seat.tolist()]
        routed = routed_experts(sized, model, batch, package, ranks, trace=trace, copies=copies, owner=owner)
    reached = costs_of(
        *(sized, model, batch, rates, chosen, lambda family: known.interval(family).reached),
        experts=None if routed is None else (routed.reached, routed.busiest),
    )
    beaten = costs_of(
        *(sized, model, batch, rates, chosen, lambda family: known.interval(family).bound),
        experts=None if routed is None else (routed.bound, routed.busiest),
    )
    rooms = rooms_of_ranks(package, known)
    memory = plan_memory(sized, model, batch, rooms=rooms) if rooms is not None else None
    closed = (
        "in closed form on two levels" if known.levels is not None else "each solved with its certificate"
    )
    return PlanStep(
        sized,
        workload,
        package,
        known.seat,
        chosen,
        reached,
        step_bound(sized, beaten),
        memory,
        rates.flops * known.world,
        (f"Collectives of all groups of a dimension at once, {closed}.",),
        routed,
    )


def rooms_of_ranks(package: Package, times: GroupTimes) -> list[Room] | None:
    """Return the room of each rank's chiplet, or None where the package has no memory."""
    try:
        rooms = rooms_of(package)
    except PlanError:
        return None
    return [rooms[times.chiplets[i]] for i in times.seat.tolist()]
