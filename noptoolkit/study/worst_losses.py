"""The worst loss of k links or chiplets: exact where all sets can be tried, enclosed beyond.

All sets are tried, up to symmetry, where they are few. Beyond, the prices y of the intact package bound the
time after *any* loss of links from below, for prices do not depend on capacities::

    time without S >= K(y) / (y . (C - C_S))

so that losing the k links with the largest y_l C_l takes at least so long: the worst case is at least that,
and at least the slowest of the sets that are tried. Whether some k links leave a demand without a path is
answered exactly, by minimum cuts between endpoints (Menger, 1927).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from noptoolkit._seeds import generator_from
from noptoolkit.errors import NopError
from noptoolkit.network import flow_network
from noptoolkit.package import Package
from noptoolkit.progress import Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.study.loss_sets import draw_sets, pool_of
from noptoolkit.study.losses import _busy, loss_times
from noptoolkit.tables import Amount, Table
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

__all__ = ["WorstLoss", "worst_loss"]

FEW = 3000
"""Sets up to which all are tried."""


@dataclass(frozen=True)
class WorstLoss:
    """The worst loss of some parts.

    Parameters
    ----------
    of, failures
        Kind of the parts and how many are lost.
    intact
        Time without loss, in s.
    lost
        The slowest loss found that completes; empty where none does.
    time
        Its time, in s: the worst case over losses that complete if ``exact``, else at most that.
    at_least
        Lower bound on the time of the worst loss for any routing, in s; infinite where a loss is fatal.
    exact
        Whether all sets were tried.
    fatal
        Parts whose loss leaves a demand without a path, empty where no set of so many does; ``None`` where
        that is not known.
    tried, never
        Sets that were tried, and how many of them never complete (of all sets if ``exact``).
    """

    package: str
    of: str
    failures: int
    intact: float
    lost: tuple[str, ...]
    time: float
    at_least: float
    exact: bool
    fatal: tuple[str, ...] | None
    tried: int = 0
    never: int = 0

    def __repr__(self) -> str:
        return f"WorstLoss({self.failures} {self.of} of {self.package!r}: {self._said()})"

    def _said(self) -> str:
        """Return the worst case in words: a loss that never completes is worse than any time."""
        if self.fatal or self.never:
            without = f" without {', '.join(self.fatal)}" if self.fatal else " under this routing"
            worst = f"never completes{without} ({self._count()})"
            if not self.lost:
                return worst
            kind = "the worst that completes takes exactly" if self.exact else "of those tried at most"
            return f"{worst}, {kind} {format_quantity(self.time, 's')}"
        cut = "cuts not tried" if self.fatal is None else "no such loss cuts it in two"
        if self.exact:
            return f"exactly {format_quantity(self.time, 's')}, {cut}"
        slowest = max(self.time, self.at_least) if self.lost else self.at_least
        return f"at least {format_quantity(slowest, 's')}, {cut}"

    def _count(self) -> str:
        return f"{self.never} of {self.tried} sets{'' if self.exact else ' tried'}"

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return the worst loss as a table."""
        kind = "the worst of all sets" if self.exact else "the slowest of those tried"
        rows: list[tuple[object, ...]] = [("time without loss", Amount(self.intact, "s"), "")]
        if self.lost:
            rows.append(("slowest that completes", Amount(self.time, "s"), f"{', '.join(self.lost)}: {kind}"))
        if self.fatal:
            rows.append(("worst case", "never completes", f"for any routing: {self._count()}"))
        else:
            if self.never:
                rows.append(("worst case of this routing", "never completes", self._count()))
            rows.append(("worst case, at least", Amount(max(self.at_least, 0.0), "s"), "for any routing"))
        said = "not tried" if self.fatal is None else ", ".join(self.fatal) or "none of so many parts"
        rows.append(("leaves a demand without a path", "", said))
        return Table(["quantity", "value", "remark"], rows, title=repr(self))


