"""Everything that a run needs to know of a package, a router and a routing, made once for many runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from noptoolkit._arrays import Bits, Bools, Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import RoutingError, UnknownNameError
from noptoolkit.network import Sharing, flow_network
from noptoolkit.package import Package
from noptoolkit.routing.dimension_order_routing import dimension_order
from noptoolkit.routing.forwarding import ForwardingRule, climb_then_descend, split_equally
from noptoolkit.routing.given_paths import path_walker
from noptoolkit.routing.lattice import find_grid
from noptoolkit.routing.method import RoutingMethod
from noptoolkit.routing.rules import ROUTINGS, Routing, method_of
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.classes import Classes, classes_for, dateline_ties, escape_cycle
from noptoolkit.simulate.planes import planes_of
from noptoolkit.simulate.ports import Ports, ports_of
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.routes import Choice, options_by_source, options_of, stacked, table_of
from noptoolkit.simulate.state import new_network, new_state
from noptoolkit.simulate.trees import Forest

__all__ = ["Plan", "check_count", "hops_along", "pairs_along", "plan_of"]

ANY_OF_PATH = 127


@dataclass(frozen=True, eq=False)
class Plan:
    """Ports, tables and classes of VCs.

    Parameters
    ----------
    ports, classes, choice
        See their modules.
    name
        Of the routing.
    kind
        Of the packets: UNICAST, PATH, VALIANT or ADAPTIVE.
    arrays
        What does not change in a run.
    forest
        Groups of the trees of messages, if there are any.
    paths, path_share
        For a routing by given paths: where the entries of each variant of a path begin, and its share of the
        packets of its pair; the variants differ in the parallel channels that they use.
    path_first
        First variant of the path of each pair, and one past the last, [endpoints^2 + 1].
    sharing
        How parallel channels share a load.
    """

    ports: Ports
    classes: Classes
    choice: Choice
    name: str
    kind: int
    arrays: Any
    forest: Forest | None = None
    paths: Ints | None = None
    path_share: Floats | None = None
    path_first: Ints | None = None
    sharing: Sharing = "by bandwidth"

    def path_limits(self) -> Bits:
        """Return the hash below which a packet takes each variant of a path, or one before it, [variants]."""
        assert self.path_share is not None
        assert self.path_first is not None
        before = np.r_[0.0, np.cumsum(self.path_share)]
        pair = np.repeat(self.path_first[:-1], np.diff(self.path_first))
        edge = (before[1:] - before[pair]).tolist()
        return np.array([min(int(x * 2.0**64), 2**64 - 1) for x in edge] or [0], np.uint64)

    def fresh(self, listing: Any = None) -> Any:
        """Return the state of an empty network."""
        return new_state(self.ports, self.arrays, self.choice, self.forest, listing)


def plan_of(
    package: Package,
    endpoints: tuple[str, ...],
    router: Router,
    routing: str | Routing,
    sends: Bools,
    *,
    allow_deadlock: bool = False,
    forest: Callable[[Ports], Forest] | None = None,
) -> Plan:
    """Return the plan of a run.

    Parameters
    ----------
    sends
        Which endpoints send to which, [endpoints, endpoints].
    forest
        Makes the trees of messages for the ports.

    Raises
    ------
    RoutingError
        If the routing can deadlock and there are too few VCs, or does not apply to the package.
    """
    if isinstance(routing, str) and routing not in (*ROUTINGS, "adaptive"):
        raise UnknownNameError(
            f"no routing named {routing!r}; {did_you_mean(routing, (*ROUTINGS, 'adaptive'))}"
        )
    method = None if routing == "adaptive" else method_of(routing)
    sharing: Sharing = getattr(method, "sharing", "by bandwidth")
    ports = ports_of(flow_network(package), router, endpoints, sharing)
    trees = forest(ports) if forest is not None else None
    tree_pairs = trees.pairs() if trees is not None else (np.zeros(0, np.int64),) * 2
    source, to = (x.astype(np.int64) for x in np.nonzero(sends))
    if method is None:
        return _adaptive(ports, (source, to), trees, allow_deadlock)
    decide = partial(classes_for, ports, name=method.name, vcs=router.vcs, allow_deadlock=allow_deadlock)
    if method.paths is not None:
        return _along_paths(ports, method, (source, to), trees, decide)
    rule = split_equally if method.relayed else method.forward
    if rule is None:
        fixed = [name for name, known in ROUTINGS.items() if known.forward is not None or known.relayed]
        raise RoutingError(
            f"routing {method.name!r} depends on the traffic; a router can follow {', '.join(fixed)} or "
            "adaptive, or in Python congestion(...).forwarding() of that traffic"
        )
    options = options_of(ports, rule)
    if method.relayed:
        count = len(endpoints)
        source, to = np.repeat(np.arange(count), count), np.tile(np.arange(count), count)
    grid = rule is dimension_order and trees is None
    own = None if options.one_state else options_by_source(ports, options)
    classes = decide(
        own or options, (source, to), tree_pairs, datelines=grid, phases=2 if method.relayed else 1
    )
    trees, needed = _with_trees(ports, trees, classes, method.name)
    masks, whole = classes.masks(needed, router)
    every = len(masks) - 1
    ties = dateline_ties(ports) if grid else None
    if own:
        choice = stacked([table_of(ports, part, classes.rule, every, ties) for part in own])
    else:
        choice = table_of(ports, options, classes.rule, every, ties)
    rows = ports.inputs if own else 0
    if method.relayed:
        rows = len(choice.table)
        choice = _second_phase(choice, classes.count)
    arrays = new_network(
        ports, choice, masks=masks, phase_rows=rows, group_mask=trees and trees.masks, whole=whole
    )
    kind = c.VALIANT if method.relayed else c.BY_SOURCE if own else c.UNICAST
    return Plan(ports, classes, choice, method.name, kind, arrays, trees, sharing=sharing)


def _with_trees(ports: Ports, trees: Forest | None, classes: Classes, name: str) -> tuple[Forest | None, int]:
    """Return the trees with their classes, and the classes of VCs that everything needs together."""
    if trees is None:
        return None, classes.count
    trees = trees.with_classes(classes.rank, ports.arc_out)
    needed = max(classes.count, trees.classes)
    check_count(ports, name, classes, needed)
    return trees.with_all(0 if needed == 1 else needed), needed


def _second_phase(choice: Choice, count: int) -> Choice:
    """Append rows whose classes are those of the second trip of a packet."""
    shift = count // 2 << 8
    raised = np.where((choice.table >= 0) & (choice.table >> 8 < count), choice.table + shift, choice.table)
    entry = np.where(choice.entry >> 8 < count, choice.entry + shift, choice.entry)
    many = len(choice.choices)
    raised = np.where(choice.table < 0, choice.table - many, raised)
    later = choice.choices.copy()
    later[:, 0] += len(choice.entry)
    later[:, 2] = 5
    return Choice(
        np.concatenate([choice.table, raised]).astype(np.int32),
        choice.row_of_in,
        np.concatenate([choice.choices, later]),
        np.concatenate([choice.entry, entry]).astype(np.int32),
        np.concatenate([choice.limit, choice.limit]),
    )


def _along_paths(
    ports: Ports,
    method: RoutingMethod,
    sends: tuple[Ints, Ints],
    trees: Forest | None,
    decide: Callable[..., Classes],
) -> Plan:
    """Return the plan of a routing that gives the path of every pair."""
    assert method.paths is not None
    walk = path_walker(ports.network, method.paths)
    names, count = ports.endpoints, len(ports.endpoints)
    found: list[list[int]] = []
    share: list[float] = []
    pairs: list[tuple[int, int]] = []
    for a, b in zip(*(x.tolist() for x in sends), strict=True):
        arcs = walk(names[a], names[b]) if a != b else []
        for port_of, part in planes_of(ports, arcs):
            found.append([port_of[arc] for arc in arcs])
            share.append(float(part))
            pairs.append((a, b))
    holds, asks = pairs_along(found)
    if trees is not None:
        more = trees.pairs()
        holds, asks = np.r_[holds, more[0]], np.r_[asks, more[1]]
    classes = decide(None, sends, (holds, asks))
    codes, begin, needed = hops_along(ports, found, [b for _, b in pairs], classes)
    trees, among_trees = _with_trees(ports, trees, classes, method.name)
    needed = max(needed, among_trees)
    check_count(ports, method.name, classes, needed)
    if trees is not None:
        trees = trees.with_all(0 if needed == 1 else needed)
    masks, whole = classes.masks(needed, ports.router)
    hops = np.where(codes >> 8 == ANY_OF_PATH, codes & 255 | (len(masks) - 1) << 8, codes).astype(np.int32)
    choice = Choice(np.zeros((1, count), np.int32), np.zeros(ports.inputs, np.int64))
    arrays = new_network(ports, choice, masks=masks, hops=hops, group_mask=trees and trees.masks, whole=whole)
    number = np.array([a * count + b for a, b in pairs], np.int64)  # in rising order, as sends are
    return Plan(
        ports, classes, choice, method.name, c.PATH, arrays, trees, paths=begin,
        path_share=np.array(share), path_first=np.searchsorted(number, np.arange(count * count + 1)),
        sharing=method.sharing,
    )  # fmt: skip


def hops_along(
    ports: Ports, paths: Sequence[Sequence[int]], targets: Sequence[int], classes: Classes
) -> tuple[Ints, Ints, int]:
    """Return what a packet reads at each router of paths, where each path begins, and the classes needed.

    Parameters
    ----------
    paths
        Output ports of each path.
    targets
        Terminal at which each ends.
    """
    codes: list[int] = []
    begin: list[int] = []
    needed = 1
    first_out = ports.first_out[ports.router_of_out]
    for path, target in zip(paths, targets, strict=True):
        begin.append(len(codes))
        cls = 0
        for k, port in enumerate(path):
            if classes.rank is not None and k and classes.rank[port] <= classes.rank[path[k - 1]]:
                cls += 1
            needed = max(needed, cls + 1)
            codes.append(int(port - first_out[port]) | cls << 8)
        codes.append(int(ports.eject[target] - first_out[ports.eject[target]]) | ANY_OF_PATH << 8)
    return np.array(codes or [0], np.int64), np.array(begin or [0], np.int64), needed


def check_count(ports: Ports, name: str, classes: Classes, needed: int) -> None:
    """Raise where a router has fewer VCs than classes are needed."""
    if needed > ports.router.vcs:
        raise RoutingError(
            f"package {ports.network.package.name!r}: {name} can deadlock, for these channels wait for each "
            "other "
            f"in turn: {', '.join(classes.cycle[:8])}; it needs {needed} classes of VCs and a router has "
            f"{ports.router.vcs} VCs: give Router(vcs={needed}) or more, or allow_deadlock=True"
        )


def _adaptive(ports: Ports, sends: tuple[Ints, Ints], trees: Forest | None, allow: bool) -> Plan:
    """Return the plan of minimal adaptive routing: every VC but the first, with that one to escape by.

    The escape channel follows dimension order on a mesh and up*/down* elsewhere, and trees of messages
    up*/down* too. A packet may begin to escape at any router; then it stays on the escape channel, whose
    dependencies have no cycle. A VC is given only to a packet for which it has room: one that waits does so
    at the front of its buffer, where it may escape.
    """
    router, network = ports.router, ports.network
    name = network.package.name
    if router.vcs < 2:
        raise RoutingError(
            "routing 'adaptive' needs a VC to escape by and another one; give Router(vcs=2) or more"
        )
    if router.packet > router.depth:
        raise RoutingError(
            f"routing 'adaptive': packets of {router.packet} flits must fit into a VC of {router.depth} "
            f"flits; give Router(depth={router.packet}) or more, or smaller packets"
        )
    rule: ForwardingRule = climb_then_descend
    if trees is None:
        try:
            grid = find_grid(network.package)
            rule = dimension_order if grid.rows == grid.columns == "path" else rule
        except RoutingError:
            pass
    count = len(ports.endpoints)
    options, near = options_of(ports, rule), options_of(ports, split_equally)
    cell = np.repeat(np.arange(len(near.begin) - 1), np.diff(near.begin))
    inner = ports.arc_out[near.port] >= 0
    by_state = np.zeros(network.num_vertices * count, np.int64)
    local = near.port - ports.first_out[ports.router_of_out[near.port]]
    np.bitwise_or.at(by_state, cell[inner], np.int64(1) << local[inner])
    minimal = np.ascontiguousarray(by_state.reshape(-1, count)[network.origin])
    here, to = (x.astype(np.int64) for x in np.nonzero(minimal))
    begins = network.origin[here], to
    first = begins[0] * count + to
    stuck = np.flatnonzero(options.begin[first] == options.begin[first + 1])
    if len(stuck) or not options.one_state:
        what = ports.endpoints[to[stuck[0]]] if len(stuck) else "some"
        raise RoutingError(
            f"package {name!r}: routing 'adaptive' has no way to escape to {what!r} everywhere; use 'ecmp'"
        )
    none = (np.zeros(0, np.int64),) * 2
    cycle = escape_cycle(ports, options, begins, none if trees is None else trees.pairs())
    names = tuple(ports.name_of_out(port) for port in cycle)
    if cycle and not allow:
        raise RoutingError(
            f"package {name!r}: the escape channels of 'adaptive' wait for each other in turn: "
            f"{', '.join(names[:8])}; use 'ecmp', or see it happen with allow_deadlock=True"
        )

    def by_class(ip: Ints, out: Ints, to: Ints) -> Ints:
        return np.where(ports.arc_out[out] < 0, c.ANY_CLASS, 0)

    way = "dimension order" if rule is dimension_order else "up*/down*"
    classes = Classes(2, by_class, None, names, f"free of deadlock by an escape VC ({way})")
    choice = table_of(ports, options, by_class, 2, begins=network.origin)
    masks = np.array([1, (1 << router.vcs) - 2, (1 << router.vcs) - 1], np.int64)
    if trees is not None:
        trees = trees.with_classes(None, ports.arc_out).with_all(2)
    arrays = new_network(
        ports, choice, masks=masks, minimal=minimal, group_mask=trees and trees.masks, whole=router.packet
    )
    return Plan(ports, classes, choice, "adaptive", c.ADAPTIVE, arrays, trees)


def pairs_along(paths: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """Return the pairs of channels that follow one another on paths."""
    pairs = sorted({pair for path in paths for pair in pairwise(path)})
    holds, asks = np.array(pairs, np.int64).reshape(-1, 2).T
    return holds, asks
