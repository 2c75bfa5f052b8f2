"""What DeepSeek published of its servers and of DeepEP, beside what the toolkit says of the same machine.

DeepEP's logical bandwidth counts what a GPU keeps for itself and for its node too. Ours is that of the best
routing of the same all-to-all on the same machine, with its certificate: 8 GPUs a node, a network card of 50
GB/s each, full bisection between the nodes. It is what the links allow; the published share of it is what the
library reaches. Throughput and latency of the cluster rest on software and clocks that are no part of a
package, and are not reproduced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from noptoolkit.flow import congestion
from noptoolkit.serving import PUBLISHED, Published, Speculation
from noptoolkit.study.published import PublishedRow, PublishedTable, Standing
from noptoolkit.topology import dgx_h100
from noptoolkit.traffic import all_to_all
from noptoolkit.units import parse_quantity

__all__ = ["reproduce_deepseek_serving"]

MESSAGE = 1e6
"""Bytes from each GPU to each other: a logical bandwidth does not depend on it."""


def reproduce_deepseek_serving() -> PublishedTable:
    """Return DeepSeek's figures, quoted and derived, beside ours where the toolkit has one.

    Examples
    --------
    >>> found = reproduce_deepseek_serving()
    >>> found["dispatch, EP 8 x 2, logical"].ours, found["prefill, GPUs of a unit"].ours
    (100000000000.0, None)
    """
    ours = {what: value() for what, value in OURS.items()}
    rows = tuple(_row(one, ours.get(one.what)) for one in PUBLISHED)
    shares = [1 / row.ratio for row in rows if row.ratio and row.figure.endswith("logical")]
    return PublishedTable(
        "DeepSeek's servers, published and ours",
        rows,
        (
            "ours of logical bandwidths: the best routing on nodes of 8 H100 with a card of 50 GB/s a GPU; "
            f"DeepEP reaches {min(shares):.1%} to {max(shares):.1%} of what the links allow",
            "the profiles were taken with an absolutely balanced routing, as their authors say",
            "nothing is calibrated to these; throughput and latency of the cluster are not reproduced",
        ),
    )


def logical_bandwidth(nodes: int) -> float:
    """Return the logical bandwidth of the best all-to-all on nodes of 8 GPUs, in B/s per GPU."""
    machine = dgx_h100(8 * nodes, memory=False)
    flow = congestion(machine, all_to_all(machine, MESSAGE))
    return round(8 * nodes * MESSAGE / flow.time, 3)


OURS: Mapping[str, Callable[[], float]] = {
    "dispatch, EP 8 x 2, logical": lambda: logical_bandwidth(2),
    "combine, EP 8 x 2, logical": lambda: logical_bandwidth(2),
    "dispatch and combine, EP 8 x 4, logical": lambda: logical_bandwidth(4),
    "tokens per second with multi-token prediction": lambda: Speculation(1, 0.85).tokens,
}
"""By figure: what the toolkit says."""


def _row(one: Published, ours: float | None) -> PublishedRow:
    scale = 1.0
    unit = one.unit
    if unit in ("GB/s", "us"):
        base = "B/s" if unit == "GB/s" else "s"
        scale, unit = parse_quantity(f"1 {unit}", base), base
    elif unit in ("tokens", "tokens/s", "x"):
        unit = ""
    standing: Standing = "quoted" if one.origin == "quoted" else "derived"
    return PublishedRow(one.what, one.value * scale, ours, unit, standing, one.source, ",.5g")
