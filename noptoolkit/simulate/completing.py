"""Runs until done: every packet of a list delivered, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.errors import RoutingError, WorkloadError
from noptoolkit.flow.routings import route
from noptoolkit.flow.trees.multicast import path_tree_loads, tree_loads
from noptoolkit.package import Package
from noptoolkit.routing.forwarding import climb_then_descend, split_equally
from noptoolkit.routing.given_paths import path_walker
from noptoolkit.routing.method import Effort
from noptoolkit.routing.problem import Messages, RoutingProblem, routing_problem
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.routing.solution import Tree
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.checks import check_state, waiting_cycle
from noptoolkit.simulate.compiled_cycle import run_cycles
from noptoolkit.simulate.injection import no_list
from noptoolkit.simulate.kept_trees import kept_trees
from noptoolkit.simulate.listing import Listing, listing_of, sources_for, transfers_of
from noptoolkit.simulate.plan import Plan, plan_of
from noptoolkit.simulate.ports import Ports
from noptoolkit.simulate.protocol import Measured
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.transfers import Transfers
from noptoolkit.simulate.trees import Forest, forest_of
from noptoolkit.traffic import Traffic

__all__ = ["Completed", "complete", "run_list"]

CHUNK = 5000
NEVER = 1 << 60


class Completed:
    """The state at the end of a run until done, and what a reader of its numbers must know."""

    def __init__(
        self, plan: Plan, listing: Listing, measured: Measured, rows: Ints, notes: tuple[str, ...]
    ) -> None:
        self.plan, self.listing, self.measured, self.rows = plan, listing, measured, rows
        self.notes = notes

    @property
    def finished(self) -> Ints:
        """Cycle at which each transfer ended, [transfers]."""
        last = np.zeros(int(self.listing.transfer.max(initial=-1)) + 1, np.int64)
        np.maximum.at(last, self.listing.transfer, self.rows[:, c.L_DONE])
        return last

    @property
    def trace(self) -> Ints:
        """Source, destination, creation, injection and arrival of each packet, [packets, 5]."""
        return self.rows[:, [c.L_SRC, c.L_DEST, c.L_TIME, c.L_SENT, c.L_DONE]]


def complete(
    package: Package,
    traffic: Traffic | Transfers,
    router: Router,
    routing: str | Routing,
    key: Any,
    *,
    token_window: int | None,
    window: int,
    allow_deadlock: bool,
    checked: bool,
    most_cycles: int,
    trees: tuple[Tree, ...] | None = None,
    report: Callable[[float, str], None] | None = None,
) -> Completed:
    """Run a traffic, or a list of transfers, until every packet is delivered.

    Parameters
    ----------
    trees
        Trees that messages follow; where ``None``, those of the routing.

    Raises
    ------
    RoutingError
        If it can deadlock, has, or takes more cycles than ``most_cycles``.
    WorkloadError
        If there is nothing to send, or far too much.
    """
    transfers = transfers_of(traffic) if isinstance(traffic, Traffic) else traffic
    if not transfers.items:
        raise WorkloadError(f"traffic {transfers.name!r}: nothing to send; give some demand")
    problem = routing_problem(package, transfers.traffic())
    _check_packets(problem, router)
    found = _trees(problem, routing, trees, transfers)
    endpoints = tuple(transfers.endpoints)
    sends = np.zeros((len(endpoints), len(endpoints)), bool)
    along: dict[int, list[tuple[int, float]]] = {}
    numbered = _numbers(transfers)
    for number, (tree, part, _) in enumerate(found):
        for row, share in zip(tree.messages.tolist(), tree.shares.tolist(), strict=True):
            along.setdefault(numbered[part.reverse][row], []).append((number, share))
    for number, item in enumerate(transfers.items):
        if number not in along:
            for member in item.members:
                a, b = (member, item.root) if item.kind == "reduce" else (item.root, member)
                sends[a, b] = True

    def forest(ports: Ports) -> Forest:
        return forest_of(ports, found)

    plan = plan_of(
        package,
        endpoints,
        router,
        routing,
        sends,
        allow_deadlock=allow_deadlock,
        forest=forest if found else None,
    )
    if plan.forest is not None:
        _check_buffers(plan, allow_deadlock)
        along = {
            number: [(k, share * part) for tree, share in rows for k, part in plan.forest.planes[tree]]
            for number, rows in along.items()
        }
    listing = listing_of(plan, transfers, along, token_window)
    sources = sources_for(no_list(plan.ports), listing, key, len(endpoints))._replace(window=window)
    note = _note(routing) if found else ()
    return run_list(plan, listing, sources, checked, most_cycles, report, note)


def run_list(
    plan: Plan,
    listing: Listing,
    sources: Any,
    checked: bool,
    most_cycles: int,
    report: Callable[[float, str], None] | None,
    notes: tuple[str, ...],
) -> Completed:
    """Run listed sources until every packet is delivered; the rest is as in `complete`."""
    state = plan.fresh(listing)
    count = state.cnt
    count[c.LISTED_LEFT] = len(sources.li)
    before = -1
    name = plan.ports.network.package.name
    while True:
        chunk = 50 if checked else CHUNK
        done = run_cycles(plan.arrays, state, sources, chunk, NEVER, 0, NEVER, True, 2)
        if count[c.ERRORS]:
            raise AssertionError(f"fault in the simulator: error bits {int(count[c.ERRORS]):b}")
        if checked:
            check_state(plan, state)
        if count[c.ALIVE] == 0 and count[c.LISTED_LEFT] == 0:
            break
        moved = int(state.op[:, c.FLITS].sum() + count[c.ARRIVED_FLITS] + count[c.ABSORBED])
        idle = moved == before and count[c.CREATED_FLITS] > 0 and done == chunk
        waits = count[c.HEAP] == 0 and count[c.RELEASED] == len(sources.order)
        if idle and (count[c.INSIDE] > 0 or waits) and int(count[c.T]) % CHUNK == 0:
            raise RoutingError(
                f"package {name!r}: {plan.name} has come to a deadlock before cycle {int(count[c.T])}; "
                f"{waiting_cycle(plan, state)}; give more VCs, deeper buffers, or routing='up-down'"
            )
        if int(count[c.T]) % CHUNK == 0:
            before = moved
        if count[c.T] >= most_cycles:
            raise RoutingError(
                f"package {name!r}: not done after {int(count[c.T])} cycles, {int(count[c.LISTED_LEFT])} "
                "packets "
                "not yet sent; give a larger most_cycles, or less traffic"
            )
        if report is not None:
            report(1 - int(count[c.LISTED_LEFT]) / max(1, len(sources.li)), f"{int(count[c.T])} cycles")
    if listing.expected.any():
        got = state.ms[: len(listing.expected), c.M_WEIGHT]
        if not (got == listing.expected).all():
            raise AssertionError("fault in the simulator: a sum lacks a contribution, or has one twice")
    cycles = max(1, int(count[c.T]))
    senders = max(1, len(np.unique(sources.li[:, c.L_SRC])))
    accepted = float(state.tm[:, c.ACCEPTED].sum()) / cycles / senders
    series = np.zeros((0, 4))
    measured = Measured(state, True, "", accepted, series, 0, 0, np.zeros(len(state.op)), cycles)
    return Completed(plan, listing, measured, sources.li, notes)


def _note(routing: str | Routing) -> tuple[str, ...]:
    """Return what has to be said where multicasts and reductions do not follow the routing itself."""
    if routing == "adaptive":
        return ("multicasts and reductions follow the trees of up*/down* routing: adaptive routing has none",)
    if method_of(routing).relayed:
        return (
            "multicasts and reductions follow minimum-hop trees (ecmp), not by way of a random chiplet: only "
            "messages between two endpoints do",
        )
    return ()


def _numbers(transfers: Transfers) -> dict[bool, list[int]]:
    """Return the numbers of the multicasts and of the reductions, in the order of their traffic."""
    return {
        backward: [n for n, item in enumerate(transfers.items) if item.kind == kind]
        for backward, kind in ((False, "multicast"), (True, "reduce"))
    }


def _trees(
    problem: RoutingProblem, routing: str | Routing, given: tuple[Tree, ...] | None, transfers: Transfers
) -> list[tuple[Tree, Messages, int]]:
    """Return the trees of all messages that routers can copy or add, with what travels there and the root."""
    if not problem.messages:
        return []
    trees = given
    if trees is None and routing != "adaptive":
        method = method_of(routing)
        if method.forward is not None:
            trees = tree_loads(problem, method.forward).trees
        elif method.paths is not None:
            trees = path_tree_loads(problem, path_walker(problem.network, method.paths)).trees
        elif method.searches:
            trees = kept_trees(problem, route(method, problem, Effort()).trees)
    if trees is None:
        trees = tree_loads(problem, climb_then_descend if routing == "adaptive" else split_equally).trees
    parts = {part.reverse: part for part in problem.messages}
    terminal = {name: n for n, name in enumerate(transfers.endpoints)}
    nodes = problem.network.package.nodes
    found = []
    for tree in trees:
        part = parts[tree.reverse]
        roots = part.root[tree.messages]
        _check_ends(problem, part, tree)
        for root in np.unique(roots).tolist():
            mine = roots == root
            kept = Tree(
                tree.reverse,
                tree.start,
                tree.parent,
                tree.arc,
                tree.ends,
                tree.messages[mine],
                tree.shares[mine],
            )
            found.append((kept, part, terminal[nodes[root].name]))
    return found


def _check_ends(problem: RoutingProblem, part: Messages, tree: Tree) -> None:
    """Raise where a tree does not come to a member of a message that follows it."""
    asked = np.bitwise_or.reduce(part.members[tree.messages], axis=0, initial=np.uint64(0))
    bits = np.arange(len(part.endpoints))
    member = (asked[bits // 64] >> (bits % 64).astype(np.uint64)) & np.uint64(1) > 0
    lost = np.setdiff1d(part.endpoints[member & (tree.ends < 0)], part.root[tree.messages])
    if len(lost):
        package = problem.network.package
        root = package.nodes[int(part.root[tree.messages[0]])].name
        raise RoutingError(
            f"package {package.name!r}: the routing has no tree between {root!r} and "
            f"{package.nodes[int(lost[0])].name!r}, which multicasts or reductions ask for; the split of a "
            "flow leads where its demand goes: choose another, such as 'shortest'"
        )


def _check_packets(problem: RoutingProblem, router: Router) -> None:
    """Raise where messages are copied and their packets do not fit into a buffer."""
    if any(not part.reverse for part in problem.messages) and router.packet > router.depth:
        raise RoutingError(
            f"packets of {router.packet} flits that routers copy must fit into a VC of {router.depth} "
            "flits, or "
            f"branches deadlock; give Router(depth={router.packet}) or more, or smaller packets"
        )


def _check_buffers(plan: Plan, allow_deadlock: bool) -> None:
    """Raise where trees need an order of channels that they do not have."""
    if plan.classes.cycle and not allow_deadlock:
        raise RoutingError(f"{plan.name}: the trees can deadlock: {', '.join(plan.classes.cycle)}")
