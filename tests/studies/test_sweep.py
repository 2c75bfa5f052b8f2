"""Sweeps: nothing lost, nothing doubled, nothing computed twice; a row can be made again anywhere."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import noptoolkit as nop
from noptoolkit import stages
from noptoolkit.errors import NopError, NopWarning, UnknownNameError
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.studies import Row, Space, Store, study_table, sweep, sweep_all
from noptoolkit.topology import mesh, nop_tree

MESHES = {
    "builder": "mesh",
    "params.rows": [2, 3],
    "params.flops": "300 TFLOP/s",
    "params.link_bandwidth": ["64 GB/s", "128 GB/s"],
    "workload": "stdlib-moe",
    "allocator": "contiguous",
}

CHILD = """
import sys, time
from dataclasses import replace
import noptoolkit.metrics as metrics
from noptoolkit.studies import sweep
slow = metrics.METRICS["links"]
metrics.METRICS["links"] = replace(slow, value=lambda run: (time.sleep(0.02), slow.value(run))[1])
space = {"builder": "ring", "params.count": list(range(4, 28)), "params.flops": "1 TFLOP/s",
         "workload": "stdlib-moe"}
for row in sweep(space, ["links"], store=sys.argv[1]):
    print(row.key, flush=True)
"""
CHILD_SPACE = {
    "builder": "ring",
    "params.count": list(range(4, 28)),
    "params.flops": "1 TFLOP/s",
    "workload": "stdlib-moe",
}


def told(rows: list[Row]) -> list[tuple[str, dict[str, object], str]]:
    return [(row.key, dict(row.values), row.error) for row in rows]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []

    def watched(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def watch(*given: object, **options: object) -> object:
            calls.append(name)
            return call(*given, **options)

        return watch

    for name in ("allocate", "congestion", "schedule", "halves"):
        monkeypatch.setattr(stages, name, watched(name, getattr(stages, name)))
    return calls


def test_rows_are_those_of_single_runs() -> None:
    for row in sweep(MESHES, ["all_to_all", "uniform", "c_t", "links"]):
        package = mesh(
            row.point["params.rows"],
            flops="300 TFLOP/s",
            link_bandwidth=row.point["params.link_bandwidth"],
        )
        alone = nop.run(package, "stdlib-moe", allocator="contiguous")
        assert row.values == {name: METRICS[name].value(alone) for name in row.values}
        assert row.record["package_digest"] == package.digest()


def test_only_what_the_metrics_need_is_computed(made: list[str]) -> None:
    sweep_all(MESHES, ["links", "total_bandwidth"])
    assert made == []


def test_points_of_one_question_share_the_layout_and_messages(made: list[str]) -> None:
    rows = sweep_all({**MESHES, "params.rows": 3}, ["all_to_all", "c_t"])
    assert (made.count("allocate"), made.count("halves"), made.count("congestion")) == (1, 1, 4)
    assert len({row.values["c_t"] for row in rows}) == 1


def test_the_fixed_layout_is_that_of_the_first_point(made: list[str]) -> None:
    space = {**MESHES, "params.rows": 2, "seed": [0, 1, 2]}
    with Store(None) as store:
        rows = sweep_all(space, ["c_t"], layout="fixed", store=store)
        assert made.count("allocate") == 1
        table = study_table(store)
    assert len({row.record["allocation_digest"] for row in rows}) == 1
    assert {row[-1] for row in table.rows} == {"fixed: that of the first point"}


def test_points_that_differ_in_the_policy_alone_share_their_congestion(made: list[str]) -> None:
    space = {
        **MESHES,
        "params.rows": 2,
        "params.link_bandwidth": "64 GB/s",
        "policy": ["streaming", "serial"],
        "degree": "chiplets",
    }
    sweep_all(space, ["all_to_all"])
    assert made.count("congestion") == 2


def test_a_metric_asked_for_later_is_added(tmp_path: Path, made: list[str]) -> None:
    store = tmp_path / "a.db"
    sweep_all(MESHES, ["c_t"], store=store)
    made.clear()
    rows = sweep_all(MESHES, ["c_t", "links"], store=store)
    assert made == []
    assert all(set(row.values) == {"c_t", "links"} for row in rows)
    again = sweep_all(MESHES, ["c_t", "links"], store=store)
    assert all(row.stored for row in again)
    made.clear()
    sweep_all(MESHES, ["c_t", "all_to_all"], store=store)
    assert made.count("allocate") == 0  # the layouts were stored


def test_a_failed_point_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    broken = Metric("odd", "", "lower", lambda run: 1 // (len(run.package.links) % 4), "fails on 12 links")
    rows = sweep_all(
        {**MESHES, "params.rows": [2, 3, 5], "params.columns": 3}, [broken, "links"], store=tmp_path / "a.db"
    )
    failed = [row for row in rows if row.error]
    assert failed
    assert len(failed) < len(rows)
    assert all("ZeroDivisionError" in row.error for row in failed)
    again = sweep_all(
        {**MESHES, "params.rows": [2, 3, 5], "params.columns": 3}, [broken, "links"], store=tmp_path / "a.db"
    )
    assert told(again) == told(rows)
    retried = sweep_all(
        {**MESHES, "params.rows": [2, 3, 5], "params.columns": 3},
        ["links"],
        store=tmp_path / "a.db",
        retry=True,
    )
    assert not any(row.error for row in retried)


def test_workers_give_the_same_rows_bit_for_bit(tmp_path: Path) -> None:
    names = ["all_to_all", "c_t", "bottleneck"]
    here = sweep_all(MESHES, names)
    apart = sweep_all(MESHES, names, store=tmp_path / "a.db", jobs=2)
    assert told(apart) == told(here)


def test_a_stored_point_made_again_alone_gives_the_same_digest_and_row() -> None:
    for row in sweep_all(MESHES, ["all_to_all", "c_t"]):
        [again] = sweep_all(row.point, ["all_to_all", "c_t"])
        assert told([again]) == told([row])
        assert again.record["package_digest"] == row.record["package_digest"]


def test_a_point_made_again_elsewhere_gives_the_same_digest_and_row(tmp_path: Path) -> None:
    row = sweep_all(MESHES, ["all_to_all", "c_t"], store=tmp_path / "a.db")[0]
    code = (
        "import json, sys; from noptoolkit.studies import sweep_all\n"
        "[row] = sweep_all(json.loads(sys.argv[1]), ['all_to_all', 'c_t'])\n"
        "print(json.dumps([row.key, row.values, row.record]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, json.dumps(row.point)], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(said) == [row.key, row.values, row.record]


def test_files_count_by_their_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    keys = []
    for rows in (2, 3):
        file.write_text(f'schema = 1\nbuilder = "mesh"\n[params]\nrows = {rows}\nflops = "1 TFLOP/s"\n')
        [row] = sweep_all({"package": str(file), "workload": "stdlib-moe"}, ["links"])
        keys.append((row.key, row.values["links"]))
    assert keys[0][0] != keys[1][0]
    assert [links for _, links in keys] == [4, 12]


def test_parameters_reach_everything_that_makes_a_run() -> None:
    space = {
        "package": "mesh-4x4",
        "params.rows": 3,
        "params.columns": 3,
        "edit.scale_bandwidth": 2.0,
        "edit.without": ["", "e0->e1"],
        "normalise": "bandwidth",
        "normalise_to": "mozart-nop-tree",
        "workload": "stdlib-moe",
        "workload.sequences": [4, 8],
        "policy": "streaming",
        "policy.prefetch": 1,
        "routing": "shortest",
        "degree": "chiplets",
        "allocator": "contiguous",
        "seed": 5,
        "tol": 0.05,
    }
    rows = sweep_all(space, ["links", "all_to_all", "total_bandwidth"])
    assert not [row.error for row in rows if row.error]
    by = {(row.point["edit.without"], row.point["workload.sequences"]): row.values for row in rows}
    assert by["", 4]["links"] == by["e0->e1", 4]["links"] + 1  # type: ignore[operator]
    assert by["", 8]["all_to_all"] == pytest.approx(2 * by["", 4]["all_to_all"])  # type: ignore[operator]
    assert rows[0].record["seed"] == 5
    assert rows[0].record["degree"] == "chiplets"


def test_a_space_over_builders_gives_each_its_own_arguments() -> None:
    space = {
        "builder": ["mesh", "nop_tree"],
        "params.rows": [3, 4],
        "params.groups": 2,
        "params.flops": "1 TFLOP/s",
        "workload": "stdlib-moe",
    }
    rows = sweep_all(space, ["links"])
    assert [row.values["links"] for row in rows] == [12, 24, len(nop_tree(2, 4).links)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params.row": 2}, r"no parameter 'params.row'; did you mean 'params.rows'"),
        ({"alocator": "auto"}, "did you mean 'allocator'"),
        ({"workload.sequencs": 2}, "did you mean 'sequences'"),
        ({"builder": "mehs"}, "did you mean 'mesh'"),
        ({"workload": "stdlib-mo"}, "did you mean 'stdlib-moe'"),
    ],
)
def test_unknown_names_are_told_before_anything_runs(change: dict[str, object], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        sweep({**MESHES, **change}, ["links"])


def test_wrong_options_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'links'"):
        sweep(MESHES, ["link"])
    with pytest.raises(NopError, match="jobs=0"):
        sweep(MESHES, ["links"], jobs=0)
    with pytest.raises(NopError, match="one of them"):
        sweep({"workload": "stdlib-moe"}, ["links"])
    with pytest.raises(NopError, match="more than 1,000,000"):
        sweep({**MESHES, "seed": list(range(10**6))}, ["links"])
    with pytest.raises(NopError, match="no folder"):
        sweep(MESHES, ["links"], store=tmp_path / "none" / "a.db")


def test_rows_of_another_version_are_told_and_kept(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    sweep_all(MESHES, ["links"], store=store)
    with Store(store) as kept, kept.writing() as base:
        base.execute("UPDATE evaluations SET version = '0.0.1'")
    with pytest.raises(NopError, match=r"noptoolkit 0\.0\.1 computed"):
        sweep(MESHES, ["links"], store=store)
    with Store(store) as kept:
        assert len(study_table(kept)) == 4


def killed_and_resumed(store: Path, moment: float, sign: int) -> int:
    """Kill a sweep at a moment; return how many points were finished by then."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store)], stdout=subprocess.PIPE, env={**os.environ}, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()  # it is at work
    time.sleep(moment)
    child.send_signal(sign)
    child.communicate()
    with Store(store) as kept:
        return int(kept.ask("SELECT count(*) FROM evaluations")[0][0])


