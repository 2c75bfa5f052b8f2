"""Power of links and dies, and temperature of the package.

Link power is bandwidth x utilisation x energy per bit. Temperature is the steady state of a resistor
network on a grid: with power q per area, conductivity k in a sheet of thickness d, and a heat sink of
conductance h per area,

    h (T - T_ambient) - k d laplace(T) = q,

adiabatic at the rim, solved sparsely (after HotSpot's block model: Skadron et al., ISCA 2003). Total heat
in equals total heat out exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from noptoolkit._arrays import Floats
from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.topology.composition import extent
from noptoolkit.units import LARGEST, Quantity, parse_quantity

__all__ = ["Temperature", "link_power", "temperature"]

SILICON = 150.0
"""Conductivity of silicon near room temperature, in W/(m K) (handbook value)."""

MOST_CELLS = 400


@dataclass(frozen=True, eq=False)
class Temperature:
    """The temperature of a package.

    Parameters
    ----------
    cells
        Temperature of each cell, in K, [rows, columns], row 0 at the bottom.
    origin, cell
        Lower left corner and size of a cell, in m.
    hottest
        Largest of ``cells``, in K.
    of_node
        Mean temperature over the outline of each node, in K.
    """

    cells: Floats
    origin: tuple[float, float]
    cell: tuple[float, float]
    hottest: float
    of_node: Mapping[str, float]


def link_power(package: Package, utilisation: ArrayLike = 1.0) -> Floats:
    """Return the power of each channel, in W, [channels].

    Parameters
    ----------
    package
        Package whose links all have an ``energy_per_bit``; ``physical.measured_links`` sets it.
    utilisation
        Share of each channel's bandwidth that is used, [channels] or one number.

    Raises
    ------
    TopologyError
        If a link has no energy per bit.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> link_power(ring(3, link_energy="0.5 pJ/bit"), 0.5).round(3).tolist()
    [0.256, 0.256, 0.256, 0.256, 0.256, 0.256]
    """
    for link in package.links:
        if link.energy_per_bit is None:
            raise TopologyError(
                f"link {link.a!r}-{link.b!r} has no energy_per_bit; use physical.measured_links"
            )
    share = np.broadcast_to(np.asarray(utilisation, dtype=float), len(package.channels))
    if not ((share >= 0) & (share <= LARGEST)).all():
        raise TopologyError("utilisation must be finite and not negative")
    energy = np.array([package.links[channel.link].energy_per_bit or 0.0 for channel in package.channels])
    bandwidth = np.array([channel.bandwidth for channel in package.channels])
    return np.asarray(8.0 * bandwidth * share * energy)


def temperature(
    package: Package,
    power: Mapping[str, Quantity],
    *,
    ambient: float = 318.15,
    sink: float = 20_000.0,
    conductivity: float = SILICON,
    thickness: Quantity = "0.5 mm",
    cell: Quantity | None = None,
) -> Temperature:
    """Return the steady temperature of a package.

    Parameters
    ----------
    package
        Package whose nodes with power have a position and a size.
    power
        Power of each node, in W; nodes left out have none.
    ambient
        Temperature of the coolant, in K (assumed: 45 degrees Celsius).
    sink
        Conductance of the heat sink per area, in W/(m2 K) (assumed).
    conductivity, thickness
        Conductivity, in W/(m K), and thickness, in m, of the sheet that spreads the heat.
    cell
        Side of a grid cell, in m; a hundredth of the package where ``None``.

    Raises
    ------
    TopologyError
        If a node with power has no outline, or a number is out of range.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> hot = temperature(mesh(2), {"e0": "50 W"})
    >>> hot.of_node["e0"] > hot.of_node["e1"] > hot.of_node["e3"] > 318
    True
    """
    depth = parse_quantity(thickness, "m", "thickness")
    numbers = (("sink", sink), ("conductivity", conductivity), ("thickness", depth), ("ambient", ambient))
    for what, value in numbers:
        if not 0 < value < math.inf:
            raise TopologyError(f"temperature: {what} {value} must be above 0 and finite")
    origin, (width, height) = extent(package)
    if width <= 0 or height <= 0:
        raise TopologyError(f"package {package.name!r} has no outlines; place() it first")
    step = max(width, height) / 100 if cell is None else parse_quantity(cell, "m", "cell")
    if step <= 0 or max(width, height) / step > MOST_CELLS:
        raise TopologyError(f"temperature: a cell of {step:g} m makes more than {MOST_CELLS} cells per side")
    columns, rows = max(math.ceil(width / step), 1), max(math.ceil(height / step), 1)
    dx, dy = width / columns, height / rows
    heat = np.zeros((rows, columns))
    covers = {}
    for node in package.nodes:
        if node.position is None or node.size is None:
            if node.name in power:
                raise TopologyError(f"{node.name!r} has power but no outline")
            continue
        left, low = node.position[0] - node.size[0] / 2, node.position[1] - node.size[1] / 2
        across = _cover(left - origin[0], node.size[0], dx, columns)
        upward = _cover(low - origin[1], node.size[1], dy, rows)
        covers[node.name] = np.outer(upward, across) / (node.size[0] * node.size[1])
    for name, watts in power.items():
        value = parse_quantity(watts, "W", f"power of {name!r}")
        if value < 0:
            raise TopologyError(f"power of {name!r} is negative")
        package[name]
        heat += value * covers[name]
    cells = ambient + _solve(heat, dx, dy, sink, conductivity * depth)
    cells.flags.writeable = False
    means = {name: float((cells * share).sum()) for name, share in covers.items()}
    return Temperature(cells, origin, (dx, dy), float(cells.max()), means)


def _cover(start: float, length: float, step: float, count: int) -> Floats:
    """Return how many metres of an interval lie in each cell."""
    edges = np.arange(count + 1) * step
    inside: Floats = np.minimum(edges[1:], start + length) - np.maximum(edges[:-1], start)
    return np.maximum(inside, 0.0)


def _solve(heat: Floats, dx: float, dy: float, sink: float, sheet: float) -> Floats:
    """Return the rise over ambient of each cell, in K, for the heat put into each, in W."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spsolve

    rows, columns = heat.shape
    number = np.arange(heat.size).reshape(heat.shape)
    pairs = [
        (number[:, :-1].ravel(), number[:, 1:].ravel(), sheet * dy / dx),
        (number[:-1].ravel(), number[1:].ravel(), sheet * dx / dy),
    ]
    i = np.concatenate([np.concatenate([a, b]) for a, b, _ in pairs])
    j = np.concatenate([np.concatenate([b, a]) for a, b, _ in pairs])
    g = np.concatenate([np.full(2 * len(a), value) for a, _, value in pairs])
    own = np.bincount(i, weights=g, minlength=heat.size) + sink * dx * dy
    every = np.arange(heat.size)
    matrix = coo_array(
        (np.concatenate([-g, own]), (np.concatenate([i, every]), np.concatenate([j, every]))),
        shape=(heat.size, heat.size),
    ).tocsc()
    rise: Floats = np.asarray(spsolve(matrix, heat.ravel()), dtype=float)
    return rise.reshape(rows, columns)
