"""Files that are whole and new, or as they were."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import noptoolkit as nop
from noptoolkit.errors import FormatError
from noptoolkit.formats.results import file_in_place_of, replace_file
from noptoolkit.package import Package
from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph


@pytest.fixture(scope="module")
def package() -> Package:
    return nop.topology.mesh(2)


def test_what_a_link_points_to_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    old, link = tmp_path / "old.csv", tmp_path / "link.csv"
    old.write_text("old")
    old.chmod(0o640)
    link.symlink_to(old)
    replace_file(link, "new")
    assert link.is_symlink()
    assert old.read_text() == "new"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace_file(pipe, "new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    old = tmp_path / "old.csv"
    old.write_text("old")
    with (
        pytest.raises(FormatError, match=r"old\.csv: cannot be written: No space left"),
        file_in_place_of(old),
    ):
        raise OSError(28, "No space left on device")
    with pytest.raises(KeyboardInterrupt), file_in_place_of(old):
        raise KeyboardInterrupt
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_folders_and_endless_names_are_named_errors(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be written: Is a directory"):
        replace_file(tmp_path, "new")
    with pytest.raises(FormatError, match="cannot be written: File name too long"):
        replace_file(tmp_path / ("a" * 300), "new")


def _picture(package: Package, path: Path) -> None:
    plt.plot([0, 1])
    nop.plot.save(plt.gca(), path)
    plt.close()


def _trace(package: Package, path: Path) -> None:
    nop.save_trace(nop.RoutingTrace([[0, 1]], num_experts=4), path)


def _perfetto(package: Package, path: Path) -> None:
    tasks = TaskGraphBuilder()
    tasks.add(1.0, "pe")
    schedule_graph(tasks.build()).to_chrome_trace(path)


def _topology(package: Package, path: Path) -> None:
    nop.save_topology(package, path)


WRITERS: list[tuple[str, Callable[[Package, Path], None]]] = [
    ("a.svg", _picture),
    ("a.pdf", _picture),
    ("a.npz", _trace),
    ("a.trace.json", _perfetto),
    ("a.toml", _topology),
    ("a.anynet", _topology),
]


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=[name for name, _ in WRITERS])
def test_every_writer_leaves_the_old_file_where_it_fails(
    name: str,
    write: Callable[[Package, Path], None],
    package: Package,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = tmp_path / name
    old.write_text("old")

    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FormatError, match="cannot be written: No space left"):
        write(package, old)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]
    monkeypatch.undo()
    write(package, old)
    assert old.read_bytes() != b"old"


def test_a_configuration_that_is_there_stays(package: Package, tmp_path: Path) -> None:
    own = tmp_path / "mesh.cfg"
    own.write_text("mine")
    lost = nop.convert(package, tmp_path / "mesh.anynet").lost
    assert own.read_text() == "mine"
    assert lost[-1] == "the configuration: mesh.cfg was there and is left as it was"


def test_pictures_of_no_known_kind_are_refused(tmp_path: Path) -> None:
    plt.plot([0, 1])
    for name in ("picture", "picture.xyz"):
        with pytest.raises(FormatError, match=r"no picture format '(\.xyz)?'; use \.png, \.svg or \.pdf"):
            nop.plot.save(plt.gca(), tmp_path / name)
    plt.close()
