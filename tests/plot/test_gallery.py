"""Every script of the gallery runs, is short, and leaves pictures behind."""

import runpy
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from noptoolkit.errors import NopWarning

SCRIPTS = sorted((Path(__file__).parents[2] / "gallery").glob("plot_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs_and_draws(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)  # a reader is told, the script is right
        runpy.run_path(str(script))
    assert plt.get_fignums()
    for number in plt.get_fignums():
        plt.figure(number).draw_without_rendering()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_one_short_idea(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"""'
    assert set(lines[2]) == {"="}
    assert len(lines[2]) == len(lines[1])
    assert len(lines) <= 48
