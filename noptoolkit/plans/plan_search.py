"""Branch and bound over the plans of a space; see `noptoolkit.plans.planner` for what it proves."""

from __future__ import annotations

import heapq
import itertools
import time as clock
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from noptoolkit.plans.constants import Rates, StepConstants
from noptoolkit.plans.group_times import Family, GroupTimes
from noptoolkit.plans.memory import PlanMemory, Room, plan_memory
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.plan_bounds import Bounds, Pass
from noptoolkit.plans.routed_experts import RoutedTimes
from noptoolkit.plans.space import PlanFamily, PlanSpace, Variant
from noptoolkit.plans.step_costs import LayerCosts, PlanCosts, costs_of
from noptoolkit.plans.step_times import exposed_of, makespan_of_costs

__all__ = ["VARIANT_CLASSES", "Planned", "Search", "Searched"]

VARIANT_CLASSES = ("priced", "oom", "slower", "broken", "waiting")
"""What becomes of a variant: its step is priced; it is out of memory; its bound is above the plans kept;
it breaks a rule; or it waits when time runs out."""


OPENING = 0.7
"""Share of the time limit after which a search that has solved no plan solves the one it would open next."""

MOST_DIVES = 100
"""Nodes below which such a plan is looked for."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan that the search kept.

    Parameters
    ----------
    plan
        The best of its key.
    time, bound
        Its step, and what it would be if every collective took its own lower bound, in s.
    memory
        What its fullest rank holds, in B.
    parts
        Seconds of the step by what they are spent on.
    solved
        Whether every collective was solved; else ``time`` is what no schedule beats.
    """

    plan: ParallelPlan
    time: float
    bound: float
    memory: float
    parts: dict[str, float]
    solved: bool = True


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search found.

    Parameters
    ----------
    best
        The best plans of different keys, best first.
    lower_bound
        What no plan of the space that fits can beat, in s.
    undecided
        Plans neither dropped nor known.
    counts
        What was opened, and what became of it: ``all`` families, ``families`` opened, ``families_oom`` never
        opened for want of memory; ``mappings`` of experts met, ``mappings_oom`` of them not opened;
        ``variants`` met, each in one class of `VARIANT_CLASSES`; ``solved`` families of groups.
    least_memory
        The smallest memory of a plan that did not fit, in B, and that plan; None if all did.
    """

    best: tuple[Planned, ...]
    lower_bound: float
    undecided: int
    counts: dict[str, int]
    least_memory: tuple[float, ParallelPlan] | None


class _Family(NamedTuple):
    family: PlanFamily
    passed: Pass


class _Mapping(NamedTuple):
    family: PlanFamily
    passed: Pass
    ep: int
    etp: int


class _Variant(NamedTuple):
    family: PlanFamily
    ep: int
    etp: int
    variant: Variant


class _Priced(NamedTuple):
    plan: ParallelPlan


Node = _Family | _Mapping | _Variant | _Priced


class Search:
    """The state that several searches of one space share: costs, memory, times of collectives.

    Parameters
    ----------
    space, rates, constants, times
        What is searched, and what a step is made of.
    rooms
        Room of each rank's chiplet; None where the package has no memory.
    routed
        What a trace makes of the experts; tokens are dealt evenly where None.
    """

    def __init__(
        self,
        space: PlanSpace,
        rates: Rates,
        constants: StepConstants,
        times: GroupTimes,
        rooms: list[Room] | None,
        routed: RoutedTimes | None = None,
    ) -> None:
        self.space, self.rates, self.constants, self.times, self.rooms = space, rates, constants, times, rooms
        self.routed = routed
        self.room = min((room.most for room in rooms), default=float("inf")) if rooms else float("inf")
        self.deadline = float("inf")
        self.bounds = Bounds(space, rates, constants, times.bound, routed)
        self._layers: dict[tuple[object, ...], LayerCosts] = {}
        self._solved = 0
        self._memory: dict[ParallelPlan, float] = {}
        self._least: tuple[float, ParallelPlan] | None = None

    def memory_of(self, plan: ParallelPlan) -> float:
        """Return the bytes on the fullest rank of a plan."""
        if plan not in self._memory:
            found: PlanMemory = plan_memory(plan, self.space.model, self.space.batch)
            self._memory[plan] = found.total
        return self._memory[plan]

    def costs(self, plan: ParallelPlan, *, reached: bool) -> PlanCosts:
        """Return the costs of a plan, with times of collectives that are reached or their bounds."""
        times, routed = self.times, self.routed
        model, batch = self.space.model, self.space.batch
        asked = (plan, model, batch, self.rates, self.constants)
        if reached:
            experts = None if routed is None else routed.experts(plan).layer(reached=True)
            return costs_of(*asked, lambda family: times.interval(family).reached, experts=experts)
        if self._solved != self.solved:
            self._layers, self._solved = {}, self.solved
        experts = None if routed is None else routed.bounded(plan).layer(reached=False)
        return costs_of(*asked, times.bound, memo=self._layers, experts=experts)

    @property
    def solved(self) -> int:
        """Number of families of groups, and of routed ones, whose time is known."""
        return self.times.solved + (0 if self.routed is None else self.routed.solved)

    def step(self, plan: ParallelPlan, costs: PlanCosts) -> float:
        """Return the time of a step, in s."""
        makespan = makespan_of_costs(plan, costs)
        return float(makespan + exposed_of(costs, self.constants, makespan) + costs.update)

    def is_known(self, plan: ParallelPlan) -> bool:
        """Return whether no collective of a plan is left to solve."""
        asked: list[bool] = []

        def ask(family: Family) -> float:
            evenly = self.routed is None or family.kind != "all-to-all"
            asked.append(not evenly or self.times.is_known(family))
            return 0.0

        costs_of(plan, self.space.model, self.space.batch, self.rates, self.constants, ask)
        return all(asked) and (self.routed is None or self.routed.is_known(plan))

    def parts(self, plan: ParallelPlan, costs: PlanCosts, time: float) -> dict[str, float]:
        """Return the seconds of a step by what they are spent on, of an average rank."""
        m, p = costs.micro_batches, plan.pp
        parts = {"compute": m * float(costs.forward.sum() + costs.backward.sum()) / p}
        for name, part in costs.network.items():
            parts[f"{name} communication"] = m * float(part.sum()) / p
        for name, spent in costs.gradients.items():
            parts[f"{name} gradients"] = self.constants.exposed_gradients * spent
        parts["update"] = costs.update
        parts["bubble and imbalance"] = time - sum(parts.values())
        return parts

    def run(
        self,
        keep: int,
        key: tuple[str, ...],
        *,
        budget: float | None = None,
        tol: float = 0.0,
        report: Callable[[str], None] | None = None,
    ) -> Searched:
        """Return the best plans of different keys that fit in a budget of memory; see the module."""
        room = min(self.room, budget if budget is not None else float("inf"))
        count = itertools.count()
        heap: list[tuple[float, int, Node]] = []
        names_of_counts = ("all", "families", "families_oom", "mappings", "mappings_oom", "variants")
        counts = dict.fromkeys((*names_of_counts, *VARIANT_CLASSES, "solved"), 0)
        names = self.space.schedules
        bounds = self.bounds
        for family in self.space.families():
            counts["all"] += 1
            if bounds.memory(family) > room:
                counts["families_oom"] += 1
                continue
            passed = bounds.family(family)
            heap.append((bounds.step(family, passed, names, None), next(count), _Family(family, passed)))
        heapq.heapify(heap)
        kept: dict[tuple[object, ...], Planned] = {}
        lowest = float("inf")
        self._least = None
        solved_before = self.solved
        now = clock.perf_counter()
        opening = now + OPENING * (self.deadline - now)

        def worst() -> float:
            return (
                sorted(found.time for found in kept.values())[keep - 1] if len(kept) >= keep else float("inf")
            )

        limit = float("inf")

        def keep_if_better(plan: ParallelPlan, bound: float, *, solved: bool) -> None:
            nonlocal limit
            costs = self.costs(plan, reached=solved)
            time = self.step(plan, costs)
            name = tuple(getattr(plan, part) for part in key)
            if name not in kept or time < kept[name].time:
                parts = self.parts(plan, costs, time)
                kept[name] = Planned(plan, time, bound, self.memory_of(plan), parts, solved)
                limit = worst()

        while heap:
            bound, _, node = heap[0]
            any_solved = any(found.solved for found in kept.values())
            if bound >= limit or clock.perf_counter() > (self.deadline if any_solved else opening):
                break
            heapq.heappop(heap)
            if not isinstance(node, _Priced):
                for value, child in self._children(bound, node, room, counts, limit):
                    heapq.heappush(heap, (value, next(count), child))
                continue
            plan = node.plan
            known = self.is_known(plan)
            fastest = min((found.time for found in kept.values() if found.solved), default=float("inf"))
            solve = known or bound < (1.0 - tol) * fastest
            if solve and not known:
                if report is not None:
                    report(f"solving collectives of {plan}")
                before = bound
                keep_if_better(plan, before, solved=True)
                bound = max(before, self.step(plan, self.costs(plan, reached=False)))
                if heap and bound > heap[0][0]:  # now known; its turn comes again
                    heapq.heappush(heap, (bound, next(count), node))
                    continue
            lowest = min(lowest, bound)
            keep_if_better(plan, bound, solved=solve)
        if heap and not any(found.solved for found in kept.values()):
            found_plan = self._dive(heap, room)
            if found_plan is not None:
                keep_if_better(found_plan, heap[0][0], solved=True)
        left = [item for item in heap if item[0] < limit]
        for value, _, node in heap:
            if isinstance(node, _Variant):
                counts["waiting" if value < limit else "slower"] += 1
        best = self._settled(list(kept.values()), keep)
        counts["solved"] = self.solved - solved_before
        lower = min([lowest, *(bound for bound, _, _ in heap[:1])])
        undecided = sum(self._plans_of(node) for _, _, node in left)
        return Searched(tuple(best), lower, undecided, counts, self._least)

    def _children(
        self, bound: float, node: Node, room: float, counts: dict[str, int], limit: float
    ) -> Iterator[tuple[float, Node]]:
        """Yield what stands under a node that fits in memory, each with its bound."""
        bounds = self.bounds
        if isinstance(node, _Family):
            counts["families"] += 1
            for ep, etp in self.space.splits(node.family):
                counts["mappings"] += 1
                if bounds.memory(node.family, ep, etp) > room:
                    counts["mappings_oom"] += 1
                    continue
                passed = bounds.mapping(node.family, node.passed, ep, etp)
                value = bounds.step(node.family, passed, self.space.schedules, None)
                yield max(bound, value), _Mapping(node.family, passed, ep, etp)
        elif isinstance(node, _Mapping):
            for variant in self.space.variants(node.family):
                counts["variants"] += 1
                passed = bounds.again(node.passed) if variant.recompute == "full" else node.passed
                value = max(bound, bounds.step(node.family, passed, (variant.schedule,), variant.vpp))
                if value < limit:
                    yield value, _Variant(node.family, node.ep, node.etp, variant)
                else:
                    counts["slower"] += 1
        elif isinstance(node, _Variant):
            plan = self.space.plan(*node)
            if plan is None:
                counts["broken"] += 1
                return
            memory = self.memory_of(plan)
            if memory > room:
                counts["oom"] += 1
                if self._least is None or memory < self._least[0]:
                    self._least = (memory, plan)
                return
            counts["priced"] += 1
            yield max(bound, self.step(plan, self.costs(plan, reached=False))), _Priced(plan)

    def _dive(self, heap: list[tuple[float, int, Node]], room: float) -> ParallelPlan | None:
        """Return the plan that the smallest bounds lead to first, without regard to the others."""
        counts: dict[str, int] = defaultdict(int)
        for bound, _, top in heapq.nsmallest(MOST_DIVES, heap):
            stack: list[tuple[float, Node]] = [(bound, top)]
            while stack:
                value, node = stack.pop()
                if isinstance(node, _Priced):
                    return node.plan
                children = self._children(value, node, room, counts, float("inf"))
                stack += sorted(children, key=lambda child: -child[0])
        return None

    def _settled(self, kept: list[Planned], keep: int) -> list[Planned]:
        """Return the best plans, the first of them solved: those that might beat it are solved, too."""
        while True:
            ranked = sorted(kept, key=lambda found: (found.time, found.solved))
            first = next((found for found in ranked if found.solved), None)
            open_ = [found for found in ranked[:keep] if not found.solved]
            if first is None or not open_ or open_[0].time >= first.time:
                break
            if clock.perf_counter() > self.deadline:
                break
            again = open_[0]
            costs = self.costs(again.plan, reached=True)
            time = self.step(again.plan, costs)
            solved = Planned(again.plan, time, again.bound, again.memory, self.parts(again.plan, costs, time))
            kept = [solved if found is again else found for found in kept]
        if first is None:
            return ranked[:keep]
        return [first, *(found for found in ranked if found is not first)][:keep]

    def _plans_of(self, node: Node) -> int:
        """Return how many plans a node holds at most."""
        if isinstance(node, (_Variant, _Priced)):
            return 1
        splits = len(self.space.splits(node.family)) if isinstance(node, _Family) else 1
        return splits * self.space.most_variants(node.family)
