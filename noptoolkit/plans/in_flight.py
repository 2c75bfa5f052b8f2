"""How many micro-batches' activations a rank holds at once, counted along the slots of its schedule."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.plans.pipeline_orders import ORDERS, PipelineShape

__all__ = ["in_flight", "most_held"]


def in_flight(schedule: str, pp: int, micro_batches: int, vpp: int = 1) -> tuple[Ints, ...]:
    """Return the micro-batches in flight of each chunk of each pipeline rank, [rank][moments, chunks].

    A forward counts from its start until its backward (with the weight part, where that waits) has ended.
    Only moments at which no other holds as much of everything are kept. For 1F1B this is min(m, p - r), for
    GPipe m, for interleaved pv + p - 1 chunks on rank 0, for DualPipe p + 1 (DeepSeek's README;
    Megatron-LM, arXiv 2104.04473).

    Examples
    --------
    >>> [int(moments.max()) for moments in in_flight("1f1b", 4, 16)]
    [4, 3, 2, 1]
    >>> in_flight("interleaved", 4, 8, 2)[0].tolist()
    [[7, 4], [8, 3]]
    """
    if schedule != "gpipe":
        micro_batches = min(micro_batches, 4 * pp)  # more only make the steady part longer
    return _counted(schedule, pp, micro_batches, vpp)


@lru_cache(maxsize=512)
def _counted(schedule: str, pp: int, micro_batches: int, vpp: int) -> tuple[Ints, ...]:
    order = ORDERS[schedule]
    if schedule == "gpipe":
        return tuple(np.full((1, 1), micro_batches) for _ in range(pp))
    found = []
    for rank, slots in enumerate(order.slots(PipelineShape(pp, micro_batches, vpp))):
        stages = [rank, pp - 1 - rank] if order.two_way else list(range(rank, pp * vpp, pp))
        column = {stage: i for i, stage in enumerate(stages)}
        held = np.zeros(len(stages), np.int64)
        parts: dict[tuple[int, int], int] = {}
        moments = set()
        for slot in slots:
            for kind, _, stage in slot:
                if kind == "forward":
                    held[column[stage]] += 1
            moments.add(tuple(held.tolist()))
            for kind, micro_batch, stage in slot:
                if kind == "forward":
                    continue
                key = micro_batch, stage
                parts[key] = parts.get(key, 0) + (2 if kind == "backward" else 1)
                if parts[key] == 2:
                    held[column[stage]] -= 1
        found.append(_undominated(np.array(sorted(moments), np.int64).reshape(-1, len(stages))))
    return tuple(found)


def _undominated(moments: Ints) -> Ints:
    at_least: Bools = np.asarray((moments[:, None, :] <= moments[None, :, :]).all(axis=2))
    np.fill_diagonal(at_least, False)
    kept = moments[~np.asarray(at_least.any(axis=1))]
    kept.flags.writeable = False
    return kept


def most_held(moments: Ints, sizes: Floats) -> tuple[float, Ints]:
    """Return the most bytes held at any moment, and the counts then, of micro-batches of these sizes."""
    held = moments @ sizes
    worst = int(np.argmax(held))
    return float(held[worst]), moments[worst]
