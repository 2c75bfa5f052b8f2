"""Manufacturability rules, with the size of each violation; cost is another module.

Rules. *Overlap*: outlines share no area (dies joined by a hybrid bond may). *Beachfront*: the bandwidth
through each side of a die, both directions of its die-to-die links, fits the length of that side at the
technology's density. *Reach*: no link is longer than the technology drives. *Reticle*: no die is larger
than one exposure, 26 mm x 33 mm. *PHY area*: the PHYs leave room on the die.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from noptoolkit._names import resolve
from noptoolkit.package import LinkKind, Package
from noptoolkit.physical.cost import phy_areas
from noptoolkit.physical.geometry import DIE_TO_DIE, SIDES, Wiring, is_of, link_lengths, link_ports
from noptoolkit.physical.technology import TECHNOLOGIES, Technology

__all__ = ["RETICLE", "Violation", "beachfront", "edge_use", "violations"]

RETICLE = (26e-3, 33e-3)
"""Field of a lithography scanner, in m (industry standard)."""

SHARE_OF_PHYS = 0.5
"""Assumed: PHYs may take half of a die."""


class Violation(NamedTuple):
    """One rule broken in one place.

    Parameters
    ----------
    rule
        ``overlap``, ``beachfront``, ``reach``, ``reticle`` or ``phy area``.
    thing
        The die, side or link.
    needed, available
        Required and available amount, in ``unit``.
    unit
        m or m2.
    """

    rule: str
    thing: str
    needed: float
    available: float
    unit: str

    @property
    def excess(self) -> float:
        """Required over available amount."""
        return self.needed / self.available if self.available > 0 else float("inf")

    def __str__(self) -> str:
        """Return the violation as a sentence."""
        scale, unit = (1e3, "mm") if self.unit == "m" else (1e6, "mm2")
        need, have = self.needed * scale, self.available * scale
        return f"{self.rule}: {self.thing} needs {need:.3g} {unit} of {have:.3g} {unit}"


def edge_use(package: Package, technology: str | Technology) -> dict[tuple[str, str], tuple[float, float]]:
    """Return, for each side of a die with links, how much edge they need and how long it is, in m.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> edge_use(mesh(2), "ucie-2d")["e0", "right"]
    (0.00114..., 0.01)
    """
    chosen = resolve(technology, TECHNOLOGIES, "technology")
    ports = link_ports(package)
    joins = is_of(package, *DIE_TO_DIE)
    edge = ports.node[joins] * len(SIDES) + ports.side[joins]
    needed = np.bincount(edge.ravel(), np.repeat(package.link_totals[joins] / chosen.edge_density, 2))
    use = {}
    for key in np.unique(edge).tolist():
        node, side = package.nodes[key // len(SIDES)], SIDES[key % len(SIDES)]
        width, height = node.size or (0.0, 0.0)
        use[node.name, side] = (float(needed[key]), height if side in ("right", "left") else width)
    return use


def beachfront(package: Package, technology: str | Technology) -> float:
    """Return the die edge that all links need together, in m."""
    return sum(needed for needed, _ in edge_use(package, technology).values())


def violations(
    package: Package, technology: str | Technology, *, wiring: Wiring = "manhattan"
) -> tuple[Violation, ...]:
    """Return every violation of a rule; none where the package can be built.

    Parameters
    ----------
    package
        Package with positions and sizes.
    technology
        Name in `TECHNOLOGIES`, or a record.
    wiring
        Shape of the wires between dies.

    Examples
    --------
    >>> from noptoolkit.topology import mesh, ring
    >>> violations(mesh(4), "ucie-2d")
    ()
    >>> print(violations(mesh(4, link_bandwidth="4 TB/s"), "ucie-2d")[0])
    beachfront: right side of e0 needs 35.7 mm of 10 mm
    """
    chosen = resolve(technology, TECHNOLOGIES, "technology")
    found = list(_overlaps(package))
    for (name, side), (needed, available) in edge_use(package, chosen).items():
        if needed > available * (1 + 1e-9):
            found.append(Violation("beachfront", f"{side} side of {name}", needed, available, "m"))
    if chosen.reach is not None:
        lengths = link_lengths(package, wiring)
        beyond = np.flatnonzero(is_of(package, *DIE_TO_DIE) & (lengths > chosen.reach * (1 + 1e-9)))
        for i, length in zip(beyond.tolist(), lengths[beyond].tolist(), strict=True):
            link = package.links[i]
            found.append(Violation("reach", f"link {link.a}-{link.b}", length, chosen.reach, "m"))
    for node in package.nodes:
        if node.size is not None and not _fits_reticle(node.size):
            size = node.size[0] * node.size[1]
            found.append(Violation("reticle", node.name, size, RETICLE[0] * RETICLE[1], "m2"))
    for name, needed in phy_areas(package, chosen).items():
        width, height = package[name].size or (0.0, 0.0)
        room = SHARE_OF_PHYS * width * height
        if 0 < room < needed:
            found.append(Violation("phy area", name, needed, room, "m2"))
    return tuple(found)


def _fits_reticle(size: tuple[float, float]) -> bool:
    return min(size) <= min(RETICLE) * (1 + 1e-9) and max(size) <= max(RETICLE) * (1 + 1e-9)


def _overlaps(package: Package) -> list[Violation]:
    """Return the pairs of outlines that share area, by a sweep from left to right."""
    bonded = {frozenset((link.a, link.b)) for link in package.links if link.kind is LinkKind.HYBRID_BOND}
    boxes = []
    for node in package.nodes:
        if node.position is not None and node.size is not None:
            (x, y), (width, height) = node.position, node.size
            boxes.append((x - width / 2, x + width / 2, y - height / 2, y + height / 2, node.name))
    boxes.sort()
    found = []
    active: list[tuple[float, float, float, float, str]] = []
    for box in boxes:
        active = [other for other in active if other[1] > box[0] + 1e-9]
        for other in active:
            wide = min(other[1], box[1]) - box[0]
            high = min(other[3], box[3]) - max(other[2], box[2])
            if high > 1e-9 and frozenset((other[4], box[4])) not in bonded:
                found.append(
                    Violation("overlap", f"{other[4]} and {box[4]}", float(np.prod((wide, high))), 0.0, "m2")
                )
        active.append(box)
    return found
