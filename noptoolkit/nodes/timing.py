"""Time of one operation on one node.

A compute chiplet is a roofline (Williams et al., CACM 2009): the slowest of arithmetic at ``flops`` and data
at the SRAM's bandwidth. A memory stack takes its latency once and then streams through its port. Peaks are
those that the package states; `Efficiency` is the share of them that an implementation reaches, 1 where
nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit._numbers import type_faults
from noptoolkit.errors import ScheduleError, raise_collected
from noptoolkit.nodes.operations import Work
from noptoolkit.package import Chiplet, Memory
from noptoolkit.units import Quantity, is_in_range, parse_quantity

__all__ = ["Efficiency", "RooflinePoint", "array_flops", "compute_time", "memory_time", "roofline"]


@dataclass(frozen=True)
class Efficiency:
    """Share of its peak that each kind of resource reaches, above 0; 1 is the peak.

    Parameters
    ----------
    compute, memory, network
        Share of the arithmetic rate, of memory bandwidth and of channel bandwidth.
    source
        Origin of the shares.
    """

    compute: float = 1.0
    memory: float = 1.0
    network: float = 1.0
    source: str = "peak rates"

    def __post_init__(self) -> None:
        faults = type_faults(self) or [
            f"{name} {getattr(self, name)!r} must be above 0; 1 is the peak rate"
            for name in ("compute", "memory", "network")
            if not (getattr(self, name) > 0 and is_in_range(getattr(self, name)))
        ]
        raise_collected(ScheduleError, "efficiency", faults)


def array_flops(
    tiles: int, arrays_per_tile: int, pes_per_array: int, clock: Quantity, utilisation: float = 1.0
) -> float:
    """Return the rate of a chiplet made of tiles of systolic arrays, in FLOP/s.

    Every processing element does one multiply-add, 2 FLOP, per cycle.

    Examples
    --------
    >>> array_flops(36, 16, 256, "1 GHz")
    294912000000000.0
    """
    pes = tiles * arrays_per_tile * pes_per_array
    return 2.0 * pes * parse_quantity(clock, "Hz", "clock") * utilisation


def compute_time(chiplet: Chiplet, work: Work, efficiency: float = 1.0) -> float:
    """Return the time of some work on a chiplet, in s.

    Raises
    ------
    ScheduleError
        If there is arithmetic to do and the chiplet has no ``flops``.

    Examples
    --------
    >>> compute_time(Chiplet("e0", flops="2 TFLOP/s"), Work(flops=1e12))
    0.5
    >>> compute_time(Chiplet("e0", flops="2 TFLOP/s", sram_bandwidth="1 TB/s"), Work(flops=1e12, read=1e12))
    1.0
    """
    return roofline(chiplet, work, efficiency).time


@dataclass(frozen=True)
class RooflinePoint:
    """Position of an operation under a chiplet's roofline.

    Parameters
    ----------
    intensity
        FLOP per byte moved; infinite where nothing is moved.
    attainable
        Rate that the roofline allows at that intensity, in FLOP/s.
    time
        Time of the operation, in s.
    limit
        Limiting resource: ``compute`` or ``memory``.
    """

    intensity: float
    attainable: float
    time: float
    limit: str


def roofline(
    chiplet: Chiplet, work: Work, efficiency: float = 1.0, bandwidth: float | None = None
) -> RooflinePoint:
    """Return the position of some work under the roofline of a chiplet.

    Parameters
    ----------
    efficiency
        Share of the chiplet's ``flops`` that is reached.
    bandwidth
        Bandwidth, in B/s, of the memory that the bytes come from; the chiplet's SRAM where ``None``.

    Examples
    --------
    >>> chiplet = Chiplet("e0", flops="2 TFLOP/s")
    >>> roofline(chiplet, Work(flops=1e12, read=1e12), bandwidth=256e9).limit
    'memory'
    """
    if chiplet.flops is None and work.flops > 0:
        raise ScheduleError(
            f"chiplet {chiplet.name!r} does not say how fast it computes; give it flops='74 TFLOP/s'"
        )
    moved = work.read + work.written
    limit_bandwidth = chiplet.sram_bandwidth if bandwidth is None else bandwidth
    arithmetic = work.flops / (chiplet.flops * efficiency) if chiplet.flops and work.flops else 0.0
    data = moved / limit_bandwidth if limit_bandwidth and moved else 0.0
    time = max(arithmetic, data)
    intensity = work.flops / moved if moved else float("inf")
    attainable = work.flops / time if time else 0.0
    return RooflinePoint(intensity, attainable, time, "memory" if data > arithmetic else "compute")


def memory_time(memory: Memory, size: float, efficiency: float = 1.0) -> float:
    """Return the time of ``size`` bytes, read or written, through the port of a memory stack, in s.

    Examples
    --------
    >>> memory_time(Memory("hbm", bandwidth="256 GB/s", latency="100 ns"), 256e9)
    1.0000001
    """
    return memory.latency + size / (memory.bandwidth * efficiency) if size else 0.0
