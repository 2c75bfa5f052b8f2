"""Memory of a plan against published values to the last digit, and against a recount of every parameter."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import noptoolkit as nop
from noptoolkit import Batch, MoEModel, ParallelPlan
from noptoolkit.errors import PlanError
from noptoolkit.plans import in_flight, plan_memory, rooms_of
from noptoolkit.plans.activations import gpt_layer_activations, gpt_stage_activations

GIB = 2**30

KORTHIKANTI = {  # hidden, heads, layers, tp, pp, vpp, micro-batch; states, none and selective with SP, in GiB
    "22B": (6144, 64, 48, 8, 1, 1, 4, 45.5625, 59.25, 9.5625),
    "175B": (12288, 96, 96, 8, 8, 3, 1, 45.5625, 66.84375, 12.3515625),
    "530B": (20480, 128, 105, 8, 35, 3, 1, 31.640625, 114.0234375, 23.076171875),
    "1T": (25600, 160, 128, 8, 64, 1, 1, 32.958984375, 131.25, 26.5625),
}


@pytest.mark.parametrize("name", KORTHIKANTI)
def test_activations_of_the_published_models_to_the_last_digit(name: str) -> None:
    h, a, layers, t, p, v, b, _, none, selective = KORTHIKANTI[name]
    for sp, recompute, published in ((False, "none", none), (True, "selective", selective)):
        layer = gpt_layer_activations(2048, b, h, a, tp=t, sp=sp, recompute=recompute)
        assert gpt_stage_activations(layer, layers, pp=p, vpp=v) / GIB == published


def test_shares_of_the_published_savings() -> None:
    for name, sp_percent, both_percent in (
        ("22B", 66.8, 16.1),
        ("175B", 62.0, 18.5),
        ("530B", 58.3, 20.2),
        ("1T", 58.3, 20.2),
    ):
        h, a, _, t, _, _, b, *_ = KORTHIKANTI[name]
        none = gpt_layer_activations(2048, b, h, a, tp=t, sp=False, recompute="none")
        with_sp = gpt_layer_activations(2048, b, h, a, tp=t, recompute="none")
        both = gpt_layer_activations(2048, b, h, a, tp=t, recompute="selective")
        assert round(100 * with_sp / none, 1) == pytest.approx(sp_percent, abs=0.06)
        assert round(100 * both / none, 1) == pytest.approx(both_percent, abs=0.06)


def test_full_recomputation_and_megatrons_estimator() -> None:
    assert gpt_layer_activations(2048, 1, 12288, 96, tp=8, recompute="full") == 2 * 2048 * 12288 / 8
    assert gpt_layer_activations(2048, 1, 12288, 96, tp=8, sp=False, recompute="full") == 2 * 2048 * 12288
    wide = gpt_layer_activations(2048, 1, 12288, 96, tp=8, recompute="selective", width=28672)
    assert wide == pytest.approx(2048 * 12288 * (18 + 4 * 28672 / 12288) / 8)
    half = gpt_layer_activations(2048, 1, 12288, 96, tp=8, cp=2)
    assert half == gpt_layer_activations(2048, 1, 12288, 96, tp=8) / 2
    with pytest.raises(PlanError, match="recompute = 'some'"):
        gpt_layer_activations(1, 1, 1, 1, recompute="some")


def gpt_like(h: int, a: int, layers: int) -> MoEModel:
    """Return a dense model whose layers have 12 h^2 parameters: 4 h^2 of attention, 3 h x 8 h / 3."""
    return MoEModel(
        "gpt", hidden=h, layers=layers, heads=a, kv_heads=a, head_dim=h // a, vocab=1, expert_width=8,
        experts=2, top_k=1, dense_layers=layers, dense_width=8 * h // 3,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["22B", "175B"])
def test_states_of_the_published_models(name: str) -> None:
    h, a, layers, t, p, v, _, published, *_ = KORTHIKANTI[name]
    plan = ParallelPlan(tp=t, pp=p, vpp=v, zero=0, dp=1)
    memory = plan_memory(plan, gpt_like(h, a, layers), Batch(sequences=24, micro_batches=24))
    inner = memory.stages[p // 2]
    norms = 18 * layers / p * 2 * h  # which the published count leaves out
    tables = 18 * (2 * h / t + h) if p == 1 else 0
    assert (inner.states - norms - tables) / GIB == pytest.approx(published, rel=1e-12)


def test_zero_paper() -> None:
    """7.5 B parameters on 64: 120, 31.4, 16.6, 1.88 GB with gradients of 2 bytes."""
    model = gpt_like(3072, 24, 66)
    scale = 7.5e9 / model.parameters
    for zero, published in ((0, 120.0), (1, 31.4), (2, 16.6), (3, 1.88)):
        plan = ParallelPlan(dp=64, zero=zero)
        memory = plan_memory(plan, model, Batch(sequences=256), gradient_bytes=2)
        assert memory.worst.states * scale / 1e9 == pytest.approx(published, rel=4e-3)


PUBLISHED_STATES = [  # GB on the fullest GPU, derived from the published plans by separate code
    ("mixtral-8x22b", ParallelPlan(tp=2, ep=4, etp=2, pp=8), 128, 28.4),
    ("mixtral-8x22b", ParallelPlan(tp=2, ep=8, pp=8), 128, 28.4),
    ("mixtral-8x22b", ParallelPlan(tp=4, ep=8, etp=4, micro_batches=8), 128, 46.6),
    ("qwen2-57b-a14b", ParallelPlan(tp=2, ep=4, etp=2, pp=4), 64, 27.1),
    ("mixtral-8x22b-g8t8", ParallelPlan(tp=2, ep=8, etp=2, pp=8), 128, 22.1),
    ("llama3-8x70b", ParallelPlan(tp=8, ep=4, etp=8, pp=8), 256, 34.6),
    ("llama3-8x70b", ParallelPlan(tp=8, ep=8, etp=8, micro_batches=8), 256, 74.7),
]


@pytest.mark.parametrize(("name", "plan", "world", "states"), PUBLISHED_STATES)
def test_states_of_plans_of_parallel_folding(
    name: str, plan: ParallelPlan, world: int, states: float
) -> None:
    workload = nop.load_workload(name)
    memory = plan_memory(plan.on(world), workload.model, workload.batch)
    assert max(stage.states for stage in memory.stages) / 1e9 == pytest.approx(states, abs=0.07)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["olmoe-1b-7b", "deepseek-moe-16b", "qwen3-30b-a3b"]),
)
def test_every_parameter_is_held_once_a_replica(
    tp: int, cp: int, ep: int, etp: int, pp: int, name: str
) -> None:
    """Recounted from the model's total: what ranks hold, replicas divided out, is all parameters."""
    model = nop.load_workload(name).model
    dp = math.lcm(tp * cp, ep * etp) // (tp * cp)
    plan = ParallelPlan(tp=tp, cp=cp, ep=ep, etp=etp, pp=pp, dp=dp, zero=3)
    batch = Batch(sequences=32 * dp, micro_batches=4, sequence_length=256)
    memory = plan_memory(plan, model, batch, gradient_bytes=0, optimiser_bytes=0)
    held = sum(stage.terms["weights of attention and dense"] for stage in memory.stages) * tp * cp * dp / 2
    held += sum(stage.terms["weights of experts"] for stage in memory.stages) * tp * cp * dp / 2
    norms = {"none": 0, "head": 2 * model.head_dim, "full": 0}[model.qk_norm]
    copies = 2 * model.hidden * model.layers + model.hidden + norms * model.layers
    copies += model.moe_layers * model.router_parameters
    assert held == pytest.approx(model.parameters + (tp - 1) * copies)


