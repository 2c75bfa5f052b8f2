"""What a machine reaches of its peaks, and what a step costs besides: the few constants of a plan's step."""

from __future__ import annotations

from dataclasses import dataclass, field

from noptoolkit.errors import PlanError, raise_collected
from noptoolkit.nodes import Efficiency
from noptoolkit.package import Package
from noptoolkit.plans.group_times import chiplets_of
from noptoolkit.units import Measured, convert_fields, measured

__all__ = ["Rates", "StepConstants", "rates_of"]


@dataclass(frozen=True)
class StepConstants:
    """Constants of a plan's step; as they stand, an ideal machine.

    Parameters
    ----------
    efficiency
        Share of peak arithmetic, of memory bandwidth and of channel bandwidth that is reached.
    layer_overhead
        Time of a layer and micro-batch, forward and backward together, that depends on nothing: launches,
        synchronisation, waiting for the slowest.
    exposed_gradients
        Share of the replicas' gradient and weight exchange that nothing hides.
    source
        Where they come from.
    """

    efficiency: Efficiency = field(default_factory=Efficiency)
    layer_overhead: Measured = measured("s", default=0.0)
    exposed_gradients: float = 1.0
    source: str = "peak rates, no overhead, gradients exposed"

    def __post_init__(self) -> None:
        convert_fields(self, lambda: "step constants")
        faults = []
        if not 0.0 <= self.layer_overhead < float("inf"):
            faults.append(f"layer_overhead {self.layer_overhead!r} is not 0 or more seconds")
        if not 0.0 <= self.exposed_gradients <= 1.0:
            faults.append(f"exposed_gradients {self.exposed_gradients!r} is not a share from 0 to 1")
        raise_collected(PlanError, "step constants", faults)


@dataclass(frozen=True)
class Rates:
    """Rates of the slowest chiplet of a plan.

    Parameters
    ----------
    flops
        Peak arithmetic, in FLOP/s.
    memory
        Bandwidth of its memory: its part of the memory stacks, else its SRAM, in B/s; infinite where the
        package has neither.
    """

    flops: float
    memory: float


def rates_of(package: Package) -> Rates:
    """Return the rates of the slowest chiplet that a plan may use.

    Raises
    ------
    PlanError
        If one of them does not say how fast it computes.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> rates_of(nop.load_topology("mozart-nop-tree")).memory
    96000000000.0
    """
    names = chiplets_of(package)
    chiplets = [chiplet for chiplet in package.chiplets if chiplet.name in set(names)]
    without = [chiplet.name for chiplet in chiplets if not chiplet.flops]
    if without:
        raise PlanError(
            f"package {package.name!r}: chiplet {without[0]!r} does not say how fast it computes; "
            "give it flops='74 TFLOP/s'"
        )
    flops = min(float(chiplet.flops or 0.0) for chiplet in chiplets)
    stacks = sum(memory.bandwidth for memory in package.memories) / len(chiplets)
    if stacks:
        return Rates(flops, float(stacks))
    srams = [chiplet.sram_bandwidth for chiplet in chiplets if chiplet.sram_bandwidth]
    return Rates(flops, min(srams) if len(srams) == len(chiplets) else float("inf"))
