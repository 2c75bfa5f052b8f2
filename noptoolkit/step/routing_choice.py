"""Which routing a step takes: one by name, or the best of several candidates, each scheduled.

The candidates for ``optimal`` are shortest, dor and ecmp paths, where they apply, and routings found for all
traffic of the step together (`noptoolkit.step.joint_routing`), with trees of shortest paths for messages to
sets and with trees chosen together with the paths (`noptoolkit.step.joint_trees`), so that the step is never
longer than with one of the fixed routings (of large steps: before they are cut finer,
`noptoolkit.step.scheduler.RIVALS`). ``optimal-split`` also tries splitting each transfer over several paths.
Candidates that put the same load on the same resources are scheduled once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from noptoolkit.errors import RoutingError
from noptoolkit.network import flow_network
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.step.joint_routing import joint_routings, tree_routings
from noptoolkit.step.joint_trees import grown_reading, joint_trees, with_trees
from noptoolkit.step.path_program import PathPool
from noptoolkit.step.phases import phases_of
from noptoolkit.step.routes import ALONE, named_routing, routed_step
from noptoolkit.step.routing_bound import has_one_routing
from noptoolkit.step.step import Step
from noptoolkit.step.transfers import Transfer

__all__ = ["JOINT", "candidate_steps", "check_routing", "routing_alone"]

JOINT = {"optimal": False, "optimal-split": True}
"""Routings that are chosen for a whole step, and whether they split transfers over paths."""

FIXED = ("shortest", "dor", "ecmp")


def check_routing(routing: str | Routing) -> None:
    """Raise UnknownNameError if a routing of steps has a name that is not known."""
    method_of(routing_alone(routing))


def routing_alone(routing: str | Routing) -> str | Routing:
    """Return the routing of a single traffic that goes with a routing of steps."""
    return "optimal" if isinstance(routing, str) and routing in (*JOINT, ALONE) else routing


def candidate_steps(step: Step, routing: str | Routing) -> Iterator[Step]:
    """Yield an unrouted step routed in each of the ways that a routing stands for, alike ones once.

    Raises
    ------
    RoutingError
        If the routing cannot serve part of the step.
    """
    if not isinstance(routing, str) or routing not in JOINT:
        yield _named(step, routing)
        return
    seen: set[int] = set()
    shortest = _named(step, "shortest")
    for routed in (shortest, *_joint(step, shortest, JOINT[routing]), *_fixed(step)):
        uses = [(sent.index, tuple(sent.occupied.items())) for sent in routed.transfers()]
        if hash(tuple(uses)) not in seen:
            seen.add(hash(tuple(uses)))
            yield routed


def _named(step: Step, routing: str | Routing) -> Step:
    try:
        return routed_step(step, named_routing(step.package, routing))
    except RoutingError as error:
        raise RoutingError(
            f"{error}; a step also moves weights between memory stacks and chiplets: "
            "routing='shortest', 'ecmp' or 'optimal' serves every package"
        ) from error


def _fixed(step: Step) -> Iterator[Step]:
    for name in FIXED[1:]:
        try:
            yield routed_step(step, named_routing(step.package, name))
        except RoutingError:
            continue  # dor on a package without coordinates


def _joint(step: Step, shortest: Step, split: bool) -> Iterator[Step]:
    phases = phases_of(shortest)
    pool = PathPool(flow_network(step.package), phases.pairs)
    trees = {sent.index: sent.trees for sent in shortest.transfers() if sent.trees is not None}
    readings = [sent for sent in shortest.transfers() if sent.of_memory and sent.trees is not None]
    if readings and not has_one_routing(step):
        trees |= {sent.index: grown_reading(step, sent) for sent in readings}
        shortest = with_trees(shortest, trees)
        phases = phases_of(shortest)
    for routing in joint_routings(pool, phases, partial(_tree, trees), split=split):
        yield routed_step(step, routing)
    dealt = None if has_one_routing(step) else joint_trees(shortest, pool)
    if dealt is None:
        return
    trees = {sent.index: dealt(sent) for sent in shortest.transfers() if sent.trees is not None}
    phases = phases_of(with_trees(shortest, trees))
    for routing in tree_routings(pool, phases, partial(_tree, trees), split=split):
        yield routed_step(step, routing)


def _tree(trees: dict[int, TreeLoads], sent: Transfer) -> TreeLoads:
    return trees[sent.index]
