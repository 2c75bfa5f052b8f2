"""Options of a step: what they may be, how a run and the command line pass them on, what its table says."""

import re

import numpy as np
import pytest
from typer.testing import CliRunner

import noptoolkit as nop
from noptoolkit.cli.application import app
from noptoolkit.errors import ScheduleError, UnknownNameError
from noptoolkit.network import flow_network
from noptoolkit.report import page_of
from noptoolkit.whatif import upgrade_step


@pytest.fixture(scope="module")
def mesh() -> nop.Package:
    return nop.load_topology("mesh-4x4")


@pytest.fixture(scope="module")
def small() -> nop.Workload:
    return nop.load_workload("stdlib-moe")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"recompute": "no"}, "recompute='no': give True or False"),
        ({"split_head": 1}, "split_head=1: give True or False"),
        ({"weights_on_network": None}, "weights_on_network=None: give True or False"),
        ({"slices": True}, "slices=True: give a whole number"),
        ({"number": True}, "number=True: give a whole number"),
        ({"efficiency": 0}, "efficiency=0 is not an Efficiency"),
        ({"parts": ()}, r"parts=\(\) names nothing to try"),
        ({"prefetch": True}, "prefetch True must be a whole number"),
    ],
    ids=str,
)
def test_what_is_no_value_of_an_option_is_refused(
    mesh: nop.Package, small: nop.Workload, option: dict[str, object], said: str
) -> None:
    with pytest.raises(ScheduleError, match=said):
        nop.schedule(mesh, small, **option)


def test_the_nearest_of_all_options_is_named(mesh: nop.Package, small: nop.Workload) -> None:
    with pytest.raises(UnknownNameError, match="no option 'recomput'; did you mean 'recompute'"):
        nop.schedule(mesh, small, recomput=True)
    with pytest.raises(UnknownNameError, match="no option 'slice' of a step; did you mean 'slices'"):
        nop.run(mesh, small, step={"slice": 2})
    with pytest.raises(ScheduleError, match="recompute='no'"):
        nop.run(mesh, small, step={"recompute": "no"})


def test_a_run_and_the_command_line_pass_options_on(mesh: nop.Package, small: nop.Workload) -> None:
    options = {"split_head": True, "recompute": True, "slices": 2, "hosts": ("attn", "e5")}
    one = nop.run(mesh, small, allocator="contiguous", routing="shortest", step=options)
    plain = nop.schedule(mesh, one.workload, one.allocation, routing="shortest", **options)
    assert one.plan.makespan == plain.makespan
    assert one.record()["recompute"] == "True"
    words = "schedule mesh-4x4 --on stdlib-moe --allocator contiguous --routing shortest --json"
    further = "--split-head --recompute --slices 2 --hosts attn,e5"
    found = CliRunner().invoke(app, [*words.split(), *further.split()])
    assert f"{plain.makespan:.6g}"[:6] in found.output


def test_a_serial_step_says_over_which_orders_its_bounds_range(
    mesh: nop.Package, small: nop.Workload
) -> None:
    serial, overlap = (nop.schedule(mesh, small, policy=policy) for policy in ("serial", "overlap"))
    assert serial.lower_bound > overlap.makespan
    assert (serial.orders, overlap.orders) == ("one stage after another", "any order")
    assert "any routing, one stage after another:" in str(serial.table())


def test_a_price_is_told_by_its_resources(mesh: nop.Package, small: nop.Workload) -> None:
    plan = nop.schedule(mesh, small, policy="overlap", routing="shortest")
    named = re.search(r"price (\d+)", plan.any_routing.method)
    assert named is not None
    share = plan.any_routing.prices[int(named[1])] * flow_network(mesh).capacity
    assert share.sum() == pytest.approx(1)
    most = int(np.argmax(share))
    told = f"Price {named[1]} is a mean over the load of resources that no routing lowers: "
    assert f"{told}{flow_network(mesh).names[most]} {share[most]:.0%}, " in " ".join(plan.notes())


def test_a_part_that_is_faster_is_scheduled_with_the_options_of_the_run(
    mesh: nop.Package, small: nop.Workload
) -> None:
    one = nop.run(mesh, small, allocator="contiguous", routing="shortest", step={"recompute": True})
    found = upgrade_step(one, "stacks", 2)
    assert found.after.step.options.recompute
    assert found.after.makespan <= found.before.makespan
    assert page_of([found, one]).title == "What if: stdlib-moe on mesh-4x4"
