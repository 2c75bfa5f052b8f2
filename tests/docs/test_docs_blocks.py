"""Every block of code in the documentation runs, and every link within it leads somewhere.

A block of Python with ``>>>`` is a doctest; another is executed. The blocks of a page share their names and
run in order in an empty folder. A block of TOML is a topology or a workload file. A line of shell that
calls ``noptoolkit`` is run; the output in a console block is what its command prints. Above a block that
cannot run stands a comment ``<!-- not run: why -->``.
"""

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import noptoolkit as nop
from noptoolkit.search import load_search

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(
    r"^(?P<skip><!-- not run: .+ -->\n)?"
    r"```(?:(?P<lang>\w+)|\{(?P<directive>[\w-]+)\}[^\n]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
PAGES = sorted(
    page for page in DOCS.rglob("*.md") if not {"_build", "generated", "auto_gallery"} & set(page.parts)
)


class Block(NamedTuple):
    kind: str
    text: str
    line: int
    runs: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        kind, body = match["lang"] or match["directive"], match["body"]
        options = re.match(r"(?::[^\n]*\n)*", body)
        runs = match["skip"] is None and ":class: not-run" not in body
        line = text.count("\n", 0, match.start("body")) + 1
        found.append(Block(kind, body[options.end() if options else 0 :], line, runs))
    return found


LONG = ("concepts/any-package.md", "howto/losses.md", "howto/send-a-result.md", "howto/serve-a-model.md")
"""Pages whose blocks take longest: `make long` runs them."""


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(DOCS)) for page in pages]


def with_kind(*kinds: str) -> list[Path]:
    return [page for page in PAGES if any(block.kind in kinds for block in blocks(page))]


def to_run(*kinds: str) -> list[Any]:
    pages = with_kind(*kinds)
    return [
        pytest.param(page, marks=pytest.mark.long if name in LONG else (), id=name)
        for page, name in zip(pages, names(pages), strict=True)
    ]


def test_there_are_pages_and_blocks() -> None:
    assert len(PAGES) > 10
    assert sum(len(blocks(page)) for page in PAGES) > 30


@pytest.mark.parametrize("page", to_run("python", "picture"))
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    import noptoolkit.plot

    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {"__name__": page.stem, "nop": nop, "plot": noptoolkit.plot}
    for block in blocks(page):
        if block.kind not in ("python", "picture"):
            continue
        where = f"{page.name}, line {block.line}"
        if not block.runs:
            compile(block.text, where, "exec")
        elif ">>>" in block.text and "def " not in block.text.partition(">>>")[0]:
            test = doctest.DocTestParser().get_doctest(block.text, scope, where, str(page), block.line)
            told = io.StringIO()
            outcome = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.write, clear_globs=False)
            assert not outcome.failed, told.getvalue()
            scope.update(test.globs)
        else:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, where, "exec"), scope)
        plt.close("all")


@pytest.mark.parametrize("page", with_kind("toml"), ids=names(with_kind("toml")))
def test_toml_loads(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.kind == "toml" and block.runs:
            path = tmp_path / "block.toml"
            path.write_text(block.text, encoding="utf-8")
            if "[model]" in block.text:
                assert nop.load_workload(path).trace.num_tokens > 0
            elif "[space]" in block.text:
                assert nop.studies.load_study(path).space.size > 0
            elif "[class]" in block.text:
                assert len(load_search(path).within) > 1
            else:
                assert nop.load_topology(path).channels


@pytest.mark.parametrize("page", to_run("sh"))
def test_commands_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from noptoolkit.cli.application import app

    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        for line in block.text.splitlines() if block.kind == "sh" and block.runs else ():
            words = shlex.split(line, comments=True)
            if words and words[0] == "noptoolkit":
                result = CliRunner().invoke(app, words[1:])
                assert result.exit_code == 0, f"{page.name}: {line}: {result.output}{result.exception}"


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.partition("#")[0]
        if path and "://" not in path and not {"generated", "auto_gallery"} & set(Path(path).parts):
            assert (page.parent / path).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    missing = [page for page in names(PAGES) if page != "index.md" and page.removesuffix(".md") not in index]
    assert not missing


@pytest.mark.parametrize("page", with_kind("console"), ids=names(with_kind("console")))
def test_a_console_shows_what_is_printed(page: Path) -> None:
    from typer.testing import CliRunner

    from noptoolkit.cli.application import app

    for block in blocks(page):
        if block.kind != "console":
            continue
        command, *shown = block.text.splitlines()
        done = CliRunner().invoke(app, shlex.split(command)[2:], catch_exceptions=False)
        printed = [line.rstrip() for line in done.stdout.splitlines()]
        assert [line for line in printed if line] == [line.rstrip() for line in shown if line.strip()]
