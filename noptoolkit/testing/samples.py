"""Sound files of every kind, small, for mutants to be made of."""

from __future__ import annotations

import base64
import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit.allocation import Allocation
from noptoolkit.formats import save_topology
from noptoolkit.formats.allocations import save_allocation
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Package, Switch

__all__ = ["SAMPLES", "samples_of", "torch_archive"]

IDS = [[[0, 1], [1, 2], [3, 0]], [[2, 1], [1, 0], [2, 3]]]


def packages() -> tuple[Package, ...]:
    """Return packages that have, together, a value in every field."""
    wheel = Package(
        "wheel",
        [
            Chiplet(
                "a", role="attention", flops="1 TFLOP/s", sram="8 MB", sram_bandwidth="1 TB/s", group="g"
            ),
            Chiplet("e0", role="expert", injection_bandwidth="9 GB/s", position=(0, 0), size=(0.01, 0.01)),
            Chiplet("e1", role="expert", crossbar_bandwidth="50 GB/s", replicates=True, latency="2 ns"),
            Switch("s", reduces=True, replicates=True),
            Memory("m", "100 GB/s", capacity="8 GB", serves=("e0",)),
        ],
        [
            Link("a", "s", "64 GB/s", latency="1 ns", energy_per_bit="0.5 pJ/bit", length="3 mm"),
            Link("e0", "s", "64 GB/s", reverse_bandwidth="32 GB/s"),
            Link("e1", "s", "64 GB/s"),
            Link("e1", "s", "64 GB/s"),
            Link("e0", "e1", "16 GB/s", half_duplex=True),
            Link("e0", "m", "100 GB/s", kind=LinkKind.MEMORY),
        ],
        source="by hand",
        assumed=("all of it",),
    )
    ring = Package("ring", [Chiplet(f"e{i}", role="expert") for i in range(4)], _ring(4))
    return wheel, ring


def _ring(count: int) -> list[Link]:
    return [Link(f"e{i}", f"e{(i + 1) % count}", "8 GB/s") for i in range(count)]


def _written(suffix: str, format: str | None = None, *, only_ring: bool = False) -> list[bytes]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for package in packages()[1 if only_ring else 0 :]:
            path = Path(folder) / f"{package.name}{suffix}"
            save_topology(package, path, format=format)
            found.append(path.read_bytes())
    return found


def _toml() -> list[bytes]:
    built = 'schema = 1\nbuilder = "mesh"\n[params]\nrows = 2\ncolumns = 3\nlink_bandwidth = "8 GB/s"\n'
    return [*_written(".toml"), built.encode(), b'schema = 1\nname = "b"\nbase = "mesh-4x4"\n']


