"""What surrounds a run goes wrong: pipes, disks, folders, processes that were killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from noptoolkit._threads import check_numba_threads
from noptoolkit.cli import main
from noptoolkit.errors import NopWarning
from noptoolkit.formats import dump_topology, load_topology, results

HEEDED = "signal.signal(signal.SIGINT, signal.default_int_handler)"
"""For processes that a script starts in its background: they ignore Ctrl-C, and so does what they start."""


def run(*words: str, out: object = subprocess.PIPE, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "noptoolkit", *words]
    return subprocess.run(
        command, stdout=out, stderr=subprocess.PIPE, text=True, env=os.environ | env, check=False
    )  # type: ignore[call-overload,no-any-return]


def test_a_full_disk_and_a_closed_pipe_are_one_line_or_none() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("list", out=full, COLUMNS="0")
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = run("list", out=writer, COLUMNS="20")
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_ctrl_c_while_the_process_ends_is_quiet_and_130() -> None:
    program = (
        "import atexit, os, signal, sys; sys.argv = ['noptoolkit', '--version'];"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT));"
        "from noptoolkit.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_nothing_is_left_of_a_command_that_fails_or_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "there").mkdir()
    words = ["compare", "mesh-4x4", "--on", "stdlib-moe", "--report", str(tmp_path / "c/r.html"), "-o"]
    monkeypatch.setattr("noptoolkit.study.compare", interrupted)
    for out in (tmp_path / "a" / "b", tmp_path / "there"):
        with pytest.raises(SystemExit) as left:
            main([*words, str(out)])
        assert left.value.code == 130
    with pytest.raises(SystemExit) as left:
        main(["compare", "mesh-4x4", "--on", "nosuch", "-o", str(tmp_path / "d")])
    assert left.value.code == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("after", ["time.sleep(60)", "raise LookupError"])
def test_ctrl_c_that_python_swallows_ends_the_command_all_the_same(after: str) -> None:
    program = (
        f"import os, signal, sys, time; {HEEDED}; from noptoolkit.cli import application, main\n"
        "class Swallows:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
        "def listed(as_json=False):\n"
        f"    Swallows(); {after}\n"
        "application.listing.list_presets.__code__ = listed.__code__\n"
        "application.listing.Swallows, application.listing.time = Swallows, time\n"
        "sys.argv = ['noptoolkit', 'list']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.removesuffix("interrupted\n")) == (130, "")


@pytest.mark.parametrize(("called", "code"), [("noptoolkit", 130), ("other.py", -signal.SIGINT)])
def test_ctrl_c_while_the_command_loads_is_quiet_and_130(called: str, code: int) -> None:
    program = (
        f"import builtins, os, signal, sys; {HEEDED}; load = builtins.__import__\n"
        "def interrupted(name, *rest, **more):\n"
        "    if name == 'pathlib': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return load(name, *rest, **more)\n"
        f"builtins.__import__ = interrupted; sys.argv = [{called!r}]; import noptoolkit\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("KeyboardInterrupt" in done.stderr) == (code != 130)  # a program of the user's own is left alone


def test_a_topology_comes_through_a_pipe() -> None:
    text = dump_topology(load_topology("mesh-4x4"))
    command = [sys.executable, "-m", "noptoolkit", "show", "/dev/stdin"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mesh-4x4" in done.stdout


def test_left_overs_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    left, ours = (tmp_path / f"{results._OURS}{pid}-x.csv" for pid in (gone.pid, os.getpid()))
    other = tmp_path / ".notes"
    for path in (left, ours, other):
        path.write_text("half")
    results.replace_file(tmp_path / "a.csv", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.csv", ours.name, other.name])


def test_numbers_of_threads_that_are_none_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("0", "x", "-1", "9" * 30):
        monkeypatch.setenv("NUMBA_NUM_THREADS", given)
        with pytest.warns(NopWarning, match="is no number of threads"):
            check_numba_threads()
        assert "NUMBA_NUM_THREADS" not in os.environ
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    check_numba_threads()
    assert os.environ["NUMBA_NUM_THREADS"] == "2"


def test_the_doctor_finds_nothing_wrong_and_says_what_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    shown = capsys.readouterr().out
    assert left.value.code == 0, shown
    assert "all is as it should be" in shown
    monkeypatch.setattr("noptoolkit.cli.doctoring._one_link", lambda: (2.0, 1.0))
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--json"])
    assert left.value.code == 1
    assert "wrong: 1 is right" in capsys.readouterr().out


def test_the_doctor_goes_on_where_a_setting_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOPTOOLKIT_LIMITS", "text_bytes")
    monkeypatch.setenv("NOPTOOLKIT_NUM_THREADS", "many")
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    shown = capsys.readouterr().out
    assert left.value.code == 1
    assert "NAME=NUMBER" in shown
    assert "wrong: cores, threads, limits of files\n" in shown  # and nothing else
