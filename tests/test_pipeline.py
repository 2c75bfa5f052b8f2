import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit.allocation import replicate_by_load
from noptoolkit.errors import FormatError, NopError, NopWarning, UnknownNameError
from noptoolkit.metrics import METRICS
from noptoolkit.physical import MEASURES
from noptoolkit.pipeline import dispatch_of_step
from noptoolkit.scheduling import verify_schedule

OLMOE = nop.load_workload("olmoe-1b-7b").replace(layers=2)
PACKAGES = ["mozart-nop-tree", "mesh-4x4"]


@pytest.fixture(scope="module")
def result() -> nop.Comparison:
    return nop.compare(PACKAGES, [OLMOE], allocator="contiguous")


def test_the_same_seed_gives_the_same_rows(result: nop.Comparison) -> None:
    again = nop.compare(PACKAGES, [OLMOE], allocator="contiguous")
    assert again.rows == result.rows


def test_runs_side_by_side_give_the_same_rows_warnings_and_progress(result: nop.Comparison) -> None:
    told: list[str] = []
    bare = dataclasses.replace(nop.topology.mesh(2, 2, flops="74 TFLOP/s"), name="bare")
    with pytest.warns(NopWarning, match="bare"):
        again = nop.compare(
            ["mozart-nop-tree", "mesh-4x4", bare],
            [OLMOE],
            allocator="contiguous",
            jobs=2,
            progress=told.append,
        )
    assert again.rows[:2] == result.rows
    assert [line.split(":")[0] for line in told] == [*PACKAGES, "bare"]
    with pytest.raises(UnknownNameError, match="no allocator named 'contigous'"):
        nop.compare(["mesh-4x4"], [OLMOE], allocator="contigous", jobs=2)
    with pytest.raises(NopError, match="jobs=0"):
        nop.compare(["mesh-4x4"], [OLMOE], jobs=0)


def test_bounds_are_below_values(result: nop.Comparison) -> None:
    for row in result.rows:
        for value in ("all_to_all", "uniform", "step"):
            assert 0 < row[f"{value}_bound"] <= row[value] * (1 + 1e-9)


def test_layout_is_judged_on_tokens_it_has_not_seen(result: nop.Comparison) -> None:
    run = result.runs[0]
    whole = OLMOE.trace
    assert run.trace.num_tokens == whole.num_tokens - whole.num_tokens // 2
    assert run.trace.origin == "synthetic"


def test_dispatch_carries_the_tokens_of_a_whole_step(result: nop.Comparison) -> None:
    """In-network dispatch leaves the root once per token and group: bytes add up to C_G x tokens."""
    run = result.runs[0]
    channels = run.package.channels
    root = sum(run.dispatch.load[i] for i, c in enumerate(channels) if c.tail == "attn" and "sw" in c.head)
    token_bytes = run.workload.model.hidden * run.workload.batch.bytes_per_value
    expected = run.allocation.c_g(run.trace) * run.workload.batch.tokens * token_bytes
    assert root == pytest.approx(expected, rel=1e-9)


def test_the_dispatch_alone_is_that_of_the_run() -> None:
    package, workload = nop.load_topology("mesh-4x4"), nop.load_workload("stdlib-moe")
    with pytest.warns(DeprecationWarning, match="dispatch_traffic"):
        alone = dispatch_of_step(package, workload).multicast
    whole = nop.run(package, workload).dispatch.traffic.multicast
    assert alone is not None
    assert whole is not None
    for name in ("root", "members", "bytes"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(whole, name))


def test_uniform_all_to_all_has_the_closed_form_of_the_tree(result: nop.Comparison) -> None:
    """NoP-Tree 4x4, 1 byte per ordered pair: max(15 / c_leaf, 48 / c_uplink)."""
    run = result.runs[0]
    model, batch = run.workload.model, run.workload.batch
    per_pair = batch.tokens * model.top_k * model.hidden * batch.bytes_per_value / 16**2
    assert run.uniform.time == pytest.approx(48 * per_pair / 128e9, rel=1e-9)


