"""A plan's step under a trace: hand-computed skew, balance as without a trace, and a recount."""

import dataclasses

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit.errors import PlanError
from noptoolkit.plans import ParallelPlan, plan_step
from noptoolkit.plans.group_times import GroupTimes
from noptoolkit.plans.routed_experts import RoutedTimes

PLAN = ParallelPlan(ep=4, pp=2, zero=1)


def workload(topk: np.ndarray) -> nop.Workload:
    """Return OLMoE with two layers and a trace of its own."""
    given = nop.load_workload("olmoe-1b-7b").replace(layers=2)
    trace = nop.RoutingTrace(topk.astype(np.uint16), num_experts=64)
    return dataclasses.replace(given, routing=trace)


def even() -> np.ndarray:
    """Return choices that load every expert alike, from every quarter of the tokens."""
    token = np.arange(256)[:, None]
    return np.stack([(token + 8 * np.arange(8)) % 64] * 2)


def test_even_routing_is_that_without_a_trace() -> None:
    package = nop.topology.mesh(2, 4, flops="74 TFLOP/s")
    given = workload(even())
    plain = plan_step(PLAN, given, package)
    routed = plan_step(PLAN, given, package, trace=given.trace)
    assert routed.routed is not None
    assert routed.routed.busiest == 1
    assert routed.compute_parts == pytest.approx(plain.compute_parts)
    assert routed.breakdown["ep communication"] == pytest.approx(
        plain.breakdown["ep communication"], rel=0.03
    )
    assert routed.bound <= routed.time


def test_tokens_that_all_go_to_one_member_on_a_star() -> None:
    """Seven links wait for the one of the member that everybody sends to; its experts do all the work."""
    package = nop.topology.star(8, link_bandwidth="100 GB/s", flops="74 TFLOP/s", attention=False)
    plan = ParallelPlan(ep=8)
    choices = np.stack([np.tile(np.arange(8), (64, 1))] * 2)  # experts 0 to 7 are member 0's
    given = workload(choices)
    step = plan_step(plan, given, package, trace=given.trace)
    found = step.routed
    assert found is not None
    assert found.busiest == 8
    batch, model = given.batch, given.model
    tokens = batch.sequences // 8 // batch.micro_batches * batch.sequence_length
    arrived = 7 * tokens * 8 * model.hidden * 2.0  # of a micro-batch, from seven members
    assert found.exchange.reached == pytest.approx(2 * arrived / 100e9)
    assert found.exchange.bound == pytest.approx(found.exchange.reached)
    once = plan_step(plan, given, package, trace=given.trace, copies="chiplets").routed
    assert once is not None
    assert once.exchange.reached == pytest.approx(found.exchange.reached / 8)
    dealt = plan_step(plan, given, package)
    assert step.compute_parts["arithmetic"] > 2 * dealt.compute_parts["arithmetic"]


def test_busiest_member_is_recounted_and_follows_the_owner() -> None:
    package = nop.topology.mesh(2, 4, flops="74 TFLOP/s")
    given = nop.load_workload("stdlib-moe")
    plan = plan_step(PLAN, given, package).plan
    owner = np.arange(given.model.experts) % 4
    times = RoutedTimes(given.model, given.batch, GroupTimes(package), given.trace, "chiplets", owner)
    found = times.experts(plan)
    most = []
    for layer in given.trace.topk:
        held = [int((layer % 4 == member).sum()) for member in range(4)]
        most.append(max(held) / (sum(held) / 4))
    assert found.busiest == pytest.approx(sum(most) / len(most))
    assert found.exchange.bound <= found.exchange.reached


def test_what_does_not_fit_is_said() -> None:
    package = nop.topology.mesh(2, 4, flops="74 TFLOP/s")
    given, other = nop.load_workload("olmoe-1b-7b"), nop.load_workload("stdlib-moe")
    with pytest.raises(PlanError, match="the trace has"):
        plan_step(PLAN, given, package, trace=nop.load_workload("gpt-oss-20b").trace)
    assert plan_step(PLAN, other, package, trace=other.trace).routed is not None