def test_in_flight_is_as_published() -> None:
    for p, m, v in ((4, 8, 2), (8, 32, 4), (4, 16, 1)):
        assert [int(x.max()) for x in in_flight("1f1b", p, m)] == [min(m, p - r) for r in range(p)]
        assert [int(x.max()) for x in in_flight("gpipe", p, m)] == [m] * p
        assert in_flight("interleaved", p, m, v)[0].sum(axis=1).max() == (p * v + p - 1 if v > 1 else p)
        assert [int(x.sum(axis=1).max()) for x in in_flight("dualpipe", p, max(m, 2 * p))] == [p + 1] * p
        assert max(int(x.max()) for x in in_flight("zb-h1", p, m)) == p
    long, short = in_flight("1f1b", 4, 10_000), in_flight("1f1b", 4, 16)
    assert all(np.array_equal(a, b) for a, b in zip(long, short, strict=True))


def test_interleaving_holds_what_the_formula_says() -> None:
    workload = nop.load_workload("mixtral-8x22b")
    batch = Batch(sequences=256, sequence_length=4096, micro_batches=32)
    sizes = []
    for plan in (ParallelPlan(tp=2, ep=8, pp=4, dp=8), ParallelPlan(tp=2, ep=8, pp=4, vpp=7, dp=8)):
        sizes.append(plan_memory(plan, workload.model, batch).stages[0].terms["activations"])
    assert sizes[1] / sizes[0] == pytest.approx(1 + 3 / (4 * 7))


