"""A second look at the routes of a step, and at the time that they take: from package and bytes alone.

Loads follow from the flow of each pair and the trees of messages, or, where a routing by name routed a
transfer as a whole, from that routing once more. Times follow from the loads of channels: the slowest of
parallel ones, both ways of a half-duplex link together, what enters a crossbar, what nodes send and receive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.errors import NopError
from noptoolkit.flow import congestion
from noptoolkit.flow.verification import message_faults
from noptoolkit.network import flow_network
from noptoolkit.package import Chiplet, Memory, Package
from noptoolkit.routing.rules import ROUTINGS
from noptoolkit.step.step import Step
from noptoolkit.step.sum_checks import sum_faults
from noptoolkit.step.transfers import Pair, Transfer
from noptoolkit.traffic import from_matrix

__all__ = ["resource_times", "route_faults"]


def route_faults(step: Step) -> Iterator[str]:
    """Yield what is wrong with the flows, loads and times of a step's transfers."""
    package, network = step.package, flow_network(step.package)
    vertices = zip(network.tail.tolist(), network.head.tolist(), strict=True)
    ends = [(network.node_of_vertex(a), network.node_of_vertex(b)) for a, b in vertices]
    channels = {(channel.tail, channel.head) for channel in package.channels}
    for a, b in ends:
        if (a, b) not in channels:
            yield f"no channel leads from {a!r} to {b!r}"
    for sent in step.transfers():
        name = f"{sent.kind} {sent.index}"
        numbers = np.array([*sent.load, *sent.uses.values(), *sent.ports.values(), *sent.pairs.values()])
        if not (np.isfinite(numbers) & (numbers >= 0)).all():
            yield f"{name}: a size, a load or a time is negative or no number"
            continue
        if sent.summed is not None:
            yield from sum_faults(step, sent, name)
            continue
        yield from _whole_faults(step, sent, name) if sent.paths is None else _path_faults(step, sent, name)
        yield from _time_faults(step, sent, name)
        yield from _part_faults(step, sent, name)


def _path_faults(step: Step, sent: Transfer, name: str) -> Iterator[str]:
    network = flow_network(step.package)
    ends = [
        (network.node_of_vertex(a), network.node_of_vertex(b))
        for a, b in zip(network.tail.tolist(), network.head.tolist(), strict=True)
    ]
    assert sent.paths is not None
    load = np.zeros(network.num_arcs)
    for pair, size in sent.pairs.items():
        share = sent.paths[pair]
        load += size * share
        net: dict[str, float] = {}
        for arc in np.flatnonzero(share).tolist():
            net[ends[arc][0]] = net.get(ends[arc][0], 0.0) + float(share[arc])
            net[ends[arc][1]] = net.get(ends[arc][1], 0.0) - float(share[arc])
        wanted = {pair[0]: 1.0, pair[1]: -1.0}
        if not (share >= -1e-12).all() or not all(
            abs(net.get(node, 0.0) - wanted.get(node, 0.0)) <= 1e-6 for node in {*net, *wanted}
        ):
            yield f"{name}: the flow from {pair[0]!r} to {pair[1]!r} is not conserved"
    if sent.trees is not None:
        assert sent.problem is not None
        method = ROUTINGS.get(step.routing)
        like = "valiant" if method is not None and method.relayed else "shortest"
        flow = congestion(_copying(step, sent), sent.problem.traffic, routing=like)
        for fault in message_faults(flow, sent.trees, tolerance=1e-6):
            yield f"{name}: {fault}"
        load += sent.trees.arc_load
    carried = np.zeros(network.num_arcs)
    np.add.at(carried, network.arc_of_channel, sent.load)
    own = network.shared(sent.sharing).channel_load(load)
    if not _alike(carried, load) or not _alike(own, sent.load):
        yield f"{name}: the loads of its channels are not those of its flows"


def _copying(step: Step, sent: Transfer) -> Package:
    """Return the package in which those nodes copy that may copy a transfer."""
    if not sent.of_memory or step.options.weights != "broadcast":
        return step.package
    assert sent.problem is not None
    ends = set(sent.problem.traffic.endpoints)
    nodes = [
        replace(node, replicates=True) if isinstance(node, Chiplet) and node.name in ends else node
        for node in step.package.nodes
    ]
    return step.package.replace(nodes=nodes)


