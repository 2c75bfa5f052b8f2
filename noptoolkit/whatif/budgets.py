"""Budgets: bandwidth, length of die edge, or cost, and what a B/s of each link takes of them.

Bandwidth counts both directions, as `Package.total_bandwidth`. Die edge is the bandwidth over the edge
density of a technology, at both ends of a link. Cost is `noptoolkit.physical.package_cost`, which is not
linear: dies grow with their PHYs and yield falls. Each link is priced at the margin; what is spent is
measured again on the widened package, and the budget in margins is lowered until the measured cost keeps the
real one. As cost grows ever faster, margins of today are too low, so that the bound over every use stays one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import resolve
from noptoolkit.errors import FormatError, NopError, NopWarning
from noptoolkit.flow import BestWidths, best_widths
from noptoolkit.flow.widths.choices import Directions
from noptoolkit.package import LinkKind, Package
from noptoolkit.package.edits import Links
from noptoolkit.physical import TECHNOLOGIES, Technology, package_cost
from noptoolkit.physical.geometry import is_of
from noptoolkit.progress import Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity, parse_quantity

__all__ = ["Budget", "budget_of", "spend"]

Measure = Literal["bandwidth", "edge", "cost"]
STEP = 1e-3
"""Relative change of bandwidth by which cost is priced."""


@dataclass(frozen=True, eq=False)
class Budget:
    """What may be spent.

    Parameters
    ----------
    measure
        ``bandwidth``, ``edge`` or ``cost``.
    amount
        In B/s, m, or the currency of `noptoolkit.physical.Process`.
    unit
        ``B/s``, ``m`` or empty.
    price
        Units per B/s of each link, each direction counted, [links].
    technology
        Name of the technology that edge and cost are of.
    """

    measure: Measure
    amount: float
    unit: str
    price: Floats
    technology: str

    def __str__(self) -> str:
        if self.measure == "cost":
            return f"cost {self.amount:.4g}"
        text = format_quantity(self.amount, self.unit)
        return text if self.measure == "bandwidth" else f"{text} of die edge"


def budget_of(package: Package, text: str | float, *, technology: str | Technology = "ucie-2d") -> Budget:
    """Return a budget from text: ``512 GB/s``, ``4 mm`` of die edge, ``cost 5``, a share ``10 %``.

    A number is bandwidth in B/s; a share is one of the bandwidth of all die-to-die links.

    Raises
    ------
    NopError
        If the text is none of these, or a price is not known.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> str(budget_of(mesh(2), "4 mm")), str(budget_of(mesh(2), "10 %"))
    ('4 mm of die edge', '102 GB/s')
    """
    chosen = resolve(technology, TECHNOLOGIES, "technology")
    ones = np.ones(len(package.links))
    if not isinstance(text, str):
        return Budget("bandwidth", float(text), "B/s", ones, chosen.name)
    words = text.strip()
    if words.startswith("cost"):
        try:
            amount = float(words.removeprefix("cost"))
        except ValueError:
            raise NopError(
                f"budget {text!r} is no cost; write 'cost 5', in the currency of the processes"
            ) from None
        if not math.isfinite(amount):
            raise NopError(f"budget {text!r} is not finite; write 'cost 5', in the currency of the processes")
        return Budget("cost", amount, "", _marginal_cost(package, chosen), chosen.name)
    if words.endswith("%"):
        try:
            share = float(words.removesuffix("%")) / 100
        except ValueError:
            raise NopError(f"budget {text!r} is no share; write '10 %'") from None
        if not math.isfinite(share):
            raise NopError(f"budget {text!r} is not finite; write '10 %'")
        total = float(package.link_totals[is_of(package, LinkKind.D2D)].sum())
        return Budget("bandwidth", share * total, "B/s", ones, chosen.name)
    try:
        return Budget("bandwidth", parse_quantity(words, "B/s", "budget"), "B/s", ones, chosen.name)
    except FormatError as wrong:
        try:
            amount = parse_quantity(words, "m", "budget")
        except FormatError:
            raise NopError(
                f"{wrong}; a budget is bandwidth ('512 GB/s'), edge ('4 mm'), 'cost 5' or a share ('10 %')"
            ) from None
    return Budget("edge", amount, "m", 2 * ones / chosen.edge_density, chosen.name)


def _marginal_cost(package: Package, technology: Technology) -> Floats:
    """Return the cost of a B/s more on each link, [links]."""
    today = package_cost(package, technology=technology).total
    found = np.zeros(len(package.links))
    same: dict[tuple[object, ...], float] = {}
    for i, link in enumerate(package.links):
        if link.kind != LinkKind.D2D:
            continue
        ends = [(_busy(package, name), package[name].size) for name in (link.a, link.b)]
        key = (link.bandwidth, link.backward_bandwidth, link.half_duplex, *ends)
        if key not in same:
            more = replace(
                link,
                bandwidth=link.bandwidth * (1 + STEP),
                reverse_bandwidth=None
                if link.reverse_bandwidth is None
                else link.reverse_bandwidth * (1 + STEP),
            )
            links = (*package.links[:i], more, *package.links[i + 1 :])
            dearer = package_cost(package.replace(links=links), technology=technology).total
            same[key] = (dearer - today) / (STEP * float(package.link_totals[i]))
        found[i] = same[key]
    return found


def _busy(package: Package, name: str) -> float:
    """Return the bandwidth of all links of a node, which its PHYs grow with, in B/s."""
    mine = (package.link_ends == package.index[name]).any(axis=1)
    return float(package.link_totals[mine].sum())


def spend(
    package: Package,
    traffic: Traffic | Sequence[Traffic],
    budget: str | float | Budget,
    *,
    links: Links = "d2d",
    directions: Directions = "both",
    weights: Sequence[float] | None = None,
    technology: str | Technology = "ucie-2d",
    routing: str | Routing = "optimal",
    tol: float = 1e-3,
    progress: Progress | None = None,
) -> BestWidths:
    """Return the best use of a budget of bandwidth, die edge or cost over the links of a package.

    Parameters
    ----------
    traffic, links, directions, weights, routing, tol, progress
        As `noptoolkit.flow.best_widths` takes them.
    budget
        As `budget_of` takes it.
    technology
        Technology that die edge and cost are of.

    Warns
    -----
    NopWarning
        If the budget is cost, and what is spent at the margin costs more than it says.

    Examples
    --------
    >>> from noptoolkit import topology, traffic
    >>> mesh = topology.mesh(4)
    >>> found = spend(mesh, traffic.all_to_all(mesh, "1 MB"), "4 mm")
    >>> f"{1e6 * found.today:.0f} us to {1e6 * found.time:.1f} us", found.unit
    ('125 us to 102.6 us', 'm')
    """
    given = budget if isinstance(budget, Budget) else budget_of(package, budget, technology=technology)

    def best(amount: float) -> BestWidths:
        return best_widths(
            package,
            traffic,
            amount,
            links=links,
            directions=directions,
            weights=weights,
            price=given.price,
            unit=given.unit,
            routing=routing,
            tol=tol,
            progress=progress,
        )

    found = best(given.amount)
    if given.measure != "cost":
        return found
    today = package_cost(package, technology=given.technology).total
    widest, amount = found, given.amount
    for _ in range(6):
        real = package_cost(found.package, technology=given.technology).total - today
        if real <= given.amount * (1 + 1e-3):
            break
        amount *= given.amount / real
        found = best(amount)
    else:
        warnings.warn(
            f"package {package.name!r}: the widths cost {real:.4g}, more than the {given.amount:.4g} given",
            NopWarning,
            stacklevel=2,
        )
    # the bound is that of the whole budget at today's margins, which no real use of it can beat
    return replace(found, budget=widest.budget, outer=widest.outer, evidence=widest.evidence)
