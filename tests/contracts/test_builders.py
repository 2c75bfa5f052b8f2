"""Every builder keeps one contract: a sound package of the size asked for, drawn without overlaps."""

import inspect
from itertools import pairwise

import pytest

from noptoolkit import Package
from noptoolkit.errors import TopologyError
from noptoolkit.formats import dump_topology, list_topologies, load_topology
from noptoolkit.formats.topology_toml import parse_topology
from noptoolkit.topology import BUILDERS

COMPANIONS = {"attention": True, "memory": True, "attention_size": ("25 mm", "25 mm")}


def overlaps(package: Package) -> list[tuple[str, str]]:
    """Return the pairs of outlines that share area, by a sweep from left to right."""
    boxes: list[tuple[float, float, float, float, str]] = []
    for node in package.nodes:
        assert node.position is not None, node.name
        assert node.size is not None, node.name
        (x, y), (width, height) = node.position, node.size
        boxes.append((x - width / 2, x + width / 2, y - height / 2, y + height / 2, node.name))
    boxes.sort()
    found = []
    active: list[tuple[float, float, float, float, str]] = []
    slack = 1e-9
    for box in boxes:
        active = [other for other in active if other[1] > box[0] + slack]
        found += [
            (other[4], box[4]) for other in active if other[2] < box[3] - slack and box[2] < other[3] - slack
        ]
        active.append(box)
    return found


# chiplets, switches, links, groups and root links of each builder's default package
DEFAULTS = {
    "nop_tree": (16, 4, 16, 4, 4),
    "tree": (16, 6, 20, 4, 2),
    "fat_tree": (16, 20, 48, 4, 4),
    "star": (16, 1, 16, 4, 4),
    "ring": (16, 0, 16, 4, 4),
    "express_ring": (16, 0, 20, 4, 4),
    "mesh": (16, 0, 24, 4, 4),
    "mesh_3d": (16, 0, 28, 4, 4),
    "torus": (16, 0, 32, 4, 4),
    "torus_3d": (64, 0, 192, 4, 4),
    "folded_torus": (16, 0, 32, 4, 4),
    "concentrated_mesh": (16, 4, 20, 2, 2),
    "wafer_mesh": (16, 0, 24, 4, 4),
    "flattened_butterfly": (16, 0, 48, 4, 4),
    "sparse_hamming_graph": (16, 0, 32, 4, 4),
    "hypercube": (16, 0, 32, 4, 4),
    "dragonfly": (16, 16, 46, 4, 4),
    "slim_noc": (18, 0, 45, 3, 3),
    "random_regular": (16, 0, 32, 4, 4),
    "fully_connected": (16, 0, 120, 4, 4),
    "octamesh": (16, 0, 42, 4, 4),
    "octatorus": (16, 0, 56, 4, 4),
    "folded_octatorus": (16, 0, 56, 4, 4),
    "hexamesh": (19, 0, 42, 1, 1),
    "hexatorus": (19, 0, 57, 1, 1),
    "folded_hexatorus": (19, 0, 57, 1, 1),
    "kite": (16, 0, 30, 4, 4),
    "double_butterfly": (16, 0, 24, 4, 4),
    "butter_donut": (16, 0, 28, 4, 4),
    "cluscross": (16, 0, 32, 4, 4),
    "sid_mesh": (16, 0, 30, 4, 4),
    "hierarchical": (16, 0, 20, 4, 4),
}


def test_every_builder_has_a_contract() -> None:
    assert set(DEFAULTS) == set(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_builder(name: str) -> None:
    chiplets, switches, links, groups, root_links = DEFAULTS[name]
    package = BUILDERS[name](**COMPANIONS)
    assert len(package.experts) == chiplets
    assert len(package.switches) == switches
    assert len(package.links) == links + root_links + len(package.memories)
    assert len(package.expert_groups) == groups
    assert len({len(group) for group in package.expert_groups}) == 1
    assert package.with_role("attention") == ("attn",)
    assert len(package.memories) == groups + 2
    at_root = [link for link in package.links if "attn" in (link.a, link.b)]
    assert len(at_root) == root_links + 2
    served = [name for memory in package.memories[:groups] for name in memory.serves]
    assert sorted(served) == sorted(package.experts)
    assert all(memory.serves == ("attn",) for memory in package.memories[groups:])
    assert overlaps(package) == []
    assert package.source
    assert package == BUILDERS[name](**COMPANIONS)
    assert parse_topology(dump_topology(package), "dumped.toml") == package


@pytest.mark.parametrize("name", BUILDERS)
def test_builder_without_companions(name: str) -> None:
    chiplets, switches, links, _, root_links = DEFAULTS[name]
    package = BUILDERS[name](attention=False, link_bandwidth="2 GB/s")
    assert package.terminals == package.experts
    assert package.experts == tuple(f"e{i}" for i in range(chiplets))
    rooted = name in ("nop_tree", "tree")  # their root is a switch then
    assert len(package.switches) == switches + rooted
    assert len(package.links) == links + root_links * rooted
    assert {link.bandwidth for link in package.links} == {2e9}
    assert package.memories == ()
    assert overlaps(package) == []


@pytest.mark.parametrize("name", BUILDERS)
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(TopologyError, match="did you mean 'link_bandwidth'"):
        BUILDERS[name](link_bandwith=1e9)


@pytest.mark.parametrize("name", BUILDERS)
def test_sizes_that_a_family_does_not_have(name: str) -> None:
    first, *_ = inspect.signature(BUILDERS[name]).parameters.values()
    if first.annotation == "int":
        for size in (0, -1, 10**9, True, 2.5):
            with pytest.raises(TopologyError, match=r"nearest|whole number|more than"):
                BUILDERS[name](size)


@pytest.mark.parametrize("name", list_topologies())
def test_preset(name: str) -> None:
    package = load_topology(name)
    assert package.name == name
    assert package.source
    assert package.assumed
    assert package.with_role("attention") == ("attn",)
    assert overlaps(package) == []
    assert parse_topology(dump_topology(package), "dumped.toml") == package


def test_presets_share_their_chiplets() -> None:
    packages = [load_topology(name) for name in ("mozart-nop-tree", "mesh-4x4", "torus-4x4")]
    for one, other in pairwise(packages):
        for a, b in zip(one.chiplets + one.memories, other.chiplets + other.memories, strict=True):
            assert (a.name, a.size) == (b.name, b.size)
