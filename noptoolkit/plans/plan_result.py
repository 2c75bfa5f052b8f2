"""The step of a plan as a result: what it takes, what that is made of, and how far it is from its bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._pictures import Reported
from noptoolkit.package import Package
from noptoolkit.plans.constants import Rates, StepConstants, rates_of
from noptoolkit.plans.contention import Contention, contention_of
from noptoolkit.plans.group_times import chiplets_of
from noptoolkit.plans.memory import PlanMemory
from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.pipeline_run import PipelineRun
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.rank_work import model_flops
from noptoolkit.plans.routed_experts import RoutedExperts
from noptoolkit.plans.stages import stage_layers
from noptoolkit.plans.step_costs import PlanCosts, costs_of
from noptoolkit.plans.step_times import exposed_of, makespan_of_costs, run_of
from noptoolkit.step import StepEnergy
from noptoolkit.tables import Amount, Column, Missing, Table
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["PlanStep"]


@dataclass(frozen=True, eq=False, repr=False)
class PlanStep(Reported):
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
    energy
        Dynamic energy of the step, on all ranks and links.
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
    energy: StepEnergy
    methods: tuple[str, ...] = ()
    routed: RoutedExperts | None = None

    def __repr__(self) -> str:
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
        return run_of(self.plan, self.costs, layers=max(stage_layers(self.plan, self.workload.model)))

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
    def busy(self) -> Floats:
        """Seconds that each pipeline rank computes and communicates in the pipeline, [pp]."""
        return self._by_rank(self.costs.forward + self.costs.backward + self.costs.talk.sum(1))

    @cached_property
    def busiest(self) -> int:
        """Pipeline rank that is busy longest."""
        return int(np.argmax(self.busy))

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

        experts = None if self.routed is None else self.routed.layer(reached=True)

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
        left = self.makespan - sum(parts.values())
        parts["bubble"] = left if left > 1e-12 * self.makespan else 0.0  # what rounding leaves is none
        parts["exposed gradients"] = self.exposed_gradients
        parts["update"] = self.costs.update
        return parts

    def table(self) -> Table:
        """Return the step as a table."""
        body = [
            ["step", Amount(self.time, "s"), f"at most {100 * self.gap:.3g} % above the bound"],
            [
                "bound",
                Amount(self.bound, "s"),
                "no schedule of this plan on this placement is faster; other plans may be",
            ],
            ["MFU", Amount(self.mfu, form=".1f %"), f"model FLOPs {self.flops:.4g}"],
        ]
        for name, value in self.breakdown.items():
            body.append([name, Amount(value, "s"), self._remark(name, value)])
        if self.plan.pp > 1:
            body.append(self._contention_row())
        body.append(
            ["micro-batches", self.costs.micro_batches, f"of a replica, schedule {self.plan.schedule}"]
        )
        if self.memory is None:
            body.append(["memory", Missing("not checked"), "the package has no memory; give it memory=True"])
        else:
            body.append(["memory", Amount(self.memory.total, "B"), self.memory.verdict])
        body.append(self._energy_row())
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

    @cached_property
    def contention(self) -> Contention:
        """What messages between stages lose at most where they meet a layer's collectives."""
        names = chiplets_of(self.package)
        place = Placement(self.plan, self.package, tuple(names[i] for i in self.placement.tolist()), "given")
        return contention_of(place, self.workload.model, self.workload.batch, self.costs)

    def _contention_row(self) -> list[object]:
        share, met, extra = self.contention
        said = "messages between stages share no busy link with a layer's collectives"
        if met:
            waits = f"{100 * share:.3g} % of a message between stages waits for {met}"
            said = f"more at most, in no row above: {waits}"
        return ["contention", Amount(extra, "s"), said]

    def _energy_row(self) -> list[object]:
        """Return the energy as a row: of what has a figure."""
        energy = self.energy
        known = [name for name in ("compute", "memory", "network") if name not in energy.unknown]
        missing = " and ".join(filter(None, (", ".join(energy.unknown[:-1]), *energy.unknown[-1:])))
        without = f"no figure for {missing}" if missing else ""
        if not known:
            return ["energy", Missing("not stated"), f"{without}: see energy_per_flop, energy_per_bit"]
        made = ", ".join(f"{name} {format_quantity(getattr(energy, name), 'J')}" for name in known)
        per = format_quantity(energy.total / self.workload.batch.tokens, "J")
        said = f"{per} a token; dynamic: {made}"
        if not without:
            return ["energy", Amount(energy.total, "J"), said]
        part = f"{said}; {without}, which is not in it"
        return [f"energy of {' and '.join(known)} alone", Amount(energy.total, "J"), part]

    def _remark(self, name: str, value: float) -> str:
        """Return what a part of the step is made of, or behind what the rest of it hides."""
        said = f"{100 * value / self.time:.1f} % of the step"
        if name == "compute":
            parts = {part: spent for part, spent in self.compute_parts.items() if spent > 1e-9 * self.time}
            made = ", ".join(f"{part} {format_quantity(spent, 's')}" for part, spent in parts.items())
            return f"{said}, of the busiest rank: {made}"
        if name == "cp communication":
            return f"{said}; the rest of it is hidden behind attention's scores"
        return said
