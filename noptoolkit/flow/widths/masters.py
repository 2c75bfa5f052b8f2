"""Where to put bandwidth, as far as planes and uses tell: two small linear programs, one from either side.

Over extra bandwidths x >= 0 with price . x <= budget, and throughputs q = 1 / time of each traffic::

    outer   minimise sum of weight / q    with  cost_k q <= y_k . (c + E x)        for every plane
    inner   minimise sum of weight / q    with  sum_k m_k u_k <= c + E x, q = sum_k m_k,  m >= 0

The outer one bounds every widening under the budget from below; the inner one is a widening with flows that
achieve it. One traffic makes both linear (the largest q). For several, 1 / q is bounded by its tangents,
``1 / q >= 2 / s - q / s^2``, added where the program's answer lies until they meet the curve.

The bound is not read off the program: its multipliers m mix the planes of each traffic into one,
``q <= Y . (c + E x)`` with Y = sum of m_k y_k / cost_k, sum of m_k = 1, and with the budget's best buy::

    sum of weight / q  >=  sum of weight (2 / s - Y . c / s^2) - budget max_j (weight E^T Y / s^2)_j / price_j
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import block_diag, bmat, csc_array, csr_array

from noptoolkit._arrays import Floats
from noptoolkit._highs import run_program
from noptoolkit.errors import RoutingError
from noptoolkit.flow.widths.choices import Choices
from noptoolkit.flow.widths.evidence import Evidence

__all__ = ["Inner", "Outer", "inner_widths", "outer_widths", "proved_time"]

CLOSE = 3e-7
"""Relative difference of curve and tangents that HiGHS's own tolerance allows to reach."""

ROUNDS = 60

LEAST, MOST = 1e-7, 1e7
"""Shares of the budget that the unit of a choice costs: HiGHS drops what is below 1e-9, and refuses 1e15."""


@dataclass(frozen=True, eq=False)
class Outer:
    """Where the planes alone would put a budget, and what they prove.

    Parameters
    ----------
    extra
        Extra bandwidth of each choice, in B/s, [choices].
    bound
        Lower bound on the weighted sum of times under any widening within the budget, in s.
    multipliers
        Share of each plane in the bound, for each traffic, [traffics][planes].
    rates
        Throughputs s at which the tangents touch, in 1/s, [traffics].
    """

    extra: Floats
    bound: float
    multipliers: tuple[Floats, ...]
    rates: Floats


@dataclass(frozen=True, eq=False)
class Inner:
    """The best widening for the flows that are known.

    Parameters
    ----------
    extra
        Extra bandwidth of each choice, in B/s, [choices].
    times
        Time of each traffic with its flows mixed as is best, in s, [traffics].
    prices
        Price of each resource that the program found for each traffic, [traffics, resources].
    """

    extra: Floats
    times: Floats
    prices: Floats


def outer_widths(
    evidence: Sequence[Evidence],
    weights: Floats,
    choices: Choices,
    capacity: Floats,
    budget: float,
    *,
    worst: bool = False,
) -> Outer:
    """Return what the planes prove of every widening within a budget.

    Parameters
    ----------
    worst
        Whether the longest of the times counts, and not their weighted sum: all traffics then have one
        throughput q, and all planes bound it.
    """
    if any(not one.planes for one in evidence):
        raise RoutingError("a traffic that carries nothing needs no bandwidth; leave it out")
    owners = np.repeat(np.arange(len(evidence)), [len(one.planes) for one in evidence])
    slopes = np.array([plane.prices / plane.cost for one in evidence for plane in one.planes])
    room = slopes @ capacity
    today = evidence[0].problem.network.capacity
    rate, unit = float((slopes @ today).mean()), _units(choices, today, budget)
    gain = csr_array((slopes @ choices.on_resources) * (unit / rate))
    column = 0 * owners if worst else owners
    number = csr_array((np.ones(len(owners)), (np.arange(len(owners)), column)))
    rated = np.ones(1) if worst else weights
    spent, most = _budget_row(choices, budget, unit)
    matrix = bmat([[number, -gain], [None, spent]], format="csc")
    upper = np.r_[room / rate, most]
    values, duals, rates = _least_sum(matrix, np.full(len(upper), -np.inf), upper, rated)
    shares = np.maximum(-duals[: len(owners)], 0.0)
    shares = np.where(shares > 1e-9 * shares.max(initial=0.0), shares, 0.0)
    if worst:
        shares = _shares(shares)
        multipliers = tuple(shares[owners == i] for i in range(len(evidence)))
    else:
        multipliers = tuple(_shares(shares[owners == i]) for i in range(len(evidence)))
    rates = rates * rate
    extra = values[len(rated) : len(rated) + len(choices.names)] * unit
    bound = proved_time(evidence, weights, choices, capacity, budget, multipliers, rates, worst=worst)
    return Outer(extra, bound, multipliers, rates)


def proved_time(
    evidence: Sequence[Evidence],
    weights: Floats,
    choices: Choices,
    capacity: Floats,
    budget: float,
    multipliers: Sequence[Floats],
    rates: Floats,
    *,
    worst: bool = False,
) -> float:
    """Return the bound that mixed planes prove for every widening within a budget, in s."""
    mixed = [
        sum(
            (m * (plane.prices / plane.cost) for m, plane in zip(ms, one.planes, strict=True) if m > 0),
            np.zeros(len(capacity)),
        )
        for one, ms in zip(evidence, multipliers, strict=True)
    ]
    if worst:
        together = np.sum(mixed, axis=0)
        buy = np.max((choices.on_resources.T @ together) / choices.price)
        return float(1.0 / (together @ capacity + budget * buy))
    buys = [np.max((choices.on_resources.T @ y) / choices.price) for y in mixed]
    if len(evidence) == 1:
        return float(weights[0] / (mixed[0] @ capacity + budget * buys[0]))
    slope = weights / rates**2
    fixed = sum(w * 2 / s for w, s in zip(weights, rates, strict=True))
    fixed -= sum(a * float(y @ capacity) for a, y in zip(slope, mixed, strict=True))
    together = sum(a * (choices.on_resources.T @ y) for a, y in zip(slope, mixed, strict=True))
    return float(fixed - budget * np.max(together / choices.price))


