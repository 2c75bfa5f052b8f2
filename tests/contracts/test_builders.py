"""Every builder keeps one contract: a sound package of the size asked for, drawn without overlaps."""

from itertools import pairwise

import pytest

from noptoolkit import Package
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


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("options", [{}, COMPANIONS], ids=["plain", "companions"])
def test_builder(name: str, options: dict[str, object]) -> None:
    package = BUILDERS[name](**options)
    assert len(package.experts) == 16
    assert sum(map(len, package.expert_groups)) == len(package.experts)
    assert overlaps(package) == []
    assert package == BUILDERS[name](**options)
    if options:
        assert package.with_role("attention") == ("attn",)
        groups = len(package.expert_groups)
        assert len(package.memories) == groups + 2
        assert sum("attn" in (link.a, link.b) for link in package.links) == groups + 2
        assert sorted(served for memory in package.memories[:groups] for served in memory.serves) == sorted(
            package.experts
        )
    assert parse_topology(dump_topology(package), "dumped.toml") == package


@pytest.mark.parametrize("name", list_topologies())
def test_preset(name: str) -> None:
    package = load_topology(name)
    assert package.name == name
    assert package.source
    assert package.assumed
    assert overlaps(package) == []
    assert parse_topology(dump_topology(package), "dumped.toml") == package


def test_presets_share_their_chiplets() -> None:
    packages = [load_topology(name) for name in ("mozart-nop-tree", "mesh-4x4", "torus-4x4")]
    for one, other in pairwise(packages):
        for a, b in zip(one.chiplets + one.memories, other.chiplets + other.memories, strict=True):
            assert (a.name, a.size) == (b.name, b.size)
