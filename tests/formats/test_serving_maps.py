"""Counts, load dumps and expert maps of inference servers: by hand, there and back, and broken."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest

from noptoolkit import Allocation, load_topology, load_trace
from noptoolkit.errors import FormatError, NopError
from noptoolkit.formats.expert_maps import load_expert_map, save_expert_map
from noptoolkit.formats.trace_tables import read_csv, read_json, read_json_lines

COUNTS = "layer_id,expert_id,count\n3,0,10\n3,2,30\n4,1,5\n4,2,0\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_counts_of_sglang(tmp_path: Path) -> None:
    recording = read_csv(write(tmp_path / "c.csv", COUNTS))
    assert recording.loads is not None
    assert recording.loads.tolist() == [[10, 0, 30], [0, 5, 0]]
    assert recording.layers == [3, 4]
    twice = read_csv(write(tmp_path / "t.csv", "# top_k = 1\n" + COUNTS + COUNTS))  # two ranks
    assert twice.loads is not None
    assert twice.loads.tolist() == [[20, 0, 60], [0, 10, 0]]
    trace = load_trace(tmp_path / "t.csv", num_experts=8, tokens=50, rng=0)
    assert (trace.num_layers, trace.num_experts, trace.top_k) == (2, 8, 1)
    assert trace.topk.max() <= 2
    for line in ("3,0", "3,0,-1", "3,x,1", "3,0,1.5", "999999999,0,1", "3,0,99999999999999999999"):
        with pytest.raises(FormatError, match=r"c\.csv"):
            read_csv(write(tmp_path / "c.csv", COUNTS + line))
    with pytest.raises(FormatError, match="no counts"):
        read_csv(write(tmp_path / "c.csv", "layer_id,expert_id,count\n"))


SNAPSHOTS = [
    {"step": 1, "window_expert_load": [[5, 1, 2, 7]], "physical_to_logical_map": [[0, 1, 2, 0]]},
    {"step": 2, "window_expert_load": [[1, 1, 1, 1]], "physical_to_logical_map": [[0, 1, 2, 2]]},
]


def test_load_dumps_of_vllm(tmp_path: Path) -> None:
    whole = {"num_logical_experts": 4, "window_size": 100, "snapshots": SNAPSHOTS}
    found = read_json(write(tmp_path / "d.json", json.dumps(whole)))
    assert found.loads is not None
    assert found.loads.tolist() == [[13, 2, 4, 0]]
    lines = "\n".join(map(json.dumps, [{"window_expert_load": [[3, 4]]}, {"window_expert_load": [[1, 1]]}]))
    found = read_json_lines(write(tmp_path / "d.jsonl", lines))
    assert found.loads is not None
    assert found.loads.tolist() == [[4, 5]]
    trace = load_trace(tmp_path / "d.json", num_experts=4, top_k=2, tokens=30, rng=0)
    assert (trace.num_experts, trace.top_k) == (4, 2)
    for snapshots in (
        [],
        [3],
        [{"step": 1}],
        [{"window_expert_load": [[1, 2], [3]]}],
        [{"window_expert_load": [[1, 2]], "physical_to_logical_map": [[0, 1, 2]]}],
        [{"window_expert_load": [[1, 2]], "physical_to_logical_map": [[0, -1]]}],
        [{"window_expert_load": [[1, 2]], "physical_to_logical_map": [[0, 0.5]]}],
        [{"window_expert_load": [[1, 2]]}, {"window_expert_load": [[1, 2, 3]]}],
    ):
        with pytest.raises(FormatError, match=r"d\.json"):
            read_json(write(tmp_path / "d.json", json.dumps({"snapshots": snapshots})))


def with_copies() -> Allocation:
    package = load_topology("mozart-nop-tree")
    slots = np.concatenate([np.arange(32), np.arange(16)]).reshape(16, 3)
    places, copies = np.full(32, -1), []
    for device, held in enumerate(slots.tolist()):
        for expert in held:
            if places[expert] < 0:
                places[expert] = device
            else:
                copies.append((expert, device))
    return Allocation(package.experts, places[None], package.expert_groups, "by hand", [copies])


@pytest.mark.parametrize("style", ["vllm-ascend", "sglang"])
def test_expert_maps_come_back(style: str, tmp_path: Path) -> None:
    layout = with_copies()
    save_expert_map(tmp_path / "m.json", layout, style=style)  # type: ignore[arg-type]
    back = load_expert_map(tmp_path / "m.json", load_topology("mozart-nop-tree"))
    assert back.experts == layout.experts
    assert back.groups == layout.groups
    np.testing.assert_array_equal(back.chiplet_of_expert, layout.chiplet_of_expert)
    assert sorted(back.replicas[0].tolist()) == sorted(layout.replicas[0].tolist())


def test_arrays_and_snapshots_as_maps(tmp_path: Path) -> None:
    table = np.array([[0, 1, 2, 0], [2, 2, 1, 0]])
    np.save(tmp_path / "m.npy", table)
    np.savez(tmp_path / "m.npz", phy2log=table)
    write(tmp_path / "m.json", json.dumps({"snapshots": [{"physical_to_logical_map": table.tolist()}]}))
    for name in ("m.npy", "m.npz", "m.json"):
        layout = load_expert_map(tmp_path / name, ["a", "b"])
        assert layout.experts == ("a", "b")
        assert layout.chiplet_of_expert.tolist() == [[0, 0, 1], [1, 1, 0]]
        assert layout.replicas.tolist() == [[[0, 1]], [[2, 0]]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "neither layer_list"),
        ([], "neither layer_list"),
        ({"layer_list": []}, "without layers"),
        ({"layer_list": [3]}, "not a list of devices"),
        ({"layer_list": [{"device_list": [{"device_expert": [0]}]}]}, "1 devices, not 2"),
        (
            {"layer_list": [{"device_list": [{"device_expert": [0.5]}, {"device_expert": [1]}]}]},
            "whole numbers",
        ),
        (
            {"layer_list": [{"device_list": [{"device_expert": [0]}, {"device_expert": [2]}]}]},
            "holds expert 1",
        ),
        ({"layer_list": [{"device_list": [{"device_id": "x"}, {}]}]}, "device_id"),
        ({"physical_to_logical_map": [[0, 1, 2]]}, "for 2 devices"),
        ({"physical_to_logical_map": [[0, -1]]}, "ids begin with 0"),
        ({"physical_to_logical_map": [[0, 99999999]]}, "end below 65536"),
        ({"physical_to_logical_map": [[0], [0, 1]]}, "as many values in every row"),
        ({"physical_to_logical_map": "x"}, "whole numbers"),
    ],
)
def test_maps_that_are_none(content: object, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=reason) as caught:
        load_expert_map(write(tmp_path / "m.json", json.dumps(content)), 2)
    assert "m.json" in str(caught.value)


def test_an_array_of_no_layers_is_no_map(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.zeros((0, 3, 2), np.int64))
    with pytest.raises(FormatError, match=r"is not \[layers, slots\] for 2 devices"):
        load_expert_map(tmp_path / "m.npy", 2)


def test_maps_need_equal_devices(tmp_path: Path) -> None:
    layout = Allocation(("a", "b"), [[0, 0, 1]])
    with pytest.raises(FormatError, match="hold 1 to 2 experts"):
        save_expert_map(tmp_path / "m.json", layout)
    with pytest.raises(FormatError, match="no style"):
        save_expert_map(tmp_path / "m.json", layout, style="eplb")  # type: ignore[arg-type]
    assert not (tmp_path / "m.json").exists()


def test_cut_files(tmp_path: Path) -> None:
    save_expert_map(tmp_path / "m.json", with_copies(), style="vllm-ascend")
    text = (tmp_path / "m.json").read_text()
    for end in range(0, len(text), max(1, len(text) // 60)):
        with contextlib.suppress(NopError):
            load_expert_map(write(tmp_path / "x.json", text[:end]), 16)
