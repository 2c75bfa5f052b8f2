"""Pictures in notebooks: a package shows its topology, a flow the load on its channels.

Packages and flows stand far below the plots, so they only ask `noptoolkit._pictures` for their picture, which
looks here; matplotlib comes in with the first picture that is wanted.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from noptoolkit.flow import FlowResult
from noptoolkit.package import Package

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PICTURES", "flow_svg", "package_svg"]


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
        return _svg(plot.topology(package))


def flow_svg(flow: FlowResult) -> str:
    """Return the picture of the load on a package's channels as SVG."""
    from noptoolkit import plot

    with plot.style("page"):
        return _svg(plot.load(flow))


def _svg(picture: Axes) -> str:
    import matplotlib.pyplot as plt

    figure = picture.get_figure(root=True)
    assert figure is not None
    buffer = io.StringIO()
    try:
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    finally:
        plt.close(figure)
    return buffer.getvalue()


PICTURES: dict[type, Callable[[Any], str]] = {Package: package_svg, FlowResult: flow_svg}
"""From a type to the function that draws one of its values as SVG."""
