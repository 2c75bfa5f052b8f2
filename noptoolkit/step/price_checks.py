"""A second look at what bounds a step over all routings: prices, and what each transfer must cost under them.

* capacity @ prices = 1, none negative;
* a transfer of the relaxed graph costs no more, lane by lane, than its bytes along shortest paths (networkx),
  and its messages no more than their cheapest trees: where the distance of the farthest member is as much
  as is claimed, that proves it; else a recursion over subsets finds the tree, every vertex copying;
* alone on the network a lane takes no longer than its bytes over the maximum flow of its pair (igraph);
* stacks' ports take no longer than bytes over their own bandwidth, or that of all their links.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Any

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.network import flow_network
from noptoolkit.package import Memory
from noptoolkit.routing.problem import Messages
from noptoolkit.step.step import Step
from noptoolkit.step.sum_checks import sum_price_faults
from noptoolkit.step.transfers import Pair, Transfer

__all__ = ["MOST_MEMBERS", "SAMPLE", "PriceCheck"]

SAMPLE = 20
"""Sets whose cheapest trees are computed again, for each direction, where all would take too long."""

MOST_MEMBERS = 8
"""Members up to which a set is in the sample: the recursion takes 3^members steps."""

CHEAP = 400_000
"""Unions of two subsets up to which all trees are computed again unasked."""

SLACK = 1e-6


class PriceCheck:
    """Checks a relaxed step against the prices; `faults` yields what is wrong.

    Parameters
    ----------
    step, relaxed
        The step, and its transfers as bounds over all routings.
    prices
        Price vectors, in s/B, [prices, resources].
    every
        Whether all sets are priced again, whatever it takes; where ``None``, if it is cheap.
    """

    def __init__(self, step: Step, relaxed: Step, prices: Floats, every: bool | None = None) -> None:
        self.step, self.relaxed, self.prices, self.every = step, relaxed, prices, every
        self.network = flow_network(step.package)
        self.efficiency = step.options.efficiency.network
        self.unchecked: list[str] = []
        self.costs: dict[Pair, Floats] = {}
        self.widest: dict[Pair, float] = {}

    def faults(self) -> Iterator[str]:
        """Yield what is wrong, one line each."""
        network, prices = self.network, self.prices
        if not (prices >= 0).all() or not np.allclose(prices @ network.capacity, 1.0):
            yield "the prices are negative or capacity @ prices is not 1"
            return
        yield from self._tree_faults()
        for sent, priced in zip(self.step.transfers(), self.relaxed.transfers(), strict=True):
            name = f"{sent.kind} {sent.index}"
            if sent.summed is not None:
                yield from sum_price_faults(self.step, sent, priced, prices, self.cost)
            elif sent.of_memory:
                yield from self._movement_faults(sent, priced, name)
            else:
                yield from self._lane_faults(sent, priced, name)

    @cached_property
    def distance(self) -> Floats:
        """Distances between all vertices under each price, [prices, vertices, vertices]."""
        import networkx as nx

        network, size = self.network, range(self.network.num_vertices)
        found = []
        for y in self.prices:
            length = np.asarray(network.on_arcs.T @ y, dtype=float)
            graph = nx.MultiDiGraph()
            graph.add_nodes_from(size)
            ends = zip(network.tail.tolist(), network.head.tolist(), length.tolist(), strict=True)
            graph.add_weighted_edges_from(ends)
            known = dict(nx.all_pairs_dijkstra_path_length(graph))
            found.append([[known[a].get(b, np.inf) for b in size] for a in size])
        return np.array(found).reshape(len(self.prices), len(size), len(size))

    def cost(self, pair: Pair) -> Floats:
        """Return what a byte of a pair costs at least under each price, in s/B, [prices]."""
        if pair not in self.costs:
            network, index = self.network, self.step.package.index
            source, sink = index[pair[0]], index[pair[1]]
            ports = (
                self.prices @ network.on_injected[:, [source]] + self.prices @ network.on_ejected[:, [sink]]
            )
            far = self.distance[:, network.origin[source], network.destination[sink]]
            self.costs[pair] = far + np.asarray(ports).ravel()
        return self.costs[pair]

    def alone(self, pair: Pair) -> float:
        """Return the least time of a byte of a pair with the network to itself, in s/B."""
        if pair not in self.widest:
            network, index = self.network, self.step.package.index
            ends = int(network.origin[index[pair[0]]]), int(network.destination[index[pair[1]]])
            flow = self._graph.maxflow_value(*ends, capacity="capacity") if ends[0] != ends[1] else np.inf
            self.widest[pair] = 1 / flow / self.efficiency if flow > 0 else np.inf
        return self.widest[pair]

    @cached_property
    def _graph(self) -> Any:
        import igraph

        network = self.network
        edges = list(zip(network.tail.tolist(), network.head.tolist(), strict=True))
        graph = igraph.Graph(network.num_vertices, edges, directed=True)
        graph.es["capacity"] = network.arc_capacity.tolist()
        return graph

    def _claimed(self, uses: Mapping[str, float]) -> Floats:
        found = np.array([uses.get(f"price {k}", 0.0) for k in range(len(self.prices))]) * self.efficiency
        return np.where(np.isfinite(found), found, np.inf)

    def _movement_faults(self, sent: Transfer, priced: Transfer, name: str) -> Iterator[str]:
        package, efficiency = self.step.package, self.step.options.efficiency
        total, ports = np.zeros(len(self.prices)), dict[str, float]()
        parts = () if sent.problem is None else sent.problem.messages
        copied = {pair: size for part in parts for pair, size in self._member_bytes(part).items()}
        longest = max((size * self.alone(pair) for pair, size in copied.items()), default=0.0)
        for part in parts:
            total += self.sets[_key(part)].totals[id(part)]
        once = {pair[0]: (pair, size) for pair, size in copied.items()}  # leaves its stack at least once
        for pair, size in sent.pairs.items():
            total += size * self.cost(pair)
            longest = max(longest, size * self.alone(pair))
        for pair, size in (*sent.pairs.items(), *once.values()):
            for end in pair:
                stack = package[end]
                if isinstance(stack, Memory):
                    side = "tail" if end == pair[0] else "head"
                    width = sum(c.bandwidth for c in package.channels if getattr(c, side) == end)
                    least = size / min(stack.bandwidth, width) / efficiency.network
                    port = stack.latency + size / stack.bandwidth / efficiency.memory if size else 0.0
                    ports[end] = ports.get(end, 0.0) + max(least, port)
        if not self.step.options.weights_on_network:
            total, longest = 0.0 * total, 0.0
        for end, time in priced.ports.items():
            if not time <= ports.get(end, 0.0) * (1 + SLACK):
                yield f"{name}: takes {time:.6g} s of {end} where {ports.get(end, 0.0):.6g} s are proved"
        if not (self._claimed(priced.uses) <= total * (1 + SLACK) + 1e-15).all():
            yield f"{name}: costs more under the prices than its shortest paths"
        if not (priced.least or 0.0) <= max(longest, *ports.values(), 0.0) * (1 + SLACK):
            yield f"{name}: takes longer alone than is proved"

    def _lane_faults(self, sent: Transfer, priced: Transfer, name: str) -> Iterator[str]:
        side, word = (0, "from") if sent.kind == "combine" else (1, "to")
        total: dict[str, Floats] = {}
        longest: dict[str, float] = {}
        together: dict[Pair, float] = dict(sent.pairs)

        def lane_of(pair: Pair) -> str:
            return "all" if sent.kind == "exchange" else f"{word} {pair[side]}"

        for pair, size in sent.pairs.items():
            total[lane_of(pair)] = total.get(lane_of(pair), 0.0) + size * self.cost(pair)
        assert sent.problem is not None
        for part in sent.problem.messages:
            total["all"] = total.get("all", 0.0) + self.sets[_key(part)].totals[id(part)]
            for pair, size in self._member_bytes(part).items():
                together[pair] = together.get(pair, 0.0) + size
        for pair, size in together.items():
            longest[lane_of(pair)] = max(longest.get(lane_of(pair), 0.0), size * self.alone(pair))
        for lane, claimed in priced.parts.items():
            cost = total.get(lane, np.zeros(len(self.prices)))
            if not (self._claimed(claimed.uses) <= cost * (1 + SLACK) + 1e-15).all():
                yield f"{name}: {lane} costs more under the prices than its shortest paths and trees"
            if not claimed.least <= longest.get(lane, 0.0) * (1 + SLACK):
                yield f"{name}: {lane} takes longer alone than is proved"

    @cached_property
    def sets(self) -> dict[tuple[bool, bytes], _Sets]:
        """The different sets of all messages, by direction and endpoints, and what they cost at least."""
        alike: dict[tuple[bool, bytes], list[Messages]] = {}
        for sent in self.step.transfers():
            for part in () if sent.problem is None else sent.problem.messages:
                alike.setdefault(_key(part), []).append(part)
        return {key: _Sets.of(self, parts, key[0]) for key, parts in alike.items()}

    def _member_bytes(self, part: Messages) -> dict[Pair, float]:
        names = [node.name for node in self.network.package.nodes]
        rows, found = members_of(part), dict[Pair, float]()
        for root in np.unique(part.root).tolist():
            mine = part.root == root
            got = part.bytes[mine] @ rows[mine, 1:]
            for node, size in zip(part.endpoints.tolist(), got.tolist(), strict=True):
                ends = (names[node], names[root]) if part.reverse else (names[root], names[node])
                if size > 0:
                    found[ends] = size
        return found

    def _tree_faults(self) -> Iterator[str]:
        """Compute the cheapest trees of the messages' sets again, all of them or a sample."""
        for sets in self.sets.values():
            far = np.where(sets.held, sets.onto[:, sets.at[:, None], sets.ends], 0.0).max(axis=2, initial=0.0)
            beyond = sets.claimed > far * (1 + SLACK) + 1e-18
            prices, rest = np.flatnonzero(beyond.any(axis=1)), np.flatnonzero(beyond.any(axis=0))
            chosen = self._chosen(sets.held, rest)
            if len(chosen) < len(rest):
                self.unchecked.append(
                    f"cheapest trees of {len(rest) - len(chosen)} of {len(sets.held)} sets of "
                    f"{'reductions' if sets.reverse else 'multicasts'}: verify(every_set=True) finds "
                    f"those of up to {MOST_MEMBERS} members"
                )
            trees = cheapest_trees(sets.onto[prices], sets.ends, sets.at[chosen], sets.held[chosen])
            over = sets.claimed[np.ix_(prices, chosen)] > trees * (1 + SLACK) + 1e-18
            for k, i in np.argwhere(over)[:4].tolist():
                claim, root = sets.claimed[prices[k], chosen[i]], int(sets.at[chosen[i]])
                yield (
                    f"a message from {root} costs {claim:.6g} under price {prices[k]}, "
                    f"its tree {trees[k, i]:.6g}"
                )

    def _chosen(self, held: Bools, rest: Ints) -> Ints:
        """Return those sets whose trees are computed again."""
        members = held.sum(axis=1)
        rest = rest[members[rest] <= MOST_MEMBERS]
        unions = sum(3.0 ** int(n) for n in members[rest]) / 2
        size = held.shape[1]
        most = int(members[rest].max(initial=0))
        unions = min(unions, sum(comb(size, k) * 2.0 ** (k - 1) for k in range(1, most + 1)))
        if self.every or (self.every is None and unions <= CHEAP) or len(rest) <= SAMPLE:
            return rest
        return rest[np.linspace(0, len(rest) - 1, SAMPLE).astype(np.int64)]


