"""One workload on one package, stage by stage: allocation -> traffic -> congestion -> schedule.

Layouts are fitted on one half of the trace's tokens (of its documents, where they are known); C_T, traffic
and schedule are those of the other half, so no number profits from tokens that the layout has seen. Dispatch
and combine are those of one MoE layer (mean over the trace's layers) for all tokens of one step, replicated
and reduced where the network can.

A `Run` computes a stage when it is first asked for, once: the number of links costs nothing, C_T an
allocation, the makespan an allocation and a schedule but no congestion.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TypeVar, cast

import numpy as np

from noptoolkit import traffic
from noptoolkit._pictures import Reported
from noptoolkit._version import __version__
from noptoolkit.allocation import Allocation, Allocator, PackageTime, allocate, package_time
from noptoolkit.allocation.allocating import Objective
from noptoolkit.allocation.problem import slots_of
from noptoolkit.errors import PlanError, ScheduleError
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.nodes import expert_work
from noptoolkit.package import Package
from noptoolkit.plans import ParallelPlan, PlanStep, plan_step
from noptoolkit.plans.group_times import GroupTimes
from noptoolkit.progress import Progress
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.serving import Server
from noptoolkit.step import Policy, StepSchedule, check_computes, schedule
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.step.policies import serial
from noptoolkit.step.routing_choice import routing_alone
from noptoolkit.tables import Table
from noptoolkit.trace import RoutingTrace
from noptoolkit.traffic import Traffic
from noptoolkit.traffic.routed import Degree, returned
from noptoolkit.workload import Workload

__all__ = ["LayoutKey", "Run", "SharedStages", "content_of", "halves"]

T = TypeVar("T")

LayoutKey = tuple[Any, ...]
"""What a layout depends on, see `Run.layout_key`."""

SharedStages = MutableMapping[tuple[Any, ...], Any]
"""Stages that several runs have in common, by all that they depend on."""

STAGES = ("allocation", "dispatch", "combine", "uniform", "plan", "parallel_step")
"""Stages of a run that are results."""


@dataclass(frozen=True, eq=False, repr=False)
class Run(Reported):
    """One workload on one package; every stage is computed when it is first asked for, once.

    Made by `run`. It is picklable, with the stages computed so far, and may be asked by several threads.

    Parameters
    ----------
    package
        Package that the workload runs on.
    given
        Workload as given, with its whole trace.
    allocator
        Name or callable that places the experts, or the layout itself.
    routing
        Routing of all traffic.
    policy, policy_name
        Policy of the step, and its name.
    degree
        Copies of a token, see `noptoolkit.traffic.dispatch`.
    objective
        Objective of the allocator ``auto``.
    tol
        Relative gap between a congestion time and its bound at which the optimal routing may stop.
    seed
        Seed of the trace's split and of the allocator.
    step_options
        Further options of the step's schedule, such as ``recompute``.
    parallel_plan
        How the model is spread over the package in `parallel_step`; ``None`` where that is not asked.
    normalised
        Measure by which the links were scaled and the factor of their bandwidth; ``None`` for a package as
        given.
    layouts
        Layouts found so far by the runs of one comparison, by `layout_key`.
    shared
        Halves of traces, messages and congestion found so far by the runs of one study, by all that they
        depend on; ``None`` keeps them to this run.
    progress, report
        Callables that are given the name of each stage, and the solvers' own words.
    """

    package: Package
    given: Workload
    allocator: str | Allocator | Allocation
    routing: str | Routing
    policy: Policy
    policy_name: str
    degree: Degree
    objective: Objective
    tol: float
    seed: int
    step_options: Mapping[str, Any] = field(default_factory=dict)
    parallel_plan: ParallelPlan | None = None
    normalised: tuple[str, float] | None = None
    layouts: MutableMapping[LayoutKey, Allocation] = field(default_factory=dict)
    shared: SharedStages | None = None
    progress: Progress | None = None
    report: Progress | None = None
    _done: dict[str, Any] = field(default_factory=dict, init=False)
    _lock: Any = field(default_factory=RLock, init=False)

    def __repr__(self) -> str:
        return (
            f"Run({self.given.name!r} on {self.package.name!r}, {self.settings()}; "
            f"computed: {', '.join(self.computed) or 'nothing yet'})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "shared": None, "progress": None, "report": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    @property
    def computed(self) -> tuple[str, ...]:
        """Names of the stages that have been computed so far."""
        return tuple(name for name in STAGES if name in self._done)

    def settings(self) -> str:
        """Return layout, copies and routing in a few words, as titles have them."""
        read = "" if self.policy.weights == "each" else f"weights by {self.policy.weights}, "
        copies = {"copies": "per expert", "chiplets": "per chiplet"}.get(self.degree, self.degree)
        return (
            f"layout by {self.layout_name}, token copies {copies}, {read}network routing {self.routing_name}"
        )

    @property
    def routing_name(self) -> str:
        """Name of the routing."""
        return self.routing if isinstance(self.routing, str) else method_of(self.routing).name

    @property
    def layout_name(self) -> str:
        """Name of the allocator asked for, or of the one that made the layout given."""
        if isinstance(self.allocator, Allocation):
            return self.allocator.method.partition(":")[0]
        return self.allocator if isinstance(self.allocator, str) else _name_of(self.allocator)

    @property
    def trace(self) -> RoutingTrace:
        """The held-out half of the routing trace: what results are of."""
        return self._halves[1]

    @property
    def workload(self) -> Workload:
        """The workload with the held-out half of its trace."""
        return self._once("workload", lambda: dataclasses.replace(self.given, routing=self.trace))

    @property
    def allocation(self) -> Allocation:
        """Where each expert sits, fitted on the other half of the trace."""
        return self._once("allocation", self._allocate)

    @property
    def dispatch_traffic(self) -> Traffic:
        """Messages of one MoE layer's dispatch, all tokens of one step."""
        return self._shared("dispatch_traffic", self._messages_key, self._dispatched)

    @property
    def combine_traffic(self) -> Traffic:
        """Messages of one MoE layer's combine, all tokens of one step."""
        return self._shared("combine_traffic", self._messages_key, lambda: returned(self.dispatch_traffic))

    @property
    def dispatch(self) -> FlowResult:
        """Congestion of one MoE layer's dispatch, all tokens of one step."""
        return self._congestion("dispatch", self._messages_key, lambda: self.dispatch_traffic)

    @property
    def combine(self) -> FlowResult:
        """Congestion of one MoE layer's combine, all tokens of one step."""
        return self._congestion("combine", self._messages_key, lambda: self.combine_traffic)

    @property
    def uniform(self) -> FlowResult:
        """Congestion of the same tokens as a uniform unicast all-to-all among the expert chiplets.

        Each token's k copies go to expert chiplets with equal chance.
        """
        return self._congestion("uniform", lambda: (self._even_bytes(),), self._even_traffic)

    @property
    def plan(self) -> StepSchedule:
        """The schedule of one step."""
        return self._once("plan", self._schedule)

    @property
    def parallel_step(self) -> PlanStep:
        """The step of the parallel plan, every chiplet a rank; it needs no layout of experts.

        Raises
        ------
        PlanError
            If no plan was given, or it does not fit model, batch or package.
        """

        def make() -> PlanStep:
            if self.parallel_plan is None:
                raise PlanError("no parallel plan: run(..., plan='TP2 EP8')")
            self._tell("step of a parallel plan")
            times = self._shared(
                "group_times", lambda: (self.package.digest(),), lambda: GroupTimes(self.package)
            )
            return plan_step(self.parallel_plan, self.given, self.package, times=times)

        return self._once("parallel_step", make)

    @property
    def server(self) -> Server:
        """The package as a server of the held-out tokens, with this layout, routing, policy and degree."""

        def make() -> Server:
            options = {"routing": self.routing, "policy": self.policy, "degree": self.degree}
            return Server(self.package, self.workload, self.allocation, options=options)

        return self._once("server", make)

    def layout_key(self) -> LayoutKey:
        """Return what the layout depends on: runs of one key have one layout, whatever their packages.

        That is the workload (by digest), the seed, the allocator, the slots of every expert chiplet and the
        groups; for ``auto`` with objective ``time``, the whole time model of a layer on this package; and
        with ``step``, or ``time`` of routing that is not synthetic, the package, policy and routing, too.
        Packages that differ in memory alone, say, have one time model; with ``c_t``, all packages of equal
        slots and groups share their layouts.
        """
        slots, _ = slots_of(self.package, self.given.model.experts)
        key: LayoutKey = (self.given.digest(), self.seed, self.allocator, slots.tobytes())
        key = (*key, self.package.expert_groups)
        if self.allocator != "auto":
            return key
        timed = content_of(self._layer_time()) if self.objective != "c_t" else ""
        key = (*key, self.objective, timed)
        if not self._scheduled_for_layout:
            return key
        options = repr(sorted(self.step_options.items()))
        return (*key, self.package.digest(), self.policy, self.degree, self.routing, options)

    @property
    def _scheduled_for_layout(self) -> bool:
        """Whether a step decides between layouts: asked for, or ``time`` of routing that is not synthetic."""
        timed = self.objective == "time" and self.given.origin != "synthetic"
        return self.allocator == "auto" and (timed or self.objective == "step")

    def record(self) -> dict[str, str | float | int | None]:
        """Return what the results came from: names, options, seed, version and digests.

        The layout's method and digest are ``None`` as long as no stage has asked for the layout.
        """
        placed = self.allocator if isinstance(self.allocator, Allocation) else self._done.get("allocation")
        by, factor = self.normalised or ("", None)
        return {
            "package": self.package.name,
            "workload": self.given.name,
            "origin": self.given.origin,
            "allocator": self.layout_name,
            "objective": self.objective if self.allocator == "auto" else "",
            "degree": self.degree,
            "routing": self.routing_name,
            "policy": self.policy_name,
            "tol": self.tol,
            "seed": self.seed,
            "normalised_by": by,
            "normalised_factor": factor,
            "layout": None if placed is None else placed.method,
            "version": __version__,
            "package_digest": self.package.digest(),
            "workload_digest": self.given.digest(),
            "allocation_digest": None if placed is None else placed.digest(),
            **({} if self.policy.weights == "each" else {"weights": self.policy.weights}),
            **{name: str(value) for name, value in self.step_options.items()},
            **({} if self.parallel_plan is None else {"plan": str(self.parallel_plan)}),
        }

    def table(self) -> Table:
        """Return options, and the results that are computed so far, as a table."""
        rows = [(key.replace("_", " "), _word(value)) for key, value in self.record().items()]
        rows += [(name, repr(self._done[name])) for name in self.computed]
        return Table(["property", "value"], rows, title=f"{self.given.name} on {self.package.name}")

    def _once(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._done:
            with self._lock:
                if name not in self._done:
                    self._done[name] = make()
        return cast(T, self._done[name])

    def _shared(self, name: str, key: Callable[[], tuple[Any, ...]], make: Callable[[], T]) -> T:
        """Return a stage that runs of one key have in common."""

        def find() -> T:
            if self.shared is None:
                return make()
            where = (name, *key())
            if where not in self.shared:
                self.shared[where] = make()
            return cast(T, self.shared[where])

        return self._once(name, find)

    def _messages_key(self) -> tuple[Any, ...]:
        """Return what messages depend on: nodes and links, but not their widths, tokens and layout."""
        return (self.package.wiring, self.given.digest(), self.seed, self.degree, self.allocation.digest())

    def _congestion(
        self, name: str, key: Callable[[], tuple[Any, ...]], make: Callable[[], Traffic]
    ) -> FlowResult:
        what = "uniform all-to-all" if name == "uniform" else name
        found = self._shared(
            name,
            lambda: (*key(), self.package.digest(), self.routing, self.tol),
            lambda: self._congest(what, make()),
        )
        if found.package is self.package or self.shared is None:
            return found
        return self._once(f"own {name}", lambda: dataclasses.replace(found, package=self.package))

    def _tell(self, stage: str) -> None:
        if self.progress is not None:
            self.progress(f"{self.package.name}: {stage}")

    @property
    def _halves(self) -> tuple[RoutingTrace, RoutingTrace]:
        return self._split()[:2]

    def _split(self) -> tuple[RoutingTrace, RoutingTrace, np.random.Generator]:
        """Return the half to fit on, the half held out, and the generator as the split leaves it."""

        def make() -> tuple[RoutingTrace, RoutingTrace, np.random.Generator]:
            self._tell("routing trace")
            rng = np.random.default_rng(self.seed)
            return (*halves(self.given.trace, rng), rng)

        return self._shared("halves", lambda: (self.given.digest(), self.seed), make)

    def _allocate(self) -> Allocation:
        if isinstance(self.allocator, Allocation):
            return self.allocator
        key = self.layout_key()
        if key not in self.layouts:
            fit, _, rng = self._split()
            self._tell("expert allocation")
            if self._scheduled_for_layout:
                self.layouts[key] = self._of_shorter_step(fit, rng)
            else:
                self.layouts[key] = self._fitted(fit, self.objective, rng)
        found = self.layouts[key]
        return dataclasses.replace(found, experts=self.package.experts, groups=self.package.expert_groups)

    def _fitted(self, fit: RoutingTrace, objective: Objective, rng: np.random.Generator) -> Allocation:
        auto = self.allocator == "auto"
        assert not isinstance(self.allocator, Allocation)
        return allocate(
            fit,
            self.package,
            method=self.allocator,
            objective=objective if auto else None,
            layer_time=self._layer_time() if auto and objective == "time" else None,
            rng=copy.deepcopy(rng),
        )

    def _of_shorter_step(self, fit: RoutingTrace, rng: np.random.Generator) -> Allocation:
        """Return the layout by ``time`` or by ``c_t``: that whose step is shorter.

        The step is that of the tokens fitted for the objective ``step``, and the run's own for ``time``.
        """
        found = [self._fitted(fit, objective, rng) for objective in ("time", "c_t")]
        if np.array_equal(found[0].chiplet_of_expert, found[1].chiplet_of_expert):
            return found[0]
        fitted = self.objective == "step"
        seen = dataclasses.replace(self.given, routing=fit) if fitted else self.workload
        steps = []
        for layout in found:
            self._tell("schedule of one step, for the objective")
            steps.append(self.schedule_on(self.package, seen, layout))
        better = 0 if steps[0].makespan <= steps[1].makespan else 1
        if not fitted:
            self._done.setdefault("plan", steps[better])
        return found[better]

    def _layer_time(self) -> PackageTime:
        try:
            check_computes(self.package)
        except ScheduleError as error:
            raise ScheduleError(
                f"{error}; or place the experts by objective='c_t', which asks no time"
            ) from error
        return self._once(
            "layer_time",
            lambda: package_time(
                self.package,
                token_bytes=self.given.model.hidden * self.given.batch.bytes_per_value,
                flops_per_choice=expert_work(self.given.model, 1).flops,
                degree="in-network" if self.degree == "in-network" else "chiplets",
                routes="any" if routing_alone(self.routing) == "optimal" else "shortest",
                streaming=self._streaming(),
            ),
        )

    def _streaming(self) -> float:
        """Return how long the weights of one MoE layer load, in s per token; 0 where the policy is serial."""
        if self.policy.graph is serial:
            return 0.0
        model, batch, names = self.given.model, self.given.batch, self.package.experts
        each = model.experts * model.expert_parameters / len(names)
        sizes = dict.fromkeys(names, each * batch.bytes_per_value)
        hosted = model.attention_parameters + model.router_parameters + model.shared_parameters
        for name in self.package.with_role("attention") or names:
            sizes[name] = sizes.get(name, 0.0) + hosted * batch.bytes_per_value
        return MemoryStacks(self.package).loading_time(sizes) / batch.tokens

    def _dispatched(self) -> Traffic:
        batch = self.given.batch
        return traffic.dispatch(
            self.package,
            self.trace,
            self.allocation,
            token_bytes=self.given.model.hidden * batch.bytes_per_value,
            degree=self.degree,
            tokens=batch.tokens,  # the trace is a sample of the step's
        )

    def _even_bytes(self) -> float:
        """Return what each expert chiplet sends each other one in the uniform all-to-all, in B."""
        batch, model = self.given.batch, self.given.model
        copies = batch.tokens * model.top_k * model.hidden * batch.bytes_per_value
        return copies / len(self.package.experts) ** 2

    def _even_traffic(self) -> Traffic:
        return traffic.all_to_all(self.package, self._even_bytes(), among="experts")

    def _congest(self, stage: str, demand: Traffic) -> FlowResult:
        self._tell(stage)
        return congestion(
            self.package, demand, routing=routing_alone(self.routing), tol=self.tol, report=self.report
        )

    def _schedule(self) -> StepSchedule:
        layout = self.allocation
        self._tell("schedule of one step")
        return self.schedule_on(self.package, self.workload, layout)

    def schedule_on(self, package: Package, workload: Workload, layout: Allocation) -> StepSchedule:
        """Return the step of another package, workload or layout, scheduled as this run's is."""
        return schedule(
            package,
            workload,
            layout,
            policy=self.policy,
            degree=self.degree,
            routing=self.routing,
            **self.step_options,
        )


def halves(trace: RoutingTrace, rng: np.random.Generator) -> tuple[RoutingTrace, RoutingTrace]:
    """Return tokens to fit a layout on and tokens to judge it on; whole documents where they are known."""
    if trace.num_tokens < 2:
        return trace, trace
    documents = trace.document is not None and len(np.unique(trace.document)) > 1
    [(fit, held_out)] = trace.split(rng=rng, by="document" if documents else "token")
    return fit, held_out


def content_of(model: PackageTime) -> str:
    """Return the sha256 of the numbers of a time model."""
    found = hashlib.sha256()
    for array in (model.parts, model.out, model.back, model.choice_time, np.array(model.streaming)):
        found.update(f"{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _name_of(allocator: Any) -> str:
    return str(getattr(allocator, "__name__", "callable"))


def _word(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
