"""Small files that ask for much: each is refused with one error, before the work is done."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noptoolkit import allocate, limits, load_topology, load_trace, load_workload, schedule
from noptoolkit.errors import FormatError, NopError
from noptoolkit.formats import archives
from noptoolkit.formats.expert_maps import load_expert_map
from noptoolkit.formats.workload_toml import is_workload_file
from noptoolkit.simulate.booksim import read_booksim_config
from noptoolkit.testing.samples import torch_archive
from noptoolkit.units import parse_quantity

HEX = "0x" + "F" * 6000
CHIPLETS = '[[chiplet]]\nname = "a"\nrole = "expert"\n'


def npz(**arrays: Any) -> bytes:
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    return target.getvalue()


def archive(method: int, **members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as made:
        for name, content in members.items():
            made.writestr(name.replace("__", "/").replace("_npy", ".npy").replace("_pkl", ".pkl"), content)
    return target.getvalue()


def bad_letters() -> bytes:
    stream = io.BytesIO()
    header = {"descr": "<U1", "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(stream, header)
    return archive(zipfile.ZIP_STORED, topk_npy=stream.getvalue() + b"\xff\xff\xff\xff")


def nested_pickle() -> bytes:
    value: Any = [0] * 10
    for _ in range(12):
        value = [value] * 10
    return archive(zipfile.ZIP_STORED, archive__data_pkl=pickle.dumps(value, protocol=2))


FILES: dict[str, bytes] = {
    "name.toml": f"schema = 1\nname = {HEX}\n{CHIPLETS}".encode(),
    "schema.toml": f"schema = {HEX}\n{CHIPLETS}".encode(),
    "number.json": b'{"nodes": [{"id": ' + b"9" * 4000 + b'}], "edges": []}',
    "infinite.json": b'{"nodes": [{"id": 1e999}], "edges": []}',
    "deep.json": b'{"nodes": [' + b"[" * 300 + b"]" * 300 + b'], "edges": []}',
    "redos.json": json.dumps(
        {
            "nodes": [{"id": "a"}, {"id": "b"}],
            "edges": [{"source": "a", "target": "b", "bandwidth": "9" * 200_000 + " parsec"}],
        }
    ).encode(),
    "subgraphs.dot": b"graph { subgraph s { "
    + b";".join(b"n%d" % i for i in range(8000))
    + b" } "
    + b"subgraph s {} " * 8000
    + b"}",
    "list.gml": b"graph [ node [ id 0 ] node [ id 1 ] edge [ source [ a 1 ] target 1 ] ]",
    "digits.csv": b"expert" + b"1" * 5000 + b"\n1\n",
    "columns.csv": b",".join(b"expert%d" % i for i in range(20_000))
    + b"\n"
    + b",".join([b"1"] * 20_000)
    + b"\n",
    "top_k.csv": b"# top_k = x\nlayer_id,expert_id,count\n0,0,2\n",
    "mixed.json": json.dumps({"topk": [["x" * 20_000] + [1] * 20_000], "num_experts": 4}).encode(),
    "keys.jsonl": b'{"num_experts":8}\n{"weights":[[1.0]]}\n',
    "map.json": b'{"snapshots":[{"window_expert_load": [[71, 1]], "physical_to_logical_map": [[1e308, 3]]}]}',
    "letters.npz": bad_letters(),
    "lzma.npz": archive(zipfile.ZIP_LZMA, topk_npy=b"x"),
    "bomb.npz": npz(topk=np.zeros((1, 100_000_000, 1), dtype=np.uint8), num_experts=1),
    "draws.npz": npz(loads=np.ones((500, 2000)), top_k=1999),
    "map.pt": torch_archive(
        {
            "records": [{"global_physical_count": np.array([[1]])}],
            "last_physical_to_logical_map": np.array([[10**9]]),
        }
    ),
    "none.pt": archive(zipfile.ZIP_STORED, archive__data_pkl=b"\x80\x02}X\x0d\x00\x00\x00logical_countNs."),
    "nested.pt": nested_pickle(),
    "set.pt": archive(
        zipfile.ZIP_STORED,
        archive__data_pkl=b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x04\x00\x00\x00_defK\x01s\x86b.",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_small_files_that_ask_for_much_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    read = load_topology if path.suffix in (".toml", ".dot", ".gml") else load_trace
    if path.suffix == ".json" and b'"nodes"' in FILES[name]:
        read = load_topology  # type: ignore[assignment]
    with pytest.raises(NopError) as caught:
        read(path)  # type: ignore[operator]
    assert 0 < len(str(caught.value)) < 2000


def test_workloads_with_absurd_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.toml"
    path.write_text(f'schema = 1\nsource = "x"\nbase = "gpt-oss-20b"\n[model]\nlayers = {HEX}\n')
    with pytest.raises(FormatError, match="digits in a whole number, more than 308"):
        load_workload(path)
    path.write_text(
        'schema = 1\nbase = "gpt-oss-20b"\n[routing.generator]\ntokens = 9000000\nlayers = 9000\n'
    )
    with pytest.raises(FormatError, match="too many to draw"):
        load_workload(path)
    path.write_text("\n" * 300_000)  # patterns that look behind blank lines take the square of this
    assert not is_workload_file(path)


def test_open_comments_take_no_time() -> None:
    assert read_booksim_config("num_vcs = 4; " + "/* " * 300_000)[0].vcs == 4


def test_maps_of_far_experts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"physical_to_logical_map": [[0, 99000000]]}')
    with pytest.raises(FormatError, match="end below 65536"):
        load_expert_map(path, 2)


def test_limits_are_raised_by_argument_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(f'schema = 1\n# {"x" * 5000}\nbuilder = "mesh"\n[params]\nrows = 2\ncolumns = 2\n')
    with limits.raised(text_bytes=1000), pytest.raises(FormatError, match="NOPTOOLKIT_LIMITS=text_bytes="):
        load_topology(path)
    monkeypatch.setenv("NOPTOOLKIT_LIMITS", "text_bytes=1e3")
    with pytest.raises(FormatError, match=r"larger than 0\.001 MB"):
        load_topology(path)
    monkeypatch.setenv("NOPTOOLKIT_LIMITS", "text_bytes=1e5, values = 7")
    assert len(load_topology(path).chiplets) == 4
    assert limits.current().values == 7
    for text, message in (
        ("bytes=3", "no limit named"),
        ("values=x", "not NAME=NUMBER"),
        ("values=0", "above 0"),
    ):
        monkeypatch.setenv("NOPTOOLKIT_LIMITS", text)
        with pytest.raises(FormatError, match=message):
            load_topology(path)


def test_numbers_too_long_to_write_are_named() -> None:
    with pytest.raises(FormatError, match="bandwidth a number of 5001 digits is not finite"):
        parse_quantity(10**5000, "B/s", "bandwidth")
    with pytest.raises(FormatError, match="has 300 letters"):
        parse_quantity("9" * 300, "B/s")


def test_loads_of_any_size_are_drawn_from(tmp_path: Path) -> None:
    for scale in (1e308, 1e-320):
        path = tmp_path / "l.npz"
        path.write_bytes(npz(loads=np.array([1.0, 0.25, 0.25, 0.5]) * scale, top_k=2))
        trace = load_trace(path, tokens=4000)
        assert np.allclose(trace.load() / 4000, [1.0, 0.25, 0.25, 0.5], atol=0.05)


def test_tensors_may_share_a_storage_but_not_a_thousandfold(tmp_path: Path) -> None:
    rebuild = archives._Rebuild(100)
    assert rebuild(np.arange(4), 0, (2, 2), (2, 1)).tolist() == [[0, 1], [2, 3]]
    assert rebuild(np.arange(4), 0, (4,), (1,)).tolist() == [0, 1, 2, 3]
    rebuild(np.arange(4), 0, (4,), (1,))
    with pytest.raises(pickle.UnpicklingError, match="many times its size"):
        rebuild(np.arange(4), 0, (4,), (1,))
    with pytest.raises(AttributeError):
        rebuild.__defaults__ = (1,)


def test_steps_of_endless_tokens_are_refused() -> None:
    workload = load_workload("stdlib-moe").replace(sequences=2**20, sequence_length=2**20, micro_batches=1)
    package = load_topology("mesh-4x4")
    layout = allocate(workload.trace, package, method="contiguous")
    with pytest.raises(FormatError, match=r"1,099,511,627,776 tokens in a step.*NOPTOOLKIT_LIMITS=tokens="):
        schedule(package, workload, layout, routing="shortest")


def test_a_folder_that_is_no_design_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="a folder, and no RapidChiplet design"):
        load_topology(tmp_path)
