"""One look for every picture: sizes of paper figures, colours that survive colour blindness and grey print.

Categories use the palette of Okabe and Ito (Color Universal Design, 2008); quantities use a stretch of
matplotlib's magma, light to dark, whose lightness falls evenly, so that darker is more in grey print too.
Fonts are the DejaVu Sans that matplotlib ships; PDF and PS embed them as TrueType, SVG as outlines, so a
picture looks the same on every machine.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, cast

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.container import Container
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerBase
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from noptoolkit._names import resolve
from noptoolkit.drawing.colours import INK, MARK, MUTED, OKABE_ITO, PALE, quantity_ramp
from noptoolkit.trace import ORIGINS, Origin
from noptoolkit.units import format_quantity, parse_quantity

__all__ = [
    "EMBEDDED_FONTS",
    "INK",
    "MARK",
    "MUTED",
    "OKABE_ITO",
    "PALE",
    "QUANTITY_COLOURS",
    "axes_points",
    "canvas",
    "canvas_grid",
    "figure_of",
    "figure_width",
    "heading",
    "legend_below",
    "multiple_of",
    "origin_note",
    "plain_numbers",
    "quantity",
    "small_type",
    "style",
    "with_unit",
]

Width = Literal["column", "page"]

EMBEDDED_FONTS = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "noptoolkit",
}
"""How files hold letters, and ids that are the same each time."""

QUANTITY_COLOURS = ListedColormap(quantity_ramp(), name="noptoolkit quantity")

WIDTHS: dict[str, float] = {"column": 3.5, "page": 7.16}  # inches: IEEE's one and two columns
FONT_SIZES: dict[str, float] = {"column": 7.0, "page": 8.0}

_active: ContextVar[bool] = ContextVar("noptoolkit_style_active", default=False)


@contextlib.contextmanager
def style(width: Width = "page") -> Iterator[None]:
    """Draw and save pictures for a paper: a context manager.

    Parameters
    ----------
    width
        ``column`` for a figure of one column (3.5 in), ``page`` for both columns (7.16 in).

    Raises
    ------
    UnknownNameError
        If there is no such width.

    Examples
    --------
    >>> import matplotlib
    >>> with style("column"):
    ...     matplotlib.rcParams["figure.figsize"][0], matplotlib.rcParams["pdf.fonttype"]
    (3.5, 42)
    """
    inches = resolve(width, WIDTHS, "figure width") if isinstance(width, str) else float(width)
    size = FONT_SIZES.get(width, FONT_SIZES["page"])
    with mpl.rc_context(cast(Any, _parameters(inches, size))):
        token = _active.set(True)
        try:
            yield
        finally:
            _active.reset(token)


def _parameters(inches: float, size: float) -> dict[str, Any]:
    return {
        "figure.figsize": (inches, 0.62 * inches),
        "figure.dpi": 150,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "savefig.dpi": 300,
        "savefig.facecolor": "white",
        "font.family": "DejaVu Sans",
        "font.size": size,
        "axes.titlesize": size + 1,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": size,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=list(OKABE_ITO.values())),
        "axes.grid": False,
        "grid.color": PALE,
        "grid.linewidth": 0.5,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "legend.fontsize": size - 1,
        "legend.frameon": False,
        "legend.handlelength": 1.4,
        "legend.columnspacing": 1.2,
        "lines.linewidth": 1.2,
        "patch.linewidth": 0.6,
        "hatch.linewidth": 0.5,
        "text.color": INK,
        **EMBEDDED_FONTS,
        "text.parse_math": False,
        "image.cmap": "magma_r",
    }


@contextlib.contextmanager
def canvas(ax: Axes | None, aspect: float) -> Iterator[Axes]:
    """Yield ``ax``, or axes on a new figure of the active style's width, ``aspect`` times as high.

    A new figure is drawn in ``style("page")`` unless the caller has chosen a style.
    """
    if ax is not None:
        yield ax
        return
    with canvas_grid(None, 1, [aspect]) as grid:
        yield grid[0]


@contextlib.contextmanager
def canvas_grid(
    axes: Sequence[Axes] | None, columns: int, aspects: Sequence[float], extra: float = 0.0
) -> Iterator[list[Axes]]:
    """Yield ``axes``, or a grid of them on a new figure, row by row; see `canvas`.

    ``aspects`` are the heights of the rows and ``extra`` that of what is under them, in figure widths.
    """
    if axes is not None:
        yield list(np.ravel(np.asarray(axes, dtype=object)))
        return
    import matplotlib.pyplot as plt

    with contextlib.nullcontext() if _active.get() else style("page"):
        width = float(mpl.rcParams["figure.figsize"][0])
        height = width * (sum(aspects) + extra)
        _, grid = plt.subplots(
            len(aspects), columns, figsize=(width, height), height_ratios=aspects, squeeze=False
        )
        yield list(grid.ravel())


def figure_width() -> float:
    """Return the width in inches that a new figure has."""
    return float(mpl.rcParams["figure.figsize"][0]) if _active.get() else WIDTHS["page"]


def figure_of(ax: Axes) -> Figure:
    """Return the figure that holds the axes, also where they sit in a subfigure."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def multiple_of(values: ArrayLike, unit: str) -> tuple[float, str]:
    """Return the SI multiple of ``unit`` that suits the largest of values: the factor to it, and its name.

    Examples
    --------
    >>> multiple_of([64e9, 128e9], "B/s")
    (1e-09, 'GB/s')
    >>> multiple_of([0.5], "")
    (1.0, '')
    """
    peak = float(np.nanmax(np.abs(np.asarray(values, dtype=float)), initial=0.0))
    if not unit or peak == 0.0:
        return 1.0, unit
    multiple = format_quantity(peak, unit).split()[-1]
    return 1.0 / parse_quantity(f"1 {multiple}", unit), _printed(multiple)