def check_kill(folder: Path, moment: float) -> None:
    store = folder / f"{moment:.6f}.db"
    finished = killed_and_resumed(store, moment, signal.SIGKILL)
    rows = sweep_all(CHILD_SPACE, ["links"], store=store)
    assert sum(row.stored for row in rows) == finished  # none lost
    assert told(rows) == told(sweep_all(CHILD_SPACE, ["links"]))  # the same as uninterrupted
    with Store(store) as kept:
        assert kept.ask("SELECT count(*), count(DISTINCT key) FROM points") == [(24, 24)]  # none doubled
        assert kept.ask("SELECT count(*) FROM results") == [(24,)]


@pytest.mark.parametrize("moment", [0.0, 0.2])
def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path, moment: float) -> None:
    check_kill(tmp_path, moment)


@pytest.mark.long
def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    rng = random.Random(7)
    for _ in range(20):
        check_kill(tmp_path, rng.uniform(0.0, 0.7))


def test_points_that_a_corrected_study_left_behind_are_told(tmp_path: Path) -> None:
    space = {"builder": "ring", "params.count": [4, 6], "workload": "stdlib-moe"}
    sweep_all(space, ["links"], store=tmp_path / "a.db")
    sweep_all(space | {"params.count": [4, 6, 8]}, ["links"], store=tmp_path / "a.db")  # it has grown
    with pytest.warns(NopWarning, match="holds 2 points of 'study' that are not in this space"):
        sweep_all(space | {"params.count": [8]}, ["links"], store=tmp_path / "a.db")


