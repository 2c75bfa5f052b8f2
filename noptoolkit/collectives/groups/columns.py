"""Groups at once on small packages: column generation over trees, to a certified gap.

A master linear program divides every commodity (a share, a sender's messages, the buffer of an all-reduce)
over the trees found so far and minimises the largest use / capacity; the prices of its capacities, drawn
half-way to the best prices so far, ask `noptoolkit.collectives.prices.pricing` for cheaper trees and for a
bound. It ends when the bound meets the time.

Solvers drop coefficients below 1e-9 and refuse large ones, and capacities may differ by 1e12: rows are in
shares of what a resource can do in the time of the first trees, and no column has a coefficient above 1.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.collectives.groups.rounds import interval_so_far
from noptoolkit.collectives.prices.pricing import Groups
from noptoolkit.collectives.prices.symmetry import Symmetry
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees

__all__ = ["Generated", "generate_columns"]

SMOOTHING = 0.5


@dataclass(frozen=True, eq=False)
class Generated:
    """A schedule, and the bounds found on the way.

    Parameters
    ----------
    schedule
        Trees with their amounts.
    bound, bound_any
        Of schedules in trees, and of any schedule, in s.
    prices, prices_any
        That prove them, [resources].
    """

    schedule: CollectiveSchedule
    bound: float
    bound_any: float
    prices: Floats
    prices_any: Floats


@dataclass(frozen=True, eq=False)
class _Column:
    commodity: int
    group: int
    root: int  # member of its group
    hops: tuple[tuple[int, int, bool], ...]  # from, to, whether it collects
    paths: tuple[Ints, ...]
    use: Floats  # of the resources, for one byte (of one share, or a sender's whole table)


def generate_columns(
    groups: Groups,
    symmetry: Symmetry,
    *,
    tol: float,
    deadline: float,
    most: int = 400,
    report: Callable[[str], None] | None = None,
) -> Generated:
    """Return a schedule of groups whose time is within ``tol`` of the bound, if rounds and deadline allow."""
    network = groups.network
    capacity = network.capacity / network.capacity.max()
    master = _Master(groups, capacity)
    share = np.full(len(capacity), 1 / len(capacity))
    prices = share / capacity
    best, best_any, best_prices, any_prices = 0.0, 0.0, prices, prices
    value = np.inf
    for turn in range(most):
        floor = 1e-9 / (capacity * len(capacity))
        prices = np.maximum(prices, floor)
        worth = float(prices @ capacity)
        columns, total, least = _cheapest_columns(groups, prices, symmetry.reversible, master.amounts)
        if total / worth > best:
            best, best_prices = total / worth, prices
        if least / worth > best_any:
            best_any, any_prices = least / worth, prices
        if value <= best * (1 + tol) or (turn and clock.perf_counter() > deadline):
            break
        master.add(columns)
        value, dual = master.solve()
        if symmetry.reversible:
            dual = symmetry.mean(dual * capacity) / capacity
        sum_of = float(dual @ capacity)
        if sum_of <= 0:
            break
        best_share = best_prices / float(best_prices @ capacity)
        prices = SMOOTHING * best_share + (1 - SMOOTHING) * dual / sum_of
        if report is not None and turn % 50 == 49:
            widest = network.capacity.max()
            report(interval_so_far(turn + 1, value / widest, best / widest))
    scale = network.capacity.max()
    return Generated(
        master.schedule(), best / scale, best_any / scale, best_prices / scale, any_prices / scale
    )


class _Master:
    """The linear program over the columns so far, kept warm in HiGHS."""

    def __init__(self, groups: Groups, capacity: Floats) -> None:
        import highspy

        self.groups = groups
        self.capacity = capacity
        self.columns: list[_Column] = []
        self.amounts = _amounts(groups)
        self.time = 0.0  # of the first columns, one for each commodity
        solver: Any = highspy.Highs.__base__  # the class itself prints a banner when it is made
        self.highs = solver()
        self.highs.setOptionValue("output_flag", False)
        infinite = highspy.kHighsInf
        nothing = np.array([], np.int32), np.array([])
        self.highs.addVar(0.0, infinite)
        self.highs.changeColCost(0, 1.0)
        for _ in self.amounts:
            self.highs.addRow(1.0, 1.0, 0, *nothing)
        for _ in capacity:
            self.highs.addRow(-infinite, 0.0, 1, np.array([0], np.int32), np.array([-1.0]))
        self.infinite = infinite
        self.unit: list[float] = []  # share of its commodity that a column's variable counts in
        self.shares = np.zeros(0)

    def add(self, columns: list[_Column]) -> None:
        """Add columns; the first call has one for each commodity."""
        needed = [self.amounts[column.commodity] * column.use / self.capacity for column in columns]
        if not self.time:
            self.time = max(float(np.sum(needed, axis=0).max(initial=0.0)), 1e-300)
        for column, each in zip(columns, needed, strict=True):
            used = np.flatnonzero(each)
            share = each[used] / self.time
            unit = 1.0 / max(float(share.max(initial=0.0)), 1.0)
            rows = np.r_[column.commodity, len(self.amounts) + used].astype(np.int32)
            self.highs.addCol(0.0, 0.0, self.infinite, len(rows), rows, np.r_[unit, share * unit])
            self.columns.append(column)
            self.unit.append(unit)

    def solve(self) -> tuple[float, Floats]:
        self.highs.run()
        solution = self.highs.getSolution()
        values = np.array(solution.col_value)
        self.shares = values[1:] * self.unit
        prices = np.maximum(-np.array(solution.row_dual)[len(self.amounts) :], 0.0) / self.capacity
        return float(values[0]) * self.time, prices

    def schedule(self) -> CollectiveSchedule:
        """Return the columns in use as trees; shares are made to add up exactly."""
        groups = self.groups
        shares = np.where(self.shares > 1e-8, self.shares, 0.0)
        commodity = np.array([column.commodity for column in self.columns], np.int64)
        shares = shares / np.bincount(commodity, shares, len(self.amounts))[commodity]
        rows = TreeRows()
        for column, share in zip(self.columns, shares.tolist(), strict=True):
            if share == 0 or self.amounts[column.commodity] == 0:
                continue
            low = int(groups.start[column.group])
            motion = int(groups.motion[column.group])
            amount = share * float(self.amounts[column.commodity])
            root = int(groups.origin[low + column.root])
            if motion == 3:
                table = groups.requests[column.group].pair_bytes()
                for (i, j, _), path in zip(column.hops, column.paths, strict=True):
                    to = int(groups.destination[low + j])
                    rows.add(column.group, root, share * float(table[i, j]), [path.tolist()], part=to)
                continue
            before = -1
            for collects in (True, False):
                paths = [
                    path.tolist()
                    for hop, path in zip(column.hops, column.paths, strict=True)
                    if hop[2] == collects
                ]
                if paths:
                    at = int(groups.destination[low + column.root]) if collects else root
                    part = -1 if motion == 2 else at
                    before = rows.add(
                        column.group, at, amount, paths, collects=collects, part=part, after=before
                    )
        return schedule_of_trees(groups.network, rows)


def _amounts(groups: Groups) -> Floats:
    """Return the bytes of each commodity; of an exchange, 1 for each sender's whole table."""
    amounts: list[float] = []
    for g, request in enumerate(groups.requests):
        low, high = int(groups.start[g]), int(groups.start[g + 1])
        if request.motion == "both":
            amounts.append(request.size)
        elif request.motion == "exchange":
            amounts += [1.0 for row in request.pair_bytes() if row.any()]
        else:
            amounts += [share for share in groups.shares[low:high].tolist() if share > 0]
    return np.array(amounts)