def inner_widths(
    evidence: Sequence[Evidence],
    weights: Floats,
    choices: Choices,
    capacity: Floats,
    budget: float,
    *,
    worst: bool = False,
) -> Inner:
    """Return the best widening for the flows that are known, mixed as is best."""
    traffics, resources = len(evidence), len(capacity)
    today = evidence[0].problem.network.capacity
    unit = _units(choices, today, budget)
    needed = [np.array(one.uses) / today for one in evidence]
    time = max(float(each.max(axis=1).min()) for each in needed) or 1.0  # of the flows as they are
    loads: Any = csr_array(block_diag([each.T for each in needed], format="csr"))
    share = block_diag([np.ones((1, len(one.uses))) for one in evidence], format="csr")
    gain = bmat([[choices.on_resources.multiply(unit[None, :] / today[:, None])]] * traffics, format="csr")
    spent, most = _budget_row(choices, budget, unit)
    matrix = bmat(
        [
            [None, -gain, loads * (1 / time)],
            [None, spent, None],
            [-csr_array(np.ones((traffics, 1)) if worst else np.eye(traffics)), None, share],
        ],
        format="csc",
    )
    lower = np.r_[np.full(resources * traffics + 1, -np.inf), np.zeros(traffics)]
    upper = np.r_[np.tile(capacity / today, traffics), most, np.zeros(traffics)]
    values, duals, _ = _least_sum(matrix, lower, upper, np.ones(1) if worst else weights)
    rates = 1 if worst else traffics
    extra = np.maximum(values[rates : rates + len(choices.names)] * unit, 0.0)
    prices = np.maximum(-duals[: traffics * resources], 0.0).reshape(traffics, resources) / today
    times: Floats = np.broadcast_to(time / values[:rates], (traffics,))
    return Inner(extra, times, prices)


def _units(choices: Choices, today: Floats, budget: float) -> Floats:
    """Return what each choice is counted in, in B/s: what its narrowest resource has, for they differ."""
    on: Any = csr_array(choices.on_resources.multiply(1.0 / today[:, None]))
    narrowest: Floats = np.asarray(1.0 / on.max(axis=0).todense()).ravel()
    most = budget / choices.price
    return np.clip(narrowest, LEAST * most, MOST * most) if budget else narrowest


def _budget_row(choices: Choices, budget: float, unit: Floats) -> tuple[Any, float]:
    cost = choices.price * unit / budget if budget else np.ones(len(unit))
    return csr_array(cost[None, :]), float(budget > 0)


def _shares(values: Floats) -> Floats:
    total = float(values.sum())
    if total > 0:
        return values / total
    first = np.zeros(len(values))
    first[0] = 1.0
    return first


def _least_sum(matrix: Any, lower: Floats, upper: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Minimise the weighted sum of 1 / q over rows in which q are the first columns, all columns >= 0.

    Return the columns, the row prices, and the q at which the tangents touch.
    """
    traffics, columns = len(weights), matrix.shape[1]
    goal = np.zeros(columns)
    goal[:traffics] = -1.0
    values, duals = _solved(csc_array(matrix), goal, lower, upper)
    rates = values[:traffics]
    if traffics == 1:
        return values, duals, rates
    rates = np.maximum(rates, 1e-6 * rates.max())
    who = np.tile(np.arange(traffics), 3)
    at = np.concatenate([rates * factor for factor in (0.5, 1.0, 2.0)])
    goal = np.r_[np.zeros(columns), weights / weights.sum()]
    for _ in range(ROUNDS):
        where, who_then, at_then = np.arange(len(at)), who, at
        slope = csr_array((1.0 / at, (where, who)), shape=(len(at), columns))
        height = csr_array((at, (where, who)), shape=(len(at), traffics))
        whole = bmat([[matrix, csr_array((matrix.shape[0], traffics))], [slope, height]], format="csc")
        values, duals = _solved(
            csc_array(whole),
            goal,
            np.r_[lower, np.full(len(at), 2.0)],
            np.r_[upper, np.full(len(at), np.inf)],
        )
        rates = np.maximum(values[:traffics], 1e-12)
        off = 1.0 / rates > values[columns:] * (1 + CLOSE)
        if not off.any():
            break
        if weights @ (1.0 / rates) <= weights @ values[columns:] * (1 + CLOSE):
            break
        who = np.r_[who, np.flatnonzero(off)]
        at = np.r_[at, rates[off]]
    # the slope that the program gives each curve says where its tangent touches, K = 2 sqrt(weight S)
    slopes = np.bincount(who_then, np.maximum(duals[matrix.shape[0] :], 0.0) / at_then, traffics)
    touching = np.sqrt(weights / weights.sum() / np.maximum(slopes, 1e-300))
    return values[:columns], duals[: matrix.shape[0]], touching


def _solved(matrix: Any, goal: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    found = run_program(matrix, goal, lower=lower, upper=upper)
    if found is None:
        raise RoutingError("HiGHS found no widths; this is a bug in noptoolkit")
    return found
