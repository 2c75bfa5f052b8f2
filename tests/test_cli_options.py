"""Options that commands share: other batches and fields, every kind of picture, completion, bases."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import noptoolkit as nop
from noptoolkit import load_topology, load_workload, plot, save_trace
from noptoolkit.cli.application import app
from noptoolkit.cli.plotting import KINDS, SEVERAL
from noptoolkit.cli.scenes import PICTURES
from noptoolkit.cli.screen import now_and_then
from noptoolkit.errors import FormatError, UnknownNameError, WorkloadError
from noptoolkit.formats import list_workloads
from noptoolkit.formats.workload_dump import dump_workload

SLOW = ("animate", "published", "latency", "latencies")  # tests/plot draws them from less
QUICK = ("--on", "stdlib-moe", "--allocator", "contiguous", "--routing", "shortest")


def called(*words: object) -> str:
    """Return what a command prints; its error is raised."""
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_plot_has_a_picture_on_the_command_line():
    of_other_results = {"busy_channels", "saturations", "serving", "plan_memory", "plan_groups"}
    of_other_results |= {"front", "parallel_coordinates", "scatter_matrix"}
    of_other_results |= {"best_packages", "bound_distances", "widths"}
    assert set(KINDS) == set(plot.__all__) - {"save", "style"} - of_other_results
    assert set(PICTURES) == set(KINDS) - {"animate"}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.long if kind in SLOW else ()) for kind in KINDS],
)
def test_every_kind_is_drawn(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    out = tmp_path / ("out.gif" if kind == "animate" else "out.png")
    topologies = ["mozart-nop-tree", "mesh-4x4"] if kind in SEVERAL else ["mozart-nop-tree"]
    words = {"workload": [*topologies, *QUICK], "topology": topologies, "nothing": []}[KINDS[kind]]
    more = {
        "temperature": ("--power", "expert=20 W", "--power", "attn=40 W"),
        "upgrades": ("--link", "sw0->*", "--link", "d2d", "--to", "256 GB/s"),
        "bandwidth_curve": ("--link", "sw0->*"),
    }.get(kind, ())
    if kind in ("pareto", "layouts"):  # every allocator is asked: of few tokens
        small = tmp_path / "small.npz"
        save_trace(load_workload("stdlib-moe").trace.tokens(slice(0, 128)), small)
        words[words.index("stdlib-moe")] = f"stdlib-moe@{small}"
    called("plot", *words, "--show", kind, *more, "--picture", out)
    assert out.stat().st_size > 5000


@pytest.mark.parametrize("style", ["column", "page"])
def test_pictures_have_the_width_asked_for(style, tmp_path):
    from matplotlib.image import imread

    called("plot", "mesh-4x4", "--style", style, "--picture", tmp_path / "a.png")
    inches = imread(tmp_path / "a.png").shape[1] / 300
    assert abs(inches - {"column": 3.5, "page": 7.16}[style]) < 0.3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("schedule", "mesh-4x4", "--on", "nowhere", "--policy", "fast"), "no policy named 'fast'"),
        (("compare", "nowhere", "--on", "nowhere", "--routing", "fastest"), "no routing named 'fastest'"),
        (
            ("plot", "nowhere", "--show", "lode", "--picture", "x.png"),
            "no picture named 'lode'; did you mean 'load'",
        ),
        (("compare", "nowhere", "--on", "nowhere", "--normalise", "cos"), "did you mean 'cost'"),
        (("allocate", "nowhere", "--on", "nowhere", "--method", "mozard"), "did you mean 'mozart'"),
        (("schedule", "mesh-4x4", "--on", "stdlib-moe", "--set", "sequenzes=3"), "did you mean 'sequences'"),
    ],
)
def test_misspelt_names_are_refused_before_anything_is_read(words, message):
    with pytest.raises(UnknownNameError, match=message):
        called(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("--power", "expert=nonsense"),
        ("--link", "nosuch"),
        ("--to", "nonsense"),
        ("--layer", "0"),
        ("--token", "7"),
        ("--kind", "nonsense"),
        ("--bytes", "nonsense"),
        ("--x", "links"),
        ("--y", "links"),
    ],
    ids=lambda words: words[0],
)
def test_an_option_that_a_picture_does_not_depend_on_is_refused(words, tmp_path):
    done = CliRunner().invoke(app, ["plot", "mesh-4x4", "--picture", str(tmp_path / "a.png"), *words])
    assert done.exit_code == 2
    assert f"Invalid value for {words[0]}: it only counts with --show" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("compare", "mesh-4x4", "--on", "stdlib-moe"), ("sweep", "study.toml")])
def test_a_number_of_processes_that_no_machine_has_is_refused(words):
    done = CliRunner().invoke(app, [*words, "--jobs", "1000000"])
    assert done.exit_code == 2
    assert "is not in the range" in done.output or "less than or equal" in done.output


def test_commands_take_another_batch():
    words = ("schedule", "mozart-nop-tree", *QUICK, "--json")
    whole = called(*words)
    less = called(*words, "--mode", "decode", "--sequences", 8, "--length", 128, "--micro-batches", 2)
    assert whole != less
    with pytest.raises(WorkloadError, match="3 sequences do not divide into 4 micro-batches; give a micro"):
        called(*words, "--sequences", 3)
    text = called(
        "show", "qwen3-30b-a3b", "--set", "layers=24", "--set", "routing.layers=2", "--mode", "decode"
    )
    assert "24, 24 with experts" in text
    assert "given on the command line" in text
    assert "2 x 3" not in text


def test_set_reaches_model_batch_and_generator_and_checks_types():
    workload = load_workload("qwen3-30b-a3b")
    changed = workload.replace(layers=24, sequences=8, affinity=1, **{"routing.layers": 2, "qk_norm": "none"})
    assert (changed.model.layers, changed.batch.sequences) == (24, 8)
    assert (changed.routing.affinity, changed.routing.layers) == (1.0, 2)
    assert workload.replace(experts=64, top_k=4).trace.num_experts == 64  # the generator follows the model
    assert workload.replace() == workload or workload.replace().model == workload.model
    for key, value, message in [
        ("layers", "two", "give a whole number"),
        ("layers", 10_001, "layers = 10001 is more than 10000; is it a typing error?"),
        ("routing.layers", 10**9, "more than 10000"),
        ("layers", True, "give a whole number"),
        ("mode", "fast", "'training', 'prefill', 'decode'"),
        ("zipf", "steep", "give a number"),
        ("zipf", 1e300, "zipf 1e\\+300 is not between"),
        ("affinity", -1e300, "affinity -1e\\+300 is not between"),
    ]:
        with pytest.raises(WorkloadError, match=message):
            workload.replace(**{key: value})
    for key, message in [("model", "a MoEModel"), ("batch", "a Batch"), ("routing", "a RoutingTrace")]:
        with pytest.raises(WorkloadError, match=f"{key} = 3: give {message}"):
            workload.replace(**{key: 3})
    for value, message in [("9" * 5000, "thousands of digits"), ("[" * 5000, "nested too deeply")]:
        with pytest.raises(FormatError, match=f"--set layers: .*{message}"):
            called("show", "stdlib-moe", "--set", f"layers={value}")
    with pytest.raises(UnknownNameError, match="no field 'num_experts'"):
        workload.replace(num_experts=3)
    with pytest.raises(WorkloadError, match="its routing is a trace"):
        load_workload("stdlib-moe").replace(affinity=2.0)


@pytest.mark.parametrize("name", list_workloads())
def test_a_workload_written_as_toml_is_read_back(name, tmp_path):
    workload = load_workload(name)
    trace = None
    if name == "stdlib-moe":
        trace = tmp_path / "trace.npz"
        save_trace(workload.trace, trace)
    (tmp_path / "own.toml").write_text(dump_workload(workload, trace=trace), encoding="utf-8")
    again = load_workload(tmp_path / "own.toml")
    assert (again.model, again.batch) == (workload.model, workload.batch)
    assert again.trace.digest() == workload.trace.digest()


def test_show_as_toml_is_a_file_to_start_from(tmp_path):
    (tmp_path / "w.toml").write_text(
        called("show", "stdlib-moe", "--toml", "--sequences", 64), encoding="utf-8"
    )
    again = load_workload(tmp_path / "w.toml")
    assert again.batch.sequences == 64
    assert again.trace.origin == "recorded"
    (tmp_path / "t.toml").write_text(called("show", "torus-4x4", "--toml"), encoding="utf-8")
    assert load_topology(tmp_path / "t.toml") == load_topology("torus-4x4")


def test_a_file_rests_on_a_base(tmp_path):
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(f"schema = 1\n{text}", encoding="utf-8")
        return path

    first = write(
        "first.toml", 'base = "qwen3-30b-a3b"\n[batch]\nsequences = 8\n[routing.generator]\nzipf = 0.5\n'
    )
    workload = load_workload(first)
    preset = load_workload("qwen3-30b-a3b")
    assert (workload.name, workload.model, workload.source) == ("first", preset.model, preset.source)
    assert (workload.batch.sequences, workload.batch.micro_batches) == (8, 4)
    assert (workload.routing.zipf, workload.routing.affinity) == (0.5, preset.routing.affinity)
    second = write("second.toml", 'base = "first.toml"\n[model]\nlayers = 2\n')
    assert load_workload(second).batch.sequences == 8
    assert "2, 2 with experts" in called("show", second)
    traced = write("traced.toml", 'base = "stdlib-moe"\n[batch]\nmode = "prefill"\n')
    assert load_workload(traced).trace.num_tokens == 16384  # the trace stands beside its preset
    drawn = write("drawn.toml", 'base = "stdlib-moe"\n[routing.generator]\ntokens = 64\n')
    assert load_workload(drawn).trace.origin == "synthetic"

    wide = write("wide.toml", 'base = "mesh-4x4"\n[params]\nlink_bandwidth = "256 GB/s"\n')
    mesh = load_topology("mesh-4x4")
    assert load_topology(wide) == mesh.with_link_bandwidth("d2d", "256 GB/s").replace(
        name="wide", source=mesh.source, assumed=mesh.assumed
    )
    ring = write("ring.toml", 'base = "mesh-4x4"\nbuilder = "ring"\n[params]\ncount = 5\n')
    assert len(load_topology(ring).chiplets) == 5

    loop = write("loop.toml", 'base = "loop.toml"\n')
    with pytest.raises(FormatError, match="is it a circle"):
        load_workload(loop)
    with pytest.raises(UnknownNameError, match="did you mean 'qwen3-30b-a3b'"):
        load_workload(write("bad.toml", 'base = "qwen3-30b-a3"\n'))
    with pytest.raises(FormatError, match="no key 'sequenzes'; did you mean 'sequences'"):
        load_workload(write("worse.toml", 'base = "qwen3-30b-a3b"\n[batch]\nsequenzes = 8\n'))


def test_allocate_writes_the_best_layout_and_says_which(tmp_path):
    layout = tmp_path / "layout.toml"
    words = ("allocate", "stdlib-moe", "--on", "mozart-nop-tree", "--layout", layout)
    called(*words, "--method", "mozart", "--method", "random")
    assert 'method = "mozart"' in layout.read_text(encoding="utf-8")
    called(*words, "--method", "random")
    assert 'method = "random"' in layout.read_text(encoding="utf-8")


def test_show_folds_long_lists():
    assert "attn->sw0" in called("show", "mozart-nop-tree", "--channels")
    folded = called("show", "mesh-4x4")
    assert "--channels lists every channel" in folded
    assert folded.count("->") < 10


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("noptoolkit compare moz", "mozart-nop-tree"),
        pytest.param("noptoolkit schedule mesh-4x4 --on stdl", "stdlib-moe", marks=pytest.mark.long),
        pytest.param("noptoolkit plot mesh-4x4 --show cut", None, marks=pytest.mark.long),
        pytest.param("noptoolkit plot mesh-4x4 --show lay", "layouts", marks=pytest.mark.long),
    ],
)
def test_the_shell_completes_presets_and_names(words, expected):
    environment = os.environ | {
        "_NOPTOOLKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    line = "import sys; sys.argv = ['noptoolkit']; from noptoolkit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", line], env=environment, capture_output=True, text=True, check=False
    )
    assert (expected in done.stdout.split()) if expected else not done.stdout.strip()


def test_run_and_compare_take_a_batch():
    options = {"allocator": "contiguous", "routing": "shortest"}
    run = nop.run("mesh-4x4", "stdlib-moe", batch={"sequences": 64, "mode": "decode"}, **options)
    assert (run.given.batch.sequences, run.given.batch.mode) == (64, "decode")
    assert nop.run("mesh-4x4", "stdlib-moe", batch=8, **options).given.batch.sequences == 8
    result = nop.compare("mesh-4x4", "stdlib-moe", batch=nop.Batch(16), metrics=["links"], **options)
    assert result.runs[0].given.batch == nop.Batch(16)
    with pytest.raises(WorkloadError, match="3 sequences do not divide into 4 micro-batches"):
        nop.run("mesh-4x4", "stdlib-moe", batch=3)
    with pytest.raises(WorkloadError, match="batch='8': give a number of sequences"):
        nop.run("mesh-4x4", "stdlib-moe", batch="8")
    with pytest.raises(UnknownNameError, match=r"no field 'batch\.sequenses'; did you mean"):
        nop.run("mesh-4x4", "stdlib-moe", batch={"sequenses": 8})


def test_bandwidth_of_files_that_have_none_is_an_option(tmp_path):
    ring = tmp_path / "ring.dot"
    ring.write_text("graph { a -- b; b -- c; c -- a }")
    assert "1 GB/s for 3 links" in called("show", ring, "--bandwidth", "1 GB/s")
    with pytest.raises(FormatError, match="'nan'"):
        called("show", ring, "--bandwidth", "nan")
    called("convert", ring, tmp_path / "rc", "--bandwidth", "1 GB/s", "--place", "grid")
    assert (tmp_path / "rc").is_dir()
    for read in ("mesh-4x4", tmp_path / "rc"):  # each link has one: the option is read all the same
        with pytest.raises(FormatError, match="'nonsense'"):
            called("show", read, "--bandwidth", "nonsense")
        for wrong in ("-1 GB/s", "0 B/s"):
            with pytest.raises(FormatError, match=f"bandwidth '{wrong}': give one above 0"):
                called("show", read, "--bandwidth", wrong)
    own = tmp_path / "own.dot"
    own.write_text('graph { a -- b [bandwidth="2 GB/s"]; b -- c [bandwidth="2 GB/s"] }')
    with pytest.raises(FormatError, match="bandwidth '-1 GB/s': give one above 0"):
        called("show", own, "--bandwidth", "-1 GB/s")
    with pytest.raises(FormatError, match="'nonsense'"):
        called("show", "mesh-4x4", "--toml", "--bandwidth", "nonsense")


def test_an_attribute_that_holds_bandwidths_is_that_of_the_files_that_have_some(tmp_path):
    ring = tmp_path / "ring.dot"
    edges = "; ".join(f'{pair} [capacity="8"]' for pair in ("a -- b", "b -- c", "c -- a"))
    ring.write_text(f"graph {{ {edges} }}")
    words = ("compare", "mesh-4x4", ring, "--on", "stdlib-moe", "--metric", "total_bandwidth", "--bandwidth")
    assert "6 GB/s" in called(*words, "capacity Gbit/s")
    for wrong in ("capacity nonsense", "nonsense"):
        with pytest.raises(FormatError, match="nonsense"):
            called(*words, wrong)


def test_a_name_in_no_group_is_told_with_those_near(tmp_path):
    for word, near in (("nosuch", "known: experts, terminals"), ("experst", "'experts'"), ("e00", "'e0'")):
        with pytest.raises(UnknownNameError, match=f"'mesh-4x4' has no node or set '{word}'; .*{near}"):
            called("collective", "mesh-4x4", "--among", word)


@pytest.mark.parametrize(
    ("kind", "stages_needed"),
    [
        ("coactivation", {"allocation"}),
        ("load", {"allocation", "dispatch"}),
        ("multicast", {"allocation"}),
        ("utilisation", {"allocation", "plan"}),
    ],
)
def test_a_picture_computes_only_what_it_shows(kind, stages_needed, tmp_path, monkeypatch):
    runs = []
    drawn = PICTURES[kind]

    def draw(scene):
        runs.append(scene)
        return drawn(scene)

    monkeypatch.setitem(PICTURES, kind, draw)
    called("plot", "mesh-4x4", *QUICK, "--show", kind, "--picture", tmp_path / "a.png")
    assert set(runs[0].run.computed) == stages_needed


def test_one_token_takes_shortest_paths_if_no_routing_is_asked_for(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setitem(
        PICTURES, "multicast", lambda scene: taken.append(scene) or plot.topology(scene.package)
    )
    words = ("plot", "mesh-4x4", *QUICK[:4], "--show", "multicast", "--picture", tmp_path / "a.png")
    called(*words)
    called(*words, "--routing", "ecmp")
    assert [scene.options["routing"] for scene in taken] == ["shortest", "ecmp"]


def test_progress_in_a_file_is_told_now_and_then() -> None:
    told: list[str] = []
    for every, wanted in ((1e9, []), (0.0, ["a", "b"])):
        tell = now_and_then(told.append, every)
        tell("a")
        tell("b")
        assert told == wanted
