"""Redundant experts: copies of hot experts on further chiplets, for balance or for fewer messages.

A token needs one copy of each of its experts. Which one it uses is fixed by ``Allocation.choice``:

* ``balanced``: the copies of an expert serve its tokens in turn, regardless of C_T;
* ``local``: a copy on a chiplet that the token visits anyway, else the copies in turn.

Redundant experts fill the chiplets that hold the fewest experts first, so that all hold equally many (up to
one) unless the layout has chiplets that hold more already.

Ways to choose the copies, besides EPLB's hierarchical policy (`noptoolkit.allocation.hierarchical`):

* `replicate_by_load`, after DeepSeek's EPLB (github.com/deepseek-ai/EPLB, its global policy): again and again
  one more copy of the expert with the most load per copy; then the copies, hottest first, go to the chiplet
  with the least load that has a free slot; then two copies change places as long as that relieves the hottest
  chiplet. The layout it is given only says how many experts a chiplet holds.
* `replicate_by_traffic`: the layout stays, and each copy goes where it saves the most messages, those of
  tokens that visit the chiplet anyway and the expert's own for nothing else, as long as the chiplet's load
  stays under a cap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from noptoolkit.allocation.hierarchical import replicate_hierarchically
from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.limits import Floats, Ints
from noptoolkit.errors import InfeasibleError, WorkloadError
from noptoolkit.trace import RoutingTrace

__all__ = ["REPLICATIONS", "replicate_by_load", "replicate_by_traffic"]


def replicate_by_load(allocation: Allocation, trace: RoutingTrace, extra: int) -> Allocation:
    """Return a layout with ``extra`` redundant experts per layer, chosen and placed by load alone.

    Parameters
    ----------
    allocation
        Layout whose numbers of experts per chiplet count; redundant experts even them out.
    trace
        Whose load counts.
    extra
        Redundant experts in each layer.

    Raises
    ------
    WorkloadError
        If ``extra`` is negative.
    InfeasibleError
        If there are more redundant experts than chiplets without a copy.

    Examples
    --------
    >>> trace = RoutingTrace([[0, 1], [0, 2], [0, 3], [0, 1]], num_experts=4)
    >>> layout = Allocation(("e0", "e1"), [0, 0, 1, 1])
    >>> layout.imbalance(trace), replicate_by_load(layout, trace, 2).imbalance(trace)
    (1.5, 1.0)
    """
    _check(allocation, extra)
    count = len(allocation.experts)
    layers, replicas = [], []
    for layer in range(trace.num_layers):
        load = trace.layer(layer).load().astype(np.float64)
        places = allocation.layer(layer).chiplet_of_expert[0]
        slots = np.bincount(places, minlength=count)
        slots += _evening_out(slots, extra)
        copies = np.ones(len(load), dtype=np.int64)
        for _ in range(extra):
            copies[np.argmax(np.where(copies < count, load / copies, -np.inf))] += 1
        holders = _packed(load / copies, copies, slots)
        first = np.array([chiplets[0] for chiplets in holders])
        more = [(expert, chiplet) for expert, chiplets in enumerate(holders) for chiplet in chiplets[1:]]
        layers.append(first)
        replicas.append(more)
    return dataclasses.replace(
        allocation,
        chiplet_of_expert=np.array(layers),
        replicas=np.array(replicas, dtype=np.int64).reshape(len(layers), extra, 2),
        choice="balanced",
        method=f"{allocation.method}, {extra} replicas by load",
    )


def _evening_out(held: Ints, extra: int) -> Ints:
    """Return how many further experts each chiplet gets, the emptiest first, [chiplets].

    Parameters
    ----------
    held : array of int
        Experts of each chiplet so far, [chiplets].
    extra : int
        Further experts.
    """
    level = held.min()
    while np.maximum(level + 1 - held, 0).sum() <= extra:
        level += 1
    more: Ints = np.maximum(level - held, 0)
    low = np.flatnonzero(held + more == level)  # one more for some of these, apart from each other
    more[low] += np.diff(np.arange(len(low) + 1) * (extra - int(more.sum())) // len(low))
    return more


def _packed(share: Floats, copies: Ints, slots: Ints) -> list[list[int]]:
    """Return the chiplets of the copies of each expert, no chiplet twice where that can be.

    Parameters
    ----------
    share : array of float
        Load of each copy of each expert, [experts].
    copies : array of int
        Copies of each expert, [experts].
    slots : array of int
        Copies that each chiplet holds, [chiplets].
    """
    holds = np.zeros((len(slots), len(share)), dtype=np.int64)
    held, free = np.zeros(len(slots)), slots.copy()
    every = np.repeat(np.arange(len(share)), copies)
    for expert in every[np.argsort(-share[every], kind="stable")].tolist():
        fewest = holds[free > 0, expert].min()  # 0, unless every chiplet with a free slot has one
        usable = (free > 0) & (holds[:, expert] == fewest)
        chiplet = int(np.argmin(np.where(usable, held, np.inf)))
        holds[chiplet, expert] += 1
        held[chiplet] += share[expert]
        free[chiplet] -= 1
    _part_twins(holds, share)
    _relieve(holds, share)
    return [np.repeat(np.arange(len(slots)), column).tolist() for column in holds.T]


def _part_twins(holds: Ints, share: Floats) -> None:
    """Move copies of an expert that share a chiplet apart, by exchanges that cost the least balance."""
    while (holds > 1).any():
        chiplet, expert = (int(x) for x in np.argwhere(holds > 1)[0])
        there = np.flatnonzero(holds[:, expert] == 0)
        swaps = np.where((holds[there] > 0) & (holds[chiplet] == 0), np.abs(share - share[expert]), np.inf)
        if not np.isfinite(swaps).any():
            return
        row, other = np.unravel_index(int(np.argmin(swaps)), swaps.shape)
        _exchange(holds, chiplet, expert, int(there[row]), int(other))


def _relieve(holds: Ints, share: Floats) -> None:
    """Exchange two copies as long as that lowers the load of the hottest chiplet (of one of them)."""
    held = holds @ share
    for _ in range(16 * len(held)):
        hot = int(np.argmax(held))
        mine = np.flatnonzero(holds[hot])
        gain = share[mine][None, :, None] - share[None, None, :]  # [chiplets, mine, theirs]
        theirs = holds[:, None, :] > 0
        apart = (holds[hot] == 0)[None, None, :] & (holds[:, mine] == 0)[:, :, None]
        after = np.maximum(held[hot] - gain, held[:, None, None] + gain)
        after = np.where(theirs & apart & (gain > 0), after, np.inf)
        best = int(np.argmin(after))
        if not after.flat[best] < held[hot] * (1 - 1e-12):
            return
        chiplet, out, into = (int(x) for x in np.unravel_index(best, after.shape))
        _exchange(holds, hot, int(mine[out]), chiplet, into)
        held = holds @ share


def _exchange(holds: Ints, chiplet: int, expert: int, other_chiplet: int, other: int) -> None:
    holds[chiplet, expert] -= 1
    holds[other_chiplet, expert] += 1
    holds[other_chiplet, other] -= 1
    holds[chiplet, other] += 1


def replicate_by_traffic(
    allocation: Allocation, trace: RoutingTrace, extra: int, *, cap_chiplet: float | None = None
) -> Allocation:
    """Return the layout with ``extra`` redundant experts per layer where they save the most messages.

    Parameters
    ----------
    allocation
        Layout that stays as it is; redundant experts come on top, where the fewest experts are.
    trace
        Whose messages are saved.
    extra
        Redundant experts in each layer.
    cap_chiplet
        Largest load of a chiplet that a copy may bring about, as a multiple of the mean load; ``None`` is no
        cap. Fewer copies are made where no more fit under it.

    Raises
    ------
    WorkloadError
        If ``extra`` is negative or the cap not above 0.
    InfeasibleError
        If there are more redundant experts than chiplets without a copy.

    Examples
    --------
    >>> trace = RoutingTrace([[0, 1], [0, 2], [0, 3], [0, 1]], num_experts=4)
    >>> layout = Allocation(("e0", "e1"), [0, 0, 1, 1])
    >>> layout.c_t(trace), replicate_by_traffic(layout, trace, 2).c_t(trace)
    (1.5, 1.0)
    """
    _check(allocation, extra)
    if cap_chiplet is not None and not cap_chiplet > 0:
        raise WorkloadError(f"cap_chiplet {cap_chiplet!r} must be above 0; it is a multiple of the mean load")
    found = []
    for layer in range(trace.num_layers):
        part, here = trace.layer(layer), allocation.layer(layer)
        held = np.bincount(here.chiplet_of_expert[0], minlength=len(here.experts))
        room = _evening_out(held, extra)
        more: list[tuple[int, int]] = []
        for _ in range(extra):
            best = _most_saving(here, part, room, more, cap_chiplet)
            if best is None:
                break
            more.append(best)
            room[best[1]] -= 1
        found.append(more)
    most = max(len(more) for more in found)
    padded = [more + [(-1, -1)] * (most - len(more)) for more in found]
    return dataclasses.replace(
        allocation,
        chiplet_of_expert=np.array(
            [allocation.layer(i).chiplet_of_expert[0] for i in range(trace.num_layers)]
        ),
        replicas=np.array(padded, dtype=np.int64).reshape(len(found), most, 2),
        choice="local",
        method=f"{allocation.method}, {most} replicas by traffic",
    )


REPLICATIONS: Mapping[str, Callable[[Allocation, RoutingTrace, int], Allocation]] = {
    "traffic": replicate_by_traffic,
    "load": replicate_by_load,
    "hierarchical": replicate_hierarchically,
}


def _most_saving(
    layout: Allocation,
    trace: RoutingTrace,
    room: Ints,
    more: list[tuple[int, int]],
    cap: float | None,
) -> tuple[int, int] | None:
    """Return the expert and the chiplet where a copy saves most messages now, if any."""
    from scipy.sparse import csr_array

    now = dataclasses.replace(
        layout, replicas=np.array(more, dtype=np.int64).reshape(1, -1, 2), choice="local"
    )
    chiplets = now.chiplets(trace)[0].astype(np.int64)
    count, tokens = len(layout.experts), np.arange(trace.num_tokens)
    visits = np.zeros((trace.num_tokens, count), dtype=np.float64)
    for column in chiplets.T:
        visits[tokens, column] += 1
    saving = np.zeros((trace.num_experts, count))
    moved = np.zeros((trace.num_experts, count))  # activations that would come with the copy
    for expert_column, chiplet in zip(trace.topk[0].T, chiplets.T, strict=True):
        alone = visits[tokens, chiplet] == 1
        onto = (visits > 0).astype(float)
        asks = csr_array((np.ones(len(tokens)), (expert_column, tokens)), shape=(len(saving), len(tokens)))
        saving += asks @ (onto * alone[:, None])
        moved += asks @ onto
    saving[:, room <= 0] = 0
    for expert, chiplet_index in [*more, *enumerate(layout.chiplet_of_expert[0])]:  # it is there already
        saving[expert, chiplet_index] = 0
    if cap is not None:
        load = np.bincount(chiplets.ravel(), minlength=count)
        saving[load + moved > cap * load.mean()] = 0
    best = divmod(int(np.argmax(saving)), count)
    return best if saving[best] > 0 else None


def _check(allocation: Allocation, extra: int) -> None:
    if extra < 0:
        raise WorkloadError(f"{extra} redundant experts: give 0 or more")
    if allocation.replicas.size:
        raise WorkloadError("the allocation has redundant experts already; replicate the layout it came from")
    most = allocation.num_experts * (len(allocation.experts) - 1)
    if extra > most:
        raise InfeasibleError(
            f"{extra} redundant experts: there is room for at most {most}, a copy of each of "
            f"{allocation.num_experts} experts on the other {len(allocation.experts) - 1} chiplets; "
            "ask for fewer redundant experts"
        )