def test_two_processes_share_a_store(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    pair = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(store)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    seen = [child.communicate()[0].split() for child in pair]
    assert [child.returncode for child in pair] == [0, 0]
    assert [sorted(keys) for keys in seen] == [sorted(set(seen[0]))] * 2  # each has the whole study
    assert told(sweep_all(CHILD_SPACE, ["links"], store=store)) == told(sweep_all(CHILD_SPACE, ["links"]))
    with Store(store) as kept:
        assert kept.ask("SELECT count(*) FROM evaluations") == [(24,)]
        assert kept.ask("SELECT count(*) FROM claims") == [(0,)]


def test_rows_not_asked_for_leave_the_store_whole(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        rows = sweep(MESHES, ["links"], store=store)
        next(rows)
        rows.close()  # type: ignore[attr-defined]
        assert store.ask("SELECT count(*) FROM evaluations") == [(1,)]
        assert store.ask("SELECT count(*) FROM claims") == [(0,)]


def test_artefacts_are_kept_on_request(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        row = sweep_all(MESHES, ["all_to_all"], store=store, artefacts=["layout", "loads"])[0]
        alone = nop.run(
            mesh(2, flops="300 TFLOP/s", link_bandwidth="64 GB/s"), "stdlib-moe", allocator="contiguous"
        )
        assert store.artefact(row.key, "loads")["dispatch"] == dict(
            zip(alone.package.channel_names, alone.dispatch.load.tolist(), strict=True)
        )
        assert store.artefact(row.key, "layout")["method"] == alone.allocation.method
        with pytest.raises(NopError, match="no 'schedule' was kept"):
            store.artefact(row.key, "schedule")


def test_progress_tells_the_best_so_far() -> None:
    lines: list[str] = []
    sweep_all(MESHES, ["links"], progress=lines.append)
    assert lines[-1] == "4 of 4 points; best links 4"
    assert Space(MESHES).size == 4
