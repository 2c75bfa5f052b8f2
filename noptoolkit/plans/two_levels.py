"""Collectives of many groups at once on nodes behind a switch each and a network of cards, in closed form.

Schedules first keep what they can in the node. With m members of a group in k nodes, c of them in a member's
own, and shares of M/m bytes: an all-gather takes each share once over a card into every other node, spread
over the node's members, which pass it on through the switch. A member's card sends k - 1 shares and receives
(m - c)/c, its switch link sends (c - 1)(1 + (m - c)/c) and receives the rest of m - 1. Reduce-scatter is that
reversed, all-reduce both. All other kinds go straight: within the node by its switch, else by the sender's
card, or, where that is faster, in equal parts by all cards of the sender's node to their twins in the
receiver's. Then, where cards have less to do than the links to the switches, the same share of all that stays
in a node goes by the cards instead, until both take as long. Loads of all groups add up; the time is the
busiest link's.

Bounds hold for any schedule and any routing: what a chiplet must receive or send over both its links; what
a node must over its cards; and prices on the two kinds of links (a group's cheapest trees under the prices
over what all links are worth). Of equal groups that cover equal nodes, time and bound are the same: with n
members, c of them in each node, and w bytes that every member owns,

* all-gather, reduce-scatter: T = max((n - 1) w / (inner + card), (n - c) w / (c card));
* all-to-all, w / n to each: T = max((1 - 1/n) w / (inner + card), (1 - c/n) w / card).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.nodes import link_energy
from noptoolkit.package import Chiplet, Memory, Package, Switch

__all__ = ["TREES", "Ask", "Laid", "TwoLevels", "two_levels_of"]


@dataclass(frozen=True, eq=False)
class Ask:
    """Groups that do the same at the same time.

    Parameters
    ----------
    kind
        As in an `noptoolkit.plans.Exchange`.
    size
        Bytes of each group's buffer.
    members
        Positions of the members among the chiplets of the package, [groups, members].
    shares
        Bytes from each member to each, [members, members]; of an ``all-to-all``.
    """

    kind: str
    size: float
    members: Ints
    shares: Floats | None = None

    def pairs(self) -> tuple[Ints, Ints, Floats]:
        """Return source, destination and bytes of every message, of kinds that go straight."""
        count = self.members.shape[1]
        if self.kind == "send":
            source, sink = self.members[:, 0], self.members[:, 1]
            return source, sink, np.full(len(source), self.size)
        if self.kind == "ring":
            source, sink = self.members.ravel(), np.roll(self.members, -1, axis=1).ravel()
            return source, sink, np.full(len(source), self.size)
        sizes = np.full((count, count), self.size / count) if self.shares is None else self.shares
        one, other = np.nonzero(~np.eye(count, dtype=bool))
        source, sink = self.members[:, one].ravel(), self.members[:, other].ravel()
        return source, sink, np.tile(sizes[one, other], len(self.members))


class Laid(NamedTuple):
    """What a schedule puts on the links.

    Parameters
    ----------
    time
        Of the busiest link, in s.
    bottleneck
        Its kind and direction; empty without bytes.
    loads
        Bytes on each link of a kind, ``inner in`` and so on by chiplet, ``spine in`` and ``out`` by rail.
    """

    time: float
    bottleneck: str
    loads: dict[str, Floats]


@dataclass(frozen=True, eq=False)
class TwoLevels:
    """A package of two levels as arrays.

    Parameters
    ----------
    node, rail
        Node of each chiplet, and its switch of the network, [chiplets].
    inner, card
        Bandwidth of a chiplet's link to its node's switch and to the network, in B/s; 0 where there is none.
    spine
        Bandwidth of each rail to the spine, in B/s, [rails]; infinite without a spine.
    energy
        Mean energy of a byte on a link to a node's switch, of the network and to the spine, in J/B; what is
        not stated counts nothing.
    """

    node: Ints
    rail: Ints
    inner: float
    card: float
    spine: Floats
    energy: dict[str, float] = field(default_factory=dict)

    def lay(self, asks: Sequence[Ask]) -> Laid:
        """Return the faster of the two schedules of everything at once; see the module."""
        found = self._balanced(self._loads(asks, every_card=False))
        straight = any(ask.kind not in TREES for ask in asks)
        if straight and self._twins and found.bottleneck.startswith((ROLES["card"], ROLES["spine"])):
            found = min(found, self._balanced(self._loads(asks, every_card=True)), key=lambda laid: laid.time)
        return found

    def joules(self, laid: Laid) -> float:
        """Return the energy of what a schedule puts on the links, in J."""
        return sum(
            self.energy.get(name.split()[0], 0.0) * float(load.sum()) for name, load in laid.loads.items()
        )

    @cached_property
    def _twins(self) -> bool:
        """Whether every node has as many cards on each rail as every other."""
        rails = [np.sort(self.rail[self.node == n]).tolist() for n in range(int(self.node.max()) + 1)]
        return all(each == rails[0] for each in rails)

    def _loads(self, asks: Sequence[Ask], *, every_card: bool) -> dict[str, Floats]:
        """Return the bytes on each link of a kind where what can stays in its node."""
        count = len(self.node)
        found = {name: np.zeros(count) for name in LINKS}
        found["spine in"], found["spine out"] = np.zeros(len(self.spine)), np.zeros(len(self.spine))
        for ask in asks:
            if ask.kind in TREES:
                self._trees(ask, found)
            else:
                self._straight(ask, found, every_card=every_card)
        return found

    def _straight(self, ask: Ask, found: dict[str, Floats], *, every_card: bool) -> None:
        source, sink, sizes = ask.pairs()
        count, rails = len(self.node), len(self.spine)
        near = self.node[source] == self.node[sink]
        found["inner out"] += np.bincount(source[near], sizes[near], count)
        found["inner in"] += np.bincount(sink[near], sizes[near], count)
        source, sink, sizes = source[~near], sink[~near], sizes[~near]
        sent, received = np.bincount(source, sizes, count), np.bincount(sink, sizes, count)
        if not every_card:
            found["card out"] += sent
            found["card in"] += received
            cross = self.rail[source] != self.rail[sink]
            found["spine out"] += np.bincount(self.rail[source[cross]], sizes[cross], rails)
            found["spine in"] += np.bincount(self.rail[sink[cross]], sizes[cross], rails)
            return
        each = np.bincount(self.node)[self.node]
        for way, other, own in (("out", "in", sent), ("in", "out", received)):
            mean = np.bincount(self.node, own)[self.node] / each
            kept = own / each  # by its own card
            found[f"card {way}"] += mean
            found[f"inner {way}"] += own - kept
            found[f"inner {other}"] += mean - kept

    def _trees(self, ask: Ask, found: dict[str, Floats]) -> None:
        inside, nodes = self._spread(ask.members)
        m, count = ask.members.shape[1], len(self.node)
        share = ask.size / m
        over = (m - inside) / inside
        loads = {
            "card in": over,
            "card out": np.repeat(nodes[:, None] - 1.0, m, axis=1),
            "inner in": m - 1 - over,
            "inner out": (inside - 1) * (1 + over),
        }
        flat = ask.members.ravel()
        for name, load in loads.items():
            back = name.replace(" in", " OUT").replace(" out", " in").replace("OUT", "out")
            values = np.bincount(flat, (load * share).ravel(), count)
            if ask.kind != "reduce-scatter":
                found[name] += values
            if ask.kind != "all-gather":
                found[back] += values
        rails = self.rail[ask.members]
        alike = (rails == rails[:, :1]).all() or bool((inside > 1).all() and np.ptp(inside) == 0)
        if not alike:
            for name, part in (("spine in", "card in"), ("spine out", "card out")):
                found[name] += np.bincount(self.rail[flat], (loads[part] * share).ravel(), len(self.spine))

    def _spread(self, members: Ints) -> tuple[Floats, Floats]:
        """Return members in each member's own node, [groups, members], and nodes of each group, [groups]."""
        homes = self.node[members]
        inside = (homes[:, :, None] == homes[:, None, :]).sum(axis=2).astype(float)
        return inside, np.round((1.0 / inside).sum(axis=1))

    def _balanced(self, loads: dict[str, Floats]) -> Laid:
        """Return loads of which a share of what stays in nodes goes by the cards, and their time."""
        moved: dict[str, Floats] = {name: np.zeros_like(load) for name, load in loads.items()}
        if self.card:
            for way in ("in", "out"):
                near = loads[f"inner {way}"]
                moved[f"inner {way}"] = -near
                moved[f"card {way}"] = near
                moved[f"spine {way}"] = np.bincount(self.rail, near, len(self.spine)).astype(float)
        width: dict[str, float | Floats] = {"inner": self.inner, "card": self.card, "spine": self.spine}
        busy = {
            name: (load / width[name.split()[0]], moved[name] / width[name.split()[0]])
            for name, load in loads.items()
            if load.any() or moved[name].any()
        }
        own = max((float(t.max()) for name, (t, _) in busy.items() if name.startswith("inner")), default=0.0)
        share = 0.0
        if own > 0 and self.card:
            others = [part for name, part in busy.items() if not name.startswith("inner")]
            share = max(0.0, min(float(((own - t) / (own + more)).min()) for t, more in others))
        times = {name: float((t + share * more).max()) for name, (t, more) in busy.items()}
        if not max(times.values(), default=0.0) > 0:
            return Laid(0.0, "", loads)
        worst = max(times, key=lambda name: times[name])
        role, way = worst.split()
        laid = {name: load + share * moved[name] for name, load in loads.items()}
        return Laid(times[worst], f"{ROLES[role]}, {way}", laid)

    def bound(self, asks: Sequence[Ask]) -> float:
        """Return a lower bound on the time, for any schedule and routing, in s."""
        count, nodes = len(self.node), int(self.node.max()) + 1
        chiplet = {"in": np.zeros(count), "out": np.zeros(count)}
        node = {"in": np.zeros(nodes), "out": np.zeros(nodes)}
        prices = np.array([[1.0, 1.0], [0.0, 1.0], [1.0 / self.inner, 1.0 / (self.card or self.inner)]])
        prices = prices if self.card else np.array([[1.0, 0.0]])
        near = 2 * (prices.min(axis=1) if self.card else prices[:, 0])
        far = 2 * prices[:, 1]
        cost = np.zeros(len(prices))
        for ask in asks:
            self._needs(ask, chiplet, node)
            cost += self._cost(ask, near, far)
        worth = 2 * count * (prices @ np.array([self.inner, self.card]))
        found = [float((cost / worth).max())]
        found += [float(needed.max()) / (self.inner + self.card) for needed in chiplet.values()]
        if self.card:
            cards = self.card * np.bincount(self.node, minlength=nodes)
            found += [float((needed / cards).max()) for needed in node.values()]
        return max(found)

    def _needs(self, ask: Ask, chiplet: dict[str, Floats], node: dict[str, Floats]) -> None:
        """Add what each chiplet and each node must receive and send under any schedule."""
        count, nodes = len(self.node), len(node["in"])
        if ask.kind not in TREES:
            source, sink, sizes = ask.pairs()
            far = self.node[source] != self.node[sink]
            for way, end in (("out", source), ("in", sink)):
                chiplet[way] += np.bincount(end, sizes, count)
                node[way] += np.bincount(self.node[end[far]], sizes[far], nodes)
            return
        m = ask.members.shape[1]
        share = ask.size / m
        inside, _ = self._spread(ask.members)
        if ask.kind == "all-reduce":
            needs = {"in": np.full(inside.shape, ask.size), "out": np.full(inside.shape, ask.size)}
            own = {"in": ask.size, "out": ask.size}
        else:
            ahead = ask.kind == "all-gather"
            many, few = (m - inside) * share, inside * share
            needs = {"in": many if ahead else few, "out": few if ahead else many}
            own = {"in": (m - 1) * share if ahead else share, "out": share if ahead else (m - 1) * share}
        homes, crossing = self.node[ask.members].ravel(), inside < m
        for way in ("in", "out"):
            node[way] += np.bincount(homes, (needs[way] * crossing / inside).ravel(), nodes)
            chiplet[way] += own[way] * np.bincount(ask.members.ravel(), minlength=count)

    def _cost(self, ask: Ask, near: Floats, far: Floats) -> Floats:
        """Return what the cheapest schedule costs under each pair of prices, [prices]."""
        if ask.kind not in TREES:
            source, sink, sizes = ask.pairs()
            away = self.node[source] != self.node[sink]
            return np.asarray(near * sizes[~away].sum() + far * sizes[away].sum())
        _, spanned = self._spread(ask.members)
        m = ask.members.shape[1]
        trees = (spanned - 1).sum() * far + (m - spanned).sum() * np.minimum(near, far)
        return np.asarray(ask.size * trees * (2 if ask.kind == "all-reduce" else 1))


