"""The pages build without a warning: references resolve, generated pages follow the code.

Pictures and scripts of the gallery are left out here: they have tests of their own.
"""

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
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
    shown = "".join(path.read_text("utf-8") for path in (tmp_path / "docs/generated/model").glob("*.rst"))
    silent = [name for name in modules_with_a_model() if f".. automodule:: {name}\n" not in shown]
    assert not silent, "the model reference leaves out what these modules say"


def modules_with_a_model() -> list[str]:
    """Return the modules whose docstring has more than a line, of the rooms that have one, at any depth."""
    other = {"plot", "drawing", "report", "notebook", "errors", "cli", "testing", "__main__"}
    found = []
    for path in sorted((ROOT / "noptoolkit").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        if "\n\n" in said and len(parts) > 1 and not any(p.startswith("_") or p in other for p in parts[1:]):
            found.append(".".join(parts))
    return found