ZOO_GML = """graph [
  directed 0
  Network "Tiny"
  DateObtained "8/12/10"
  node [ id 0 label "A" Country "X" Longitude -1.5 Latitude 52.0 Internal 1 ]
  node [ id 1 label "B" Longitude -2.5 Latitude 51.0 graphics [ x 1.0 y 2.0 ] ]
  node [ id 2 label "C" ]
  edge [ source 0 target 1 LinkSpeed "10" LinkSpeedUnits "G" LinkSpeedRaw 1e10 ]
  edge [ source 1 target 2 key 1 LinkSpeedRaw 155000000.0 ]
]
"""
TOPOHUB = {
    "directed": False,
    "multigraph": False,
    "graph": {"name": "tiny", "demands": {"0": {"1": 2.5}}, "stats": {"nodes": 2}},
    "nodes": [{"id": 0, "name": "A", "pos": [1.0, 2.0]}, {"id": 1, "name": "B", "pos": [2.0, 2.5]}],
    "links": [{"source": 0, "target": 1, "dist": 80.3, "ecmp_fwd": {"uni": 50.0}, "ecmp_bwd": {"uni": 50.0}}],
}
DIRECTED_DOT = (
    'strict digraph "d" {\n  node [role="expert"]; //\n  edge [bandwidth="8 GB/s"];\n  a -> b -> c -> a;\n'
    '  subgraph cluster_0 { d; e } /* two */\n  a -> subgraph cluster_0 {} -> {b c} [latency="1 ns"];\n}\n'
)
WORKLOADS = (
    """schema = 1
name = "w"
source = "by hand"
[model]
name = "m"
hidden = 64
heads = 4
kv_heads = 2
head_dim = 16
vocab = 100
expert_width = 32
layers = 2
experts = 8
top_k = 2
[batch]
sequences = 4
sequence_length = 16
micro_batches = 2
[routing.generator]
tokens = 100
layers = 2
topics = 4
affinity = 1.5
zipf = 0.5
""",
    """schema = 1
source = "loads"
[model]
name = "m"
hidden = 64
heads = 4
kv_heads = 2
head_dim = 16
vocab = 100
expert_width = 32
layers = 1
experts = 4
top_k = 1
[routing]
loads = [[1.0, 2.0, 3.0, 4.0]]
tokens = 50
seed = 3
""",
    'schema = 1\nsource = "base"\nbase = "qwen3-30b-a3b"\n[batch]\nsequences = 8\n',
)
ASTRA = (
    b"# two\ntopology: [ Ring, Switch ]\nnpus_count: [ 4, 2 ]\nbandwidth: [ 50, 25.0 ]\nlatency: [ 500, 1 ]\n"
)
STUDY = b"""schema = 1
name = "s"
metrics = ["all_to_all", "links"]
where = ["params.rows <= 3", "params.rows * 2 < 9"]
sample = "random"
points = 5
seed = 1
[space]
builder = ["mesh", "torus"]
params.rows = [2, 3]
params.link_bandwidth = {low = "8 GB/s", high = "64 GB/s", count = 3, log = true}
"""
SEARCHES = (
    b"""schema = 1
name = "grid"
[class]
rows = 3
columns = 2
ports = 4
bandwidth = "128 GB/s"
links = "single"
reach = 2
wire = 40.5
total = 12
[traffic]
kind = "all-to-all"
bytes = "1 MB"
[search]
solves = 40
screens = 1200
seed = 3
""",
    b"""schema = 1
[class]
rows = 2
switches = [4, 4]
copiers = 2
movable = true
[traffic]
kind = "matrix"
matrix = [[0, 1e6, 5, 1], [1, 0, 1, 1], [2, 2, 0, 2], [0.5, 0, 0, 0]]
""",
    b"""schema = 1
[class]
package = "ring-16"
bandwidth = "64 GB/s"
copiers = "given"
technology = "ucie-2d"
[objective]
metric = "step"
workload = "olmoe-1b-7b"
layout = "fixed"
""",
)


def _booksim() -> list[bytes]:
    return [*_written(".anynet"), b"router 0 node 0 router 1 2 router 2\nrouter 1 node 1 node 2\nrouter 2\n"]


def _infragraph() -> list[bytes]:
    return _written(".infragraph", only_ring=True)


def _rapidchiplet() -> list[bytes]:
    """Return a design as one JSON object of its files."""
    from noptoolkit.physical import place

    with tempfile.TemporaryDirectory() as folder:
        save_topology(place(packages()[1]), Path(folder) / "design", format="rapidchiplet")
        parts = {
            path.name: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((Path(folder) / "design").rglob("*.json"))
        }
    return [json.dumps(parts).encode()]


def _npz(**arrays: Any) -> bytes:
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    return target.getvalue()


def _npz_samples() -> list[bytes]:
    ids = np.array(IDS)
    return [
        _npz(topk=ids, num_experts=4, origin="recorded", source="by hand", layers=np.array([3, 5])),
        _npz(topk=ids, num_experts=4, weights=np.full(ids.shape, 0.5), document=np.array([0, 0, 1])),
        _npz(topk=ids, num_experts=4, domain=np.array([0, 1, 1]), domains=np.array(["code", "prose"])),
        _npz(loads=np.array([[5.0, 1.0, 2.0, 2.0]]), top_k=2),
        _npz(phy2log=np.array([[0, 1, 2, 0]])),
    ]


def _npy() -> list[bytes]:
    found = []
    for array in (np.array(IDS), np.array(IDS[0], dtype=np.uint8), np.array([[0, 1, 2, 0]])):
        target = io.BytesIO()
        np.save(target, array)
        found.append(target.getvalue())
    return found


CSV = (
    b"# num_experts = 4\n# source = x\nlayer,domain,document,expert0,expert1,weight0,weight1\n"
    b"0,code,d,0,1,0.5,0.5\n0,prose,e,1,2,0.25,0.75\n1,code,d,3,1,0.5,0.5\n1,prose,e,1,0,0.25,0.75\n",
    b"# top_k = 2\nlayer_id,expert_id,count\n0,0,5\n0,1,2\n0,3,1\n1,0,4\n1,2,2\n"
    b"layer_id,expert_id,count\n1,1,3\n",
)


