"""Streams of bytes along given paths, in chunks, each injected at its own pace: schedules of collectives.

A schedule in which everything moves at the same time gives each stream a rate, its bytes over the time of the
schedule. Here chunk k of n starts at k / n of that time, or once its sender has what it waits for, and its
packets are spread over one n-th of the time: so no link is asked for more than the schedule gives it, and
what routers add is latency, the filling of the pipeline of chunks, and conflicts of single packets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import WorkloadError
from noptoolkit.network import FlowNetwork
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.classes import classes_for
from noptoolkit.simulate.completing import Completed, run_list
from noptoolkit.simulate.injection import no_list
from noptoolkit.simulate.listing import Listing, sources_for
from noptoolkit.simulate.plan import ANY_OF_PATH, Plan, check_count, hops_along, pairs_along
from noptoolkit.simulate.planes import in_proportion, planes_of
from noptoolkit.simulate.ports import Ports, ports_of
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.routes import Choice
from noptoolkit.simulate.state import new_network

__all__ = ["Streams", "larger_flits", "run_streams"]

MOST_PACKETS = 5_000_000


@dataclass(frozen=True, eq=False)
class Streams:
    """Streams of bytes, each along a path of its own.

    Parameters
    ----------
    network
        Whose arcs the paths count.
    name
        What tables and pictures call them.
    source, target
        Node that sends and that receives each stream, [streams].
    paths
        Arcs of each path.
    bytes
        Size of each stream, in B, [streams].
    time
        Time over which each stream is spread, in s.
    chunks
        Chunks of each stream.
    waits
        Pairs of streams: every chunk of the second waits for the same chunk of the first, [pairs, 2].
    """

    network: FlowNetwork
    name: str
    source: Ints
    target: Ints
    paths: Sequence[Ints]
    bytes: Floats = field(metadata={"unit": "B"})
    time: float = field(metadata={"unit": "s"})
    chunks: int
    waits: Ints

    def flits(self, flit_bytes: float) -> Ints:
        """Return the flits of each chunk of each stream, at least one, [streams, chunks]."""
        total = np.ceil(self.bytes / flit_bytes - 1e-6)
        edges = np.floor(np.outer(total, np.arange(self.chunks + 1)) / self.chunks + 1e-9).astype(np.int64)
        return np.maximum(np.diff(edges, axis=1), 1)


def run_streams(
    streams: Streams,
    router: Router,
    key: Any,
    *,
    allow_deadlock: bool = False,
    checked: bool = False,
    most_cycles: int = 100_000_000,
    report: Callable[[float, str], None] | None = None,
) -> Completed:
    """Run streams until every packet is delivered.

    Raises
    ------
    RoutingError
        If the paths can deadlock and there are too few VCs, or do.
    WorkloadError
        If there is nothing to send, or far too much.
    """
    nodes = np.unique(np.r_[streams.source, streams.target])
    if len(nodes) == 0:
        raise WorkloadError(f"{streams.name}: nothing to send")
    names = tuple(streams.network.package.nodes[k].name for k in nodes.tolist())
    ports = ports_of(streams.network, router, names)
    source, target = np.searchsorted(nodes, streams.source), np.searchsorted(nodes, streams.target)
    plan, variants = _plan(ports, streams, target, allow_deadlock)
    listing = _listing(ports, streams, source, target, variants)
    sources = sources_for(no_list(ports), listing, key, len(names))
    return run_list(plan, listing, sources, checked, most_cycles, report, ())


def _plan(
    ports: Ports, streams: Streams, target: Ints, allow_deadlock: bool
) -> tuple[Plan, list[tuple[Ints, list[float]]]]:
    """Return the plan, and where the variants of each stream's path begin, with their shares."""
    found: list[list[int]] = []
    ends: list[int] = []
    which: list[tuple[list[int], list[float]]] = []
    for path, end in zip(streams.paths, target.tolist(), strict=True):
        arcs = path.tolist()
        parts = planes_of(ports, arcs)
        which.append(([len(found) + k for k in range(len(parts))], [float(share) for _, share in parts]))
        found += [[port_of[arc] for arc in arcs] for port_of, _ in parts]
        ends += [end] * len(parts)
    none = np.zeros(0, np.int64)
    classes = classes_for(
        ports, None, (none, none), pairs_along(found), name=streams.name, vcs=ports.router.vcs,
        allow_deadlock=allow_deadlock,
    )  # fmt: skip
    codes, begin, needed = hops_along(ports, found, ends, classes)
    check_count(ports, streams.name, classes, needed)
    masks, whole = classes.masks(needed, ports.router)
    hops = np.where(codes >> 8 == ANY_OF_PATH, codes & 255 | (len(masks) - 1) << 8, codes).astype(np.int32)
    choice = Choice(np.zeros((1, len(ports.endpoints)), np.int32), np.zeros(ports.inputs, np.int64))
    arrays = new_network(ports, choice, masks=masks, hops=hops, whole=whole)
    plan = Plan(ports, classes, choice, "paths of the schedule", c.PATH, arrays)
    return plan, [(begin[rows], shares) for rows, shares in which]