@dataclass(frozen=True, eq=False)
class _Sets:
    """The different sets of messages in one direction, and what a byte to each costs, as the bound has it.

    Parameters
    ----------
    reverse
        Whether they are reductions.
    held
        Whether an endpoint is a member, [sets, endpoints].
    at, ends
        Vertices of their roots, [sets], and of the endpoints, [endpoints].
    onto
        Distances from root to member under each price, [prices, vertices, vertices].
    claimed
        Cost of the tree, ports left out, in s/B, [prices, sets].
    totals
        Cost of all messages of a part, ports included, in s, by the part's identity, [prices].
    """

    reverse: bool
    held: Bools
    at: Ints
    ends: Ints
    onto: Floats
    claimed: Floats
    totals: Mapping[int, Floats]

    @staticmethod
    def of(check: PriceCheck, parts: Sequence[Messages], reverse: bool) -> _Sets:
        from noptoolkit.step.prices import set_costs

        network, y, endpoints = check.network, check.prices, parts[0].endpoints
        each = [members_of(part) for part in parts]
        rows, which = np.unique(np.concatenate(each), axis=0, return_inverse=True)
        none = np.zeros((len(y), len(network.origin)))
        claimed = set_costs(network, check.distance, none, none, rows, endpoints, reverse)
        out, back = y @ network.on_injected, y @ network.on_ejected
        near, there = (back, out) if reverse else (out, back)
        held = rows[:, 1:] > 0
        ports = near[:, rows[:, 0]] * held.any(axis=1) + there[:, endpoints] @ held.T
        totals, begin = {}, 0
        for part, mine in zip(parts, each, strict=True):
            amount = np.bincount(which.ravel()[begin : begin + len(mine)], part.bytes, len(rows))
            totals[id(part)] = (claimed + ports) @ amount
            begin += len(mine)
        at = (network.destination if reverse else network.origin)[rows[:, 0]]
        ends = (network.origin if reverse else network.destination)[endpoints]
        onto = check.distance.transpose(0, 2, 1) if reverse else check.distance
        return _Sets(reverse, held, at, ends, onto, claimed, totals)


