"""`verify()` passes what is right and sees each fault."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from seeds import seeds
from small_steps import small_package, small_workload

import noptoolkit as nop
from noptoolkit.errors import ScheduleError
from noptoolkit.network import flow_network
from noptoolkit.scheduling import TaskGraph
from noptoolkit.scheduling.list_scheduling import bounds_of
from noptoolkit.scheduling.verify_bounds import proved_bound
from noptoolkit.step import Policy, StepSchedule, price_checks
from noptoolkit.step.policies import overlapping
from noptoolkit.step.price_checks import PriceCheck, cheapest_trees
from noptoolkit.step.routing_bound import RoutingBound
from noptoolkit.step.step import Slice, Step
from noptoolkit.step.transfers import Lane, Transfer

pytestmark = pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")


def plan_of(seed: int, *, tree: bool = False, routing: str = "optimal", **options: object) -> StepSchedule:
    rng = np.random.default_rng(seed)
    package = small_package(rng, tree=tree)
    workload = small_workload(rng, package)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    return nop.schedule(package, workload, layout, routing=routing, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("routing", ["optimal", "optimal-split", "optimal-alone", "shortest", "ecmp"])
@pytest.mark.parametrize("seed", range(3))
def test_every_routing_is_verified(routing: str, seed: int) -> None:
    plan = plan_of(seed, routing=routing)
    assert plan.verify()


@pytest.mark.parametrize(
    "options", [{"policy": "serial"}, {"contention": "fluid"}, {"policy": "best"}], ids=str
)
def test_every_policy_is_verified(options: dict[str, object]) -> None:
    plan = plan_of(1, **options)
    assert "prices" in plan.verify().checked
    assert plan.lower_bound <= plan.makespan


def copying_plan(routing: str = "optimal") -> StepSchedule:
    """Return a plan on a mesh that copies, with a half-duplex link, crossbars, and energy."""
    mesh = nop.topology.mesh(
        3, 3, link_bandwidth="1 GB/s", attention=1, memory="2 GB/s", replicates=True, reduces=True,
        flops="1 TFLOP/s",
    )  # fmt: skip
    links = [
        dataclasses.replace(link, half_duplex=i == 0, energy_per_bit=1e-12)
        for i, link in enumerate(mesh.links)
    ]
    nodes = [
        dataclasses.replace(node, crossbar_bandwidth=3e9, injection_bandwidth=2e9, sram=120e3)
        if isinstance(node, nop.Chiplet)
        else dataclasses.replace(node, energy_per_bit=4e-12)
        for node in mesh.nodes
    ]
    package = nop.Package("copying", nodes, links)
    rng = np.random.default_rng(5)
    experts = len(package.experts)
    model = nop.MoEModel("tiny", 256, 1, 4, 4, 16, 200, expert_width=8, experts=experts, top_k=4)
    batch = nop.Batch(sequences=2, sequence_length=64, micro_batches=2, mode="training")
    chosen = [rng.choice(experts, 4, replace=False).tolist() for _ in range(16)]
    workload = nop.Workload("tiny", model, batch, nop.RoutingTrace(chosen, num_experts=experts))
    layout = nop.allocate(workload.trace, package, method="contiguous")
    return nop.schedule(package, workload, layout, routing=routing, energy_per_flop="1 pJ")


@pytest.mark.parametrize("routing", ["optimal", "ecmp"])
def test_steps_with_multicasts_are_verified_whole(routing: str) -> None:
    plan = copying_plan(routing)
    assert any(part for sent in plan.step.transfers() if sent.problem for part in sent.problem.messages)
    assert plan.verify().complete


def test_all_trees_of_multicasts_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = copying_plan()
    rng = np.random.default_rng(3)
    prices = rng.random((4, flow_network(plan.package).num_resources))
    prices /= (prices @ flow_network(plan.package).capacity)[:, None]
    relaxed = plan.step.with_transfers(lambda sent: dataclasses.replace(sent, uses={}, ports={}, lanes={}))
    check = PriceCheck(plan.step, relaxed, prices)
    assert list(check.faults()) == []
    assert not check.unchecked
    sets = next(found for (reverse, _), found in check.sets.items() if not reverse)
    trees = cheapest_trees(sets.onto, sets.ends, sets.at, sets.held)
    assert trees == pytest.approx(sets.claimed, rel=1e-9)
    assert (trees > 1.2 * np.where(sets.held, sets.onto[:, sets.at[:, None], sets.ends], 0).max(axis=2)).any()
    monkeypatch.setattr(price_checks, "SAMPLE", 1)
    part = PriceCheck(plan.step, relaxed, prices, every=False)
    assert list(part.faults()) == []
    assert "cheapest trees of 14 of 15 sets" in part.unchecked[0]
    near = PriceCheck(plan.step, relaxed, prices, every=False)
    for sets in near.sets.values():  # claims that the farthest member proves need no trees
        sets.claimed[:] = np.where(sets.held, sets.onto[:, sets.at[:, None], sets.ends], 0).max(axis=2)
    assert list(near.faults()) == []
    assert not near.unchecked
    dear = PriceCheck(plan.step, relaxed, prices)
    sums = next(found for (reverse, _), found in dear.sets.items() if reverse)
    sums.claimed[2, 3] *= 1.001
    assert "its tree" in next(dear.faults())


@pytest.mark.parametrize("seed", seeds(4, 6))
def test_the_bounds_are_computed_again(seed: int) -> None:
    plan = plan_of(seed)
    for graph, bounds in ((plan.graph, plan.bounds), (plan.any_routing.graph, plan.any_routing.bounds)):
        assert proved_bound(graph, bounds.stages) == pytest.approx(bounds.value, rel=1e-9)


def changed(plan: StepSchedule, change: Callable[[Transfer], Transfer]) -> StepSchedule:
    return dataclasses.replace(plan, step=plan.step.with_transfers(change))


def other_path(sent: Transfer) -> Transfer:
    """Return a transfer whose first pair loses half of its flow on an arc."""
    if not sent.paths:
        return sent
    paths = {ends: share.copy() for ends, share in sent.paths.items()}
    share = next(iter(paths.values()))
    share[int(np.argmax(share))] = 0.5
    return dataclasses.replace(sent, paths=paths)


def test_faults_are_seen() -> None:
    plan = plan_of(2)
    plan = plan if any(sent.paths for sent in plan.step.transfers()) else plan_of(2, routing="optimal-split")
    with pytest.raises(ScheduleError, match="is not conserved"):
        changed(plan, other_path).verify()
    with pytest.raises(ScheduleError, match="the loads of its channels"):
        changed(plan, lambda sent: dataclasses.replace(sent, load=1.5 * sent.load)).verify()
    half = {"uses": lambda sent: {name: time / 2 for name, time in sent.uses.items()}}
    with pytest.raises(ScheduleError, match=r"which need|the tasks take"):
        changed(plan, lambda sent: dataclasses.replace(sent, uses=half["uses"](sent))).verify()
    with pytest.raises(ScheduleError, match="does not take as long as it should"):
        dataclasses.replace(plan, start=0.5 * plan.start, end=0.5 * plan.end).verify()


def test_a_forged_bound_is_seen() -> None:
    plan = plan_of(4)
    forged = dataclasses.replace(plan.bounds, load=1.5 * plan.bounds.value)
    with pytest.raises(ScheduleError, match="is not proved"):
        dataclasses.replace(plan, bounds=forged).verify()
    proof = plan.any_routing
    for prices in (1.5 * proof.prices, -proof.prices):
        bad = dataclasses.replace(plan)
        bad.__dict__["any_routing"] = dataclasses.replace(proof, prices=prices)
        with pytest.raises(ScheduleError, match="capacity @ prices is not 1"):
            bad.verify()
    dear = proof.step.with_transfers(
        lambda sent: dataclasses.replace(sent, uses={name: 1.01 * time for name, time in sent.uses.items()})
    )
    bad = dataclasses.replace(plan)
    bad.__dict__["any_routing"] = dataclasses.replace(proof, step=dear)
    with pytest.raises(ScheduleError, match="costs more under the prices"):
        bad.verify()


Tamper = Callable[[StepSchedule], StepSchedule]


def of_step(change: Callable[[Transfer], Transfer]) -> Tamper:
    return lambda plan: changed(plan, change)


def of_graph(**change: Callable[[Any], Any]) -> Tamper:
    def tamper(plan: StepSchedule) -> StepSchedule:
        fields = {name: edit(getattr(plan.graph, name)) for name, edit in change.items()}
        return dataclasses.replace(plan, graph=dataclasses.replace(plan.graph, **fields))

    return tamper


def of_bound(edit: Callable[[RoutingBound], RoutingBound]) -> Tamper:
    def tamper(plan: StepSchedule) -> StepSchedule:
        bad = dataclasses.replace(plan)
        bad.__dict__["any_routing"] = edit(plan.any_routing)
        return bad

    return tamper


def smaller(sent: Transfer) -> Transfer:
    """Return a transfer of a tenth of the bytes, whose loads and times are right for those."""
    problem = sent.problem
    if problem is not None:
        parts = tuple(dataclasses.replace(part, bytes=0.1 * part.bytes) for part in problem.messages)
        problem = dataclasses.replace(
            problem, demand=0.1 * problem.demand, ports=0.1 * problem.ports, messages=parts
        )
    return dataclasses.replace(
        sent,
        pairs={ends: 0.1 * size for ends, size in sent.pairs.items()},
        problem=problem,
        uses={name: 0.1 * time for name, time in sent.uses.items()},
        ports={name: 0.1 * time for name, time in sent.ports.items()},
        load=0.1 * sent.load,
    )


def faster(name: str) -> Tamper:
    """Return what makes all transfers take a tenth of their time on resources of some name."""

    def change(sent: Transfer) -> Transfer:
        uses = {place: time * (0.1 if name in place else 1.0) for place, time in sent.uses.items()}
        return dataclasses.replace(sent, uses=uses)

    return of_step(change)


def slices(**change: Callable[[Any], Any]) -> Tamper:
    def tamper(plan: StepSchedule) -> StepSchedule:
        def edited(parts: tuple[Slice, ...]) -> tuple[Slice, ...]:
            return tuple(
                dataclasses.replace(
                    part, **{name: edit(getattr(part, name)) for name, edit in change.items()}
                )
                for part in parts
            )

        blocks = tuple(
            dataclasses.replace(block, before=edited(block.before), experts=edited(block.experts))
            for block in plan.step.blocks
        )
        return dataclasses.replace(plan, step=dataclasses.replace(plan.step, blocks=blocks))

    return tamper


def relaxed_uses(factor: float) -> Callable[[RoutingBound], RoutingBound]:
    def lane(one: Lane) -> Lane:
        return dataclasses.replace(one, uses={name: factor * time for name, time in one.uses.items()})

    def change(sent: Transfer) -> Transfer:
        lanes = None if sent.lanes is None else {name: lane(one) for name, one in sent.lanes.items()}
        return dataclasses.replace(
            sent, lanes=lanes, uses={name: factor * time for name, time in sent.uses.items()}
        )

    return lambda proof: dataclasses.replace(proof, step=proof.step.with_transfers(change))


def longer_lanes(proof: RoutingBound) -> RoutingBound:
    def change(sent: Transfer) -> Transfer:
        lanes = sent.lanes and {
            name: dataclasses.replace(one, least=1.001 * one.least) for name, one in sent.lanes.items()
        }
        return dataclasses.replace(sent, lanes=lanes, least=sent.least and 1.001 * sent.least)

    return dataclasses.replace(proof, step=proof.step.with_transfers(change))


def of_energy(**change: float) -> Tamper:
    return lambda plan: dataclasses.replace(plan, energy=dataclasses.replace(plan.energy, **change))


def high_bound(plan: StepSchedule) -> StepSchedule:
    """Return a plan whose graph of the bound takes 1.3 times as long, with bounds that fit it."""
    proof = plan.any_routing
    graph = dataclasses.replace(
        proof.graph, duration=1.3 * proof.graph.duration, use_time=1.3 * proof.graph.use_time
    )
    return of_bound(lambda one: dataclasses.replace(one, graph=graph, bounds=bounds_of(graph)))(plan)


def above_the_schedule(plan: StepSchedule) -> StepSchedule:
    bounds = dataclasses.replace(plan.any_routing.bounds, load=2 * plan.makespan)
    return of_bound(lambda one: dataclasses.replace(one, bounds=bounds))(plan)


def not_a_number(values: Any) -> Any:
    values = np.array(values, dtype=float)
    values[-1] = np.nan
    return values


TAMPERS: dict[str, tuple[Tamper, str]] = {
    "bytes": (of_step(smaller), "moves other bytes"),
    "half duplex or crossbar": (faster("crossbar"), "crossbar takes"),
    "channels": (faster("->"), "takes"),
    "injection": (faster("injection"), "injection takes"),
    "ports": (
        of_step(lambda sent: dataclasses.replace(sent, ports={k: 2 * t for k, t in sent.ports.items()})),
        "s for what needs",
    ),
    "nan use": (
        of_step(lambda sent: dataclasses.replace(sent, uses=dict.fromkeys(sent.uses, np.nan))),
        r"duration nan is not 0 or more seconds(.|\n)*is negative or no number",
    ),
    "nan load": (
        of_step(lambda sent: dataclasses.replace(sent, load=np.nan * sent.load)), "is negative or no number"
    ),
    "compute": (slices(forward=lambda time: 0.5 * time), "is not what the model computes there"),
    "weights": (slices(size=lambda size: 0.5 * size), "is not what the model computes there"),
    "durations": (of_graph(duration=lambda time: 0.5 * time), "differ in duration"),
    "precedence": (of_graph(pred=lambda pred: 0 * pred), "differ in pred"),
    "nan duration": (of_graph(duration=not_a_number), "differ in duration"),
    "room": (of_graph(buffer_size=lambda size: 2 * size + 1), "differ in buffer_size"),
    "nan end": (lambda plan: dataclasses.replace(plan, end=not_a_number(plan.end)), "some tasks never run"),
    "memory energy": (of_energy(memory=1.0), "the energy of memory"),
    "network energy": (of_energy(network=np.nan), "the energy of network"),
    "compute energy": (of_energy(compute=0.0), "the energy of compute"),
    "relaxed graph": (high_bound, "bound over all routings differ in"),
    "relaxed uses": (of_bound(relaxed_uses(1.3)), "costs more under the prices"),
    "nan relaxed uses": (of_bound(relaxed_uses(np.nan)), "costs more under the prices"),
    "relaxed least": (of_bound(longer_lanes), "takes longer alone than is proved"),
    "bound above the schedule": (above_the_schedule, "the lower bound is"),
    "nan bound": (
        of_bound(lambda one: dataclasses.replace(one, bounds=dataclasses.replace(one.bounds, load=np.nan))),
        "load is nan s, no time",
    ),
    "nan prices": (
        of_bound(lambda one: dataclasses.replace(one, prices=np.nan * one.prices)), "the prices are negative"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def honest() -> StepSchedule:
    plan = copying_plan()
    assert plan.verify()
    return plan


@pytest.mark.parametrize("name", TAMPERS)
def test_each_planted_fault_is_seen(honest: StepSchedule, name: str) -> None:
    tamper, said = TAMPERS[name]
    with pytest.raises(ScheduleError, match=said):
        tamper(honest).verify(every_set=False)


def hasty(step: Step, policy: Policy) -> TaskGraph:
    """Return the tasks of a step of which none waits for another."""
    graph = overlapping(step, policy)
    return dataclasses.replace(graph, pred=graph.pred[:0], pred_ptr=0 * graph.pred_ptr, hold=0 * graph.hold)


def test_what_is_assumed_is_not_seen(honest: StepSchedule) -> None:
    """Another question, and a policy that forgets what waits for what; the docstring says so."""
    rng = np.random.default_rng(2)
    package = small_package(rng)
    workload = small_workload(rng, package)
    plan = nop.schedule(package, workload, policy=Policy(graph=hasty), routing="shortest")
    assert plan.verify(every_set=False) is not None
    with pytest.raises(
        ScheduleError, match="differ in"
    ):  # but the policy that is named is the one that was used
        dataclasses.replace(plan, policy=Policy()).verify(every_set=False)
    energy = dataclasses.replace(honest.energy, per_flop=2e-12, compute=2 * honest.energy.compute)
    dataclasses.replace(honest, energy=energy).verify(every_set=False)