def test_recomputation_and_stages_order_memory() -> None:
    workload = nop.load_workload("mixtral-8x22b")
    model, batch = workload.model, workload.batch
    plan = ParallelPlan(tp=2, ep=8, pp=8, dp=8)
    by_kind = [
        plan_memory(plan.replace(recompute=kind), model, batch).total
        for kind in ("none", "selective", "full")
    ]
    assert by_kind[0] > by_kind[1] > by_kind[2]
    by_zero = [plan_memory(plan.replace(zero=zero), model, batch).total for zero in range(4)]
    assert by_zero == sorted(by_zero, reverse=True)
    memory = plan_memory(plan, model, batch)
    held = [stage.terms["activations"] for stage in memory.stages]
    assert held == pytest.approx([held[-1] * (8 - rank) for rank in range(8)])


def test_a_token_of_a_moe_layer_by_hand() -> None:
    """Mixtral-8x22B, TP2, ETP2: 12 h + 4 g d over TP, and k (2 h x ETP + 2 h + 6 f) over TP."""
    workload = nop.load_workload("mixtral-8x22b")
    h, f = 6144, 16384
    plan = ParallelPlan(tp=2, ep=4, etp=2, pp=56, dp=8, micro_batches=32)
    memory = plan_memory(plan, workload.model, workload.batch)
    token = (12 * h + 4 * 8 * 128 + 2 * (2 * h * 2 + 2 * h + 6 * f)) / 2
    assert memory.stages[-1].terms["activations"] == pytest.approx(token * 4096)
    assert memory.stages[-1].terms["logits"] == pytest.approx(4096 * (4 * h + 4 * 32768) / 2)


def test_cache_of_keys_and_values() -> None:
    workload = nop.load_workload("mixtral-8x22b").with_batch({"mode": "decode", "sequence_length": 32768})
    plan = ParallelPlan(tp=4, ep=8, dp=8, micro_batches=1)
    memory = plan_memory(plan, workload.model, workload.batch)
    assert memory.stages[0].terms["cache of keys and values"] == 56 * 32 * 32768 * 2 * 2 * 8 * 128 / 4
    assert memory.stages[0].terms["optimiser of experts"] == 0
    wide = plan_memory(plan.replace(tp=16, dp=2), workload.model, workload.batch)
    assert wide.stages[0].terms["cache of keys and values"] == 56 * 128 * 32768 * 2 * 2 * 8 * 128 / 8


def test_the_cache_of_a_model_with_windows_is_the_one_of_its_layers() -> None:
    workload = nop.load_workload("gpt-oss-20b").with_batch({"mode": "decode", "sequence_length": 4096})
    memory = plan_memory(ParallelPlan(pp=2, ep=2, dp=2, micro_batches=1), workload.model, workload.batch)
    caches = sum(stage.terms["cache of keys and values"] for stage in memory.stages)
    assert caches / 16 / 2**20 == 99.0


def test_verdict_names_the_largest_term() -> None:
    workload = nop.load_workload("llama3-8x70b")
    package = nop.topology.mesh(4, 4, memory=True, memory_groups=16, memory_capacity="80 GB", sram="50 MB")
    room = next(iter(rooms_of(package).values()))
    assert (room.sram, room.stacks) == (50e6, 80e9)
    plan = ParallelPlan(tp=8, ep=8, etp=8, micro_batches=8).on(256)
    memory = plan_memory(plan, workload.model, workload.batch, rooms=[room] * 256)
    assert not memory.fits
    assert memory.verdict.startswith("out of memory: stage 0 needs ")
    assert "the largest term is " in memory.verdict
    small = plan_memory(
        ParallelPlan(tp=8, ep=8, etp=8, pp=16, micro_batches=32).on(1024),
        workload.model,
        workload.batch,
        rooms=[room] * 1024,
    )
    assert small.fits
    with pytest.raises(PlanError, match="256 sequences are not divided by dp = 32 x 32 micro-batches"):
        plan_memory(plan.replace(micro_batches=32), workload.model, workload.batch)
    assert small.verdict.startswith("fits in memory stacks")
    assert small.table().rows[0][-1] == 80e9


def test_a_package_without_memory_is_refused() -> None:
    with pytest.raises(PlanError, match="has no memory: no chiplet has SRAM and there are no memory stacks"):
        rooms_of(nop.topology.mesh(2, 2))
    shared = rooms_of(nop.topology.mesh(2, 2, memory=True, memory_groups=2, memory_capacity="8 GB"))
    assert {room.stacks for room in shared.values()} == {4e9}
