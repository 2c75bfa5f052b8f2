"""Trace files: what goes out comes back, documented dumps are read, and hostile files get one named error."""

import base64
import io
import json
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from noptoolkit import RoutingTrace, limits
from noptoolkit.errors import FormatError, NopError
from noptoolkit.formats import archives, load_trace, save_trace
from noptoolkit.formats.traces import TRACE_READERS

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"

IDS = [[[0, 2], [3, 1], [1, 2]], [[1, 3], [0, 2], [2, 3]]]  # [layers, tokens, k]


def full_trace() -> RoutingTrace:
    return RoutingTrace(
        IDS,
        5,
        source="by hand",
        weights=np.linspace(0, 1, 12).reshape(2, 3, 2),
        domain=[0, 0, 1],
        domains=("code", "prose"),
        document=[7, 7, 9],
        layers=(1, 4),
    )


def same(left: RoutingTrace, right: RoutingTrace) -> bool:
    pairs = [
        (getattr(left, name), getattr(right, name)) for name in ("topk", "weights", "domain", "document")
    ]
    names = ("num_experts", "origin", "source", "domains", "layers")
    return all(np.array_equal(a, b) for a, b in pairs) and all(
        getattr(left, n) == getattr(right, n) for n in names
    )


@pytest.mark.parametrize(
    "trace", [full_trace(), RoutingTrace(IDS, 300, origin="synthetic")], ids=["full", "bare"]
)
def test_what_is_saved_comes_back(tmp_path: Path, trace: RoutingTrace) -> None:
    save_trace(trace, tmp_path / "a.npz")
    save_trace(trace, tmp_path / "b.npz")
    loaded = load_trace(tmp_path / "a.npz")
    assert same(loaded, trace) or (trace.source == "" and (loaded.topk == trace.topk).all())
    assert loaded.origin == trace.origin
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_trace_is_saved_as_npz_alone(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"name it 'a.npz'"):
        save_trace(full_trace(), tmp_path / "a.csv")
    with pytest.raises(FormatError, match="cannot be written"):
        save_trace(full_trace(), tmp_path / "no" / "a.npz")


def test_npy_asks_for_the_experts(tmp_path: Path) -> None:
    for ids in (np.array(IDS), np.asfortranarray(IDS)):
        np.save(tmp_path / "a.npy", ids)
        assert (load_trace(tmp_path / "a.npy", num_experts=4).topk == IDS).all()
    with pytest.raises(FormatError, match="give num_experts="):
        load_trace(tmp_path / "a.npy")


