import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import noptoolkit as nop
from noptoolkit.cli import main


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def noptoolkit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def command(*words: str | Path) -> Done:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            with pytest.raises(SystemExit) as stopped:
                main([str(word) for word in words])
        shown = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Done(stopped.value.code, shown.out, shown.err)

    return command


def test_module_is_the_command() -> None:
    command = [sys.executable, "-m", "noptoolkit", "show", "mehs-4x4"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "error: no topology or workload named 'mehs-4x4'; did you mean 'mesh-4x4'?\n"


def test_list_names_the_presets(noptoolkit: Command) -> None:
    done = noptoolkit("list")
    assert done.returncode == 0
    for name in ("mozart-nop-tree", "mesh-4x4", "torus-4x4", "qwen3-30b-a3b", "deepseek-v3"):
        assert name in done.stdout


def test_show_tells_channels_and_source(noptoolkit: Command) -> None:
    done = noptoolkit("show", "mozart-nop-tree")
    assert done.returncode == 0
    assert "26 links" in done.stdout
    assert "source: " in done.stdout
    assert "assumed: " in done.stdout
    assert "experts" in noptoolkit("show", "qwen3-30b-a3b").stdout
    measured = noptoolkit("show", "mesh-4x4", "--metrics").stdout
    assert re.search(r"bisection +[0-9.]+ .B/s", measured)
    assert "wire length" in measured


def test_show_takes_files_of_either_kind_and_counts_many_channels(
    noptoolkit: Command, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    preset = Path(__file__).parents[1] / "workloads" / "qwen3-30b-a3b.toml"
    own.write_text(preset.read_text().replace("top_k = 8", "top_k = 4"))
    assert "128 routed + 0 shared, top-4" in noptoolkit("show", own).stdout
    own.write_text(preset.read_text().replace("top_k = 8", "topk = 4"))
    assert "did you mean 'top_k'" in noptoolkit("show", own).stderr
    own.write_text('schema = 1\nsource = "test"\nbuilder = "mesh"\nparams = {rows = 12}\n')
    assert re.search(r"528 +d2d +128 GB/s", noptoolkit("show", own).stdout)


def test_compare_writes_tables_and_pictures(noptoolkit: Command, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    done = noptoolkit(
        "compare",
        "mozart-nop-tree",
        "mesh-4x4",
        "--on",
        "olmoe-1b-7b",
        "--set",
        "layers=1",
        "--allocator",
        "contiguous",
        "--routing",
        "shortest",
        "-o",
        out,
    )
    assert done.returncode == 0, done.stderr
    assert "synthetic routing" in done.stdout
    assert "mesh-4x4" in done.stdout
    names = {path.name for path in out.iterdir()}
    for name in ("comparison.csv", "comparison.json", "topology-mesh-4x4.png", "load-olmoe-1b-7b.svg"):
        assert name in names
    assert "all_to_all [s]" in (out / "comparison.csv").read_text()


def test_allocate_says_how_many_redundant_experts_there_is_room_for(noptoolkit: Command) -> None:
    done = noptoolkit(
        "allocate", "olmoe-1b-7b", "--on", "mesh-4x4", "--method", "contiguous", "--redundant", 1_000_000
    )
    assert done.returncode != 0
    assert "1000000 redundant experts: there is room for at most 960" in done.stderr
    assert "Traceback" not in done.stderr


def test_allocate_writes_a_layout_that_schedule_takes(noptoolkit: Command, tmp_path: Path) -> None:
    layout = tmp_path / "layout.toml"
    small = tmp_path / "small.npz"  # some of the recorded tokens: every layout is searched several times
    nop.save_trace(nop.load_workload("stdlib-moe").trace.tokens(slice(0, 128)), small)
    words = (
        "allocate",
        small,
        "--on",
        "mozart-nop-tree",
        "--method",
        "contiguous",
        "--method",
        "mozart",
        "--redundant",
        "16",
        "--redundant-by",
        "load",
    )
    done = noptoolkit(*words, "--layout", layout, "--pictures", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recorded routing" in done.stdout
    assert "mozart, 16 replicas by load" in done.stdout
    assert "replicas = " in layout.read_text()
    assert (tmp_path / "coactivation-after.png").exists()
    done = noptoolkit(
        "schedule", "mozart-nop-tree", "--on", f"stdlib-moe@{small}", "--allocation", layout, "-o", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "lower bound" in done.stdout
    trace = json.loads((tmp_path / "schedule.trace.json").read_text())
    assert trace["traceEvents"]
    assert (tmp_path / "schedule.png").stat().st_size > 10_000


def test_resilience_tells_the_worst_losses(noptoolkit: Command, tmp_path: Path) -> None:
    done = noptoolkit("resilience", "mesh-4x4", "-o", tmp_path)
    assert done.returncode == 0
    assert re.search(r"e5->e6 +167 us +167 us +1.33 x", done.stdout)
    assert "34 losses: " in done.stdout
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == [f"resilience.{ending}" for ending in ("csv", "json", "png", "svg")]
    tiny = tmp_path / "tiny.toml"
    preset = Path(__file__).parents[1] / "workloads" / "olmoe-1b-7b.toml"
    shrunk = preset.read_text()
    for key, value in (("layers", 2), ("sequences", 4), ("sequence_length", 32), ("tokens", 256)):
        shrunk = re.sub(rf"(?m)^{key} = .*", f"{key} = {value}", shrunk)
    tiny.write_text(shrunk)
    pairs = noptoolkit(
        *("resilience", "mesh-4x4", "--failures", "2", "--trials", "3", "--of", "chiplets"),
        *("--on", tiny, "--routing", "shortest", "-o", tmp_path / "pairs"),
    )
    assert "3 losses: " in pairs.stdout
    assert "dispatch" in pairs.stdout
    assert len(list((tmp_path / "pairs").iterdir())) == 2
    assert "34 links: 99 cannot fail" in noptoolkit("resilience", "mesh-4x4", "--failures", "99").stderr
    assert "--seed" in noptoolkit("resilience", "mesh-4x4", "--seed", "-3").stderr
    assert "nan is no probability" in noptoolkit("resilience", "mesh-4x4", "--probability", "nan").stderr


def test_convert_reports_what_is_lost(noptoolkit: Command, tmp_path: Path) -> None:
    done = noptoolkit("convert", "mesh-4x4", tmp_path / "mesh.anynet")
    assert done.returncode == 0, done.stderr
    assert re.search(r"lost +6 memory stacks", done.stdout)
    done = noptoolkit("convert", tmp_path / "mesh.anynet", tmp_path / "mesh.toml", "--bandwidth", "1 GB/s")
    assert done.returncode == 0, done.stderr
    assert "17 chiplets" in noptoolkit("show", tmp_path / "mesh.toml").stdout


@pytest.mark.parametrize("show", ["load", "traffic", "layout"])
def test_plot_draws_what_a_workload_does(noptoolkit: Command, show: str, tmp_path: Path) -> None:
    words = ("plot", "mesh-4x4", "--on", "stdlib-moe", "--allocator", "contiguous", "--show", show)
    done = noptoolkit(*words, "--picture", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size > 10_000


TOPOLOGY = """schema = 1
name = "pair"
source = "test"
[[chiplet]]
name = "a"
role = "expert"
[[chiplet]]
name = "b"
role = "expert"
[[link]]
a = "a"
b = "b"
bandwidth = "128 GB/s"
"""

BAD = {
    "malformed": (TOPOLOGY.replace("[[link]]", "[[link"), "line"),
    "truncated": (TOPOLOGY[:-12], "TOML"),
    "binary": ("\x00\x01\x02\xff", "not text"),
    "unknown key": (TOPOLOGY.replace("bandwidth =", "bandwith ="), "did you mean 'bandwidth'"),
    "wrong unit": (TOPOLOGY.replace("GB/s", "GB"), "B/s"),
    "negative": (TOPOLOGY.replace('"128 GB/s"', "-1.0"), "negative"),
    "nan": (TOPOLOGY.replace('"128 GB/s"', "nan"), "finite"),
    "infinite": (TOPOLOGY.replace('"128 GB/s"', "inf"), "finite"),
    "unknown node": (TOPOLOGY.replace('b = "b"', 'b = "c"'), "no node named 'c'"),
    "enormous": ("#" + "x" * 20_000_000, "large|big|MB|bytes"),
    "huge count": (
        'schema = 1\nbuilder = "mesh"\n[params]\nrows = 1000000\ncolumns = 1000000\n',
        "mesh|rows",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_topology_is_one_message(noptoolkit: Command, case: str, tmp_path: Path) -> None:
    text, says = BAD[case]
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("latin-1"))
    done = noptoolkit("show", path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert "mine.toml" in done.stderr
    assert re.search(says, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["show", "mehs-4x4"], 1, "did you mean 'mesh-4x4'"),
        (["show", "no/such.toml"], 1, "no/such.toml"),
        (["compare", "mesh-4x4", "--on", "qwen4"], 1, "qwen4"),
        (["compare", "mesh-4x4"], 2, "--on"),
        (["compare", "mesh-4x4", "--on", "olmoe-1b-7b", "--allocator", "mozrt"], 1, "did you mean 'mozart'"),
        (["compare", "mesh-4x4", "--on", "olmoe-1b-7b@no.npz"], 1, "no.npz"),
        (["plot", "mesh-4x4", "--picture", "mesh.xyz"], 1, "mesh.xyz"),
        (["plot", "mesh-4x4"], 2, "--picture FILE or -o FOLDER"),
        (["compare", "mesh-4x4", "--on", "olmoe-1b-7b", "--degree", "many"], 2, "many"),
        (["compare", "mesh-4x4", "--on", "olmoe-1b-7b", "--normalise", "prise"], 1, "measure"),
        (["reproduce", "mozrat"], 2, "mozart"),
        (["allocate", "no.npz", "--on", "mesh-4x4"], 1, "no.npz"),
        (["allocate", "stdlib-moe", "--on", "mesh-4x4", "--cap-chiplet", "0.5"], 1, "cap"),
        (["schedule", "mesh-4x4", "--on", "stdlib-moe", "--policy", "strea"], 1, "policy"),
        (["schedule", "mesh-4x4", "--on", "stdlib-moe", "--micro-batches", "3"], 1, "micro-batches"),
        (["convert", "mesh-4x4", "mesh.doc"], 1, "mesh.doc"),
        (["convert", "mesh-4x4", "no/such/mesh.toml"], 1, "no/such"),
        (["plot", "mesh-4x4", "--show", "load", "-o", "a.png"], 2, "--on"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_bad_words(
    noptoolkit: Command,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    says: str,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = noptoolkit(*words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_version(noptoolkit: Command) -> None:
    assert re.fullmatch(r"noptoolkit \d+\.\d+\.\d+\n", noptoolkit("--version").stdout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "stdlib-moe", "--metrics"), "only a topology is measured"),
        (("show", "MESH-4X4"), "did you mean 'mesh-4x4'?"),
        (("show", "mesh-4x4.toml"), "no such file, and no topology preset; did you mean 'mesh-4x4'?"),
        (("convert", "", "mesh.toml"), "no topology named ''"),
        (("show", "a" * 5000 + ".toml"), "File name too long"),
        (("plot", "mesh-4x4", "-o", "a.png", "--on", "stdlib-moe"), "say what of it to --show"),
        (("compare", "mesh-4x4", "--on", "stdlib-moe@"), "'stdlib-moe@' is not WORKLOAD@TRACE"),
        (("compare", "mesh-4x4", "--on", "@a.npz"), "'@a.npz' is not WORKLOAD@TRACE"),
        (("compare", "mesh-4x4", "--on", "stdlib-moe", "--seed", "-1"), "--seed"),
        (("compare", "mesh-4x4", "--on", "stdlib-moe", "--routing", "dorr"), "did you mean 'dor'?"),
        (("compare", "mesh-4x4", "--on", "stdlib-moe", "--allocator", "mosart"), "did you mean 'mozart'?"),
        (("compare", "mesh-4x4", "mesh-4x4", "--on", "stdlib-moe"), "2 packages are named 'mesh-4x4'"),
        (("allocate", "stdlibmoe", "--on", "mesh-4x4"), "did you mean 'stdlib-moe'?"),
        (("allocate", "stdlib-moe", "--on", "mesh-4x4", "--experts", "3"), "holds both"),
        (("allocate", "stdlib-moe", "--on", "mesh-4x4", "-o", "layout.txt"), ".toml or .json, not '.txt'"),
    ],
)
def test_what_makes_no_sense_is_told_at_once(
    noptoolkit: Command, words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = noptoolkit(*words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "expert allocation" not in done.stderr  # nothing was computed first
    assert "internal error" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_allocator_and_a_layout_contradict_each_other(noptoolkit: Command, tmp_path: Path) -> None:
    for command in ("schedule", "compare"):
        given = ("--allocation", tmp_path / "layout.toml", "--allocator", "contiguous")
        done = noptoolkit(command, "mesh-4x4", "--on", "stdlib-moe", *given)
        assert done.returncode == 2
        assert "not both" in done.stderr


def test_two_traces_of_one_model_stay_apart(noptoolkit: Command, tmp_path: Path) -> None:
    import numpy as np

    for seed, name in enumerate(("prose", "code")):
        ids = np.argsort(np.random.default_rng(seed).random((2, 40, 32)))[..., :4]
        np.savez(tmp_path / f"{name}.npz", topk=ids, num_experts=32)
    traces = [f"--on=gpt-oss-20b@{tmp_path / name}.npz" for name in ("prose", "code")]
    done = noptoolkit("compare", "star-16", *traces, "--allocator", "contiguous")
    assert [line for line in done.stdout.split("\n") if line.startswith("gpt-oss-20b@prose: ")]
    assert [line for line in done.stdout.split("\n") if line.startswith("gpt-oss-20b@code: ")]


def test_allocate_takes_every_kind_of_workload(noptoolkit: Command, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    preset = Path(__file__).parents[1] / "workloads" / "gpt-oss-20b.toml"
    own.write_text(preset.read_text())
    layout = tmp_path / "made" / "layout.json"
    given = ("--on", "star-16", "--method", "contiguous", "-o", layout)
    assert noptoolkit("allocate", own, *given).returncode == 0
    assert json.loads(layout.read_text())["schema"] == 1


def test_streams_that_are_full_or_know_few_letters(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('schema = 1\nname = "Süd"\nsource = "test"\nbuilder = "mesh"\nparams = {rows = 2}\n')
    command = [sys.executable, "-m", "noptoolkit", "show", str(own)]
    here = {"cwd": Path(__file__).parents[1], "text": True, "stderr": subprocess.PIPE}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii"}, **here
    )
    assert done.returncode == 0
    assert done.stdout.startswith(r"Package('S\xfcd'")
    if Path("/dev/full").is_char_device():
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, **here)
        assert done.returncode == 1
        assert done.stderr == "error: No space left on device\n"


def test_the_table_of_a_schedule_says_what_was_laid_out_and_not_known(
    noptoolkit: Command, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'schema = 1\nname = "own"\nsource = "test"\nbuilder = "mesh"\n'
        'params = {rows = 2, attention = true, memory = true, flops = "1 TFLOP/s"}\n'
    )
    done = noptoolkit("schedule", own, "--on", "stdlib-moe", "--allocator", "contiguous")
    assert "layout='contiguous'" in done.stdout
    assert re.search(r"dynamic energy +not given +without compute, memory, network", done.stdout)


def test_show_says_which_links_are_half_duplex(noptoolkit: Command) -> None:
    shown = noptoolkit("show", "mozart-nop-tree", "--channels").stdout
    assert re.search(r"hbm0->sw0 +memory, half duplex +256 GB/s", shown)
    assert re.search(r"attn->sw0 +d2d +128 GB/s", shown)


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("show", "mesh-4x4"),
        ("show", "mesh-4x4", "--metrics"),
        ("show", "olmoe-1b-7b"),
        ("compare", "mesh-4x4", "--on", "olmoe-1b-7b", "--on", "stdlib-moe", "--metric", "links"),
        ("schedule", "mesh-4x4", "--on", "olmoe-1b-7b", "--allocator", "contiguous"),
        ("resilience", "star-16", "--routing", "ecmp"),
        ("convert", "mesh-4x4", "mesh.anynet"),
    ],
)
def test_json_is_all_that_stands_on_standard_output(
    noptoolkit: Command, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = noptoolkit(*words, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    keys = {column["key"] for column in data["columns"]}
    assert data["schema"] == 1
    assert data["rows"]
    assert all(keys <= set(row) for row in data["rows"])
    if words[0] == "compare":
        assert [row["workload"] for row in data["rows"]] == ["olmoe-1b-7b", "stdlib-moe"]
        assert [row["links"] for row in data["rows"]] == [34, 34]
        assert data["metrics"]["links"]["better"] == "lower"
    if words[0] == "schedule":
        makespan = next(row for row in data["rows"] if row["what"] == "makespan")
        assert (makespan["unit"], 0 < makespan["value"] < 1) == ("s", True)


def test_solvers_speak_only_when_asked(noptoolkit: Command) -> None:
    words = ("compare", "mesh-4x4", "torus-4x4", "--on", "olmoe-1b-7b", "--metric", "all_to_all")
    plain, wordy = (noptoolkit(*words, "--allocator", "contiguous", *more) for more in ((), ("--verbose",)))
    assert "(run 2 of 2" in plain.stderr
    assert plain.stdout == wordy.stdout
    assert set(plain.stderr.splitlines()) < set(wordy.stderr.splitlines())


def test_o_is_a_folder_everywhere(noptoolkit: Command, tmp_path: Path) -> None:
    made = {
        ("plot", "star-16"): {"topology-star-16.png"},
        ("resilience", "star-16", "--routing", "ecmp"): {
            "resilience.csv",
            "resilience.json",
            "resilience.png",
        },
        ("collective", "star-16"): {"schedule.json", "collective.csv", "collective.json"},
    }
    for words, names in made.items():
        done = noptoolkit(*words, "-o", tmp_path / words[0])
        assert done.returncode == 0, done.stderr
        assert names <= {path.name for path in (tmp_path / words[0]).iterdir()}
        assert "warning" not in done.stderr


def test_a_file_behind_o_is_still_written_with_a_warning(noptoolkit: Command, tmp_path: Path) -> None:
    layout = ("allocate", "stdlib-moe", "--on", "star-16", "--method", "contiguous")
    for words, name, option in (
        (("plot", "star-16"), "star.svg", "--picture"),
        (layout, "layout.json", "--layout"),
        (("collective", "star-16"), "ring.json", "--schedule"),
    ):
        done = noptoolkit(*words, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert f"warning: -o is a folder: write {option}" in done.stderr.replace("\n", "")
        assert (tmp_path / name).is_file()
        other = noptoolkit(*words, option, tmp_path / f"own-{name}")
        assert "warning" not in other.stderr
        assert (tmp_path / f"own-{name}").is_file()


def test_a_collective_is_simulated_beside_its_fluid_time(noptoolkit: Command, tmp_path: Path) -> None:
    words = ("collective", "mesh-4x4", "--kind", "all-gather", "--bytes", "64 kB", "--simulate")
    assert "0 is no number of chunks" in noptoolkit(*words, "--chunks", "0").stderr
    done = noptoolkit(*words, "--chunks", "8", "--json", "-o", tmp_path)
    assert done.returncode == 0
    rows = json.loads(done.stdout)["simulation"]["rows"]
    assert [row["what"] for row in rows][-1] == "simulated"
    assert 1 < rows[-1]["of_fluid"] < 2
    assert (tmp_path / "simulation.csv").is_file()


def test_simulate_tells_latency_and_refuses_two_questions(noptoolkit: Command, tmp_path: Path) -> None:
    done = noptoolkit("simulate", "mesh-4x4", "--rate", "0.2", "--routing", "dor", "-o", tmp_path)
    assert done.returncode == 0
    assert "mean latency" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"latency.png", "latency.svg", "simulation.csv"}
    wrong = noptoolkit("simulate", "mesh-4x4", "--rate", "0.2", "--sweep")
    assert wrong.returncode != 0
    assert "one of" in wrong.stderr
    much = noptoolkit("simulate", "mesh-4x4", "--rate", "1e6")
    assert much.returncode != 0
    assert "give a rate of" in much.stderr
