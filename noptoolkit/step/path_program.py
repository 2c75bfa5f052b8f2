"""Paths for all pairs of a step at once: a linear program over paths, and its choice of one path per pair.

With x_pc the share of pair p on its path c, q_gp the bytes of the pair in phase g, and base_g what else uses
the resources then::

    minimise sum of z_g + small x byte-hops
    with     sum over p, c of q_gp x_pc use_r(c) + base_gr <= z_g C_r     for each phase g, resource r
             sum over c of x_pc = 1                                       for each pair p

What a choice among given options adds (the trees of messages, `noptoolkit.step.joint_trees`) enters the same
rows, with shares that add up to 1 as well.

Paths are generated as they are needed (Dantzig and Wolfe, Operations Research 1960): the prices of a
restricted program make arcs long or short, and a pair's shortest path joins if it is shorter than what the
pair pays. All programs of a step share one pool of paths. The prices of the capacity rows, scaled so that
capacity @ prices = 1, are what the lower bound of a step needs (`noptoolkit.step.relaxation`).

Bytes are scaled to a sum of 100 and capacities to at most 1: in B and B/s, HiGHS returns wrong optima as
optimal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array, vstack

from noptoolkit._arrays import Floats, Ints
from noptoolkit._highs import run_program
from noptoolkit.network import FlowNetwork
from noptoolkit.step.transfers import Pair

__all__ = ["PathPool", "PathShares", "choose_paths", "share_paths"]

HOPS = 0.02
"""Weight of the mean share of a pair's bytes on each arc: what keeps equal optima from taking detours."""

WIDEST = 1e6
"""Largest ratio of capacities that a program is given; what is wider still is as good as free."""

ROUNDS = 40
"""Rounds of path generation, at most; each adds the shortest path of every pair that would gain."""


