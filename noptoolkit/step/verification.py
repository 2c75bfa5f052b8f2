"""An independent check of a step's schedule, routes and bounds.

* schedule: precedence, capacities, buffers (`noptoolkit.scheduling.verify_schedule`);
* both bounds: computed again from their task graphs and stages (`noptoolkit.scheduling.verify_bounds`);
* routes: the flow of each pair leaves its source, arrives at its sink, is conserved between, and follows
  links of the package; every message reaches its members along its tree, copied only where a node can; times
  are bytes over bandwidths of links. Transfers that a routing by name routed as a whole are routed again and
  checked by ``FlowResult.verify()``, all-reduces of gradients by ``CollectiveResult.verify()``;
* tasks: for each kind and resource, the time in the graph is that of the step's transfers;
* prices: capacity @ prices = 1, and no transfer of the relaxed graph takes more than its bytes cost by
  shortest paths (networkx), or, for messages to sets, by the cheapest tree of a recursion over subsets, on a
  sample; an all-reduce no more than its cheapest parties and trees.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import NopError, ScheduleError, raise_collected
from noptoolkit.flow import congestion
from noptoolkit.flow.verification import message_faults
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.package import Memory
from noptoolkit.routing.problem import Messages
from noptoolkit.routing.rules import ROUTINGS
from noptoolkit.scheduling.verify import verify_schedule
from noptoolkit.scheduling.verify_bounds import verify_bounds
from noptoolkit.step.step import Block, Step
from noptoolkit.step.sum_checks import MOST_HOSTS, sum_faults, sum_price_faults
from noptoolkit.step.transfers import Pair, Transfer

if TYPE_CHECKING:
    from noptoolkit.step.result import StepSchedule

__all__ = ["StepVerification", "verify_step"]

SAMPLE = 20
"""Sets whose cheapest trees are computed again, for each direction."""

MOST_MEMBERS = 8
"""Members up to which a set is in the sample: the recursion takes 3^members steps."""


@dataclass(frozen=True)
class StepVerification:
    """What was checked of a step's schedule; true if nothing was left out.

    Parameters
    ----------
    checked, unchecked : tuple of str
        Names of what was checked, and of what was not, with the reason.
    """

    checked: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.unchecked


def verify_step(plan: StepSchedule, *, tol: float = 1e-9) -> StepVerification:
    """Check a schedule of a step again; see the module.

    Raises
    ------
    ScheduleError
        With every kind of fault found.
    """
    faults: list[str] = []
    checked, unchecked = ["schedule", "bound of the routes", "bound over all routings"], []
    proof = plan.any_routing
    faults += _raised(verify_schedule, plan.graph, plan.start, plan.end, tol=tol)
    faults += _raised(verify_bounds, plan.graph, plan.bounds, tol=tol)
    faults += _raised(verify_bounds, proof.graph, proof.bounds, tol=tol)
    faults += itertools.islice(_route_faults(plan.step), 8)
    checked.append("routes")
    if plan.policy.contention == "factor":
        faults += itertools.islice(_task_faults(plan, tol), 8)
        checked.append("tasks of transfers")
    else:
        unchecked.append(f"tasks of transfers: contention {plan.policy.contention} is checked by rates only")
    faults += itertools.islice(_price_faults(plan.step, proof.step, proof.prices), 8)
    checked.append("prices")
    problems = [sent.problem for sent in plan.step.transfers() if sent.problem is not None]
    if any(problem.messages for problem in problems):
        unchecked.append(f"cheapest trees of all but {SAMPLE} sets of up to {MOST_MEMBERS} members")
    if any(sent.summed is not None for sent in plan.step.transfers()) and len(plan.step.hosts) > MOST_HOSTS:
        unchecked.append(
            f"costs of all-reduces among more than {MOST_HOSTS} hosts: held against the schedule taken only"
        )
    raise_collected(ScheduleError, "step", faults)
    return StepVerification(tuple(checked), tuple(unchecked))


def _raised(check: Callable[..., None], *values: Any, **options: Any) -> list[str]:
    try:
        check(*values, **options)
    except ScheduleError as error:
        return [str(error)]
    return []


def _route_faults(step: Step) -> Iterator[str]:
    package, network = step.package, flow_network(step.package)
    vertices = zip(network.tail.tolist(), network.head.tolist(), strict=True)
    ends = [(network.node_of_vertex(a), network.node_of_vertex(b)) for a, b in vertices]
    channels = {(channel.tail, channel.head) for channel in package.channels}
    for a, b in ends:
        if (a, b) not in channels:
            yield f"no channel leads from {a!r} to {b!r}"
    for sent in step.transfers():
        name = f"{sent.kind} {sent.index}"
        if sent.summed is not None:
            yield from sum_faults(step, sent, name)
            continue
        if sent.paths is None:
            yield from _whole_faults(step, sent, name)
            continue
        load = np.zeros(network.num_arcs)
        for pair, size in sent.pairs.items():
            share = sent.paths[pair]
            load += size * share
            net: dict[str, float] = {}
            for arc in np.flatnonzero(share).tolist():
                net[ends[arc][0]] = net.get(ends[arc][0], 0.0) + float(share[arc])
                net[ends[arc][1]] = net.get(ends[arc][1], 0.0) - float(share[arc])
            wanted = {pair[0]: 1.0, pair[1]: -1.0}
            if (share < -1e-12).any() or any(
                abs(net.get(node, 0.0) - wanted.get(node, 0.0)) > 1e-6 for node in {*net, *wanted}
            ):
                yield f"{name}: the flow from {pair[0]!r} to {pair[1]!r} is not conserved"
        if sent.trees is not None:
            assert sent.problem is not None
            flow = congestion(package, sent.problem.traffic, routing="shortest")
            for fault in message_faults(flow, sent.trees, tolerance=1e-6):
                yield f"{name}: {fault}"
            load += sent.trees.arc_load
        if not np.allclose(network.channel_load(load), sent.load, rtol=1e-9, atol=1e-6):
            yield f"{name}: the loads of its channels are not those of its flows"
        yield from _time_faults(step, sent, name)


def _whole_faults(step: Step, sent: Transfer, name: str) -> Iterator[str]:
    assert sent.problem is not None
    routing = "optimal" if step.routing == "optimal-alone" else step.routing
    if routing not in ROUTINGS:
        routing = step.options.routing  # type: ignore[assignment]
    flow = congestion(step.package, sent.problem.traffic, routing=routing)
    try:
        flow.verify()
    except NopError as error:
        yield f"{name}: {error}"
    if routing != "optimal" and not np.allclose(flow.load, sent.load, rtol=1e-6, atol=1e-6):
        yield f"{name}: the loads of its channels are not those of {step.routing}"
    yield from _time_faults(step, sent, name)


def _time_faults(step: Step, sent: Transfer, name: str) -> Iterator[str]:
    """Hold the times of a transfer on full-duplex links against bytes over bandwidth."""
    package, efficiency = step.package, step.options.efficiency.network
    moves = any(isinstance(package[end], Memory) for pair in sent.pairs for end in pair)
    if moves and not step.options.weights_on_network:
        return
    for channel, load in zip(package.channels, sent.load, strict=True):
        link = package.links[channel.link]
        if link.half_duplex or load <= 0:
            continue
        time = float(load) / channel.bandwidth / efficiency
        memory = next((end for end in (channel.tail, channel.head) if isinstance(package[end], Memory)), None)
        taken = sent.ports.get(memory, 0.0) if memory is not None else sent.uses.get(channel.name)
        if taken is None:  # a bundle of parallel channels goes by the name of the first
            continue
        if taken < time * (1 - 1e-6):
            yield f"{name}: {channel.name} takes {taken:.6g} s for {load:.6g} B, which need {time:.6g} s"


def _passes(step: Step) -> Iterator[tuple[Block, float, Transfer]]:
    """Yield each transfer of a step with how often it runs."""
    for number, block in enumerate((*step.blocks, step.head)):
        times = 1.0 if block is step.head else float(step.layers.count(number))
        both = 2.0 if step.training and block is not step.head else 1.0
        for sent in (*block.dispatch, *block.combine):
            yield block, times * both, sent
        for part in block.slices:
            yield block, times * both, part.load
            if step.training:
                yield block, times, part.store
        for kind, _ in block.exchanged:
            if step.training:
                yield block, times, block.exchange[kind]
        for cached in (block.cache_read, block.cache_written):
            if cached is not None and block is not step.head:
                yield block, times * step.micro_batches, cached


def _task_faults(plan: StepSchedule, tol: float) -> Iterator[str]:
    """Compare the time of each kind of transfer on each resource in the graph with that of the step."""
    wanted: dict[tuple[str, str], float] = {}
    for _, times, sent in _passes(plan.step):
        for name, time in sent.occupied.items():
            wanted[sent.kind, name] = wanted.get((sent.kind, name), 0.0) + times * time
    graph = plan.graph
    found: dict[tuple[str, str], float] = {}
    kinds = {sent.kind for _, _, sent in _passes(plan.step)}
    for task, need in enumerate(graph.need.tolist()):
        kind = graph.kinds[graph.kind[task]]
        for resource in graph.needs[need][0] if kind in kinds else ():
            key = (kind, graph.resources[resource])
            found[key] = found.get(key, 0.0) + float(graph.duration[task])
    for key in sorted({*wanted, *found}):
        if abs(wanted.get(key, 0.0) - found.get(key, 0.0)) > 1e3 * tol * plan.makespan:
            kind, name = key
            yield (
                f"{kind} on {name}: the tasks take {found.get(key, 0.0):.6g} s, "
                f"the transfers {wanted.get(key, 0.0):.6g} s"
            )


def _price_faults(step: Step, relaxed: Step, prices: Floats) -> Iterator[str]:
    """Hold every relaxed transfer against the cost of its bytes by other shortest paths."""
    network, efficiency = flow_network(step.package), step.options.efficiency.network
    if (prices < 0).any() or not np.allclose(prices @ network.capacity, 1.0):
        yield "the prices are negative or capacity @ prices is not 1"
        return
    distances = [_distances(network, y) for y in prices]
    index = step.package.index

    def cost(pair: Pair) -> Floats:
        source, sink = index[pair[0]], index[pair[1]]
        ends = (int(network.origin[source]), int(network.destination[sink]))
        ports = prices @ network.on_injected[:, [source]] + prices @ network.on_ejected[:, [sink]]
        far: Floats = np.array([known[ends[0]][ends[1]] for known in distances]) + np.asarray(ports).ravel()
        return far

    known: dict[Pair, Floats] = {}
    for sent, priced in zip(step.transfers(), relaxed.transfers(), strict=True):
        total = np.zeros(len(prices))
        for pair, size in sent.pairs.items():
            if pair not in known:
                known[pair] = cost(pair)
            total += size * known[pair]
        if sent.problem is not None and sent.problem.messages:
            continue
        if sent.summed is not None:
            yield from sum_price_faults(step, sent, priced, prices, cost)
            continue
        claimed = np.array([priced.uses.get(f"price {k}", 0.0) for k in range(len(prices))]) * efficiency
        if (claimed > total * (1 + 1e-6) + 1e-15).any():
            yield f"{sent.kind} {sent.index}: costs more under the prices than its shortest paths"
    yield from _tree_faults(step, prices, distances)


def _distances(network: FlowNetwork, prices: Floats) -> dict[int, Mapping[int, float]]:
    """Return the distances between all vertices under some prices."""
    import networkx as nx

    length = np.asarray(network.on_arcs.T @ prices, dtype=float)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(network.num_vertices))
    for tail, head, far in zip(network.tail.tolist(), network.head.tolist(), length.tolist(), strict=True):
        graph.add_edge(tail, head, weight=far)
    return dict(nx.all_pairs_dijkstra_path_length(graph))


def _tree_faults(
    step: Step, prices: Floats, distances: list[dict[int, Mapping[int, float]]]
) -> Iterator[str]:
    """Compute the cheapest trees of some sets again, by a recursion over subsets."""
    from noptoolkit.step.prices import message_sets, set_costs

    network = flow_network(step.package)
    parts: dict[bool, Messages] = {}
    for sent in step.transfers():
        for part in () if sent.problem is None else sent.problem.messages:
            parts.setdefault(part.reverse, part)
    size = range(network.num_vertices)
    dense = np.array([[[known[a].get(b, np.inf) for b in size] for a in size] for known in distances])
    none = np.zeros((len(prices), len(step.package.nodes)))
    for reverse, part in parts.items():
        rows = np.unique(message_sets(part), axis=0)
        members = rows[:, 1:].sum(axis=1)
        rows = rows[(members > 0) & (members <= MOST_MEMBERS)]
        if len(rows) > SAMPLE:
            rows = rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64)]
        claimed = set_costs(network, dense, none, none, rows, part.endpoints, reverse)
        for k in range(len(prices)):
            onto = dense[k].T if reverse else dense[k]
            for row, least in zip(rows, claimed[k], strict=True):
                at = int((network.destination if reverse else network.origin)[row[0]])
                ends = (network.origin if reverse else network.destination)[part.endpoints[row[1:] > 0]]
                tree = _cheapest_tree(onto, at, frozenset(ends.tolist()))
                if least > tree * (1 + 1e-6) + 1e-18:
                    yield f"a message from {at} costs {least:.6g} under price {k}, its tree {tree:.6g}"


def _cheapest_tree(onto: Floats, root: int, members: frozenset[int]) -> float:
    """Return the length of the cheapest tree from a root to all members, every vertex copying."""

    @cache
    def from_each(subset: frozenset[int]) -> tuple[float, ...]:
        if len(subset) == 1:
            (member,) = subset
            return tuple(onto[:, member].tolist())
        first, *others = sorted(subset)
        parted = np.full(len(onto), np.inf)
        for count in range(len(others)):
            for chosen in itertools.combinations(others, count):
                part = frozenset((first, *chosen))
                parted = np.minimum(parted, np.add(from_each(part), from_each(subset - part)))
        return tuple((onto + parted[None, :]).min(axis=1).tolist())

    return from_each(members)[root]
