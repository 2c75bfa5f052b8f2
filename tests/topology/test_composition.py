"""Compositions, edits and attachments."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit import Chiplet, Link, LinkKind, Package
from noptoolkit.errors import TopologyError, UnknownNameError
from noptoolkit.structure.profile import diameter
from noptoolkit.topology import (
    attach_attention,
    attach_io,
    attach_memory,
    compose,
    connect,
    mesh,
    nop_tree,
    replicate,
    ring,
    scale_bandwidth,
    stack_sram,
    torus,
)


def clear(package: Package, gap: float = 0.0) -> bool:
    """Tell whether no two outlines share area, or come nearer than a gap in m."""
    boxes = [(node.position, node.size) for node in package.nodes if node.position and node.size]
    return not any(
        abs(ax - bx) < (aw + bw) / 2 + gap - 1e-9 and abs(ay - by) < (ah + bh) / 2 + gap - 1e-9
        for i, ((ax, ay), (aw, ah)) in enumerate(boxes)
        for (bx, by), (bw, bh) in boxes[:i]
    )


def test_connect() -> None:
    package = connect(ring(8), [("e0", "e4")], "64 GB/s", kind="substrate", latency="5 ns")
    added = package.links[-1]
    assert (added.kind, added.latency, added.bandwidth) == (LinkKind.SUBSTRATE, 5e-9, 64e9)
    assert diameter(package) == 4
    with pytest.raises(TopologyError, match="did you mean 'e7'"):
        connect(ring(8), [("e0", "e77")], "64 GB/s")


def test_compose() -> None:
    left, right = mesh(2, memory=True), nop_tree(2, 2, memory=True)
    package = compose("both", {"l": left, "r": right}, [Link("l.e1", "r.attn", "1 GB/s")])
    assert len(package.nodes) == len(left.nodes) + len(right.nodes)
    assert len(package.links) == len(left.links) + len(right.links) + 1
    assert len(package.expert_groups) == len(left.expert_groups) + len(right.expert_groups)
    assert package["l.hbm0"].serves == ("l.e0", "l.e1")
    assert clear(package)
    with pytest.raises(TopologyError, match="cannot be reached"):
        compose("apart", {"l": left, "r": right}, [])


def test_replicate_of_meshes_is_a_mesh() -> None:
    border = {"right": [("e1", "e0"), ("e3", "e2")], "down": [("e2", "e0"), ("e3", "e1")]}
    package = replicate(mesh(2), 3, 2, bandwidth="128 GB/s", **border)
    assert len(package.links) == len(mesh(6, 4).links)
    assert diameter(package) == diameter(mesh(6, 4))
    assert clear(package)


def test_scale_bandwidth() -> None:
    package = mesh(3, memory=True)
    double = scale_bandwidth(package, 2)
    for before, after in zip(package.links, double.links, strict=True):
        assert after.bandwidth == before.bandwidth * (2 if before.kind is LinkKind.D2D else 1)
    one_way = package.replace(
        links=[dataclasses.replace(package.links[0], reverse_bandwidth=1e9), *package.links[1:]]
    )
    assert scale_bandwidth(one_way, 3).links[0].reverse_bandwidth == 3e9
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(TopologyError, match="above 0"):
            scale_bandwidth(package, wrong)
    with pytest.raises(UnknownNameError, match="did you mean 'memory'"):
        scale_bandwidth(package, 2, kind="memroy")


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(2, 5), st.lists(st.integers(0, 24), min_size=1, max_size=6))
def test_attachments_find_room(rows: int, where: list[int]) -> None:
    package = mesh(rows)
    for i, place in enumerate(where):
        port = package.experts[place % len(package.experts)]
        if i % 3 == 0:
            package = attach_memory(package, port, serves=[port])
        elif i % 3 == 1:
            package = attach_io(package, port, bandwidth="32 GB/s")
        else:
            package = attach_attention(package, [port, "e0"], bandwidth="64 GB/s", name=f"attn{i}")
    assert clear(package, gap=1e-3)
    assert len(package.nodes) == rows * rows + len(where)


def test_attachments_keep_their_distance() -> None:
    nodes = [
        Chiplet("a", position=(0, 0), size=(0.01, 0.01)),
        Chiplet("b", position=(0.0193, 0), size=(0.01, 0.01)),  # 0.5 mm too near for a stack between
    ]
    package = attach_memory(Package("pair", nodes, [Link("a", "b", 1e9)]), "a")
    assert package.memories[0].position == pytest.approx((-0.0099, 0))


def test_attach_attention_is_what_the_builder_does() -> None:
    built = torus(3, attention=True)
    attached = attach_attention(torus(3), ["e0", "e3", "e6"], bandwidth="128 GB/s")
    assert {frozenset((link.a, link.b)) for link in built.links} == {
        frozenset((link.a, link.b)) for link in attached.links
    }
    with pytest.raises(TopologyError, match="at least one"):
        attach_attention(torus(3), [], bandwidth="128 GB/s")
    with pytest.raises(UnknownNameError):
        attach_memory(torus(3), "e99")


def test_sram_lies_under_the_logic() -> None:
    package = stack_sram(mesh(2), capacity="80 MB", bandwidth="4 TB/s", under=["e0", "e3"])
    assert [memory.serves for memory in package.memories] == [("e0",), ("e3",)]
    assert package.memories[0].position == package["e0"].position
    assert package.links[-1].kind is LinkKind.HYBRID_BOND


def test_unplaced_packages_stay_unplaced() -> None:
    package = mesh(2)
    bare = package.replace(nodes=[dataclasses.replace(node, position=None) for node in package.nodes])
    assert attach_memory(bare, "e0").memories[0].position is None
    assert compose("two", {"a": bare, "b": bare}, [Link("a.e0", "b.e0", 1e9)])["a.e0"].position is None