def test_rows_have_every_metric_and_tables_say_what_they_are(result: nop.Comparison) -> None:
    assert all({name for name, metric in METRICS.items() if metric.usual} <= set(row) for row in result.rows)
    text = result.table().text(width=None)
    assert "synthetic routing" in text
    assert "32 x 256 tokens in 4 micro-batches" in text
    assert len({len(line) for line in text.splitlines()[2:]}) == 1
    assert str(result).count("mesh-4x4") == 1


def test_csv_and_json_hold_the_rows(result: nop.Comparison, tmp_path: Path) -> None:
    result.to_csv(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["step [s]"]) == result.rows[0]["step"]
    result.to_json(tmp_path / "a.json")
    data = json.loads((tmp_path / "a.json").read_text())
    assert data["rows"][1]["package"] == "mesh-4x4"
    assert data["metrics"]["step"]["unit"] == "s"
    frame = result.to_dataframe()
    assert np.allclose(frame["step"], [row["step"] for row in result.rows])


def test_a_file_is_whole_or_left_as_it_was(result: nop.Comparison, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be written"):
        result.to_csv(tmp_path / "missing" / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_bad_references() -> None:
    with pytest.raises(NopError, match="nothing to compare"):
        nop.compare([], [OLMOE])
    with pytest.raises(UnknownNameError, match="did you mean 'mesh-4x4'"):
        nop.run("mesh-4x5", OLMOE)
    with pytest.raises(UnknownNameError, match="routing"):
        nop.run("mesh-4x4", OLMOE, routing="optimum", allocator="contiguous")


def test_normalised_packages_have_equal_totals() -> None:
    options = {"allocator": "contiguous", "normalise": "bandwidth"}
    tree, mesh = nop.compare(["mozart-nop-tree", "mesh-4x4"], ["stdlib-moe"], **options).runs
    links = [sum(2 * x.bandwidth for x in p.links if x.kind == "d2d") for p in (tree.package, mesh.package)]
    assert links[0] == pytest.approx(links[1], rel=1e-9)
    assert tree.package == nop.load_topology("mozart-nop-tree")


@pytest.mark.filterwarnings("ignore:.*at equal cost:noptoolkit.errors.NopWarning")
def test_packages_of_equal_cost() -> None:
    references = ["mozart-nop-tree", "mesh-4x4", "torus-4x4"]
    runs = nop.compare(references, ["stdlib-moe"], allocator="contiguous", normalise="cost").runs
    prices = [MEASURES["cost"](one.package) for one in runs]
    assert prices == pytest.approx([prices[0]] * 3, rel=1e-6)
    tree, mesh, torus = (max(x.bandwidth for x in one.package.links if x.kind == "d2d") for one in runs)
    assert mesh > torus > tree  # nothing to pay for switches, and fewer links


def test_an_allocation_of_ones_own_is_taken_as_it_is(result: nop.Comparison) -> None:
    first = result.runs[0]
    again = nop.run("mesh-4x4", OLMOE, allocator=first.allocation)
    assert again.allocation is first.allocation


def test_policies_bring_their_own_degree() -> None:
    serial = nop.run("mozart-nop-tree", "stdlib-moe", allocator="contiguous", policy="serial")
    assert serial.degree == "copies"
    assert serial.plan.overlap == pytest.approx(0.0, abs=1e-12)
    better = nop.run("mozart-nop-tree", "stdlib-moe", allocator="contiguous", policy="all-to-all")
    assert better.dispatch.time < serial.dispatch.time
    assert better.plan.makespan < serial.plan.makespan


def test_a_step_carries_the_weights_and_gradients_of_replicas() -> None:
    package, workload = nop.load_topology("mozart-nop-tree"), nop.load_workload("stdlib-moe")
    layout = nop.allocate(workload.trace, package, method="contiguous")
    twice = replicate_by_load(layout, workload.trace, 16)
    assert twice.imbalance(workload.trace) < layout.imbalance(workload.trace)
    busy = []
    for found in (layout, twice):
        plan = nop.schedule(package, workload, found)
        verify_schedule(plan.graph, plan.tasks.start, plan.tasks.end)
        stacks = [plan.resources.index(f"hbm{i}") for i in range(4)]  # those that serve experts
        busy.append(plan.utilisation[stacks].sum() * plan.makespan)
    assert busy[1] / busy[0] == pytest.approx((64 + 16) / 64)
    assert any("exchange expert" in label for label in plan.tasks.label)
