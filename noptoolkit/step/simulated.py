"""The transfers of a step in simulated routers, beside the times that its schedule takes for them.

Each dispatch, combine and exchange runs alone until everything is delivered, along the routes that the step's
routing gives it alone. How transfers share the network, and what memory stacks move, is not simulated: the
schedule's own model of that remains.
"""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit.errors import ScheduleError
from noptoolkit.flow import congestion
from noptoolkit.simulate.referee import Check, check
from noptoolkit.simulate.router import Router
from noptoolkit.step.result import StepSchedule
from noptoolkit.tables import Column, Table

__all__ = ["StepCheck", "check_step"]

TOGETHER = {"optimal": "optimal", "optimal-alone": "optimal", "optimal-split": "optimal"}


@dataclass(frozen=True, eq=False, repr=False)
class StepCheck:
    """What a step's schedule takes for its transfers and what routers did.

    Parameters
    ----------
    plan : StepSchedule
        What was checked.
    kinds : tuple of str
        Kind of each transfer.
    scheduled : tuple of float
        Time that each takes alone in the schedule's fluid model, at efficiency 1, in s.
    checks : tuple of Check
        Bound, routes and simulation of each.
    """

    plan: StepSchedule
    kinds: tuple[str, ...]
    scheduled: tuple[float, ...]
    checks: tuple[Check, ...]

    @property
    def efficiency(self) -> float:
        """Scheduled over simulated time of all transfers together, for `noptoolkit.step.StepOptions`."""
        simulated = sum(seen.simulated for seen in self.checks)
        return sum(self.scheduled) / simulated if simulated > 0 else 1.0

    def table(self) -> Table:
        """Return a row for each transfer."""
        rows = [
            [kind, seen.flow.traffic.name, time, seen.bound, seen.simulated, seen.simulated / time]
            for kind, time, seen in zip(self.kinds, self.scheduled, self.checks, strict=True)
        ]
        columns = [
            Column("kind"),
            Column("traffic"),
            Column("scheduled", unit="s", meaning="alone on the network, fluid"),
            Column("bound", unit="s", meaning="that no routing undercuts"),
            Column("simulated", unit="s", meaning="alone, until everything is delivered"),
            Column("ratio", meaning="simulated over scheduled", form=".4f"),
        ]
        notes = ("transfers one at a time; what memory stacks move is not simulated",)
        return Table(columns, rows, title=repr(self), notes=notes)

    def __repr__(self) -> str:
        return (
            f"StepCheck({self.plan.workload.name!r} on {self.plan.package.name!r}, {self.plan.routing}: "
            f"{len(self.checks)} transfers, efficiency {self.efficiency:.3f})"
        )


def check_step(
    plan: StepSchedule, *, router: Router | None = None, most: int = 12, rng: int = 0
) -> StepCheck:
    """Return the transfers of a step beside what simulated routers do with them.

    Parameters
    ----------
    plan : StepSchedule
        Of `noptoolkit.schedule`.
    router : Router, optional
        The design of the routers; a larger ``flit`` makes long transfers quick to simulate.
    most : int
        Transfers that are simulated, those that take longest.
    rng : int
        Seed of the routings that draw.

    Raises
    ------
    ScheduleError
        If the step has no routed transfer of tokens or gradients.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> mesh = nop.topology.mesh(2, attention=True, memory=True, flops="74 TFLOP/s")
    >>> work = nop.load_workload("stdlib-moe")
    >>> layout = nop.allocate(work.trace, mesh, method="contiguous")
    >>> plan = nop.schedule(mesh, work, layout, routing="shortest")
    >>> seen = check_step(plan, router=nop.simulate.Router(flit="8 kB"), most=2)
    >>> bool(all(1 <= x.simulated / time < 1.5 for x, time in zip(seen.checks, seen.scheduled)))
    True
    """
    step = plan.step
    network = step.options.efficiency.network
    routed = [part for part in step.transfers() if part.problem is not None and not part.of_memory]
    sent = [part for part in routed if part.time > 0]
    distinct = sorted({part.index: part for part in sent}.values(), key=lambda part: -part.time)[:most]
    if not distinct:
        raise ScheduleError("the step sends nothing over the network that could be simulated")
    routing = step.options.routing
    follow = TOGETHER.get(routing, routing) if isinstance(routing, str) else routing
    checks = []
    for part in distinct:
        assert part.problem is not None
        flow = congestion(step.package, part.problem.traffic, routing=follow)
        checks.append(check(flow, router=router, rng=rng))
    return StepCheck(
        plan,
        tuple(part.kind for part in distinct),
        tuple(part.time * network for part in distinct),
        tuple(checks),
    )
