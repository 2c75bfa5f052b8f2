"""The design program: flows and link bandwidths are variables together, over all topologies of a class.

With X_e = T x bandwidth of a candidate pair e, and f_s the flow of source s, in units of one port::

    minimise T    with    f_s carries D_s,    sum_s f_s(a) <= X_e(a)  for both directions a of e,
        sum over e at v of X_e <= T p_v,    sum of length_e X_e <= T W,    sum of X_e <= T A,
        X_e <= T                             one link a pair,
        sum over a of f_s(a) >= M_s          whole links: the Moore sum of s, `noptoolkit.bounds.moore`

It is exact where bandwidth may be split freely (``links="split"``), and a bound for whole links. Symmetries
of grid and demand fold it: one source of each orbit, one bandwidth of each orbit of pairs. Its value is not
trusted: the bound is counted from its prices (`noptoolkit.bounds.design_certificate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import block_diag, bmat, csc_array, csr_array, hstack, identity

from noptoolkit._arrays import Floats, Ints
from noptoolkit._highs import run_highs
from noptoolkit.bounds.design_certificate import DesignCertificate
from noptoolkit.bounds.moore import hops_of_row, levels
from noptoolkit.bounds.ports import near_counts
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.bounds.symmetries import plane_symmetries
from noptoolkit.bounds.topology_class import TopologyClass
from noptoolkit.errors import TopologyError, WorkloadError
from noptoolkit.traffic import Traffic

__all__ = ["Design", "FoldedClass", "demand_of", "design", "design_bound", "moore_rows"]

LARGE = 500
"""Columns beyond which the interior-point method is quicker."""


@dataclass(frozen=True, eq=False)
class Design:
    """What the program found, besides its bound.

    Parameters
    ----------
    bound
        The bound, with its certificate.
    pairs
        Candidate pairs of chiplets, [pairs, 2].
    width
        Bandwidth of each in the program's best design, in links of one port, [pairs].
    """

    bound: TopologyBound
    pairs: Ints
    width: Floats


def design_bound(traffic: Traffic, within: TopologyClass) -> TopologyBound:
    """Return a bound over all topologies of a class, from the design program.

    Parameters
    ----------
    traffic
        Demand between chiplets of the class; no messages to sets.
    within
        The class.

    Raises
    ------
    WorkloadError
        If the traffic has messages to sets, or endpoints that are not of the class.

    Examples
    --------
    >>> from noptoolkit.bounds.topology_class import grid_class
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.traffic import all_to_all
    >>> wired = grid_class(4, ports=4, bandwidth="1 GB/s", reach=2)
    >>> demand = all_to_all(mesh(4), "1 GB")
    >>> found = [design_bound(demand, wired.replace(links=rule)) for rule in ("split", "whole", "single")]
    >>> [round(one.time, 3) for one in found], all(one.verify() for one in found)
    ([6.0, 6.812, 6.812], True)
    """
    return design(traffic, within).bound


def demand_of(traffic: Traffic, within: TopologyClass) -> Floats:
    """Return the demand between the chiplets of a class, in B, [chiplets, chiplets].

    Raises
    ------
    WorkloadError
        If it has messages to sets, other endpoints with traffic, or nothing at all.
    """
    for part in (traffic.multicast, traffic.reduction):
        if part is not None and len(part):
            raise WorkloadError(
                f"traffic {traffic.name!r} has messages to sets; the design program takes demand between "
                "pairs: bound it by edge_bound, ports_bound or wire_bound"
            )
    place = {name: i for i, name in enumerate(within.names)}
    demand = np.zeros((len(within), len(within)))
    busy = traffic.demand.sum(axis=0) + traffic.demand.sum(axis=1) > 0
    lost = [name for name, some in zip(traffic.endpoints, busy, strict=True) if some and name not in place]
    if lost:
        raise WorkloadError(f"traffic {traffic.name!r}: endpoint {lost[0]!r} is no chiplet of the class")
    kept = [i for i, name in enumerate(traffic.endpoints) if name in place]
    there = [place[traffic.endpoints[i]] for i in kept]
    demand[np.ix_(there, there)] = traffic.demand[np.ix_(kept, kept)]
    if not demand.any():
        raise WorkloadError(f"traffic {traffic.name!r} carries nothing: there is no time to bound")
    return demand


def moore_rows(demand: Floats, within: TopologyClass, sources: Ints) -> Floats:
    """Return the Moore sum of some sources, in byte-hops, [sources]."""
    near = None
    ports = np.minimum(within.ports, within.allowed.sum(axis=1))
    if within.reach is not None:
        near = near_counts(within.positions, within.reach, len(within))
    found = []
    for s in sources.tolist():
        place = None if near is None else near[s]
        found.append(hops_of_row(demand[s], levels(int(ports[s]), np.delete(ports, s), place)))
    return np.array(found)


def design(traffic: Traffic, within: TopologyClass) -> Design:
    """Return the best design of the program, and its bound."""
    if within.switches or within.movable:
        raise TopologyError(
            f"{within.text()}: the design program takes chiplets alone, each at its place; "
            "bound the class by class_bound"
        )
    demand = demand_of(traffic, within)
    scale = float(demand.max())
    program = FoldedClass(demand / scale, within)
    certificate, width = program.solve(scale)
    time = certificate.value()
    theorem = {"split": "free split", "whole": "whole links + Moore", "single": "one link a pair + Moore"}
    bound = TopologyBound(
        time, f"design, {theorem[within.links]}", within.text(), traffic.name or "traffic", certificate
    )
    return Design(bound, program.pairs, width)


class FoldedClass:
    """A class and a demand, folded by their symmetry: orbits of arcs, pairs and chiplets.

    Parameters
    ----------
    demand
        Bytes between chiplets, [chiplets, chiplets].
    within
        The class.
    fold
        Whether symmetry is used, or only the turns among it; without, every pair is an orbit.
    """

    def __init__(
        self, demand: Floats, within: TopologyClass, *, fold: bool | Literal["turns"] = True
    ) -> None:
        self.demand, self.within = demand, within
        size = len(within)
        self.symmetric = bool(np.allclose(demand, demand.T, rtol=1e-12))
        images = plane_symmetries(
            within.positions if fold else None, within.ports, demand, turns=fold == "turns"
        )
        first, second = np.nonzero(np.triu(within.allowed))
        self.pairs = np.stack([first, second], axis=1)
        count = len(first)
        self.tail, self.head = np.r_[first, second], np.r_[second, first]
        key = np.full((size, size), -1)
        key[self.tail, self.head] = np.arange(2 * count)
        moved = key[images[:, self.tail], images[:, self.head]]  # [symmetries, arcs]
        edge = np.minimum(moved, key[images[:, self.head], images[:, self.tail]]).min(axis=0)
        arc = edge if self.symmetric else moved.min(axis=0)
        _, self.arc_orbit = np.unique(arc, return_inverse=True)
        _, pair_orbit = np.unique(edge[:count], return_inverse=True)
        self.pair_orbit = pair_orbit
        self.node_orbit = images.min(axis=0)
        self.sources = np.array(
            [v for v in range(size) if self.node_orbit[v] == v and demand[v].any()], dtype=np.int64
        )
        self.weight = np.array([(self.node_orbit == v).sum() for v in self.sources], dtype=float)

    def solve(self, scale: float) -> tuple[DesignCertificate, Floats]:
        """Return the certificate of the design program and the width of each pair, in links of one port.

        Parameters
        ----------
        scale
            Bytes that a demand of 1 stands for.
        """
        within, demand = self.within, self.demand
        size, arcs, count = len(within), len(self.tail), len(self.sources)
        orbits, pairs = int(self.arc_orbit.max()) + 1, int(self.pair_orbit.max()) + 1
        onto: Any = csr_array(
            (
                np.r_[np.ones(arcs), -np.ones(arcs)],
                (np.r_[self.head, self.tail], np.r_[np.arange(arcs), np.arange(arcs)]),
            ),
            shape=(size, arcs),
        )
        others = [np.delete(np.arange(size), s) for s in self.sources]
        carried = block_diag([onto[keep] for keep in others], format="csr")
        owed = np.concatenate([demand[s][keep] for s, keep in zip(self.sources, others, strict=True)])
        gather: Any = csr_array((np.ones(arcs), (self.arc_orbit, np.arange(arcs))), shape=(orbits, arcs))
        used = hstack([weight * gather for weight in self.weight], format="csr")
        pair_of_arc = np.r_[self.pair_orbit, self.pair_orbit]
        room: Any = csr_array((np.ones(arcs), (self.arc_orbit, pair_of_arc)), shape=(orbits, pairs))
        heads = np.unique(self.node_orbit)
        at: Any = csr_array((np.ones(arcs), (self.tail, pair_of_arc)), shape=(size, pairs))[heads]
        rows: list[list[Any]] = [
            [carried, None, None],
            [used, -room, None],
            [None, at, csr_array(-within.ports[heads].astype(float)[:, None])],
        ]
        lower = [owed, np.full(orbits + len(heads), -np.inf)]
        upper = [owed, np.zeros(orbits + len(heads))]
        member = np.bincount(self.pair_orbit).astype(float)
        length = np.bincount(self.pair_orbit, within.length[self.pairs[:, 0], self.pairs[:, 1]])
        for budget, each in ((within.wire, length), (within.total, member)):
            if budget is not None:
                rows.append([None, csr_array(each[None]), csr_array([[-float(budget)]])])
                lower.append(np.full(1, -np.inf))
                upper.append(np.zeros(1))
        if within.links == "single":
            rows.append([None, identity(pairs, format="csr"), csr_array(-np.ones((pairs, 1)))])
            lower.append(np.full(pairs, -np.inf))
            upper.append(np.zeros(pairs))
        moore = np.zeros(count)
        if within.links != "split":
            moore = moore_rows(demand, within, self.sources)
            if not np.isfinite(moore).all():
                raise TopologyError(f"{within.text()}: ports reach no destination; give more ports or reach")
            rows.append([csr_array(np.kron(np.eye(count), np.ones((1, arcs)))), None, None])
            lower.append(moore)
            upper.append(np.full(count, np.inf))
        matrix: Any = csc_array(bmat(rows, format="csc"))
        options: dict[str, str | float] = (
            {"solver": "ipx", "run_crossover": "off", "ipm_optimality_tolerance": 1e-9}
            if matrix.shape[1] > LARGE
            else {}
        )
        answer = run_highs(matrix, lower=np.concatenate(lower), upper=np.concatenate(upper), options=options)
        if answer is None:
            raise TopologyError(f"{within.text()}: HiGHS found no design; this is a bug in noptoolkit")
        columns, duals = answer
        return self._certificate(duals, len(owed), orbits, heads, scale), self._widths(columns)

    def _widths(self, columns: Floats) -> Floats:
        start = len(self.sources) * len(self.tail)
        return np.maximum(columns[start:-1], 0.0)[self.pair_orbit] / max(float(columns[-1]), 1e-300)

    def _certificate(
        self, duals: Floats, owed: int, orbits: int, heads: Ints, scale: float
    ) -> DesignCertificate:
        """Spread the prices over all arcs, pairs and nodes; what is proved is counted from these alone."""
        within, size = self.within, len(self.within)
        prices = np.maximum(-duals[owed:], 0.0)
        # a row of an orbit stands for all its members together: each has that row's price
        length = prices[:orbits][self.arc_orbit]
        at_node = np.zeros(size)
        members = np.array([(self.node_orbit == v).sum() for v in heads], dtype=float)
        for v, price, among in zip(heads, prices[orbits : orbits + len(heads)], members, strict=True):
            at_node[self.node_orbit == v] = price / among
        rest = prices[orbits + len(heads) :]
        wire = total = 0.0
        if within.wire is not None:
            wire, rest = float(rest[0]), rest[1:]
        if within.total is not None:
            total, rest = float(rest[0]), rest[1:]
        at_pair = np.zeros(len(self.pairs))
        if within.links == "single":
            pairs = int(self.pair_orbit.max()) + 1
            at_pair = (rest[:pairs] / np.bincount(self.pair_orbit))[self.pair_orbit]
        moore = np.zeros(size)
        if within.links != "split":
            shares = np.maximum(duals[-len(self.sources) :], 0.0) / self.weight
            for s, share in zip(self.sources, shares, strict=True):
                moore[self.node_orbit == s] = share
        forward = np.zeros((size, size))
        forward[self.tail, self.head] = length
        if self.symmetric:
            forward = (forward + forward.T) / 2
        return DesignCertificate(
            self.demand * scale, within, at_node, wire, total, self.pairs, at_pair, forward, moore
        ).fitted()
