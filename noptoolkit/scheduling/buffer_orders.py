"""Orders in which tasks fit in their buffers, where the urgent ones block each other.

List scheduling lets a task take room as soon as there is any, and may fill a buffer with tasks that wait for
one that cannot enter. Whether there is a schedule at all is a question about orders alone: take the events of
any schedule (a task takes its room when it starts, and gives back when it ends) one after the other, and no
buffer ever holds more; so there is a schedule if, and only if, the tasks can run one at a time. Tasks that
take nothing may always run as soon as they can: they only make room. What is searched are the orders of the
others, depth first, each set of finished tasks once.

With an order at hand, a task that takes waits for the gives before it in the order, whatever the time. Then
no buffer can be overfull in any schedule: of the tasks that have taken, look at the last in the order; all
gives before it are over, and it takes no more than it did in the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.scheduling.task_graph import TaskGraph, frozen

__all__ = ["MOST_STEPS", "following_order", "order_that_fits"]

MOST_STEPS = 200_000
"""Tasks that a search may start before it gives up without a proof."""

MOST_WAITS = 5_000_000


def order_that_fits(graph: TaskGraph, urgency: Floats) -> tuple[list[int] | None, bool]:
    """Return an order in which all tasks can run one at a time, and whether the search was complete.

    Parameters
    ----------
    graph
        Graph without a cycle.
    urgency
        Which tasks to try first, [tasks].

    Returns
    -------
    order : list of int or None
        ``None`` where none was found.
    proved : bool
        Whether there is none, if none was found.
    """
    count = len(graph)
    pointers, followers = (part.tolist() for part in graph.successors)
    holds = graph.hold.tolist()
    buffer_of = [graph.needs[need][1] for need in graph.need.tolist()]
    waits = np.diff(graph.pred_ptr).tolist()
    rank = np.argsort(np.argsort(-urgency, kind="stable")).tolist()
    free = graph.buffer_size.tolist()
    order: list[int] = []
    ready: set[int] = set()  # of those that take
    slack = [1e-9 * size for size in free]

    def run(task: int) -> list[int]:
        """Run a task and all that then can without taking; return them."""
        done, todo = [], [task]
        while todo:
            one = todo.pop()
            if holds[one] and buffer_of[one] >= 0:
                free[buffer_of[one]] -= holds[one]
            done.append(one)
            for k in followers[pointers[one] : pointers[one + 1]]:
                waits[k] -= 1
                if not waits[k]:
                    if holds[k] > 0:
                        ready.add(k)
                    else:
                        todo.append(k)
        order.extend(done)
        return done

    def undo(done: list[int]) -> None:
        for one in reversed(done):
            for k in followers[pointers[one] : pointers[one + 1]]:
                waits[k] += 1
                ready.discard(k)
            if holds[one] and buffer_of[one] >= 0:
                free[buffer_of[one]] += holds[one]
        del order[len(order) - len(done) :]

    def choices() -> list[int]:
        """Return the tasks that fit, the most urgent last."""
        fit = [k for k in ready if holds[k] <= free[buffer_of[k]] + slack[buffer_of[k]]]
        return sorted(fit, key=lambda k: -rank[k])

    for task in [k for k in range(count) if not waits[k]]:
        if holds[task] > 0:
            ready.add(task)
        else:
            run(task)
    seen: set[int] = set()
    finished = 0
    path: list[tuple[list[int], list[int], int]] = []  # what ran, what else could have, what was finished
    options, steps = choices(), 0
    while len(order) < count:
        if not options:
            if not path:
                return None, True
            done, options, finished = path.pop()
            undo(done)
            ready.add(done[0])
            continue
        task = options.pop()
        ready.discard(task)
        done = run(task)
        after = finished
        for one in done:
            after |= 1 << one
        steps += 1
        if after in seen:
            undo(done)
            ready.add(task)
        else:
            seen.add(after)
            path.append((done, options, finished))
            finished, options = after, choices()
        if steps >= MOST_STEPS:
            return None, False
    return order, True


def following_order(graph: TaskGraph, order: Sequence[int]) -> TaskGraph | None:
    """Return a graph in which tasks that take wait for the gives before them; ``None`` if too many."""
    gives: dict[int, list[int]] = {}
    more: dict[int, list[int]] = {}
    total = 0
    for task in order:
        buffer = graph.needs[int(graph.need[task])][1]
        if graph.hold[task] < 0:
            gives.setdefault(buffer, []).append(task)
        elif graph.hold[task] > 0 and gives.get(buffer):
            more[task] = list(gives[buffer])
            total += len(more[task])
            if total > MOST_WAITS:
                return None
    lists = [
        [*graph.pred[graph.pred_ptr[i] : graph.pred_ptr[i + 1]].tolist(), *more.get(i, ())]
        for i in range(len(graph))
    ]
    whole = [list(dict.fromkeys(one)) for one in lists]
    return replace(
        graph,
        pred_ptr=frozen(np.cumsum([0, *map(len, whole)]), np.int64),
        pred=frozen([k for one in whole for k in one], np.int64),
        fronts=(),
        chains=(),
    )
