"""Widths as they should be: the links that are there, the bandwidth that is there, spread anew.

A package keeps its total of something (`noptoolkit.physical.MEASURES`) and each link gets the width that
makes the traffic's time least, with a bound over every other way to spread it: one engine with *the best use
of a budget* (`noptoolkit.flow.best_widths` with nothing kept). So best is compared with best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import resolve
from noptoolkit.errors import NopError, TopologyError
from noptoolkit.flow import BestWidths, best_widths
from noptoolkit.package import Chiplet, LinkKind, Package
from noptoolkit.physical.geometry import is_of, link_lengths
from noptoolkit.progress import Progress
from noptoolkit.traffic import Traffic

__all__ = ["KEPT", "rewiden"]

KEPT = ("bandwidth", "beachfront", "wire")
"""Totals that may stay while widths change: those that are linear in bandwidth."""


def rewiden(
    package: Package,
    traffic: Traffic | Sequence[Traffic],
    keep: str = "beachfront",
    *,
    weights: Sequence[float] | None = None,
    worst: bool = False,
    tol: float = 5e-3,
    most: int = 12,
    ascent: int = 6,
    progress: Progress | None = None,
) -> BestWidths:
    """Return the widths of a package's die-to-die links that suit a traffic best, at an equal total.

    Parameters
    ----------
    traffic
        Traffic, or several, one after the other: dispatch, combine, weights.
    keep
        Total that stays: ``beachfront`` (ends at chiplets; links between switches are free, and become so
        wide that they never limit), ``bandwidth`` (both ends of every link) or ``wire`` (bandwidth x length).
    weights
        Weight of each traffic's time in the sum that is made least; 1 each where ``None``.
    worst
        Make the longest of the times least, and not their sum.
    tol, most, ascent, progress
        As `noptoolkit.flow.best_widths` takes them.

    Raises
    ------
    NopError
        If the total is not one of ``KEPT``, or nothing of it is there.

    Examples
    --------
    >>> from noptoolkit.topology import nop_tree
    >>> from noptoolkit.traffic import all_to_all
    >>> tree = nop_tree(2, 4, link_bandwidth="1 GB/s")
    >>> found = rewiden(tree, all_to_all(tree, "1 GB", among="experts"), "bandwidth")
    >>> round(found.today, 3), round(found.time, 3), bool(found.verify())
    (16.0, 8.8, True)
    """
    if keep not in KEPT:
        if keep == "cost":
            raise NopError(
                "cost is not linear in bandwidth: no price says how to spread it; keep bandwidth, beachfront "
                "or wire, or use whatif.spend(package, traffic, 'cost 5')"
            )
        resolve(keep, dict.fromkeys(KEPT), "total")
    price = _prices(package, keep)
    d2d = is_of(package, LinkKind.D2D)
    free = d2d & (price <= 0)
    chosen = d2d & (price > 0)
    if not chosen.any():
        raise TopologyError(
            f"package {package.name!r} has no die-to-die link that takes {keep}; nothing to spread"
        )
    names = [f"{package.links[i].a}<->{package.links[i].b}" for i in np.flatnonzero(chosen)]
    total = float((package.link_totals * price)[chosen].sum())
    if free.any():
        wide = 2 * float(package.link_totals[d2d].sum())
        loose = [f"{package.links[i].a}<->{package.links[i].b}" for i in np.flatnonzero(free)]
        package = package.with_link_bandwidth(loose, wide)

    return best_widths(
        package,
        traffic,
        total,
        links=list(dict.fromkeys(names)),
        weights=weights,
        worst=worst,
        price=np.where(price > 0, price, 1.0),
        unit="B/s" if keep != "wire" else "B·m/s",
        floor=0.0,
        tol=tol,
        most=most,
        solve_tol=tol / 2,
        ascent=ascent,
        progress=progress,
    )


def _prices(package: Package, keep: str) -> Floats:
    """Return what a B/s of each link takes of the total, each direction counted, [links]."""
    if keep == "bandwidth":
        return np.ones(len(package.links))
    if keep == "wire":
        return link_lengths(package)
    chiplet = np.array([isinstance(node, Chiplet) for node in package.nodes], dtype=bool)
    ends: Floats = chiplet[package.link_ends].sum(axis=1).astype(float)
    return ends
