"""The policies: how a step becomes a task graph.

``serial`` (Mozart's Baseline) does one thing after another: a block's weights are loaded, attention runs, all
tokens are dispatched, the experts run, results are combined, in training backwards likewise, then weights are
written back. The other policies overlap whatever precedence allows, micro-batch by micro-batch: weights of
the next block load while this one computes (``prefetch`` blocks ahead, as SRAM allows), channels carry one
micro-batch while another is computed. They add up as in the paper (arXiv 2603.07006): ``overlap`` is its A,
``all-to-all`` its B (tokens are copied and reduced in the network), ``streaming`` its C (experts laid
out by co-activation). ``best`` tries prefetch depths, orders of loading and numbers of micro-batches. Each
graph is scheduled by `noptoolkit.scheduling.list_scheduling`, improved forwards and backwards for up to
``rounds`` rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from noptoolkit._names import did_you_mean, resolve
from noptoolkit._numbers import is_whole
from noptoolkit.errors import ScheduleError, raise_collected
from noptoolkit.scheduling import TaskGraph
from noptoolkit.step.broadcasts import WEIGHTS, Weights
from noptoolkit.step.overlapping import CONTENTIONS, overlapped_graph
from noptoolkit.step.parts import is_crowded
from noptoolkit.step.serial import serial_graph
from noptoolkit.step.step import Slice, Step
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Batch

__all__ = ["ORDERS", "POLICIES", "GraphOfStep", "Order", "Policy", "overlapping", "serial"]

Order = Callable[[Sequence[Slice]], Sequence[Slice]]

MOST_CHUNKS = 1024
"""Reservations of a transfer: each is a task, and more are taken for a typing error."""


MOST_PARTS = 64
"""Of a dispatch or combine: each is a task on each resource."""


def heavy_first(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of what is computed with them, most first."""
    return sorted(slices, key=lambda part: -float(part.forward.sum()))


def light_first(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of what is computed with them, least first."""
    return heavy_first(slices)[::-1]


def as_listed(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of the package's chiplets."""
    return list(slices)


ORDERS: Mapping[str, Order] = {"heavy": heavy_first, "light": light_first, "listed": as_listed}


def serial(step: Step, policy: Policy) -> TaskGraph:
    """Return the task graph of a step that does one thing after another."""
    return serial_graph(step)


def overlapping(step: Step, policy: Policy) -> TaskGraph:
    """Return the task graph of a step that overlaps whatever may overlap."""
    prefetch, order = policy.prefetch, policy.order
    assert isinstance(prefetch, int)  # schedule() tries one after another
    assert not isinstance(order, tuple)
    return overlapped_graph(
        step,
        prefetch=prefetch,
        order=None if order is None else resolve(order, ORDERS, "order"),
        contention=policy.contention,
        chunks=policy.chunks,
    )


GraphOfStep = Callable[[Step, "Policy"], TaskGraph]


def _as_tuple(value: object) -> tuple:  # type: ignore[type-arg]
    return value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True)
