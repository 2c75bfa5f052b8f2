"""The design of the routers: what a user may choose, in the units of a data sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from noptoolkit.errors import TopologyError
from noptoolkit.network import FlowNetwork
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["BOOKSIM", "BOOKSIM_SPEEDUP", "Router"]

MOST_UNITS = 1 << 14
LEAST_RATE = 1 / 4096  # flits per cycle: rates are fractions with denominators up to it
CLOSE = 1e-9


@dataclass(frozen=True)
class Router:
    """An input-queued virtual-channel router with credits, the same at every node.

    Parameters
    ----------
    vcs : int
        Virtual channels of each input port, 1 to 62.
    depth : int
        Buffer of each virtual channel, in flits.
    packet : int
        Size of a packet, in flits.
    flit : str or float, optional
        Size of a flit, in B; where ``None``, what the slowest link between routers carries in a cycle.
    clock : str or float
        Frequency of all routers, in Hz.
    pipeline : int
        Cycles that a flit spends in a router beyond the three of an unloaded one.
    speedup : float
        Internal speedup: steps of the crossbar and its allocators in a cycle, 1 to 8.
    iterations : int
        Iterations of the switch allocator (iSLIP) in a step, 1 to 4.
    injection, ejection : float, optional
        Flits per cycle that a chiplet may send and receive where it has no bandwidth of its own; where
        ``None``, what its links carry.
    sums : int
        Partial sums that a router which reduces can hold at a time.
    fit_buffers : bool
        Whether buffers are made as deep as the round trip of their link needs at its rate.
    port_order : {"neighbours", "grid"}
        Numbers of the ports, which round-robin arbiters go by: own terminal first, then neighbours in the
        order of ``package.nodes``; or east, west, south, north and last the own terminal, as BookSim2 numbers
        its meshes and tori.
    parallel : {"merged", "hashed"}
        Whether parallel links are one wide port, or one port each, among which packets choose by hash.

    Raises
    ------
    TopologyError
        If a number is out of range.

    Examples
    --------
    >>> Router(vcs=4, depth=8).with_(packet=2).packet
    2
    >>> Router(vcs=0)
    Traceback (most recent call last):
    noptoolkit.errors.TopologyError: router: vcs=0 is out of range; give a whole number from 1 to 62
    """

    vcs: int = 8
    depth: int = 16
    packet: int = 1
    flit: Quantity | None = None
    clock: Quantity = 1e9
    pipeline: int = 0
    speedup: float = 2.0
    iterations: int = 1
    injection: float | None = None
    ejection: float | None = None
    sums: int = 64
    fit_buffers: bool = True
    port_order: Literal["neighbours", "grid"] = "neighbours"
    parallel: Literal["merged", "hashed"] = "merged"

    def __post_init__(self) -> None:
        ranges = {"vcs": 62, "depth": 1 << 16, "packet": 1 << 16, "iterations": 4, "sums": 1 << 30}
        for name, most in ranges.items():
            _check_whole(name, getattr(self, name), 1, most)
        _check_whole("pipeline", self.pipeline, 0, 1000)
        if not _is_number(self.speedup) or not 1 <= self.speedup <= 8:
            raise TopologyError(
                f"router: speedup={self.speedup!r} is out of range; give a number from 1 to 8"
            )
        for name in ("injection", "ejection"):
            rate = getattr(self, name)
            if rate is not None and not (_is_number(rate) and LEAST_RATE <= rate <= 1000):
                raise TopologyError(
                    f"router: {name}={rate!r} is not a rate in flits per cycle; give 1/4096 or more, or None"
                )
        for name, known in (("port_order", ("neighbours", "grid")), ("parallel", ("merged", "hashed"))):
            if getattr(self, name) not in known:
                raise TopologyError(
                    f"router: {name}={getattr(self, name)!r}; choose one of {', '.join(known)}"
                )
        object.__setattr__(self, "clock", parse_quantity(self.clock, "Hz", "clock"))
        if self.flit is not None:
            object.__setattr__(self, "flit", parse_quantity(self.flit, "B", "flit"))
            if not float(self.flit) > 0:
                raise TopologyError(f"router: flit={self.flit!r} must be above 0 B")
        if not float(self.clock) > 0:
            raise TopologyError(f"router: clock={self.clock!r} must be above 0 Hz")

    def with_(self, **changes: object) -> Router:
        """Return the same router with some numbers changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def flit_bytes(self, network: FlowNetwork) -> float:
        """Return the size of a flit on a network, in B."""
        if self.flit is not None:
            return float(self.flit)
        nodes = len(network.origin)
        between = network.arc_capacity[network.head < nodes]
        slowest = between.min() if len(between) else network.arc_capacity.min(initial=math.inf)
        if not math.isfinite(slowest):
            raise TopologyError(
                f"package {network.package.name!r}: no link, so no flit size; give Router(flit=)"
            )
        return float(slowest) / float(self.clock)

    def rate(self, bandwidth: float, flit_bytes: float, name: str) -> Fraction:
        """Return a bandwidth as an exact number of flits per cycle.

        Raises
        ------
        TopologyError
            If it is not a ratio of small whole numbers: then no clock gives it.
        """
        exact = bandwidth / flit_bytes / float(self.clock)
        ratio = Fraction(exact).limit_denominator(MOST_UNITS)
        good = ratio > 0 and ratio.numerator < 1 << 19 and abs(float(ratio) / exact - 1) < CLOSE
        if not good or ratio < Fraction(1, 4096) or ratio > 32:
            width, flit = format_quantity(bandwidth, "B/s"), format_quantity(flit_bytes, "B")
            clock = format_quantity(float(self.clock), "Hz")
            why = (
                "is above 32"
                if exact > 32
                else "is below 1/4096"
                if exact < 1 / 4096
                else "is not a ratio of a clock"
            )
            raise TopologyError(
                f"{name}: {width} is {exact:.9g} flits per cycle of {flit} at {clock}, which {why}; choose "
                "Router(flit=, clock=) so that every link carries a ratio of small whole numbers"
            )
        return ratio


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise TopologyError(
            f"router: {name}={value!r} is out of range; give a whole number from {least} to {most}"
        )


BOOKSIM = Router(depth=8, speedup=1.0, injection=1.0, ejection=1.0, fit_buffers=False)
"""BookSim2's defaults, as published runs of it mostly are: 8 VCs of 8 flits, no speedup."""

BOOKSIM_SPEEDUP = BOOKSIM.with_(depth=16, speedup=2.0)
"""The same with 16 flits in each VC and an internal speedup of 2."""
