"""Which copy serves a token, and what copies by load and by traffic bring."""

import dataclasses

import numpy as np
import pytest
from allocation_cases import topical, tree

from noptoolkit import RoutingTrace
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.allocation.replication import replicate_by_load, replicate_by_traffic
from noptoolkit.errors import InfeasibleError, WorkloadError
from noptoolkit.traffic import dispatch

PACKAGE = tree(4, 4)


def served_by_hand(layout: Allocation, token: np.ndarray, index: int, layer: int) -> list[int]:
    """The rule of one token, written down again."""
    hosts = {int(e): [int(layout.chiplet_of_expert[layer][e])] for e in token}
    for expert, chiplet in layout.replicas[layer].tolist():
        if expert in hosts:
            hosts[expert].append(chiplet)
    visited = {chiplets[0] for chiplets in hosts.values() if len(chiplets) == 1}
    served = []
    for expert in token:
        options = hosts[int(expert)]
        chosen = options[index % len(options)]
        if layout.choice == "local" and len(options) > 1:
            near = [chiplet for chiplet in options if chiplet in visited]
            chosen = near[0] if near else chosen
            visited.add(chosen)
        served.append(chosen)
    return served


@pytest.mark.parametrize("choice", ["balanced", "local"])
def test_every_token_is_served_by_the_rule(choice: str) -> None:
    trace = topical(32, 4, tokens=300, layers=2)
    layout = allocate(trace, PACKAGE, method="random", rng=1)
    copies = [[(e, int(c)) for e in (0, 3, 7, 8) for c in range(16) if (e + c) % 5 == 0] for _ in range(2)]
    copies = [
        [pair for pair in row if layout.chiplet_of_expert[i][pair[0]] != pair[1]]
        for i, row in enumerate(copies)
    ]
    most = max(len(row) for row in copies)
    copies = [row + [(-1, -1)] * (most - len(row)) for row in copies]
    layout = dataclasses.replace(layout, replicas=copies, choice=choice)
    served = layout.chiplets(trace)
    for layer in range(2):
        for index, token in enumerate(trace.topk[layer]):
            assert served[layer, index].tolist() == served_by_hand(layout, token, index, layer)
    assert (layout.layer(1).chiplets(trace.layer(1))[0] == served[1]).all()
    assert layout.load(trace).sum() == trace.topk.size


def test_copies_by_load_balance_and_use_exactly_their_slots() -> None:
    trace = topical(64, 8, layers=2)
    layout = allocate(trace, PACKAGE)
    more = replicate_by_load(layout, trace, 16)
    assert more.imbalance(trace) < 1.03 < layout.imbalance(trace)
    for layer in range(2):
        every = np.concatenate([more.chiplet_of_expert[layer], more.replicas[layer][:, 1]])
        assert (np.bincount(every) == 5).all()


def test_load_per_copy_is_what_greedy_replication_gives() -> None:
    """EPLB's example rule: each further copy goes to the expert with the most load per copy."""
    load = np.array([90, 132, 40, 61, 104, 165, 39, 4])
    used = np.repeat(np.arange(8), load)
    trace = RoutingTrace(used[:, None], 8)
    more = replicate_by_load(Allocation(("a", "b", "c", "d"), np.arange(8) // 2), trace, 4)
    assert sorted(more.replicas[0][:, 0].tolist()) == [0, 1, 4, 5]


def test_copies_by_traffic_send_fewer_messages_than_copies_by_load() -> None:
    trace = topical(64, 8, tokens=1500)
    layout = allocate(trace, PACKAGE)
    fewer = replicate_by_traffic(layout, trace, 16)
    assert fewer.c_t(trace) < 0.97 * layout.c_t(trace)
    assert replicate_by_load(layout, trace, 16).c_t(trace) > fewer.c_t(trace)
    assert (fewer.chiplet_of_expert == layout.chiplet_of_expert).all()
    assert (np.bincount(fewer.replicas[0][:, 1], minlength=16) <= 1).all()
    saved = [replicate_by_traffic(layout, trace, extra).c_t(trace) for extra in (0, 4, 8)]
    assert saved[0] == layout.c_t(trace)
    assert saved[0] > saved[1] > saved[2]


def test_the_first_copy_by_traffic_is_the_best_single_one() -> None:
    trace = topical(16, 4, tokens=400)
    layout = allocate(trace, PACKAGE, method="random", capacity=[2, 1, 1, 0] * 4)
    found = replicate_by_traffic(layout, trace, 16)
    first = dataclasses.replace(found, replicas=found.replicas[:, :1])
    best = np.inf
    for expert in range(16):
        for chiplet in set(range(16)) - {int(layout.chiplet_of_expert[0][expert])}:
            tried = dataclasses.replace(layout, replicas=[[(expert, chiplet)]], choice="local")
            best = min(best, tried.c_t(trace))
    assert first.c_t(trace) == best


def test_a_load_cap_holds_copies_back() -> None:
    trace = topical(64, 8, tokens=1000)
    layout = allocate(trace, PACKAGE, cap_chiplet=1.1)
    free, capped = (replicate_by_traffic(layout, trace, 16, cap_chiplet=cap) for cap in (None, 1.15))
    assert capped.imbalance(trace) <= 1.2
    assert free.c_t(trace) <= capped.c_t(trace) < layout.c_t(trace)


def test_dispatch_follows_the_copies() -> None:
    trace = topical(64, 8, tokens=500)
    layout = replicate_by_traffic(allocate(trace, PACKAGE), trace, 16)
    demand = dispatch(PACKAGE, trace, layout, token_bytes=1).demand
    assert demand.sum() == pytest.approx(layout.c_t(trace) * 500)


def test_what_cannot_be_is_named() -> None:
    trace = topical(16, 4, tokens=100)
    layout = Allocation(("a", "b"), np.arange(16) // 8)
    with pytest.raises(WorkloadError, match="-1 redundant experts"):
        replicate_by_load(layout, trace, -1)
    hot = RoutingTrace([[0, 1]] * 50 + [[2, 3]], 4)
    with pytest.raises(InfeasibleError, match="no chiplet is left for another copy of expert"):
        replicate_by_load(Allocation(("a", "b"), [0, 0, 0, 1]), hot, 5)
    once = replicate_by_load(layout, trace, 2)
    with pytest.raises(WorkloadError, match="has redundant experts already"):
        replicate_by_traffic(once, trace, 2)
    with pytest.raises(WorkloadError, match="two copies of an expert share a chiplet"):
        dataclasses.replace(layout, replicas=[[(0, 0)]])
    with pytest.raises(WorkloadError, match="no expert 16 or no chiplet 0 for a replica"):
        dataclasses.replace(layout, replicas=[[(16, 0)]])
    with pytest.raises(WorkloadError, match=r"give \(expert, chiplet\) pairs as \[1, copies, 2\]"):
        dataclasses.replace(layout, replicas=[(0, 1)])
    with pytest.raises(WorkloadError, match="cap_chiplet 0 must be above 0"):
        replicate_by_traffic(layout, trace, 1, cap_chiplet=0)
