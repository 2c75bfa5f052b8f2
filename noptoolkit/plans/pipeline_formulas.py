"""Published bubbles and memory of pipeline schedules with equal stages and no communication.

With p devices, m micro-batches, v chunks per device, F, B and W the times of a forward, of a whole backward
(recomputation included) and of its weight part on a *device* (all its chunks), and F&B that of a slot that a
forward and a backward share:

* GPipe and 1F1B (p - 1) (F + B); interleaved that over v, where p divides m (Narayanan et al., arXiv
  2104.04473);
* ZB-H1 (p - 1) (F + B - 2 W), exact for F >= W and m >= p; ZB-H2 (p - 1) (F + B - 3 W), exact for F >= W,
  B >= 2 W and m >= 2 p - 1 (Qi et al., arXiv 2401.10241, who state them for these times; where W is longer
  than F a weight part delays the next device, and the schedule idles more);
* DualPipe (p / 2 - 1) (F&B + B - 3 W) (its README), exact for F = W = B / 2 and F&B = F + B; elsewhere an
  estimate, from which the replayed order differs by a fifth in either direction.

Passes in flight on device r: GPipe m; 1F1B min(m, p - r); interleaved, in chunks, min(m v, p v + p - 1 - 2 r)
(v > 1); ZB-H1 p and ZB-H2 2 p - 1 for m of that at least; DualPipe p + 1, on twice the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noptoolkit.plans.pipeline_orders import PipelineShape

if TYPE_CHECKING:
    from noptoolkit.plans.pipeline_stage import Stage

__all__ = ["FAST", "Formula", "passes_in_flight", "published_formula"]


FAST = ("gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2")
"""Orders whose makespan `noptoolkit.plans.compiled_pipelines` finds without a task graph."""


@dataclass(frozen=True)
class Formula:
    """What a publication gives for a pipeline.

    Parameters
    ----------
    bubble
        Idle time, in s.
    exact
        Whether the order has exactly this bubble for these times; else it is an estimate.
    source
        Publication.
    """

    bubble: float
    exact: bool
    source: str


def published_formula(
    order: str, shape: PipelineShape, stage: Stage, together: float | None = None
) -> Formula | None:
    """Return the published bubble of equal stages, or None where none is published.

    Parameters
    ----------
    together
        Time of a slot that two passes share, in s; F + B where None.
    """
    p, m, v = shape.devices, shape.micro_batches, shape.chunks
    if stage.forward_network or stage.backward_network:
        return None
    forward, weight = v * stage.forward, v * stage.weight
    backward = v * (stage.backward + stage.recompute)
    if order in ("gpipe", "1f1b", "interleaved"):
        source = "arXiv 2104.04473"
        return Formula((p - 1) * (forward + backward) / v, True, source)
    if order == "zb-h1":
        exact = forward >= weight and m >= p
        return Formula((p - 1) * (forward + backward - 2 * weight), exact, "arXiv 2401.10241")
    if order == "zb-h2":
        exact = forward >= weight and backward >= 2 * weight and m >= 2 * p - 1
        return Formula(max((p - 1) * (forward + backward - 3 * weight), 0.0), exact, "arXiv 2401.10241")
    if order == "dualpipe":
        both = forward + backward if together is None else together
        at_home = backward == 2 * weight and forward == weight and both == forward + backward
        return Formula((p / 2 - 1) * (both + backward - 3 * weight), at_home, "README of DualPipe")
    return None


def passes_in_flight(order: str, shape: PipelineShape, device: int) -> int | None:
    """Return how many passes a device holds the activations of at most, or None where nothing is published.

    Examples
    --------
    >>> [passes_in_flight("1f1b", PipelineShape(4, 8), r) for r in range(4)]
    [4, 3, 2, 1]
    >>> passes_in_flight("interleaved", PipelineShape(8, 64, 3), 0)
    31
    """
    p, m, v = shape.devices, shape.micro_batches, shape.chunks
    if order == "gpipe":
        return m
    if order == "1f1b" or (order == "interleaved" and v == 1):
        return min(m, p - device)
    if order == "interleaved":
        return min(m * v, p * v + p - 1 - 2 * device)
    if order == "1f1b-together":
        return min(m, 2 * (p - device))
    if order == "zb-h1":
        return min(m, p)
    if order == "zb-h2":
        return min(m, 2 * p - 1)
    return p + 1 if order == "dualpipe" else None
