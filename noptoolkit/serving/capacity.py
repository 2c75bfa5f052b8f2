"""How many sequences fit: the caches of a batch beside the weights, stack by stack, to the byte."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass

from noptoolkit.errors import NopWarning
from noptoolkit.nodes import cache_bytes
from noptoolkit.serving.server import Server, expect_server
from noptoolkit.step import Ledger, StepOptions
from noptoolkit.step.costing import unrouted_step
from noptoolkit.tables import Table
from noptoolkit.workload import Workload

__all__ = ["Capacity", "capacity", "max_sequences"]

MOST = 2**20
"""Sequences from which on memory is taken for no limit."""


@dataclass(frozen=True, eq=False)
class Capacity:
    """What fits beside the weights at one context.

    Parameters
    ----------
    context : int
        Tokens of each sequence.
    sequences : int
        Largest batch whose caches fit in the stacks that hold them; 0 if none does, `MOST` if no stack has a
        limit.
    each : float
        Bytes of keys and values of a sequence, in all layers.
    ledger : Ledger
        What lies where with one sequence.
    weights_fit : bool
        Whether the weights alone fit in every stack.
    """

    context: int
    sequences: int
    each: float
    ledger: Ledger
    weights_fit: bool

    def table(self) -> Table:
        """Return what lies where with one sequence, place by place."""
        return self.ledger.table()


def capacity(server: Server, context: int) -> Capacity:
    """Return how many sequences of a context fit.

    A batch fits if no stack that holds caches is fuller than it may be, weights counted. Stacks with weights
    alone are judged apart: where weights do not fit, times are as if they did.

    Raises
    ------
    WorkloadError
        If the context is beyond the model's.
    """
    expect_server(server)
    one = _ledger(server, 1, context)
    low, high = 0, 1
    while high < MOST and _fits(_ledger(server, high, context)):
        low, high = high, 2 * high
    if high >= MOST:
        low = MOST
    else:
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _fits(_ledger(server, middle, context)) else (low, middle)
    model = server.workload.model
    stacks = {memory.name for memory in server.package.memories}
    full = [
        place
        for place in stacks
        if (size := one.capacity(place)) is not None and one.of(place).get("weights", 0.0) > size + 0.5
    ]
    each = cache_bytes(model, context, server.workload.batch.bytes_per_value)
    return Capacity(context, low, each, one, not full)


def max_sequences(server: Server, context: int) -> int:
    """Return the largest batch whose keys and values fit beside the weights, see `capacity`.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> star = nop.topology.star(4, attention=True, memory=True, flops="74 TFLOP/s", memory_capacity="16 MB")
    >>> server = Server(star, nop.load_workload("stdlib-moe"))
    >>> max_sequences(server, 256), max_sequences(server, 128)
    (58, 117)
    """
    return capacity(server, context).sequences


def _ledger(server: Server, sequences: int, context: int) -> Ledger:
    known = {field.name for field in dataclasses.fields(StepOptions)}
    options = {k: v for k, v in server.options.items() if k in known}
    # what a step loads changes nothing in what lies on the stacks: a trace of one token makes it quick
    trace = server.workload.trace.tokens(slice(0, 1))
    batch = server.batch(sequences, context)
    given: Workload = dataclasses.replace(server.workload, routing=trace, batch=batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        return unrouted_step(server.package, given, server.layout, StepOptions(**options)).ledger


def _fits(ledger: Ledger) -> bool:
    return not any("cache" in ledger.of(place) for place in ledger.overfull)
