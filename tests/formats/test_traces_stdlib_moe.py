"""The recorded trace that the project ships: how it was trained, and that its routing is no chance."""

import json
from math import comb
from pathlib import Path

import numpy as np
import pytest

from noptoolkit.allocation import allocate
from noptoolkit.formats import load_topology, load_workload

WORKLOADS = Path(__file__).parents[2] / "workloads"
REPORT = json.loads((WORKLOADS / "stdlib-moe.training.json").read_text(encoding="utf-8"))


def test_the_preset_is_the_model_that_was_trained() -> None:
    model = load_workload("stdlib-moe").model
    for name in ("vocab", "hidden", "layers", "heads", "experts", "top_k", "expert_width"):
        assert getattr(model, name) == REPORT["shape"][name]
    assert model.parameters == model.published_parameters == REPORT["parameters"]


def test_it_has_learnt_its_text() -> None:
    losses = [row["train"] for row in REPORT["loss_curve"]]
    assert losses[0] == pytest.approx(np.log(REPORT["shape"]["vocab"]), abs=0.1)
    assert losses[-1] < 0.4 * losses[0]
    for domain, loss in REPORT["held_out_loss"].items():
        assert loss < 0.55 * REPORT["unigram_entropy"][domain]


def test_its_trace_is_small_labelled_and_balanced() -> None:
    trace = load_workload("stdlib-moe").trace
    assert (trace.origin, trace.num_layers, trace.num_tokens) == ("recorded", 4, 16384)
    assert trace.domains == ("code", "docstrings", "tests", "reference")
    assert np.bincount(trace.domain).tolist() == [4096] * 4  # type: ignore[arg-type]
    assert trace.document is not None
    assert (WORKLOADS / "stdlib-moe.npz").stat().st_size < 1_000_000
    for layer in range(trace.num_layers):
        load = trace.layer(layer).load()
        assert load.min() > 0
        assert load.max() < 2 * load.mean()


def test_its_experts_work_together_in_groups() -> None:
    trace = load_workload("stdlib-moe").trace
    [(fit, held)] = trace.layer(-1).split(by="document", rng=0)
    layout = allocate(fit, load_topology("mozart-nop-tree"), method="descent", rng=0)
    by_chance = 16 * (1 - comb(60, 8) / comb(64, 8))
    assert by_chance == pytest.approx(6.751, abs=1e-3)
    assert layout.c_t(held) < 0.85 * by_chance
