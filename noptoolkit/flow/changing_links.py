"""Certified times of one demand on graphs of the same nodes whose links change: what a search needs.

No package is built. Each solve starts where the last one ended: flows on the links that stayed, the prices of
all nodes, and for a new link the price at which it shortens no path. Those prices alone bound the new graph,

    T >= (sum of D dist_y) / (y . c),

which rules most changes out before they are solved. A solve ends with a flow that carries everything and
prices that no routing beats, as `noptoolkit.congestion` does; only its starts are borrowed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, eye_array
from scipy.sparse.csgraph import dijkstra

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import RoutingError
from noptoolkit.flow.bounds.program import FlowProgram
from noptoolkit.flow.optimal.first_order import solve_first_order
from noptoolkit.flow.optimal.portfolio import solve_program
from noptoolkit.flow.optimal.solution import Iterate

__all__ = ["CertifiedTime", "ChangingLinks"]


@dataclass(frozen=True, eq=False)
class CertifiedTime:
    """An interval that holds the least time of a graph.

    Parameters
    ----------
    time
        Time of a routing, in s; infinite where the bound was enough.
    bound
        No routing is faster, in s.
    tail, head
        Arcs, sorted by tail, [arcs].
    price
        Prices that prove the bound, [arcs].
    load
        Of the routing, in B, [arcs].
    """

    time: float
    bound: float
    tail: Ints
    head: Ints
    price: Floats
    load: Floats

    @property
    def gap(self) -> float:
        """Time over bound - 1."""
        return self.time / self.bound - 1.0


class ChangingLinks:
    """The times of a demand on one graph after another.

    Parameters
    ----------
    demand
        Bytes between nodes, [nodes, nodes].

    Examples
    --------
    >>> ring = np.array([(0, 1), (1, 2), (2, 3), (0, 3)])
    >>> solver = ChangingLinks(1 - np.eye(4))
    >>> found = solver.solve(ring, np.ones(4))
    >>> round(found.time, 2), round(found.bound, 2)
    (2.0, 2.0)
    >>> more = np.array([(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (1, 3)])
    >>> solver.bound(more, np.ones(6)) <= solver.solve(more, np.ones(6)).time
    True
    """

    def __init__(self, demand: Floats) -> None:
        given = np.asarray(demand, dtype=float)
        size = len(given)
        if given.shape != (size, size) or not np.isfinite(given).all() or (given < 0).any():
            raise RoutingError(f"demand of shape {given.shape}: give [nodes, nodes] bytes, none negative")
        self.demand = np.where(np.eye(size, dtype=bool), 0.0, given)
        self.size = size
        self.ends = np.flatnonzero(self.demand.any(axis=1))
        if not len(self.ends):
            raise RoutingError("nothing is to be carried: there is no time to find")
        self.unit = float(self.demand.sum()) / len(self.ends)
        self.solves = 0
        self._last: tuple[Ints, Floats, Iterate] | None = None  # keys of arcs, their prices

    def _arcs(self, links: Ints, capacity: Floats) -> tuple[Ints, Ints, Floats]:
        """Return both ways of all links, sorted by tail and head."""
        ends = np.asarray(links, dtype=np.int64).reshape(-1, 2)
        room = np.broadcast_to(np.asarray(capacity, dtype=float), (len(ends),))
        if len(ends) and (ends.min() < 0 or ends.max() >= self.size or (ends[:, 0] == ends[:, 1]).any()):
            raise RoutingError(f"links join two of the nodes 0 to {self.size - 1}")
        if not (room > 0).all() or not np.isfinite(room).all():
            raise RoutingError("every link needs a bandwidth above 0")
        tail, head = np.r_[ends[:, 0], ends[:, 1]], np.r_[ends[:, 1], ends[:, 0]]
        order = np.lexsort((head, tail))
        return tail[order], head[order], np.r_[room, room][order]

    def _start(self, tail: Ints, head: Ints) -> tuple[Floats, Iterate | None]:
        """Return prices of some arcs from those of the last graph, and where to go on from."""
        if self._last is None:
            return np.ones(len(tail)), None
        before, old_price, iterate = self._last
        keys = tail * self.size + head
        at = np.minimum(np.searchsorted(before, keys), len(before) - 1)
        stays = before[at] == keys
        price = old_price[at]
        if not stays.all():
            shape = (self.size, self.size)
            graph = csr_array((old_price, (before // self.size, before % self.size)), shape=shape)
            rows = np.unique(tail[~stays])
            apart = dijkstra(graph, indices=rows)[np.searchsorted(rows, tail[~stays]), head[~stays]]
            price[~stays] = np.where(np.isfinite(apart), apart, float(old_price.max()))
        flow = np.zeros((iterate.flow.shape[0], len(tail), iterate.flow.shape[2]), np.float32)
        flow[:, stays] = iterate.flow[:, at[stays]]
        return price, Iterate(flow, iterate.price, price, iterate.omega)

    def bound(self, links: Ints, capacity: Floats) -> float:
        """Return what the prices of the last solve prove of a graph, in s; infinite if demand has no path.

        Parameters
        ----------
        links
            Nodes of each link, [links, 2].
        capacity
            Bandwidth of each, either way, in B/s, [links].
        """
        tail, head, room = self._arcs(links, capacity)
        price, _ = self._start(tail, head)
        return self._proved(tail, head, room, price)

    def _proved(self, tail: Ints, head: Ints, room: Floats, price: Floats) -> float:
        worth = float(price @ room)
        graph = csr_array((price + 1e-12 * price.max(), (tail, head)), shape=(self.size, self.size))
        near = dijkstra(graph, indices=self.ends)
        owed = self.demand[self.ends]
        if not np.isfinite(near[owed > 0]).all():
            return np.inf
        return float((owed * np.where(owed > 0, near, 0.0)).sum()) / (worth * (1 + 1e-9))

    def solve(
        self, links: Ints, capacity: Floats, *, tol: float = 1e-2, above: float = np.inf
    ) -> CertifiedTime:
        """Return the time of a graph, within a tolerance of a bound on all routings.

        Parameters
        ----------
        links, capacity
            As `bound` takes them.
        tol
            Gap at which to stop.
        above
            Bound in s at which to stop too: the graph is ruled out.

        Raises
        ------
        RoutingError
            If a link is none.
        """
        tail, head, room = self._arcs(links, capacity)
        price, start = self._start(tail, head)
        least = self._proved(tail, head, room, price)
        if least >= above or not np.isfinite(least):
            return CertifiedTime(np.inf, least, tail, head, price, np.zeros(len(tail)))
        mean = float(room.mean())
        program = FlowProgram(
            self.size,
            tail,
            head,
            csr_array(eye_array(len(tail))),
            room / mean,
            np.zeros(len(tail)),
            self.ends,
            self.demand[self.ends] / self.unit,
            0.0,
        )
        found = solve_first_order(program, tol=tol, start=start, above=above * mean / self.unit)
        self.solves += 1
        second = self.unit / mean
        assert found.iterate is not None
        reached = found.iterate
        if found.time > found.bound * (1 + tol) and found.bound * second < above:
            found = solve_program(program, tol=tol)  # warm starts can stand still where demand is skewed
        self._last = tail * self.size + head, found.prices, reached
        load = found.flow.sum(axis=0) * self.unit
        return CertifiedTime(found.time * second, found.bound * second, tail, head, found.prices, load)
