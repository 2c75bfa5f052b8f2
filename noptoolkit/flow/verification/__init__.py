"""An independent check of a `FlowResult`: plain numpy, scipy and networkx, and none of the solvers' code.

From the package and the traffic alone it asks:

* Does the kept flow carry the demand? At every vertex but a commodity's own, inflow >= outflow + demand;
  where trees were stripped, that they are trees, hang on one vertex each, and carry what crosses them.
* Are the loads of ``valiant``, whose witness is the nodes between, those of its two trips?
* Does every message reach all its members, as a whole, with no copy made but where a node can?
* Are the channel loads, the use of every channel, half-duplex link, crossbar and port, ``time``, its
  bottleneck and its status what follows?
* Do the prices, none negative, prove ``time_bound``, by shortest paths under strictly positive lengths,
  the cheapest trees of small sets, and cuts for large ones?

What is too much to follow or to price again is named in the `Verification`.

What is assumed, and not derived again: the package and the traffic are those that were meant; the numbers of
the result's vertices, arcs and resources (its ``network``), whose ends, capacities and shares of parallel
channels are compared with the package; float64 arithmetic, to ``tolerance``; that scipy's shortest paths are
shortest; and, in the bound, that a message to a set costs at least the cheapest tree or cut that is priced.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import RoutingError, raise_collected
from noptoolkit.flow.verification.flows import FlowCheck, Given, split_load
from noptoolkit.flow.verification.messages import MessageFollower
from noptoolkit.flow.verification.prices import PricedMessages
from noptoolkit.package import Chiplet, Memory
from noptoolkit.routing.rules import ROUTINGS
from noptoolkit.routing.solution import TreeLoads, TwoTrips

if TYPE_CHECKING:
    from noptoolkit.flow.result import FlowResult

__all__ = ["Verification", "bound_faults", "message_faults", "verify_flow"]

EXACT = 1e-6
"""Gap up to which a result is exact."""


@dataclass(frozen=True)
class Verification:
    """What was checked of a `FlowResult`; true only if that is everything.

    Parameters
    ----------
    messages : int
        Number of messages to sets that were followed to every member.
    unchecked : tuple of str
        What was not checked, one sentence each; empty if everything was.
    """

    messages: int
    unchecked: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that the result claims was checked."""
        return not self.unchecked

    def __bool__(self) -> bool:
        return self.complete


def verify_flow(result: FlowResult, tolerance: float = 1e-7) -> Verification:
    """Raise where a result does not prove what it claims; return what was checked.

    Parameters
    ----------
    tolerance : float
        Largest difference, relative to the largest value compared.

    Returns
    -------
    Verification
        True if everything was checked; what was not is named in ``unchecked``.

    Raises
    ------
    RoutingError
        If something does not hold; the message lists every fault.
    """
    given = Given(result, tolerance)
    check = _Check(given)
    flow = FlowCheck(given)
    flow.check()
    check.faults += flow.faults
    check.unchecked += flow.unchecked
    check.messages_arrive()
    check.uses_add_up()
    check.prices_prove_bound()
    check.status_follows()
    raise_collected(RoutingError, f"{result!r} does not hold", check.faults)
    return Verification(check.followed, tuple(check.unchecked))


def message_faults(result: FlowResult, trees: TreeLoads, *, tolerance: float = 1e-9) -> list[str]:
    """Return what is wrong with other trees for the messages of a result's traffic, one line for each fault.

    Parameters
    ----------
    result : FlowResult
        Result whose package, network and traffic are meant; where it is via random nodes, so are the trees.
    trees : TreeLoads
        Trees, and what they put on the network.
    tolerance : float
        Relative difference that is not a fault.
    """
    proof = result.routed.proof if isinstance(result.routed.proof, TwoTrips) else None
    routed = dataclasses.replace(result.routed, trees=trees, proof=proof)
    given = Given(dataclasses.replace(result, routed=routed), tolerance)
    check = _Check(given)
    check.sent, check.received = dict.fromkeys(check.sent, 0.0), dict.fromkeys(check.received, 0.0)
    check.messages_arrive()
    names = [node.name for node in given.package.nodes]
    for claimed, followed in ((trees.injected, check.sent), (trees.ejected, check.received)):
        if given.differ(claimed, np.array([followed[name] for name in names])):
            check.faults.append("what nodes send or receive is not what their messages need")
    return [*check.faults, *check.unchecked]