def _listing(
    ports: Ports, streams: Streams, source: Ints, target: Ints, variants: list[tuple[Ints, list[float]]]
) -> Listing:
    """Return the packets of all chunks, with their times and what they wait for."""
    packet, chunks = ports.router.packet, streams.chunks
    flits = streams.flits(ports.flit_bytes)
    count = -(-flits // packet)
    if count.sum() > MOST_PACKETS:
        raise WorkloadError(
            f"{streams.name}: {int(count.sum())} packets, {MOST_PACKETS} are the most; take a larger "
            "Router(flit=) or Router(packet=), or fewer chunks"
        )
    many = count.ravel()
    chunk = np.repeat(np.arange(many.size), many)
    stream = chunk // chunks
    place = np.arange(len(chunk)) - np.repeat(np.cumsum(many) - many, many)
    pace = streams.time * float(ports.router.clock) / chunks
    late = np.floor(place * pace / many[chunk]).astype(np.int64)
    rows = np.zeros((len(chunk), 16), np.int64)
    rows[:, [c.L_MESSAGE, c.L_NEXT, c.L_BEFORE, c.L_DONE, c.L_SENT]] = -1
    rows[:, c.L_SRC], rows[:, c.L_DEST], rows[:, c.L_KIND] = source[stream], target[stream], c.PATH
    rows[:, c.L_SIZE] = np.minimum(packet, flits.ravel()[chunk] - packet * place)
    rows[:, c.L_TIME] = np.floor(chunk % chunks * pace).astype(np.int64) + late
    rows[:, c.L_DELAY], rows[:, c.L_EVENT] = late, chunk
    each = [
        first[in_proportion(shares, int(total), k)] if len(shares) > 1 else np.full(total, first[0])
        for k, ((first, shares), total) in enumerate(zip(variants, count.sum(axis=1), strict=True))
    ]
    rows[:, c.L_PATH] = np.concatenate(each)
    before, after = streams.waits.reshape(-1, 2).T
    rows[:, c.L_NEED] = np.bincount(after, minlength=len(source))[stream]
    order = np.lexsort((stream, place / many[chunk], rows[:, c.L_TIME]))
    rows[order, c.L_ORDER] = np.arange(len(rows))
    begin = np.r_[0, np.cumsum(many)]
    held = (before[:, None] * chunks + np.arange(chunks)).ravel()
    waiting = (after[:, None] * chunks + np.arange(chunks)).ravel()
    by_event = np.argsort(held, kind="stable")
    held, waiting = held[by_event], waiting[by_event]
    width = many[waiting]
    follow = np.repeat(begin[waiting] - (np.cumsum(width) - width), width) + np.arange(width.sum())
    follow_first = np.searchsorted(np.repeat(held, width), np.arange(many.size + 1)).astype(np.int64)
    words = -(-len(ports.endpoints) // 64)
    none = np.zeros(0, np.int64)
    return Listing(
        packets=rows, transfer=stream, messages=np.zeros((1, 8), np.int64),
        members=np.zeros((1, words), np.int64), sums=1, follow_first=follow_first,
        follow=follow if len(follow) else np.zeros(1, np.int64), event_left=many.copy(), expected=none,
        window=0, by_order=np.zeros(1, np.int64),
    )  # fmt: skip


def larger_flits(streams: Streams, router: Router, most: int) -> Router:
    """Return a router whose flits are so large that all streams together are of so many at most."""
    flit = router.flit_bytes(streams.network)
    crossings = np.array([len(path) for path in streams.paths])
    while (np.ceil(streams.bytes / flit) * crossings).sum() > most:
        flit *= 2
    return router.with_(flit=flit) if not math.isclose(flit, router.flit_bytes(streams.network)) else router
