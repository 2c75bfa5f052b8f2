"""Task graphs as Chakra execution traces, and execution traces of other tools as task graphs.

Out: load and store tasks become MEM_LOAD and MEM_STORE nodes; flows, dispatch, combine and collectives become
collective nodes (ALL_TO_ALL, or ALL_REDUCE and the like where the kind says so) with their bytes where a flow
has them; all others COMP nodes. Times are whole microseconds in the schema; the exact duration and all else
that the list scheduler needs stands in attributes, so that the graph comes back equal but for its fronts,
which only the lower bound uses.

In, of other tools: a node is a task of its duration. Where it has none, ``num_ops / flops``, ``tensor_size /
memory_bandwidth`` or ``comm_size / bandwidth``, if these rates are given. Compute nodes share one resource,
``compute``, memory nodes ``memory``, communication ``network``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError, NopError
from noptoolkit.formats.chakra import ChakraNode, ChakraTrace, read_chakra, write_chakra
from noptoolkit.limits import within
from noptoolkit.scheduling.graph_builder import TaskGraphBuilder
from noptoolkit.scheduling.result import Schedule
from noptoolkit.scheduling.task_graph import TaskGraph
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["from_chakra", "to_chakra"]

PREFIX = "noptoolkit."
TYPES = {
    "load": "MEM_LOAD_NODE",
    "store": "MEM_STORE_NODE",
    "write": "MEM_STORE_NODE",
}
COLLECTIVES = ("all_reduce", "reduce", "all_gather", "gather", "scatter", "broadcast", "all_to_all")
RESOURCES = {
    "COMP_NODE": ("compute", "compute"),
    "MEM_LOAD_NODE": ("memory", "load"),
    "MEM_STORE_NODE": ("memory", "store"),
    "COMM_SEND_NODE": ("network", "send"),
    "COMM_RECV_NODE": ("network", "receive"),
    "COMM_COLL_NODE": ("network", "collective"),
}
SIZES = {"compute": "num_ops", "memory": "tensor_size", "network": "comm_size"}


def to_chakra(tasks: TaskGraph | Schedule, path: str | Path) -> None:
    """Write a task graph, or a schedule with its start times, as a Chakra execution trace.

    Parameters
    ----------
    tasks
        Graph or schedule.
    path
        File to write, ``.et`` by custom.

    Raises
    ------
    FormatError
        If ``protobuf`` is missing or the file cannot be written.
    """
    graph = tasks.graph if isinstance(tasks, Schedule) else tasks
    start = tasks.start.tolist() if isinstance(tasks, Schedule) else [0.0] * len(graph)
    bounds, uses = graph.pred_ptr.tolist(), graph.use_ptr.tolist()
    nodes = []
    for i, duration in enumerate(graph.duration.tolist()):
        kind = graph.kinds[graph.kind[i]]
        held, buffer = graph.needs[graph.need[i]]
        attributes: dict[str, Any] = {"is_cpu_op": False, f"{PREFIX}kind": kind}
        attributes[f"{PREFIX}duration"] = duration
        if held:
            attributes[f"{PREFIX}resources"] = tuple(map(int, held))
        if buffer >= 0:
            attributes |= {f"{PREFIX}buffer": int(buffer), f"{PREFIX}hold": float(graph.hold[i])}
        if uses[i] < uses[i + 1]:
            part = slice(uses[i], uses[i + 1])
            attributes[f"{PREFIX}flow_size"] = float(graph.flow_size[i])
            attributes[f"{PREFIX}use_resource"] = tuple(graph.use_resource[part].tolist())
            attributes[f"{PREFIX}use_time"] = tuple(graph.use_time[part].tolist())
        plain = kind.replace("-", "_")
        moves = uses[i] < uses[i + 1] or plain in (*COLLECTIVES, "dispatch", "combine")
        kind_of_node = TYPES.get(kind, "COMM_COLL_NODE" if moves else "COMP_NODE")
        if kind_of_node == "COMM_COLL_NODE":
            attributes["comm_type"] = COLLECTIVES.index(plain if plain in COLLECTIVES else "all_to_all")
            if graph.flow_size[i] > 0:
                attributes["comm_size"] = round(float(graph.flow_size[i]))
        nodes.append(
            ChakraNode(
                i,
                graph.texts[graph.label[i]],
                kind_of_node,
                tuple(graph.pred[bounds[i] : bounds[i + 1]].tolist()),
                round(start[i] * 1e6),
                round(duration * 1e6),
                attributes,
            )
        )
    whole = {
        f"{PREFIX}resources": graph.resources,
        f"{PREFIX}capacity": tuple(graph.capacity.tolist()),
        f"{PREFIX}buffers": graph.buffers,
        f"{PREFIX}buffer_size": tuple(graph.buffer_size.tolist()),
    }
    write_chakra(ChakraTrace(tuple(nodes), whole), path)


def from_chakra(
    path: str | Path,
    *,
    flops: Quantity | None = None,
    bandwidth: Quantity | None = None,
    memory_bandwidth: Quantity | None = None,
) -> TaskGraph:
    """Return the task graph of a Chakra execution trace.

    Parameters
    ----------
    path
        File to read.
    flops
        Rate in FLOP/s of compute nodes that have operations but no duration.
    bandwidth, memory_bandwidth
        Rates in B/s of communication and memory nodes that have a size but no duration.

    Raises
    ------
    FormatError
        If it is no trace, a node waits for one that is not there, or some wait for each other.
    """
    place, trace = str(path), read_chakra(path)
    rates = {
        resource: None if rate is None else parse_quantity(rate, unit, what)
        for resource, rate, unit, what in (
            ("compute", flops, "FLOP/s", "flops"),
            ("network", bandwidth, "B/s", "bandwidth"),
            ("memory", memory_bandwidth, "B/s", "memory_bandwidth"),
        )
    }
    ours = f"{PREFIX}resources" in trace.attributes
    nodes = [node for node in trace.nodes if node.type in RESOURCES]
    known = {node.id: node for node in trace.nodes}
    if len(known) < len(trace.nodes):
        raise FormatError(f"{place}: two nodes have one id")
    try:
        builder = _builder(trace.attributes) if ours else TaskGraphBuilder()
        _check_order(trace.nodes, known, place)
        index = {node.id: i for i, node in enumerate(nodes)}
        walked: dict[int, Sequence[int]] = {}
        named = 0
        for task, node in enumerate(nodes):
            before: dict[int, None] = {}
            for i in node.depends:
                if i not in walked:
                    walked[i] = _before(i, known, index, walked)
                before |= dict.fromkeys(walked[i])
                named += len(walked[i])
            within("values", named, place, "waits of tasks through nodes that are none")
            after = [k for k in before if k < task]
            _add(builder, node, after, trace.attributes if ours else None, rates)
            for k in before:
                if k > task:
                    builder.wait(task, k)
        return builder.build()
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, NopError):
            raise
        raise FormatError(f"{place}: an attribute is not as it is written ({error!r:.80})") from None


def _builder(whole: Mapping[str, Any]) -> TaskGraphBuilder:
    capacities = dict(zip(whole[f"{PREFIX}resources"], whole[f"{PREFIX}capacity"], strict=True))
    buffers = dict(zip(whole[f"{PREFIX}buffers"], whole[f"{PREFIX}buffer_size"], strict=True))
    return TaskGraphBuilder({name: int(of) for name, of in capacities.items()}, buffers)


def _before(
    i: int,
    known: Mapping[int, ChakraNode],
    index: Mapping[int, int],
    walked: Mapping[int, Sequence[int]],
) -> Sequence[int]:
    """Return the tasks that a dependence means: a node, or what came before one that is not a task.

    ``walked`` holds the answers of other nodes.
    """
    if i in index:
        return [index[i]]
    found: dict[int, None] = {}
    todo, seen = list(known[i].depends), {i}
    while todo:
        k = todo.pop()
        if k in index:
            found[index[k]] = None
        elif k in walked:
            found |= dict.fromkeys(walked[k])
        elif k not in seen:
            seen.add(k)
            todo += known[k].depends
    return list(found)


def _add(
    builder: TaskGraphBuilder,
    node: ChakraNode,
    after: list[int],
    whole: Mapping[str, Any] | None,
    rates: Mapping[str, float | None],
) -> int:
    given = node.attributes
    resource, kind = RESOURCES[node.type]
    if whole is None or f"{PREFIX}duration" not in given:
        duration, size = node.duration * 1e-6, given.get(SIZES[resource], 0)
        rate = rates[resource]
        if not duration and rate is not None and isinstance(size, int | float):
            duration = size / rate
        return builder.add(duration, resource, after, kind=kind, label=node.name)
    names = whole[f"{PREFIX}resources"]
    kind, duration = str(given[f"{PREFIX}kind"]), float(given[f"{PREFIX}duration"])  # type: ignore[arg-type]
    if f"{PREFIX}flow_size" in given:
        pairs = zip(given[f"{PREFIX}use_resource"], given[f"{PREFIX}use_time"], strict=True)  # type: ignore[arg-type]
        uses = {names[i]: float(time) for i, time in pairs}
        size = float(given[f"{PREFIX}flow_size"])  # type: ignore[arg-type]
        return builder.add_flow(size, uses, after, kind=kind, label=node.name, least=duration)
    held = tuple(names[i] for i in given.get(f"{PREFIX}resources", ()))  # type: ignore[union-attr]
    buffer = given.get(f"{PREFIX}buffer")
    return builder.add(
        duration,
        held or None,
        after,
        kind=kind,
        label=node.name,
        buffer=None if buffer is None else whole[f"{PREFIX}buffers"][buffer],
        hold=float(given.get(f"{PREFIX}hold", 0.0)),  # type: ignore[arg-type]
    )


def _check_order(nodes: Sequence[ChakraNode], known: Mapping[int, ChakraNode], place: str) -> None:
    """Raise unless the nodes can run one after the other.

    Raises
    ------
    FormatError
        If one waits for a node that is not there, or some wait for each other.
    """
    waiting: dict[int, int] = {}
    followers: dict[int, list[int]] = {}
    for node in nodes:
        waiting[node.id] = len(node.depends)
        for i in node.depends:
            if i not in known:
                raise FormatError(f"{place}: node {node.id} waits for node {i}, which is not there")
            followers.setdefault(i, []).append(node.id)
    ready = [node.id for node in nodes if not node.depends]
    while ready:
        for k in followers.get(ready.pop(), ()):
            waiting[k] -= 1
            if not waiting[k]:
                ready.append(k)
    stuck = [i for i, count in waiting.items() if count]
    if stuck:
        raise FormatError(f"{place}: node {stuck[0]} and {len(stuck) - 1} others wait for each other")
