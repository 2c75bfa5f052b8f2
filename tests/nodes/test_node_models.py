"""Operations against parameter counts and by hand; times and energies of single nodes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit import Batch, Chiplet, LatentAttention, Link, Memory, MoEModel
from noptoolkit.errors import ScheduleError
from noptoolkit.formats import list_workloads, load_workload
from noptoolkit.nodes import (
    OPTIMISERS,
    Efficiency,
    Work,
    access_energy,
    array_flops,
    attention_work,
    cache_traffic,
    compute_energy,
    compute_time,
    dense_work,
    embedding_work,
    expert_work,
    head_work,
    linear_work,
    link_energy,
    memory_time,
    roofline,
    router_work,
    shared_work,
    step_flops,
    update_work,
)

MODELS = {name: load_workload(name).model for name in list_workloads()}


def small_terms(model: MoEModel) -> int:
    """Return the parameters of a token's path that are vectors, not matrices."""
    norms = 2 * model.hidden * model.layers + model.hidden
    if (mla := model.latent_attention) is not None:
        norms += model.layers * (mla.query_rank + mla.kv_rank)
    query, key_value = model.heads * model.head_dim, model.kv_heads * model.head_dim
    if model.latent_attention is None:
        norms += (
            model.layers * {"none": 0, "head": 2 * model.head_dim, "full": query + key_value}[model.qk_norm]
        )
    if model.biases:
        norms += model.layers * (query + 2 * key_value + model.hidden)
        norms += model.moe_layers * model.top_k * (2 * model.expert_width + model.hidden)
    norms += model.layers * model.heads if model.sinks else 0
    return norms + (model.moe_layers * model.experts if model.router_bias else 0)