TREES = ("all-gather", "reduce-scatter", "all-reduce")
LINKS = ("inner in", "inner out", "card in", "card out")
ROLES = {"inner": "link to the node's switch", "card": "network card", "spine": "rail to the spine"}


def two_levels_of(package: Package) -> TwoLevels | None:
    """Return a package as two levels; ``None`` where it is none.

    It is one if every chiplet has one link to a switch whose neighbours are chiplets only, at most one to a
    switch of the network, and each kind of link is equally wide everywhere, both ways, with no limits in
    routers and ports.
    """
    chiplets = {chiplet.name: i for i, chiplet in enumerate(package.chiplets)}
    if any(c.injection_bandwidth or c.ejection_bandwidth or c.crossbar_bandwidth for c in package.chiplets):
        return None
    if not package.switches or any(switch.crossbar_bandwidth for switch in package.switches):
        return None
    around: dict[str, list[tuple[str, float]]] = {node.name: [] for node in package.nodes}
    for link in package.links:
        ends = (package[link.a], package[link.b])
        if any(isinstance(end, Memory) for end in ends):
            continue
        if link.half_duplex or link.backward_bandwidth != link.bandwidth:
            return None
        around[link.a].append((link.b, link.bandwidth))
        around[link.b].append((link.a, link.bandwidth))
    widest = Counter(width for name in chiplets for _, width in around[name])
    if not widest or len(widest) > 2:
        return None
    inner = max(widest)
    node = np.full(len(chiplets), -1)
    rail = np.zeros(len(chiplets), np.int64)
    homes: dict[str, int] = {}
    rails: dict[str, int] = {}
    card = 0.0
    for name, i in chiplets.items():
        if any(isinstance(package[other], Chiplet) for other, _ in around[name]):
            return None
        up = [
            other
            for other, width in around[name]
            if width == inner and _only_chiplets(package, around[other])
        ]
        away = [(other, width) for other, width in around[name] if other not in up]
        if len(up) == 2 and not away:  # links of one width: the narrower switch is the node's
            up.sort(key=lambda other: len(around[other]))
            up, away = up[:1], [(up[1], inner)]
        if len(up) != 1 or len(away) > 1:
            return None
        node[i] = homes.setdefault(up[0], len(homes))
        for other, width in away:
            rail[i], card = rails.setdefault(other, len(rails)), width
    if len(homes) > 1 and not card:
        return None
    spine = np.full(max(len(rails), 1), np.inf)
    tops = set()
    for name, r in rails.items():
        above = [(other, width) for other, width in around[name] if isinstance(package[other], Switch)]
        if len(above) > 1 or (len(rails) > 1 and not above):
            return None
        for other, width in above:
            tops.add(other)
            spine[r] = width
    if len(tops) > 1 or set(homes) & set(rails):
        return None
    joules: dict[str, list[float]] = {}
    for link in package.links:
        both = {link.a, link.b}
        role = "spine" if not both & set(chiplets) else "inner" if both & set(homes) else "card"
        if not any(isinstance(package[end], Memory) for end in both):
            joules.setdefault(role, []).append(link_energy(link, 1.0))
    energy = {role: sum(values) / len(values) for role, values in joules.items()}
    return TwoLevels(node, rail, inner, card, spine, energy)


def _only_chiplets(package: Package, ends: list[tuple[str, float]]) -> bool:
    return all(isinstance(package[other], Chiplet) for other, _ in ends)