def bound_faults(result: FlowResult, tolerance: float = 1e-7) -> tuple[list[str], list[str]]:
    """Return what is wrong with the bound that the prices of a result prove, and what was not checked."""
    check = _Check(Given(result, tolerance))
    check.prices_prove_bound()
    return check.faults, check.unchecked


class _Check:
    """What was checked, and the faults found so far."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.faults: list[str] = []
        self.unchecked: list[str] = []
        self.followed = 0
        self.rough = 0
        self.room = 1.0  # capacity @ prices
        self.sent = given.by_node(given.unicast.sum(axis=1))
        self.received = given.by_node(given.unicast.sum(axis=0))

    def messages_arrive(self) -> None:
        """Follow every message along its tree, copy by copy."""
        result = self.given.result
        trees = result.routed.trees
        if not self.given.parts:
            if trees.arc_load.any():
                self.faults.append("loads of messages, but there is none")
            return
        if trees.branches is None:
            total = sum(len(sets) for sets, _ in self.given.parts)
            self.unchecked.append(f"the paths of {total} messages: too many to keep")
            for name, out, into in zip(self.given.package.index, trees.injected, trees.ejected, strict=True):
                self.sent[name] += float(out)
                self.received[name] += float(into)
            return
        load = np.zeros_like(trees.arc_load)
        by_way = isinstance(result.routed.proof, TwoTrips)
        for sets, reverse in self.given.parts:
            follower = MessageFollower(result, sets, reverse=reverse)
            follower.follow(trees.trees, trees.branches)
            self.faults += follower.faults
            self.followed += len(sets)
            load += follower.load
            if by_way:
                load += split_load(self.given, follower.relay.T if reverse else follower.relay)
            elif follower.relay.any():
                self.faults.append("a tree starts elsewhere than at the root of its messages")
            at_root, far = (self.received, self.sent) if reverse else (self.sent, self.received)
            for name, near, there in zip(
                self.given.package.index, follower.from_root, follower.at_members, strict=True
            ):
                at_root[name] += float(near)
                far[name] += float(there)
        if self.given.differ(load, trees.arc_load):
            self.faults.append("the messages do not add up to their loads")

    def uses_add_up(self) -> None:
        """Check channel loads, the time of every resource, and the bottleneck."""
        result, package = self.given.result, self.given.package
        network = result.network
        arc_load = result.routed.arc_load + result.routed.trees.arc_load
        load = arc_load[network.arc_of_channel] * network.share_of_channel
        whole = np.bincount(network.arc_of_channel, network.share_of_channel, len(arc_load))
        if self.given.differ(whole, np.ones(len(arc_load))) or network.share_of_channel.min(initial=0.0) < 0:
            self.faults.append("parallel channels do not carry the load of their arc in parts")
        if self.given.differ(load, result.load):
            self.faults.append("the loads of the channels are not those of the flow")
        times: dict[str, float] = {}
        uses: dict[str, float] = {}
        first: dict[object, str] = {}  # parallel channels go by the first one's name
        by_link = np.bincount([channel.link for channel in package.channels], result.load)
        entering = dict.fromkeys((node.name for node in package.nodes), 0.0)
        for channel, amount in zip(package.channels, result.load, strict=True):
            entering[channel.head] += float(amount)
            half = package.links[channel.link].half_duplex
            key = (frozenset((channel.tail, channel.head)) if half else (channel.tail, channel.head), half)
            name = first.setdefault(key, channel.name)
            uses[name] = uses.get(name, 0.0) + float(amount)
            times[channel.name] = (by_link[channel.link] if half else float(amount)) / channel.bandwidth
        for node in package.nodes:
            sent, received = self.sent[node.name], self.received[node.name]
            limits: dict[str, tuple[float, float | None]] = {}
            if isinstance(node, Memory):
                limits["port"] = (sent + received, node.bandwidth)
            else:
                limits["crossbar"] = (entering[node.name], node.crossbar_bandwidth)
            if isinstance(node, Chiplet):
                limits["injection"] = (sent, node.injection_bandwidth)
                limits["ejection"] = (received, node.ejection_bandwidth)
            for kind, (amount, limit) in limits.items():
                if limit is not None:
                    uses[f"{node.name} {kind}"] = amount
                    times[f"{node.name} {kind}"] = amount / limit
        worst = max(times.values(), default=0.0) / result.efficiency
        if self.given.differ(worst, result.time):
            self.faults.append(f"the busiest resource takes {worst:.9g} s, not {result.time:.9g} s")
        if self.given.differ(np.array([uses.get(name, 0.0) for name in network.names]), result.use):
            self.faults.append("the use of resources is not that of the loads")
        place = times.get(str(result.bottleneck), 0.0) / result.efficiency
        kind = result.bottleneck.kind
        other = str(type(result.bottleneck)(kind, result.bottleneck.place)) != str(result.bottleneck)
        if other or self.given.differ(place, worst) or (worst > 0) != bool(kind):
            self.faults.append(f"the bottleneck {str(result.bottleneck)!r} is not what takes {worst:.9g} s")

    def prices_prove_bound(self) -> None:
        """Recompute the bound from the prices."""
        result = self.given.result
        network, prices = result.network, result.prices
        if not 0 <= result.time_bound <= result.time * (1 + self.given.tolerance):
            self.faults.append("time_bound is above time, or no number: one of them is wrong")
        if result.time_bound == 0:
            return
        if not np.isfinite(prices).all() or prices.min() < 0:
            self.faults.append("a price is negative, or no number")
            return
        # whatever is at least 0 proves something: a sliver on top keeps lengths from vanishing
        real = self._real_capacities()
        whole = np.array([real.get(name, 1.0) for name in network.names])
        prices = prices + 1e-13 / (np.maximum(network.capacity, whole) * len(prices))
        before = len(self.faults)
        for trees in (False, True):  # most cuts need no trees
            cost, room = self._priced(prices, trees=trees)
            self.room = room
            bound = cost / room / result.efficiency
            if bound >= result.time_bound * (1 - self.given.tolerance) or len(self.faults) > before:
                return
        if self.rough:
            self.unchecked.append(
                f"time_bound: {self.rough} messages have too many subsets to be priced again; "
                f"without, {bound:.6g} s is proved"
            )
        else:
            self.faults.append(f"the prices prove {bound:.9g} s, not {result.time_bound:.9g} s")

    def status_follows(self) -> None:
        """Check that the status is one that time, bound and routing allow, and that prices are scaled."""
        result = self.given.result
        if not abs(self.room - 1) <= EXACT:
            self.faults.append(f"capacity @ prices is {self.room:.9g}, not 1")
        method = ROUTINGS.get(result.routing)
        if result.gap <= EXACT:
            allowed: tuple[str, ...] = ("exact",)
        elif method is not None and not method.searches:
            allowed = ("fixed routing",)
        else:
            allowed = ("certified", "time limit" if result.routed.limited else "bounded")
            if method is None:  # a rule of the user's own, or a search
                allowed = (*allowed, "fixed routing")
        if result.status not in allowed:
            self.faults.append(f"the status is {result.status!r}, not {' or '.join(map(repr, allowed))}")

    def _real_capacities(self) -> dict[str, float]:
        """Return what each resource of the package has to spend per s, parallel channels together."""
        package = self.given.package
        real: dict[str, float] = {}
        first: dict[object, tuple[str, str]] = {}
        for channel in package.channels:
            half = package.links[channel.link].half_duplex
            key = (frozenset((channel.tail, channel.head)) if half else (channel.tail, channel.head), half)
            name, its_tail = first.setdefault(key, (channel.name, channel.tail))
            if channel.tail == its_tail:
                real[name] = real.get(name, 0.0) + channel.bandwidth
        for node in package.nodes:
            if isinstance(node, Memory):
                real[f"{node.name} port"] = node.bandwidth
            else:
                for field in ("crossbar", "injection", "ejection"):
                    limit = getattr(node, f"{field}_bandwidth", None)
                    if limit is not None:
                        real[f"{node.name} {field}"] = limit
        return real

    def _priced(self, prices: Floats, *, trees: bool) -> tuple[float, float]:
        """Return what the traffic costs at least under prices, and what the package has to spend per s."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        network, package = self.given.result.network, self.given.package
        price = dict(zip(network.names, prices.tolist(), strict=True))
        real = self._real_capacities()
        as_used: dict[str, float] = {}  # of parallel channels, that at which the first of them is full
        first: dict[object, str] = {}  # parallel channels go by the first one's name
        length = np.full((len(self.given.vertices), len(self.given.vertices)), np.inf)
        ends = zip(package.channels, network.share_of_channel, self.given.tail, self.given.head, strict=True)
        for channel, share, tail, head in ends:
            half = package.links[channel.link].half_duplex
            key = frozenset((channel.tail, channel.head)) if half else (channel.tail, channel.head)
            name = first.setdefault(key, channel.name)
            if share > 0:
                as_used[name] = min(as_used.get(name, np.inf), channel.bandwidth / float(share))
            cost = price[name] + price.get(f"{channel.head} crossbar", 0.0)
            length[tail, head] = min(length[tail, head], cost)
        if real.keys() != price.keys():
            self.faults.append("the priced resources are not those of the package")
            return 0.0, 1.0
        as_used = real | as_used
        said = dict(zip(network.names, network.capacity.tolist(), strict=True))
        if any(abs(as_used[name] - said[name]) > 1e-9 * as_used[name] for name in said):
            self.faults.append("the capacities are not those of the package")
        tail, head = np.nonzero(np.isfinite(length))
        graph: Any = csr_array((length[tail, head], (tail, head)), shape=length.shape)
        distance = dijkstra(graph)  # sparse: of a dense one, scipy drops every length below 1e-8
        total = float(np.sum(self.given.demand * np.where(self.given.demand > 0, distance, 0.0)))
        per_copy = {
            node.name: (
                price.get(f"{node.name} injection", price.get(f"{node.name} port", 0.0)),
                price.get(f"{node.name} ejection", price.get(f"{node.name} port", 0.0)),
            )
            for node in package.nodes
        }
        total += self._message_cost(distance, per_copy, trees=trees)
        for amounts, port in ((self.sent_once, 0), (self.received_once, 1)):
            for name, amount in amounts.items():
                total += amount * per_copy[name][port]
        return total, sum(price[name] * room for name, room in real.items())

    def _message_cost(
        self, distance: Floats, per_copy: dict[str, tuple[float, float]], *, trees: bool
    ) -> float:
        """Return the least that the messages cost; what members send or receive is counted by the caller."""
        self.sent_once = self.given.by_node(self.given.unicast.sum(axis=1))
        self.received_once = self.given.by_node(self.given.unicast.sum(axis=0))
        cost = 0.0
        for sets, reverse in self.given.parts:
            at_root = np.array(
                [per_copy[node.name][1 if reverse else 0] for node in self.given.package.nodes]
            )
            priced = PricedMessages(self.given.result, sets, distance, at_root, reverse=reverse)
            cost += priced.cost(trees=trees)
            self.rough += priced.rough
            self.faults += priced.faults
            far = self.sent_once if reverse else self.received_once
            for name, amount in zip(self.given.package.index, priced.at_members, strict=True):
                far[name] += float(amount)
        return cost
