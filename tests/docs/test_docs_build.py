"""The pages build without a warning: references resolve, generated pages follow the code.

Pictures and scripts of the gallery are left out here: they have tests of their own.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    importlib.util.find_spec("sphinx_gallery") is None,
    reason="sphinx is not installed: pip install '.[docs]'",
)
def test_pages_build_without_a_warning(tmp_path: Path) -> None:
    made = shutil.ignore_patterns("_build", "generated", "auto_gallery", "__pycache__")
    for folder in ("docs", "gallery", "benchmarks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=made)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dummy"]
    switches = ["-D", "plot_gallery=0", "-D", "draw_pictures=0"]
    built = subprocess.run(
        [*command, *switches, "docs", "pages"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
