"""Runs on packages whose links are as wide as dispatch and combine want them, at an equal total."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noptoolkit.errors import NopError
from noptoolkit.flow import BestWidths
from noptoolkit.package import Memory, Package
from noptoolkit.pipeline import run
from noptoolkit.progress import Progress
from noptoolkit.stages import Run
from noptoolkit.traffic import Traffic
from noptoolkit.whatif.rewiden import KEPT, rewiden

__all__ = ["best_widths_of", "with_best_widths"]


def best_widths_of(
    one: Run, keep: str = "beachfront", *, tol: float = 5e-3, progress: Progress | None = None
) -> BestWidths:
    """Return the widths under which dispatch and combine of a run, one after the other, take least.

    Where combine is dispatch backwards, and every node that copies adds too, one stands for both.

    Raises
    ------
    NopError
        If nothing crosses the network, or the total is not one of `noptoolkit.whatif.rewiden.KEPT`.
    """
    there = [
        traffic
        for traffic in (one.dispatch_traffic, one.combine_traffic)
        if traffic.demand.any() or traffic.multicast is not None or traffic.reduction is not None
    ]
    if not there:
        raise NopError(f"nothing of {one.given.name!r} crosses the network of {one.package.name!r}")
    if len(there) == 2 and _mirrored(one.package, *there):
        there = there[:1]
    return rewiden(one.package, there, keep, tol=tol, progress=progress)


def with_best_widths(one: Run, keep: str = "beachfront", *, progress: Progress | None = None) -> Run:
    """Return the run on the same package with its best widths, and the layout that it has.

    Parameters
    ----------
    keep
        Total that stays, as `noptoolkit.whatif.rewiden.rewiden` takes it.
    """
    if keep not in KEPT:
        raise NopError(
            f"widths cannot be best at equal {keep}; normalise by {', '.join(KEPT)}, or by nothing"
        )
    found = best_widths_of(one, keep, progress=progress)
    package = found.package.replace(name=f"{one.package.name}, best widths")
    again = run(
        package,
        one.given,
        allocator=one.allocation,
        routing=one.routing,
        policy=one.policy,
        degree=one.degree,
        tol=one.tol,
        rng=one.seed,
        progress=one.progress,
        report=one.report,
    )
    return replace(again, normalised=one.normalised)


def _mirrored(package: Package, out: Traffic, back: Traffic) -> bool:
    """Return whether one traffic is the other backwards, and the network the same both ways."""
    there, home = out.multicast, back.reduction
    if (there is None) != (home is None) or out.reduction is not None or back.multicast is not None:
        return False
    if out.endpoints != back.endpoints or not np.allclose(out.demand, back.demand.T):
        return False
    if there is not None and home is not None:
        same = len(there) == len(home) and np.array_equal(there.members, home.members)
        if not (same and np.array_equal(there.root, home.root) and np.allclose(there.bytes, home.bytes)):
            return False
    alike = all(isinstance(node, Memory) or node.replicates == node.reduces for node in package.nodes)
    return alike and bool((package.link_bandwidths[:, 0] == package.link_bandwidths[:, 1]).all())
