"""All-reduce as a reduce-scatter followed by an all-gather, both optimal, on one set of channels.

On meshes this is up to twice slower than the optimum; where relays do all the work (stars, trees of
switches, GPU boxes) it is often the optimum itself, with few and regular trees. Both phases run at the same
time on different parts of the buffer, so the loads add up.
"""

from __future__ import annotations

from noptoolkit.collectives.kinds.spreading import spread_or_collect
from noptoolkit.collectives.values.answers import Answer
from noptoolkit.collectives.values.requests import Request
from noptoolkit.collectives.values.schedule import CollectiveSchedule, TreeRows, schedule_of_trees
from noptoolkit.network import FlowNetwork

__all__ = ["reduce_then_gather"]

Piece = tuple[float, list[list[int]]]


def reduce_then_gather(network: FlowNetwork, request: Request, tol: float) -> Answer | None:
    """Return an all-reduce in two phases, or ``None`` where one of them has no schedule.

    Parameters
    ----------
    tol
        Gap at which each phase is good enough.
    """
    phases = []
    for kind in ("reduce-scatter", "all-gather"):
        _, answer, _ = spread_or_collect(network, Request(kind, request.size, request.members), tol)
        if answer is None or answer.schedule is None:
            return None
        phases.append(_by_root(answer.schedule))
    collected, spread = phases
    rows = TreeRows()
    for root, pieces in collected.items():
        there, onward = list(pieces), list(spread[root])
        while there and onward:
            (a, up), (b, down) = there.pop(), onward.pop()
            both = min(a, b)
            if both > 1e-12 * request.size:
                first = rows.add(0, root, both, up, collects=True)
                rows.add(0, root, both, down, after=first)
            if a - both > 1e-12 * request.size:
                there.append((a - both, up))
            if b - both > 1e-12 * request.size:
                onward.append((b - both, down))
    schedule = schedule_of_trees(network, rows)
    return Answer(schedule.use(), "reduce-scatter, then all-gather, each optimal", (), schedule, "")


def _by_root(schedule: CollectiveSchedule) -> dict[int, list[Piece]]:
    network = schedule.network
    node_of = {int(v): i for i, v in enumerate(network.destination)} | {
        int(v): i for i, v in enumerate(network.origin)
    }
    found: dict[int, list[Piece]] = {}
    for t in range(len(schedule)):
        paths = [
            schedule.arcs[schedule.path_start[h] : schedule.path_start[h + 1]].tolist()
            for h in range(int(schedule.hop_start[t]), int(schedule.hop_start[t + 1]))
        ]
        found.setdefault(node_of[int(schedule.root[t])], []).append((float(schedule.amount[t]), paths))
    return found