def _cheapest_columns(
    groups: Groups, prices: Floats, reversible: bool, amounts: Floats
) -> tuple[list[_Column], float, float]:
    from noptoolkit.collectives.prices.compiled_pricing import lay_group, path_arcs

    network = groups.network
    start, heads, arcs = groups.rows
    length, inject, eject = groups.lengths(prices)
    on_arcs = network.on_arcs.tocsc()
    columns: list[_Column] = []
    total, least, commodity = 0.0, 0.0, 0
    nodes = len(network.origin)
    for g, request in enumerate(groups.requests):
        low, high = int(groups.start[g]), int(groups.start[g + 1])
        k = high - low
        distance, row, path = path_arcs(
            start,
            heads,
            arcs,
            network.tail.astype(np.int64),
            length,
            groups.origin[low:high],
            groups.destination[low:high],
        )
        cost = distance + inject[low:high, None] + eject[None, low:high]
        hops, paid = np.empty((max(k * k, 2 * k), 3), np.int64), np.empty(max(k * k, 2 * k))
        motion = int(groups.motion[g])
        table = request.pair_bytes() if motion == 3 else np.zeros((k, k))
        count, of_group, of_any = lay_group(
            motion, groups.shares[low:high], table, cost, groups.ends[low:high], reversible, True, hops, paid
        )
        total, least = total + of_group, least + of_any
        root = hops[:count, 0]
        owner = np.where(root < 0, -1 - root, root)
        for r in np.unique(owner):
            mine = np.flatnonzero(owner == r)
            pieces = [(int(hops[h, 1]), int(hops[h, 2]), motion == 1 or int(root[h]) < 0) for h in mine]
            pieces = _growing(int(r), pieces) if motion != 3 else pieces
            paths = tuple(path[row[i * k + j] : row[i * k + j + 1]] for i, j, _ in pieces)
            weight = [float(table[i, j]) if motion == 3 else 1.0 for i, j, _ in pieces]
            load, sent, received = np.zeros(network.num_arcs), np.zeros(nodes), np.zeros(nodes)
            for (i, j, _), way, w in zip(pieces, paths, weight, strict=True):
                load[way] += w
                sent[groups.nodes[low + i]] += w
                received[groups.nodes[low + j]] += w
            use = on_arcs @ load + network.on_injected @ sent + network.on_ejected @ received
            columns.append(_Column(commodity, g, int(r), tuple(pieces), paths, np.asarray(use)))
            commodity += 1
    assert commodity == len(amounts), "one column for each commodity"
    return columns, total, least


def _growing(root: int, hops: list[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """Order hops so that they can be done: collecting from the leaves in, spreading from the root out."""
    ordered: list[tuple[int, int, bool]] = []
    for collects in (True, False):
        near: dict[int, list[tuple[int, int, bool]]] = {}
        for hop in hops:
            if hop[2] == collects:
                near.setdefault(hop[1] if collects else hop[0], []).append(hop)
        grown: list[tuple[int, int, bool]] = []
        queue = [root]
        for v in queue:
            for hop in near.get(v, []):
                grown.append(hop)
                queue.append(hop[0] if collects else hop[1])
        ordered += reversed(grown) if collects else grown
    return ordered
