"""Redundant experts: copies of hot experts on further chiplets, for balance or for fewer messages.

A token needs one copy of each of its experts. Which one it uses is fixed by ``Allocation.choice``:

* ``balanced``: the copies of an expert take turns, token by token, whatever that does to C_T;
* ``local``: a copy on a chiplet that the token visits anyway, else the copies take turns.

Two ways to choose the copies:

* `replicate_by_load`, after DeepSeek's EPLB (github.com/deepseek-ai/EPLB, its global policy): again and again
  one more copy of the expert with the most load per copy; then the copies, hottest first, go to the chiplet
  with the least load that has a free slot. The layout it is given only says how many experts a chiplet holds.
* `replicate_by_traffic`: the layout stays, and each copy goes where it saves the most messages, those of
  tokens that visit the chiplet anyway and the expert's own for nothing else, as long as the chiplet's load
  stays under a cap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

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
        Says how many experts each chiplet holds; the redundant ones are spread evenly on top.
    trace
        Whose load counts.
    extra
        Redundant experts in each layer.

    Raises
    ------
    WorkloadError
        If ``extra`` is negative.
    InfeasibleError
        If every chiplet has a copy of an expert that needs another one.

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
        slots = np.bincount(places, minlength=count) + np.diff(np.arange(count + 1) * extra // count)
        copies = np.ones(len(load), dtype=np.int64)
        for _ in range(extra):
            copies[np.argmax(np.where(copies < count, load / copies, -np.inf))] += 1
        first, more = _packed(load / copies, copies, slots)
        layers.append(first)
        replicas.append(more)
    return dataclasses.replace(
        allocation,
        chiplet_of_expert=np.array(layers),
        replicas=np.array(replicas, dtype=np.int64).reshape(len(layers), extra, 2),
        choice="balanced",
        method=f"{allocation.method}, {extra} replicas by load",
    )


def _packed(share: Floats, copies: Ints, slots: Ints) -> tuple[Ints, list[tuple[int, int]]]:
    """Return the chiplet of each expert's first copy, and (expert, chiplet) of each further one."""
    free = slots.copy()
    held = np.zeros(len(slots))
    first = np.full(len(share), -1, dtype=np.int64)
    more: list[tuple[int, int]] = []
    every = np.repeat(np.arange(len(share)), copies)
    for expert in every[np.argsort(-share[every], kind="stable")].tolist():
        without = np.ones(len(slots), dtype=np.bool_)
        without[[chiplet for other, chiplet in more if other == expert]] = False
        if first[expert] >= 0:
            without[first[expert]] = False
        usable = (free > 0) & without
        if not usable.any():
            raise InfeasibleError(
                f"no chiplet is left for another copy of expert {expert}; ask for fewer redundant experts"
            )
        chiplet = int(np.argmin(np.where(usable, held, np.inf)))
        if first[expert] < 0:
            first[expert] = chiplet
        else:
            more.append((expert, chiplet))
        held[chiplet] += share[expert]
        free[chiplet] -= 1
    return first, more


def replicate_by_traffic(
    allocation: Allocation, trace: RoutingTrace, extra: int, *, cap_chiplet: float | None = None
) -> Allocation:
    """Return the layout with ``extra`` redundant experts per layer where they save the most messages.

    Parameters
    ----------
    allocation
        Stays as it is; redundant experts come on top, spread evenly over the chiplets.
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
        room = np.diff(np.arange(len(here.experts) + 1) * extra // len(here.experts))
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
}


def _most_saving(
    layout: Allocation,
    trace: RoutingTrace,
    room: Ints,
    more: list[tuple[int, int]],
    cap: float | None,
) -> tuple[int, int] | None:
    """Return the expert and the chiplet where a copy saves most messages now, if any."""
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
        onto = visits > 0
        onto[tokens, chiplet] = False
        np.add.at(saving, expert_column, onto * alone[:, None])
        np.add.at(moved, expert_column, onto)
    saving[:, room <= 0] = 0
    for expert, chiplet_index in [*more, *enumerate(layout.chiplet_of_expert[0])]:
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
