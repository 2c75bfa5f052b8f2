"""What faster parts do to a step: scheduled again, verified as any other, and what limits next."""

import pytest

import noptoolkit as nop
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.whatif import PARTS, upgrade_step, what_limits
from noptoolkit.whatif.step_parts import faster


@pytest.fixture(scope="module")
def run():
    small = nop.topology.mesh(2, link_bandwidth="16 GB/s", attention=True, memory=True, flops="74 TFLOP/s")
    return nop.run(small, "stdlib-moe", allocator="contiguous", routing="shortest")


def test_a_faster_part_is_scheduled_again_and_verifies(run):
    found = upgrade_step(run, "links", 2.0)
    assert found.after.verify()
    assert found.after.makespan < 0.6 * found.before.makespan
    assert found.after.lower_bound <= found.after.makespan
    again = nop.schedule(
        run.package.with_link_bandwidth("d2d", 2 * run.package.links[0].bandwidth),
        run.workload,
        run.allocation,
        policy=run.policy,
        degree=run.degree,
        routing="shortest",
    )
    assert found.after.makespan == pytest.approx(again.makespan)
    assert found.table().rows[0][0] == "today"
    slower = upgrade_step(run, "attn<->*", 0.5)
    assert slower.saved < -0.2


def test_what_limits_and_what_is_next(run):
    found = what_limits(run, parts=["links", "stacks", "attention"], rounds=2)
    first, second = found.rounds
    assert first.limit.part == "links"
    assert second.step == first.limit.step
    assert [gain.step for gain in first.gains] == sorted(gain.step for gain in first.gains)
    for gain in first.gains:
        assert gain.step_bound <= gain.step
        assert gain.unlimited <= gain.step * 1.02
    table = found.table()
    assert table.sections[0].startswith("what limits: ")
    assert table.sections[-1].startswith("what limits, after links x 2: ")


def test_parts_that_are_not_there(run):
    package = run.package
    assert faster(package, "crossbars", 2.0) is None
    with pytest.raises(NopError, match="says nothing of crossbars"):
        upgrade_step(run, "crossbars")
    with pytest.raises(UnknownNameError, match="did you mean 'stacks'"):
        upgrade_step(run, "stack")
    with pytest.raises(UnknownNameError, match="no link"):
        upgrade_step(run, "e0->nowhere")
    with pytest.raises(NopError, match="above 1"):
        what_limits(run, factor=1.0)
    with pytest.raises(NopError, match="whole number"):
        what_limits(run, rounds=0)
    with pytest.raises(NopError, match="jobs=0"):
        what_limits(run, jobs=0)
    assert faster(package, "hbm0", 2.0).memories[0].bandwidth == 2 * package.memories[0].bandwidth
    assert set(PARTS) >= {"links", "stacks", "attention", "sram"}
