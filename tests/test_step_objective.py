"""The objective ``step``: of the layouts by ``time`` and by ``c_t`` that whose step is shorter."""

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import RoutingTrace, Workload
from noptoolkit.errors import UnknownNameError
from noptoolkit.stages import Run

PACKAGES = ("mesh-4x4", "ring-16")
RECORDED = Path(__file__).parents[2] / "shared" / "data" / "gptoss20b_top4.npz"


@lru_cache
def workload() -> Workload:
    """The first layer of the trace that comes with the toolkit, which was recorded."""
    found = nop.load_workload("stdlib-moe")
    trace = found.trace.layer(0).tokens(slice(0, 2000))
    return dataclasses.replace(found, model=dataclasses.replace(found.model, layers=1), routing=trace)


@lru_cache
def on(package: str, objective: str) -> Run:
    return nop.run(package, workload(), objective=objective, routing="shortest")


def fitted_step(run: Run) -> float:
    """The step of the tokens that the layout was fitted to."""
    fit, _, _ = run._split()
    seen = dataclasses.replace(run.given, routing=fit)
    return nop.schedule(run.package, seen, run.allocation, policy=run.policy, routing=run.routing).makespan


@pytest.mark.parametrize("package", PACKAGES)
def test_never_longer_than_by_either_on_the_tokens_fitted(package: str) -> None:
    steps = {objective: fitted_step(on(package, objective)) for objective in ("step", "time", "c_t")}
    assert steps["step"] == min(steps["time"], steps["c_t"])
    assert on(package, "step").record()["objective"] == "step"


def test_recorded_routing_of_stdlib_moe_held_out() -> None:
    """On tokens that no layout has seen, no step by ``step`` is longer than by ``c_t`` here."""
    for package in PACKAGES:
        assert on(package, "step").plan.makespan <= on(package, "c_t").plan.makespan


def test_the_key_of_a_layout_names_what_the_step_depends_on() -> None:
    one = on("mesh-4x4", "step")
    for change in (
        {"routing": "ecmp"},
        {"degree": "chiplets"},
        {"policy": dataclasses.replace(one.policy, prefetch=0)},
    ):
        assert dataclasses.replace(one, **change).layout_key() != one.layout_key()
    assert dataclasses.replace(one).layout_key() == one.layout_key()


def test_a_trace_has_no_step() -> None:
    trace = RoutingTrace([[0, 1], [2, 3]], num_experts=4)
    with pytest.raises(UnknownNameError, match=r"objective 'step'.*run\(\)"):
        nop.allocate(trace, nop.topology.mesh(2), objective="step")


@pytest.mark.skipif(
    not RECORDED.exists(), reason="the recorded routing of gpt-oss-20b is not part of the project"
)
def test_recorded_routing_of_gpt_oss() -> None:
    with np.load(RECORDED) as data:
        trace = RoutingTrace(data["topk"][:1, :3000], 32, source="gpt-oss-20b", origin="recorded")
    workload = nop.load_workload("gpt-oss-20b", trace=trace)
    workload = dataclasses.replace(workload, model=dataclasses.replace(workload.model, layers=1))
    runs = {
        objective: nop.run("mesh-4x4", workload, objective=objective, routing="shortest")
        for objective in ("step", "c_t")
    }
    assert fitted_step(runs["step"]) <= fitted_step(runs["c_t"])