def _json_values() -> list[Any]:
    buffer = io.BytesIO()
    np.save(buffer, np.array(IDS).transpose(1, 0, 2))
    coded = base64.b64encode(buffer.getvalue()).decode()
    tokens: list[dict[str, Any]] = [
        {"experts": [0, 1], "weights": [0.5, 0.5], "domain": "x", "document": 1},
        {"experts": [2, 3], "weights": [0.1, 0.9], "domain": "y", "document": 2},
    ]
    return [
        {"topk": IDS, "num_experts": 4, "domain": [0, 1, 0], "domains": ["x", "y"], "layers": [1, 2]},
        [{"num_experts": 4, "source": "s"}, *tokens],
        [{"num_experts": 4}, [0, 1], [2, 3]],
        {"loads": [[3, 1, 2, 2]], "top_k": 2, "num_experts": 4},
        [
            {
                "prompt_routed_experts": [[[0, 1], [1, 2]]],
                "choices": [{"routed_experts": [[[3, 1], [0, 2]]]}],
            },
            {"choices": [{"routed_experts": coded}], "prompt_routed_experts": None},
        ],
        {
            "num_logical_experts": 4,
            "snapshots": [
                {"window_expert_load": [[5, 1, 2, 7, 1]], "physical_to_logical_map": [[0, 1, 2, 0, 3]]}
            ],
        },
    ]


def _json_traces() -> list[bytes]:
    return [json.dumps(value).encode() for value in _json_values()]


def _json_lines() -> list[bytes]:
    values = _json_values()
    return [
        b"\n".join(json.dumps(one).encode() for one in value) for value in values if isinstance(value, list)
    ]


def _allocation(suffix: str) -> list[bytes]:
    layouts = (
        Allocation(("e0", "e1"), [[0, 0, 1, 1], [0, 1, 0, 1]], ((0,), (1,)), "by hand", [[[0, 1]], [[1, 0]]]),
        Allocation(("e0", "e1"), [0, 1, 1]),
    )
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for layout in layouts:
            path = Path(folder) / f"layout{suffix}"
            save_allocation(path, layout)
            found.append(path.read_bytes())
    return found


def _expert_maps() -> list[bytes]:
    devices = [{"device_id": i, "device_expert": [i, (i + 1) % 2]} for i in range(2)]
    values = [
        {"moe_layer_count": 1, "layer_list": [{"layer_id": 0, "device_count": 2, "device_list": devices}]},
        {"physical_to_logical_map": [[0, 1, 2, 0], [2, 1, 0, 1]]},
        {"snapshots": [{"physical_to_logical_map": [[0, 1]]}]},
    ]
    return [json.dumps(value).encode() for value in values]


def _pt() -> list[bytes]:
    ids = np.array([[[0, 1], [2, -1]], [[1, 2], [0, 1]]])
    to_logical = np.array([[0, 1, 2, 0], [1, 0, 2, 2]])
    records = [{"forward_pass_id": 1, "topk_ids_of_layer": ids, "rank": 0}]
    counts = [{"global_physical_count": np.array([[3, 1, 2, 2], [1, 1, 4, 2]], dtype=np.int32)}]
    return [
        torch_archive({"records": records, "last_physical_to_logical_map": to_logical}),
        torch_archive({"records": counts * 2, "last_physical_to_logical_map": to_logical}),
        torch_archive({"rank": 0, "logical_count": np.array([[[3, 1, 2, 2]], [[1, 0, 5, 2]]])}),
    ]


def torch_archive(value: Any) -> bytes:
    """Return what ``torch.save`` would write: dictionaries, lists, numbers, texts, arrays of integers."""
    storages: list[bytes] = []
    pickled = b"\x80\x02" + _pickled(value, storages) + b"."
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        for number, storage in enumerate(storages):
            archive.writestr(f"archive/data/{number}", storage)
        archive.writestr("archive/version", "3\n")
    return target.getvalue()


