"""Makespan of a pipeline without its task graph, for searches over thousands of plans.

The same orders as `noptoolkit.plans.pipeline_orders`, by index arithmetic; the results are tested against
`noptoolkit.plans.pipelines`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from noptoolkit._arrays import Floats

__all__ = ["CODES", "makespan_of"]

CODES = {"gpipe": 0, "1f1b": 1, "interleaved": 1, "zb-h1": 2, "zb-h2": 3}
"""Orders that `makespan_of` knows."""

FORWARD, BACKWARD, WEIGHT = 0, 1, 2


@njit(cache=True)
def _slot(code: int, p: int, m: int, v: int, r: int, k: int) -> tuple[int, int]:
    """Return kind and place among its kind of slot k of a device of GPipe or 1F1B; -1 behind the last one."""
    n = m * v
    if code == 0:
        if k < n:
            return FORWARD, k
        return (BACKWARD, k - n) if k < 2 * n else (-1, 0)
    warm = p - r - 1 if v == 1 else 2 * (p - r - 1) + (v - 1) * p
    warm = min(warm, n)
    j = k - warm
    if j < 0:
        return FORWARD, k
    if j < 2 * (n - warm):
        return (FORWARD, warm + j // 2) if j % 2 == 0 else (BACKWARD, j // 2)
    return (BACKWARD, j - (n - warm)) if j - (n - warm) < n else (-1, 0)


@njit(cache=True)
def _next(code: int, p: int, m: int, r: int, state: np.ndarray) -> tuple[int, int]:
    """Return the next slot of a device of a zero-bubble order and advance its state: round, step, weights."""
    ahead = min(p - r if code == 2 else 2 * (p - r) - 1, m)
    held = r if code == 2 else 2 * r
    while True:
        i, step = state[r, 0], state[r, 1]
        if i < ahead and step == 0:
            state[r, 0] += 1
            if state[r, 0] == ahead:
                state[r, 0], state[r, 1] = 0, 1
            return FORWARD, i
        if step == 1:
            if i == m:
                state[r, 1] = 4
                continue
            state[r, 1] = 2
            return BACKWARD, i
        if step == 2:
            state[r, 1] = 3
            if i >= held:
                state[r, 2] += 1
                return WEIGHT, i - held
            continue
        if step == 3:
            state[r, 1] = 1
            state[r, 0] = i + 1
            if i + ahead < m:
                return FORWARD, i + ahead
            continue
        if state[r, 2] < m:
            state[r, 2] += 1
            return WEIGHT, state[r, 2] - 1
        return -1, 0


@njit(cache=True)
def _run(
    code: int, p: int, m: int, v: int, forward: Floats, backward: Floats, weight: Floats, transfer: float
) -> float:
    stages = p * v
    end_forward = np.full((m, stages), -1.0)
    end_backward = np.full((m, stages), -1.0)
    free = np.zeros(p)
    at = np.zeros(p, np.int64)
    state = np.zeros((p, 3), np.int64)
    waiting = np.full((p, 2), -2, np.int64)  # -2: nothing fetched
    active = p
    message = transfer if p > 1 else 0.0
    while active > 0:
        for r in range(p):
            while True:
                if waiting[r, 0] == -2:
                    if code < 2:
                        kind, j = _slot(code, p, m, v, r, at[r])
                        at[r] += 1
                    else:
                        kind, j = _next(code, p, m, r, state)
                    waiting[r, 0], waiting[r, 1] = kind, j
                    if kind == -1:
                        active -= 1
                kind, j = waiting[r, 0], waiting[r, 1]
                if kind == -1:
                    break
                if v == 1:
                    i, c = j, 0
                else:
                    within = j % (p * v)
                    i, c = (j // (p * v)) * p + within % p, within // p
                if kind == FORWARD:
                    s = c * p + r
                    ready = 0.0
                    if s > 0:
                        if end_forward[i, s - 1] < 0:
                            break
                        ready = end_forward[i, s - 1] + message
                    free[r] = max(free[r], ready) + forward[s]
                    end_forward[i, s] = free[r]
                elif kind == BACKWARD:
                    s = (v - 1 - c) * p + r
                    if end_forward[i, s] < 0:
                        break
                    ready = end_forward[i, s]
                    if s + 1 < stages:
                        if end_backward[i, s + 1] < 0:
                            break
                        ready = max(ready, end_backward[i, s + 1] + message)
                    free[r] = max(free[r], ready) + backward[s]
                    end_backward[i, s] = free[r]
                else:
                    free[r] += weight[r]
                waiting[r, 0] = -2
    result: float = free.max()
    return result


def makespan_of(
    order: str,
    forward: Floats,
    backward: Floats,
    weight: Floats,
    micro_batches: int,
    *,
    devices: int,
    chunks: int = 1,
    transfer: float = 0.0,
) -> float:
    """Return the makespan of a pipeline, in s.

    Parameters
    ----------
    order
        A name in `CODES`.
    forward, backward, weight
        Time of a forward, of a whole backward and of its weight part on each stage in forward order, in s,
        [devices x chunks].
    micro_batches, devices, chunks, transfer
        As `noptoolkit.plans.pipeline` has them.

    Examples
    --------
    >>> import numpy as np
    >>> makespan_of("1f1b", np.ones(4), np.full(4, 2.0), np.zeros(4), 8, devices=4)
    33.0
    """
    code = CODES[order]
    part = backward - weight if code >= 2 else backward
    return float(_run(code, devices, micro_batches, chunks, forward, part, weight, transfer))
