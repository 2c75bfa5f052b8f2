"""Slices, stages and readings of a step, each with an answer that a reader can give."""

import dataclasses
import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from small_steps import RATE, expert_bytes, small_package, small_workload, star, step_of

import noptoolkit as nop
from noptoolkit import Link, Memory, Package
from noptoolkit.errors import ScheduleError, WorkloadError
from noptoolkit.nodes import OPTIMISERS
from noptoolkit.nodes.operations import step_flops
from noptoolkit.scheduling import TaskGraph
from noptoolkit.step import Policy, Step, StepOptions, StepSchedule, scheduler
from noptoolkit.step.caches import tensor_parameters
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.energy import energy_of
from noptoolkit.step.finer import ways_to_cut
from noptoolkit.step.joint_trees import _parts, _turns
from noptoolkit.step.ledger import activation_values
from noptoolkit.step.overlapping import overlapped_graph
from noptoolkit.step.policies import overlapping
from noptoolkit.step.reading_checks import reading_faults
from noptoolkit.step.route_checks import resource_times
from noptoolkit.step.routes import named_routing, routed_step
from noptoolkit.step.visits import Ring, waiting_alike
from noptoolkit.step.work_checks import _received

pytestmark = pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")


@pytest.mark.parametrize("weights", ["each", "multicast", "broadcast"])
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("part", [None, 5.0, 3.0, 1.5, 0.7])
def test_slices_are_all_the_weights_and_two_fit_in_sram(
    part: float | None, copies: bool, weights: str
) -> None:
    """``part`` is what SRAM holds, in experts: two slices of two, one, and of parts of one fit there."""
    size = expert_bytes(step_of(star()))
    sram = None if part is None else part * size
    step = step_of(star(sram), copies=copies, weights=weights)
    held = 6 if copies else 2
    at_once = held if part is None else int(part / 2)
    count = math.ceil(held / at_once) if at_once else held * math.ceil(2 / part)  # type: ignore[operator]
    for block in step.blocks:
        for name in step.package.experts:
            mine = [one.size for one in block.experts if one.chiplet == name]
            assert sum(mine) == pytest.approx(held * size)
            assert len(mine) == count
        hosted = [one.size for one in block.before]
        whole = sum(hosted)
        assert len(hosted) == (1 if sram is None else math.ceil(2 * whole / sram * (1 - 1e-12)))
        assert sram is None or all(2 * one.size <= sram * (1 + 1e-9) for one in block.slices)


@pytest.mark.parametrize("degree", ["copies", "in-network"])
@pytest.mark.parametrize("hosts", ["a", "experts"])
def test_a_split_head_sends_every_token_to_every_expert_chiplet(hosts: str, degree: str) -> None:
    """Each chiplet gets the tokens of all hosts but itself, and gives as much back."""
    step = step_of(star(), split_head=True, degree=degree, hosts=(hosts,) if hosts == "a" else hosts)
    batch, model = step.workload.batch, step.workload.model
    size = model.hidden * batch.bytes_per_value * batch.tokens / step.micro_batches
    each = size if hosts == "a" else size * 2 / 3
    for sent in step.head.dispatch:
        found = {name: size for name, size in _received(sent).items() if size}
        assert found == pytest.approx(dict.fromkeys(step.package.experts, each))
    for sent in step.head.combine:
        assert sum(_received(sent).values()) == pytest.approx(3 * each)


def test_state_of_the_optimiser_lies_on_stacks_in_training_alone() -> None:
    """The optimiser's bytes are in proportion to the weights that stacks hold, in training only."""
    kept = {}
    for mode in ("training", "prefill", "decode"):
        ledger = step_of(star(), mode=mode, optimiser="adam").ledger
        kept[mode] = {held.kind: held.size for held in ledger.holdings if held.place == "hbm"}
    assert "optimiser" not in kept["prefill"]
    assert "optimiser" not in kept["decode"]
    assert kept["training"]["weights"] == pytest.approx(kept["prefill"]["weights"])
    state = OPTIMISERS["adam"].state_bytes
    assert kept["training"]["optimiser"] == pytest.approx(kept["training"]["weights"] / 2 * state)