def _pickled(value: Any, storages: list[bytes]) -> bytes:
    """Return the operations of pickle's protocol 2 that make a value."""
    if isinstance(value, np.ndarray):
        name = {4: b"IntStorage", 8: b"LongStorage"}[value.itemsize]
        storages.append(value.tobytes())
        stride = tuple(step // value.itemsize for step in value.strides)
        pid = b"(" + _pickled("storage", storages) + b"ctorch\n" + name + b"\n"
        pid += _pickled(str(len(storages) - 1), storages) + _pickled("cpu", storages)
        pid += _pickled(value.size, storages) + b"tQ"
        rest = _pickled(0, storages) + _pickled(value.shape, storages) + _pickled(stride, storages)
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + rest + b"\x89ccollections\nOrderedDict\n)RtR"
    if isinstance(value, Mapping):
        items = b"".join(_pickled(key, storages) + _pickled(part, storages) for key, part in value.items())
        return b"}(" + items + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(_pickled(part, storages) for part in value) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(_pickled(part, storages) for part in value) + b"t"
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    return b"J" + struct.pack("<i", value)


def _chakra() -> list[bytes]:
    from noptoolkit.scheduling import TaskGraphBuilder
    from noptoolkit.scheduling.execution_trace import to_chakra

    builder = TaskGraphBuilder(buffers={"sram": 10.0})
    first = builder.add(1.0, "x", buffer="sram", hold=6.0, label="one")
    second = builder.add(2.0, "y", [first], kind="collective")
    builder.add_flow(5.0, {"x": 1.0, "y": 0.5}, [second])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.et"
        to_chakra(builder.build(), path)
        return [path.read_bytes()]


def _collective(kind: str) -> list[bytes]:
    from noptoolkit.collectives import collective
    from noptoolkit.collectives.exports import as_data
    from noptoolkit.collectives.msccl import as_msccl

    found = []
    for name in ("all-gather", "all-reduce"):
        result = collective(packages()[1], name, "4 GB")
        text = json.dumps(as_data(result)) if kind == "json" else as_msccl(result)
        found.append(text.encode())
    return found


def _store() -> list[bytes]:
    from noptoolkit.studies.store import Store

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        with Store(path) as store:
            store.add_points("study", [("k" * 64, {"params.rows": 2, "seed": "0"})])
        return [path.read_bytes()]


BOOKSIM_CONFIG = (
    b'// router\ntopology = torus;\nnum_vcs = 4;\nvc_buf_size = 8; /* deep */\nsw_allocator = "islip(2)";\n'
    b"internal_speedup = 2.0;\nsample_period = 1000;\nwarmup_periods = 3;\nlatency_thres = 500.0;\n"
)

SAMPLES: dict[str, Callable[[], list[bytes]]] = {
    "toml": _toml,
    "graphml": lambda: _written(".graphml"),
    "gml": lambda: [*_written(".gml"), ZOO_GML.encode()],
    "dot": lambda: [*_written(".dot"), DIRECTED_DOT.encode()],
    "node-link": lambda: [*_written(".json"), json.dumps(TOPOHUB).encode()],
    "booksim": _booksim,
    "astra-sim": lambda: [ASTRA, *_written(".yml", only_ring=True)],
    "infragraph": _infragraph,
    "rapidchiplet": _rapidchiplet,
    "workload": lambda: [text.encode() for text in WORKLOADS],
    "npz": _npz_samples,
    "npy": _npy,
    "csv": lambda: list(CSV),
    "json-trace": _json_traces,
    "json-lines": _json_lines,
    "torch": _pt,
    "expert-map": _expert_maps,
    "allocation": lambda: _allocation(".toml"),
    "allocation-json": lambda: _allocation(".json"),
    "study": lambda: [STUDY],
    "search": lambda: list(SEARCHES),
    "store": _store,
    "chakra": _chakra,
    "collective": lambda: _collective("json"),
    "msccl": lambda: _collective("xml"),
    "booksim-config": lambda: [BOOKSIM_CONFIG],
    "quantity": lambda: [b"256 GB/s", b"1.5 TiB/s", b"200 Gbps", b"-3e9 B/s"],
    "formula": lambda: [b"lambda x : 0.25 * x + max(x, 3) ** 2 if x < 3 else ceil(x / 2)"],
    "plan": lambda: [b"TP2 EP8 PP2", b"tp=2,ep=4 dp=2"],
}
"""Sound files of each kind that is read."""


def samples_of(kind: str) -> list[bytes]:
    """Return sound files of a kind."""
    return SAMPLES[kind]()
