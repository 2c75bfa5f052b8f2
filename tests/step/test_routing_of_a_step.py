"""The routing that the user names routes the whole step."""

import pytest

import noptoolkit as nop
from noptoolkit import load_topology, load_workload

pytestmark = pytest.mark.filterwarnings("ignore:.*need more memory")


def test_the_named_routing_routes_the_step() -> None:
    package, workload = load_topology("mesh-4x4"), load_workload("qwen3-30b-a3b")
    layout = nop.allocate(workload.trace, package, method="contiguous")
    plans = {
        name: nop.schedule(package, workload, layout, routing=name)
        for name in ("shortest", "up-down", "optimal-alone")
    }
    assert {name: plan.routing for name, plan in plans.items()} == {name: name for name in plans}
    assert len({plan.makespan for plan in plans.values()}) == 3
    assert "Network routing: up-down." in plans["up-down"].notes()


def test_a_run_gives_its_routing_to_the_schedule() -> None:
    run = nop.run("mesh-4x4", "qwen3-30b-a3b", allocator="contiguous", routing="shortest")
    layout = run.allocation
    assert run.plan.routing == "shortest"
    assert run.plan.makespan == nop.schedule(run.package, run.workload, layout, routing="shortest").makespan
