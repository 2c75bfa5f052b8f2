"""Chakra execution traces: bytes of the schema's own tools, task graphs there and back, and broken files."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from noptoolkit.errors import FormatError, NopError
from noptoolkit.formats.chakra import ChakraNode, ChakraTrace, read_chakra, write_chakra
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder, from_chakra, schedule_graph, to_chakra

pytest.importorskip("google.protobuf")

# an all-reduce of 64 KiB as Chakra's generator wrote it with the schema of May 2026
ALL_REDUCE = (
    b"\x07\n\x051.0.0@\x08\x10\x12\nALL_REDUCE\x18\x07R\x0e\n\tis_cpu_op\xd8\x01\x00"
    b"R\r\n\tcomm_typeH\x00R\x0f\n\tcomm_sizeH\x80\x80\x04"
)


def test_bytes_of_the_schema(tmp_path: Path) -> None:
    (tmp_path / "a.et").write_bytes(ALL_REDUCE)
    trace = read_chakra(tmp_path / "a.et")
    assert trace.version == "1.0.0"
    (node,) = trace.nodes
    assert (node.id, node.name, node.type) == (16, "ALL_REDUCE", "COMM_COLL_NODE")
    assert node.attributes == {"is_cpu_op": False, "comm_type": 0, "comm_size": 65536}
    write_chakra(trace, tmp_path / "b.et")
    assert (tmp_path / "b.et").read_bytes() == ALL_REDUCE
    graph = from_chakra(tmp_path / "a.et", bandwidth="1 GB/s")
    assert (graph.duration[0], graph.resources, graph.name(0)) == (65536e-9, ("network",), "ALL_REDUCE")


def example() -> TaskGraph:
    tasks = TaskGraphBuilder({"dram": 2}, {"sram": 100.0})
    first = tasks.add(3.25e-7, "dram", kind="load", label="weights", buffer="sram", hold=60.0)
    flow = tasks.add_flow(1e6, {"a->b": 1e-6, "b->c": 2e-6}, [first], label="tokens", least=2e-6)
    last = tasks.add(1.5e-6, ("pe", "port"), [flow], kind="expert", buffer="sram", hold=-60.0)
    early = tasks.add(2e-9, "pe")
    tasks.wait(first, early)  # a task waits for one that was added later
    tasks.add(0.0, None, [last], kind="join")
    return tasks.build()


def test_a_task_graph_comes_back(tmp_path: Path) -> None:
    graph = example()
    plan = schedule_graph(graph)
    to_chakra(plan, tmp_path / "g.et")
    back = from_chakra(tmp_path / "g.et")
    for field in ("resources", "buffers", "texts", "kinds", "needs"):
        assert getattr(back, field) == getattr(graph, field)
    arrays = ("capacity", "buffer_size", "duration", "need", "hold", "kind", "label", "pred_ptr", "pred")
    for field in (*arrays, "flow_size", "use_ptr", "use_resource", "use_time"):
        np.testing.assert_array_equal(getattr(back, field), getattr(graph, field))
    assert schedule_graph(back).makespan == plan.makespan
    nodes = read_chakra(tmp_path / "g.et").nodes
    assert [node.type for node in nodes] == [
        "MEM_LOAD_NODE",
        "COMM_COLL_NODE",
        "COMP_NODE",
        "COMP_NODE",
        "COMP_NODE",
    ]
    assert nodes[1].attributes["comm_size"] == 1_000_000
    assert nodes[1].attributes["comm_type"] == 6
    assert (nodes[2].start, nodes[2].duration) == (2, 2)


def test_traces_of_others(tmp_path: Path) -> None:
    nodes = (
        ChakraNode(7, "send", "COMM_SEND_NODE", (3,), attributes={"comm_size": 500}),
        ChakraNode(1, "about", "METADATA_NODE"),
        ChakraNode(3, "multiply", "COMP_NODE", (1, 2), attributes={"num_ops": 4000}),
        ChakraNode(2, "read", "MEM_LOAD_NODE", (1,), duration=7),
    )
    write_chakra(ChakraTrace(nodes), tmp_path / "x.et")
    graph = from_chakra(tmp_path / "x.et", flops="2 GFLOP/s", bandwidth="1 GB/s")
    assert [graph.name(i) for i in range(3)] == ["send", "multiply", "read"]
    assert graph.duration.tolist() == pytest.approx([500e-9, 2e-6, 7e-6])
    assert schedule_graph(graph).makespan == pytest.approx(9.5e-6)
    assert from_chakra(tmp_path / "x.et").duration[0] == 0.0


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ((ChakraNode(1, "a", "COMP_NODE", (2,)),), "waits for node 2, which is not there"),
        ((ChakraNode(1, "a", "COMP_NODE", (1,)),), "wait for each other"),
        ((ChakraNode(1, "a", "COMP_NODE", (2,)), ChakraNode(2, "b", "COMP_NODE", (1,))), "1 others wait"),
        ((ChakraNode(1, "a", "COMP_NODE"), ChakraNode(1, "b", "COMP_NODE")), "two nodes have one id"),
        ((ChakraNode(1, "a", "INVALID_NODE"),), "none of the schema's"),
    ],
)
def test_traces_that_are_no_graph(nodes: tuple[ChakraNode, ...], reason: str, tmp_path: Path) -> None:
    write_chakra(ChakraTrace(nodes), tmp_path / "x.et")
    with pytest.raises(FormatError, match=reason):
        from_chakra(tmp_path / "x.et")


def test_broken_files(tmp_path: Path) -> None:
    to_chakra(example(), tmp_path / "g.et")
    whole, path = (tmp_path / "g.et").read_bytes(), tmp_path / "x.et"
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with contextlib.suppress(NopError):  # anything else would be a traceback
            from_chakra(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        for at in rng.integers(len(whole), size=3):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        with contextlib.suppress(NopError):
            from_chakra(path)
    for data, reason in ((b"", "empty"), (b"\xff" * 9, "too large"), (b"\x1f\x8b00", "gunzip")):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=reason):
            read_chakra(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_chakra(tmp_path / "none.et")
