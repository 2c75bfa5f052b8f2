"""What stands against what: random problems, a room's answers, and an oracle that shares nothing with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from noptoolkit.collectives import KINDS, Request, collective
from noptoolkit.errors import NopError, RoutingError
from noptoolkit.flow import congestion
from noptoolkit.formats import dump_topology
from noptoolkit.package import Link, Memory, Package
from noptoolkit.simulate import Router, check
from noptoolkit.testing.oracles.collective_program import compact_optimum
from noptoolkit.testing.oracles.flow_program import least_flow_time
from noptoolkit.testing.oracles.message_ways import Message, least_time
from noptoolkit.testing.problems import random_package
from noptoolkit.traffic import DestinationSets, Traffic

__all__ = ["NETWORK_DUELS", "Asked", "Carried", "Duel", "traffic_of"]

TOL = 1e-5
"""Gap that solvers are asked to close."""


@dataclass(frozen=True)
class Duel:
    """A room against an oracle.

    Parameters
    ----------
    draw
        Makes a problem.
    faults
        Says what is wrong with the room's answers, ``kind: figures`` each.
    smaller
        Yields simpler problems, for a finding to be made small.
    """

    draw: Callable[[np.random.Generator], Any]
    faults: Callable[[Any], Iterator[str]]
    smaller: Callable[[Any], Iterator[Any]]


@dataclass(frozen=True)
class Carried:
    """Messages on a package; a pair is a message of one member."""

    package: Package
    messages: tuple[Message, ...]

    def __str__(self) -> str:
        lines = [
            f"{'reduction to' if reverse else 'from'} {root!r}, {', '.join(map(repr, members))}: {size!r} B"
            for root, members, size, reverse in self.messages
        ]
        return "\n".join([dump_topology(self.package), *lines])


@dataclass(frozen=True)
class Asked:
    """Collectives on a package, at once."""

    package: Package
    requests: tuple[Request, ...]

    def __str__(self) -> str:
        return "\n".join([dump_topology(self.package), *map(repr, self.requests)])


def traffic_of(problem: Carried) -> Traffic:
    """Return messages as a traffic."""
    package = problem.package
    names = (*package.terminals, *(stack.name for stack in package.memories))
    at = {name: i for i, name in enumerate(names)}
    demand = np.zeros((len(names), len(names)))
    parts: dict[str, Any] = {}
    for kind, reverse in (("multicast", False), ("reduction", True)):
        mine = [one for one in problem.messages if one[3] == reverse and len(one[1]) > 1]
        if mine:
            masks = [[sum(1 << at[name] for name in members)] for _, members, _, _ in mine]
            sizes = np.array([size for _, _, size, _ in mine])
            roots = np.array([at[root] for root, _, _, _ in mine])
            parts[kind] = DestinationSets(roots, np.array(masks, dtype=np.uint64), sizes)
    for root, members, size, reverse in problem.messages:
        if len(members) == 1:
            ends = (members[0], root) if reverse else (root, members[0])
            demand[at[ends[0]], at[ends[1]]] += size
    return Traffic(names, demand, **parts)


def _spread(rng: np.random.Generator) -> tuple[float, float]:
    """Return a range of bandwidths: mostly of one size, at times far apart."""
    return ((5e8, 2e9), (5e8, 2e9), (1e8, 1e11), (1e3, 1e15))[int(rng.integers(4))]


def _with_memory(rng: np.random.Generator, package: Package) -> Package:
    if rng.random() < 0.7:
        return package
    host = str(rng.choice([node.name for node in package.nodes]))
    width = float(np.median([link.bandwidth for link in package.links]))
    stack = Memory("stack", width * float(rng.uniform(0.5, 2)))
    return package.replace(
        nodes=[*package.nodes, stack],
        links=[*package.links, Link("stack", host, width, kind="memory")],  # type: ignore[arg-type]
    )


def draw_flow(rng: np.random.Generator) -> Carried:
    """Draw pairs on up to 10 nodes, with ports, crossbars, half duplex, parallel links and a memory stack."""
    package = _with_memory(rng, random_package(rng, nodes=(2, 10), bandwidth=_spread(rng)))
    ends = [*package.terminals, *(stack.name for stack in package.memories)]
    pairs = [(a, b) for a in ends for b in ends if a != b]
    chosen = rng.choice(len(pairs), int(rng.integers(1, min(len(pairs), 12) + 1)), replace=False)
    sizes = 10 ** rng.uniform(5, 5 + 4 * rng.random(), len(chosen))
    messages = [(pairs[k][0], (pairs[k][1],), float(x), False) for k, x in zip(chosen, sizes, strict=True)]
    return Carried(package, tuple(messages))


def draw_messages(rng: np.random.Generator) -> Carried:
    """Draw up to three multicasts and reductions on up to 6 nodes, some of which copy or add."""
    package = random_package(
        rng,
        nodes=(3, 6),
        bandwidth=_spread(rng),
        copying=float(rng.choice([0.0, 0.3, 0.5, 1.0])),
        ports=0.2,
        half_duplex=0.25,
    )
    ends = package.terminals
    messages = []
    for _ in range(int(rng.integers(1, 4))):
        root = str(rng.choice(ends))
        others = [name for name in ends if name != root]
        members = rng.choice(others, int(rng.integers(1, min(len(others), 4) + 1)), replace=False).tolist()
        messages.append((root, tuple(members), float(rng.integers(1, 10)) * 1e6, bool(rng.random() < 0.4)))
    return Carried(package, tuple(messages))


def draw_collectives(rng: np.random.Generator) -> Asked:
    """Draw up to three collectives at once on up to 7 nodes."""
    package = random_package(rng, nodes=(3, 7), bandwidth=(5e8, 2e9), ports=0.25, half_duplex=0.2)
    requests = []
    for _ in range(int(rng.integers(1, 4))):
        names = rng.permutation(package.terminals).tolist()
        most = 2 if (kind := str(rng.choice(list(KINDS)))) == "send" else min(len(names), 4)
        members = names[: int(rng.integers(2, most + 1))]
        requests.append(Request(kind, float(rng.integers(1, 5)) * 1e6, members))
    return Asked(package, tuple(requests))


def _interval(
    name: str, time: float, bound: float, best: float, most: float = np.inf, close: float = 1e-6
) -> Iterator[str]:
    """Say where an optimum is not between bound and time, or time is too far above it."""
    if not bound <= best * (1 + close):
        yield f"bound above the optimum of {name}: {bound!r} s, the optimum is {best!r} s"
    if not time >= best * (1 - close):
        yield f"faster than the optimum of {name}: {time!r} s, the optimum is {best!r} s"
    if not time <= best * most:
        yield f"not optimal of {name}: {time!r} s, the optimum is {best!r} s"


def _checked(name: str, verify: Callable[[], object]) -> Iterator[str]:
    try:
        if not verify():
            yield f"not all checked of {name}"
    except NopError as error:
        yield f"verify() of {name} refuses: {error}"


def flow_faults(problem: Carried) -> Iterator[str]:
    """Hold `noptoolkit.congestion` against the least time of pairs or of messages."""
    traffic = traffic_of(problem)
    if all(len(members) == 1 for _, members, _, _ in problem.messages):
        pairs = [(m[0], r, x) if back else (r, m[0], x) for r, m, x, back in problem.messages]
        best = least_flow_time(problem.package, pairs)
    else:
        best = least_time(problem.package, problem.messages)
    for routing in ("optimal", "shortest", "ecmp", "up-down", "valiant"):
        flow = congestion(problem.package, traffic, routing=routing, tol=TOL)
        most = 1 + 2 * TOL if routing == "optimal" else np.inf
        yield from _interval(routing, flow.time, flow.time_bound, best, most)
        yield from _checked(routing, flow.verify)


def collective_faults(problem: Asked) -> Iterator[str]:
    """Hold `noptoolkit.collectives.collective` against the compact program."""
    best = compact_optimum(problem.package, problem.requests)
    groups = list(problem.requests)
    result = collective(problem.package, groups=groups, in_network=False, tol=1e-4)
    yield from _interval("trees", result.time, result.time_bound, best, 1 + 3e-4)
    yield from _interval("trees (their bound)", result.time, result.time_bound_trees, best)
    yield from _checked("trees", result.verify)
    loads = collective(problem.package, groups=groups, in_network=False, tol=1e-4, trees=False)
    yield from _interval("loads", loads.time, loads.time_bound, best, 1 + 3e-4)
    helped = collective(problem.package, groups=groups, in_network=True, tol=1e-3)
    relaxed = compact_optimum(problem.package, problem.requests, computing=True)
    yield from _interval("relays that compute", helped.time, 0.0, relaxed)
    if not helped.time_bound <= helped.time * (1 + 1e-9):
        yield f"bound above time: {helped.time_bound!r} s, {helped.time!r} s"
    if helped.time > result.time * (1 + 2e-3):
        yield f"slower with relays that compute: {helped.time!r} s, {result.time!r} s without"
    yield from _checked("relays that compute", helped.verify)


def _whole(package: Package) -> Package:
    """Return a package whose bandwidths are whole GB/s: ratios of a clock."""

    def rounded(one: Any) -> Any:
        names = [field.name for field in dataclasses.fields(one) if field.name.endswith("bandwidth")]
        given = {name: getattr(one, name) for name in names if getattr(one, name) is not None}
        return replace(one, **{name: 1e9 * round(width / 1e9) for name, width in given.items()})

    return package.replace(nodes=map(rounded, package.nodes), links=map(rounded, package.links))


def draw_simulated(rng: np.random.Generator) -> Carried:
    """Draw pairs of some kB on up to 8 nodes."""
    package = random_package(rng, nodes=(2, 8), bandwidth=(1e9, 8e9), ports=0.1, half_duplex=0.1)
    package = _whole(package)  # and one link a pair: the simulator takes several for one wide port
    links = {frozenset((link.a, link.b)): link for link in package.links}
    package = package.replace(links=links.values())
    pairs = [(a, b) for a in package.terminals for b in package.terminals if a != b]
    chosen = rng.choice(len(pairs), int(rng.integers(1, min(len(pairs), 8) + 1)), replace=False)
    sizes = rng.integers(1, 200, len(chosen)) * 64
    messages = [(pairs[k][0], (pairs[k][1],), float(x), False) for k, x in zip(chosen, sizes, strict=True)]
    return Carried(package, tuple(messages))


def simulator_faults(problem: Carried) -> Iterator[str]:
    """Hold simulated routers against the fluid model: no faster, and every flit on its channel."""
    traffic = traffic_of(problem)
    pairs = [(root, members[0], size) for root, members, size, _ in problem.messages]
    best = least_flow_time(problem.package, pairs)
    router = Router(flit=8.0, packet=4)
    for routing in ("up-down", "shortest", "optimal"):
        flow = congestion(problem.package, traffic, routing=routing, tol=TOL)
        try:
            seen = check(flow, router=router, allow_deadlock=routing == "shortest")
        except RoutingError as error:
            if routing == "shortest" and "deadlock" in str(error):  # which it may
                continue
            raise
        yield from _interval(f"routers, {routing}", seen.simulated, seen.bound, best)
        if routing == "shortest":  # one path a pair: nothing is split by chance
            if seen.simulated < seen.chosen * (1 - 1e-9):
                yield f"faster than its routes: {seen.simulated!r} s, the routes need {seen.chosen!r} s"
            flits = sum(-(-size // seen.run.flit_bytes) for _, _, size in pairs)
            if seen.run.packets < flits / router.packet - 1e-9:
                yield f"packets lost: {seen.run.packets} of at least {flits / router.packet:g}"
            lost = float(seen.extra_flits.min(initial=0.0))
            if lost < -1e-6:
                yield f"flits lost: {-lost:g} of a channel"


def smaller_packages(package: Package, needed: set[str]) -> Iterator[Package]:
    """Yield packages with a node or a link less, or with rounder numbers, if they may be one."""
    nodes, links = package.nodes, package.links
    for node in nodes:
        if node.name not in needed:
            without = [link for link in links if node.name not in (link.a, link.b)]
            yield from _made(package, [other for other in nodes if other is not node], without)
    for link in links:
        yield from _made(package, nodes, [other for other in links if other is not link])
    for i, node in enumerate(nodes):
        for field in ("crossbar_bandwidth", "injection_bandwidth", "ejection_bandwidth"):
            if getattr(node, field, None) is not None:
                simpler = replace(node, **{field: None})  # type: ignore[arg-type]
                yield from _made(package, [*nodes[:i], simpler, *nodes[i + 1 :]], links)
        for field in ("replicates", "reduces"):
            if getattr(node, field, False):
                simpler = replace(node, **{field: False})  # type: ignore[arg-type]
                yield from _made(package, [*nodes[:i], simpler, *nodes[i + 1 :]], links)
    for i, link in enumerate(links):
        rounder = [replace(link, half_duplex=False)] if link.half_duplex else []
        rounder += [replace(link, reverse_bandwidth=None)] if link.reverse_bandwidth is not None else []
        rounder += [replace(link, bandwidth=1e9)] if link.bandwidth != 1e9 else []
        for one in rounder:
            yield from _made(package, nodes, [*links[:i], one, *links[i + 1 :]])


def _made(package: Package, nodes: Sequence[Any], links: Sequence[Link]) -> Iterator[Package]:
    try:
        yield package.replace(nodes=nodes, links=links)
    except NopError:
        return


def smaller_carried(problem: Carried) -> Iterator[Carried]:
    """Yield problems with a message, a member, a node or a link less, or rounder numbers."""
    messages = problem.messages
    for i, (root, members, size, reverse) in enumerate(messages):
        rest = (*messages[:i], *messages[i + 1 :])
        if rest:
            yield replace(problem, messages=rest)
        for name in members if len(members) > 1 else ():
            fewer = tuple(other for other in members if other != name)
            yield replace(problem, messages=(*messages[:i], (root, fewer, size, reverse), *messages[i + 1 :]))
        if size != 1e6:
            yield replace(
                problem, messages=(*messages[:i], (root, members, 1e6, reverse), *messages[i + 1 :])
            )
    needed = {name for root, members, _, _ in messages for name in (root, *members)}
    for package in smaller_packages(problem.package, needed):
        yield replace(problem, package=package)


def smaller_asked(problem: Asked) -> Iterator[Asked]:
    """Yield problems with a request, a node or a link less, or rounder numbers."""
    requests = problem.requests
    for i in range(len(requests) if len(requests) > 1 else 0):
        yield replace(problem, requests=(*requests[:i], *requests[i + 1 :]))
    for package in smaller_packages(problem.package, {name for r in requests for name in r.members}):
        yield replace(problem, package=package)


NETWORK_DUELS: dict[str, Duel] = {
    "flow": Duel(draw_flow, flow_faults, smaller_carried),
    "multicast": Duel(draw_messages, flow_faults, smaller_carried),
    "collectives": Duel(draw_collectives, collective_faults, smaller_asked),
    "simulator": Duel(draw_simulated, simulator_faults, smaller_carried),
}
