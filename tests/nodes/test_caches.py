"""Keys and values by attention kind, by hand; windows position by position; parameters per token."""

import dataclasses

import pytest

from noptoolkit import load_workload
from noptoolkit.errors import WorkloadError
from noptoolkit.nodes import attention_work, cache_bytes, cache_traffic
from noptoolkit.workload import Batch, MoEModel

SHAPE = {"hidden": 8, "layers": 4, "heads": 2, "kv_heads": 1, "head_dim": 4, "vocab": 16, "expert_width": 4}
SHAPE |= {"experts": 4, "top_k": 2}


@pytest.mark.parametrize(
    ("name", "length", "bytes_"),
    [
        ("qwen3-30b-a3b", 4096, 4096 * 48 * 2 * 4 * 128 * 2),  # GQA: 96 KiB a token
        ("mixtral-8x7b", 1000, 1000 * 32 * 2 * 8 * 128 * 2),
        ("deepseek-v3", 4096, 4096 * 61 * (512 + 64) * 2),  # MLA: the latent and its rotary part
        ("gpt-oss-20b", 100, 100 * 24 * 2 * 8 * 64 * 2),  # within the window
        ("gpt-oss-120b", 4096, (18 * 128 + 18 * 4096) * 2 * 8 * 64 * 2),  # alternating
        ("llama-4-scout", 32768, (36 * 8192 + 12 * 32768) * 2 * 8 * 128 * 2),  # 3 local layers of 4
    ],
)
def test_bytes_of_a_sequence_by_hand(name: str, length: int, bytes_: int) -> None:
    assert cache_bytes(load_workload(name).model, length) == bytes_


@pytest.mark.parametrize("kind", ["sliding", "chunked"])
def test_windows_position_by_position(kind: str) -> None:
    model = MoEModel("tiny", **SHAPE, window=5, window_kind=kind)  # type: ignore[arg-type]

    def sees(query: int, key: int) -> bool:
        near = query - key < 5 if kind == "sliding" else (query - 1) // 5 == (key - 1) // 5
        return key <= query and near

    for position in range(1, 23):
        seen = sum(sees(position, key) for key in range(1, 23))
        assert model.seen(position, windowed=True) == seen
        for first in range(position):
            pairs = sum(sees(q, key) for q in range(first + 1, position + 1) for key in range(1, 23))
            assert model.pairs(first, position, windowed=True) == pairs
    assert model.is_windowed == (True,) * 4
    assert dataclasses.replace(model, full_every=4).is_windowed == (True, True, True, False)


def test_a_prompt_in_chunks_sees_the_pairs_of_the_whole() -> None:
    """GQA: the work of the chunks is that of the prompt; weights are read again by each."""
    model = MoEModel("tiny", **SHAPE, window=5, full_every=2)
    for windowed in (False, True):
        whole = attention_work(model, Batch(1, 20, 1, "prefill"), windowed=windowed).flops
        parts = [
            attention_work(model, Batch(1, 5, 1, "prefill", cached=5 * i), windowed=windowed)
            for i in range(4)
        ]
        assert sum(part.flops for part in parts) == whole
        beside = Batch(1, 9, 1, "decode", prompt_tokens=5, cached=10)
        alone = attention_work(model, Batch(1, 9, 1, "decode"), windowed=windowed)
        assert attention_work(model, beside, windowed=windowed).flops == alone.flops + parts[2].flops
        assert cache_traffic(model, beside, windowed=windowed)[1] == (1 + 5) * 2 * 4 * 2


def test_what_decode_reads_is_what_it_sees() -> None:
    model = MoEModel("tiny", **SHAPE, window=5, full_every=2)
    batch = Batch(3, 100, 1, "decode")
    assert cache_traffic(model, batch) == (3 * 100 * 16, 3 * 16)
    assert cache_traffic(model, batch, windowed=True) == (3 * 5 * 16, 3 * 16)
    proposed = dataclasses.replace(batch, tokens_per_sequence=4)
    assert proposed.tokens == 12
    assert cache_traffic(model, proposed) == (3 * 100 * 16, 4 * 3 * 16)  # read once for all four


@pytest.mark.parametrize(
    ("name", "active", "stated"),
    [
        # as counted here, with embedding and head; as its authors state it
        ("qwen3-30b-a3b", 3_353_032_704, 3.3e9),
        ("qwen3-235b-a22b", 22_190_000_000, 22e9),
        ("olmoe-1b-7b", 1_280_000_000, 1.3e9),
        ("deepseek-moe-16b", 2_830_000_000, 2.8e9),
        ("mixtral-8x7b", 12_880_000_000, 12.9e9),
        ("deepseek-v3", 37_550_000_000, 37e9),
        ("gpt-oss-120b", 5_710_000_000, 5.1e9),  # its authors leave the embedding out: 0.58e9
        ("gpt-oss-20b", 4_190_000_000, 3.6e9),
        ("llama-4-scout", 17_180_000_000, 17e9),
        ("llama-4-maverick", 17_190_000_000, 17e9),
    ],
)
def test_parameters_of_a_token(name: str, active: float, stated: float) -> None:
    model = load_workload(name).model
    assert model.active_parameters == pytest.approx(active, rel=2e-3)
    without = model.vocab * model.hidden if name.startswith("gpt-oss") else 0
    assert model.active_parameters - without == pytest.approx(stated, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 0}, "window 0 must be above 0"),
        ({"context": -1}, "context -1 must be above 0"),
        ({"full_every": 2}, "goes with a window"),
    ],
)
def test_windows_that_cannot_be(changes: dict[str, int], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        MoEModel("tiny", **SHAPE, **changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompt_tokens": 4}, "go with mode 'decode'"),
        ({"tokens_per_sequence": 0, "mode": "decode"}, "tokens_per_sequence 0"),
        ({"cached": 4, "mode": "decode"}, "cached goes with"),
        ({"cached": -1, "mode": "prefill"}, "cached -1"),
    ],
)
def test_batches_that_cannot_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        Batch(**values)  # type: ignore[arg-type]


def test_a_context_beyond_the_models_is_refused() -> None:
    given = load_workload("olmoe-1b-7b")
    with pytest.raises(WorkloadError, match="a decode of 4097 positions is beyond the 4096"):
        given.replace(mode="decode", sequence_length=4097)
    assert given.replace(mode="decode", sequence_length=4096).batch.longest == 4096
