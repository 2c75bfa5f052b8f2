"""The step of a plan: time, bubble, exposed communication, memory and MFU, and what no schedule can beat.

    time = makespan of the pipeline + exposed share of the exchange among replicas + update

(of an exchange that is longer than the makespan the rest is exposed, too).

The pipeline is `noptoolkit.plans.pipelines` with the costs of `noptoolkit.plans.step_costs`: within a pass,
computation and communication follow each other; schedules whose slots hold two passes hide the one behind the
other.

Its bound is that of `noptoolkit.plans.step_times`, its energy that of `noptoolkit.plans.plan_energy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from noptoolkit._arrays import Ints
from noptoolkit.errors import PlanError
from noptoolkit.package import Package, expect_package
from noptoolkit.plans.checks import check_plan
from noptoolkit.plans.constants import StepConstants, rates_of
from noptoolkit.plans.dispatching import Copies
from noptoolkit.plans.group_times import GroupTimes
from noptoolkit.plans.memory import plan_memory, rooms_of
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.plan_energy import plan_energy
from noptoolkit.plans.plan_names import plan_of
from noptoolkit.plans.plan_result import PlanStep
from noptoolkit.plans.routed_experts import RoutedTimes
from noptoolkit.plans.step_costs import costs_of
from noptoolkit.plans.step_times import step_bound
from noptoolkit.trace import RoutingTrace
from noptoolkit.units import Quantity
from noptoolkit.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from noptoolkit.plans.memory import Room

__all__ = ["PlanStep", "plan_step", "rooms_of_ranks"]


def plan_step(
    plan: ParallelPlan | str,
    workload: Workload,
    package: Package,
    *,
    constants: StepConstants | None = None,
    placement: Placement | Ints | None = None,
    times: GroupTimes | None = None,
    trace: RoutingTrace | RoutedTimes | None = None,
    copies: Copies = "experts",
    owner: Sequence[int] | Ints | None = None,
    energy_per_flop: Quantity | None = None,
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
        wait for the busiest member of a group. Tokens are dealt evenly where None. `RoutedTimes` where they
        are known already.
    copies, owner
        With a trace: what is sent, and who holds each expert; see `noptoolkit.plans.dispatched_bytes`.
    energy_per_flop
        Energy of one operation, such as ``"0.5 pJ"``; no sourced figure is known to us, so none where None.

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
    if isinstance(trace, RoutedTimes):
        routed = trace.experts(sized)
    elif trace is not None and model.moe_layers:
        routed = RoutedTimes(model, batch, known, trace, copies, owner).experts(sized)
    reached = costs_of(
        *(sized, model, batch, rates, chosen, lambda family: known.interval(family).reached),
        experts=None if routed is None else routed.layer(reached=True),
    )
    beaten = costs_of(
        *(sized, model, batch, rates, chosen, lambda family: known.interval(family).bound),
        experts=None if routed is None else routed.layer(reached=False),
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
        plan_energy(sized, model, batch, package, known, routed=routed, energy_per_flop=energy_per_flop),
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
