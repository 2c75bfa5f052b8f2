"""Dispatch and combine in parts: the same bytes and routes, no bound moved, and steps that gain by it."""

import dataclasses
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, Switch, Workload
from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling import TaskGraphBuilder
from noptoolkit.step import Policy, StepSchedule
from noptoolkit.step.parts import cut_step, is_crowded
from noptoolkit.step.route_checks import route_faults
from noptoolkit.step.scheduler import results_first


def star(sram: str = "0.25 MB", *, copies: bool = False) -> Package:
    """Four chiplets, each with tokens, experts and a stack of its own, round a hub."""
    names = [f"e{i}" for i in range(4)]
    leaves = [Chiplet(name, flops="20 TFLOP/s", sram=sram, role="expert") for name in names]
    stacks = [Memory(f"hbm{i}", "400 GB/s", "8 GB", serves=(f"e{i}",)) for i in range(4)]
    links = [Link("hub", name, "16 GB/s") for name in names]
    links += [Link(name, stack.name, "400 GB/s") for name, stack in zip(names, stacks, strict=True)]
    return Package("star", [Switch("hub", replicates=copies, reduces=copies), *leaves, *stacks], links)


@lru_cache
def workload() -> Workload:
    found = nop.load_workload("stdlib-moe")
    return dataclasses.replace(found, model=dataclasses.replace(found.model, layers=2))


@lru_cache
def planned(parts: int | None, routing: str = "shortest") -> StepSchedule:
    return nop.schedule(star(), workload(), routing=routing, parts=parts, slices=8)  # as SRAM asks for


def test_parts_shorten_a_step_whose_experts_do_not_fit() -> None:
    whole, two, four = (planned(parts) for parts in (1, 2, 4))
    assert is_crowded(whole.step)
    assert four.makespan < two.makespan < 0.99 * whole.makespan
    assert planned(None).makespan == two.makespan  # the better of whole and two
    assert planned(None).policy.parts == 2


def test_no_part_moves_the_bound_over_all_routings() -> None:
    """Whatever the parts, it is the same work: one bound, which no schedule beats."""
    plans = [planned(parts) for parts in (1, 2, 4)]
    assert len({plan.lower_bound for plan in plans}) == 1
    for plan in plans:
        assert plan.lower_bound <= plan.bound_of_routes * (1 + 1e-9)
        assert plan.bound_of_routes <= plan.makespan * (1 + 1e-9)


@pytest.mark.parametrize("routing", ["shortest", "optimal"])
def test_parts_are_the_transfers_bytes_on_the_same_routes(routing: str) -> None:
    step = planned(2, routing).step
    for block in step.blocks:
        for sent in (*block.dispatch, *block.combine):
            assert sent.lanes is not None
            total: dict[str, float] = {}
            for lane in sent.lanes.values():
                for resource, time in lane.uses.items():
                    total[resource] = total.get(resource, 0.0) + time
            assert total == pytest.approx(dict(sent.uses))
    # e0 and e2 are part 0: what the hub sends to e0 is of that part alone, as is what e0 sends back to it
    names = {name for block in step.blocks for sent in block.dispatch for name in sent.parts}
    assert {name for name in names if name.startswith("hub->e0")} == {"hub->e0, part 0"}
    assert {name for name in names if name.startswith("hub->e1")} == {"hub->e1, part 1"}


def dispatched_before(plan: StepSchedule, expert: str, resource: str) -> list[float]:
    """Return how long the dispatches of the first micro-batch take on a resource that an expert waits for."""
    graph = plan.graph
    resources = [{graph.resources[r] for r in graph.needs[need][0]} for need in graph.need.tolist()]
    kinds = [graph.kinds[kind] for kind in graph.kind.tolist()]
    first = next(
        task
        for task in range(len(graph))
        if kinds[task] == "expert" and expert in resources[task] and "L0 m0" in graph.name(task)
    )
    waited, found = [first], []
    for task in waited:
        for other in graph.pred[graph.pred_ptr[task] : graph.pred_ptr[task + 1]].tolist():
            if kinds[other] == "dispatch" and resource in resources[other]:
                found.append(float(graph.duration[other]))
            if kinds[other] == "join":
                waited.append(other)
    return found


