"""Memory stacks and the attention chiplet: beside what they serve, over nothing else."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit import Memory, Package
from noptoolkit.package import Node
from noptoolkit.physical import violations
from noptoolkit.topology import BUILDERS, hexamesh, mesh, of_size, ring

MM = 1e-3


def overlaps(package: Package) -> list[str]:
    return [str(found) for found in violations(package, "ucie-2d") if found.rule == "overlap"]


def gap(one: Node, other: Node) -> float:
    """Return the Manhattan distance between two outlines."""
    assert one.position is not None
    assert other.position is not None
    assert one.size is not None
    assert other.size is not None
    ways = zip(one.position, other.position, one.size, other.size, strict=True)
    return sum(max(abs(a - b) - (wide + broad) / 2, 0.0) for a, b, wide, broad in ways)


def port_of(package: Package, memory: Memory) -> Node:
    (bus,) = (link for link in package.links if memory.name in (link.a, link.b))
    return package[bus.b if bus.a == memory.name else bus.a]


@pytest.mark.parametrize("size", [16, 64, 256])
@pytest.mark.parametrize("family", BUILDERS)
def test_stacks_are_beside_what_they_serve(family: str, size: int) -> None:
    """Within a stack's length of a chiplet they serve, and of the one they are linked to."""
    package = of_size(family, size, attention=True, memory=True)
    assert overlaps(package) == []
    for memory in package.memories:
        near = 13.001 * MM
        assert min(gap(memory, package[name]) for name in memory.serves) < near, memory.name
        port = port_of(package, memory)
        if port.name in memory.serves:
            assert gap(memory, port) < near, memory.name


@example("star", 16, (2.0, 2.0), (1.0, 28.0), (2.0, 2.0), None, 3)  # a stack at the end of a side
@settings(max_examples=examples(60), deadline=None)
@given(
    family=st.sampled_from([name for name in BUILDERS if name not in ("nop_tree", "tree")]),
    size=st.sampled_from([16, 20, 36]),
    die=st.tuples(st.floats(2, 30), st.floats(2, 30)),
    stack=st.tuples(st.floats(1, 40), st.floats(1, 40)),
    attention=st.tuples(st.floats(2, 60), st.floats(2, 60)),
    share=st.sampled_from([None, 1, 2, 4, 1000]),
    stacks=st.integers(0, 5),
)
def test_nothing_overlaps_whatever_the_sizes(
    family: str,
    size: int,
    die: tuple[float, float],
    stack: tuple[float, float],
    attention: tuple[float, float],
    share: int | None,
    stacks: int,
) -> None:
    count = len(of_size(family, size).experts)
    groups = None if share is None or count % min(share, count) else min(share, count)
    package = of_size(
        family,
        size,
        attention=True,
        memory=True,
        memory_groups=groups,
        chiplet_size=(die[0] * MM, die[1] * MM),
        memory_size=(stack[0] * MM, stack[1] * MM),
        attention_size=(attention[0] * MM, attention[1] * MM),
        attention_memories=stacks,
    )
    assert overlaps(package) == []
    assert len(package.memories) == len(package.expert_groups) + stacks


def test_a_ring_has_stacks_on_both_sides() -> None:
    package = ring(16, attention=True, memory=True)
    sides = {memory.name: memory.position[0] > 0 for memory in package.memories[:4] if memory.position}
    assert list(sides.values()) == [False, False, True, True]


def test_a_hexagon_has_its_stack_at_the_end_of_the_middle_row() -> None:
    package = hexamesh(2, memory=True)
    (memory,) = package.memories
    assert port_of(package, memory).name == "e11"


def test_stacks_taller_than_rows_stand_in_lanes_where_that_is_shorter() -> None:
    few, many = mesh(4, memory=True), mesh(16, memory=True)
    assert len({memory.position[0] for memory in few.memories if memory.position}) == 1
    assert len({memory.position[0] for memory in many.memories if memory.position}) == 2
    for package in (few, many):
        for memory in package.memories:
            assert port_of(package, memory).name == memory.serves[-1]
