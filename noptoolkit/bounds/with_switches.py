"""Switches counted by their ports: a uniform all-to-all among chiplets of p ports and some switches.

From a chiplet, let x_j chiplets and z_j,k switches of k ports be j hops away. Every node that is reached
spends a port on the way back, so that

    x_1 + sum z_1 <= p,    x_(j+1) + sum z_(j+1) <= (p - 1) x_j + sum over k of (k - 1) z_j,k,
    sum of x = N - 1,      sum of z_k <= S_k,      h = the least sum of j x_j,

(p - 1 becomes 0 where chiplets do not pass traffic on), and

    T >= size max((N - 1) / (p b), N h / (b (N p + sum of k S_k))).

A switch adds its ports to the bandwidth, but a byte through it takes one hop more. The bound is loose by up
to twice where few small switches make a cut; with unlimited switches only the ports of chiplets are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csc_array

from noptoolkit._arrays import Floats, Ints
from noptoolkit._highs import run_program
from noptoolkit.bounds.ports import ports_bound
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.errors import TopologyError
from noptoolkit.traffic import Traffic
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["LevelCertificate", "all_to_all_bound"]


@dataclass(frozen=True, eq=False)
class LevelCertificate:
    """Multipliers of the rows of the distance distribution, in the order of the module; or the ports alone.

    Parameters
    ----------
    chiplets, ports
        Numbers of chiplets and of their ports.
    switches
        Number of switches by ports.
    relaying
        Whether chiplets pass traffic on.
    bandwidth, size
        Of a link per direction in B/s, and of each pair's message in B.
    shells, supply
        Multipliers of the shells (at least 0), [hops], and of the numbers of switches, [kinds].
    reached
        Multiplier of reaching all chiplets.
    """

    chiplets: int
    ports: int
    switches: tuple[tuple[int, int], ...]
    relaying: bool
    bandwidth: float
    size: float
    shells: Floats
    supply: Floats
    reached: float

    def hops(self) -> float:
        """Return the proved least sum of hops from a chiplet to all others."""
        prices = np.concatenate([self.shells, self.supply])
        if not (np.isfinite(prices) & (prices >= 0)).all() or not np.isfinite(self.reached):
            return 0.0
        mine = self.ports - 1 if self.relaying else 0
        count = len(self.shells)
        worst = 0.0
        for j in range(count):
            spare = float(self.shells[j + 1]) if j + 1 < count else 0.0
            cost = (j + 1) + float(self.shells[j]) - mine * spare - self.reached
            worst = min(worst, cost * (self.chiplets - 1))
            for (radix, number), price in zip(self.switches, self.supply.tolist(), strict=True):
                cost = float(self.shells[j]) - (radix - 1) * spare + price
                worst = min(worst, cost * number)
        found = self.reached * (self.chiplets - 1) - self.ports * float(self.shells[0])
        found -= sum(
            price * number for (_, number), price in zip(self.switches, self.supply.tolist(), strict=True)
        )
        # each column counts at most once over all its hops: the worst of them for all of it
        return float(found + worst * (1 + len(self.switches)))

    def recount(self) -> float:
        """Return the bound, in s."""
        ends = self.chiplets * self.ports + sum(radix * number for radix, number in self.switches)
        links = ends // 2
        by_hops = self.chiplets * self.hops() / (2 * links * self.bandwidth)
        return self.size * max((self.chiplets - 1) / (self.ports * self.bandwidth), by_hops)


def all_to_all_bound(
    chiplets: int,
    ports: int,
    bandwidth: Quantity,
    size: Quantity,
    *,
    switches: Sequence[int] = (),
    relaying: bool = True,
) -> TopologyBound:
    """Return a bound over all packages of these chiplets and switches for a uniform all-to-all.

    Parameters
    ----------
    chiplets, ports
        Numbers of chiplets, and of the ports that each has.
    bandwidth
        Of a link per direction, in B/s.
    size
        Of the message from each chiplet to each other, in B.
    switches
        Ports of each switch that there may be.
    relaying
        Whether chiplets pass traffic on.

    Raises
    ------
    TopologyError
        If the numbers allow no connected package.

    Examples
    --------
    >>> found = all_to_all_bound(16, 1, "1 GB/s", "1 GB", switches=[16])  # one crossbar
    >>> round(found.time, 6), found.verify()
    (15.0, True)
    >>> round(all_to_all_bound(16, 4, "1 GB/s", "1 GB").time, 6)
    6.5
    """
    rate, each = parse_quantity(bandwidth, "B/s", "bandwidth"), parse_quantity(size, "B", "size")
    if chiplets < 2 or ports < 1 or not rate > 0 or not each > 0 or any(r < 1 for r in switches):
        raise TopologyError(
            f"{chiplets} chiplets of {ports} ports of {rate:g} B/s and messages of {each:g} B: at least two "
            "chiplets, and numbers above 0, please"
        )
    if not switches and relaying:
        names = tuple(f"e{i}" for i in range(chiplets))
        return ports_bound(Traffic(names, each * (1.0 - np.eye(chiplets)), name="all-to-all"), ports, rate)
    kinds = tuple(sorted(Counter(switches).items()))
    ends = chiplets * ports + sum(switches)
    answer = _levels(chiplets, ports, kinds, relaying)
    if answer is None or ends // 2 < chiplets - 1:
        raise TopologyError(
            f"{chiplets} chiplets of {ports} ports and {len(switches)} switches cannot all be joined: the "
            "class holds no connected package; give more ports, or let chiplets relay"
        )
    certificate = LevelCertificate(chiplets, ports, kinds, relaying, rate, each, *answer)
    time = certificate.recount()
    by_ports = each * (chiplets - 1) / (ports * rate)
    some = "".join(f", {number} switches of {radix} ports" for radix, number in kinds)
    over = f"the packages of {chiplets} chiplets with {ports} ports of {format_quantity(rate, 'B/s')}{some}"
    theorem = "ports" if time <= by_ports * (1 + 1e-12) else "ports + Moore, switches by ports"
    return TopologyBound(
        time, theorem, over + ("" if relaying else ", chiplets passing nothing on"), "all-to-all", certificate
    )


def _levels(
    chiplets: int, ports: int, kinds: tuple[tuple[int, int], ...], relaying: bool
) -> tuple[Floats, Floats, float] | None:
    """Return multipliers of shells, of switches and of reaching all; ``None`` if that cannot be."""
    count = min(40, chiplets + sum(number for _, number in kinds))
    radix = np.array([ports if relaying else 1, *(k for k, _ in kinds)])
    columns = count * len(radix)
    number: Ints = np.arange(columns).reshape(count, len(radix))
    rows = np.zeros((count + len(kinds) + 1, columns))
    for j in range(count):
        rows[j, number[j]] = 1.0
        if j:
            rows[j, number[j - 1]] -= radix - 1.0
    for k in range(len(kinds)):
        rows[count + k, number[:, 1 + k]] = 1.0
    rows[-1, number[:, 0]] = 1.0
    lower = np.full(len(rows), -np.inf)
    upper = np.r_[float(ports), np.zeros(count - 1), [float(n) for _, n in kinds], chiplets - 1.0]
    lower[-1] = chiplets - 1.0
    cost = np.zeros(columns)
    cost[number[:, 0]] = np.arange(1, count + 1)
    matrix: Any = csc_array(rows)
    found = run_program(matrix, cost, lower=lower, upper=upper)
    if found is None or not found[1].any():
        return None
    duals = found[1]
    return np.maximum(-duals[:count], 0.0), np.maximum(-duals[count:-1], 0.0), float(duals[-1])