def test_stages_of_a_step_are_chains() -> None:
    """Loads, then the head, then the backward passes; and all the loads with the head between."""
    package = star()
    work = small_workload(np.random.default_rng(0), package)
    model = dataclasses.replace(work.model, layers=3)
    layout = nop.allocate(work.trace, package, method="contiguous")
    for mode, longest in (("training", 7), ("prefill", 4)):
        one = dataclasses.replace(work, model=model, batch=dataclasses.replace(work.batch, mode=mode))
        graph = nop.schedule(package, one, layout, policy="all-to-all", routing="shortest").graph
        lengths = sorted(map(len, graph.chains))
        assert lengths[-1] == longest, lengths
        if mode == "training":
            assert 5 in lengths


@pytest.mark.parametrize("on_network", [False, True])
def test_parts_of_readings_join_those_of_tokens_where_they_cross_the_network(on_network: bool) -> None:
    step = step_of(
        star(), copies=True, weights="multicast", degree="in-network", weights_on_network=on_network
    )
    stack = step.package.index["hbm"]
    assert any(sent.of_memory and sent.problem is not None for sent in step.transfers())
    roots = {root for root, _, _ in _parts(step)}
    assert step.package.index["a"] in roots
    assert (stack in roots) == on_network


@pytest.mark.parametrize("weights", ["multicast", "broadcast"])
def test_a_reading_of_too_few_experts_is_seen(weights: str) -> None:
    step = step_of(star(), copies=True, weights=weights)
    assert list(reading_faults(step)) == []
    first = step.blocks[0]
    readers = {one.reading for one in first.experts}
    assert None not in readers
    dropped = min(number for number in readers if number is not None)
    fewer = tuple(one for one in first.experts if one.reading != dropped)
    forged = dataclasses.replace(step, blocks=(dataclasses.replace(first, experts=fewer), *step.blocks[1:]))
    assert any("are read for all of them, the layout has" in line for line in reading_faults(forged))


def test_loads_wait_until_what_they_cannot_stand_beside_has_left() -> None:
    """Slices of 2, 2, 3, 1 B in 5 B: the third enters when the first has left, the last beside it."""
    ring = Ring()
    for number, size in enumerate((2.0, 2.0, 3.0, 1.0)):
        ring.enter(size, range(10 * number, 10 * number + 2), (10 * number + 1,))
        ring.releases[number] = 10 * number + 5
    loads, releases = ring.waits(5.0)
    assert list(zip(loads.tolist(), releases.tolist(), strict=True)) == [(20, 5), (21, 5), (30, 15), (31, 15)]
    assert [len(one) for one in ring.waits(8.0)] == [0, 0]
    ring.repeat(slice(2, 4), (31,), 20)
    assert (len(ring), ring.loaded, ring.releases[4:]) == (6, [51], [45, 55])


def test_those_who_wait_alike_are_one_group() -> None:
    lead = {"x": frozenset("ab"), "y": frozenset("ba"), "z": frozenset("c")}
    found = waiting_alike("xyzw", "cba", lead)
    assert found == [(["x", "y"], ("b", "a")), (["z"], ("c",)), (["w"], ())]


