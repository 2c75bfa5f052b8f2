"""Manufacturing cost of a package: dies by yield, a carrier by area, assembly by known good dies.

Gross dies of area A on a wafer of radius r: pi r^2 / A - 2 pi r / sqrt(2 A) (the usual estimate, de Vries,
IEEE Transactions on Semiconductor Manufacturing 18, 2005), at least one where the diagonal fits the wafer.
Yield with defect density D: Poisson exp(-A D); Murphy ((1 - exp(-A D)) / (A D))^2; negative binomial
(1 + A D / c)^-c with clustering c (Stapper, IBM Journal 27, 1983). A known good die costs (wafer / gross dies
+ test) / yield. A package of n dies, each placed with yield y, costs (dies + carrier + assembly) / y^n.
Bandwidth costs area: every die is larger than its outline by the PHYs of its die-to-die links, bandwidth /
areal density of the technology, and the carrier by all of them. The prices in `Process` are examples of
RapidChiplet (arXiv 2311.06081) or assumed: compare packages with them, do not quote them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from noptoolkit._names import resolve
from noptoolkit.errors import TopologyError
from noptoolkit.package import Package
from noptoolkit.physical.geometry import DIE_TO_DIE, expect_placed, is_of
from noptoolkit.physical.technology import TECHNOLOGIES, Technology
from noptoolkit.topology.composition import extent
from noptoolkit.units import LARGEST, SMALLEST, Measured, is_in_range, measured

__all__ = [
    "Cost",
    "Process",
    "YieldModel",
    "die_cost",
    "die_yield",
    "gross_dies",
    "organic_panel",
    "package_cost",
    "phy_areas",
]

PANEL_AREA = 0.510 * 0.515
"""Area of the usual panel of organic substrates, in m2."""

YieldModel = Literal["poisson", "murphy", "negative binomial"]


@dataclass(frozen=True)
class Process:
    """A wafer process.

    Parameters
    ----------
    wafer_radius
        Radius of a wafer, in m.
    wafer_cost
        Cost of a processed wafer, in any currency.
    defect_density
        Defects per m2.
    clustering
        Clustering parameter of the negative binomial.
    test_cost
        Cost of testing a die.
    """

    wafer_radius: Measured = measured("m", default=0.15)
    wafer_cost: float = 1000.0
    defect_density: float = 1000.0
    clustering: float = 3.0
    test_cost: float = 0.0

    def __post_init__(self) -> None:
        for name in ("wafer_radius", "wafer_cost", "clustering"):
            if not (getattr(self, name) > 0 and is_in_range(getattr(self, name))):
                raise TopologyError(f"process: {name} {getattr(self, name)} must be above 0 and finite")
        for name in ("defect_density", "test_cost"):
            if not (getattr(self, name) >= 0 and is_in_range(getattr(self, name))):
                raise TopologyError(f"process: {name} {getattr(self, name)} must be finite and not negative")


def organic_panel() -> Process:
    """Return a process for organic substrates, which are larger than wafers and have fewer defects per area.

    The panel of 510 mm x 515 mm is taken as a disc of its area; its price, that of a wafer, and its 10
    defects per m2 are assumed.

    Examples
    --------
    >>> round(organic_panel().wafer_radius, 3)
    0.289
    """
    return Process(wafer_radius=math.sqrt(PANEL_AREA / math.pi), defect_density=10.0)


@dataclass(frozen=True)
class Cost:
    """Cost of one good package, in the currency of the processes.

    Parameters
    ----------
    dies, carrier, assembly
        Cost of the known good dies, of the interposer or substrate, and of assembly.
    yield_
        Share of assembled packages that work.
    total
        Cost of a working package.
    """

    dies: float
    carrier: float
    assembly: float
    yield_: float
    total: float


def die_yield(
    die_area: float, defect_density: float, model: YieldModel = "negative binomial", clustering: float = 3.0
) -> float:
    """Return the share of dies without a defect.

    Parameters
    ----------
    die_area
        Area of a die, in m2.
    defect_density
        Defects per m2.
    model, clustering
        Distribution of defects.

    Raises
    ------
    TopologyError
        If there is no such model, an area or a density is negative, or a number is not finite.

    Examples
    --------
    >>> round(die_yield(1e-4, 1000, "poisson"), 4), round(die_yield(1e-4, 1000, "murphy"), 4)
    (0.9048, 0.9056)
    """
    _in_range("die area", die_area, 0)
    _in_range("defect density", defect_density, 0)
    _in_range("clustering", clustering)
    expected = die_area * defect_density
    if not math.isfinite(expected):
        return 0.0
    if expected == 0:
        return 1.0
    if model == "poisson":
        return math.exp(-expected)
    if model == "murphy":
        return (-math.expm1(-expected) / expected) ** 2
    if model == "negative binomial":
        return float((1 + expected / clustering) ** -clustering)
    raise TopologyError(f"no yield model {model!r}; known: poisson, murphy, negative binomial")


def _in_range(what: str, value: float, low: float | None = None) -> None:
    """Raise where a number is not finite, not above 0, or below ``low``."""
    if not (math.isfinite(value) and (value > 0 if low is None else value >= low)):
        asked = "above 0" if low is None else "not negative"
        raise TopologyError(f"{what} {value:g} must be finite and {asked}")


def gross_dies(width: float, height: float, wafer_radius: float) -> float:
    """Return the approximate number of dies of an outline, in m, on a wafer of a radius, in m.

    Raises
    ------
    TopologyError
        If a length is not above 0 and finite.

    Examples
    --------
    >>> round(gross_dies(0.01, 0.01, 0.15)), gross_dies(0.2, 0.2, 0.15), gross_dies(0.22, 0.22, 0.15)
    (640, 1.0, 0.0)
    """
    for what, value in (("width", width), ("height", height), ("wafer radius", wafer_radius)):
        _in_range(f"{what} of a die" if what != "wafer radius" else what, value)
    if math.hypot(width, height) > 2 * wafer_radius:
        return 0.0
    if not min(width, height) >= SMALLEST:
        raise TopologyError(f"a die of {width:g} m x {height:g} m is too small to count")
    edge = 2 * math.pi * wafer_radius / math.sqrt(2 * width * height)
    return max(math.pi * wafer_radius**2 / (width * height) - edge, 1.0)


def die_cost(width: float, height: float, process: Process, model: YieldModel = "negative binomial") -> float:
    """Return the cost of one known good die of an outline in m.

    Raises
    ------
    TopologyError
        If a wafer holds none, or none works.
    """
    gross = gross_dies(width, height, process.wafer_radius)
    if gross < 1:
        size, radius = f"{width * 1e3:.4g} mm x {height * 1e3:.4g} mm", f"{process.wafer_radius * 1e3:g} mm"
        raise TopologyError(f"a die of {size} does not fit a wafer of {radius} radius")
    good = die_yield(width * height, process.defect_density, model, process.clustering)
    if not good > 0:
        raise TopologyError(
            f"no die of {width * 1e3:.4g} mm x {height * 1e3:.4g} mm works at {process.defect_density:g} "
            "defects per m2: its yield is 0, and its cost without bound"
        )
    return (process.wafer_cost / gross + process.test_cost) / good


def phy_areas(package: Package, technology: str | Technology) -> dict[str, float]:
    """Return the area of die that the PHYs of each node's die-to-die links take, in m2, by node.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> areas = phy_areas(ring(4), "ucie-2d")  # two links of 128 GB/s each way
    >>> round(areas["e0"] * 1e6, 3)  # mm2
    4.096
    """
    chosen = resolve(technology, TECHNOLOGIES, "technology")
    joins = is_of(package, *DIE_TO_DIE)
    of_one = np.full(len(package.links), chosen.phy_area or 0.0)
    if chosen.areal_density is not None:
        of_one = package.link_totals / chosen.areal_density
    ends = package.link_ends[joins].ravel()
    areas = np.bincount(ends, np.repeat(of_one[joins], 2), len(package.nodes))
    return {node.name: float(area) for node, area in zip(package.nodes, areas.tolist(), strict=True)}


def _grown(outline: tuple[float, float], extra: float) -> tuple[float, float]:
    """Return an outline of the same shape that is larger by an area."""
    width, height = outline
    grow = math.sqrt(1 + extra / (width * height))
    return width * grow, height * grow


def package_cost(
    package: Package,
    *,
    technology: str | Technology | None = "ucie-2d",
    die_process: Process | None = None,
    carrier_process: Process | None = None,
    assembly_cost_per_die: float = 0.0,
    assembly_yield: float = 0.99,
    model: YieldModel = "negative binomial",
) -> Cost:
    """Return the cost of one good package.

    Parameters
    ----------
    package
        Package whose nodes all have a size and a position; memory stacks cost what dies of their outline do.
    technology
        Technology that joins the dies, a name in `TECHNOLOGIES` or a record: dies and carrier grow by the
        area of its PHYs. Where ``None``, PHYs are within the outlines.
    die_process, carrier_process
        Processes of the dies and of the carrier under the whole package: by default that of the technology,
        `organic_panel` or a silicon interposer of fewer defects than a die (100 per m2).
    assembly_cost_per_die, assembly_yield
        Cost and yield of placing each die.
    model
        Distribution of defects.

    Raises
    ------
    TopologyError
        If a node has no size or no position, or a die or the carrier does not fit a wafer.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> cost = package_cost(mesh(4))
    >>> round(cost.yield_, 3), cost.total > cost.dies
    (0.851, True)
    """
    lost = [node.name for node in package.nodes if node.size is None]
    if lost:
        raise TopologyError(
            f"package {package.name!r}: {lost[0]!r} has no size; "
            "give size=('10 mm', '10 mm'), or what yours has"
        )
    expect_placed(package)  # the carrier lies under all of them
    if not 0 < assembly_yield <= 1:
        raise TopologyError(f"assembly_yield {assembly_yield} is a share above 0, up to 1")
    process = die_process or Process()
    under = carrier_process or Process(defect_density=100.0)
    phys = dict.fromkeys(package.index, 0.0)
    if technology is not None:
        chosen = resolve(technology, TECHNOLOGIES, "technology")
        phys = phy_areas(package, chosen)
        if carrier_process is None and chosen.carrier == "organic":
            under = organic_panel()
    dice = Counter((node.size, phys[node.name]) for node in package.nodes if node.size is not None)
    _, outline = extent(package)
    try:
        dies = sum(count * die_cost(*_grown(*die), process, model) for die, count in dice.items())
        carrier = die_cost(*_grown(outline, math.fsum(phys.values())), under, model)
    except TopologyError as error:
        raise TopologyError(f"package {package.name!r}: {error}") from None
    _in_range("assembly_cost_per_die", assembly_cost_per_die, 0)
    if not is_in_range(assembly_cost_per_die):
        raise TopologyError(f"assembly_cost_per_die {assembly_cost_per_die:g} is beyond {LARGEST:g}")
    assembly = assembly_cost_per_die * len(package.nodes)
    share = assembly_yield ** len(package.nodes)
    if not share > 0:
        raise TopologyError(
            f"package {package.name!r}: of {len(package.nodes)} parts, each mounted with a yield of "
            f"{assembly_yield:g}, no package works; its cost has no bound"
        )
    return Cost(dies, carrier, assembly, share, (dies + carrier + assembly) / share)
