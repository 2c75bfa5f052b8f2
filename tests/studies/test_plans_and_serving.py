"""Parallel plans and figures of serving as parameters and metrics of sweeps and comparisons."""

from pathlib import Path

import pytest

import noptoolkit as nop
from noptoolkit.errors import FormatError, NopError, UnknownNameError, WorkloadError
from noptoolkit.metrics import METRICS, serving_metric
from noptoolkit.plans import ParallelPlan, plan_step
from noptoolkit.serving import serve
from noptoolkit.studies import load_study, sweep_all
from noptoolkit.tables import Missing
from noptoolkit.topology import mesh, star

PLANS = ["plan_step", "plan_bound", "mfu", "plan_memory", "plan_fits"]
SPACE = {
    "builder": "mesh",
    "params.rows": 2,
    "params.flops": "74 TFLOP/s",
    "params.memory": True,
    "workload": "stdlib-moe",
}


def test_plans_are_an_axis_and_give_what_plan_step_gives() -> None:
    rows = sweep_all({**SPACE, "plan": ["EP4", "EP2 PP2", "EP3"], "plan.zero": [0, 1]}, [*PLANS, "links"])
    package = mesh(2, flops="74 TFLOP/s", memory=True)
    workload = nop.load_workload("stdlib-moe")
    for row in rows:
        if row.point["plan"] == "EP3":
            assert "EP3" in row.error
            continue
        plan = {"EP4": ParallelPlan(ep=4), "EP2 PP2": ParallelPlan(ep=2, pp=2)}[row.point["plan"]]
        step = plan_step(plan.replace(zero=row.point["plan.zero"]), workload, package)
        assert step.memory is not None
        assert row.values["plan_step"] == step.time
        assert row.values["plan_bound"] == step.bound
        assert row.values["mfu"] == step.mfu
        assert row.values["plan_memory"] == step.memory.total
        assert row.values["plan_fits"] == ("yes" if step.memory.fits else "no")
        assert row.record["plan"] == str(plan)
    assert sum(bool(row.error) for row in rows) == 2


def test_a_comparison_takes_a_plan_and_says_where_there_is_none() -> None:
    package = mesh(2, flops="74 TFLOP/s")
    found = nop.compare(package, "stdlib-moe", metrics=["plan_step", "plan_memory"], plan="EP4")
    assert found.rows[0]["plan_bound"] <= found.rows[0]["plan_step"]  # type: ignore[operator]
    assert found.rows[0]["plan"] == "EP4"
    assert "package has no memory" in str(found)
    bare = nop.run(package, "stdlib-moe")
    assert METRICS["plan_step"].value(bare) == Missing("no plan")
    with pytest.raises(NopError, match="no parallel plan"):
        _ = bare.parallel_step
    with pytest.raises(NopError, match="plan 3 is none"):
        nop.run(package, "stdlib-moe", plan=3)  # type: ignore[arg-type]


def test_figures_of_serving_are_those_of_serve() -> None:
    package = star(4, attention=True, memory=True, flops="74 TFLOP/s", sram="40 MB")
    options = {"allocator": "contiguous", "routing": "shortest"}
    one = nop.run(
        package, "stdlib-moe", batch={"mode": "decode", "micro_batches": 1, "sequences": 8}, **options
    )
    context = one.given.batch.sequence_length
    curve = serve(one.server, context=context, batch=[8])
    point = curve.at(8)
    assert METRICS["token_time"].value(one) == pytest.approx(point.token_time, rel=1e-12)
    assert METRICS["token_rate"].value(one) == pytest.approx(point.rate, rel=1e-12)
    assert METRICS["first_token"].value(one) == pytest.approx(curve.first_token, rel=1e-12)
    assert METRICS["sequences_that_fit"].value(one) == curve.room.sequences
    assert METRICS["tokens_per_joule"].value(one) == Missing("not given")
    fixed = [serving_metric("token_time", batch=n, context=context) for n in (1, 8)]
    found = nop.compare(package, "stdlib-moe", metrics=fixed, **options)  # type: ignore[arg-type]
    assert found.rows[0][fixed[0].key] < found.rows[0][fixed[1].key]  # type: ignore[operator]
    with pytest.raises(UnknownNameError, match="did you mean 'token_time'"):
        serving_metric("token_tme", batch=1, context=1)
    with pytest.raises(WorkloadError, match="batch=0"):
        serving_metric("token_time", batch=0, context=1)


def test_a_comparison_shows_them_only_when_asked() -> None:
    usual = [name for name, metric in METRICS.items() if metric.usual]
    assert not {*PLANS, "token_time", "token_rate", "first_token"} & set(usual)


def test_structure_asks_for_no_flops() -> None:
    bare = mesh(3)
    rows = nop.compare(bare, "stdlib-moe", metrics=["links", "c_t"], objective="c_t").rows
    assert rows[0]["links"] == 12
    with pytest.raises(NopError, match=r"how fast .* or place the experts by objective='c_t'"):
        nop.compare(bare, "stdlib-moe", metrics=["c_t"])
    with pytest.raises(NopError, match="how fast"):
        nop.compare(bare, "stdlib-moe")


def test_a_field_beside_its_base_is_written_in_quotes(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    text = 'schema = 1\n[space]\nbuilder = "ring"\nworkload = "stdlib-moe"\n{} = [4, 8]\n'
    file.write_text(text.format("workload.sequences"))
    with pytest.raises(FormatError, match=r'write the dotted name in quotes: "workload.sequences" = '):
        load_study(file)
    file.write_text(text.format('"workload.sequences"'))
    assert load_study(file).space.size == 2