@pytest.mark.parametrize("contention", ["factor", "fluid"])
def test_a_check_says_what_other_contentions_leave(contention: str) -> None:
    rng = np.random.default_rng(1)
    package = small_package(rng)
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    plan = nop.schedule(package, work, layout, routing="shortest", contention=contention)
    found = plan.verify()
    said = any("is checked by rates only" in text for text in found.unchecked)
    assert said == (contention != "factor")
    other = plan.step.with_transfers(
        lambda sent: dataclasses.replace(sent, ports={name: 2 * time for name, time in sent.ports.items()})
    )
    with pytest.raises(ScheduleError):
        dataclasses.replace(plan, step=other).verify()


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_weights_come_from_the_stack_and_go_back_with_what_the_optimiser_keeps(optimiser: str) -> None:
    step = step_of(star(), optimiser=optimiser)
    state = OPTIMISERS[optimiser].state_bytes
    for part in step.blocks[0].slices:
        own = part.size / step.workload.batch.bytes_per_value * state
        assert part.load.pairs == {("hbm", part.chiplet): part.size}
        back = {("hbm", part.chiplet): own, (part.chiplet, "hbm"): part.size + own}
        assert part.store.pairs == pytest.approx({ends: size for ends, size in back.items() if size})


def test_the_hosts_read_attention_its_two_norms_and_the_router() -> None:
    step = step_of(star())
    model = step.workload.model
    parts = [part.size for part in step.blocks[0].before if part.kind == "attention"]
    each = step.workload.batch.bytes_per_value
    assert sum(parts) == pytest.approx(
        (model.attention_parameters + (2 + model.experts) * model.hidden) * each
    )


def test_weights_that_stream_take_half_of_sram_at_most() -> None:
    size = expert_bytes(step_of(star()))
    for sram in (0.5 * size, 3 * size, 5 * size, None):
        step = step_of(star(sram), slices="stream")
        for part in step.blocks[0].experts:
            assert part.size == 2 * size
            assert part.room == min(2 * size, math.inf if sram is None else sram / 2)


def test_heads_of_tensor_parallel_attention_are_dealt_and_rounded_up() -> None:
    """Of 7 heads one of 3 hosts has 3, with keys and values; of all other weights it has a third."""
    model = nop.MoEModel("odd", 64, 1, 7, 7, 16, 200, expert_width=32, experts=4, top_k=2)
    copied = 2 * 64 * 7 * 16
    rest = model.attention_parameters - copied
    assert rest >= copied
    assert rest % 3
    assert tensor_parameters(model, 3) == rest // 3 + 1 + 3 * copied // 7
    assert tensor_parameters(model, 1) == model.attention_parameters


@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_in_finer_slices_keeps_its_parts(parts: int) -> None:
    rng = np.random.default_rng(1)
    package = small_package(rng)
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    asked = Policy(parts=parts)
    plan = nop.schedule(package, work, layout, policy=asked, routing="shortest", degree="chiplets")
    assert plan.policy.parts == parts
    step = dataclasses.replace(plan.step, options=dataclasses.replace(plan.step.options, slices=None))
    ways = ways_to_cut(dataclasses.replace(plan, step=step), asked)
    assert ways
    for way in ways:
        finer = way(plan)
        assert finer is not None
        assert len(finer.blocks[0].experts) > len(step.blocks[0].experts)
        assert len({*finer.parts.values()}) == (0 if parts == 1 else 2)


