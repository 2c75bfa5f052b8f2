"""Sizes, fonts, units and files."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from noptoolkit import Package, plot
from noptoolkit.errors import UnknownNameError
from noptoolkit.flow import congestion
from noptoolkit.plot._style import QUANTITY_COLOURS, multiple_of
from noptoolkit.traffic import all_to_all


@pytest.mark.parametrize(("width", "inches"), [("column", 3.5), ("page", 7.16)])
def test_a_figure_has_the_width_of_the_paper(tree: Package, width: str, inches: float) -> None:
    with plot.style(width):
        ax = plot.topology(tree)
    assert ax.figure.get_figwidth() == pytest.approx(inches)


def test_the_style_ends_with_its_context() -> None:
    before = mpl.rcParams["font.size"]
    with plot.style("column"):
        assert mpl.rcParams["font.size"] == 7.0
    assert mpl.rcParams["font.size"] == before


def test_unknown_widths_are_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'column'"), plot.style("colunm"):
        pass


def test_given_axes_are_used(tree: Package) -> None:
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert plot.topology(tree, ax) is ax


def test_dark_is_more_in_grey_print_too() -> None:
    red, green, blue, _ = QUANTITY_COLOURS(np.linspace(0, 1, 64)).T
    grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(grey) < 0).all()


def test_the_multiple_suits_the_largest_value() -> None:
    factor, unit = multiple_of([1.5e-6, 3e-5], "s")
    assert (factor, unit) == (pytest.approx(1e6), "µs")
    assert multiple_of([0.0], "B") == (1.0, "B")
    assert multiple_of([], "B") == (1.0, "B")


@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_the_same_picture_gives_the_same_file(tree: Package, tmp_path: Path, ending: str) -> None:
    files = [plot.save(plot.topology(tree), tmp_path / f"{name}.{ending}") for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    if ending == "pdf":
        assert b"/FontFile2" in files[0].read_bytes() or b"/Type42" in files[0].read_bytes()


def test_notes_stay_inside_the_figure(tree: Package) -> None:
    for title in ("", "a title"):
        ax = plot.load(congestion(tree, all_to_all(tree, "1 MB")), title=title)
        figure = ax.figure
        figure.draw_without_rendering()
        texts = [text for text in (ax._left_title, *ax.texts) if "bottleneck" in text.get_text()]
        assert texts
        for text in texts:
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.y1 <= figure.bbox.height