def test_csv(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(
        "# num_experts = 5\n# source = by hand\nlayer,domain,document,expert0,expert1,weight0,weight1\n"
        "1,code,x,0,2,0.5,0.25\n1,code,x,3,1,0.5,0.25\n1,prose,y,1,2,0.5,0.25\n"
        "4,code,x,1,3,0.5,0.25\n4,code,x,0,2,0.5,0.25\n4,prose,y,2,3,0.5,0.125\n"
    )
    trace = load_trace(file)
    assert (trace.topk == IDS).all()
    assert (trace.layers, trace.domains, trace.num_experts, trace.source) == (
        (1, 4),
        ("code", "prose"),
        5,
        "by hand",
    )
    assert trace.weights is not None
    assert trace.weights[1, 2].tolist() == [0.5, 0.125]
    assert np.array_equal(trace.domain, [0, 0, 1])  # type: ignore[arg-type]
    assert np.array_equal(trace.document, [0, 0, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("expert0,expert1\n", "no rows"),
        ("0,1\n1,2\n", "unknown column '0'"),
        ("expert0,expret1\n0,1\n", "unknown column 'expret1'; did you mean"),
        ("expert0,expert0\n0,1\n", "two columns 'expert0'"),
        ("layer\n0\n", "no column 'expert0'"),
        ("expert0,expert1\n0,1\n2\n", "row 2 has 1 values, the header 2"),
        ("expert0,expert1\n0,one\n", "column 'expert1': invalid literal"),
        ("expert0,expert1\n0,99999999999999999999\n", "column 'expert1'"),
        ("expert0,expert1\n0,9\n", "expert id 9 is out of range"),
        ("layer,expert0\n0,1\n0,2\n1,1\n", "every layer needs the same tokens; there are rows: 2 of layer 0"),
        ("# experts = 4\nexpert0\n1\n", "unknown key 'experts'"),
        ("# num_experts = many\nexpert0\n1\n", "num_experts 'many' is not a whole number"),
        ('expert0\n"1\n', "no CSV"),
        ("expert0\n\0\n", "zero bytes"),
    ],
)
def test_a_faulty_csv_names_its_fault(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        load_trace(file, num_experts=5)
    assert str(caught.value).startswith(str(file))


def test_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    tokens = np.array(IDS).transpose(1, 0, 2).tolist()
    file.write_text("".join(json.dumps(token) + "\n" for token in tokens))
    assert (load_trace(file, num_experts=5).topk == IDS).all()
    header = {"num_experts": 5, "layers": [1, 4], "source": "by hand"}
    labels = [("code", 3), ("code", 3), ("prose", 8)]
    lines = [header] + [
        {"experts": token, "domain": domain, "document": document}
        for token, (domain, document) in zip(tokens, labels, strict=True)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    trace = load_trace(file)
    assert (trace.topk == IDS).all()
    assert trace.layers == (1, 4)
    assert trace.domains == ("code", "prose")
    assert np.array_equal(trace.document, [0, 0, 1])  # type: ignore[arg-type]
    file.with_suffix(".json").write_text(json.dumps({"num_experts": 5, "topk": IDS}))
    assert (load_trace(file.with_suffix(".json")).topk == IDS).all()
    file.with_suffix(".json").write_text(json.dumps({"top_k": 1, "loads": [3, 1, 1]}))
    assert load_trace(file.with_suffix(".json")).origin == "loads"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no tokens"),
        ("[[0, 1]]\n[[0, 1]", "line 2: no JSON"),
        ("[[0, 1]]\n[[0]]", "ragged"),
        ("[[0, 1]]\n[0, 1]", "ragged"),
        ('{"num_expert": 4}\n[[0, 1]]', "unknown key 'num_expert'; did you mean 'num_experts'"),
        ('{"num_experts": 900000000}\n[[0, 1]]', "not between 1 and 65536"),
        ('{"num_experts": 4.5}\n[[0, 1]]', "num_experts 4.5 is not a whole number"),
        ('{"experts": [0, 1], "dominion": 1}', "unknown key 'dominion'"),
        ('{"experts": [0, 1]}\n{"experts": [0, 1], "domain": "a"}', "token 1 has"),
        ('{"topk": [[0, 1]]}\n[0, 1]', "give one"),
        ('{"topk": [[0, 1], [1]]}', "ragged"),
        ('[["a", "b"]]', "whole numbers"),
        ("[" * 100_000, "no JSON|nested too deeply"),
        ('{"loads": [1, 2, 3]}', "give top_k="),
        ('{"loads": [[1, 2], [3]], "top_k": 1}', "loads is ragged"),
        ('{"topk": [[0, 1]], "num_experts": 2, "layers": ["a"]}', "give the number of each"),
        ('{"topk": [[0, 1]], "num_experts": 2, "weights": "x"}', "weights are numbers"),
        ('{"topk": [[0, 1]], "num_experts": 2, "domain": ["x"], "domains": ["x"]}', "one whole number"),
        ('{"topk": [[0, 1]], "num_experts": 2, "origin": "mars"}', "no origin 'mars'"),
        ('{"loads": "many", "top_k": 1}', "loads is an array of"),
        ('{"loads": [[1, -2, 3]], "top_k": 1}', "not negative"),
        ('{"loads": [[1, 1, 1]], "top_k": 1, "num_experts": 4}', "loads of 3 experts, not of 4"),
        ('{"loads": [[1, 1, 1]], "top_k": 1, "domains": ["a", "b"]}', "names 2 domains"),
    ],
)
def test_faulty_json_lines_name_their_fault(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    experts = None if "num_expert" in text or "loads" in text else 4
    with pytest.raises(FormatError, match=message) as caught:
        load_trace(file, num_experts=experts)
    assert str(caught.value).startswith(str(file))


def vllm_response(as_bytes: bool) -> dict[str, object]:
    prompt = np.array([[[-1, -1], [-1, -1]], [[0, 2], [1, 3]], [[3, 1], [0, 2]]], dtype=np.int16)
    generated = np.array([[[1, 2], [2, 3]]], dtype=np.int16)

    def sent(ids: np.ndarray) -> object:
        if not as_bytes:
            return ids.tolist()
        np.save(stream := io.BytesIO(), ids)
        return base64.b64encode(stream.getvalue()).decode()

    choice = {"index": 0, "text": "...", "routed_experts": sent(generated)}
    return {"id": "cmpl-1", "prompt_routed_experts": sent(prompt), "choices": [choice]}


@pytest.mark.parametrize("as_bytes", [False, True])
def test_vllm_responses(tmp_path: Path, as_bytes: bool) -> None:
    response = vllm_response(as_bytes)
    one, two = tmp_path / "one.json", tmp_path / "two.jsonl"
    one.write_text(json.dumps(response))
    two.write_text(json.dumps(response) + "\n" + json.dumps(response) + "\n")
    trace = load_trace(one, num_experts=4)
    assert (trace.topk == IDS).all()
    both = load_trace(two, num_experts=4)
    assert (both.topk == np.concatenate([IDS, IDS], axis=1)).all()
    assert np.array_equal(both.document, [0, 0, 0, 1, 1, 1])  # type: ignore[arg-type]
    assert "vLLM" in both.source


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"choices": []}, "serve with --enable-return-routed-experts"),
        ({"choices": [{"routed_experts": None}]}, "serve with --enable-return-routed-experts"),
        ({"choices": 3}, "choices is not a list"),
        ({"choices": [{"routed_experts": [[0, 1]]}]}, "not \\[tokens, layers, k\\]"),
        ({"choices": [{"routed_experts": [[[0, 1]], [[2]]]}]}, "as many values in every row"),
        ({"choices": [{"routed_experts": "not base64!"}]}, "cannot be read"),
        ({"choices": [{"routed_experts": "AAAA"}]}, "cannot be read"),
        ({"choices": [{"routed_experts": [[[-1, -1]]]}]}, "prefix cache"),
        ({"choices": [{"routed_experts": [[[0, 1]]]}, {"routed_experts": [[[0]]]}]}, "different"),
    ],
)
def test_a_faulty_response_names_its_fault(tmp_path: Path, response: object, message: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(response))
    with pytest.raises(FormatError, match=message):
        load_trace(file, num_experts=4)


