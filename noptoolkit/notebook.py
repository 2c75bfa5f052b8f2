"""Pictures in notebooks: a package shows its topology, a flow the load on its channels.

Packages and flows stand far below the plots, so they ask the artist that `noptoolkit` has named, which is
`svg_of`; matplotlib comes in with the first picture that is wanted.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from noptoolkit.errors import NopError
from noptoolkit.flow import FlowResult
from noptoolkit.package import Package
from noptoolkit.stages import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from noptoolkit.report.maps import View
    from noptoolkit.study import Comparison

__all__ = ["explore", "flow_svg", "package_svg", "svg_of"]


def package_svg(package: Package) -> str:
    """Return the picture of a package's topology as SVG.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> package_svg(topology.mesh(2)).startswith("<?xml")
    True
    """
    from noptoolkit import plot

    with plot.style("page"):
        return _svg(plot.topology(package), f"Topology: {package.name}, {package.describe()}")


def flow_svg(flow: FlowResult) -> str:
    """Return the picture of the load on a package's channels as SVG."""
    from noptoolkit import plot

    with plot.style("page"):
        return _svg(plot.load(flow), f"Load on each channel: {flow!r}")


def _svg(picture: Axes, words: str) -> str:
    """Return a picture as SVG, with words for those who do not see it."""
    import matplotlib.pyplot as plt

    figure = picture.get_figure(root=True)
    assert figure is not None
    buffer = io.StringIO()
    try:
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    finally:
        plt.close(figure)
    quoted = escape(words, {'"': "&quot;"})
    return buffer.getvalue().replace("<svg ", f'<svg role="img" aria-label="{quoted}" ', 1)


class _Picture:
    """A picture that notebooks show: what stands in where there is no widget."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg


def explore(value: View | Run | Comparison) -> Any:
    """Return the package map of a value for a notebook: figures on pointing, whose traffic on a click.

    It is a widget of anywidget, which Jupyter, VS Code and marimo show; where the extra ``notebook`` is not
    installed, the picture on paper of a package or a flow.

    Parameters
    ----------
    value
        A package, a flow, a collective, a simulation, the schedule of a step, the step of a parallel plan, a
        run (with the stages computed so far; dispatch and combine if none) or a comparison.

    Raises
    ------
    NopError
        If the value has no map; or the extra is not installed and the value has no picture.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> explore(topology.mesh(2)).html.count("data-n=")
    4
    """
    from noptoolkit.report.widget import map_widget

    try:
        return map_widget(value)
    except NopError:
        svg = svg_of(value.dispatch if isinstance(value, Run) else value)
        if svg is None:
            raise
        return _Picture(svg)


_PICTURES: dict[type, Callable[[Any], str]] = {Package: package_svg, FlowResult: flow_svg}


def svg_of(value: object) -> str | None:
    """Return the picture of a package or a flow as SVG, ``None`` of anything else."""
    draw = _PICTURES.get(type(value))
    return draw(value) if draw else None
