"""Strategies that users can import draw what is sound, and the flow holds on it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from noptoolkit import congestion
from noptoolkit.formats import dump_topology
from noptoolkit.formats.topology_toml import parse_topology
from noptoolkit.package import Package
from noptoolkit.plans import ParallelPlan
from noptoolkit.testing import strategies
from noptoolkit.workload import Workload

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(strategies.packages(memory=True, odd_names=True))
def test_packages_of_any_names_come_back_from_toml(package: Package) -> None:
    assert parse_topology(dump_topology(package), "p.toml") == package


@FEW
@given(strategies.packages_with_traffic(most=6))
def test_flows_hold(drawn: Any) -> None:
    package, traffic = drawn
    for routing in ("ecmp", "optimal"):
        flow = congestion(package, traffic, routing=routing, tol=1e-3)
        assert flow.verify()
        assert flow.time >= flow.time_bound * (1 - 1e-9)


@FEW
@given(strategies.workloads(), strategies.plans())
def test_workloads_and_plans(workload: Workload, plan: ParallelPlan) -> None:
    assert workload.trace.num_experts == workload.model.experts
    assert plan.tp * plan.ep * plan.pp <= 16
    assert workload.model.parameters > 0


@pytest.mark.parametrize("name", strategies.__all__)
def test_every_strategy_is_documented(name: str) -> None:
    assert getattr(strategies, name).__doc__
