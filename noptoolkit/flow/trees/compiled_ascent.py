"""Dual ascent and reverse deletion on one set after another, compiled by numba; see `dual_ascent`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from noptoolkit._arrays import Bits, Bools, Floats, Ints

__all__ = ["best_of_orders", "cover_sets"]

Flags = Bools
Words = Bits


@njit(cache=True, nogil=True)
def ascend(
    first: Ints,
    tail: Ints,
    length: Floats,
    root: int,
    members: Ints,
    left: Floats,
    order: Ints,
    cuts: Words,
    weights: Floats,
) -> tuple[float, int, int]:
    """Raise cuts that each separate a member from the root until the hops that are full let all be reached.

    Parameters
    ----------
    first, tail, length
        Hops, sorted by head: those into vertex v are first[v] .. first[v + 1].
    root, members
        Vertices; the root is not a member.
    left
        Output: remaining length of each hop, [hops].
    order
        Output: hops of remaining length 0, in the order in which they reached it, [hops].
    cuts, weights
        Output unless empty: vertices on the members' side of each cut, as bits, and the weight of the cut.

    Returns
    -------
    The sum of the weights, how many hops are full, how many cuts were raised.
    """
    # Why the sum of the weights is a lower bound: a cut is a set of vertices with a member but without the
    # root, so every tree enters it by some hop. Weights of cuts are taken from what is left of the hops that
    # enter them and never below 0, so the weights of the cuts that one hop enters sum to at most its length:
    # a feasible dual of the cut program, and a tree pays each cut at least once. Why it ends: each step makes
    # at least one more hop full, or finds a member connected. Why the full hops hold a tree: a member leaves
    # `active` only when the root reaches it along full hops.
    vertices = len(first) - 1
    full = 0
    for hop in range(len(tail)):
        left[hop] = length[hop]
        if length[hop] <= 0.0:
            order[full] = hop
            full += 1
    size = np.ones(len(members), np.int64)
    waiting = len(members)
    active = members.copy()
    inside = np.zeros(vertices, np.bool_)
    queue = np.empty(vertices, np.int64)
    total = 0.0
    raised = 0
    while waiting > 0:
        which = 0
        for k in range(1, waiting):
            if size[k] < size[which]:
                which = k
        inside[:] = False
        inside[active[which]] = True
        queue[0] = active[which]
        filled = 1
        at = 0
        while at < filled and not inside[root]:  # all that reaches the member along full hops
            vertex = queue[at]
            at += 1
            for hop in range(first[vertex], first[vertex + 1]):
                if left[hop] <= 0.0 and not inside[tail[hop]]:
                    inside[tail[hop]] = True
                    queue[filled] = tail[hop]
                    filled += 1
        if inside[root]:
            waiting -= 1
            active[which] = active[waiting]
            size[which] = size[waiting]
            continue
        size[which] = filled
        smaller = False
        for k in range(waiting):
            smaller |= size[k] < filled
        if smaller:  # raise the smallest side first: sides then nest instead of crossing
            continue
        step = np.inf  # the most that the cut can be raised by until a hop into it is full
        for i in range(filled):
            for hop in range(first[queue[i]], first[queue[i] + 1]):
                if not inside[tail[hop]] and left[hop] < step:
                    step = left[hop]
        if step == np.inf:
            return np.inf, full, raised
        for i in range(filled):
            for hop in range(first[queue[i]], first[queue[i] + 1]):
                if not inside[tail[hop]]:
                    left[hop] -= step
                    if left[hop] <= 0.0:
                        order[full] = hop
                        full += 1
        total += step
        if len(weights) > 0:
            weights[raised] = step
            for i in range(filled):
                cuts[raised, queue[i] // 64] |= np.uint64(1) << np.uint64(queue[i] % 64)
        raised += 1
    return total, full, raised


@njit(cache=True, nogil=True)
def prune(
    first: Ints,
    out_first: Ints,
    out_hop: Ints,
    tail: Ints,
    head: Ints,
    root: int,
    members: Ints,
    order: Ints,
    full: int,
    kept: Flags,
) -> None:
    """Keep of the full hops a tree: drop them, the last filled first, wherever all is reached without.

    Parameters
    ----------
    first
        Array as in `ascend`.
    out_first, out_hop
        The hops out of vertex v are out_hop[out_first[v] .. out_first[v + 1]].
    kept
        Output: whether each hop is kept, [hops].
    """
    vertices = len(out_first) - 1
    kept[:] = False
    for k in range(full):
        kept[order[k]] = True
    reached = np.ones(vertices, np.bool_)
    seen = np.zeros(vertices, np.bool_)
    queue = np.empty(vertices, np.int64)
    filled = 0
    for member in members:  # what leads to no member goes at once
        seen[member] = True
        queue[filled] = member
        filled += 1
    at = 0
    while at < filled:
        vertex = queue[at]
        at += 1
        for hop in range(first[vertex], first[vertex + 1]):
            if kept[hop] and not seen[tail[hop]]:
                seen[tail[hop]] = True
                queue[filled] = tail[hop]
                filled += 1
    for k in range(full):
        kept[order[k]] = seen[head[order[k]]]
    for k in range(full, -1, -1):
        if k < full:
            if not kept[order[k]]:
                continue
            kept[order[k]] = False
            if not reached[tail[order[k]]]:
                continue
        seen[:] = False
        seen[root] = True
        queue[0] = root
        filled = 1
        at = 0
        while at < filled:
            vertex = queue[at]
            at += 1
            for j in range(out_first[vertex], out_first[vertex + 1]):
                hop = out_hop[j]
                if kept[hop] and not seen[head[hop]]:
                    seen[head[hop]] = True
                    queue[filled] = head[hop]
                    filled += 1
        whole = True
        for member in members:
            whole &= seen[member]
        if whole or k == full:
            reached[:] = seen
        else:
            kept[order[k]] = True


@njit(cache=True, nogil=True)
def best_of_orders(
    first: Ints,
    tail: Ints,
    head: Ints,
    length: Floats,
    out_first: Ints,
    out_hop: Ints,
    root: int,
    ends: Ints,
    tries: int,
    left: Floats,
    order: Ints,
    kept: Flags,
    trial: Ints,
    tree: Ints,
    cuts: Words,
    weights: Floats,
) -> tuple[float, int, int]:
    """Raise cuts for the members in several orders; keep the best bound and the cheapest tree.

    Parameters
    ----------
    ends
        The members, shuffled here.
    left, order, kept, trial
        Room, [hops]; of trial, [vertices].
    tree
        Output: hops of the cheapest tree, [vertices].
    cuts, weights
        Room for twice the hops, or empty; filled with the cuts of the best bound.

    Returns
    -------
    The bound, the hops of the tree, the cuts.
    """
    hops = len(tail)
    room = hops if len(weights) > 0 else 0
    best, cheapest = 0.0, np.inf
    chosen = 0
    raised = 0
    state = np.uint64(1)
    for _ in range(tries):
        for k in range(len(ends) - 1, 0, -1):  # a message sees the same orders independent of those before it
            state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            other = np.int64((state >> np.uint64(33)) % np.uint64(k + 1))
            ends[k], ends[other] = ends[other], ends[k]
        cuts[room:] = 0
        least, full, count = ascend(first, tail, length, root, ends, left, order, cuts[room:], weights[room:])
        if least > best:
            best = least
            raised = count
            cuts[: min(count, room)] = cuts[room : room + min(count, room)]
            weights[: min(count, room)] = weights[room : room + min(count, room)]
        prune(first, out_first, out_hop, tail, head, root, ends, order, full, kept)
        cost = 0.0
        filled = 0
        for k in range(full):
            if kept[order[k]]:
                cost += length[order[k]]
                trial[filled] = order[k]
                filled += 1
        if cost < cheapest:
            cheapest = cost
            chosen = filled
            tree[:filled] = trial[:filled]
        if cheapest <= best * (1 + 1e-9):
            break
    return best, chosen, raised


@njit(cache=True, nogil=True)
def cover_sets(
    first: Ints,
    tail: Ints,
    head: Ints,
    length: Floats,
    out_first: Ints,
    out_hop: Ints,
    root: int,
    members: Any,
    at: Ints,
    amount: Floats,
    tries: int,
    load: Floats,
    tree_hops: Any,
) -> tuple[float, float]:
    """Find a tree and a bound for each of some messages; return the sum of the bounds, the bytes sent.

    Parameters
    ----------
    members, amount
        Bit sets of endpoints and bytes of the messages, [messages, words] and [messages].
    at
        Vertex of each endpoint; -1 for the root.
    load
        Load that is added to, [hops].
    tree_hops
        Output unless empty: hops of each tree, then -1, [messages, vertices].
    """
    hops, vertices = len(tail), len(first) - 1
    left, order, kept = np.empty(hops), np.empty(hops, np.int64), np.empty(hops, np.bool_)
    trial, tree = np.empty(vertices, np.int64), np.empty(vertices, np.int64)
    none, nothing = np.zeros((0, 0), np.uint64), np.zeros(0)
    ends = np.empty(len(at), np.int64)
    bound = 0.0
    sent = 0.0
    for row in range(len(members)):
        count = 0
        for bit in range(len(at)):
            held = members[row, bit // 64] >> np.uint64(bit % 64) & np.uint64(1)
            if held != 0 and at[bit] >= 0:
                ends[count] = at[bit]
                count += 1
        least, chosen, _ = best_of_orders(
            first,
            tail,
            head,
            length,
            out_first,
            out_hop,
            root,
            ends[:count],
            tries,
            left,
            order,
            kept,
            trial,
            tree,
            none,
            nothing,
        )
        bound += least * amount[row]
        for k in range(chosen):
            load[tree[k]] += amount[row]
            if tail[tree[k]] == root:
                sent += amount[row]
        if len(tree_hops) > 0:
            tree_hops[row, :chosen] = tree[:chosen]
            tree_hops[row, chosen:] = -1
    return bound, sent
