"""Routings of a step for all its traffic together.

``joint``: one path for each pair, chosen so that the forward and the backward phase have their busiest
resource done as early as possible (`noptoolkit.step.path_program`). ``joint, by transfer``: the optimum
splits a pair's bytes over several paths; each transfer takes one of them, the one furthest behind its share
(deficit round robin: Shreedhar and Varghese, SIGCOMM 1995), so that slices and micro-batches of a pair differ
in their path. ``joint, split``: the optimum itself, each transfer split over the paths. The first two give
every transfer one path, which is what hardware with routing tables can be given.

Messages to sets follow shortest paths from their root, each copy made where two paths part. Where a name
begins with ``joint with trees``, each message follows one tree of `noptoolkit.step.joint_trees`, and paths
are chosen for what those trees leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.step.path_program import PathPool, choose_paths, share_paths
from noptoolkit.step.phases import Phases
from noptoolkit.step.routes import StepRouting
from noptoolkit.step.transfers import Pair, Transfer

__all__ = ["joint_routings", "tree_routings"]

Trees = Callable[[Transfer], TreeLoads]

TWO = ("forward", "backward")
SEVEN = ("forward", "backward", "step", "dispatch", "combine", "load", "store")


def joint_routings(pool: PathPool, phases: Phases, trees: Trees | None, *, split: bool) -> list[StepRouting]:
    """Return routings of a step whose paths are chosen together, in the order in which they are worth trying.

    Parameters
    ----------
    pool : PathPool
        Paths known so far; it grows.
    phases : Phases
        The step's traffic by phase, with what its messages use.
    trees : callable, optional
        Gives what a transfer's messages put on the network; ``None`` if there are none.
    split : bool
        Whether transfers may be split over several paths.
    """
    return _routings(pool, phases, trees, (("joint", TWO), ("joint, 7 phases", SEVEN)), split)


def tree_routings(pool: PathPool, phases: Phases, trees: Trees, *, split: bool) -> list[StepRouting]:
    """Return routings of a step whose messages follow given trees; parameters as of `joint_routings`.

    ``phases`` hold what messages use along those trees.
    """
    if not pool.pairs:
        return [StepRouting("joint with trees", partial(_looked_up, {}), trees)]
    return _routings(pool, phases, trees, (("joint with trees", TWO),), split)


def _routings(
    pool: PathPool,
    phases: Phases,
    trees: Trees | None,
    tried: Sequence[tuple[str, Sequence[str]]],
    split: bool,
) -> list[StepRouting]:
    network, found = pool.network, []
    for name, groups in tried:
        amounts, base = phases.of(*groups)
        if not amounts:  # messages to sets only
            continue
        shares = share_paths(pool, amounts, base).shares
        chosen = choose_paths(pool, amounts, base)
        if chosen is not None:
            table = {ends: _arcs(network, path) for ends, path in zip(pool.pairs, chosen, strict=True)}
            found.append(StepRouting(name, partial(_looked_up, table), trees))
        if groups is not TWO:
            continue
        splits = {
            ends: [(known[c], float(share[c])) for c in np.flatnonzero(share > 1e-6).tolist()]
            for ends, known, share in zip(pool.pairs, pool.paths, shares, strict=True)
        }
        if any(len(parts) > 1 for parts in splits.values()):
            found.append(StepRouting(f"{name}, by transfer", _Turns(network, splits), trees))
            if split:
                mixed = {ends: _mixed(network, parts) for ends, parts in splits.items()}
                found.append(StepRouting(f"{name}, split", partial(_looked_up, mixed), trees))
    return found


def _arcs(network: FlowNetwork, path: Ints) -> Floats:
    share = np.zeros(network.num_arcs)
    share[path] = 1.0
    return share


def _mixed(network: FlowNetwork, parts: Sequence[tuple[Ints, float]]) -> Floats:
    total = sum(share for _, share in parts)
    mixed: Floats = np.sum([share / total * _arcs(network, path) for path, share in parts], axis=0)
    return mixed


def _looked_up(table: Mapping[Pair, Floats], sent: Transfer, ends: Pair, size: float) -> Floats:
    return table[ends]


class _Turns:
    """Gives each transfer of a pair, in turn, the path furthest behind its share of the bytes so far.

    Kinds of transfer take turns apart from each other: each is balanced by itself.
    """

    def __init__(self, network: FlowNetwork, splits: Mapping[Pair, Sequence[tuple[Ints, float]]]) -> None:
        self.paths = {ends: [_arcs(network, path) for path, _ in parts] for ends, parts in splits.items()}
        self.shares = {ends: np.array([share for _, share in parts]) for ends, parts in splits.items()}
        self.given: dict[tuple[str, Pair], Floats] = {}

    def __call__(self, sent: Transfer, ends: Pair, size: float) -> Floats:
        share = self.shares[ends] / self.shares[ends].sum()
        given = self.given.setdefault((sent.kind, ends), np.zeros(len(share)))
        turn = int(np.argmax(share * (given.sum() + size) - given))
        given[turn] += size
        return self.paths[ends][turn]
