"""Routers follow the trees that the optimum found, channel for channel."""

from dataclasses import replace

import numpy as np
import pytest
from seeds import seeds

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import RoutingError
from noptoolkit.flow.result import FlowResult
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.solution import Tree
from noptoolkit.simulate import Router, Transfers, check, simulate
from noptoolkit.simulate.kept_trees import kept_trees

FLIT = 128.0


def optimum(seed: int) -> tuple[FlowResult, Transfers]:
    """The optimum of some multicasts and reductions where about every third node neither copies nor adds."""
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(8)] + ["s0", "s1"]
    nodes = [
        (Chiplet if name[0] == "c" else Switch)(
            name, replicates=bool(rng.integers(3)), reduces=bool(rng.integers(3))
        )
        for name in names
    ]
    pairs = {tuple(sorted((i, int(rng.integers(i))))) for i in range(1, 10)}
    pairs |= {tuple(sorted(rng.choice(10, 2, replace=False).tolist())) for _ in range(6)}
    package = Package("random", nodes, [Link(names[a], names[b], "128 GB/s") for a, b in sorted(pairs)])
    moves = Transfers(package.terminals)
    for _ in range(6):
        root, *members = rng.permutation(package.terminals)[: int(rng.integers(3, 6))].tolist()
        (moves.multicast if rng.integers(2) else moves.reduce)(root, members, 300 * FLIT)
    return nop.congestion(package, moves.traffic(), routing="optimal"), moves


@pytest.mark.parametrize("seed", seeds(8, 60))
def test_every_channel_carries_what_the_optimum_has_it_carry(seed: int) -> None:
    """But for shares of messages, which are whole packets."""
    flow, _ = optimum(seed)
    seen = check(flow, router=Router(flit=FLIT, vcs=32))
    assert np.abs(seen.extra_flits).max() <= 3
    assert seen.simulated >= seen.bound * (1 - 1e-9)
    assert all((tree.parent[1:] < np.arange(1, len(tree.parent))).all() for tree in trees_of(flow))
    if np.abs(check(flow, router=Router(flit=FLIT), routing="shortest").extra_flits).max() > 3:
        return  # another routing is another one
    assert flow.time == pytest.approx(nop.congestion(flow.package, flow.traffic, routing="shortest").time)


def trees_of(flow: FlowResult) -> tuple[Tree, ...]:
    return kept_trees(routing_problem(flow.package, flow.traffic), flow.routed.trees)


def test_a_split_of_pairs_says_nothing_of_sets_that_it_does_not_reach() -> None:
    flow, moves = optimum(0)
    with pytest.raises(RoutingError, match=r"no tree between 'c.' and 'c.'.*such as 'shortest'"):
        simulate(flow.package, moves, until="done", routing=flow.forwarding(), router=Router(flit=FLIT))


def test_channels_that_are_no_tree_and_trees_that_are_not_kept_are_refused() -> None:
    flow, _ = optimum(0)
    loads, problem = flow.routed.trees, routing_problem(flow.package, flow.traffic)
    assert loads.branches
    first = loads.branches[0]
    arcs = first.arcs.copy()
    arcs[0] = arcs[-1]
    with pytest.raises(RoutingError, match="no tree from its root"):
        kept_trees(problem, replace(loads, branches=(replace(first, arcs=arcs),)))
    with pytest.raises(RoutingError, match="keeps no trees of them"):
        kept_trees(problem, replace(loads, branches=None))
