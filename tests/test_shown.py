"""Names from files where they are shown or become paths: nothing unseen, computed, or elsewhere."""

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit import Chiplet, Link, Package, load_topology, save_topology
from noptoolkit._shown import file_name, harmless_cell, visible, visible_json
from noptoolkit.cli import main
from noptoolkit.errors import NopError
from noptoolkit.formats.results import write_csv
from noptoolkit.tables import Table

EVIL = "\x1b]0;hacked\x07\x9b31m\u202ered\u2066"


def evil_package(name: str = EVIL) -> Package:
    nodes = [Chiplet(f"{EVIL}{i}", "expert", position=(i * 0.02, 0), size=(0.01, 0.01)) for i in range(2)]
    return Package(name, nodes, [Link(f"{EVIL}0", f"{EVIL}1", "8 GB/s")])


def unseen(text: str) -> list[str]:
    return [letter for letter in text if letter != "\n" and visible(letter) != letter]


@given(st.text(max_size=30))
def test_what_is_shown_is_seen(text: str) -> None:
    assert not unseen(visible(text))
    assert visible(visible(text)) == visible(text)
    assert json.loads(visible_json(json.dumps(text, ensure_ascii=False))) == text


@given(st.text(max_size=30), st.text(max_size=30))
def test_names_of_files_are_plain_and_their_own(one: str, other: str) -> None:
    plain = file_name(one)
    assert plain.isascii()
    assert all(letter.isalnum() or letter in "-_." for letter in plain)
    assert plain not in ("", ".", "..")
    assert not plain.startswith(("-", "."))
    assert len(plain) < 120
    assert (plain == file_name(other)) == (one == other)


def test_formulas_are_text_in_spreadsheets(tmp_path: Path) -> None:
    cells = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "-12.5", "+3e-7", "plain", 3.5]
    written = ["'=1+1", "'+cmd|' /C calc'!A0", "'-2+3", "'@SUM(1)", "'\\t=1", "-12.5", "+3e-7", "plain", 3.5]
    assert [harmless_cell(cell) for cell in cells] == written
    table = Table(["name"], [[cell] for cell in cells])
    assert [row[0] for row in csv.reader(io.StringIO(table.csv()))][1:] == [str(one) for one in written]
    write_csv(tmp_path / "a.csv", [{"=key": "=1+1", "b": 2}])
    assert (tmp_path / "a.csv").read_text() == "'=key,b\n'=1+1,2\n"


@pytest.mark.filterwarnings("ignore:Glyph")
def test_tables_pages_pictures_and_errors_show_nothing_unseen(tmp_path: Path) -> None:
    import noptoolkit.plot as draw

    table = Table(["name", EVIL], [[EVIL, 1]], title=EVIL, notes=(EVIL,))
    for text in (
        table.text(),
        table.html(),
        table.csv(),
        str(NopError(f"no node {EVIL}")),
        repr(evil_package()),
    ):
        assert not unseen(text)
    for suffix in (".svg", ".dot"):
        save_topology(evil_package(), tmp_path / f"p{suffix}")
    ElementTree.parse(tmp_path / "p.svg")
    assert not unseen((tmp_path / "p.svg").read_text())
    assert "label=" in (tmp_path / "p.dot").read_text()
    assert load_topology(tmp_path / "p.dot") == evil_package()
    draw.save(draw.topology(evil_package()), tmp_path / "drawn.svg")
    assert not unseen((tmp_path / "drawn.svg").read_text())


def test_the_screen_shows_nothing_unseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_topology(evil_package(), tmp_path / "p.toml")
    for more in ([], ["--channels"], ["--json"], ["--metrics"]):
        with pytest.raises(SystemExit) as left:
            main(["show", str(tmp_path / "p.toml"), *more])
        assert left.value.code == 0
        shown = capsys.readouterr()
        assert not unseen(shown.out + shown.err)
        assert "hacked" in shown.out


def test_names_with_slashes_stay_in_the_folder(tmp_path: Path) -> None:
    ring = load_topology("mesh-4x4")
    source, out = tmp_path / "p.toml", tmp_path / "a" / "b" / "out"
    save_topology(ring.replace(name="x/../../../evil"), source)
    with pytest.raises(SystemExit) as left:
        main(["plot", str(source), "-o", str(out)])
    assert left.value.code == 0
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path == Path("p.toml") or path.parts[:3] == ("a", "b", "out") for path in written)
    assert len(written) > 1
