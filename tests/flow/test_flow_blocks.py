"""A problem in blocks: every message and source once, and what pricing takes, counted by hand."""

import numpy as np
import pytest
from message_cases import capable, messages, random_sets

from noptoolkit import topology
from noptoolkit.flow.trees import blocks
from noptoolkit.flow.trees.blocks import Partition, Pricing, partition
from noptoolkit.routing.problem import routing_problem
from noptoolkit.traffic import DestinationSets, Traffic

RING = topology.ring(6, link_bandwidth=1.0)


def sets_of(*rows: tuple[int, tuple[int, ...], float]) -> DestinationSets:
    members = np.array([[sum(1 << end for end in ends)] for _, ends, _ in rows], np.uint64)
    return DestinationSets(
        np.array([root for root, _, _ in rows]), members, np.array([size for *_, size in rows])
    )


def parted(
    sets: DestinationSets, *, copying: tuple[str, ...] | None = None, reverse: bool = False
) -> Partition:
    package = capable(RING, copying)
    return partition(routing_problem(package, messages(package, sets, reverse=reverse)))


TWO = sets_of((0, (1, 2), 5.0), (3, (1, 2, 4, 5), 7.0))


def test_steps_are_those_of_all_subsets() -> None:
    """3^k / 2 unions at each vertex, and 2^k ways with 0.3 of a copy for each vertex that copies."""
    found = parted(TWO)
    vertices = found.problem.network.num_vertices
    assert vertices == 6
    by_hand = [3**k / 2 * vertices + 2**k * vertices * (1 + 0.3 * 6) for k in (2, 4)]
    assert found.steps == pytest.approx(sum(by_hand)) == pytest.approx(27 + 67.2 + 243 + 268.8)
    few = parted(TWO, copying=("e0", "e3"))
    by_hand = [3**k / 2 * vertices + 2**k * vertices * (1 + 0.3 * 2) for k in (2, 4)]
    assert few.steps == pytest.approx(sum(by_hand))


def test_large_sets_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where exact prices are worth less than they take: 4 tries of 160 steps for each member and arc."""
    monkeypatch.setattr(blocks, "CHEAP_STEPS", 100.0)  # enough for the set of two, not for both
    monkeypatch.setattr(blocks, "STEPS_PER_MESSAGE", 511.0)  # the set of four takes 511.8
    found = parted(TWO)
    arcs = found.problem.network.num_arcs
    assert arcs == 12
    assert found.steps == pytest.approx(27 + 67.2 + 4 * 160 * arcs * 4)
    assert [len(block.large) for block in found.blocks] == [0, 1]
    again = sets_of((0, (1, 2), 5.0), (3, (1, 2, 4, 5), 7.0), (0, (1, 2, 4, 5), 1.0))
    assert all(not len(block.large) for block in parted(again).blocks)  # two messages share the price
    monkeypatch.setattr(blocks, "STEPS_PER_MESSAGE", 40.0)
    monkeypatch.setattr(blocks, "CHEAP_STEPS", 0.0)
    found = parted(again)
    assert found.steps == pytest.approx(4 * 160 * arcs * (2 * 1 + 4 * 2))
    roots = [found.problem.messages[0].root[block.large].tolist() for block in found.blocks]
    assert sorted(root for some in roots for root in some) == [0, 0, 3]
    assert [root for some in roots for root in some] == [0, 0, 3]  # by root, one block after the other


@pytest.mark.parametrize("reverse", [False, True])
def test_every_message_and_source_is_in_one_block(reverse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_BLOCKS", 6)
    sets = random_sets(6, 40, 4, seed=5)
    package = capable(RING)
    names = package.terminals
    demand = np.triu(np.ones((6, 6)), 1)
    parts = {"reduction": sets} if reverse else {"multicast": sets}
    problem = routing_problem(package, Traffic(names, demand, **parts))
    found = partition(problem)
    (part,) = problem.messages
    held = np.concatenate([block.small.messages for block in found.blocks if block.small is not None])
    going = [k for k in range(len(part.root)) if (int(part.members[k, 0]) & ~(1 << int(part.root[k]))) > 0]
    assert sorted(held.tolist()) == going
    assert 20 < len(going) < 40  # those to one chiplet are unicast
    sources = np.concatenate([block.sources for block in found.blocks])
    assert sorted(sources.tolist()) == problem.sources.tolist()
    kinds = 2  # small sets and unicast share the blocks
    assert max(sum(block.small is not None for block in found.blocks),
               sum(len(block.sources) > 0 for block in found.blocks)) == 6 // kinds  # fmt: skip
    far = np.zeros(6)
    for root, members, size in zip(part.root, part.members[:, 0], part.bytes, strict=True):
        for end in range(6):
            if int(members) >> end & 1 and end != root:
                far[end] += size
    sent, received = (far, 0 * far) if reverse else (0 * far, far)
    assert found.far_sent == pytest.approx(sent)
    assert found.far_received == pytest.approx(received)


def test_a_problem_of_many_resources_has_few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_MASTER", 24)  # twice the ring's twelve channels
    package = capable(RING)
    problem = routing_problem(package, Traffic(package.terminals, 1 - np.eye(6)))
    assert [len(block.sources) for block in partition(problem).blocks] == [3, 3]
    monkeypatch.setattr(blocks, "MOST_MASTER", 1)
    assert [len(block.sources) for block in partition(problem).blocks] == [6]


def test_unicast_takes_the_cheapest_paths() -> None:
    """All prices equal: each byte costs its hops, and all of it is carried."""
    package = capable(RING)
    problem = routing_problem(package, Traffic(package.terminals, 1 - np.eye(6)))
    prices = np.full(problem.network.num_resources, 0.5)
    pricing = Pricing(problem, prices)
    served = [pricing.serve(block) for block in partition(problem).blocks]
    assert sum(one.bound for one in served) == pytest.approx(0.5 * 6 * (1 + 2 + 3 + 2 + 1))
    assert sum(one.load.sum() for one in served) == pytest.approx(6 * 9)
    assert not any(one.sent.any() for one in served)
