"""Workload presets against the published totals, and what a workload file may hold."""

from pathlib import Path

import numpy as np
import pytest

from noptoolkit import RoutingTrace, SyntheticRouting
from noptoolkit.errors import FormatError, UnknownNameError, WorkloadError
from noptoolkit.formats import list_workloads, load_trace, load_workload, workload_descriptions

DATA = Path(__file__).parents[3] / "shared" / "data"
MODEL = """
[model]
name = "toy"
hidden = 8
layers = 2
heads = 2
kv_heads = 1
head_dim = 4
vocab = 16
expert_width = 8
experts = 4
top_k = 2
"""
HEAD = 'schema = 1\nsource = "made up"\n'
TOY = HEAD + MODEL


OF_PLANS = {
    "mixtral-8x22b": (140_630_071_296, 39_161_468_928),
    "mixtral-8x22b-g8t8": (140_649_338_880, 22_269_302_784),
    "qwen2-57b-a14b": (57_408_429_568, 14_249_041_408),
    "llama3-8x70b": (465_159_069_696, 126_930_395_136),
    "aquilamoe-8x16b": (104_736_885_760, 29_239_413_760),
}
"""Models of published parallel plans: all and active parameters, added up outside of the toolkit."""


@pytest.mark.parametrize("name", list_workloads())
def test_preset(name: str) -> None:
    workload = load_workload(name)
    model = workload.model
    assert workload.name == name
    assert workload.source
    assert workload.assumed
    if model.published_parameters is None:
        assert any("a total is not published" in text for text in workload.assumed)
    else:
        off = model.parameters / model.published_parameters - 1
        if name == "llama-4-scout":  # the published total counts the vision encoder
            assert off == pytest.approx(-0.0113, abs=2e-4)
        else:
            assert abs(off) < (0.003 if name == "mixtral-8x22b" else 0.002)  # published as 141 B
    batch = workload.batch
    planned = name in OF_PLANS
    expected = (256, 4096, 32) if planned else (32, 256, 4)
    assert (batch.sequences, batch.sequence_length, batch.micro_batches) == expected
    assert batch.mode == "training"
    assert workload.trace.origin == ("recorded" if name == "stdlib-moe" else "synthetic")


@pytest.mark.parametrize(("name", "counts"), OF_PLANS.items())
def test_parameters_of_models_with_published_plans(name: str, counts: tuple[int, int]) -> None:
    model = load_workload(name).model
    assert (model.parameters, model.active_parameters) == counts


def test_fifteen_models_and_our_own() -> None:
    assert len(list_workloads()) == 16
    for name, text in workload_descriptions().items():
        assert ("routing recorded" if name == "stdlib-moe" else "routing synthetic") in text


RECOMPUTED = {
    "qwen3-30b-a3b": 30_532_122_624,
    "olmoe-1b-7b": 6_919_161_856,
    "deepseek-moe-16b": 16_375_728_128,
    "mixtral-8x7b": 46_702_792_704,
    "deepseek-v3": 671_026_419_200,
    "qwen3-235b-a22b": 235_093_634_560,
    "gpt-oss-120b": 116_829_156_672,
    "llama-4-scout": 107_769_861_120,
    "llama-4-maverick": 400_711_848_960,
}


@pytest.mark.parametrize(("name", "count"), RECOMPUTED.items())
def test_parameters(name: str, count: int) -> None:
    assert load_workload(name).model.parameters == count