@pytest.mark.parametrize("name", MODELS)
def test_a_token_costs_two_flop_per_matrix_weight_that_it_uses(name: str) -> None:
    model = MODELS[name]
    batch = Batch(sequences=4, sequence_length=1, micro_batches=1, mode="prefill")
    table = model.vocab * model.hidden if not model.tied_embeddings else 0
    weights = model.active_parameters - table - small_terms(model)
    mla = model.latent_attention
    width = 2 * model.head_dim if mla is None else mla.nope_dim + mla.rope_dim + mla.value_dim
    pairs = model.layers * 2 * model.heads * width  # each token sees itself
    assert step_flops(model, batch) == pytest.approx(4 * (2 * weights + pairs), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_training_is_three_forward_passes_and_an_update(name: str) -> None:
    model = MODELS[name]
    sizes = {"sequences": 2, "sequence_length": 16, "micro_batches": 1}
    forward = step_flops(model, Batch(**sizes, mode="prefill"))
    forward += head_work(model, 32).flops - head_work(model, 2).flops  # prefill heads the last tokens only
    training = step_flops(model, Batch(**sizes))
    assert training == pytest.approx(3 * forward + 2 * model.parameters, rel=1e-12)


def test_causal_pairs_are_summed_over_positions() -> None:
    model = MODELS["qwen3-30b-a3b"]
    batch = Batch(sequences=1, sequence_length=5, micro_batches=1)
    maps = sum(linear_work(5, m, n).flops for m, n in ((2048, (32 + 8) * 128), (32 * 128, 2048)))
    pairs = sum(position for position in range(1, 6))
    assert attention_work(model, batch).flops == maps + 2 * pairs * 32 * 256


def test_decoding_sees_the_context() -> None:
    model = MODELS["qwen3-30b-a3b"]
    batch = Batch(sequences=3, sequence_length=1000, micro_batches=1, mode="decode")
    one = 2 * 4 * 128 * 2  # keys and values of 4 heads of 128, 2 B each
    assert cache_traffic(model, batch) == (3 * 1000 * one, 3 * one)
    assert cache_traffic(model, Batch(3, 1000, 1)) == (0, 0)
    assert cache_traffic(model, Batch(3, 1000, 1, mode="prefill")) == (0, 3 * 1000 * one)
    assert attention_work(model, batch).flops == 3 * (2 * 2048 * 128 * (2 * 32 + 2 * 4) + 1000 * 2 * 32 * 256)


def test_latent_attention_by_hand() -> None:
    mla = LatentAttention(query_rank=6, kv_rank=5, nope_dim=4, rope_dim=2, value_dim=3)
    model = MoEModel(
        "m", hidden=8, layers=1, heads=2, kv_heads=2, head_dim=6, vocab=9, expert_width=4, experts=4, top_k=1,
        latent_attention=mla,
    )  # fmt: skip
    weights = 8 * 6 + 6 * 2 * 6 + 8 * 7 + 5 * 2 * 7 + 2 * 3 * 8
    train = Batch(sequences=1, sequence_length=4, micro_batches=1)
    assert attention_work(model, train).flops == 2 * 4 * weights + 10 * 2 * 2 * (6 + 3)
    decode = Batch(sequences=1, sequence_length=4, micro_batches=1, mode="decode")
    assert attention_work(model, decode).flops == 2 * weights + 4 * 2 * 2 * (2 * 5 + 2)
    assert cache_traffic(model, decode) == (4 * 7 * 2, 7 * 2)


def test_bytes_of_an_expert() -> None:
    model = MODELS["olmoe-1b-7b"]
    work = expert_work(model, 10, experts=2)
    assert work.flops == 10 * 6 * 2048 * 1024
    assert work.read == 2 * (2 * 3 * 2048 * 1024 + 10 * (2048 + 1024))
    assert work.written == 2 * 10 * (2 * 1024 + 2048)


def test_the_other_parts() -> None:
    model = MODELS["deepseek-moe-16b"]
    assert shared_work(model, 7).flops == 7 * 2 * model.shared_parameters
    assert dense_work(model, 7).flops == 7 * 2 * 3 * 2048 * 10944
    assert router_work(model, 7).flops == 7 * 2 * 2048 * 64
    assert head_work(model, 7).flops == 7 * 2 * 2048 * 102400
    assert embedding_work(model, 7) == Work(0.0, 7 * 2048 * 2, 7 * 2048 * 2)
    assert update_work(10, OPTIMISERS["adam"]) == Work(120.0, 80.0, 80.0)


@given(st.floats(1e6, 1e15), st.floats(0, 1e15), st.floats(1e6, 1e13))
def test_the_roof_is_the_lower_of_two(flops: float, moved: float, bandwidth: float) -> None:
    chiplet = Chiplet("c", flops=1e12)
    point = roofline(chiplet, Work(flops, read=moved), bandwidth=bandwidth)
    assert point.time == pytest.approx(max(flops / 1e12, moved / bandwidth))
    assert point.attainable <= 1e12 * (1 + 1e-9)
    if moved:
        assert point.attainable <= point.intensity * bandwidth * (1 + 1e-9)
    assert point.limit == ("memory" if moved / bandwidth > flops / 1e12 else "compute")


def test_time_of_single_nodes() -> None:
    assert array_flops(36, 16, 256, "1 GHz", utilisation=0.5) == pytest.approx(147.456e12)
    assert compute_time(Chiplet("c", flops=1e12), Work(2e12), efficiency=0.5) == 4.0
    assert compute_time(Chiplet("c"), Work()) == 0.0
    memory = Memory("m", bandwidth="100 GB/s", latency="1 us")
    assert memory_time(memory, 1e9, efficiency=0.5) == pytest.approx(0.02 + 1e-6)
    assert memory_time(memory, 0.0) == 0.0
    with pytest.raises(ScheduleError, match="'c' does not say how fast it computes"):
        compute_time(Chiplet("c"), Work(1.0))


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan])
def test_efficiency_is_above_zero(wrong: float) -> None:
    with pytest.raises(ScheduleError, match=r"memory .* must be (above 0|a finite number)"):
        Efficiency(memory=wrong)


def test_energy_of_single_nodes() -> None:
    assert compute_energy(Work(3.0), 2.0) == 6.0
    assert link_energy(Link("a", "b", 1.0, energy_per_bit=0.5), 2.0) == 8.0
    assert access_energy(Memory("m", bandwidth=1.0), 2.0) == 0.0
