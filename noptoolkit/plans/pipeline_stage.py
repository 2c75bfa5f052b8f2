"""What a stage of a pipeline costs for one micro-batch."""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit.errors import ScheduleError
from noptoolkit.units import Measured, convert_fields, measured

__all__ = ["Stage"]


@dataclass(frozen=True)
class Stage:
    """What one micro-batch costs on one stage; times in s or text with a unit, sizes in B.

    Parameters
    ----------
    forward, backward
        Computation of a forward and of a whole backward pass.
    weight
        Part of ``backward`` that computes gradients of weights, which schedules with a split backward may
        put off.
    recompute
        Computation repeated before a backward.
    forward_network, backward_network
        Communication within a forward and a backward pass (with the recomputed part).
    activation
        Bytes kept from a forward to its backward.
    working
        Bytes that a backward takes besides while it runs, such as recomputed activations.
    layers
        Parts into which a pass is cut where two share a slot.

    Examples
    --------
    >>> Stage("1 ms", "2 ms", "1 ms").input
    0.001
    """

    forward: Measured = measured("s")
    backward: Measured = measured("s")
    weight: Measured = measured("s", default=0.0)
    recompute: Measured = measured("s", default=0.0)
    forward_network: Measured = measured("s", default=0.0)
    backward_network: Measured = measured("s", default=0.0)
    activation: Measured = measured("B", default=1.0)
    working: Measured = measured("B", default=0.0)
    layers: int = 1

    def __post_init__(self) -> None:
        convert_fields(self, lambda: "stage")
        for name in (
            "forward",
            "backward",
            "weight",
            "recompute",
            "forward_network",
            "backward_network",
            "activation",
            "working",
        ):
            value = getattr(self, name)
            if not 0.0 <= value < float("inf"):
                raise ScheduleError(f"stage: {name} {value!r} is not a number of 0 or more")
        if self.weight > self.backward:
            raise ScheduleError(
                f"stage: weight {self.weight:g} s is a part of backward {self.backward:g} s and "
                "cannot be longer"
            )
        if not isinstance(self.layers, int) or self.layers < 1:
            raise ScheduleError(f"stage: layers {self.layers!r} is not a whole number above 0")

    @property
    def input(self) -> float:
        """Part of the backward that the device before waits for, in s."""
        return self.backward - self.weight

    @property
    def work(self) -> float:
        """Computation of a micro-batch, in s."""
        return self.forward + self.backward + self.recompute