def _whole_faults(step: Step, sent: Transfer, name: str) -> Iterator[str]:
    if sent.problem is None:
        yield f"{name}: has no paths"
        return
    routing = "optimal" if step.routing == "optimal-alone" else step.routing
    if routing not in ROUTINGS:
        routing = step.options.routing  # type: ignore[assignment]
    flow = congestion(step.package, sent.problem.traffic, routing=routing)
    try:
        flow.verify()
    except NopError as error:
        yield f"{name}: {error}"
    if not _alike(flow.load, sent.load):
        yield f"{name}: the loads of its channels are not those of {step.routing}"


def _alike(one: Floats, other: Floats) -> bool:
    return bool(np.allclose(one, other, rtol=1e-6, atol=1e-6))


def _time_faults(step: Step, sent: Transfer, name: str) -> Iterator[str]:
    """Hold the time of a transfer on every resource against bytes over bandwidth."""
    package, efficiency = step.package, step.options.efficiency
    if sent.of_memory:
        ports, times = _movement_times(step, sent)
    else:
        ports, times = {}, resource_times(package, sent.load, *_at_ends(package, sent, sent.pairs))
    times = {resource: time / efficiency.network for resource, time in times.items()}
    for claimed, found in ((sent.ports, ports), (sent.uses, times)):
        for resource in sorted({*claimed, *found}):
            taken, needed = claimed.get(resource, 0.0), found.get(resource, 0.0)
            if not abs(taken - needed) <= 1e-6 * max(needed, sent.time):
                yield f"{name}: {resource} takes {taken:.6g} s for what needs {needed:.6g} s"


def _part_faults(step: Step, sent: Transfer, name: str) -> Iterator[str]:
    """Hold what each part of a transfer occupies against the bytes of its own chiplets, and their routes."""
    if not sent.lanes:
        return
    package, network = step.package, flow_network(step.package).shared(sent.sharing)
    claimed: dict[tuple[str, int], float] = {}
    for lane_name, lane in sent.lanes.items():
        for resource, time in lane.uses.items():
            claimed[resource, int(lane_name.rpartition(" ")[2])] = time
    by_part: dict[int, dict[Pair, float]] = {}
    for pair, size in sent.pairs.items():
        part = step.parts[pair[0] if sent.kind == "combine" else pair[1]]
        by_part.setdefault(part, {})[pair] = size
    needed: dict[tuple[str, int], float] = {}
    for part, sizes in by_part.items():
        if sent.paths is not None:
            arcs = np.sum([size * sent.paths[pair] for pair, size in sizes.items()], axis=0)
            load = network.channel_load(arcs)
        else:
            names = list(dict.fromkeys(end for pair in sizes for end in pair))
            matrix = np.array([[sizes.get((a, b), 0.0) for b in names] for a in names])
            alone = from_matrix(package, matrix, endpoints=tuple(names))
            load = congestion(package, alone, routing=step.routing).load
        out: dict[str, float] = {}
        back: dict[str, float] = {}
        for (source, sink), size in sizes.items():
            out[source] = out.get(source, 0.0) + size
            back[sink] = back.get(sink, 0.0) + size
        for resource, time in resource_times(package, load, out, back).items():
            needed[resource, part] = time / step.options.efficiency.network
    for key in sorted({*claimed, *needed}):
        if not abs(claimed.get(key, 0.0) - needed.get(key, 0.0)) <= 1e-6 * sent.time:
            yield (
                f"{name}: part {key[1]} takes {claimed.get(key, 0.0):.6g} s on {key[0]} for what needs "
                f"{needed.get(key, 0.0):.6g} s"
            )


