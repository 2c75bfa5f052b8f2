"""The fastest way to serve one request or many at once, with every bound that can be proved."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives.exact.integer_graph import shares_halves
from noptoolkit.collectives.groups.columns import generate_columns
from noptoolkit.collectives.groups.folding import MOST_CLASSES, mix
from noptoolkit.collectives.groups.relaying import lay_groups
from noptoolkit.collectives.groups.reweighing import reweigh
from noptoolkit.collectives.groups.volume import Averaged, ascend
from noptoolkit.collectives.kinds.exchange import exchange_all
from noptoolkit.collectives.kinds.spanning import all_reduce_by_strength
from noptoolkit.collectives.kinds.spreading import member_nodes, spread_or_collect
from noptoolkit.collectives.kinds.steiner import all_reduce_at_switches, capable_relays
from noptoolkit.collectives.kinds.streams import stream_from_one
from noptoolkit.collectives.kinds.two_phases import reduce_then_gather
from noptoolkit.collectives.prices.pricing import Groups, groups_of
from noptoolkit.collectives.prices.symmetry import Symmetry, symmetry_of
from noptoolkit.collectives.values.answers import Answer, ProvedBound
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.theorems import OPEN, TREES
from noptoolkit.network import FlowNetwork

__all__ = ["solve_optimally"]

SMALL = 80  # vertices up to which column generation is quicker than the first-order method
COPIES = (8, 16)  # trees of each share in a schedule of large groups
MOST_SECONDS = 120.0  # of the linear program that weighs them
MANY = 1_500  # commodities beyond which it is not
CLOSED = "chiplets that may not forward send nothing but what is their own"
MIXED = "the loads are an average over many trees, which are not kept as a schedule"


def solve_optimally(
    network: FlowNetwork,
    requests: Sequence[Request],
    *,
    in_network: bool | None = False,
    tol: float,
    deadline: float,
    report: Callable[[str], None] | None = None,
    trees: bool = True,
) -> Answer:
    """Return the best schedule of requests that are served at the same time.

    Parameters
    ----------
    in_network
        Whether switches add and copy for an all-reduce; ``None`` is those that say so.
    tol
        Gap at which to stop.
    deadline
        By ``time.perf_counter()``, in s.
    trees
        Whether a schedule is wanted; without one, symmetric groups are answered by their loads alone.
    """
    capable = capable_relays(network, in_network)
    reduces = [request for request in requests if request.motion == "both"]
    left_out = ""
    if len(capable) and reduces and network.closed_chiplets:
        left_out = "some chiplets forward nothing"
    elif len(capable) and reduces and len(requests) == 1:
        helped, why = all_reduce_at_switches(network, requests[0], capable, tol)
        if helped is not None:
            return _better_of_both(network, requests, helped, tol=tol, deadline=deadline, report=report)
        left_out = why
    elif len(capable) and reduces:
        left_out = "several groups at once"
    elif in_network is False and reduces and len(capable_relays(network, None)):
        left_out = "in_network=False"
    if not trees and (len(requests) > 1 or network.num_vertices > SMALL):
        groups = groups_of(network, requests)
        symmetry = symmetry_of(groups)
        if symmetry.classes <= MOST_CLASSES:
            averaged, bounds = _mixed(groups, symmetry, tol=tol, deadline=deadline, report=report)
            theorem, notes = _theorem(groups, bounds, tol), (MIXED,)
            limited = averaged.time > averaged.bound * (1 + tol)
            method, found = "mixture of trees", tuple(bounds)
            return Answer(averaged.use, method, found, None, theorem, notes, limited, left_out=left_out)
    answer = _without_switches(network, requests, tol=tol, deadline=deadline, report=report)
    return replace(answer, left_out=left_out)


def _mixed(
    groups: Groups,
    symmetry: Symmetry,
    *,
    tol: float,
    deadline: float,
    report: Callable[[str], None] | None,
) -> tuple[Averaged, list[ProvedBound]]:
    """Return loads of symmetric groups by a program over few classes, or by the first-order method."""
    if symmetry.classes <= MOST_CLASSES:
        averaged = mix(groups, symmetry, tol=min(1e-7, 0.1 * tol), deadline=deadline, report=report)
        name = "prices of the linear program over classes"
    else:
        averaged = ascend(groups, tol=0.9 * tol, deadline=deadline, symmetry=symmetry, report=report)
        name = "prices of the volume algorithm"
    bounds = [
        ProvedBound(averaged.bound, name, averaged.prices, trees_only=True),
        ProvedBound(groups.bounds(averaged.prices, symmetry)[1], name, averaged.prices),
        *_even_prices(groups, averaged.prices, symmetry),
    ]
    return averaged, bounds


def _better_of_both(
    network: FlowNetwork,
    requests: Sequence[Request],
    helped: Answer,
    *,
    tol: float,
    deadline: float,
    report: Callable[[str], None] | None,
) -> Answer:
    """Return trees that branch at relays, or the members' own where those are faster; one bound for both."""
    time = float((helped.use / network.capacity).max())
    if time <= max(bound.time for bound in helped.bounds) * (1 + tol):
        return helped
    own = _without_switches(network, requests, tol=tol, deadline=deadline, report=report)
    if float((own.use / network.capacity).max()) >= time:
        return helped
    return replace(own, bounds=helped.bounds, theorem=helped.theorem)


