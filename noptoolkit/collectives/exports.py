"""Schedules of collectives as plain data, and back; as MSCCL-style XML, and back; as tasks of a task graph.

*Data* names nodes: each tree with its request, root, bytes and the nodes of the paths of its hops. What is
read is checked against a package and becomes a result of its own, whose bounds are solved for anew.

*MSCCL* (Microsoft Collective Communication Library) programs GPUs: channels between pairs, steps in thread
blocks, chunks of equal size. Members are numbered in their order; every hop is a send and a receive
(``r``), or a receive that adds (``rrc``). Physical paths, request names and the package are not part of it;
what is read takes shortest paths. Amounts must be whole multiples of a chunk, at most `MOST_CHUNKS` in all.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import gcd, lcm
from typing import Any

import numpy as np

from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.solving import assemble, bounds_of
from noptoolkit.collectives.values.answers import Answer
from noptoolkit.collectives.values.requests import Request, check_members
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees
from noptoolkit.collectives.values.theorems import GIVEN
from noptoolkit.errors import FormatError, RoutingError
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.package import Package
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder

__all__ = ["as_data", "as_tasks", "chunk_counts", "from_data"]

SCHEMA = 1
MOST_CHUNKS = 100_000
MOST_TASKS = 2_000_000


def as_data(result: CollectiveResult) -> dict[str, Any]:
    """Return a result's schedule as data that JSON can hold.

    Raises
    ------
    RoutingError
        If the result keeps no schedule.
    """
    schedule = _kept(result)
    return {
        "schema": SCHEMA,
        "kind": "collective schedule",
        "package": result.package.name,
        "algorithm": result.algorithm,
        "computing": list(result.computing),
        "requests": [
            {
                "kind": request.kind,
                "size": request.size,
                "members": list(request.members),
                **({"root": request.root} if request.root is not None else {}),
                **({"shares": _listed(request.shares)} if request.shares is not None else {}),
            }
            for request in result.requests
        ],
        "trees": [
            {
                "request": tree.request,
                "root": tree.root,
                "collects": tree.collects,
                "amount": tree.amount,
                "part": tree.part,
                "after": tree.after,
                "hops": [list(hop) for hop in tree.hops],
            }
            for tree in schedule
        ],
    }


def _listed(value: Any) -> Any:
    return [_listed(x) for x in value] if isinstance(value, tuple) else value


def _kept(result: CollectiveResult) -> CollectiveSchedule:
    if result.schedule is None:
        raise RoutingError("this result keeps no schedule; see its notes")
    return result.schedule


def from_data(package: Package, data: Mapping[str, Any], *, place: str = "schedule") -> CollectiveResult:
    """Return a schedule that was read as a result on a package: replayed, timed, and set beside its bound.

    Parameters
    ----------
    data
        What `as_data` returns.
    place
        Name of the file, for messages.

    Raises
    ------
    FormatError
        If the data is not a schedule, or its paths are not the package's.
    RoutingError
        If the trees do not do what the requests ask.
    """
    begun = clock.perf_counter()
    if (
        not isinstance(data, Mapping)
        or data.get("kind") != "collective schedule"
        or data.get("schema") != SCHEMA
    ):
        raise FormatError(f"{place}: not a collective schedule of schema {SCHEMA}")
    network = flow_network(package)
    try:
        requests = tuple(
            Request(r["kind"], r["size"], r["members"], r.get("root"), r.get("shares"))
            for r in data["requests"]
        )
        computing = tuple(str(name) for name in data.get("computing", ()))
        trees = list(data["trees"])
    except (KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{place}: requests or trees lack something: {error!r}") from None
    for request in requests:
        check_members(package, request)
    for name in computing:
        package[name]
    arcs = _arcs_by_name(network)
    rows = TreeRows()
    for i, tree in enumerate(trees):
        try:
            request_at, after = int(tree["request"]), int(tree.get("after", -1))
            amount, collects = float(tree["amount"]), bool(tree["collects"])
            root, part, hops = str(tree["root"]), str(tree["part"]), list(tree["hops"])
            paths = [[arcs[str(u), str(v)] for u, v in pairwise(hop)] for hop in hops]
        except KeyError as error:
            raise FormatError(f"{place}: tree {i}: no {error} in the tree or the package") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{place}: tree {i}: {error}") from None
        if not 0 <= request_at < len(requests) or not -1 <= after < len(trees) or not all(paths):
            raise FormatError(f"{place}: tree {i}: request or after out of range, or an empty hop")
        if not np.isfinite(amount) or amount < 0:
            raise FormatError(f"{place}: tree {i}: amount {amount!r} is not 0 or more bytes")
        exchange = requests[request_at].motion == "exchange"
        homes = network.destination if collects else network.origin
        ends = network.destination if exchange else homes
        rows.add(
            request_at,
            int(homes[package.index[package[root].name]]),
            amount,
            paths,
            collects=collects,
            part=int(ends[package.index[package[part].name]]) if part else -1,
            after=after,
        )
    schedule = schedule_of_trees(network, rows)
    answer = Answer(
        schedule.use(),
        f"schedule of {place}",
        bounds_of(network, requests),
        schedule,
        GIVEN,
        computing=computing,
    )
    result = assemble(
        network, requests, answer, algorithm="given", tol=0.01, seconds=clock.perf_counter() - begun
    )
    result.verify()
    return result


def _arcs_by_name(network: FlowNetwork) -> dict[tuple[str, str], int]:
    ends = zip(network.tail.tolist(), network.head.tolist(), strict=True)
    return {(network.node_of_vertex(u), network.node_of_vertex(v)): arc for arc, (u, v) in enumerate(ends)}


def chunk_counts(amounts: Sequence[float]) -> list[int]:
    """Return amounts as whole multiples of their largest common part, to a millionth of the largest.

    Raises
    ------
    RoutingError
        If that takes more than `MOST_CHUNKS` parts.

    Examples
    --------
    >>> chunk_counts([0.5, 0.25, 0.75])
    [2, 1, 3]
    """
    largest = max(amounts)
    parts = [Fraction(x / largest).limit_denominator(2_000) for x in amounts]
    common = lcm(*(part.denominator for part in parts))
    whole = [int(part * common) for part in parts]
    shared = gcd(*whole)
    counts = [x // shared for x in whole]
    exact = all(abs(float(part) - x / largest) < 1e-6 for part, x in zip(parts, amounts, strict=True))
    if not exact or min(counts) < 1 or sum(counts) > MOST_CHUNKS:
        raise RoutingError(
            f"the amounts of the trees are no whole multiples of a chunk, or need more than {MOST_CHUNKS}; "
            "round them (collective --whole-chunks N, collectives.whole_chunks), or take the JSON form"
        )
    return counts


def as_tasks(result: CollectiveResult, chunks: int = 1, *, alpha: float | None = None) -> TaskGraph:
    """Return a schedule as tasks: one for each chunk on each channel, which is a resource.

    Parameters
    ----------
    chunks
        Chunks of each tree.
    alpha
        Latency of a channel, in s; ``None`` takes it from the package. It is a task without a resource.

    Raises
    ------
    RoutingError
        If the result keeps no schedule, or that would be too many tasks.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> from noptoolkit.scheduling import schedule_graph
    >>> ring = topology.ring(4, link_bandwidth="1 GB/s")
    >>> graph = as_tasks(collective(ring, "all-gather", "4 GB"), chunks=2)
    >>> schedule_graph(graph).makespan >= 1.5
    True
    """
    from noptoolkit.collectives.chunks import arc_latency, dependences

    schedule = _kept(result)
    if len(schedule.arcs) * chunks > MOST_TASKS:
        raise RoutingError(f"{len(schedule.arcs)} crossings in {chunks} chunks are too many tasks; use fewer")
    network = schedule.network
    latency = arc_latency(schedule, alpha).tolist()
    waits_of: dict[int, list[int]] = {}
    _, next_start, next_hops, _ = dependences(schedule)
    for h in range(len(next_start) - 1):
        for follower in next_hops[next_start[h] : next_start[h + 1]].tolist():
            waits_of.setdefault(int(follower), []).append(h)
    names = [network.names[r] for r in network.own[np.arange(network.num_arcs)].tolist()]
    tasks = TaskGraphBuilder()
    tree_of, amount = schedule.tree_of_hop.tolist(), schedule.amount.tolist()
    done: dict[tuple[int, int], int] = {}
    order = _in_order(len(next_start) - 1, waits_of)
    for h in order:
        path = schedule.arcs[schedule.path_start[h] : schedule.path_start[h + 1]].tolist()
        for c in range(chunks):
            before = [done[x, c] for x in waits_of.get(h, [])]
            for arc in path:
                size = amount[tree_of[h]] / chunks
                label = f"tree {tree_of[h]} chunk {c} {names[arc]}"
                task = tasks.add(
                    size / float(network.arc_capacity[arc]),
                    names[arc],
                    before,
                    kind="collective",
                    label=label,
                )
                if latency[arc] > 0:
                    task = tasks.add(latency[arc], None, [task], kind="latency", label=f"{label} latency")
                before = [task]
            done[h, c] = before[0]
    return tasks.build()


def _in_order(count: int, waits_of: dict[int, list[int]]) -> list[int]:
    followers: dict[int, list[int]] = {}
    left = [len(waits_of.get(h, ())) for h in range(count)]
    for h, before in waits_of.items():
        for x in before:
            followers.setdefault(x, []).append(h)
    queue = [h for h in range(count) if left[h] == 0]
    for h in queue:
        for x in followers.get(h, []):
            left[x] -= 1
            if left[x] == 0:
                queue.append(x)
    return queue