def _key(part: Messages) -> tuple[bool, bytes]:
    return part.reverse, part.endpoints.tobytes()


def members_of(part: Messages) -> Ints:
    """Return root and members of each message, the root left out, as rows, [messages, 1 + endpoints]."""
    bits = np.arange(len(part.endpoints))
    held = (part.members[:, bits // 64] >> (bits % 64).astype(np.uint64)) & np.uint64(1)
    held = (held > 0) & (part.root[:, None] != part.endpoints[None, :])
    rows: Ints = np.column_stack([part.root, held.astype(np.int64)])
    return rows


def cheapest_trees(onto: Floats, ends: Ints, at: Ints, held: Bools) -> Floats:
    """Return the length of the cheapest tree from each root to all members, every vertex copying.

    Parameters
    ----------
    onto
        Distances under each price, [prices, vertices, vertices].
    ends
        Vertex of each endpoint, [endpoints].
    at, held
        Vertex of each root, [sets], and whether each endpoint is a member, [sets, endpoints].

    Returns
    -------
    ndarray
        [prices, sets].
    """
    known: dict[int, Floats] = {1 << bit: onto[:, :, end] for bit, end in enumerate(ends.tolist())}

    def from_each(subset: int) -> Floats:
        if subset not in known:
            first = subset & -subset
            rest = subset ^ first
            part = (rest - 1) & rest
            parted = known[first] + from_each(rest)
            while part:
                np.minimum(parted, from_each(first | part) + from_each(rest ^ part), out=parted)
                part = (part - 1) & rest
            known[subset] = (onto + parted[:, None, :]).min(axis=2)
        return known[subset]

    masks = [sum(1 << bit for bit in np.flatnonzero(row).tolist()) for row in held]
    found = np.zeros((len(onto), len(held)))
    for i, (mask, root) in enumerate(zip(masks, at.tolist(), strict=True)):
        if mask:
            found[:, i] = from_each(mask)[:, root]
    return found