def _movement_times(step: Step, sent: Transfer) -> tuple[dict[str, float], dict[str, float]]:
    """Return the times of a movement of memory on ports, at their efficiency, and on the network, in s."""
    package, efficiency = step.package, step.options.efficiency
    network = flow_network(package).shared(sent.sharing)
    ports: dict[str, float] = {}
    times: dict[str, float] = {}
    parts = []
    for pair, size in sent.pairs.items():
        assert sent.paths is not None
        parts.append((network.channel_load(size * sent.paths[pair]), {pair[0]: size}, {pair[1]: size}))
    if sent.trees is not None:
        parts.append((network.channel_load(sent.trees.arc_load), *_at_ends(package, sent, {})))
    for load, out, back in parts:
        needed = resource_times(package, load, out, back)
        for end in {**out, **back}:
            stack, size = package[end], out.get(end, 0.0) + back.get(end, 0.0)
            if isinstance(stack, Memory) and size > 0:
                links = [needed.pop(resource, 0.0) for resource in _tables(package).of_stack[end]]
                port = stack.latency + size / (stack.bandwidth * efficiency.memory)
                ports[end] = ports.get(end, 0.0) + max(port, max(links) / efficiency.network)
        if step.options.weights_on_network:
            for resource, time in needed.items():
                times[resource] = times.get(resource, 0.0) + time
    return ports, times


def _at_ends(
    package: Package, sent: Transfer, pairs: Mapping[Pair, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return what each node sends and receives of some pairs and all messages, in B, by name."""
    out: dict[str, float] = {}
    back: dict[str, float] = {}
    for (source, sink), size in pairs.items():
        out[source] = out.get(source, 0.0) + size
        back[sink] = back.get(sink, 0.0) + size
    if sent.trees is not None:
        for node, left, came in zip(package.nodes, sent.trees.injected, sent.trees.ejected, strict=True):
            out[node.name] = out.get(node.name, 0.0) + float(left)
            back[node.name] = back.get(node.name, 0.0) + float(came)
    return out, back


@dataclass(frozen=True, eq=False)
class _Tables:
    """A package's resources: of channels by their index, of stacks (port and links) by name."""

    of_channel: list[str]
    of_stack: dict[str, frozenset[str]]
    limits: dict[str, dict[str, float]]


@lru_cache(maxsize=8)
def _tables(package: Package) -> _Tables:
    first: dict[object, str] = {}
    of_channel = []
    of_stack = {stack.name: {f"{stack.name} port"} for stack in package.memories}
    for channel in package.channels:
        half = package.links[channel.link].half_duplex
        ends = (channel.tail, channel.head)
        key = (frozenset(ends) if half else ends, half)
        of_channel.append(first.setdefault(key, channel.name))  # parallel ones go by the name of the first
        for end in ends:
            if end in of_stack:
                of_stack[end].add(of_channel[-1])
    limits: dict[str, dict[str, float]] = {}
    for node in package.nodes:
        for field in ("crossbar", "injection", "ejection"):
            limit = getattr(node, f"{field}_bandwidth", None)
            if limit is not None:
                limits.setdefault(node.name, {})[field] = limit
        if isinstance(node, Memory):
            limits[node.name] = {"port": node.bandwidth}
    return _Tables(of_channel, {name: frozenset(own) for name, own in of_stack.items()}, limits)


def resource_times(
    package: Package, load: Floats, out: Mapping[str, float], back: Mapping[str, float]
) -> dict[str, float]:
    """Return how long the loads of channels keep every resource of a package busy, in s, by name.

    Parameters
    ----------
    load : ndarray
        Bytes on each channel, [channels].
    out, back : mapping
        Bytes that nodes send and receive, by name.
    """
    tables = _tables(package)
    both: dict[int, float] = {}
    entering: dict[str, float] = {}
    used = [(package.channels[i], i, float(load[i])) for i in np.flatnonzero(load > 0).tolist()]
    for channel, _, size in used:
        both[channel.link] = both.get(channel.link, 0.0) + size
        entering[channel.head] = entering.get(channel.head, 0.0) + size
    times: dict[str, float] = {}
    for channel, i, size in used:
        amount = both[channel.link] if package.links[channel.link].half_duplex else size
        name = tables.of_channel[i]
        times[name] = max(times.get(name, 0.0), amount / channel.bandwidth)
    for node in {*out, *back, *entering}:
        sent, received = out.get(node, 0.0), back.get(node, 0.0)
        amounts = {
            "crossbar": entering.get(node, 0.0),
            "injection": sent,
            "ejection": received,
            "port": sent + received,
        }
        for field, limit in tables.limits.get(node, {}).items():
            if amounts[field] > 0:
                times[f"{node} {field}"] = amounts[field] / limit
    return times