@pytest.mark.parametrize(
    ("name", "published"), [("qwen3-30b-a3b", 6.58), ("olmoe-1b-7b", 6.84), ("deepseek-moe-16b", 5.56)]
)
def test_contiguous_layout_has_the_published_copies(name: str, published: float) -> None:
    generator = load_workload(name).routing
    assert isinstance(generator, SyntheticRouting)
    trace = load_workload(name).trace
    chiplet = np.sort(trace.topk.astype(int) // (trace.num_experts // 16), axis=2)
    copies = 1 + (np.diff(chiplet, axis=2) > 0).sum(axis=2).mean()
    assert copies == pytest.approx(published, rel=0.02)


def test_recorded_trace() -> None:
    path = DATA / "gptoss20b_top4.npz"
    if not path.exists():
        pytest.skip("the recorded routing of gpt-oss-20b is not part of the project")
    trace = load_workload("gpt-oss-20b", trace=load_trace(path, origin="recorded")).trace
    assert trace.origin == "recorded"
    assert trace.topk.shape == (24, 31515, 4)
    with pytest.raises(WorkloadError, match="experts"):
        load_workload("qwen3-30b-a3b", trace=path)


def test_routing_from_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", topk=np.array([[[0, 1], [2, 3]]]))
    file = tmp_path / "toy.toml"
    file.write_text(TOY + '[routing]\ntrace = "t.npz"\n')
    assert load_workload(file).trace.num_tokens == 2
    other = RoutingTrace([[0, 3]], num_experts=4)
    assert load_workload(file, trace=other).trace is other
    (tmp_path / "t.npz").unlink()
    assert load_workload(file, trace=other).trace is other
    with pytest.raises(FormatError, match=r"toy\.toml: .*t\.npz: cannot be read"):
        load_workload(file)


def test_routing_from_loads(tmp_path: Path) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(TOY + "[routing]\nloads = [[4, 2, 1, 1], [1, 1, 1, 1]]\ntokens = 20000\nseed = 3\n")
    trace = load_workload(file).trace
    assert trace.origin == "loads"
    assert trace.layer(0).load() / 20000 == pytest.approx([1.0, 0.5, 0.25, 0.25], abs=0.02)


def test_no_routing(tmp_path: Path) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(TOY)
    with pytest.raises(WorkloadError, match="has no routing"):
        _ = load_workload(file).trace


BAD = {
    "no source": ("schema = 1\n" + MODEL, "'source' is missing"),
    "no model": (HEAD, r"\[model\] is missing"),
    "unknown key": (TOY + "hiden = 3", "did you mean 'hidden'"),
    "missing key": (TOY.replace("top_k = 2", ""), "'top_k' is missing"),
    "zero": (TOY.replace("experts = 4", "experts = 0"), "above 0"),
    "fraction": (TOY.replace("layers = 2", "layers = 2.5"), "layers = 2.5"),
    "huge": (TOY.replace("layers = 2", "layers = 2000000000"), "more than 10000"),
    "huge draw": (TOY + "[routing.generator]\ntokens = 9000000\nlayers=9000\ntopics=2", "too many to draw"),
    "choice": (TOY + 'qk_norm = "hed"', "qk_norm = 'hed'"),
    "mode": (TOY + '[batch]\nmode = "train"', "mode = 'train'"),
    "batch": (TOY + "[batch]\nsequences = 5\nmicro_batches = 2", "do not divide"),
    "two routings": (TOY + '[routing]\ntrace = "x.npz"\nloads = [1, 1, 1, 1]', "keep one"),
    "stray seed": (TOY + "[routing]\nseed = 1", "goes with 'loads'"),
    "bad generator": (TOY + "[routing.generator]\ntopic = 3", "did you mean 'topics'"),
    "strided": (TOY + "[routing.generator]\nstrided = 1.5\ntopics = 2", "0 to 1"),
    "negative load": (TOY + "[routing]\nloads = [1, -1, 1, 1]", "not negative"),
    "NaN load": (TOY + "[routing]\nloads = [1, nan, 1, 1]", "finite"),
    "few loads": (TOY + "[routing]\nloads = [1, 0, 0, 0]", "at least top_k"),
    "loads of another model": (TOY + "[routing]\nloads = [1, 1, 1]", "3 experts"),
    "model of another type": (HEAD + "model = 3", "must be a table"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str, tmp_path: Path) -> None:
    text, reason = BAD[case]
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(FormatError, match=reason) as caught:
        load_workload(file)
    assert str(caught.value).startswith("bad.toml:")


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'qwen3-30b-a3b'"):
        load_workload("qwen3-30b")
