"""Draw docs/images/layers.svg: the rooms of noptoolkit in their layers, as tests/test_layers.py holds them.

Run ``python docs/layers_picture.py`` after a room or a layer is added.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 7.2, 10.5  # inches
INK, PAPER, FILL = "#1f2d3d", "#ffffff", "#e8eef5"


def lines_of(room: str) -> int:
    """Return the lines of code of a room: a folder or a file."""
    place = ROOT / "noptoolkit" / room
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files if path.exists())


def layers() -> list[list[tuple[str, int]]]:
    """Return the rooms that exist with their lines, from the lowest layer to the highest."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from test_layers import LAYERS

    shown = [[room for room in sorted(rooms) if not room.startswith("_")] for rooms in LAYERS]
    sized = [[(room, lines_of(room)) for room in rooms] for rooms in shown]
    return [[(room, lines) for room, lines in rooms if lines] for rooms in sized]


def draw() -> plt.Figure:
    """Draw a row per layer, a box per room; what is above may import what is below."""
    rows = [rooms for rooms in layers() if rooms]
    figure, ax = plt.subplots(figsize=(WIDTH, HEIGHT))
    ax.set(xlim=(0, 1), ylim=(-0.6, len(rows)))
    ax.axis("off")
    for y, rooms in enumerate(rows):
        slot = 0.96 / len(rooms)
        width = min(slot - 0.012, 0.3)
        for i, (room, lines) in enumerate(rooms):
            x = 0.02 + (i + 0.5) * slot
            style = "round,pad=0,rounding_size=0.012"
            box = FancyBboxPatch((x - width / 2, y + 0.1), width, 0.76, style, fc=FILL, ec=INK, lw=0.8)
            ax.add_patch(box)
            size = min(7.5, 620 * width / max(len(room), 8) / 1.25)
            ax.text(x, y + 0.56, room, ha="center", va="center", color=INK, fontsize=size, family="monospace")
            ax.text(x, y + 0.29, f"{lines:,} lines", ha="center", va="center", color=INK, fontsize=5.5)
    ax.text(0.5, -0.35, "a room imports from lower layers only", ha="center", color=INK, fontsize=7.5)
    return figure


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "layers"
    plt.rcParams["svg.fonttype"] = "none"
    target = ROOT / "docs" / "images" / "layers.svg"
    draw().savefig(target, bbox_inches="tight", metadata={"Date": None}, facecolor=PAPER)
    print(f"wrote {target.relative_to(ROOT)}")
