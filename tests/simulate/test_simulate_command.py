"""What ``noptoolkit simulate`` refuses before it runs anything."""

import pytest

from noptoolkit import topology
from noptoolkit.cli import main
from noptoolkit.errors import WorkloadError
from noptoolkit.report.parts import Parts
from noptoolkit.report.simulated_results import add_simulation
from noptoolkit.simulate import Bursts, Sampling, latency_curve, repeat, simulate
from noptoolkit.tables import Missing


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--allocator", "mozart"), "only counts with --on"),
        (("--threads", "2"), "only counts with --sweep"),
        (("--routing", "optimal"), "depends on the traffic; a router can follow shortest, ecmp"),
        (("--routing", "adaptiv"), "did you mean 'adaptive'"),
        (("--rate", "1e-320"), "so small a load never sends a packet"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    words: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", "mesh-4x4", "--rate", "0.2", *words])
    assert stopped.value.code
    assert said in capsys.readouterr().err


def test_a_load_too_small_to_see_is_no_number_anywhere() -> None:
    ring, quick = topology.ring(4), Sampling(period=20)
    with pytest.raises(WorkloadError, match="so small a load never sends a packet"):
        simulate(ring, "uniform", rate=1e-20, bursts=Bursts())
    with pytest.raises(WorkloadError, match="so small a load never sends a packet"):
        latency_curve(ring, "uniform", [0.1, 1e-17])
    with pytest.raises(WorkloadError, match="seed 0: no packets measured"):
        repeat(ring, "uniform", 1e-12, sampling=quick)
    curve = latency_curve(ring, "uniform", [1e-12], sampling=quick)
    run = curve.runs[0]
    assert "no packets measured at 1e-12" in repr(run)
    for text in (str(run.table()), str(curve.table())):
        assert "nan" not in text
    known = {row[0]: row[1] for row in run.table().rows}
    assert all(isinstance(known[name], Missing) for name in ("mean latency", "median", "fairness"))
    assert [type(cell) for cell in curve.table().rows[0][2:6]] == [Missing] * 4
    parts = Parts()
    add_simulation(run, parts)
    assert "no packets to measure" in parts.sentences[0]
