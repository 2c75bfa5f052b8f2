"""An independent check of a `CollectiveResult`: plain Python on the package, none of the solvers' code.

From the package, the requests and the trees alone it asks:

* Do all paths run along channels of the package, each from where the one before ended?
* Does every tree do what it claims? Hops are replayed in order: a spreading hop starts where the data is
  already and ends where it is not yet, and all members are reached; a collecting member sends once, after
  which it receives nothing, and all members but the root have sent. Only members, and switches that can, copy
  or add.
* Do the bytes of all trees add up to every share, pair and buffer that was asked?
* Are the loads, the use of every half-duplex link, crossbar and port, and ``time`` what follows?
* Does the cut, recounted by names, or do the prices, by networkx and a recursive arborescence, prove
  ``time_bound``, and other prices ``time_bound_trees``?
* Do status, theorem and bottleneck follow from the rest, and are all numbers finite?

What is too much to check is named in the `CollectiveVerification`.

What is assumed, and not derived again: package and requests are those that were meant; ``computing`` and
``non_forwarding`` (which relays add and copy, and which nodes let nothing pass) are what was asked for; that
networkx's shortest paths are shortest; the theorems that make cuts, partitions and prices bounds; and
``seconds``, ``method``, ``bound_method`` and ``remarks``, which only describe. Trees take the time of the
busiest resource: no byte of theirs waits for another.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from noptoolkit.collectives.verification.bound_checks import cut_faults, price_faults
from noptoolkit.collectives.verification.claim_checks import claim_faults, number_faults
from noptoolkit.errors import RoutingError, raise_collected
from noptoolkit.package import Chiplet, Memory

if TYPE_CHECKING:
    from noptoolkit.collectives.result import CollectiveResult
    from noptoolkit.collectives.values.requests import Request

__all__ = ["CollectiveVerification", "verify_collective"]


@dataclass(frozen=True)
class CollectiveVerification:
    """What was checked of a `CollectiveResult`.

    Parameters
    ----------
    trees, hops
        Numbers of trees and hops that were replayed.
    bound
        How the bound was checked: ``cut``, ``prices`` or ``nothing``.
    unchecked
        What was too much to check, one sentence each; empty where everything was.
    """

    trees: int
    hops: int
    bound: str
    unchecked: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.unchecked


def verify_collective(result: CollectiveResult, tolerance: float = 1e-7) -> CollectiveVerification:
    """Raise where a result does not prove what it claims; return what was checked.

    Parameters
    ----------
    tolerance
        Relative to the largest value compared.

    Raises
    ------
    RoutingError
        With every fault found.
    """
    faults = number_faults(result)
    raise_collected(RoutingError, f"{result!r} does not hold", faults)
    unchecked: list[str] = []
    replay = _Replay(result, tolerance, faults)
    schedule = result.schedule
    hops = 0
    if schedule is None:
        if result.steps is not None:
            unchecked.append("the steps behind the loads: only the bound is checked")
        elif result.time > 0:
            unchecked.append("the trees behind the loads: they are not kept")
    else:
        replay.run()
        hops = len(schedule.path_start) - 1
        replay.compare_use()
    bound = "nothing"
    if result.cut is not None:
        bound = "cut"
        faults += cut_faults(result, tolerance)
    elif result.time_bound > 0:
        bound = "prices"
        found, left = price_faults(result, tolerance)
        faults += found
        unchecked += left
    if result.time_bound_trees > result.time_bound * (1 + 1e-9):
        found, left = price_faults(result, tolerance, trees=True)
        faults += found
        unchecked += [sentence for sentence in left if sentence not in unchecked]
    faults += claim_faults(result, tolerance)
    raise_collected(RoutingError, f"{result!r} does not hold", faults)
    return CollectiveVerification(0 if schedule is None else len(schedule), hops, bound, tuple(unchecked))


class _Replay:
    """Replays a schedule hop by hop, on names."""

    def __init__(self, result: CollectiveResult, tolerance: float, faults: list[str]) -> None:
        self.result = result
        self.tolerance = tolerance
        self.faults = faults
        package = result.package
        self.width: dict[tuple[str, str, bool], float] = defaultdict(float)
        for link in package.links:
            for tail, head, bandwidth in (
                (link.a, link.b, link.bandwidth),
                (link.b, link.a, link.backward_bandwidth),
            ):
                if bandwidth > 0:
                    self.width[tail, head, link.half_duplex] += bandwidth
        self.closed = set(result.non_forwarding)
        self.passes = {node.name for node in package.nodes if not isinstance(node, Memory)} - self.closed
        self.load: dict[tuple[str, str, bool], float] = defaultdict(float)
        self.sent: dict[str, float] = defaultdict(float)
        self.received: dict[str, float] = defaultdict(float)
        self.served: list[dict[object, float]] = [defaultdict(float) for _ in result.requests]

    def run(self) -> None:
        """Replay all trees and compare what they served."""
        schedule = self.result.schedule
        assert schedule is not None
        network = schedule.network
        names = [network.node_of_vertex(v) for v in range(network.num_vertices)]
        shared = self._shared_arcs()
        ends = [
            (names[u], names[v]) for u, v in zip(network.tail.tolist(), network.head.tolist(), strict=True)
        ]
        path_start, hop_start = schedule.path_start.tolist(), schedule.hop_start.tolist()
        arcs, amount = schedule.arcs.tolist(), schedule.amount.tolist()
        copies = adds = set(self.result.computing)
        for t in range(len(schedule)):
            request = self.result.requests[int(schedule.request[t])]
            hops = []
            for h in range(hop_start[t], hop_start[t + 1]):
                path = arcs[path_start[h] : path_start[h + 1]]
                if not self._follow(t, [ends[a] for a in path]):
                    return
                for a in path:
                    self.load[(*ends[a], shared[a])] += amount[t]
                hops.append((ends[path[0]][0], ends[path[-1]][1]))
            for u, v in hops:
                self.sent[u] += amount[t]
                self.received[v] += amount[t]
            self._tree(t, request, hops, copies, adds, names)
            if len(self.faults) > 20:
                return
        self._pairs()
        for i, request in enumerate(self.result.requests):
            self._add_up(i, request)

    def _shared_arcs(self) -> list[bool]:
        """Return whether each arc of the network is half duplex: its resource is that of another arc."""
        own = self.result.network.own.tolist()
        count: dict[int, int] = defaultdict(int)
        for r in own:
            count[r] += 1
        return [count[r] > 1 for r in own]

    def _follow(self, t: int, path: list[tuple[str, str]]) -> bool:
        for u, v in path:
            if (u, v, False) not in self.width and (u, v, True) not in self.width:
                self.faults.append(f"tree {t}: there is no channel {u}->{v}")
                return False
        for (_, v), (w, _) in pairwise(path):
            if v != w or v not in self.passes:
                self.faults.append(f"tree {t}: a path breaks off, or passes what nothing may pass, at {v!r}")
                return False
        return True

    def _tree(
        self,
        t: int,
        request: Request,
        hops: list[tuple[str, str]],
        copies: set[str],
        adds: set[str],
        names: list[str],
    ) -> None:
        schedule = self.result.schedule
        assert schedule is not None
        root, part = names[int(schedule.root[t])], int(schedule.part[t])
        members, amount = set(request.members), float(schedule.amount[t])
        served = self.served[int(schedule.request[t])]
        if not amount > 0:
            self.faults.append(f"tree {t} carries {amount!r} B")
        if request.motion == "exchange":
            if len(hops) != 1 or hops[0] != (root, names[part]):
                self.faults.append(f"tree {t}: not one path from {root!r} to {names[part]!r}")
            served[root, names[part]] += amount
            return
        if schedule.collects[t]:
            gone: set[str] = set()
            for u, v in hops:
                if (
                    u in gone
                    or v in gone
                    or u == root
                    or not {u, v} <= members | adds
                    or self._barred(v, root)
                ):
                    self.faults.append(
                        f"tree {t}: {u}->{v} comes too early, twice, or where nothing is added"
                    )
                    return
                gone.add(u)
            if not members - {root} <= gone:
                self.faults.append(f"tree {t} does not collect from every member")
            waits = {u for u, _ in hops} | {root}
            if not all(v in waits for _, v in hops):
                self.faults.append(f"tree {t}: partial sums end before the root")
        else:
            have = {root}
            for u, v in hops:
                if u not in have or v in have or not {u, v} <= members | copies or self._barred(u, root):
                    self.faults.append(
                        f"tree {t}: {u}->{v} comes too early, twice, or where nothing is copied"
                    )
                    return
                have.add(v)
            if not members <= have:
                self.faults.append(f"tree {t} does not reach every member")
        if request.motion != "both":
            if part < 0 or names[part] != root:
                self.faults.append(f"tree {t} is not rooted at the owner of its share")
            served[root] += amount
        elif not schedule.collects[t]:
            served[""] += amount

    def _barred(self, name: str, root: str) -> bool:
        return name in self.closed and name != root

    def _pairs(self) -> None:
        """Check that every spreading tree of an all-reduce waits for the tree that collects its bytes."""
        schedule = self.result.schedule
        assert schedule is not None
        used: dict[int, float] = defaultdict(float)
        for t in range(len(schedule)):
            request = self.result.requests[int(schedule.request[t])]
            if request.motion != "both" or schedule.collects[t]:
                continue
            before = int(schedule.after[t])
            name = schedule.network.node_of_vertex
            roots = [name(int(schedule.root[x])) for x in (before, t)]
            if before < 0 or not schedule.collects[before] or roots[0] != roots[1]:
                self.faults.append(f"tree {t} spreads a sum that no tree has collected at its root")
                continue
            used[before] += float(schedule.amount[t])
        for t, amount in used.items():
            if self._differ(amount, float(schedule.amount[t])):
                self.faults.append(
                    f"tree {t} collects {float(schedule.amount[t])!r} B, {amount!r} B are spread"
                )

    def _add_up(self, i: int, request: Request) -> None:
        served = self.served[i]
        wanted: dict[object, float] = {}
        if request.motion == "both":
            wanted = {"": request.size} if request.size > 0 else {}
        elif request.motion == "exchange":
            pairs = request.pair_bytes()
            for a, u in enumerate(request.members):
                for b, v in enumerate(request.members):
                    if pairs[a, b] > 0:
                        wanted[u, v] = float(pairs[a, b])
        else:
            shares = request.share_bytes()
            wanted = {u: float(x) for u, x in zip(request.members, shares, strict=True) if x > 0}
        if set(wanted) != set(served):
            self.faults.append(f"{request}: other shares were moved than were asked")
            return
        for key, amount in wanted.items():
            if self._differ(amount, served[key]):
                self.faults.append(f"{request}: {key!r} has {served[key]!r} B, not {amount!r} B")

    def _differ(self, a: float, b: float) -> bool:
        return not abs(a - b) <= self.tolerance * max(abs(a), abs(b), 1e-300)

    def compare_use(self) -> None:
        """Recount channels, crossbars and ports, and compare loads and time."""
        result = self.result
        worst = 0.0
        for (u, v, shared), width in self.width.items():
            both = self.load.get((u, v, shared), 0.0) + (
                self.load.get((v, u, shared), 0.0) if shared else 0.0
            )
            worst = max(worst, both / width)
        entering: dict[str, float] = defaultdict(float)
        for (_, v, _), load in self.load.items():
            entering[v] += load
        for node in result.package.nodes:
            name = node.name
            if isinstance(node, Memory):
                worst = max(worst, (self.sent[name] + self.received[name]) / node.bandwidth)
                continue
            if node.crossbar_bandwidth is not None:
                worst = max(worst, entering[name] / node.crossbar_bandwidth)
            if isinstance(node, Chiplet):
                for limit, used in (
                    (node.injection_bandwidth, self.sent[name]),
                    (node.ejection_bandwidth, self.received[name]),
                ):
                    if limit is not None:
                        worst = max(worst, used / limit)
        if self._differ(worst, result.time):
            self.faults.append(f"the trees take {worst!r} s, not {result.time!r} s")
        by_pair: dict[tuple[str, str], float] = defaultdict(float)
        for channel, load in zip(result.package.channels, result.load.tolist(), strict=True):
            by_pair[channel.tail, channel.head] += load
        mine: dict[tuple[str, str], float] = defaultdict(float)
        for (u, v, _), load in self.load.items():
            mine[u, v] += load
        self._compare_resources(entering)
        top = max(by_pair.values(), default=0.0)
        for pair in by_pair.keys() | mine.keys():
            if not abs(by_pair[pair] - mine[pair]) <= self.tolerance * max(top, 1e-300):
                self.faults.append(
                    f"channel {'->'.join(pair)} carries {mine[pair]!r} B, not {by_pair[pair]!r} B"
                )
                return

    def _compare_resources(self, entering: dict[str, float]) -> None:
        """Compare what each link, crossbar and port carries by the trees with what the result says."""
        result = self.result
        used: dict[str, float] = {}
        seen: set[tuple[frozenset[str] | tuple[str, str], bool]] = set()
        for channel in result.package.channels:  # parallel channels go by the first one's name
            u, v, shared = channel.tail, channel.head, result.package.links[channel.link].half_duplex
            key = (frozenset((u, v)) if shared else (u, v), shared)
            if key not in seen:
                seen.add(key)
                back = self.load.get((v, u, True), 0.0) if shared else 0.0
                used[channel.name] = self.load.get((u, v, shared), 0.0) + back
        for node in result.package.nodes:
            sent, received = self.sent[node.name], self.received[node.name]
            used[f"{node.name} port"] = sent + received
            used[f"{node.name} crossbar"] = entering[node.name]
            used[f"{node.name} injection"], used[f"{node.name} ejection"] = sent, received
        top = max([*used.values(), 1e-300])
        for name, use in zip(result.network.names, result.use.tolist(), strict=True):
            if not abs(used[name] - use) <= self.tolerance * top:
                self.faults.append(f"{name!r} is used by {used[name]!r} B, not {use!r} B")
                return
