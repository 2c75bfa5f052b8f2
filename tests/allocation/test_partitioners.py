"""What partitioners from outside are asked: a stand-in in their place writes it down."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from allocation_cases import problem_of

from noptoolkit import RoutingTrace
from noptoolkit.allocation.partitioners import EDGE_SCALE, place_by_metis

TRACE = RoutingTrace([[0, 1]] * 6 + [[1, 2]] * 3 + [[3, 4]] + [[0, 5]] * 2, 6)


@pytest.mark.parametrize("capacity", [[3, 3], [4, 0, 2], [2, 1, 3]])
def test_metis_gets_the_graph_of_coactivation_and_the_share_of_each_chiplet(
    capacity: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    used = np.flatnonzero(capacity)
    block = np.repeat(np.arange(len(used)), np.array(capacity)[used])[::-1]

    def part_graph(parts: int, graph: Any, **options: Any) -> tuple[int, list[int]]:
        asked.update(options, parts=parts, graph=graph)
        return 0, block.tolist()

    monkeypatch.setitem(
        sys.modules,
        "pymetis",
        SimpleNamespace(part_graph=part_graph, CSRAdjacency=lambda *given: given, Options=SimpleNamespace),
    )
    problem = problem_of(TRACE, 1, len(capacity), capacity=capacity)
    for seed in range(8):
        places = place_by_metis(problem, np.random.default_rng(seed))
        assert 0 <= asked["options"].seed < 2**31  # a C int
    assert places.tolist() == used[block].tolist()  # it fits as it is
    assert asked["parts"] == len(used)
    assert asked["tpwgts"] == pytest.approx(np.array(capacity)[used] / 6)
    starts, targets = asked["graph"]
    weight = np.zeros((6, 6))
    for expert in range(6):
        here = slice(starts[expert], starts[expert + 1])
        weight[expert, targets[here]] = asked["eweights"][here]
    assert (weight > 0).tolist() == (problem.coactivation > 0).tolist()
    assert weight / EDGE_SCALE == pytest.approx(problem.coactivation / 6, abs=1e-5)


def test_metis_is_not_asked_where_there_is_nothing_to_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymetis", SimpleNamespace())
    one = problem_of(TRACE, 1, 2, capacity=[0, 6])
    assert place_by_metis(one, np.random.default_rng(0)).tolist() == [1] * 6
    alone = problem_of(RoutingTrace([[0], [1], [2], [3]], 4), 1, 2)  # no two experts of one token
    assert np.bincount(place_by_metis(alone, np.random.default_rng(0))).tolist() == [2, 2]
