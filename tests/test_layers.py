"""Imports point down only, and the light ones stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "noptoolkit"
LAYERS = [
    {"errors", "units", "text", "_names", "_pictures", "_seeds"},
    {
        "elements",
        "package",
        "_package_checks",
        "package_views",
        "hypergraph",
        "trace",
        "synthetic",
        "workload",
    },
    {"topology", "allocation", "nodes"},
    {"formats", "traffic"},
    {"flow"},
    {"scheduling", "simulate"},
    {"pipeline"},
    {"metrics", "physical"},
    {"study"},
    {"plot", "report"},
    {"cli", "notebook", "__main__", "__init__"},
]
LAYER_OF = {room: i for i, rooms in enumerate(LAYERS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: write 'from noptoolkit...' instead of a relative import")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("noptoolkit"):
            parts = (node.module or "").split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
            names = [parts[1] for parts in modules if parts[0] == "noptoolkit" and len(parts) > 1]
        else:
            continue
        rooms.update(name for name in names if name in LAYER_OF)
    return rooms


FILES = sorted(path for path in ROOT.rglob("*.py") if "_data" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    assert room in LAYER_OF, f"{room} has no layer: give it one in DESIGN's table and here"
    above = {other for other in imported_rooms(path) if LAYER_OF[other] > LAYER_OF[room]}
    assert not above, f"{room} imports from above: {sorted(above)}"


def test_import_is_light() -> None:
    heavy = ["scipy.optimize", "igraph", "matplotlib.pyplot", "numba", "highspy", "pydantic", "typer"]
    code = f"import sys, noptoolkit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
