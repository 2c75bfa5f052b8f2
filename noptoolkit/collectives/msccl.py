"""Schedules as MSCCL-style XML, and back; see `noptoolkit.collectives.exports` for what that keeps.

A tree that carries k chunks is k runs of its hops. For each pair of members and direction there is one
thread block at the sender and one at the receiver; their steps are in the same order, so the n-th send
meets the n-th receive. A step waits for at most one other (``depid``, ``deps``), further ones stand before
it as ``nop`` steps.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from noptoolkit.collectives.exports import chunk_counts
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.values.requests import Request
from noptoolkit.errors import FormatError, RoutingError
from noptoolkit.package import Package

__all__ = ["as_msccl", "from_msccl"]

COLLECTIVES = {
    "all-gather": "allgather",
    "reduce-scatter": "reduce_scatter",
    "all-reduce": "allreduce",
    "broadcast": "broadcast",
    "reduce": "reduce",
    "all-to-all": "alltoall",
    "scatter": "scatter",
    "gather": "gather",
    "send": "custom",
}


def as_msccl(result: CollectiveResult) -> str:
    """Return the schedule of one request as XML.

    Raises
    ------
    RoutingError
        If there is no schedule of a single request, relays compute, or amounts are no multiples of a chunk.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> ring = topology.ring(4, link_bandwidth="1 GB/s")
    >>> print(as_msccl(collective(ring, "broadcast", "1 GB")).splitlines()[0])
    <algo name="broadcast" proto="Simple" ngpus="4" nchannels="1" nchunksperloop="2" coll="broadcast" ...>
    """
    from xml.sax.saxutils import quoteattr

    if result.schedule is None or len(result.requests) != 1:
        raise RoutingError("MSCCL holds one collective with its schedule; take the JSON form")
    if result.computing:
        raise RoutingError("MSCCL has no relays that compute; take the JSON form")
    (request,) = result.requests
    rank = {name: i for i, name in enumerate(request.members)}
    trees = list(result.schedule)
    counts = chunk_counts([tree.amount for tree in trees])
    first: list[int] = []
    total = 0
    for tree, count in zip(trees, counts, strict=True):
        if tree.after >= 0:
            first.append(first[tree.after])
        else:
            first.append(total)
            total += count
    steps: dict[tuple[int, str, int], list[dict[str, Any]]] = defaultdict(list)
    made: dict[tuple[int, int, int], list[tuple[int, str, int, int]]] = defaultdict(list)  # tree, chunk, rank
    for t, (tree, count) in enumerate(zip(trees, counts, strict=True)):
        for c in range(count):
            off = first[t] + c
            if tree.after >= 0:
                made[t, c, rank[tree.root]] += made[tree.after, c, rank[tree.root]]
            for hop in tree.hops:
                u, v = rank[hop[0]], rank[hop[-1]]
                kind = "rrc" if tree.collects else "r"
                sent = steps[u, "s", v]
                _wait(sent, made[t, c, u], (u, "s", v))
                sent.append({"type": "s", "off": off})
                got = steps[v, "r", u]
                got.append({"type": kind, "off": off})
                made[t, c, v].append((v, "r", u, len(got) - 1))
    blocks: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for gpu, way, peer in steps:
        blocks[gpu].append((way, peer))
    place = {(gpu, *block): i for gpu, held in blocks.items() for i, block in enumerate(held)}
    awaited = {wait for held in steps.values() for step in held for wait in step.get("wait", ())}
    lines = [
        f'<algo name={quoteattr(request.kind)} proto="Simple" ngpus="{len(rank)}" nchannels="1" '
        f'nchunksperloop="{total}" coll="{COLLECTIVES[request.kind]}" inplace="1" outofplace="0" '
        'minBytes="0" maxBytes="0">'
    ]
    for gpu in range(len(rank)):
        lines.append(f'  <gpu id="{gpu}" i_chunks="{total}" o_chunks="{total}" s_chunks="0">')
        for i, (way, peer) in enumerate(blocks[gpu]):
            send, recv = (peer, -1) if way == "s" else (-1, peer)
            lines.append(f'    <tb id="{i}" send="{send}" recv="{recv}" chan="0">')
            for s, step in enumerate(steps[gpu, way, peer]):
                wait = step.get("wait", [None])[0]
                dep = (place[wait[:3]], wait[3]) if wait else (-1, -1)
                has = int((gpu, way, peer, s) in awaited)
                lines.append(
                    f'      <step s="{s}" type="{step["type"]}" srcbuf="i" srcoff="{step["off"]}" dstbuf="i" '
                    f'dstoff="{step["off"]}" cnt="1" depid="{dep[0]}" deps="{dep[1]}" hasdep="{has}"/>'
                )
            lines.append("    </tb>")
        lines.append("  </gpu>")
    lines.append("</algo>")
    return "\n".join(lines) + "\n"


def _wait(
    sent: list[dict[str, Any]], before: list[tuple[int, str, int, int]], own: tuple[int, str, int]
) -> None:
    """Let the next send wait for receives: all but the last as steps of their own."""
    for wait in before[:-1]:
        sent.append({"type": "nop", "off": 0, "wait": [wait]})
    if before:
        sent.append({"type": "nop", "off": 0, "wait": [before[-1]]})


def from_msccl(
    package: Package, text: str, request: Request, *, place: str = "schedule.xml"
) -> dict[str, Any]:
    """Return an XML text as data that `from_data` reads; paths are shortest ones.

    Parameters
    ----------
    package
        Package whose channels the hops take.
    request
        Request that the text serves: its members in order of their numbers.

    Raises
    ------
    FormatError
        If the text is not such XML, or sends and receives do not match.
    """
    from xml.etree import ElementTree

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FormatError(f"{place}: it declares a document type or entities; take them out")
    try:
        algo = ElementTree.fromstring(text)
        chunks = int(algo.get("nchunksperloop", "0"))
        streams: dict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
        sends: dict[tuple[int, int], list[int]] = defaultdict(list)
        for gpu in algo.iter("gpu"):
            own = int(gpu.get("id", "-1"))
            for block in gpu.iter("tb"):
                send, recv = int(block.get("send", "-1")), int(block.get("recv", "-1"))
                for step in block.iter("step"):
                    kind, off = step.get("type", ""), int(step.get("dstoff", "0"))
                    if kind == "s":
                        sends[own, send].append(int(step.get("srcoff", "0")))
                    elif kind in ("r", "rrc"):
                        streams[recv, own].append((off, kind))
                    elif kind != "nop":
                        raise FormatError(f"{place}: steps of type {kind!r} are not read")
    except (ElementTree.ParseError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{place}: no XML of this style: {error}") from None
    members = request.members
    hops: dict[tuple[int, bool], list[tuple[int, int]]] = defaultdict(list)
    for pair, got in streams.items():
        if [off for off, _ in got] != sends.get(pair, []) or not all(0 <= x < len(members) for x in pair):
            raise FormatError(f"{place}: sends from {pair[0]} to {pair[1]} do not meet receives")
        for off, kind in got:
            hops[off, kind == "rrc"].append(pair)
    if chunks < 1 or not hops:
        raise FormatError(f"{place}: no chunks")
    return {
        "schema": 1,
        "kind": "collective schedule",
        "package": package.name,
        "computing": [],
        "requests": [
            {"kind": request.kind, "size": request.size, "members": list(members), "root": request.root}
        ],
        "trees": _with_paths(package, _trees(request, hops, chunks, place)),
    }


def _with_paths(package: Package, trees: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import networkx as nx

    known: dict[tuple[str, str], list[str]] = {}
    for tree in trees:
        for hop in tree["hops"]:
            pair = hop[0], hop[1]
            if pair not in known:
                known[pair] = nx.shortest_path(package.graph, *pair)
        tree["hops"] = [known[hop[0], hop[1]] for hop in tree["hops"]]
    return trees


def _trees(
    request: Request, hops: dict[tuple[int, bool], list[tuple[int, int]]], chunks: int, place: str
) -> list[dict[str, Any]]:
    whole = request.pair_bytes() if request.motion == "exchange" else request.share_bytes()
    total = float(whole.sum())
    names = request.members
    trees: list[dict[str, Any]] = []
    collected: dict[int, int] = {}
    for (off, collects), pairs in sorted(hops.items(), key=lambda item: (item[0][0], not item[0][1])):
        near: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for u, v in pairs:
            near[v if collects else u].append((u, v))
        leaving = {u for u, _ in pairs}
        entering = {v for _, v in pairs}
        roots = (entering - leaving) if collects else (leaving - entering)
        if len(roots) != 1:
            raise FormatError(f"{place}: chunk {off} does not move along one tree")
        (root,) = roots
        order, queue = [], [root]
        for x in queue:
            for u, v in near[x]:
                order.append((u, v))
                queue.append(u if collects else v)
                if len(queue) > len(pairs) + 1:
                    raise FormatError(f"{place}: chunk {off} moves in a circle")
        if collects:
            order.reverse()
            collected[off] = len(trees)
        both = request.motion == "both"
        part = "" if both else names[order[0][1]] if request.motion == "exchange" else names[root]
        trees.append(
            {
                "request": 0,
                "root": names[root],
                "collects": collects,
                "amount": total / chunks,
                "part": part,
                "after": collected.get(off, -1) if both and not collects else -1,
                "hops": [[names[u], names[v]] for u, v in order],
            }
        )
    return trees