def _without_switches(
    network: FlowNetwork,
    requests: Sequence[Request],
    *,
    tol: float,
    deadline: float,
    report: Callable[[str], None] | None,
) -> Answer:
    bounds: list[ProvedBound] = []
    notes: list[str] = []
    if len(network.closed_chiplets):
        notes = [CLOSED]
    elif len(requests) == 1:
        answer, bounds, notes = _alone(network, requests[0], tol)
        if answer is not None and (len(network.origin) > SMALL or _meets(network, answer, tol)):
            return answer
        if answer is not None:  # capacities too far apart for whole numbers: trees by the linear program, too
            groups = groups_of(network, requests)
            other = _together(groups, list(answer.bounds), [], tol=tol, deadline=deadline, report=report)
            faster = _time(groups, other.use) < _time(groups, answer.use)
            return other if faster else replace(answer, bounds=other.bounds)
    groups = groups_of(network, requests)
    return _together(groups, bounds, notes, tol=tol, deadline=deadline, report=report)


def _meets(network: FlowNetwork, answer: Answer, tol: float) -> bool:
    """Return whether an answer is within the tolerance of what is proved."""
    time = float((answer.use / network.capacity).max(initial=0.0))
    return time <= max(bound.time for bound in answer.bounds) * (1 + tol)


def _alone(
    network: FlowNetwork, request: Request, tol: float
) -> tuple[Answer | None, list[ProvedBound], list[str]]:
    """Return the exact answer of one request, or what is known towards it."""
    if request.kind == "all-to-all":
        return exchange_all(network, request, tol), [], []
    if shares_halves(network, member_nodes(network, request)):
        return None, [], ["half-duplex links: certified by prices, as no integer cut can express them"]
    if request.motion == "exchange":
        return stream_from_one(network, request), [], []
    if request.motion == "both":
        return all_reduce_by_strength(network, request, tol), [], []
    bound, answer, note = spread_or_collect(network, request, tol)
    return answer, [bound], [note] if note else []