def worst_loss(
    package: Package,
    traffic: Traffic,
    failures: int = 1,
    *,
    of: str = "links",
    routing: str | Routing = "optimal",
    tol: float = 0.01,
    trials: int = 50,
    jobs: int = 1,
    rng: int | np.random.Generator | None = 0,
    progress: Progress | None = None,
) -> WorstLoss:
    """Return the worst loss of some parts: exact where all sets can be tried, enclosed beyond.

    Parameters
    ----------
    failures, of, routing, tol, jobs
        As `noptoolkit.resilience` takes them.
    trials
        Sets to try where there are too many for all: those of the dearest parts first, then random ones.
    rng
        Seed or generator of these.

    Raises
    ------
    RoutingError
        If fewer parts are there than are to fail, or an option is out of range.

    Examples
    --------
    >>> from noptoolkit import topology, traffic
    >>> ring = topology.ring(5, link_bandwidth="1 GB/s")
    >>> found = worst_loss(ring, traffic.all_to_all(ring, "1 GB"), 2)
    >>> found.exact, found.fatal  # any two links of a ring
    (True, ('e0->e1', 'e1->e2'))
    >>> worst_loss(ring, traffic.all_to_all(ring, "1 GB"), 1).time  # 2 x 3 messages over the middle of a path
    6.0
    """
    generator = generator_from(rng)
    pool = pool_of(package, of)
    if trials < 1:
        raise NopError(f"trials={trials!r} must be a whole number from 1 up")
    draw_sets(package, of, failures, 1, generator)  # checks the numbers
    exact = comb(len(pool), failures) <= FEW
    if exact:
        losses = draw_sets(package, of, failures, None, generator)
    else:
        losses = draw_sets(package, of, failures, trials, generator)
    intact, times, bounds = loss_times(
        package, traffic, losses, routing=routing, tol=tol, jobs=jobs, report=progress
    )
    least = intact.time_bound
    if of == "links" and intact.prices.any():
        dearest, least = _dearest(package, intact.prices, intact.time_bound, failures)
        if not exact:
            more = loss_times(package, traffic, [dearest], routing=routing, tol=tol)
            losses, times = [*losses, dearest], np.r_[times, more[1]]
            bounds = np.r_[bounds, more[2]]
    finite = np.isfinite(times)
    torn = np.flatnonzero(np.isinf(bounds)).tolist()
    fatal: tuple[str, ...] | None = losses[torn[0]] if torn else () if exact else None
    if fatal is None and of == "links":
        fatal = _cut_of(package, traffic, failures)
        if fatal and np.isfinite(loss_times(package, traffic, [fatal], routing=routing, tol=tol)[2][0]):
            fatal = None  # what it separates has no demand between it
    k = int(np.argmax(np.where(finite, times, -1.0)))
    lost, time = (losses[k], float(times[k])) if finite.any() else ((), float("inf"))
    proved = float(np.max(bounds[np.isfinite(bounds)], initial=0.0))
    never = int((~finite).sum())
    if fatal:
        least = float("inf")
    least = max(least, proved)
    return WorstLoss(
        package.name, of, failures, intact.time, lost, time, least, exact, fatal, len(losses), never
    )


def _dearest(package: Package, prices: object, bound: float, failures: int) -> tuple[tuple[str, ...], float]:
    """Return the links whose loss the intact prices make worst, and the bound that they prove."""
    network = flow_network(package)
    per_channel = np.asarray(prices)[network.own[network.arc_of_channel]]
    worth = np.zeros(len(package.links))
    names: dict[int, str] = {}
    for i, channel in enumerate(package.channels):
        names.setdefault(channel.link, channel.name)
        if package.links[channel.link].half_duplex and worth[channel.link] > 0:
            continue
        worth[channel.link] += per_channel[i] * channel.bandwidth
    order = np.argsort(-worth, kind="stable")[:failures]
    total = float(np.asarray(prices) @ network.capacity)
    rest = total - float(worth[order].sum())
    least = bound * total / rest if rest > 1e-12 * total else float("inf")
    return tuple(names[i] for i in order.tolist()), least if np.isfinite(least) else bound


def _cut_of(package: Package, traffic: Traffic, failures: int) -> tuple[str, ...]:
    """Return links whose loss separates endpoints with demand: at most so many, or none."""
    import networkx as nx

    graph = nx.DiGraph()
    for channel in package.channels:
        old = graph.get_edge_data(channel.tail, channel.head, {"capacity": 0})["capacity"]
        graph.add_edge(channel.tail, channel.head, capacity=old + 1)
    busy = _busy(traffic)
    for a, b in zip(busy, [*busy[1:], busy[0]], strict=True):
        if a == b:
            continue
        value, (here, _) = nx.minimum_cut(graph, a, b)
        if value <= failures:
            first: dict[int, str] = {}
            for channel in package.channels:
                if channel.tail in here and channel.head not in here:
                    first.setdefault(channel.link, channel.name)
            return tuple(first.values())
    return ()
