"""No command writes over a file that it reads, and reading a store makes none."""

from pathlib import Path

import pytest
from typer.core import TyperCommand
from typer.testing import CliRunner

import noptoolkit as nop
from noptoolkit.allocation import Allocation
from noptoolkit.cli.application import app
from noptoolkit.errors import FormatError
from noptoolkit.formats.allocations import save_allocation
from noptoolkit.formats.results import files_kept, replace_file


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "ring.toml"
    path.write_text('schema = 1\nname = "ring"\nbuilder = "ring"\n[params]\ncount = 4\nflops = "1 TFLOP/s"\n')
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "{file}", "{file}"),
        ("convert", "{file}", "{link}"),
        ("compare", "{file}", "--on", "stdlib-moe", "--metric", "links", "--report", "{file}"),
        ("plot", "topology", "{file}", "--picture", "{file}"),
    ],
    ids=lambda words: words[0],
)
def test_a_file_that_is_read_is_not_written(words: tuple[str, ...], topology: Path, tmp_path: Path) -> None:
    before, link = topology.read_bytes(), tmp_path / "link.toml"
    link.symlink_to(topology)
    given = [word.format(file=topology, link=link) for word in words]
    found = CliRunner().invoke(app, given)
    assert isinstance(found.exception, FormatError)
    assert "is read by this command" in str(found.exception)
    assert topology.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "mesh-4x4", "--on", "stdlib-moe", "--report", "{folder}"),
        ("compare", "mesh-4x4", "--on", "stdlib-moe", "--report", "{file}/page.html"),
        ("plan", "stdlib-moe", "--package", "mesh-4x4", "-o", "{file}"),
        ("plan", "stdlib-moe", "--package", "mesh-4x4", "-o", "{file}/new/out"),
        ("serve", "mesh-4x4", "--on", "stdlib-moe", "-o", "{file}"),
        ("collective", "mesh-4x4", "--schedule", "{folder}"),
        ("collective", "mesh-4x4", "-o", "{file}/schedule.json"),
        ("allocate", "stdlib-moe", "--on", "mesh-4x4", "--pictures", "{file}"),
        ("plot", "mesh-4x4", "--picture", "{folder}"),
        ("search", "{file}", "-o", "{folder}"),
        ("search", "{file}", "-o", "{folder}/no/best.toml"),
        ("results", "{file}", "--export", "{folder}"),
        ("results", "{file}", "--export", "{folder}/no/rows.csv"),
        ("report", "{file}", "-o", "{folder}"),
    ],
    ids=lambda words: f"{words[0]} {' '.join(words[-2:])}",
)
def test_a_place_to_write_to_is_looked_at_before_anything_is_done(
    words: tuple[str, ...], topology: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TyperCommand, "invoke", lambda *_: pytest.fail("the command was run"))
    folder = tmp_path / "folder"
    folder.mkdir()
    given = [word.format(file=topology, folder=folder) for word in words]
    found = CliRunner().invoke(app, given)
    assert isinstance(found.exception, FormatError), found.output
    assert str(found.exception).startswith(f"{given[-1]}: cannot be written: ")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["page.html", "new/folder/page.html", "old.html"])
def test_a_place_that_can_be_made_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    words = ["compare", "mesh-4x4", "--on", "stdlib-moe", "--metric", "links", "--report"]
    found = CliRunner().invoke(app, [*words, str(tmp_path / name)])
    assert found.exception is None
    assert "mesh-4x4" in (tmp_path / name).read_text()


def test_what_a_folder_is_given_spares_the_files_that_are_read(tmp_path: Path) -> None:
    read, other = tmp_path / "read.csv", tmp_path / "other.csv"
    read.write_text("1")
    with files_kept([read]):
        replace_file(other, "2")
        with pytest.raises(FormatError, match="reads that file"):
            replace_file(read, "2")
    assert (read.read_text(), other.read_text()) == ("1", "2")
    replace_file(read, "2")


def test_a_file_that_exists_and_is_not_read_is_replaced(topology: Path, tmp_path: Path) -> None:
    target = tmp_path / "old.json"
    target.write_text("old")
    found = CliRunner().invoke(app, ["convert", str(topology), str(target)])
    assert found.exception is None
    assert "ring" in target.read_text()


@pytest.mark.parametrize("words", [("results",), ("report",)], ids=lambda words: words[0])
def test_reading_an_empty_store_makes_none(words: tuple[str, ...], tmp_path: Path) -> None:
    store = tmp_path / "empty.db"
    store.touch()
    found = CliRunner().invoke(app, [*words, str(store)])
    assert "empty, and no store of studies" in str(found.exception)
    assert store.read_bytes() == b""


def test_a_layout_of_another_package_is_told_by_its_file(tmp_path: Path) -> None:
    layout = tmp_path / "of the mesh.json"
    trace = nop.load_workload("stdlib-moe").trace
    save_allocation(layout, nop.allocate(trace, nop.load_topology("mesh-4x4"), method="contiguous"))
    for command in ("schedule", "compare"):
        further = ["hexamesh-19", "--on", "stdlib-moe", "--allocation", str(layout)]
        found = CliRunner().invoke(app, [command, *further])
        assert "of the mesh.json: the allocation is for 16 chiplets" in str(found.exception)


@pytest.mark.parametrize("command", ["schedule", "compare", "plot", "simulate"])
def test_a_layout_of_another_model_is_told_by_its_file(command: str, tmp_path: Path) -> None:
    layout = tmp_path / "of twelve.toml"
    package = nop.load_topology("mesh-4x4")
    save_allocation(layout, Allocation(package.experts, list(range(12))))
    words = [command, "mesh-4x4", "--on", "stdlib-moe", "--allocation", str(layout)]
    if command == "plot":
        words += ["--show", "layout", "-o", str(tmp_path)]
    said = str(CliRunner().invoke(app, words).exception)
    assert "of twelve.toml: the layout places 12 experts, stdlib-moe has 64; " in said
    assert "leave out --allocation" in said