def _together(
    groups: Groups,
    bounds: list[ProvedBound],
    notes: list[str],
    *,
    tol: float,
    deadline: float,
    report: Callable[[str], None] | None,
) -> Answer:
    network = groups.network
    commodities = int(sum(len(r.members) if r.motion != "both" else 1 for r in groups.requests))
    if len(network.origin) <= SMALL and commodities <= MANY:
        symmetry = symmetry_of(groups, fold=False)
        finest = min(tol / 10, 1e-6) if len(groups.requests) == 1 else tol / 10
        found = generate_columns(groups, symmetry, tol=finest, deadline=deadline, report=report)
        use = found.schedule.use()
        bounds = [
            *bounds,
            ProvedBound(found.bound, "prices of the linear program", found.prices, trees_only=True),
            ProvedBound(found.bound_any, "prices of the linear program", found.prices_any),
            *_even_prices(groups, found.prices),
        ]
        theorem = _theorem(groups, bounds, tol)
        best = Answer(use, "linear program over trees", tuple(bounds), found.schedule, theorem, tuple(notes))
        return _plainer(groups, best, tol, slack=1e-6)
    symmetry = symmetry_of(groups)
    averaged, proved = _mixed(groups, symmetry, tol=tol, deadline=deadline, report=report)
    bounds = [*bounds, *proved]
    target = max(bound.time for bound in bounds)
    schedule, use, method = None, averaged.use, "mixture of trees"
    if symmetry.classes > MOST_CLASSES:
        method = "average of trees (volume algorithm)"
    best_time = max(averaged.time, target * (1 + tol)) * (1 + 1e-9)
    for copies in COPIES:
        if clock.perf_counter() > deadline:
            break
        laid, time = lay_groups(groups, target, goal=0.1 * tol, reversible=symmetry.reversible, copies=copies)
        name = "trees laid and re-laid"
        if time > target * (1 + 0.1 * tol):
            limit = min(max(deadline - clock.perf_counter(), 1e-3), MOST_SECONDS)
            weighed = reweigh(laid, time_limit=limit)
            if weighed is not None and _time(groups, weighed.use()) < time:
                laid, time, name = (
                    weighed,
                    _time(groups, weighed.use()),
                    "trees laid, weighed by a linear program",
                )
        if time <= best_time:
            schedule, use, method, best_time = laid, laid.use(), name, time
        if time <= target * (1 + tol):
            break
    if schedule is None:
        notes = [*notes, MIXED]
    limited = schedule is None and averaged.time > averaged.bound * (1 + tol)
    theorem = _theorem(groups, bounds, tol)
    best = Answer(use, method, tuple(bounds), schedule, theorem, tuple(notes), limited)
    return _plainer(groups, best, tol, slack=0.0 if schedule is not None else 0.5 * tol)


def _time(groups: Groups, use: Floats) -> float:
    return float((use / groups.network.capacity).max(initial=0.0))


def _plainer(groups: Groups, best: Answer, tol: float, *, slack: float) -> Answer:
    """Return an all-reduce in two phases where that is as fast: its trees are fewer and more regular."""
    network, requests = groups.network, groups.requests
    if len(network.closed_chiplets) or len(requests) != 1 or requests[0].motion != "both":
        return best
    if shares_halves(network, groups.nodes):
        return best
    plain = reduce_then_gather(network, requests[0], tol)
    if plain is None:
        return best
    times = [float((answer.use / network.capacity).max()) for answer in (plain, best)]
    if times[0] > times[1] * (1 + slack):
        return best
    return replace(best, use=plain.use, schedule=plain.schedule, method=plain.method, limited=False)


def _even_prices(groups: Groups, prices: Floats, symmetry: Symmetry | None = None) -> list[ProvedBound]:
    """Return what some simple prices prove for any schedule."""
    capacity = groups.network.capacity
    kept: list[ProvedBound] = []
    busy = prices * capacity > 0.01 * float((prices * capacity).max(initial=0.0))
    for name, tried in (
        ("equal prices", 1 / capacity),
        ("equal prices on the bottleneck", np.where(busy, 1 / capacity, 0.0)),
        ("equal prices per byte", np.ones(len(capacity))),
    ):
        kept.append(ProvedBound(groups.bounds(tried, symmetry)[1], name, tried))
    return kept


def _theorem(groups: Groups, bounds: list[ProvedBound], tol: float) -> str:
    reduces = any(request.motion == "both" for request in groups.requests)
    if not reduces:
        return TREES
    any_bound = max((bound.time for bound in bounds if not bound.trees_only), default=0.0)
    trees = max(bound.time for bound in bounds)
    return TREES if any_bound >= trees * (1 - tol) else OPEN
