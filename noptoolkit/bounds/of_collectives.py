"""Collectives over all topologies: how long one takes on any package of N chiplets with p ports of b each.

==========================  ==============================================  ==========================
kind                        bound (M bytes of buffer)                       proof
==========================  ==============================================  ==========================
broadcast, reduce           M / (p b)                                       every member's ports
scatter, gather             M (N - 1) / (N p b)                             the root's ports
all-gather, reduce-scatter  M (N - 1) / (N p b)                             every member's ports
all-reduce                  M (N - 1) / (b floor(N p / 2))                  strength of the partition into
                                                                            single chiplets (2.3 of
                                                                            the concept page)
all-to-all                  ports and Moore sums of M / N for every pair    `noptoolkit.bounds.moore`
==========================  ==============================================  ==========================

Switches do not add, and nothing is coded. If N p is odd, one port stays free: the chiplet that has it
receives over p - 1 ports in a broadcast or an all-gather. Every p-edge-connected p-regular graph attains all
but the last (Edmonds 1973; Nash-Williams and Tutte 1961), and Harary's graphs are such for every N > p >= 2:
without a limit of reach, topology decides traffic like all-to-all only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from noptoolkit._names import did_you_mean
from noptoolkit._numbers import is_whole
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.bounds.with_switches import all_to_all_bound
from noptoolkit.errors import TopologyError, UnknownNameError
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["CountCertificate", "collective_bound"]

ROOTED = ("broadcast", "reduce", "scatter", "gather")
SHARED = ("all-gather", "reduce-scatter", "all-reduce", "all-to-all")


@dataclass(frozen=True)
class CountCertificate:
    """What one chiplet, or all, must move, and the links that there are.

    Parameters
    ----------
    kind
        Kind of collective.
    chiplets, ports
        Numbers of chiplets and of their ports.
    bandwidth, size
        In B/s and B.
    """

    kind: str
    chiplets: int
    ports: int
    bandwidth: float
    size: float

    def recount(self) -> float:
        """Return the bound, in s, in exact fractions of the buffer."""
        count, ends = self.chiplets, self.chiplets * self.ports
        least = min(self.ports, ends - (ends % 2) - (count - 1) * self.ports) if ends % 2 else self.ports
        if self.kind in ("broadcast", "reduce"):
            share = Fraction(1, least)
        elif self.kind in ("scatter", "gather"):
            share = Fraction(count - 1, count * self.ports)
        elif self.kind == "all-reduce":
            share = Fraction(count - 1, ends // 2)
        else:
            share = Fraction(count - 1, count * least)
        return float(share) * self.size / self.bandwidth


def collective_bound(
    kind: str, size: Quantity, chiplets: int, ports: int, bandwidth: Quantity
) -> TopologyBound:
    """Return a bound over all packages of equal chiplets for a collective among all of them.

    Parameters
    ----------
    kind, size
        As `noptoolkit.collectives.collective` takes them.
    chiplets, ports, bandwidth
        Numbers of chiplets and of the ports of each, and bandwidth of a link per direction, in B/s.

    Raises
    ------
    TopologyError
        If the numbers allow no connected package.
    UnknownNameError
        If there is no such kind.

    Examples
    --------
    >>> [round(collective_bound(kind, "16 GB", 16, 4, "1 GB/s").time, 6)
    ...  for kind in ("broadcast", "all-gather", "all-reduce", "all-to-all")]
    [4.0, 3.75, 7.5, 6.5]
    """
    if kind not in ROOTED + SHARED:
        raise UnknownNameError(f"no collective {kind!r}; {did_you_mean(kind, ROOTED + SHARED)}")
    rate, amount = parse_quantity(bandwidth, "B/s", "bandwidth"), parse_quantity(size, "B", "size")
    if not (is_whole(chiplets) and is_whole(ports)):
        raise TopologyError(f"{chiplets!r} chiplets of {ports!r} ports: give whole numbers")
    if kind == "all-to-all":
        return all_to_all_bound(chiplets, ports, rate, amount / max(chiplets, 1))
    if chiplets < 2 or ports < 1 or chiplets * ports // 2 < chiplets - 1:
        raise TopologyError(
            f"{chiplets} chiplets of {ports} ports cannot all be joined: the class holds no connected package"
        )
    if not rate > 0 or not amount > 0:
        raise TopologyError(f"{amount:g} B over links of {rate:g} B/s: give more than 0 of both")
    certificate = CountCertificate(kind, chiplets, ports, rate, amount)
    ends = chiplets * ports
    least = ports - ends % 2
    time = amount / rate
    if kind in ("broadcast", "reduce"):
        time /= least
    elif kind in ("scatter", "gather"):
        time *= (chiplets - 1) / chiplets / ports
    elif kind == "all-reduce":
        time *= (chiplets - 1) / (ends // 2)
    else:
        time *= (chiplets - 1) / chiplets / least
    theorem = "strength of single chiplets" if kind == "all-reduce" else "ports"
    over = f"the packages of {chiplets} chiplets with {ports} ports of {format_quantity(rate, 'B/s')}"
    return TopologyBound(time, theorem, over, kind, certificate)
