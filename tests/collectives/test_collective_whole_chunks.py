"""Schedules in whole chunks: verified, a little slower, and written as XML that comes back."""

import numpy as np
import pytest
from collective_cases import grid, star
from typer.testing import CliRunner

from noptoolkit import topology
from noptoolkit.cli.application import app
from noptoolkit.collectives import collective
from noptoolkit.collectives.msccl import as_msccl
from noptoolkit.collectives.whole_chunks import in_whole_chunks
from noptoolkit.errors import RoutingError


@pytest.mark.parametrize(
    "kind", ["broadcast", "reduce", "all-gather", "reduce-scatter", "all-reduce", "all-to-all"]
)
def test_whole_chunks_are_verified(kind: str) -> None:
    best = collective(grid(3, 3), kind, 9.0)
    for chunks in (81, 810):
        whole = in_whole_chunks(best, chunks)
        assert whole.verify()
        assert whole.schedule is not None
        counts = whole.schedule.amount * chunks / 9.0
        assert np.allclose(counts, np.rint(counts))
        assert best.time <= whole.time * (1 + 1e-9)
        assert whole.time <= best.time * (1 + 81 / chunks)


def test_trees_of_a_linear_program_become_xml() -> None:
    package = topology.random_regular(16, 3, link_bandwidth="1 GB/s")
    best = collective(package, "all-reduce", "1 GB", among=package.experts[:7])
    whole = in_whole_chunks(best, 70)
    assert as_msccl(whole).startswith("<algo")
    assert whole.verify()


def test_bad_chunks_are_refused() -> None:
    best = collective(star(4), "all-gather", 4.0)
    with pytest.raises(RoutingError, match="take a multiple of 4"):
        in_whole_chunks(best, 6)
    for chunks in (0, -1, 1.5, True):
        with pytest.raises(RoutingError, match="whole number of chunks"):
            in_whole_chunks(best, chunks)  # type: ignore[arg-type]


def test_command_writes_whole_chunks(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "s.xml"
    asked = ["collective", "mesh-4x4", "--kind", "all-gather", "--bytes", "16 MB", "--whole-chunks", "64"]
    found = CliRunner().invoke(app, [*asked, "--schedule", str(file)])
    assert found.exit_code == 0, found.output
    assert file.read_text().startswith("<algo")
    assert "64 whole chunks take" in " ".join(found.output.split())
    assert CliRunner().invoke(app, asked).exit_code != 0
