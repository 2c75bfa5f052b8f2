"""Die edge that may be split freely: over all topologies, widths, switches and copying.

A node v needs bandwidth for its busier direction: links are equal both ways, so that its ends take
2 max(sent_v, received_v) / T of edge (both directions, as `noptoolkit.physical.MEASURES` counts). With F the
edge of all chiplets together,

    T >= sum over v of 2 max(sent_v, received_v) / F.

*Chiplet ends* count the edges of chiplets alone, so that switches are free: one hub that copies and adds,
with links as wide as their chiplets need, attains it for any traffic. *All dies* counts both ends of every
link, which is the bandwidth of all links together: the same numerator over a larger edge. There switches must
be paid for; one root and messages to sets attain it with chiplets that copy, fully connected: a token visits
its members in a chain of random order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.bounds.needs import Needs, needs_of
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.errors import TopologyError
from noptoolkit.traffic import Traffic
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["Counted", "EdgeCertificate", "edge_bound", "recounted"]

Counted = Literal["chiplet ends", "all dies"]
"""Which ends of links take edge: those at chiplets, or both ends of every link."""


@dataclass(frozen=True, eq=False)
class EdgeCertificate:
    """Equal prices on all edge.

    Parameters
    ----------
    needs
        What is asked.
    edge
        Edge of all dies that count, both directions, in B/s.
    equal_ways
        Whether every link has one bandwidth for both directions.
    """

    needs: Needs
    edge: float
    equal_ways: bool

    def recount(self) -> float:
        """Return the time, every byte added up message by message."""
        sent, received = recounted(self.needs.traffic, self.needs.copies)
        each = 2 * np.maximum(sent, received) if self.equal_ways else sent + received
        return float(each.sum()) / self.edge


def recounted(traffic: Traffic, copies: bool) -> tuple[Floats, Floats]:
    """Return bytes sent and received by each endpoint, counted message by message."""
    sent, received = traffic.demand.sum(axis=1), traffic.demand.sum(axis=0)
    every = (1 << len(traffic.endpoints)) - 1
    for part, leaves, enters in (
        (traffic.multicast, sent, received),
        (traffic.reduction, received, sent),
    ):
        if part is None:
            continue
        for root, words, amount in zip(
            part.root.tolist(), part.members.tolist(), part.bytes.tolist(), strict=True
        ):
            bits = sum(word << (64 * i) for i, word in enumerate(words)) & every & ~(1 << root)
            if bits:
                leaves[root] += amount if copies else amount * bits.bit_count()
            while bits:
                low = bits & -bits
                enters[low.bit_length() - 1] += amount
                bits ^= low
    return sent, received


def edge_bound(
    traffic: Traffic,
    edge: Quantity,
    *,
    counted: Counted = "chiplet ends",
    copies: bool = True,
    equal_ways: bool = True,
) -> TopologyBound:
    """Return a bound over all packages whose dies have so much edge, split in any way.

    Parameters
    ----------
    edge
        Bandwidth through the edges that count, of all together, both directions, in B/s: ``beachfront`` or
        ``bandwidth`` (twice: both ends) of `noptoolkit.physical.MEASURES`.
    counted
        Which edges count.
    copies
        Whether the network may copy messages to sets, and add reductions, wherever it likes.
    equal_ways
        Whether every link has one bandwidth for both directions; without, half as much may do.

    Raises
    ------
    TopologyError
        If there is no edge.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.traffic import all_to_all
    >>> found = edge_bound(all_to_all(mesh(2), "1 MB"), "8 GB/s")
    >>> round(1e3 * found.time, 6), found.verify()
    (3.0, True)
    """
    if counted not in ("chiplet ends", "all dies"):
        raise TopologyError(f"counted {counted!r} is not known; give 'chiplet ends' or 'all dies'")
    room = parse_quantity(edge, "B/s", "edge")
    if not room > 0 or not np.isfinite(room):
        raise TopologyError(f"an edge of {room:g} B/s lets nothing through; give more than 0")
    needs = needs_of(traffic, copies=copies)
    each = 2 * needs.busier_way if equal_ways else needs.sent + needs.received
    how = "copying and adding anywhere" if copies else "copying nowhere"
    where = "at the edges of chiplets (switches are free)" if counted == "chiplet ends" else "at all dies"
    ways = "" if equal_ways else ", links of any two bandwidths"
    over = f"the packages with {format_quantity(room, 'B/s')} {where}, split in any way{ways}, {how}"
    certificate = EdgeCertificate(needs, room, equal_ways)
    time = float(each.sum()) / room
    theorem = f"free split of the edge, {counted}"
    return TopologyBound(time, theorem, over, traffic.name or "traffic", certificate)
