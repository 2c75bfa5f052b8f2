"""What holds of every policy."""

import dataclasses
import json
import warnings
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

from noptoolkit import Batch, MoEModel, SyntheticRouting, Workload
from noptoolkit.errors import NopWarning
from noptoolkit.package import Package
from noptoolkit.scheduling import Schedule, verify_schedule
from noptoolkit.step import POLICIES, schedule
from noptoolkit.topology import BUILDERS

MODEL = MoEModel(
    "small",
    hidden=256,
    layers=4,
    heads=4,
    kv_heads=2,
    head_dim=64,
    vocab=1000,
    expert_width=128,
    experts=32,
    top_k=4,
    shared_experts=1,
    dense_layers=1,
    dense_width=512,
)
MODES = ("training", "prefill", "decode")


def package_of(family: str) -> Package:
    kinds = {
        "tree": ("nop_tree", {"groups": 4, "experts_per_group": 4, "attention": True}),
        "mesh": ("mesh", {"rows": 2, "columns": 4, "attention": False}),
    }
    builder, sizes = kinds[family]
    parts = {"flops": "1 TFLOP/s", "sram": "1 MB", "memory": True, "link_bandwidth": "128 GB/s"}
    return BUILDERS[builder](**sizes, **parts)


@cache
def plan_of(policy: str, family: str, mode: str = "training") -> Schedule:
    batch = Batch(sequences=16, sequence_length=32, micro_batches=4, mode=mode)
    routing = SyntheticRouting(32, 4, tokens=512, layers=2, topics=4)
    model = dataclasses.replace(MODEL, layers=2)  # one dense, one of experts
    return schedule(package_of(family), Workload("small", model, batch, routing), policy=policy)


@pytest.fixture(scope="module", params=[(p, f) for p in POLICIES for f in ("tree", "mesh")], ids=" on ".join)
def plan(request: pytest.FixtureRequest) -> Schedule:
    return plan_of(*request.param)


def test_bound_holds(plan: Schedule) -> None:
    assert plan.makespan >= plan.lower_bound * (1 - 1e-9)
    assert plan.makespan == plan.tasks.end.max()


def test_breakdown_adds_up(plan: Schedule) -> None:
    parts = plan.breakdown
    assert parts.compute + parts.communication + parts.load + parts.idle == pytest.approx(plan.makespan)
    assert 0 <= plan.overlap < 1


def test_utilisation_is_a_share(plan: Schedule) -> None:
    assert plan.utilisation.shape == (len(plan.resources),)
    assert (plan.utilisation >= 0).all()
    assert (plan.utilisation <= 1 + 1e-9).all()


def test_is_a_schedule(plan: Schedule) -> None:
    verify_schedule(plan.graph, plan.start, plan.end)


def test_chrome_trace(plan: Schedule, tmp_path: Path) -> None:
    plan.to_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert max(e["ts"] + e["dur"] for e in events if e["ph"] == "X") == pytest.approx(1e6 * plan.makespan)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy", POLICIES)
def test_modes(policy: str, mode: str) -> None:
    assert plan_of(policy, "tree", mode).makespan > 0


def test_serial_overlaps_nothing() -> None:
    plan = plan_of("serial", "tree")
    assert plan.overlap == pytest.approx(0, abs=1e-9)
    assert plan.makespan == pytest.approx(plan.lower_bound)


def test_overlap_gains() -> None:
    assert plan_of("overlap", "tree").makespan < plan_of("serial", "tree").makespan


def test_memory_overrun_warns() -> None:
    package = BUILDERS["nop_tree"](flops="1 TFLOP/s", memory=True, memory_capacity="1 MB")
    workload = Workload("small", MODEL, routing=SyntheticRouting(32, 4, tokens=512, layers=1, topics=4))
    with pytest.warns(NopWarning, match="need more memory"):
        schedule(package, workload)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule(package_of("tree"), workload)


@pytest.mark.parametrize("family", ["tree", pytest.param("mesh", marks=pytest.mark.long)])
def test_improvement_gains_and_may_be_left_out(family: str) -> None:
    batch = Batch(sequences=16, sequence_length=32, micro_batches=4)
    workload = Workload("small", MODEL, batch, SyntheticRouting(32, 4, tokens=512, layers=2, topics=4))
    plain, improved = (schedule(package_of(family), workload, rounds=rounds) for rounds in (0, 3))
    assert improved.makespan < plain.makespan
    assert improved.lower_bound == plain.lower_bound


@pytest.mark.parametrize(
    ("order", "at", "expected"),
    [("first", (), "ddmm"), ("alternate", (), "dmdm"), ("first", (3, 1), "mdmd")],
)
def test_dense_layers_come_first_or_alternate_or_where_they_are_said_to(
    order: Literal["first", "alternate"], at: tuple[int, ...], expected: str
) -> None:
    model = dataclasses.replace(MODEL, dense_layers=2, dense_order=order, dense_at=at)
    workload = Workload("small", model, routing=SyntheticRouting(32, 4, tokens=512, layers=1, topics=4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        labels = set(schedule(package_of("tree"), workload).tasks.label)
    kinds = ["d" if f"dense L{layer} m0" in labels else "m" for layer in range(4)]
    assert "".join(kinds) == expected
    assert all((f"dispatch L{layer} m0" in labels) == (kinds[layer] == "m") for layer in range(4))
