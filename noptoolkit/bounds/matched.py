"""Skewed demand over whole links: the first level is a matching of demands to links, not a free choice.

Moore sums let every source choose its own neighbours, but a link serves both its ends and carries at most b
each way. With X_uv = T x links between u and v, a_uv whether there is any, g_st the bytes that go directly,
and
C = 2 b floor(sum p / 2)::

    minimise T    with    g_st <= D_st a_st,    g_st <= b X_st,
        sum over v of X_uv <= T p_u,    sum over v of a_uv <= p_u,    max(sent_u, received_u) <= T p_u b,
        sum D + (sum D - sum g) + far <= C T

where far = max(rows, columns) of the sum over i >= 2 of what lies beyond the i-th Moore level.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csc_array

from noptoolkit._arrays import Floats
from noptoolkit._highs import run_highs
from noptoolkit.bounds.moore import levels
from noptoolkit.bounds.needs import needs_of
from noptoolkit.bounds.port_counts import Ports, equal_ports
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.errors import TopologyError
from noptoolkit.traffic import Traffic
from noptoolkit.units import Quantity

__all__ = ["MatchedCertificate", "matched_bound"]

MOST = 64
"""Endpoints up to which the program is solved."""


@dataclass(frozen=True, eq=False)
class MatchedCertificate:
    """Multipliers of the program's rows, all at least 0; bandwidths in units of one link.

    Parameters
    ----------
    demand
        Bytes between endpoints, [endpoints, endpoints].
    ports
        The ports.
    bandwidth
        Of a link per direction, in B/s.
    neighbour, carried
        Of ``g_st <= D_st a_st`` and ``g_st <= X_st``, [endpoints, endpoints].
    width, degree, full
        Of ``sum X <= T p``, ``sum a <= p`` and ``sent <= T p`` or ``received <= T p``, [endpoints].
    sends
        Whether ``full`` is of what each endpoint sends, [endpoints].
    hops
        Of the byte-hops.
    """

    demand: Floats
    ports: Ports
    bandwidth: float
    neighbour: Floats
    carried: Floats
    width: Floats
    degree: Floats
    full: Floats
    hops: float

    def value(self) -> float:
        """Return the bound, in s: the least of the Lagrangian, variable by variable within its limits."""
        p = self.ports.count.astype(float)
        upper = np.triu_indices(len(p), 1)
        busier = np.maximum(self.demand.sum(axis=1), self.demand.sum(axis=0))
        direct = np.minimum(self.neighbour + self.carried - self.hops, 0.0)
        joined = self.neighbour * self.demand
        joined = self.degree[:, None] + self.degree[None] - joined - joined.T
        wide = self.width[:, None] + self.width[None] - self.carried - self.carried.T
        most = np.minimum(p[:, None], p[None])
        found = self.hops * (2 * self.demand.sum() + _far(self.demand, self.ports))
        found += self.full @ busier - self.degree @ p
        found += float((direct * self.demand).sum()) + float(np.minimum(joined, 0.0)[upper].sum())
        room = self.width @ p + self.full @ p + self.hops * 2 * (int(p.sum()) // 2)
        room -= float((np.minimum(wide, 0.0) * most)[upper].sum())
        return float(found / room / self.bandwidth)

    def recount(self) -> float:
        """Return the bound, in s, pair by pair, with best cases built as trees."""
        count = self.ports.count.tolist()
        size, total = len(count), 0
        found = room = 0.0
        for price in (self.neighbour, self.carried, self.width, self.degree, self.full, self.hops):
            if not (np.isfinite(price) & (np.asarray(price) >= 0)).all():
                return 0.0
        for u in range(size):
            sends, gets = float(self.demand[u].sum()), float(self.demand[:, u].sum())
            found += float(self.full[u]) * max(sends, gets) - float(self.degree[u]) * count[u]
            room += (float(self.width[u]) + float(self.full[u])) * count[u]
            total += count[u]
            for v in range(size):
                if u == v:
                    continue
                amount = float(self.demand[u, v])
                kept = float(self.neighbour[u, v]) + float(self.carried[u, v]) - self.hops
                found += 2 * self.hops * amount + min(0.0, kept) * amount
                if u < v:
                    gain = float(self.neighbour[u, v]) * amount
                    gain += float(self.neighbour[v, u]) * float(self.demand[v, u])
                    found += min(0.0, float(self.degree[u] + self.degree[v]) - gain)
                    lanes = float(self.carried[u, v] + self.carried[v, u])
                    room -= min(0.0, float(self.width[u] + self.width[v]) - lanes) * min(count[u], count[v])
        beyond = [sum(self._beyond(v, side) for v in range(size)) for side in (self.demand, self.demand.T)]
        found += self.hops * max(beyond)
        room += self.hops * 2 * (total // 2)
        return found / room / self.bandwidth

    def _beyond(self, root: int, demand: Floats) -> float:
        """Return the byte-hops beyond the second of the best tree of a source."""
        wanted = deque(sorted((x for x in demand[root].tolist() if x > 0), reverse=True))
        waiting = deque(sorted(np.delete(self.ports.count, root).tolist(), reverse=True))
        shell, hop, total = int(self.ports.count[root]), 0, 0.0
        while wanted:
            hop += 1
            taken = [waiting.popleft() for _ in range(min(shell, len(waiting)))]
            if not taken:
                return float("inf")
            for _ in taken[: len(wanted)]:
                total += max(hop - 2, 0) * wanted.popleft()
            shell = sum(p - 1 for p in taken)
        return total


def _far(demand: Floats, ports: Ports) -> float:
    """Return the byte-hops beyond the second that Moore's levels leave, of rows or of columns."""
    found = []
    for side in (demand, demand.T):
        total = 0.0
        for s, row in enumerate(side):
            done = np.concatenate([[0.0], np.cumsum(np.sort(row[row > 0])[::-1])])
            near = levels(int(ports.count[s]), ports.others(s))
            if int(near[-1]) < len(done) - 1:
                return float("inf")
            total += float(np.sum(done[-1] - done[np.minimum(near[2:-1], len(done) - 1)]))
        found.append(total)
    return max(found)


