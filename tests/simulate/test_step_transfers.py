"""A step's transfers in simulated routers."""

import pytest

import noptoolkit as nop
from noptoolkit.simulate import Router
from noptoolkit.step.simulated import check_step


def test_a_steps_transfers_take_the_time_that_its_schedule_says() -> None:
    mesh = nop.topology.mesh(2, attention=True, memory=True, flops="74 TFLOP/s")
    work = nop.load_workload("stdlib-moe")
    layout = nop.allocate(work.trace, mesh, method="contiguous")
    plan = nop.schedule(mesh, work, layout, routing="shortest")
    seen = check_step(plan, router=Router(flit="4 kB"), most=4)
    assert {"dispatch", "combine"} <= set(seen.kinds)
    for time, one in zip(seen.scheduled, seen.checks, strict=True):
        assert time == pytest.approx(one.flow.time)  # the fluid time of these routes, found another way
        assert 1 - 1e-9 <= one.simulated / time < 1.3
    assert len(seen.table().rows) == len(seen.checks)
