"""`verify()` passes what is right and sees each fault."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from small_steps import small_package, small_workload

import noptoolkit as nop
from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling.verify_bounds import proved_bound
from noptoolkit.step import StepSchedule
from noptoolkit.step.transfers import Transfer

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


def test_multicasts_are_verified_on_a_sample() -> None:
    plans = [plan_of(seed, tree=True) for seed in range(4)]
    assert any(plan.verify().unchecked for plan in plans)


@pytest.mark.parametrize("seed", range(6))
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