def matched_bound(traffic: Traffic, ports: int, bandwidth: Quantity) -> TopologyBound:
    """Return a bound over all packages of whole links for a skewed demand: the matched first level.

    Parameters
    ----------
    traffic
        Demand between at most 64 endpoints, all of which are nodes of the network; no messages to sets.
    ports, bandwidth
        As `noptoolkit.bounds.equal_ports` takes them.

    Raises
    ------
    TopologyError
        If there are too many endpoints, messages to sets, or no connected package in the class.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.traffic import permutation
    >>> found = matched_bound(permutation(mesh(2, 3), "1 GB", order=[1, 2, 3, 4, 5, 0]), 3, "1 GB/s")
    >>> round(found.time, 4), found.theorem, found.verify()
    (0.4444, 'matched first level', True)
    """
    needs = needs_of(traffic)
    if needs.entered:
        raise TopologyError(f"traffic {traffic.name!r} has messages to sets; ports_bound takes them")
    size = len(traffic.endpoints)
    if size > MOST:
        raise TopologyError(f"{size} endpoints are too many for this program; ports_bound takes any number")
    given = equal_ports(traffic, ports, bandwidth)
    rate = given.capacity / (2 * (int(given.count.sum()) // 2))
    scale = float(needs.demand.max())
    certificate = _solve(needs.demand / scale, given, rate)
    # demands larger by a factor: only the row of whole neighbours does not grow with them
    found = replace(certificate, demand=needs.demand, degree=certificate.degree * scale)
    over = f"the packages of {size} endpoints with {given.text}, wired in any way"
    return TopologyBound(found.value(), "matched first level", over, traffic.name or "traffic", found)


def _solve(demand: Floats, ports: Ports, rate: float) -> MatchedCertificate:
    size = len(demand)
    first, second = np.triu_indices(size, 1)
    pairs = len(first)
    pair = np.zeros((size, size), np.int64)
    pair[first, second] = pair[second, first] = np.arange(pairs)
    s, t = np.nonzero(demand)
    flows = len(s)
    at_x, at_a, at_t = flows, flows + pairs, flows + 2 * pairs
    each, p = np.arange(flows), ports.count.astype(float)
    parts: list[tuple[Any, Any, Any]] = []
    row = 0

    def put(rows: Any, columns: Any, values: Any) -> None:
        parts.append(
            (np.broadcast_to(rows, np.shape(columns)), columns, np.broadcast_to(values, np.shape(columns)))
        )

    put(each, each, -1.0)
    put(each, at_a + pair[s, t], demand[s, t])
    put(flows + each, each, -1.0)
    put(flows + each, at_x + pair[s, t], 1.0)
    row = 2 * flows
    for start, end in ((first, second), (second, first)):
        put(row + start, at_x + pair[start, end], -1.0)
        put(row + size + start, at_a + pair[start, end], -1.0)
    nodes = np.arange(size)
    put(row + nodes, np.full(size, at_t), p)
    put(row + 2 * size + nodes, np.full(size, at_t), p)
    hops = row + 3 * size
    put(np.full(flows, hops), each, 1.0)
    put(np.array([hops]), np.array([at_t]), 2.0 * (int(p.sum()) // 2))
    put(hops + 1 + np.arange(pairs), at_a + np.arange(pairs), -1.0)
    busier = np.maximum(demand.sum(axis=1), demand.sum(axis=0))
    far = _far(demand, ports)
    if not np.isfinite(far):
        raise TopologyError(f"{ports.text} reach no destination; give more ports")
    lower = np.concatenate([np.zeros(row + size), -p, busier, [2 * demand.sum() + far], -np.ones(pairs)])
    rows, columns, values = (np.concatenate([one[k] for one in parts]) for k in range(3))
    matrix: Any = csc_array((values, (rows, columns)), shape=(len(lower), at_t + 1))
    answer = run_highs(matrix, lower=lower, upper=np.full(len(lower), np.inf), options={})
    if answer is None:
        raise TopologyError("HiGHS found no matching of demands to links; this is a bug in noptoolkit")
    prices = np.maximum(answer[1], 0.0)
    neighbour, carried = np.zeros((2, size, size))
    neighbour[s, t], carried[s, t] = prices[:flows], prices[flows : 2 * flows]
    width, degree, full = prices[row:hops].reshape(3, size)
    return MatchedCertificate(
        demand, ports, rate, neighbour, carried, width, degree, full, float(prices[hops])
    )