def quantity(value: float, unit: str) -> str:
    """Return a value with its unit as pictures write it.

    Examples
    --------
    >>> quantity(1.25e-5, "s")
    '12.5 µs'
    """
    number, multiple = format_quantity(value, unit).split()
    return f"{number} {_printed(multiple)}"


def _printed(multiple: str) -> str:
    return "µ" + multiple[1:] if multiple.startswith("u") else multiple


def with_unit(label: str, unit: str) -> str:
    """Return an axis label with its unit in brackets, without brackets where there is none."""
    return f"{label} ({unit})" if unit else label


def heading(ax: Axes, title: str, notes: Sequence[str] = (), marks: Sequence[str] = ()) -> None:
    """Put a title over the axes; in small type under it what the reader must know, and what is marked.

    Lines are wrapped to the width of the axes: a long one must not push its neighbours aside.
    """
    small = small_type()
    width = axes_points(ax)[0]
    letters = max(int(width / (0.56 * small)), 12)
    lines = [(text, MUTED) for note in notes for text in textwrap.wrap(note, letters)]
    lines += [(text, MARK) for mark in marks for text in textwrap.wrap(mark, letters)]
    if not title:  # small type alone: as the title, so that room is left for it
        said = "\n".join(text for text, _ in lines)
        ax.set_title(said, pad=5.0, fontsize=small, fontweight="normal", color=MUTED)
        return
    for i, (text, colour) in enumerate(reversed(lines)):
        ax.annotate(
            text,
            (0.0, 1.0),
            (0.0, 4.0 + 1.3 * small * i),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=small,
            color=colour,
            annotation_clip=False,
        ).set_in_layout(False)
    wrapped = textwrap.fill(title, max(int(width / (0.64 * (small + 2))), 8))
    ax.set_title(wrapped, pad=5.0 + 1.3 * small * len(lines))


def origin_note(name: str, origin: str) -> str:
    """Return the note of a result: what it is of, and whether its routing is synthetic."""
    said = "" if origin in ("", "recorded") else ORIGINS[cast(Origin, origin)]
    return ", ".join(part for part in (name, said) if part)


def small_type() -> float:
    """Return the size in points of ticks, notes and figures in a picture: the smallest of running text."""
    return float(mpl.rcParams["font.size"]) - 1.0


def plain_numbers(ax: Axes) -> None:
    """Label logarithmic axes with plain numbers; far from 1, with an SI prefix.

    An axis of less than two decades has ticks at 2 and 5 too, so that it has some at all.
    """
    prefixed = EngFormatter(sep="")

    def text(value: float, _: object) -> str:
        return f"{value:g}" if 1e-3 <= abs(value) < 1e5 else prefixed(value)

    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        decimal = getattr(axis.get_transform(), "base", 0) == 10
        if decimal and 0 < low < high < 100 * low:
            axis.set_major_locator(LogLocator(10.0, subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(text))
    ax.minorticks_off()


def legend_below(
    ax: Axes,
    handles: Sequence[Artist | Container],
    *,
    grow: bool = False,
    under: float = 0.0,
    drawn_by: Mapping[type, HandlerBase] | None = None,
) -> int:
    """Put a legend under the axes, in as many columns as their width takes; return its rows.

    ``grow`` makes the figure higher by it; ``under`` is what else lies under the axes, in type sizes;
    ``drawn_by`` draws handles of a type that the caller defines.
    """
    if not handles:
        return 0
    size = float(mpl.rcParams["font.size"])
    longest = max(len(str(handle.get_label())) for handle in handles)
    width, _ = axes_points(ax)
    beside = _names_beside(ax)  # names of rows to the left of the axes: the legend may stand under them too
    width += beside
    scale = figure_of(ax).dpi_scale_trans
    columns = int(np.clip(width // (0.6 * (size - 1) * longest + 4.5 * size), 1, len(handles)))
    rows = -(-len(handles) // columns)
    ax.legend(
        handles=list(handles),
        handler_map=dict(drawn_by or {}),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes
        + ScaledTranslation(-0.5 * beside / 72.0, -(1.0 + under * size) / 72.0, scale),
        ncols=-(-len(handles) // rows),
        borderaxespad=0.2,
    )
    if grow:
        figure = figure_of(ax)
        figure.set_figheight(figure.get_figheight() + (1.55 * rows * (size - 1) + 6.0) / 72.0)
    return rows


def _names_beside(ax: Axes) -> float:
    """Return how far the names of rows reach out to the left of the axes, in points."""
    if not ax.axison:
        return 0.0
    figure = figure_of(ax)
    box = ax.yaxis.get_tightbbox()
    return 0.0 if box is None else max(ax.get_window_extent().x0 - box.x0, 0.0) * 72.0 / figure.dpi


def axes_points(ax: Axes) -> tuple[float, float]:
    """Return width and height of the axes in points, as the figure's layout leaves them."""
    figure = figure_of(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    box = ax.get_window_extent()
    return box.width * 72.0 / figure.dpi, box.height * 72.0 / figure.dpi