def test_a_chiplet_waits_for_its_own_part_alone() -> None:
    """What e0 sends crosses e0->hub in two tasks; the experts on e1 wait for that with their tokens."""
    plan = planned(2)
    sent = plan.step.blocks[plan.step.layers[0]].dispatch[0]
    own = sum(size for ends, size in sent.pairs.items() if ends[0] == "e0" and ends[1] in ("e1", "e3"))
    assert dispatched_before(plan, "e1", "e0->hub") == pytest.approx([own / 16e9])
    every = sum(size for ends, size in sent.pairs.items() if ends[0] == "e0")
    assert dispatched_before(planned(1), "e1", "e0->hub") == pytest.approx([every / 16e9])


def test_verify_passes_a_step_in_parts() -> None:
    assert planned(2).verify()


@pytest.mark.parametrize("routing", ["shortest", "optimal"])
def test_verify_holds_parts_against_bytes(routing: str) -> None:
    step = planned(2, routing).step
    assert list(route_faults(step)) == []
    sent = next(block for block in step.blocks if block.dispatch).dispatch[0]
    assert sent.lanes is not None
    name, lane = max(sent.lanes.items(), key=lambda item: item[1].least)
    halved = {**sent.lanes, name: dataclasses.replace(lane, uses={r: t / 2 for r, t in lane.uses.items()})}
    faulty = step.with_transfers(
        lambda one: dataclasses.replace(one, lanes=halved) if one.index == sent.index else one
    )
    (fault,) = route_faults(faulty)
    assert re.match(r"dispatch \d+: part \d takes .* s on .* for what needs", fault)


def test_messages_to_sets_are_not_cut() -> None:
    package = star(copies=True)
    assert nop.schedule(package, workload(), routing="shortest").policy.parts == 1
    assert nop.schedule(package, workload(), routing="shortest", parts=(1, 2)).policy.parts == 1
    with pytest.raises(ScheduleError, match=r"parts=2.*messages to sets.*leave parts out"):
        nop.schedule(package, workload(), routing="shortest", parts=2)


def test_a_step_with_room_for_its_experts_is_sent_whole() -> None:
    plan = nop.schedule(star("64 MB"), workload(), routing="shortest")
    assert not is_crowded(plan.step)
    assert plan.policy.parts == 1
    assert cut_step(plan.step, 1) is plan.step


def test_one_host_is_as_before() -> None:
    tree = nop.load_topology("mozart-nop-tree")
    assert nop.schedule(tree, workload(), routing="shortest").policy.parts == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"parts": 0}, "parts 0 must be a whole number from 1 to 64"),
        ({"parts": 65}, "parts 65 must be"),
        ({"parts": (1, 1.5)}, "parts 1.5 must be"),
        ({"parts": 2, "contention": "fluid"}, "contention='factor' only"),
        ({"parts": 2, "policy": "serial"}, "overlapping policies"),
        ({"parts": 2, "routing": "optimal-alone"}, "no table of paths"),
    ],
)
def test_what_cannot_be_is_refused(options: Mapping[str, Any], error: str) -> None:
    with pytest.raises(ScheduleError, match=error.replace("(", r"\(")):
        nop.schedule(star(), workload(), **{"routing": "shortest", **options})


def test_results_go_first() -> None:
    """A load with a long tail does not hold up a combine; of like kind, the longest tail is first."""
    tasks = TaskGraphBuilder()
    long = tasks.add(1.0, "cable", kind="load")
    tasks.add(9.0, "pe", after=[long], kind="expert")
    short = tasks.add(1.0, "cable", kind="combine")
    graph = tasks.build()
    assert np.argsort(-results_first(graph)).tolist()[0] == short
    assert Policy().parts is None
    best = nop.schedule(star(), workload(), routing="shortest")
    assert best.makespan <= nop.schedule(star(), workload(), routing="shortest", priority="tail").makespan
