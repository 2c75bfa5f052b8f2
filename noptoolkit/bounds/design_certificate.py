"""What proves the bound of the design program: prices of ports, wire, bandwidth and pairs, Moore multipliers.

For prices pi_v, omega, alpha, sigma_e, mu_s >= 0 and any split of ``pi_u + pi_v + omega length_e + alpha +
sigma_e`` into lengths ``l_uv + l_vu``, every package of the class has, in units of one port,

    T >= sum over s of (sum over t of D_st dist_{l - mu_s}(s, t) + mu_s M_s)
         / (sum of pi_v p_v + omega W + alpha A + sum of sigma_e)

as long as no cycle has a length below 0 after mu_s is taken off.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from noptoolkit._arrays import Floats, Ints
from noptoolkit.bounds.topology_class import TopologyClass

__all__ = ["DesignCertificate"]


@dataclass(frozen=True, eq=False)
class DesignCertificate:
    """Prices of the design program.

    Parameters
    ----------
    demand
        Bytes between chiplets, [chiplets, chiplets].
    within
        The class.
    at_node
        Price of a port's bandwidth at each chiplet (pi), [chiplets].
    at_wire, at_total
        Price of bandwidth x length (omega), and of bandwidth (alpha).
    pairs, at_pair
        Candidate pairs, [pairs, 2], and the price of the rule of one link a pair (sigma), [pairs].
    length
        Length of each arc (l), [chiplets, chiplets]; 0 where there is none.
    moore
        Multiplier of the Moore sum of each source (mu), [chiplets].
    """

    demand: Floats
    within: TopologyClass
    at_node: Floats
    at_wire: float
    at_total: float
    pairs: Ints
    at_pair: Floats
    length: Floats
    moore: Floats

    def room(self) -> Floats:
        """Return what the two lengths of each pair may come to, [pairs]."""
        a, b = self.pairs.T
        room: Floats = self.at_node[a] + self.at_node[b] + self.at_wire * self.within.length[a, b]
        return room + self.at_total + self.at_pair

    def budget(self) -> float:
        """Return the worth of all budgets under the prices, in units of one port."""
        found = float(self.at_node @ self.within.ports) + float(self.at_pair.sum())
        found += self.at_wire * (self.within.wire or 0.0) + self.at_total * (self.within.total or 0.0)
        return found

    def fitted(self) -> DesignCertificate:
        """Return the certificate with lengths that use the room of their pair, and multipliers they bear.

        Equal lengths both ways bear more of the Moore multipliers; what proves more is returned.
        """
        given = self._fitted()
        if not self.moore.any() or (self.length == self.length.T).all():
            return given
        even = replace(self, length=self.length + self.length.T)._fitted()
        return max(given, even, key=lambda one: one.value())

    def _fitted(self) -> DesignCertificate:
        a, b = self.pairs.T
        room, used = self.room(), self.length[a, b] + self.length[b, a]
        share = np.where(used > 0, self.length[a, b] / np.maximum(used, 1e-300), 0.5)
        length = np.zeros_like(self.length)
        length[a, b], length[b, a] = room * share, room * (1 - share)
        least = min(float(length[a, b].min()), float(length[b, a].min()))
        return replace(self, length=length, moore=np.minimum(self.moore, least))

    def value(self) -> float:
        """Return the bound, in s."""
        from noptoolkit.bounds.designs import moore_rows

        a, b = self.pairs.T
        tail, head = np.r_[a, b], np.r_[b, a]
        sources = np.flatnonzero(self.demand.any(axis=1))
        sums = np.zeros(len(self.demand))
        if self.moore.any():
            sums[sources] = moore_rows(self.demand, self.within, sources)
        total = 0.0
        for mu in np.unique(self.moore[sources]).tolist():
            mine = sources[self.moore[sources] == mu]
            left = np.maximum(self.length[tail, head] - mu, 0.0) + 1e-300  # 0 is no arc to scipy
            graph = csr_array((left, (tail, head)), shape=self.length.shape)
            near = dijkstra(graph, indices=mine)
            wanted = self.demand[mine]
            total += float((wanted * np.where(wanted > 0, near, 0.0)).sum()) + mu * float(sums[mine].sum())
        return total / (self.budget() * self.within.bandwidth)

    def recount(self) -> float:
        """Return the bound, in s: distances relaxed node by node, Moore sums from trees that are built.

        A certificate whose prices break a rule proves nothing: 0.
        """
        size = len(self.demand)
        prices = (self.at_node, self.at_pair, self.moore, self.length, self.at_wire, self.at_total)
        if not all((np.isfinite(price) & (np.asarray(price) >= 0)).all() for price in prices):
            return 0.0
        listed = np.zeros((size, size), dtype=bool)
        for (a, b), sigma in zip(self.pairs.tolist(), self.at_pair.tolist(), strict=True):
            may = self.at_node[a] + self.at_node[b] + self.at_total + sigma
            may += self.at_wire * float(self.within.length[a, b])
            if self.length[a, b] + self.length[b, a] > may * (1 + 1e-9):
                return 0.0
            listed[a, b] = listed[b, a] = True
        if (listed != self.within.allowed).any():
            return 0.0
        for what, price in (
            ("wire", self.at_wire),
            ("total", self.at_total),
            ("single", float(self.at_pair.max(initial=0.0))),
        ):
            priced = self.within.links == what if what == "single" else getattr(self.within, what) is not None
            if price > 0 and not priced:
                return 0.0
        if self.moore.any() and (
            self.within.links == "split" or self.moore.max() > self.length[listed].min()
        ):
            return 0.0
        total = 0.0
        near: dict[float, Floats] = {}
        for s in range(size):
            mu = float(self.moore[s])
            if mu not in near:
                apart = np.where(listed, self.length - mu, np.inf)
                np.fill_diagonal(apart, 0.0)
                for middle in range(size):
                    apart = np.minimum(apart, apart[:, middle, None] + apart[middle])
                near[mu] = apart
            wanted = self.demand[s] > 0
            total += float(self.demand[s][wanted] @ near[mu][s][wanted])
            if mu > 0:
                total += mu * self._best_tree(s)
        return total / (self.budget() * self.within.bandwidth)

    def _best_tree(self, root: int) -> float:
        """Return the byte-hops of the best tree that ports and reach allow from a source."""
        reachable = self.within.allowed.sum(axis=1).tolist()
        ports = [min(p, r) for p, r in zip(self.within.ports.tolist(), reachable, strict=True)]
        apart, reach = self.within.length[root], self.within.reach
        waiting = deque(sorted((p for v, p in enumerate(ports) if v != root), reverse=True))
        wanted = deque(sorted((x for x in self.demand[root].tolist() if x > 0), reverse=True))
        free, placed, hop, total = ports[root], 0, 0, 0.0
        while wanted and waiting:
            hop += 1
            fit = len(apart) - 1
            if reach is not None:
                fit = sum(1 for v, x in enumerate(apart.tolist()) if v != root and x <= hop * reach + 1e-9)
            taken = [waiting.popleft() for _ in range(max(0, min(free, len(waiting), fit - placed)))]
            for _ in taken[: len(wanted)]:
                total += hop * wanted.popleft()
            placed += len(taken)
            free += sum(max(p - 1, 0) for p in taken) - len(taken)
            if not taken and fit >= len(apart) - 1:
                return float("inf")
        return total
