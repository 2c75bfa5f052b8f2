"""Runs compute what they are asked for, once, and say what their results came from."""

import dataclasses
import pickle
import re
import threading
from collections.abc import Callable

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import stages
from noptoolkit.errors import NopError, NopWarning, UnknownNameError, WorkloadError
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.pipeline import plan_step
from noptoolkit.progress import Countdown
from noptoolkit.stages import Run
from noptoolkit.step import POLICIES

OLMOE = "olmoe-1b-7b"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the stages that are really computed, as they are."""
    calls: list[str] = []

    def watched(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def watch(*given: object, **options: object) -> object:
            calls.append(name)
            return call(*given, **options)

        return watch

    for name in ("allocate", "congestion", "schedule", "halves", "package_time"):
        monkeypatch.setattr(stages, name, watched(name, getattr(stages, name)))
    return calls


@pytest.mark.parametrize(
    ("metrics", "stages_needed"),
    [
        (["links", "total_bandwidth", "wire_length"], set()),
        (["c_t", "imbalance"], {"allocate", "halves"}),
        (["step"], {"allocate", "halves", "schedule"}),
        (["uniform"], {"congestion"}),
        (["all_to_all"], {"allocate", "halves", "congestion"}),
    ],
)
def test_metrics_compute_what_they_need_and_nothing_else(
    made: list[str], metrics: list[str], stages_needed: set[str]
) -> None:
    result = nop.compare(["mesh-4x4"], [OLMOE], allocator="contiguous", metrics=metrics)
    assert set(made) == stages_needed
    assert made.count("allocate") <= 1
    assert set(metrics) <= set(result.rows[0])
    assert set(result.metrics) - set(metrics) <= {METRICS[name].bound for name in metrics}


def test_what_one_expert_chiplet_cannot_have_is_left_blank() -> None:
    roles = {"attn": "attention", "e0": "expert"}
    nodes = [nop.Chiplet(name, role=role, flops="1 TFLOP/s") for name, role in roles.items()]
    pair = nop.Package("pair", nodes, [nop.Link("attn", "e0", "1 GB/s")])
    (row,) = nop.compare(pair, OLMOE, allocator="contiguous", metrics=["uniform", "links"]).rows
    assert (row["uniform"], row["uniform_bound"], row["links"]) == (None, None, 1)
    assert "one expert chiplet" in str(row["remarks"])


def test_a_run_computes_nothing_until_it_is_asked_and_each_stage_once(made: list[str]) -> None:
    run = nop.run("mesh-4x4", OLMOE, allocator="contiguous", routing="ecmp")
    assert made == []
    assert "nothing yet" in repr(run)
    assert run.package.name == "mesh-4x4"
    assert made == []
    assert run.plan is run.plan
    assert run.dispatch is run.dispatch
    assert (made.count("allocate"), made.count("schedule"), made.count("congestion")) == (1, 1, 1)
    assert "computed: allocation, dispatch, plan" in repr(run)
    assert len(repr(run)) < 200


def test_threads_compute_a_stage_once(made: list[str]) -> None:
    run = nop.run("mesh-4x4", OLMOE, allocator="contiguous")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(run.allocation)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count("allocate") == 1
    assert len({id(one) for one in found}) == 1


def test_a_pickled_run_keeps_what_is_computed_and_computes_the_rest(made: list[str]) -> None:
    run = nop.run("mesh-4x4", OLMOE, allocator="contiguous", routing="ecmp", progress=lambda line: None)
    layout = run.allocation
    made.clear()
    again = pickle.loads(pickle.dumps(run))
    assert again.allocation.digest() == layout.digest()
    assert made == []
    assert again.dispatch.time == run.dispatch.time
    assert again.record() == run.record()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"routing": "optimum"}, "did you mean 'optimal'"),
        ({"allocator": "mozrat"}, "did you mean 'mozart'"),
        ({"policy": "stream"}, "did you mean 'streaming'"),
        ({"policy": 3}, "not a policy"),
        ({"allocator": 3}, "allocator 3"),
        ({"degree": "many"}, "no degree 'many'"),
        ({"objective": "c-t"}, "did you mean 'c_t'"),
        ({"tol": 0}, "tol 0"),
        ({"tol": "1 %"}, "tol '1 %'"),
        ({"rng": -1}, "rng -1"),
        ({"rng": True}, "rng True"),
        ({"progress": "print"}, "not callable"),
    ],
)
def test_wrong_arguments_are_told_at_the_call(made: list[str], options: dict, says: str) -> None:
    with pytest.raises(NopError, match=re.escape(says)):
        nop.run("mesh-4x4", OLMOE, **options)
    assert made == []


def test_layouts_and_workloads_that_do_not_fit_are_told_at_the_call() -> None:
    layout = nop.run("star-16", OLMOE, allocator="contiguous").allocation
    with pytest.raises(WorkloadError):
        nop.run(nop.topology.mesh(2, flops="1 TFLOP/s"), OLMOE, allocator=layout)
    with pytest.raises(WorkloadError, match="no routing"):
        nop.run("mesh-4x4", dataclasses.replace(nop.load_workload(OLMOE), routing=None))
    with pytest.raises(UnknownNameError, match="did you mean 'step'"):
        nop.compare("mesh-4x4", OLMOE, metrics=["steps"])
    with pytest.raises(NopError, match="metric 3"):
        nop.compare("mesh-4x4", OLMOE, metrics=[3])


def test_layouts_are_shared_where_the_allocator_is_asked_the_same(made: list[str]) -> None:
    """``contiguous`` sees slots and groups: mesh, torus and tree have the same, 19 dies have others."""
    names = ["mesh-4x4", "torus-4x4", "mozart-nop-tree", "hexamesh-19"]
    result = nop.compare(names, [OLMOE], allocator="contiguous", metrics=["c_t"])
    mesh, torus, tree, hexagons = result.runs
    assert mesh.layout_key() == torus.layout_key() == tree.layout_key() != hexagons.layout_key()
    assert made.count("allocate") == 2
    alone = nop.run("torus-4x4", OLMOE, allocator="contiguous").allocation
    assert torus.allocation.digest() == alone.digest()
    assert torus.allocation.experts == torus.package.experts


def test_layouts_by_time_are_shared_where_the_time_model_is_the_same() -> None:
    mesh = nop.load_topology("mesh-4x4")
    named = mesh.replace(name="another name")
    wide = mesh.with_memory_bandwidth("hbm*", "1 TB/s").replace(name="wide")
    halved = nop.topology.composition.scale_bandwidth(mesh, 0.5).replace(name="halved")
    one, same, other = (nop.run(package, OLMOE) for package in (mesh, named, halved))
    assert one.layout_key() == same.layout_key() != other.layout_key()
    assert nop.run(wide, OLMOE).layout_key() != one.layout_key()  # its weights load faster
    by_c_t = [nop.run(package, OLMOE, objective="c_t").layout_key() for package in (mesh, wide, halved)]
    assert by_c_t[0] == by_c_t[1] == by_c_t[2]
    assert nop.run(mesh, OLMOE, rng=1).layout_key() != one.layout_key()
    assert nop.run(mesh, OLMOE, degree="copies").layout_key() == one.layout_key()  # nothing copies in a mesh
    in_network, copies = (nop.run("mozart-nop-tree", OLMOE, degree=d) for d in ("in-network", "copies"))
    assert in_network.layout_key() != copies.layout_key()
    assert nop.run(mesh, "stdlib-moe").layout_key() != one.layout_key()
    assert nop.run(mesh, OLMOE, allocator="mozart").layout_key() != one.layout_key()


def test_a_record_holds_all_that_a_result_came_from() -> None:
    run = nop.run("mesh-4x4", OLMOE, allocator="contiguous", routing="ecmp", policy="best", tol=0.02, rng=7)
    record = run.record()
    assert record["layout"] is record["allocation_digest"] is None
    assert (
        record
        | {
            "package": "mesh-4x4",
            "workload": OLMOE,
            "origin": "synthetic",
            "allocator": "contiguous",
            "objective": "",
            "degree": "in-network",
            "routing": "ecmp",
            "policy": "best",
            "tol": 0.02,
            "seed": 7,
            "normalised_by": "",
            "normalised_factor": None,
            "version": nop.__version__,
            "package_digest": run.package.digest(),
            "workload_digest": nop.load_workload(OLMOE).digest(),
        }
        == record
    )
    layout = run.allocation
    assert run.record()["allocation_digest"] == layout.digest()
    assert "workload digest" in run._repr_html_()
    assert nop.run("mesh-4x4", OLMOE).record()["objective"] == "time"
    assert nop.run("mesh-4x4", OLMOE, objective="c_t").record()["objective"] == "c_t"
    with pytest.warns(NopWarning, match="has no effect"):
        nop.run("mesh-4x4", OLMOE, allocator="contiguous", objective="c_t")
    assert nop.run("mesh-4x4", OLMOE, allocator=None, objective="step").record()["allocator"] == "auto"
    assert nop.run("mesh-4x4", OLMOE, allocator=None).record()["allocator"] == "mozart"


def test_a_drawn_seed_is_recorded_and_repeats_the_run() -> None:
    for rng in (None, np.random.default_rng(5)):
        run = nop.run("mesh-4x4", OLMOE, allocator="random", rng=rng)
        seed = run.record()["seed"]
        again = nop.run("mesh-4x4", OLMOE, allocator="random", rng=seed)
        assert again.allocation.digest() == run.allocation.digest()


def test_a_normalised_comparison_says_so_everywhere() -> None:
    given = nop.load_topology("mesh-4x4")
    names = ["mozart-nop-tree", "mesh-4x4"]
    result = nop.compare(names, OLMOE, normalise="bandwidth", metrics=["links"])
    tree, mesh = result.rows
    assert (tree["normalised_by"], tree["normalised_factor"]) == ("bandwidth", 1.0)
    factor = result.runs[1].package.links[0].bandwidth / given.links[0].bandwidth
    assert mesh["normalised_factor"] == pytest.approx(factor)
    assert factor != 1
    assert "die-to-die links scaled to equal bandwidth" in result.title(OLMOE)
    assert re.search(rf"link bandwidth factor +1 +{factor:.4g}", str(result))
    assert "normalised_factor" in result.table().csv()
    plain = nop.compare(names, OLMOE, metrics=["links"])
    assert "factor" not in str(plain)
    assert plain.rows[0]["normalised_factor"] is None


def test_a_metric_of_ones_own() -> None:
    dies = Metric(
        "dies per link", "", "", lambda run: len(run.package.nodes) / len(run.package.links), "a demo"
    )
    result = nop.compare(["mesh-4x4"], OLMOE, metrics=["links", dies])
    assert result.rows[0]["dies_per_link"] == pytest.approx(23 / 34)
    assert "dies per link" in str(result)
    apart = nop.compare(["mesh-4x4", "torus-4x4"], OLMOE, metrics=["links", dies], jobs=2)
    assert apart.rows[0] == result.rows[0]


def test_every_workload_is_shown(made: list[str]) -> None:
    result = nop.compare("mesh-4x4", [OLMOE, "stdlib-moe"], metrics=["links"])
    for shown in (str(result), str(result.table()), result._repr_html_()):
        assert f"{OLMOE}: " in shown
        assert "stdlib-moe: " in shown
    assert made == []
    with pytest.raises(UnknownNameError, match="did you mean 'stdlib-moe'"):
        result.table("stdlib")


def test_progress_counts_runs_and_leaves_solvers_out() -> None:
    told: list[str] = []
    solver: list[str] = []
    names = ["mesh-4x4", "torus-4x4"]
    nop.compare(
        names,
        OLMOE,
        allocator="contiguous",
        metrics=["uniform", "c_t"],
        progress=told.append,
        report=solver.append,
    )
    assert told[0] == "mesh-4x4: uniform all-to-all (run 1 of 2)"
    assert re.fullmatch(r"torus-4x4: uniform all-to-all \(run 2 of 2, \d+ s left\)", told[3])
    assert not set(told) & set(solver)
    count = Countdown(6, "runs", clock=iter([0.0, 600.0]).__next__)
    count.finish_one()
    assert count.finished() == "1 of 6 runs, 50 min left"


def test_old_functions_still_work_and_say_what_to_write() -> None:
    package, workload = nop.load_topology("mesh-4x4"), nop.load_workload(OLMOE)
    with pytest.warns(DeprecationWarning, match=r"is now run\(...\).plan"):
        old = plan_step(package, workload, policy="overlap", micro_batches=2)
    policy = dataclasses.replace(POLICIES["overlap"], micro_batches=2)
    new = nop.run(package, workload, policy=policy, allocator=None)
    assert old.makespan == new.plan.makespan
    assert isinstance(new, Run)
    assert new.record()["allocator"] == "contiguous"