def test_sglang_tokens_come_back_as_logical_experts() -> None:
    trace = load_trace(DATA / "sglang_per_token.pt")
    assert trace.topk.tolist() == [[[0, 3], [1, 0], [0, 3], [2, 1]], [[2, 1], [2, 3], [3, 1], [0, 1]]]
    assert (trace.layers, trace.num_experts, trace.origin) == ((1, 2), 4, "recorded")


@pytest.mark.parametrize("mode", ["per_pass", "stat"])
def test_sglang_counts_are_loads(mode: str) -> None:
    recorded = load_trace(DATA / "sglang_per_token.pt")
    trace = load_trace(DATA / f"sglang_{mode}.pt", top_k=2, tokens=4000)
    assert (trace.layers, trace.num_experts, trace.origin) == ((1, 2), 4, "loads")
    for layer in range(2):
        share = recorded.layer(layer).load() / 4
        assert np.allclose(trace.layer(layer).load() / 4000, share, atol=0.04)


def repacked(path: Path, source: Path, **members: bytes) -> Path:
    """Write a copy of a PyTorch archive in which some members are others."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            key = name.split("/")[-1].replace(".", "_")
            new.writestr(name, members.get(key, old.read(name)))
    return path


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('the pickle was run')",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(Hostile()), "names (builtins|__builtin__).exec, which is never loaded"),
        (pickle.dumps([1]), "holds no dictionary"),
        (pickle.dumps({"records": []}), "not as SGLang's recorder writes it"),
        (pickle.dumps({"logical_count": 3}), "not .steps, layers, experts."),
        (b"\x80\x02]r\x00\x00\x00\x7f.", "damaged .memo"),
        (b"\x80\x02", "no sound PyTorch archive"),
        (
            b"\x80\x02(X\x07\x00\x00\x00storagectorch\nIntStorage\nX\x01\x00\x00\x00xX\x03\x00\x00\x00cpuK\x01tQ.",
            "x",
        ),
    ],
    ids=["exec", "list", "keys", "number", "memo", "cut", "storage"],
)
def test_a_hostile_pickle_is_never_run(tmp_path: Path, data: bytes, message: str) -> None:
    file = repacked(tmp_path / "bad.pt", DATA / "sglang_stat.pt", data_pkl=data)
    with pytest.raises(FormatError, match=message):
        load_trace(file, top_k=2)


def test_a_tensor_outside_its_storage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="has 2 of its 24 values"):
        load_trace(repacked(tmp_path / "a.pt", DATA / "sglang_stat.pt", **{"0": bytes(8)}), top_k=2)
    for shape, stride, offset in (((2,), (1,), 9), ((9, 9), (0, 0), 0), ((2,), (-1,), 3), ((2, 2), (1,), 0)):
        with pytest.raises(pickle.UnpicklingError):
            archives._strided(np.arange(4), offset, shape, stride)
    assert archives._strided(np.arange(6), 0, (2, 3), (1, 2)).tolist() == [[0, 2, 4], [1, 3, 5]]


def test_objects_in_numpy_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Hostile()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", topk=np.array([Hostile()], dtype=object), allow_pickle=True)
    np.save(tmp_path / "b.npy", np.zeros(2, dtype=[("x", "i4")]))
    for name in ("a.npy", "a.npz", "b.npy"):
        with pytest.raises(FormatError, match=r"write numbers or text"):
            load_trace(tmp_path / name, num_experts=4)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", topk=np.zeros((1, 10_000, 1), dtype=np.uint8), num_experts=1)
    np.save(tmp_path / "a.npy", np.zeros((1, 10_000, 1), dtype=np.uint8))
    for file in (tmp_path / "a.npz", tmp_path / "a.npy", DATA / "sglang_per_token.pt"):
        with limits.raised(archive_bytes=500), pytest.raises(FormatError, match="archive_bytes="):
            load_trace(file, num_experts=4)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**15, 1)}
    )
    (tmp_path / "a.npy").write_bytes(header.getvalue() + bytes(100))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("topk.npy", header.getvalue() + bytes(100))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(FormatError, match="truncated: shape"):
            load_trace(tmp_path / name, num_experts=4)


@pytest.mark.parametrize("suffix", TRACE_READERS)
def test_damage_never_escapes_as_another_error(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"good{suffix}"
    if suffix == ".pt":
        source.write_bytes((DATA / "sglang_per_token.pt").read_bytes())
    elif suffix == ".npz":
        save_trace(full_trace(), source)
    elif suffix == ".npy":
        np.save(source, np.array(IDS))
    elif suffix == ".csv":
        source.write_text("# num_experts = 5\nlayer,expert0,expert1\n0,0,1\n0,1,2\n")
    else:
        source.write_text(json.dumps(vllm_response(as_bytes=True)))
    good, bad = source.read_bytes(), tmp_path / f"bad{suffix}"
    rng = np.random.default_rng(0)
    for i in range(200):
        data = bytearray(good[: int(rng.integers(0, len(good)))] if i % 2 else good)
        for place in rng.integers(0, max(len(data), 1), 3 if data else 0):
            data[place] = rng.integers(0, 256)
        bad.write_bytes(bytes(data))
        with suppress(FormatError):
            load_trace(bad, num_experts=5 if suffix != ".pt" else None)


def test_an_unknown_ending_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"did you mean '.json'"):
        load_trace(tmp_path / "a.jsn")
    with pytest.raises(FormatError, match=r"known: .npz"):
        load_trace(tmp_path / "a")
    for suffix in TRACE_READERS:
        with pytest.raises(FormatError, match="cannot be read"):
            load_trace(tmp_path / f"missing{suffix}")
        (tmp_path / f"folder{suffix}").mkdir()
        with pytest.raises(FormatError, match="cannot be read"):
            load_trace(tmp_path / f"folder{suffix}")


def test_a_file_and_its_caller_must_agree(tmp_path: Path) -> None:
    save_trace(full_trace(), tmp_path / "a.npz")
    with pytest.raises(NopError, match="num_experts is 5 in the file, 4 was asked for"):
        load_trace(tmp_path / "a.npz", num_experts=4)
    with pytest.raises(NopError, match="top_k is 2 in the file, 3 was asked for"):
        load_trace(tmp_path / "a.npz", top_k=3)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data, which the project does not ship")
def test_recorded_routing_of_gpt_oss() -> None:
    trace = load_trace(SHARED / "gptoss20b_top4.npz")
    assert trace.topk.shape == (24, 31515, 4)
    assert len(trace.domains) == 11
    assert trace.document is not None
    assert trace.coactivation().sum() == 24 * 31515 * 12


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data, which the project does not ship")
def test_recorded_loads_of_olmoe() -> None:
    trace = load_trace(SHARED / "olmoe_loads.npz", top_k=8)
    assert (trace.origin, trace.layers) == ("loads", (0, 7, 15))
    with np.load(SHARED / "olmoe_loads.npz") as recorded:
        loads = recorded["loads"]
    for i, domain in enumerate(trace.domains):
        share = loads[i] / loads[i].sum(axis=1, keepdims=True)
        one = trace.in_domain(domain)
        drawn = np.array([one.layer(layer).load() for layer in range(3)]) / one.num_tokens / 8
        assert abs(drawn - share).max() < 0.01


def test_a_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    file.write_text("\ufeffexpert0,expert1\n0,1\n", encoding="utf-8")
    assert load_trace(file, num_experts=4).topk.tolist() == [[[0, 1]]]


@pytest.mark.parametrize("said", [None, "synthetic", "recorded"])
def test_a_file_carries_its_origin_and_is_not_recorded_unless_it_says_so(tmp_path, said):
    path = tmp_path / "own.npz"
    more = {} if said is None else {"origin": said}
    np.savez(path, topk=np.array([[[0, 1], [1, 2]]]), num_experts=4, **more)
    assert load_trace(path).origin == (said or "unstated")
    assert load_trace(path, origin="synthetic").origin == "synthetic"
    save_trace(load_trace(path), tmp_path / "again.npz")
    assert load_trace(tmp_path / "again.npz").origin == (said or "unstated")
