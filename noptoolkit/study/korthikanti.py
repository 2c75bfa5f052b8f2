"""Korthikanti et al.'s memory of GPT models beside ours, and MFU at their published times (arXiv 2205.05198).

States are 18 B for each of 12 L h^2 parameters over TP and PP; activations are those of the first stage,
layer by layer, times the micro-batches in flight. The activations *without* recomputation are published
without sequence parallelism, the *selective* ones with it. Micro-batches in flight are counted along the
schedule of the pipeline (`noptoolkit.plans.in_flight`), not taken from the formula p (1 + (p - 1) / (p v)).

MFU counts 72 B L s h^2 (1 + s / (6 h) + V / (12 h L)) FLOPs a step. The bubble is the schedule's own share.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

from noptoolkit.plans.activations import gpt_layer_activations
from noptoolkit.plans.in_flight import in_flight
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.plans.pipelines import pipeline
from noptoolkit.study.published import PublishedRow, PublishedTable
from noptoolkit.units import parse_quantity

__all__ = ["reproduce_korthikanti"]

GIB = 2.0**30
STATE_BYTES = 18.0


def reproduce_korthikanti() -> PublishedTable:
    """Return 12 values of memory to the last digit, 4 of MFU and 3 bubbles.

    Examples
    --------
    >>> found = reproduce_korthikanti()
    >>> found["175B: activations, selective"].ours / 2**30
    12.3515625
    """
    text = resources.files("noptoolkit.study").joinpath("data/korthikanti.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    rows = [row for model in data["model"] for row in _rows(data, model)]
    exact = sum(row.ours == row.published for row in rows if row.unit == "B")
    count = sum(row.unit == "B" for row in rows)
    notes = [
        data["source"],
        *(f"assumed: {line}" for line in data["assumed"]),
        f"{exact} of {count} values of memory are equal to the last digit.",
    ]
    return PublishedTable(data["title"], tuple(rows), tuple(notes))


def _rows(data: dict[str, Any], model: dict[str, Any]) -> Iterator[PublishedRow]:
    hidden, heads, layers, tp, pp, vpp, micro_batch = model["shape"]
    sequence, name = data["sequence"], model["name"]
    published = {key: value * GIB for key, value in model["gib"].items()}
    states = STATE_BYTES * 12 * layers * hidden**2 / (tp * pp)
    yield PublishedRow(f"{name}: states", published["states"], states, "B", "quoted", "18 B a parameter")
    count = model["batch"] // micro_batch
    schedule = "interleaved" if vpp > 1 else "1f1b"
    held = int(in_flight(schedule, pp, count, vpp)[0].sum(axis=1).max())
    per_chunk = layers / (pp * vpp)
    for recompute, sp in (("none", False), ("selective", True)):
        layer = gpt_layer_activations(sequence, micro_batch, hidden, heads, tp=tp, sp=sp, recompute=recompute)
        yield PublishedRow(
            f"{name}: activations, {recompute}",
            published[recompute],
            layer * per_chunk * held,
            "B",
            "quoted",
            f"first stage, {held} {'chunk' if held == 1 else 'chunks'} in flight",
        )
    batch, gpus, seconds = model["batch"], model["gpus"], model["seconds"]["selective"]
    flops = 72 * batch * layers * sequence * hidden**2
    flops *= 1 + sequence / (6 * hidden) + data["vocab"] / (12 * hidden * layers)
    peak = parse_quantity(data["peak"], "FLOP/s", "korthikanti.toml")
    yield PublishedRow(
        f"{name}: MFU at the published time",
        model["mfu"] / 100,
        flops / (seconds * gpus * peak),
        standing="derived",
        remark=f"{seconds} s a step on {gpus} GPUs, selective, quoted",
        form=".2f %",
    )
    if pp > 1:
        run = pipeline(schedule, Stage(1.0 / vpp, 2.0 / vpp), count, devices=pp, chunks=vpp)
        yield PublishedRow(
            f"{name}: bubble over ideal",
            (pp - 1) / (vpp * count),
            run.bubble / (3.0 * count),
            standing="derived",
            remark=f"(p - 1) / (v m) against the schedule, p {pp}, v {vpp}, m {count}",
            form=".2f %",
        )