@dataclass(frozen=True, eq=False)
class PathPool:
    """The paths that are known for each pair.

    Parameters
    ----------
    network
        The network of the package.
    pairs
        The pairs.
    paths
        Arcs of each path, by pair; grows as programs ask for more.
    """

    network: FlowNetwork
    pairs: tuple[Pair, ...]
    paths: list[list[Ints]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.paths:
            self.paths.extend([] for _ in self.pairs)
            ones = np.ones(self.network.num_arcs)
            for p, path in enumerate(self.shortest([ones], [range(len(self.pairs))])):
                self.paths[p].append(path)

    @property
    def ends(self) -> tuple[Ints, Ints]:
        """Vertices at which each pair's bytes start and end, [pairs] each."""
        index = self.network.package.index
        sources = [self.network.origin[index[a]] for a, _ in self.pairs]
        sinks = [self.network.destination[index[b]] for _, b in self.pairs]
        return np.array(sources, np.int64), np.array(sinks, np.int64)

    def shortest(self, lengths: Sequence[Floats], classes: Sequence[Sequence[int]]) -> list[Ints]:
        """Return the shortest path of each pair under the lengths of its class, by pair."""
        from noptoolkit.flow.bounds.certificate import shortest_distances

        network = self.network
        sources, sinks = self.ends
        found: list[Ints] = [np.zeros(0, np.int64)] * len(self.pairs)
        for length, members in zip(lengths, classes, strict=True):
            chosen = np.array(list(members), np.int64)
            if not len(chosen):
                continue
            roots, row = np.unique(sources[chosen], return_inverse=True)
            _, by = shortest_distances(network.num_vertices, network.tail, network.head, length, roots)
            for p, r in zip(chosen.tolist(), row.tolist(), strict=True):
                path, vertex = [], int(sinks[p])
                while vertex != sources[p]:
                    path.append(int(by[r, vertex]))
                    vertex = int(network.tail[path[-1]])
                found[p] = np.array(path[::-1], np.int64)
        return found


@dataclass(frozen=True, eq=False)
class PathShares:
    """A solved program.

    Parameters
    ----------
    shares
        Share of each path of the pool at that time, by pair.
    times
        Time of each phase, in s.
    prices
        Prices of each phase, scaled so that capacity @ prices = 1, in s/B, [resources] each.
    options
        Share of each option, by choice.
    """

    shares: tuple[Floats, ...]
    times: tuple[float, ...]
    prices: tuple[Floats, ...]
    options: tuple[Floats, ...] = ()


def share_paths(
    pool: PathPool, amounts: Sequence[Floats], base: Sequence[Floats], choices: Sequence[Floats] = ()
) -> PathShares:
    """Return the shares of paths that minimise the sum of the phases' times; the pool grows by what it takes.

    Parameters
    ----------
    amounts
        Bytes of each pair in each phase, [pairs] each.
    base
        What else each phase uses of each resource, in B, [resources] each.
    choices
        What each option of a choice uses in each phase, in B, [options, phases, resources] each; shares of
        the options of a choice add up to 1, as those of a pair's paths do.
    """
    program = _Program(pool, amounts, base, choices)
    for _ in range(ROUNDS):
        columns, matrix = program.assembled()
        solved = run_program(matrix, program.cost(columns), lower=program.lower, upper=program.upper)
        assert solved is not None  # every pair has a path, so that the program is feasible
        values, rows = solved
        if not program.add_paths(rows):
            break
    return program.result(columns, values, rows)


def choose_paths(
    pool: PathPool, amounts: Sequence[Floats], base: Sequence[Floats], *, time_limit: float = 2.0
) -> list[Ints] | None:
    """Return one path for each pair, chosen from the pool, or ``None`` if the time did not suffice.

    Parameters are those of `share_paths`, without choices.
    """
    program = _Program(pool, amounts, base)
    columns, matrix = program.assembled()
    solved = run_program(
        matrix,
        program.cost(columns),
        lower=program.lower,
        upper=program.upper,
        whole=len(columns.owner),
        time_limit=time_limit,
        gap=2e-3,
    )
    if solved is None:
        return None
    shares = np.split(solved[0][: len(columns.owner)], np.cumsum([len(known) for known in pool.paths])[:-1])
    return [known[int(np.argmax(share))] for known, share in zip(pool.paths, shares, strict=True)]


@dataclass(frozen=True, eq=False)
class _Columns:
    """The paths of a restricted program: the pair of each, and its arcs as columns, [arcs, paths]."""

    owner: Ints
    arcs: csc_array[Any]


class _Program:
    """A program over the paths of a pool, in scaled units."""

    def __init__(
        self,
        pool: PathPool,
        amounts: Sequence[Floats],
        base: Sequence[Floats],
        choices: Sequence[Floats] = (),
    ) -> None:
        network = pool.network
        self.pool, self.network = pool, network
        sizes = [amount.sum() for amount in amounts] + [uses[0].max(axis=1).sum() for uses in choices]
        moved = float(sum(sizes)) or float(sum(part.max(initial=0.0) for part in base))
        self.byte = moved / 100 or 1.0  # HiGHS wants demands near 1; a step may have nothing to route
        self.choices = [uses / self.byte for uses in choices]
        finite = np.minimum(network.capacity, WIDEST * network.capacity.min(initial=np.inf))
        self.rate = float(finite.max(initial=1.0))
        self.capacity = finite / self.rate
        self.amounts = [amount / self.byte for amount in amounts]
        self.lower = np.r_[np.full(len(amounts) * network.num_resources, -np.inf), np.ones(self.ones)]
        fixed = [
            self.ports(amount) + part / self.byte for amount, part in zip(self.amounts, base, strict=True)
        ]
        self.upper = np.r_[-np.concatenate(fixed), np.ones(self.ones)]
        self.hop = HOPS / network.num_arcs / self.capacity[network.own]

    @property
    def ones(self) -> int:
        """Number of the rows that say that shares add up to 1: of pairs, then of choices."""
        return len(self.pool.pairs) + len(self.choices)

    def ports(self, amount: Floats) -> Floats:
        """Return what a phase uses of ports, whatever the paths, [resources]."""
        network, index = self.network, self.network.package.index
        sent, received = np.zeros(len(index)), np.zeros(len(index))
        for (source, sink), size in zip(self.pool.pairs, amount, strict=True):
            sent[index[source]] += size
            received[index[sink]] += size
        use: Floats = network.on_injected @ sent + network.on_ejected @ received
        return use

    def assembled(self) -> tuple[_Columns, csc_array[Any]]:
        """Return the columns of the paths known by now, and the matrix of the program."""
        network, paths = self.network, [path for known in self.pool.paths for path in known]
        owner = np.repeat(np.arange(len(self.pool.pairs)), [len(known) for known in self.pool.paths])
        column = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
        arc = np.concatenate(paths) if paths else np.zeros(0, np.int64)
        arcs = csc_array((np.ones(len(arc)), (arc, column)), shape=(network.num_arcs, len(paths)))
        use = csr_array(network.on_arcs @ arcs)
        groups = len(self.amounts)
        blocks = []
        for g, amount in enumerate(self.amounts):
            times = np.zeros((network.num_resources, groups))
            times[:, g] = -self.capacity
            chosen = [csr_array(uses[:, g].T) for uses in self.choices]
            blocks.append(_beside(use * amount[owner], *chosen, csr_array(times)))
        number = np.arange(len(self.choices)) + len(self.pool.pairs)
        row = np.r_[owner, np.repeat(number, [len(uses) for uses in self.choices])]
        one = csr_array((np.ones(len(row)), (row, np.arange(len(row)))), shape=(self.ones, len(row)))
        blocks.append(_beside(one, csr_array((self.ones, groups))))
        return _Columns(owner, arcs), csc_array(vstack(blocks))

    def cost(self, columns: _Columns) -> Floats:
        total = np.sum(self.amounts, axis=0)
        of_paths = (self.hop @ columns.arcs) * total[columns.owner]
        room = HOPS / self.network.num_arcs / self.capacity
        of_options = [uses.sum(axis=1) @ room for uses in self.choices]
        return np.concatenate([of_paths, *of_options, np.ones(len(self.amounts))])

    def add_paths(self, rows: Floats) -> bool:
        """Add the paths that would lower the cost under some row prices; return whether there were any."""
        network, pool, groups = self.network, self.pool, len(self.amounts)
        prices = np.maximum(-rows[: groups * network.num_resources].reshape(groups, -1), 0.0)
        paid = rows[groups * network.num_resources :]
        lengths = prices @ network.on_arcs
        total = np.sum(self.amounts, axis=0)
        mix = np.array(self.amounts) / np.where(total > 0, total, 1.0)
        kinds, kind = np.unique(np.round(mix, 9), axis=1, return_inverse=True)
        classes = [np.flatnonzero((kind.ravel() == k) & (total > 0)) for k in range(kinds.shape[1])]
        of_class = [weights @ lengths + self.hop for weights in kinds.T]
        new = False
        for p, path in enumerate(pool.shortest(of_class, [members.tolist() for members in classes])):
            if total[p] <= 0:
                continue
            pays = total[p] * float(of_class[int(kind.ravel()[p])][path].sum())
            if pays < paid[p] - 1e-7 * max(abs(paid[p]), 1e-3) and not any(
                np.array_equal(path, known) for known in pool.paths[p]
            ):
                pool.paths[p].append(path)
                new = True
        return new

    def result(self, columns: _Columns, values: Floats, rows: Floats) -> PathShares:
        groups, paths = len(self.amounts), len(columns.owner)
        prices = np.maximum(-rows[: groups * len(self.capacity)].reshape(groups, -1), 0.0)
        scale = prices @ self.network.capacity
        scaled = [y / s if s > 0 else y for y, s in zip(prices, scale, strict=True)]
        ends = np.cumsum(np.bincount(columns.owner, minlength=len(self.pool.pairs)))
        options = np.split(values[paths : len(values) - groups], np.cumsum([len(u) for u in self.choices]))
        return PathShares(
            tuple(np.split(values[:paths], ends[:-1])),
            tuple(float(z) * self.byte / self.rate for z in values[len(values) - groups :]),
            tuple(scaled),
            tuple(options[:-1]),
        )


def _beside(*parts: csr_array[Any]) -> csr_array[Any]:
    from scipy.sparse import hstack

    return csr_array(hstack(parts))