@pytest.mark.parametrize(("makespan", "kept"), [(0.9, True), (0.9999, True), (1.0, False), (1.1, False)])
def test_a_finer_schedule_is_kept_where_it_gains(
    makespan: float, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(makespan: float) -> StepSchedule:
        step = SimpleNamespace(options=SimpleNamespace(slices=None))
        return cast(StepSchedule, SimpleNamespace(step=step, policy=Policy(), makespan=makespan))

    whole, finer = plan(1.0), plan(makespan)
    monkeypatch.setattr(scheduler, "is_far", lambda plan: True)
    monkeypatch.setattr(scheduler, "ways_to_cut", lambda plan, asked: [lambda plan: plan.step])
    monkeypatch.setattr(scheduler, "_planned", lambda *given: finer)
    assert scheduler._cut_finer(whole, Policy(), None, None) is (finer if kept else whole)


def test_a_policy_that_forgets_half_of_each_transfer_is_seen() -> None:
    """Its graph is the one that it makes of the step; that the tasks are too short, only their sums say."""

    def half(step: Step, policy: Policy) -> TaskGraph:
        graph = overlapping(step, policy)
        moved = np.array([graph.kinds[kind] in ("dispatch", "combine") for kind in graph.kind])
        return dataclasses.replace(graph, duration=np.where(moved, 0.5, 1.0) * graph.duration)

    rng = np.random.default_rng(1)
    package = small_package(rng)
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    plan = nop.schedule(package, work, layout, policy=Policy(half, parts=1), routing="shortest")
    with pytest.raises(ScheduleError, match=r"dispatch on .*: the tasks take"):
        plan.verify()
    whole = nop.schedule(package, work, layout, policy=Policy(overlapping, parts=1), routing="shortest")
    assert whole.verify()


def test_a_stage_of_loads_ends_with_what_both_stacks_bring() -> None:
    package = star()
    nodes = [*package.nodes, Memory("other", bandwidth=RATE)]
    package = Package("two", nodes, [*package.links, Link("hub", "other", RATE)])
    step = routed_step(step_of(package, weights_on_network=False), named_routing(package, "shortest"))
    graph = overlapped_graph(step)
    first = max(graph.chains, key=len)[0]
    tasks = graph.fronts[first].tolist()
    assert len(tasks) == len(package.experts)
    for task in tasks:
        before = graph.pred[graph.pred_ptr[task] : graph.pred_ptr[task + 1]].tolist()
        used = {graph.resources[r] for one in before for r in graph.needs[graph.need[one]][0]}
        assert used == {"hbm", "other"}


def test_a_step_is_not_made_of_a_layout_in_other_groups() -> None:
    """Not of a model without experts either, which no dispatch would hold against the layout."""
    package = star(experts=4)
    work = small_workload(np.random.default_rng(0), package)
    dense = dataclasses.replace(work.model, dense_layers=work.model.layers, dense_width=64)
    work = nop.Workload("dense", dense, work.batch, work.trace)
    first = np.arange(8) // 2
    grouped = nop.Allocation(package.experts, first, groups=((0, 1), (2, 3)))
    with pytest.raises(WorkloadError, match=r"for groups of 2, 2 chiplets, .* in groups of 1, 1, 1, 1"):
        unrouted_step(package, work, grouped, StepOptions())
    assert unrouted_step(package, work, nop.Allocation(package.experts, first), StepOptions()).blocks


def test_a_stack_is_busy_with_what_it_sends_and_receives() -> None:
    """3 GB out and 1 GB in, at 1 GB/s of a port and of a link each way."""
    package = star()
    load = np.zeros(len(package.channels))
    for i, channel in enumerate(package.channels):
        load[i] = {("hbm", "hub"): 3e9, ("hub", "hbm"): 1e9}.get((channel.tail, channel.head), 0.0)
    found = resource_times(package, load, {"hbm": 3e9}, {"hbm": 1e9})
    assert found == pytest.approx({"hbm->hub": 3.0, "hub->hbm": 1.0, "hbm port": 4.0})


def test_energy_of_a_flop_is_kept_where_it_is_given() -> None:
    package = star()
    step = routed_step(step_of(package), named_routing(package, "shortest"))
    given, unknown = energy_of(step, "2 pJ"), energy_of(step, None)
    assert given.per_flop == pytest.approx(2e-12)
    assert unknown.per_flop is None
    assert "compute" in unknown.unknown
    assert "compute" not in given.unknown
    work = step.workload
    assert given.compute == pytest.approx(2e-12 * step_flops(work.model, work.batch))


def test_experts_that_stay_in_sram_leave_less_room_for_the_rest() -> None:
    """Of six experts a layer two in all stay in the SRAM of four; two more fit beside them, and move."""
    size = expert_bytes(step_of(star()))
    step = step_of(
        star(4 * size), copies=True, mode="decode", experts="all", resident="pinned", resident_share=0.5
    )
    assert step.resident == pytest.approx(dict.fromkeys(step.package.experts, 2 * size))
    for name in step.package.experts:
        blocks = [step.blocks[kind] for kind in step.layers]
        mine = [part.size for block in blocks for part in block.experts if part.chiplet == name]
        assert {*mine} == {0.0, size}
        assert sum(mine) == pytest.approx((6 * len(blocks) - 2) * size)


@pytest.mark.parametrize("weights", ["each", "multicast", "broadcast"])
def test_each_slice_takes_its_room_once_and_gives_it_back(weights: str) -> None:
    """Also of those for which another chiplet's load brings the weights; alone, a load waits for no join."""
    package = star(5 * expert_bytes(step_of(star())))
    step = step_of(package, copies=True, weights=weights)
    graph = overlapped_graph(routed_step(step, named_routing(package, "shortest")))
    buffer = np.array([graph.needs[need][1] for need in graph.need.tolist()])
    visits = [step.blocks[kind] for kind in step.layers] * 2 + [step.head]
    for index, name in enumerate(graph.buffers):
        held = graph.hold[buffer == index]
        rooms = [part.room for block in visits for part in block.slices if part.chiplet == name]
        assert sorted(held[held > 0]) == pytest.approx(sorted(rooms))
        assert sorted(-held[held < 0]) == pytest.approx(sorted(rooms))
    taking = graph.hold > 0
    joins = np.array([graph.kinds[kind] == "join" for kind in graph.kind])
    assert (taking & joins).any() == (weights != "each")


@pytest.mark.parametrize("resident", ["none", "pinned"])
@pytest.mark.parametrize("weights", ["each", "multicast", "broadcast"])
def test_readings_of_sound_steps_have_no_fault(weights: str, resident: str) -> None:
    """Whoever reads its own, or keeps some in SRAM, is not asked for readings of all copies together."""
    package = star(4 * expert_bytes(step_of(star())))
    step = step_of(package, copies=True, mode="decode", experts="all", weights=weights, resident=resident)
    assert bool(step.resident) == (resident == "pinned")
    assert list(reading_faults(step)) == []


@pytest.mark.parametrize(("recompute", "factor"), [(False, 2.0), (True, 3.0)])
def test_a_backward_pass_is_twice_a_forward_one_and_once_more_to_compute_again(
    recompute: bool, factor: float
) -> None:
    package = star()
    step = routed_step(step_of(package, recompute=recompute), named_routing(package, "shortest"))
    assert step.backward_factor == factor
    graph = overlapped_graph(step)
    experts = np.array([graph.kinds[kind] == "expert" for kind in graph.kind])
    once = sum(float(part.forward.sum()) for kind in step.layers for part in step.blocks[kind].experts)
    assert graph.duration[experts].sum() == pytest.approx((1 + factor) * once)


@pytest.mark.parametrize("recompute", [False, True])
def test_energy_counts_what_is_computed_again(recompute: bool) -> None:
    """A forward pass more, without the head: at most a third of the three passes of all that has weights."""
    package = star()
    step = routed_step(step_of(package, recompute=recompute), named_routing(package, "shortest"))
    work, spent = step.workload, energy_of(step, "1 pJ").compute / 1e-12
    once = step_flops(work.model, work.batch)
    more = step_flops(work.model, dataclasses.replace(work.batch, mode="prefill"))
    more -= 2 * work.batch.sequences * work.model.vocab * work.model.hidden
    assert 0 < more < once / 3
    assert spent == pytest.approx(once + (more if recompute else 0.0))


def test_verification_of_a_step_looks_at_its_readings() -> None:
    package = star()
    work = small_workload(np.random.default_rng(0), package)
    plan = nop.schedule(package, work, routing="shortest", weights="multicast", hosts="experts")
    assert plan.verify()
    block = plan.step.blocks[0]
    shared = next(part for part in block.before if part.reading not in (None, part.index))
    less = tuple(dataclasses.replace(p, size=0.5 * p.size) if p is shared else p for p in block.before)
    blocks = tuple(dataclasses.replace(b, before=less) if b is block else b for b in plan.step.blocks)
    forged = dataclasses.replace(plan, step=dataclasses.replace(plan.step, blocks=blocks))
    with pytest.raises(ScheduleError, match=f"slice {shared.index} has other weights"):
        forged.verify()


def test_readings_of_the_same_chiplets_take_turns() -> None:
    step = step_of(star(2 * expert_bytes(step_of(star()))), copies=True, weights="multicast")
    turns = _turns(step)
    shared = [part for block in step.blocks for part in block.experts if part.reading == part.index]
    assert len(shared) > 2
    assert [turns[part.load.index] for part in shared] == list(range(len(shared)))


def test_what_a_token_leaves_behind_in_each_part_of_a_layer() -> None:
    """Gate, up and their product of each shared expert; two vectors and queries, keys, values, results."""
    model = nop.MoEModel(
        "odd", 64, 2, 7, 7, 16, 200, expert_width=32, experts=4, top_k=2, shared_experts=2, shared_width=48,
        dense_layers=1, dense_width=80,
    )  # fmt: skip
    kept = activation_values(model)
    assert kept["shared"] == 3 * 2 * 48
    assert kept["dense"] == 3 * 80
    assert kept["expert"] == 64 + 3 * 32
    assert kept["attention"] == 2 * 64 + 4 * 7 * 16
    plain = dataclasses.replace(model, shared_width=0)
    assert activation_values(plain)["shared"] == 3 * 2 * 32


@pytest.mark.parametrize("mode", ["training", "prefill", "decode"])
@pytest.mark.parametrize("experts", ["used", "all", "routed"])
def test_loads_wait_for_the_router_where_asked_to_and_nothing_trains(mode: str, experts: str) -> None:
    step = step_of(star(), mode=mode, experts=experts)
    assert step.loads_as_routed == (mode != "training" and experts == "routed")


def test_a_split_head_of_more_than_64_chiplets_reaches_all() -> None:
    step = step_of(star(experts=66), split_head=True, degree="in-network")
    found = _received(step.head.dispatch[0])
    assert len({found[name] for name in step.package.experts}) == 1
    assert found["e0"] > 0


def test_a_step_names_how_many_chiplets_do_not_say_how_fast_they_compute() -> None:
    package = star()
    work = small_workload(np.random.default_rng(0), package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    silent = [dataclasses.replace(n, flops=None) if n.name in ("e0", "e2") else n for n in package.nodes]  # type: ignore[call-arg]
    with pytest.raises(ScheduleError, match="2 chiplets, such as 'e0', do not say"):
        unrouted_step(package.replace(nodes=silent), work, layout, StepOptions())


def test_results_leave_a_chiplet_when_its_experts_have_worked() -> None:
    """In a star every result crosses the link of its chiplet: that task comes after the work there."""
    package = star(2 * expert_bytes(step_of(star())))
    step = routed_step(step_of(package, degree="chiplets"), named_routing(package, "shortest"))
    graph = overlapped_graph(step)
    kinds = [graph.kinds[kind] for kind in graph.kind.tolist()]
    places = [[graph.resources[r] for r in graph.needs[need][0]] for need in graph.need.tolist()]
    done: list[set[int]] = []
    for task in range(len(kinds)):
        before = graph.pred[graph.pred_ptr[task] : graph.pred_ptr[task + 1]].tolist()
        done.append(set(before).union(*(done[one] for one in before if one < task)))
    for name in package.experts:
        work = [i for i, kind in enumerate(kinds) if kind == "expert" and places[i] == [name]]
        leaving = [i for i, kind in enumerate(kinds) if kind == "combine" and places[i] == [f"{name}->hub"]]
        assert len(work) == len(leaving) * len([p for p in step.blocks[0].experts if p.chiplet == name])
        each = len(work) // len(leaving)
        for number, task in enumerate(leaving):
            assert {*work[number * each : (number + 1) * each]} <= done[task]