class Policy:
    """How a step is scheduled.

    Parameters
    ----------
    graph
        Called with a step and the policy, which then has one prefetch depth and one order; returns the task
        graph. `serial` and `overlapping` are two; a new kind of step is one more function.
    degree
        Copies of a token, see `noptoolkit.traffic.dispatch`.
    layout
        The allocator that is asked where no allocation is given.
    prefetch
        Blocks whose weights may load ahead of the one that computes; several are tried and the best kept.
    order
        In which order the experts' weights pass a port: a name in `ORDERS`, a callable from slices to
        slices, or ``None``: as urgency decides. A tuple is tried and the best kept.
    micro_batches
        Parts of the batch, as the workload says where ``None``. A tuple is tried and the best kept.
    contention
        How transfers share the network: ``factor``, ``fluid`` or ``reserve``, see
        `noptoolkit.step.overlapping`.
    chunks
        Into how many reservations a transfer is cut with ``reserve``, at most `MOST_CHUNKS`.
    rounds
        Of improvement of each schedule, at most, see `list_schedule`.
    parts
        Into how many parts by chiplet dispatches and combines are cut (`noptoolkit.step.parts`); 1 sends them
        as a whole. A tuple is tried, as far as the step can be cut, and the best kept. ``None`` is 1, or
        (1, 2) in training where tokens live on several chiplets and SRAM has no room for all experts of a
        block, or the schedule stays away from its bound (`noptoolkit.step.finer`).
    weights
        Who reads weights that several chiplets want: ``each``, or one for all by ``multicast`` or
        ``broadcast``, see `noptoolkit.step.broadcasts`.
    """

    graph: GraphOfStep = field(default=overlapping, repr=False)
    degree: Degree = "in-network"
    layout: str = "mozart"
    prefetch: int | tuple[int, ...] = 1
    order: str | Order | tuple[str | Order | None, ...] | None = None
    micro_batches: int | tuple[int | None, ...] | None = None
    contention: str = "factor"
    chunks: int = 4
    rounds: int = 3
    parts: int | tuple[int, ...] | None = None
    weights: Weights = "each"

    def __post_init__(self) -> None:
        faults = [
            f"prefetch {depth!r} must be a whole number, 0 or more"
            for depth in _as_tuple(self.prefetch)
            if not is_whole(depth) or depth < 0
        ]
        faults += [
            f"micro_batches {count!r} must be a whole number above 0"
            for count in _as_tuple(self.micro_batches)
            if count is not None and (not is_whole(count) or count < 1)
        ]
        faults += [
            f"parts {count!r} must be a whole number from 1 to {MOST_PARTS}"
            for count in _as_tuple(self.parts)
            if count is not None and (not is_whole(count) or not 0 < count <= MOST_PARTS)
        ]
        faults += [
            f"{name}=() names nothing to try"
            for name in ("order", "prefetch", "micro_batches", "parts")
            if getattr(self, name) == ()
        ]
        if self.contention not in CONTENTIONS:
            hint = did_you_mean(self.contention, CONTENTIONS)
            faults.append(f"no contention named {self.contention!r}; {hint}")
        if not is_whole(self.chunks) or not 0 < self.chunks <= MOST_CHUNKS:
            faults.append(f"chunks {self.chunks!r} must be a whole number from 1 to {MOST_CHUNKS}")
        if not is_whole(self.rounds) or self.rounds < 0:
            faults.append(f"rounds {self.rounds!r} must be a whole number, 0 or more")
        if self.weights not in WEIGHTS:
            hint = did_you_mean(str(self.weights), WEIGHTS)
            faults.append(f"weights={self.weights!r}; {hint}")
        raise_collected(ScheduleError, "policy", faults)

    @property
    def cuts(self) -> bool:
        """Whether dispatches and combines can be cut into parts: they overlap, and each has its own time."""
        return self.graph is overlapping and self.contention == "factor"

    def parts_of(self, step: Step) -> tuple[int, ...]:
        """Return the numbers of parts to try for a step.

        Raises
        ------
        ScheduleError
            If one number above 1 is asked for, and nothing is cut under this policy.
        """
        cuts = self.cuts
        if self.parts is None:
            several = step.training and len(step.hosts) > 1
            return (1, 2) if cuts and several and is_crowded(step) else (1,)
        if isinstance(self.parts, int):
            if self.parts > 1 and not cuts:
                raise ScheduleError(
                    f"parts={self.parts}: dispatches and combines are cut by the overlapping policies with "
                    "contention='factor' only; leave parts out"
                )
            return (self.parts,)
        return self.parts if cuts else (1,)

    def candidates(self, batch: Batch) -> list[tuple[int, str | Order | None, int]]:
        """Return every combination of prefetch, order and micro-batches to try.

        Of several numbers of micro-batches, those that do not divide the batch's sequences are left out.
        """
        counts = dict.fromkeys(count or batch.micro_batches for count in _as_tuple(self.micro_batches))
        fitting = [count for count in counts if batch.sequences % count == 0] or list(counts)
        orders, depths = _as_tuple(self.order), _as_tuple(self.prefetch)
        if self.graph is serial:
            orders, depths = orders[:1], depths[:1]
        return [(depth, order, count) for count in fitting for order in orders for depth in depths]


POLICIES: Mapping[str, Policy] = {
    "serial": Policy(serial, degree="copies", layout="contiguous"),
    "overlap": Policy(degree="copies", layout="contiguous"),
    "all-to-all": Policy(degree="in-network", layout="contiguous"),
    "streaming": Policy(degree="in-network", layout="mozart"),
    "best": Policy(prefetch=(0, 1, 2), order=(None, "heavy"), micro_batches=(None, 1, 2, 8, 16)),
}
