"""The page as a file: what it says, that it asks for nothing, that names stay text."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_report import HOSTILE, hostile_page

import noptoolkit as nop
from noptoolkit.flow.carried import carried
from noptoolkit.report import page_of, write_report
from noptoolkit.report.charts import bars
from noptoolkit.report.escaping import visible
from noptoolkit.report.table_html import table_html
from noptoolkit.study import Comparison
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity


class Parts(HTMLParser):
    """Tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def parts(page: Path) -> Parts:
    return Parts(page.read_text(encoding="utf-8"))


def test_it_asks_for_nothing(parts: Parts) -> None:
    policy = next(attrs["content"] for tag, attrs in parts.tags if attrs.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "script-src 'sha256-" in policy
    for tag, attrs in parts.tags:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base", "form"), tag
        assert "src" not in attrs, attrs
        assert attrs.get("href", "#").startswith("#"), attrs
        assert not [name for name in attrs if name.startswith("on")], attrs


def test_figures_are_those_of_the_comparison(parts: Parts, result: Comparison) -> None:
    for row in result.table().cells()[1]:
        for cell in row:
            assert visible(cell) in parts.text
    values = {attrs["data-v"] for _, attrs in parts.tags if "data-v" in attrs}
    for row in result.rows:
        assert repr(row["step"]) in values


def test_sentences_carry_the_numbers(parts: Parts, result: Comparison) -> None:
    times = sorted(run.plan.makespan for run in result.runs)
    from noptoolkit.units import format_quantity

    assert f"The step takes {format_quantity(times[0], 's', 4)} on" in parts.text
    assert "synthetic routing" in parts.text or result.runs[0].given.origin == "recorded"


def test_provenance_and_reproduction(parts: Parts, result: Comparison) -> None:
    for run in result.runs:
        assert run.package.digest() in parts.text
        assert run.given.digest() in parts.text
        for text in run.package.assumed:
            assert text in parts.text
    assert nop.__version__ in parts.text


def test_every_chart_has_a_table_and_words(result: Comparison) -> None:
    charts = page_of(result).charts
    assert charts
    for chart in charts:
        assert chart.words, chart.key
        assert chart.table is not None, chart.key


def test_names_are_text(tmp_path: Path) -> None:
    hostile_page(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    bare = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert "<script>" not in bare
    assert "onerror=alert" not in re.sub(r'"[^"]*"|>[^<]*<', "", bare)
    for letter in ("\u202e", "\u200f", "\x07"):
        assert letter not in text
    found = Parts(text)
    assert not [tag for tag, _ in found.tags if tag in ("img", "b", "i")]
    assert HOSTILE[0] in found.text
    scripts = [
        tag for tag, attrs in found.tags if tag == "script" and attrs.get("type") != "application/json"
    ]
    assert len(scripts) == text.count("&#39;sha256-")


def test_parts_of_senders_add_up_to_the_load() -> None:
    mesh = nop.topology.mesh(3, link_bandwidth="1 GB/s")
    for routing in ("dor", "ecmp", "shortest", "optimal"):
        flow = nop.congestion(mesh, nop.traffic.all_to_all(mesh, "1 MB"), routing=routing)
        found = carried(flow)
        assert found is not None
        np.testing.assert_allclose(found.by_sender.sum(axis=0), flow.load, rtol=1e-6)
        np.testing.assert_allclose(found.by_receiver.sum(axis=0), flow.load, rtol=1e-6)
        last = [i for i, channel in enumerate(mesh.channels) if channel.head == "e4"]
        entering = found.by_receiver[mesh.index["e4"], last].sum()
        assert entering == pytest.approx(8e6)


def test_copies_count_once_for_the_sender(result: Comparison) -> None:
    for run in result.runs:
        found = carried(run.dispatch)
        assert found is not None
        np.testing.assert_allclose(found.by_sender.sum(axis=0), run.dispatch.load, rtol=1e-9, atol=1e-6)
        assert (found.by_receiver <= run.dispatch.load * (1 + 1e-9) + 1e-6).all()
        back = carried(run.combine)
        assert back is not None
        np.testing.assert_allclose(back.by_receiver.sum(axis=0), run.combine.load, rtol=1e-9, atol=1e-6)


def views_of(result: object) -> dict[str, dict[str, object]]:
    """Return the views of the map of a result's page, of all packages."""
    runs = page_of(result).data["map"]["runs"]
    return {f"{run['p']} {name}": view for run in runs for name, view in run["views"].items()}


def test_simulations_are_on_the_map() -> None:
    from noptoolkit.simulate import Sampling, check, latency_curve

    mesh = nop.topology.mesh(2)
    curve = latency_curve(mesh, "uniform", [0.2, 0.4], sampling=Sampling(period=100))
    shown = views_of(curve)
    assert list(shown) == ["0 load 0.2", "0 load 0.4"]
    for run, view in zip(curve.runs, shown.values(), strict=True):
        np.testing.assert_allclose(view["used"], run.utilisation, rtol=1e-6)  # type: ignore[arg-type]
        np.testing.assert_allclose(view["load"], run.flits * run.flit_bytes, rtol=1e-6)  # type: ignore[arg-type]
        assert run.busiest in view["ties"]  # type: ignore[operator]
    both = check(nop.congestion(mesh, nop.traffic.all_to_all(mesh, "4 kB"), routing="dor"))
    assert [view["kind"] for view in views_of(both).values()] == ["flow", "simulation"]


def test_an_upgrade_shows_both_packages_on_one_scale() -> None:
    from bokeh.document import Document
    from bokeh.models import ColumnDataSource

    mesh = nop.topology.mesh(2, link_bandwidth="1 GB/s")
    flow = nop.congestion(mesh, nop.traffic.all_to_all(mesh, "1 MB"))
    found = flow.upgrade("d2d", to="2 GB/s")
    shown = views_of(found)
    assert list(shown) == ["0 all-to-all", "1 all-to-all"]
    assert shown["1 all-to-all"]["time"] == found.after.time == pytest.approx(flow.time / 2)
    page = page_of(found)
    assert [one["name"] for one in page.data["map"]["packages"]] == ["mesh-2x2", "mesh-2x2, changed"]
    (chart,) = page.charts
    sources = Document.from_json(chart.item["doc"]).select({"type": ColumnDataSource})
    line = next(one.data for one in sources if len(one.data["x"]) > 50)
    half = len(line["x"]) // 2
    straight = line["y"][0] + (line["y"][-1] - line["y"][0]) * half / (len(line["x"]) - 1)
    assert line["y"][half] < 0.8 * straight  # 1 / time is what is linear


@pytest.mark.parametrize(
    ("title", "caption"),
    [
        ("FlowResult(all-to-all on 'ring': 3 us)", "Flow result: all-to-all on &#x27;ring&#x27;: 3 us"),
        ("Planning(a (b))", "Planning: a (b)"),
        ("loads (of links)", "loads (of links)"),
    ],
)
def test_captions_are_words(title: str, caption: str) -> None:
    assert f"<caption>{caption}</caption>" in str(table_html(Table(["a"], [[1]], title=title)))


@pytest.mark.parametrize("names", [("one", "two"), ("a long name " * 5, "a longer name " * 5)])
def test_bars_leave_nothing_out(names: tuple[str, str]) -> None:
    """More parts than colours: the least are one; long names stand beside bars that lie."""
    from bokeh.document import Document
    from bokeh.models import ColumnDataSource, FactorRange

    parts = {f"part {i}": [i + 1.0, 10.0 - i] for i in range(10)}
    chart = bars("key", "", "", names, parts, y=Column("time"), table=Table(["a"], []))
    document = Document.from_json(chart.item["doc"])
    (names_of,) = document.select({"type": FactorRange})
    assert sorted(names_of.factors) == sorted(names)
    stacks = {tuple(sorted(one.data)): one.data for one in document.select({"type": ColumnDataSource})}
    (stack,) = stacks.values()
    values = [value for key, value in stack.items() if key != "name"]
    assert len(values) == 7
    assert np.sum(values, axis=0) == pytest.approx([55.0, 55.0])
    assert chart.height == 260 if names == ("one", "two") else chart.height > 60


def test_a_plan_tells_each_chiplet_its_rank() -> None:
    from noptoolkit.plans import plan_step

    mesh = nop.topology.mesh(2, memory=True, flops="74 TFLOP/s")
    step = plan_step("TP2 PP2", nop.load_workload("gpt-oss-20b"), mesh)
    (view,) = views_of(step).values()
    facts = [dict(facts) for facts in view["facts"]]  # type: ignore[attr-defined]
    assert [one.get("rank") for one in facts][:4] == ["0", "1", "2", "3"]
    assert max(view["mean"]) == pytest.approx(step.busy.max() / step.time, rel=1e-6)  # type: ignore[call-overload]


def test_each_package_has_its_traffic_and_like_ones_share(result: Comparison) -> None:
    charts = {chart.group: chart for chart in page_of(result).charts if chart.key.startswith("traffic")}
    names = [run.package.name for run in result.runs]
    assert {group[-1] for group in charts} in ({", ".join(names)}, set(names))
    one = nop.compare(["ring-16", "mesh-4x4"], "stdlib-moe", allocator="contiguous", metrics=["uniform"],
                      routing="shortest")  # fmt: skip
    (chart,) = [chart for chart in page_of(one).charts if chart.key.startswith("traffic")]
    assert chart.group == ("uniform", "ring-16, mesh-4x4")


def test_a_result_without_workload_is_said_to_be_of_one(result: Comparison) -> None:
    flow = result.runs[0].dispatch
    page = page_of([flow, result.runs[0].given])
    assert page.title == f"{result.runs[0].given.name} on {flow.package.name}"


def test_beside_a_change_the_step_is_that_of_today(result: Comparison) -> None:
    """The page of a changed link has the step before and after, and says which is which."""
    from noptoolkit.whatif import StepUpgrade

    run, other = result.runs[0], result.runs[1]
    found = StepUpgrade("e0->e1 at 1 TB/s", None, run.plan, other.plan)
    before, after = (format_quantity(plan.makespan, "s", 4) for plan in (run.plan, other.plan))
    lines = page_of([found, run]).sections[0].blocks[0].value
    assert lines[0].startswith(
        f"With e0->e1 at 1 TB/s, the step of stdlib-moe takes {after} instead of {before}"
    )
    assert lines[1].startswith("As the package is today, the step of stdlib-moe on mesh-2x2 takes " + before)
    assert page_of(run).sections[0].blocks[0].value[0].startswith("The step of stdlib-moe")


@pytest.mark.parametrize(("rate", "said"), [(1e-3, "the server keeps up: "), (1e9, "does not keep up: ")])
def test_a_stream_says_whether_the_server_keeps_up(rate: float, said: str) -> None:
    from noptoolkit.serving import Requests, StepTimes, Stream, simulate_requests, stationary

    times = StepTimes((0, 4), (1,), (0, 64), np.full((2, 1, 2), 1e-3))
    asked = Requests(rate, 64, 8)
    options: dict[str, Any] = {"most": 4, "chunk": 64}
    estimate = stationary(times, asked, **options)
    stream = Stream(asked, 4, 64, estimate, simulate_requests(times, asked, count=20, **options))
    (line,) = page_of(stream).sections[0].blocks[0].value
    assert said in line
    assert stream.stable == ("keeps up" in line)
    assert bool(stream.tables()[1].notes) == (not stream.stable)


def test_wide_tables_of_few_rows_are_turned_for_paper() -> None:
    from noptoolkit.report.table_html import table_html

    columns = [f"c{i}" for i in range(12)]
    rows = [[i * j for i in range(12)] for j in range(2)]
    text = str(table_html(Table(columns, rows)))
    assert text.count("<table") == 2
    turned = text[text.index('<table class="paper">') :]
    assert '<tr><th scope="row">c11</th><td data-v="0">0</td><td data-v="11">11</td></tr>' in turned
    assert str(table_html(Table(columns[:4], [row[:4] for row in rows]))).count("<table") == 1
    assert str(table_html(Table(columns, rows * 9))).count("<table") == 1


def test_a_long_schedule_says_what_it_merges(result: Comparison) -> None:
    from noptoolkit.report.gantt import gantt

    plan = result.runs[0].plan
    assert "one bar" not in gantt(plan, "g").title
    fewer = gantt(plan, "g", most=50)
    assert "neighbours of one kind on one row" in fewer.title


def test_a_value_without_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(nop.errors.NopError, match="int has no page"):
        write_report(3, tmp_path / "x.html")


def test_without_the_extra_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(nop.errors.NopError, match=r"noptoolkit\[report\]"):
        write_report(Table(["a"], [["b"]]), tmp_path / "x.html")


QUICK = ("--on", "stdlib-moe", "--allocator", "contiguous", "--routing", "shortest")

PLAN = ("plan", "gpt-oss-20b", "--package", "dgx-h100-64", "--keep", "2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "mesh-4x4", *QUICK, "--metric", "links"), "Settings, seeds and digests"),
        pytest.param(("schedule", "mesh-4x4", *QUICK), "critical path outlined", marks=pytest.mark.long),
        (
            ("collective", "mesh-4x4", "--kind", "all-gather", "--bytes", "1 MB"),
            "The best algorithm of today here",
        ),
        (
            ("what-if", "mesh-4x4", *QUICK, "--of", "dispatch", "--rungs", "2"),
            "a point where the next resource",
        ),
        pytest.param(PLAN, "The best plan is", marks=pytest.mark.long),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_commands_write_their_page(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from noptoolkit.cli.application import app

    path = tmp_path / "new" / "page.html"
    done = CliRunner().invoke(app, [*words, "--report", str(path)])
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    assert said in path.read_text(encoding="utf-8")


def test_a_study_has_a_page(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from noptoolkit import studies
    from noptoolkit.cli.application import app

    space = studies.Space({"package": ["mesh-4x4", "torus-4x4", "ring-16"], "workload": "stdlib-moe"})
    with studies.Store(tmp_path / "study.db") as store:
        for _ in studies.sweep(space, ["links", "total_bandwidth"], store=store, study="nets"):
            pass
    done = CliRunner().invoke(app, ["report", str(tmp_path / "study.db")])
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    text = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "Lowest links: 26 with" in text
    assert 'data-item="points"' in text
