"""The arrays of the engine, and what stands in their columns.

Objects are integers, and one row of a two-dimensional array holds the constants and the state of one object
side by side, so that an object is one cache line, or two. Input port i of router r is ``IN0[r] + i``, output
port o is ``OUT0[r] + o``. The injection side of terminal n is one more output port, ``ports + n``, so that
credits have one index space; its ejection side is one more input port. A virtual channel (VC) v of port p is
``(p << bits) + v``. A flit is ``packet << 2 | tail << 1 | head``.

Times of links are exact: a link that carries p/q flits per cycle is busy q/p cycles for each, which is held
as whole cycles and a fraction in units of 1/p, ``whole << FRACTION | units``.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

__all__ = ["FRACTION", "LAYOUTS", "Field", "Network", "Sources", "State"]

FRACTION = 20  # bits of the fraction of a cycle

# what a packet is, and with it how its head is routed
UNICAST, PATH, VALIANT, ADAPTIVE, BY_SOURCE, MULTICAST, REDUCTION = range(7)
# states of an input virtual channel
IDLE, WAIT, ACTIVE, MULTI, ABSORB, HOLD, STALL = range(7)
# classes of virtual channels that a route gives relative to the packet's own
ANY_CLASS, NEXT_CLASS, SAME_CLASS = 125, 126, 127

# vc: an input virtual channel (int32)
HEAD, COUNT, STATE, OUT, OVC, CLASS, ACCEPT_VC, ESCAPE = range(8)
# ov: an output virtual channel (int32)
OWNER, CREDIT, GRANT_VC = range(3)
# op: an output port; MEDIUM is the row whose time is taken (that of the other way, on a half-duplex link),
# EXTRA the cycles beyond one that a flit takes on the link, DEEP the flits of a VC behind it
NEXT, TICKS, LATENCY, TARGET, FREE, REQUESTS, GRANT_SW, FLITS = range(8)
UNITS, MEDIUM, EXTRA, DEEP = range(8, 12)
# ip: an input port
(NEXT_CREDIT, CREDIT_RATE, UP, ROUTER, BASE, DEPTH, ACCEPT_SW, NEXT_VC) = range(8)
ROW, CREDIT_AFTER, OCCUPANCY, HELD, PEAK = range(8, 13)
# rt: a router
IN0, OUT0, INS, OUTS, LANES, WAITING, ASKING, LIMITED = range(8)
CROSSING, CROSS_TICKS, CROSS_UNITS, STALLED, SUMS, MOST_SUMS, START_ROW, PEAK_SUMS = range(8, 16)
# tm: a terminal
PACKET, SENT, VC, LAST, MASK, CLOCK, BURST, OUTSTANDING = range(8)
FIRST_READY, LAST_READY, INJECTED, ACCEPTED, DELIVERED, DELAY, EJECT, TURN = range(8, 16)
# pk: a packet; ZERO is when its head, in an empty network, is there, LAG how much later its tail
DEST, KIND, PCLASS, CREATED, HOPS, SIZE, RECORD, SRC = range(8)
SEQ, MESSAGE, GROUP, HOP, FINAL, ZERO, LAG, NUMBER = range(8, 16)
# gr: a group of a tree: the copy of a multicast, or the sum of a reduction, on one channel
G_OUT, G_FIRST, G_COUNT, G_PARENT, G_CLASS = range(5)
# ms: a message
M_ROOT, M_ORDER, M_EVENT, M_LEFT, M_SUMS, M_GROUPS, M_DONE, M_WEIGHT = range(8)
# sm: a sum at a switch
S_HEADS, S_TAILS, S_HELD, S_NEED, S_WEIGHT = range(5)
# li: a packet of a list
L_SRC, L_DEST, L_SIZE, L_KIND, L_MESSAGE, L_GROUP, L_PATH, L_TIME = range(8)
L_DELAY, L_NEED, L_EVENT, L_ORDER, L_NEXT, L_DONE, L_SENT, L_BEFORE = range(8, 16)
# how sources make packets
DRAWN, LISTED = range(2)
# where the packet of a drawn source goes
UNIFORM, FIXED, TABLE = range(3)

# cnt: counters
(
    T, GSTEP, SPARE, CREATED_FLITS, ARRIVED_FLITS, ALIVE, ALIVE_SINCE, MEASURED, LATENCY_SUM, LATENCY_MOST,
    HOPS_SUM, MARKED_LEFT, ERRORS, ZERO_SUM, CHECKSUM, ABSORBED, INSIDE, HEAP, RELEASED, DONE_PACKETS,
    PEAK_ALL, OPEN_ALL, LISTED_LEFT, LAUNCHED, SQUARES,
) = range(25)  # fmt: skip

OVERFLOW, WRONG_TERMINAL, NO_CREDIT, TWICE = 1, 2, 4, 8  # bits of ERRORS


class Field(NamedTuple):
    """What stands in a field of a record: a scalar, or an array of so many dimensions."""

    dtype: str
    dims: int
    width: int  # of its last dimension, where that never changes; else 0


LAYOUTS: dict[str, dict[str, Field]] = {}  # by the name of a record, what stands in each of its fields


def _record(name: str, fields: dict[str, str]) -> Any:
    """Return a namedtuple of fields, which are given by type."""
    layout = LAYOUTS[name] = {}
    for kind, names in fields.items():
        dtype, _, shape = kind.rstrip("]").partition("[")
        sizes = shape.split(",") if shape else []
        width = int(sizes[-1]) if sizes and sizes[-1] != ":" else 0
        layout |= dict.fromkeys(names.split(), Field(dtype, len(sizes), width))
    return namedtuple(name, layout)


Network = _record(
    "Network",
    {
        "int64": "bits routers terminals inputs outputs words classes credit_delay iterations near far "
        "all_classes phase_rows whole",
        "float64": "steps",
        "int64[:]": "class_mask width_in width_out",
        "int32[:]": "choice_entry hops",
        "uint64[:]": "choice_limit",
        "int32[:,:]": "routes",
        "int64[:,:]": "minimal group_mask",
        "int64[:,4]": "choices",
    },
)
"""What does not change in a run."""

State = _record(
    "State",
    {
        "int32[:,8]": "vc",
        "int32[:,4]": "ov",
        "int64[:,16]": "op ip rt tm pk",
        "int64[:,8]": "gr ms",
        "int32[:,5]": "sm",
        "int32[:,:]": "credits branch_vc branch_sent branch_packet",
        "int64[:,:]": "rq flits members stall",
        "int64[:,:,:]": "vam",
        "int32[:]": "fifo flit_count credit_count spare branch_group branch_popped",
        "int64[:]": "awake branch_left hist cnt router_of s0 s1 s2 s3 s4 s5 s6 s7",
    },
)
"""What changes in a run."""

Sources = _record(
    "Sources",
    {
        "int64": "mode kind size to window token_window",
        "uint64": "key wake sleep",
        "int64[:]": "dest row_of order heap heap_time follow_first follow event_left done_of_root by_order "
        "order_first paths path_first between",
        "uint64[:]": "chance path_limit",
        "uint64[:,:]": "limit",
        "int64[:,16]": "li",
    },
)
"""Who sends what, and when."""
