"""Whether a package is another one with some bandwidths changed; for what solves a package again."""

from __future__ import annotations

import dataclasses

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.package import Package
from noptoolkit.traffic import Traffic

__all__ = ["other_traffic", "widening_faults"]

CLOSE = 1e-9


def widening_faults(before: Package, after: Package, lanes: Floats) -> list[str]:
    """Return what is wrong with a package that should be another one with other bandwidths, a line each.

    Parameters
    ----------
    before, after
        The package, and the one that was solved.
    lanes
        Bandwidth that each direction of each link should have, in B/s, [links, 2].
    """
    if before.nodes != after.nodes or len(before.links) != len(after.links):
        return ["the package that was solved has other nodes or links"]
    for old, new in zip(before.links, after.links, strict=True):
        same = dataclasses.replace(new, bandwidth=old.bandwidth, reverse_bandwidth=old.reverse_bandwidth)
        if same != old:
            return [f"the package that was solved has another link {old.a}-{old.b}"]
    found = after.link_bandwidths
    far = np.abs(found - lanes) > CLOSE * np.maximum(
        np.abs(lanes), float(np.abs(lanes).max(initial=0.0)) * CLOSE
    )
    if far.any() or not np.isfinite(lanes).all():
        link, way = (int(k) for k in np.argwhere(far)[0]) if far.any() else (0, 0)
        return [
            f"link {before.links[link].a}-{before.links[link].b} was solved with {found[link, way]:.9g} B/s, "
            f"not {lanes[link, way]:.9g} B/s"
        ]
    return []


def other_traffic(one: Traffic, other: Traffic) -> bool:
    """Return whether two traffics differ in what they carry."""
    if one is other:
        return False
    if one.endpoints != other.endpoints or not np.array_equal(one.demand, other.demand):
        return True
    for mine, its in ((one.multicast, other.multicast), (one.reduction, other.reduction)):
        if (mine is None) != (its is None):
            return True
        if mine is not None and its is not None:
            parts = ((mine.root, its.root), (mine.members, its.members), (mine.bytes, its.bytes))
            if not all(np.array_equal(a, b) for a, b in parts):
                return True
    return False
