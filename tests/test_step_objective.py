"""The objective ``step``: of the layouts by ``time`` and by ``c_t`` that whose step is shorter."""

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Allocation, RoutingTrace, Workload
from noptoolkit.errors import UnknownNameError
from noptoolkit.formats import list_topologies
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


def fitted_step(run: Run, layout: Allocation | None = None) -> float:
    """The step of the tokens that the layout was fitted to."""
    fit, _, _ = run._split()
    seen = dataclasses.replace(run.given, routing=fit)
    placed = run.allocation if layout is None else layout
    return nop.schedule(run.package, seen, placed, policy=run.policy, routing=run.routing).makespan


@pytest.mark.parametrize("package", PACKAGES)
def test_never_longer_than_by_either_on_the_tokens_fitted(package: str) -> None:
    one = on(package, "step")
    fit, _, rng = one._split()
    steps = [fitted_step(one, one._fitted(fit, objective, rng)) for objective in ("time", "c_t")]
    assert fitted_step(one) == min(steps)
    assert on(package, "step").record()["objective"] == "step"


def test_recorded_routing_of_stdlib_moe_held_out() -> None:
    """On tokens that no layout has seen, no step by ``step`` is longer than by ``c_t`` here."""
    for package in PACKAGES:
        assert on(package, "step").plan.makespan <= on(package, "c_t").plan.makespan


EVERY_RUN = ("kite-medium-4x4", "hexamesh-19", "mozart-nop-tree-deep", "mesh-4x4-in-network")
MACHINES = ("dgx-h100-64", "frontier-32", "fred-mesh-5x4", "wafer-mesh-64")
"""Presets that are machines of papers: 32 chiplets and more of a model of 64 experts."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in EVERY_RUN else pytest.mark.long)
        for name in list_topologies()
        if name not in MACHINES
    ],
)
def test_a_default_step_on_recorded_routing_is_not_longer_than_by_c_t(name: str) -> None:
    """Held out, all layers, routes chosen for the step: no allowance."""
    default, fewest = (nop.run(name, "stdlib-moe", objective=aim) for aim in (None, "c_t"))
    layouts = (default.allocation.chiplet_of_expert, fewest.allocation.chiplet_of_expert)
    if not np.array_equal(*layouts):  # else it is one step
        assert default.plan.makespan <= fewest.plan.makespan


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
