"""``noptoolkit sweep`` and ``noptoolkit results``."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from noptoolkit.cli import main

STUDY = """\
schema = 1
name = "rings"
metrics = ["links", "total_bandwidth"]
[space]
builder = "ring"
params.count = [4, 6, 8]
params.flops = "1 TFLOP/s"
workload = "stdlib-moe"
"""


def command(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(str(stopped.value.code))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    file = tmp_path / "rings.toml"
    file.write_text(STUDY)
    return file


def test_sweep_then_results(study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command("sweep", study, "--jobs", "1") == 0
    shown = capsys.readouterr()
    assert "3 points (3 params.count)" in shown.err
    assert "3 computed" in shown.out
    assert "|########################| 3 of 3 points; best links 4" in shown.err
    assert command("sweep", study, "--jobs", "1") == 0
    assert "3 stored before" in capsys.readouterr().out
    store = study.with_suffix(".db")
    assert command("results", store, "--where", "links > 4", "--sort", "links", "--descending", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["links"] for row in rows] == [8, 6]
    assert command("results", store, "--export", tmp_path / "a.csv") == 0
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4
    capsys.readouterr()
    assert command("results", store, "--where", "link > 4") == 1
    assert "did you mean 'links'" in capsys.readouterr().err
    assert command("results", store, "--recover", tmp_path / "new.db") == 0
    assert "evaluations" in capsys.readouterr().out


def test_a_dry_run_says_how_many(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(
        STUDY.replace("[4, 6, 8]", "{ low = 4, high = 900000000, count = 800000000, whole = true }")
    )
    assert command("sweep", study) == 1
    shown = capsys.readouterr()
    assert "800,000,000 points" in shown.err
    assert "draw a sample" in shown.err


@pytest.mark.parametrize(
    ("line", "wrong", "hint"),
    [
        ("params.count = [4, 6, 8]", "params.cout = [4]", "did you mean 'params.count'"),
        ('builder = "ring"', 'bilder = "ring"', "either 'package' or 'builder'"),
        ('metrics = ["links", ', 'metrics = ["link", ', "did you mean 'links'"),
        ("[4, 6, 8]", '{ low = 4, high = 8, count = 2, log = "no" }', "log='no' must be true or false"),
        ("[4, 6, 8]", "{ low = 4, high = 8, count = 2, whole = 1 }", "whole=1 must be true or false"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses(
    line: str, wrong: str, hint: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in STUDY
    study.write_text(STUDY.replace(line, wrong))
    assert command("sweep", study, "--dry-run") == 1
    assert hint in capsys.readouterr().err
    assert not study.with_suffix(".db").exists()


def test_names_are_checked_before_points(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line, hint in (
        ('allocator = ["tabu", "mozat"]', "no allocator named 'mozat'; did you mean 'mozart'"),
        ('objective = "tim"', "did you mean 'time'"),
        ('routing = ["shortes"]', "did you mean 'shortest'"),
        ('policy = "streamin"', "did you mean 'streaming'"),
    ):
        study.write_text(f"{STUDY}{line}\n")
        assert command("sweep", study) == 1
        assert hint in capsys.readouterr().err


def test_a_sweep_whose_every_point_failed_fails(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(f"{STUDY}edit.without = 'nobody'\n")
    assert command("sweep", study, "--jobs", "1") == 1
    shown = capsys.readouterr()
    assert "3 failed" in shown.out
    assert "every point failed" in shown.err
    study.write_text(f"{STUDY}edit.without = ['nobody', 'e0']\n")
    assert command("sweep", study, "--jobs", "1") == 0
    assert "3 failed" in capsys.readouterr().out


def test_ctrl_c_keeps_what_is_finished_and_exits_130(study: Path) -> None:
    counts = ", ".join(map(str, range(4, 999)))
    study.write_text(STUDY.replace("4, 6, 8", counts))
    child = subprocess.Popen(
        [sys.executable, "-m", "noptoolkit", "sweep", str(study), "-j", "1"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    assert child.stderr is not None
    while "3 of 995 points" not in child.stderr.readline():
        pass
    child.send_signal(signal.SIGINT)
    child.communicate()
    assert child.returncode == 130
    from noptoolkit.studies import Store

    with Store(study.with_suffix(".db")) as store:
        [(count,)] = store.ask("SELECT count(*) FROM evaluations WHERE status = 'done'")
        assert 3 <= count < 995
        assert store.ask("SELECT count(*) FROM claims") == [(0,)]


def test_results_judge_points(study: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command("sweep", study, "--jobs", "1", "--json") == 0
    keys = [row["point"] for row in json.loads(capsys.readouterr().out)["rows"]]
    store = study.with_suffix(".db")
    assert command("results", store, "--pareto", "links,max params.count", "--json") == 0
    assert [row["links"] for row in json.loads(capsys.readouterr().out)["rows"]] == [4, 6, 8]
    assert command("results", store, "--pareto", "links", "--out", tmp_path / "pictures") == 1
    assert "needs two goals" in capsys.readouterr().err
    assert command("results", store, "--pareto", "links,total_bandwidth", "--out", tmp_path / "pictures") == 0
    capsys.readouterr()
    names = {f"{name}.{ending}" for name in ("front", "parallel", "scatter") for ending in ("png", "svg")}
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == names
    assert command("results", store, "--best", "max links", "--where", "links < 8", "--json") == 0
    assert [row["links"] for row in json.loads(capsys.readouterr().out)["rows"]] == [6, 4]
    assert command("results", store, "--best", "links", "--where", "links < 3") == 1
    assert "met by 0 of 3, nearest 4" in capsys.readouterr().err
    for unit in ("1 ms", "1 kg", "much"):
        assert command("results", store, "--where", f"total_bandwidth > {unit}") == 1
        assert f"total_bandwidth is in B/s, which '{unit}' is not" in capsys.readouterr().err
    assert command("results", store, "--why", keys[0], keys[2], "--metric", "links") == 0
    shown = capsys.readouterr().out
    assert "1 input differs" in shown
    assert "100 %" in shown
    assert command("results", store, "--why", keys[0], "zzzz") == 1
    assert "no point 'zzzz'" in capsys.readouterr().err
    assert command("results", store, "--best", "links", "--pareto", "links") == 2
    assert command("results", store, "--metric", "links") == 2


def test_optimise_and_sensitivity(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="the extra 'search' is not installed")
    pytest.importorskip("SALib", reason="the extra 'sensitivity' is not installed")
    study.write_text(
        STUDY.replace(
            '"rings"', '"rings"\ngoals = ["max links"]\nlimits = ["links < 8"]\nbudget = 2'
        ).replace(
            'workload = "stdlib-moe"', 'params.link_bandwidth = ["1 GB/s", "2 GB/s"]\nworkload = "stdlib-moe"'
        )
    )
    assert command("optimise", study, "--json") == 0
    shown = capsys.readouterr()
    assert "2 of 2 points; best links" in shown.err
    assert command("optimise", study, "--budget", "20") == 0
    shown = capsys.readouterr().out
    assert "6 points, 4 computed now, 0 failed: all of the space" in " ".join(shown.split())
    assert "The best, computed again from scratch: all metrics and digests equal" in " ".join(shown.split())
    assert command("optimise", study, "--limit", "links < 2") == 1
    assert "nearest 4" in capsys.readouterr().err
    assert command("optimise", study, "--budget", "0") == 1
    assert "budget=0" in capsys.readouterr().err
    assert command("sensitivity", study, "--json", "--jobs", "1") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["parameter"] == "count"
    assert command("results", study.with_suffix(".db")) == 0
    assert "rings-search" in capsys.readouterr().out


FULL = """
import resource, sys
from noptoolkit.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))  # as a full disk has it
main(["sweep", sys.argv[1], "-j", "1"])
"""


def test_a_full_disk_is_one_error_and_points_are_kept(study: Path) -> None:
    study.write_text(STUDY.replace("4, 6, 8", ", ".join(map(str, range(4, 604)))))
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(study)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "finished points are kept; make room" in done.stderr
    assert "Traceback" not in done.stderr
    from noptoolkit.studies import Store

    with Store(study.with_suffix(".db")) as store:
        [(count,)] = store.ask("SELECT count(*) FROM evaluations WHERE status = 'done'")
        assert 0 < count < 600
