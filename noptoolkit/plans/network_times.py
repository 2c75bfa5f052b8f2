"""How long the collectives of a plan take on its package, all groups at once, with a bound for each.

* Packages of two levels (`noptoolkit.plans.two_levels`): closed form, at any size.
* Others, ``effort="certified"``: the engines of `noptoolkit.collectives` for trees and of `noptoolkit.flow`
  for messages, on the package without its memory stacks, each within ``tol`` or as near as the time limit
  allows.
* Others, ``effort="quick"``: shortest paths. Trees are taken as rings both ways in the order of the members,
  or as straight messages where those are faster: an upper bound. What every chiplet must receive and send,
  and equal prices on all channels, bound it from below.

Times are linear in bytes, so each pattern of groups is solved once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.collectives import Request, collective
from noptoolkit.errors import PlanError
from noptoolkit.flow import congestion
from noptoolkit.nodes import load_energy
from noptoolkit.package import Package
from noptoolkit.plans.exchanges import Exchange
from noptoolkit.plans.placing import Placement
from noptoolkit.plans.two_levels import TREES, Ask, two_levels_of
from noptoolkit.traffic import from_matrix

__all__ = ["Effort", "ExchangeTime", "PlanNetwork"]

Effort = Literal["quick", "certified"]
EFFORTS: tuple[Effort, ...] = ("quick", "certified")


@dataclass(frozen=True)
class ExchangeTime:
    """Time of one exchange, or of several at once.

    Parameters
    ----------
    time
        Time of the schedule found, in s.
    bound
        Lower bound for any schedule, in s.
    method
        How the time was found.
    bottleneck
        What sets it.
    joules
        Energy on the links of the schedule found, in J; links that state none count nothing.
    """

    time: float = field(metadata={"unit": "s"})
    bound: float = field(metadata={"unit": "s"})
    method: str = ""
    bottleneck: str = ""
    joules: float = field(default=0.0, metadata={"unit": "J"})

    def times(self, factor: float) -> ExchangeTime:
        """Return the time of so many times the bytes."""
        return ExchangeTime(
            self.time * factor, self.bound * factor, self.method, self.bottleneck, self.joules * factor
        )


class PlanNetwork:
    """A package that answers how long groups of its chiplets take.

    Parameters
    ----------
    package
        The package; its memory stacks take no part.
    effort
        ``certified`` or ``quick``; see the module.
    tol, time_limit
        Of one certified solve: gap at which to stop, and time in s.

    Examples
    --------
    >>> from noptoolkit import ParallelPlan, load_workload, topology
    >>> from noptoolkit.plans import exchanges_of, placed
    >>> workload = load_workload("mixtral-8x22b")
    >>> place = placed(ParallelPlan(tp=2, ep=8, pp=8), topology.dgx_h100(128))
    >>> network = PlanNetwork(place.package)
    >>> found = exchanges_of(place.plan, workload.model, workload.batch)
    >>> dispatch = next(e for e in found if e.name == "dispatch")
    >>> print(f"{1e6 * network.time(dispatch, place).time:.1f} us")
    88.1 us
    """

    def __init__(
        self, package: Package, *, effort: Effort = "certified", tol: float = 0.02, time_limit: float = 20.0
    ) -> None:
        if effort not in EFFORTS:
            raise PlanError(f"effort = {effort!r}: known: {', '.join(EFFORTS)}")
        self.package, self.effort, self.tol, self.time_limit = package, effort, tol, time_limit
        self.levels = two_levels_of(package)
        self.bare = package.without(*(m.name for m in package.memories)) if package.memories else package
        self._place = {chiplet.name: i for i, chiplet in enumerate(package.chiplets)}
        self._kept: dict[object, ExchangeTime] = {}
        self._all_hops: Floats | None = None

    def time(self, exchange: Exchange, placement: Placement) -> ExchangeTime:
        """Return how long an exchange takes once, all its groups at the same time; over a trace, the mean."""
        members = self._members(exchange, placement)
        if exchange.shares is None:
            one = self._of_kind(exchange.kind, members, None)
            return one.times(exchange.size)
        found = [self._of_kind("all-to-all", members, shares) for shares in exchange.shares]
        worst = max(found, key=lambda each: each.time)
        time, bound, joules = (
            float(np.mean([getattr(each, name) for each in found])) for name in ("time", "bound", "joules")
        )
        return ExchangeTime(time, bound, worst.method, worst.bottleneck, joules)

    def together(self, exchanges: Sequence[Exchange], placement: Placement) -> ExchangeTime:
        """Return how long several exchanges take that start at the same time, each as often as it says.

        It is at least the longest alone and at most their sum: what they lose to each other is contention
        between dimensions.
        """
        asks = []
        for exchange in exchanges:
            shares = None if exchange.shares is None else exchange.shares.mean(axis=0) * exchange.times
            size = exchange.size * exchange.times
            asks.append(Ask(exchange.kind, size, self._members(exchange, placement), shares))
        return self._solve(asks)

    def collective(self, kind: str, size: float, members: Ints) -> ExchangeTime:
        """Return how long groups take for a collective of the same kind and size each.

        Parameters
        ----------
        kind, size
            As of an `noptoolkit.plans.Exchange`, in B.
        members
            Positions of the members among the chiplets of the package, [groups, members].
        """
        return self._solve([Ask(kind, SCALE * size, members)]).times(1.0 / SCALE)

    def messages(self, members: Ints, shares: Floats) -> ExchangeTime:
        """Return how long groups take whose members send these bytes to each other, however few.

        Parameters
        ----------
        members
            Positions of the members among the chiplets of the package, [groups, members].
        shares
            Bytes from each member to each, [members, members].
        """
        return self._solve([Ask("all-to-all", 0.0, members, SCALE * shares)]).times(1.0 / SCALE)

    def _members(self, exchange: Exchange, placement: Placement) -> Ints:
        places = np.array([self._place[name] for name in placement.chiplets], np.int64)
        return np.asarray(places[exchange.ranks])

    def _of_kind(self, kind: str, members: Ints, shares: Floats | None) -> ExchangeTime:
        """Return the time of buffers of one byte (or of these shares), solved once for each pattern."""
        if kind == "reduce-scatter" and shares is None:
            dual = self._kept.get(("all-gather", members.shape, members.tobytes(), None))
            if dual is not None and self._symmetric:
                return dual
        content = None if shares is None else shares.tobytes()
        key = (kind, members.shape, members.tobytes(), content)
        if key not in self._kept:
            scale = SCALE if shares is None else 1.0
            found = self._solve([Ask(kind, scale, members, shares)])
            self._kept[key] = found.times(1.0 / scale)
        return self._kept[key]

    @property
    def _symmetric(self) -> bool:
        links = self.bare.links
        plain = all(link.backward_bandwidth == link.bandwidth for link in links)
        return plain and not any(c.injection_bandwidth or c.ejection_bandwidth for c in self.bare.chiplets)

    def _solve(self, asks: list[Ask]) -> ExchangeTime:
        if self.levels is not None:
            laid = self.levels.lay(asks)
            bound = min(self.levels.bound(asks), laid.time)
            return ExchangeTime(laid.time, bound, "two levels", laid.bottleneck, self.levels.joules(laid))
        trees = [ask for ask in asks if ask.kind in TREES]
        if self.effort == "quick":
            return self._quick(asks)
        if not trees:
            return self._messages(asks)
        return self._engine(asks)

    def _messages(self, asks: Sequence[Ask], routing: str = "optimal") -> ExchangeTime:
        matrix = self._matrix(asks)
        if not matrix.any():
            return ExchangeTime(0.0, 0.0, "nothing to carry")
        traffic = from_matrix(self.bare, matrix)
        limit = self.time_limit if routing == "optimal" else None
        found = congestion(self.bare, traffic, routing=routing, tol=self.tol, time_limit=limit)
        joules = load_energy(self.bare, found.load)
        place = str(found.bottleneck or "")
        return ExchangeTime(found.time, found.time_bound, f"flow, {found.routing}", place, joules)

    def _matrix(self, asks: Sequence[Ask]) -> Floats:
        names = [chiplet.name for chiplet in self.bare.chiplets]
        at = np.array([self.bare.terminals.index(name) for name in names], np.int64)
        count = len(self.bare.terminals)
        matrix = np.zeros((count, count))
        for ask in asks:
            source, sink, sizes = ask.pairs()
            np.add.at(matrix, (at[source], at[sink]), sizes)
        return matrix

    def _engine(self, asks: Sequence[Ask]) -> ExchangeTime:
        names = [chiplet.name for chiplet in self.bare.chiplets]
        requests = []
        for ask in asks:
            if ask.kind in TREES or ask.kind == "all-to-all":
                for group in ask.members.tolist():
                    members = [names[i] for i in group]
                    size = ask.size if ask.shares is None else None
                    requests.append(Request(ask.kind, size, members, shares=ask.shares))
                continue
            for source, sink, size in zip(*(part.tolist() for part in ask.pairs()), strict=True):
                requests.append(Request("send", size, [names[source], names[sink]]))
        found = collective(
            self.bare,
            groups=requests,
            in_network=False,
            tol=self.tol,
            time_limit=self.time_limit,
            trees=False,
        )
        joules = load_energy(self.bare, found.load)
        return ExchangeTime(found.time, found.time_bound, found.method, found.bottleneck, joules)

    def _quick(self, asks: Sequence[Ask]) -> ExchangeTime:
        straight = [ask for ask in asks if ask.kind not in TREES]
        options = []
        short = all(ask.members.shape[1] <= MOST_STRAIGHT for ask in asks)
        for way in (_as_rings, _as_messages) if short else (_as_rings,):
            laid = [*straight, *(part for ask in asks if ask.kind in TREES for part in way(ask))]
            options.append(self._messages(laid, "ecmp"))
            if len(straight) == len(asks):
                break
        best = min(options, key=lambda option: option.time)
        return ExchangeTime(best.time, self.quick_bound(asks), "shortest paths", best.bottleneck, best.joules)

    def quick_bound(self, asks: Sequence[Ask]) -> float:
        """Return what the links of each chiplet, and equal prices on all channels, prove at once, in s."""
        index = self.bare.index
        widths = np.zeros((2, len(self.bare.nodes)))
        for channel in self.bare.channels:
            widths[0, index[channel.tail]] += channel.bandwidth
            widths[1, index[channel.head]] += channel.bandwidth
        at = np.array([index[chiplet.name] for chiplet in self.bare.chiplets], np.int64)
        hops = self._hops()
        needs = np.zeros((2, len(at)))
        work = 0.0
        for ask in asks:
            if ask.kind not in TREES:
                source, sink, sizes = ask.pairs()
                np.add.at(needs[0], source, sizes)
                np.add.at(needs[1], sink, sizes)
                work += float((hops[source, sink] * sizes).sum())
                continue
            m, share = ask.members.shape[1], ask.size / ask.members.shape[1]
            whole = {
                "all-gather": (share, (m - 1) * share),
                "reduce-scatter": ((m - 1) * share, share),
                "all-reduce": (ask.size, ask.size),
            }[ask.kind]
            flat = ask.members.ravel()
            for way in (0, 1):
                np.add.at(needs[way], flat, whole[way])
            nearest = np.array([_least_tree(hops[np.ix_(group, group)]) for group in ask.members])
            work += float(nearest.sum()) * ask.size * (2 if ask.kind == "all-reduce" else 1)
        total = float(sum(channel.bandwidth for channel in self.bare.channels))
        return max(float((needs / widths[:, at]).max()), work / total)

    def _hops(self) -> Floats:
        if self._all_hops is None:
            from scipy.sparse.csgraph import shortest_path

            graph = self.bare.to_sparse()
            at = np.array([self.bare.index[chiplet.name] for chiplet in self.bare.chiplets], np.int64)
            self._all_hops = np.asarray(shortest_path(graph, unweighted=True, indices=at)[:, at])
        return self._all_hops


MOST_STRAIGHT = 64
"""Members of a group whose trees are also tried as straight messages."""

SCALE = 2.0**20
"""Bytes that a pattern is solved with."""


def _as_messages(ask: Ask) -> list[Ask]:
    """Return a collective as straight messages: every share to every member, and back for an all-reduce."""
    rounds = 2 if ask.kind == "all-reduce" else 1
    return [Ask("all-to-all", ask.size * rounds, ask.members)]


def _as_rings(ask: Ask) -> list[Ask]:
    """Return a collective as two rings of opposite direction in the order of the members."""
    m = ask.members.shape[1]
    rounds = 2 if ask.kind == "all-reduce" else 1
    each = ask.size / m * (m - 1) * rounds / 2
    return [Ask("ring", each, ask.members), Ask("ring", each, ask.members[:, ::-1])]


def _least_tree(distances: Floats) -> float:
    """Return the length of the shortest tree that spans a complete graph (Prim)."""
    best = distances[0].copy()
    best[0] = np.inf
    total = 0.0
    for _ in range(len(distances) - 1):
        nearest = int(np.argmin(best))
        total += float(best[nearest])
        best = np.minimum(best, distances[nearest])
        best[nearest] = np.inf
        distances = distances.copy()
        distances[:, nearest] = np.inf
    return total
