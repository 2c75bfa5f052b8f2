"""Imports point down only, between rooms and inside them, and the light ones stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "noptoolkit"
LAYERS = [
    {"_interrupts", "_shown"},
    {"errors", "_arrays", "_pictures", "_moved", "_version", "progress"},
    {"limits"},
    {"units", "_names", "_numbers", "_digests", "_seeds", "_threads", "_highs", "_table_text", "hypergraph"},
    {"tables"},
    {"trace"},
    {"package", "synthetic", "touched", "moe_model"},
    {"workload_edits"},
    {"workload", "network"},
    {"topology", "allocation", "nodes", "structure"},
    {"traffic"},
    {"routing"},
    {"formats"},
    {"flow"},
    {"physical", "scheduling", "simulate"},
    {"collectives", "bounds"},
    {"step"},
    {"plans", "serving"},
    {"stages"},
    {"pipeline"},
    {"metrics", "whatif", "search"},
    {"study", "studies"},
    {"drawing"},
    {"plot", "report"},
    {"testing"},
    {"cli", "notebook"},
    {"__main__", "__init__"},
]
"""A room imports from lower layers only, never from its own layer."""

SUB_ROOMS = {
    "collectives": [
        {"exact"},
        {"values"},
        {"prices", "algorithms"},
        {"groups", "verification"},
        {"kinds"},
        {""},
    ],
    "flow": [{"bounds"}, {"optimal", "trees"}, {"verification", "widths"}, {""}],
    "testing": [{"oracles"}, {""}],
}
"""Layers of the folders inside a room; "" are the files of the room itself."""

LAYER_OF = {room: i for i, rooms in enumerate(LAYERS) for room in rooms}
FILES = sorted(path for path in ROOT.rglob("*.py") if "_data" not in path.parts)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(source: str) -> list[tuple[str, ...]]:
    """Return each imported module below noptoolkit as its parts; imports for type checkers do not count."""
    tree = ast.parse(source)
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: list[tuple[str, ...]] = []
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "write 'from noptoolkit...' instead of a relative import"
            parts = tuple((node.module or "").split("."))
            if parts[0] == "noptoolkit":
                found += [(*parts[1:], alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            dotted = [tuple(alias.name.split(".")) for alias in node.names]
            found += [parts[1:] for parts in dotted if parts[0] == "noptoolkit" and len(parts) > 1]
    return [parts if parts[0] in LAYER_OF else (PUBLIC.get(parts[0], "__init__"),) for parts in found]


def public_rooms() -> dict[str, str]:
    """Return the room of each name that noptoolkit itself offers."""
    import noptoolkit

    return {name: room for name, room in noptoolkit._ROOM_OF.items() if name not in LAYER_OF}


PUBLIC = public_rooms()


def faults_of(room: str, folder: str, source: str) -> list[str]:
    """Return what a file of a room (in one of its folders, "" for none) imports and must not."""
    faults = []
    for parts in imports_of(source):
        other = parts[0]
        if other == "__init__":
            if parts == ("__init__",) and room not in ("cli", "__main__"):
                faults.append("the top of the house")
            continue
        if other != room:
            if LAYER_OF[other] >= LAYER_OF[room]:
                faults.append(other)
        elif room in SUB_ROOMS:
            levels = {name: i for i, names in enumerate(SUB_ROOMS[room]) for name in names}
            target = parts[1] if len(parts) > 1 and parts[1] in levels else ""
            if target != folder and levels[target] >= levels[folder]:
                faults.append(".".join(parts))
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    assert room in LAYER_OF, f"{room} has no layer: give it one in docs/architecture.md and here"
    if room == "__init__":
        return
    inside = path.relative_to(ROOT).parts[1:-1]
    faults = faults_of(room, inside[0] if inside else "", path.read_text(encoding="utf-8"))
    assert not faults, f"{room} imports what is not below it: {sorted(set(faults))}"


@pytest.mark.parametrize(
    ("room", "folder", "line"),
    [
        ("topology", "", "from noptoolkit import congestion"),
        ("topology", "", "from noptoolkit.flow import congestion"),
        ("topology", "", "from noptoolkit.allocation import Allocation"),
        ("flow", "bounds", "from noptoolkit.flow.optimal.portfolio import route_best"),
        ("flow", "optimal", "from noptoolkit.flow.trees.packing import pack_trees"),
        ("flow", "trees", "from noptoolkit.flow.result import FlowResult"),
        ("routing", "", "    import noptoolkit.flow.evaluation"),
        ("scheduling", "", "def f():\n    from noptoolkit.step import Policy"),
        ("nodes", "", "import noptoolkit.plot"),
    ],
)
def test_an_import_that_points_up_is_seen(room: str, folder: str, line: str) -> None:
    assert faults_of(room, folder, line.removeprefix("    "))


def test_rooms_that_import_each_other_are_seen_in_every_folder() -> None:
    """Folders inside a room either have their layers in SUB_ROOMS, or import no other folder of it."""
    for path in FILES:
        room, inside = room_of(path), path.relative_to(ROOT).parts[1:-1]
        if inside:
            assert room in SUB_ROOMS, f"{room} has folders: give them layers in SUB_ROOMS"
            assert any(inside[0] in names for names in SUB_ROOMS[room]), f"{room}/{inside[0]} has no layer"


def test_import_is_light() -> None:
    heavy = ["scipy.optimize", "igraph", "matplotlib.pyplot", "numba", "highspy", "pydantic", "typer"]
    code = f"import sys, noptoolkit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_old_names_still_work_and_say_where_they_went() -> None:
    from noptoolkit import _moved

    for old, new in _moved.MODULES.items():
        code = f"import importlib; importlib.import_module('noptoolkit.{old}')"
        assert (ROOT / f"{new.replace('.', '/')}.py").exists() or (ROOT / new / "__init__.py").exists(), code
    with pytest.warns(DeprecationWarning, match="noptoolkit.flow.network is now noptoolkit.network"):
        import noptoolkit.flow.network as old_network
    from noptoolkit.network import FlowNetwork

    assert old_network.FlowNetwork is FlowNetwork
    for (room, name), home in _moved.ATTRIBUTES.items():
        with pytest.warns(DeprecationWarning, match=f"is now noptoolkit.{home}.{name}"):
            moved = _moved.attribute(f"noptoolkit.{room}", name)
        assert moved is getattr(__import__(f"noptoolkit.{home}", fromlist=[name]), name)
