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


def served_by_hand(layout: Allocation, tokens: np.ndarray, layer: int) -> list[list[int]]:
    """The rule, written down again activation by activation."""
    hosts = {e: [int(chiplet)] for e, chiplet in enumerate(layout.chiplet_of_expert[layer])}
    for expert, chiplet in layout.replicas[layer].tolist():
        if expert >= 0:
            hosts[expert].append(chiplet)
    turns = dict.fromkeys(hosts, 0)
    served = [[-1] * tokens.shape[1] for _ in tokens]
    visited = [{hosts[int(e)][0] for e in token if len(hosts[int(e)]) == 1} for token in tokens]
    places = [(t, j) for t in range(len(tokens)) for j in range(tokens.shape[1])]
    if layout.choice == "local":
        places.sort(key=lambda place: place[1])  # every token's first choice, then every token's second
    for t, j in places:
        options = hosts[int(tokens[t, j])]
        near = [chiplet for chiplet in options if chiplet in visited[t]]
        if layout.choice == "local" and len(options) > 1 and near:
            chosen = near[0]
        else:
            chosen = options[turns[int(tokens[t, j])] % len(options)]
            turns[int(tokens[t, j])] += 1
        served[t][j] = chosen
        visited[t].add(chosen)
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
        assert served[layer].tolist() == served_by_hand(layout, trace.topk[layer], layer)
    assert (layout.layer(1).chiplets(trace.layer(1))[0] == served[1]).all()
    assert layout.load(trace).sum() == trace.topk.size


def test_copies_by_load_balance_and_use_exactly_their_slots() -> None:
    trace = topical(64, 8, layers=2)
    layout = allocate(trace, PACKAGE, objective="c_t")
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
    layout = allocate(trace, PACKAGE, objective="c_t")
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
            if chiplet % 4 == 0:
                continue  # holds two already, as many as all do in the end
            tried = dataclasses.replace(layout, replicas=[[(expert, chiplet)]], choice="local")
            best = min(best, tried.c_t(trace))
    assert first.c_t(trace) == best


def test_a_load_cap_holds_copies_back() -> None:
    trace = topical(64, 8, tokens=1000)
    layout = allocate(trace, PACKAGE, cap_chiplet=1.1, objective="c_t")
    free, capped = (replicate_by_traffic(layout, trace, 16, cap_chiplet=cap) for cap in (None, 1.15))
    assert capped.imbalance(trace) <= 1.2
    assert free.c_t(trace) <= capped.c_t(trace) < layout.c_t(trace)


def test_dispatch_follows_the_copies() -> None:
    trace = topical(64, 8, tokens=500)
    layout = replicate_by_traffic(allocate(trace, PACKAGE, objective="c_t"), trace, 16)
    demand = dispatch(PACKAGE, trace, layout, token_bytes=1).demand
    assert demand.sum() == pytest.approx(layout.c_t(trace) * 500)


def test_what_cannot_be_is_named() -> None:
    trace = topical(16, 4, tokens=100)
    layout = Allocation(("a", "b"), np.arange(16) // 8)
    for redundant in (replicate_by_load, replicate_by_traffic):
        with pytest.raises(InfeasibleError, match="1000000000 redundant experts: there is room for at most"):
            redundant(layout, trace, 10**9)
    with pytest.raises(WorkloadError, match="-1 redundant experts"):
        replicate_by_load(layout, trace, -1)
    hot = RoutingTrace([[0, 1]] * 50 + [[2, 3]], 4)
    with pytest.raises(InfeasibleError, match="5 redundant experts: there is room for at most 4"):
        replicate_by_load(Allocation(("a", "b"), [0, 0, 0, 1]), hot, 5)
    once = replicate_by_load(layout, trace, 2)
    with pytest.raises(WorkloadError, match="has redundant experts already"):
        replicate_by_traffic(once, trace, 2)
    with pytest.raises(WorkloadError, match="no expert 16 or no chiplet 0 for a replica"):
        dataclasses.replace(layout, replicas=[[(16, 0)]])
    with pytest.raises(WorkloadError, match=r"give \(expert, chiplet\) pairs as \[1, copies, 2\]"):
        dataclasses.replace(layout, replicas=[(0, 1)])
    with pytest.raises(WorkloadError, match="cap_chiplet 0 must be above 0"):
        replicate_by_traffic(layout, trace, 1, cap_chiplet=0)


EPLB = [  # the example of DeepSeek's EPLB: 12 experts in two layers, 16 slots on 8 GPUs
    [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86],
    [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27],
]


def tokens_of(load, rng=0) -> RoutingTrace:
    used = np.repeat(np.arange(len(load)), load)
    return RoutingTrace(np.random.default_rng(rng).permutation(used)[:, None], num_experts=len(load))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("start", [pytest.param("contiguous", marks=pytest.mark.long), "uneven"])
def test_eplbs_example_is_as_balanced_as_can_be(layer: int, start: str) -> None:
    """Two on each GPU; mean / max .9290 and .8401, which a mixed-integer program proves optimal."""
    names = tuple(f"g{i}" for i in range(8))
    places = np.arange(12) * 8 // 12 if start == "contiguous" else [0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7]
    trace = tokens_of(EPLB[layer])
    layout = replicate_by_load(Allocation(names, places), trace, 4)
    assert layout.holds[0].sum(axis=1).tolist() == [2] * 8
    share = np.array(EPLB[layer]) / layout.holds[0].sum(axis=0)
    held = layout.holds[0] @ share
    assert held.mean() / held.max() == pytest.approx([0.92896, 0.84012][layer], abs=1e-5)
    assert best_balance(EPLB[layer], layout.holds[0].sum(axis=0), slots=2, gpus=8) == pytest.approx(
        held.max()
    )
    assert np.abs(layout.load(trace)[0] - held).max() <= 2


def best_balance(load, copies, slots, gpus) -> float:
    """The least load of the hottest GPU over all placements of given copies, no GPU twice (HiGHS)."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    share = np.array(load) / copies
    experts, size = len(load), len(load) * gpus
    by_expert = np.kron(np.eye(experts), np.ones(gpus))
    by_gpu = np.kron(np.ones(experts), np.eye(gpus))
    weighed = np.kron(share, np.eye(gpus)).reshape(gpus, size)
    column = np.zeros
    answer = milp(
        np.r_[column(size), 1.0],
        constraints=[
            LinearConstraint(np.c_[by_expert, column(experts)], copies, copies),
            LinearConstraint(np.c_[by_gpu, column(gpus)], slots, slots),
            LinearConstraint(np.c_[weighed, -np.ones(gpus)], -np.inf, 0.0),
        ],
        integrality=np.r_[np.ones(size), 0.0],
        bounds=Bounds(0, np.r_[np.ones(size), np.inf]),
    )
    return float(answer.fun)


def test_redundant_experts_are_close_to_the_best_packing() -> None:
    """Random loads: equally many on each chiplet, and the hottest within 6 % of what HiGHS finds."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        gpus = int(rng.integers(3, 7))
        experts = int(rng.integers(gpus, 3 * gpus))
        extra = 3 * gpus - experts
        load = rng.integers(1, 200, experts)
        layout = replicate_by_load(
            Allocation(tuple("abcdefg"[:gpus]), rng.integers(0, gpus, experts) // 2), tokens_of(load), extra
        )
        if np.bincount(layout.chiplet_of_expert[0]).max() > 3:
            continue
        copies = layout.holds[0].sum(axis=0)
        held = layout.holds[0] @ (load / copies)
        total = np.concatenate([layout.chiplet_of_expert[0], layout.replicas[0][:, 1]])
        if np.bincount(total, minlength=gpus).tolist() == [3] * gpus and copies.sum() == 3 * gpus:
            assert held.max() <= 1.06 * best_balance(load, copies, 3, gpus)


@pytest.mark.parametrize("redundant", [replicate_by_load, replicate_by_traffic])
@pytest.mark.parametrize("extra", [1, 4, 5, 8, 13])
def test_redundant_experts_even_out_what_chiplets_hold(redundant, extra: int) -> None:
    """12 on 8 chiplets are 1 or 2 each; the redundant ones go where 1 is, then one to each."""
    trace = topical(12, 4, tokens=400)
    layout = allocate(trace, tree(2, 4), method="contiguous")
    more = redundant(layout, trace, extra)
    held = np.bincount(more.chiplet_of_expert[0], minlength=8)
    held += np.bincount(more.replicas[0][:, 1][more.replicas[0][:, 0] >= 0], minlength=8)
    if redundant is replicate_by_load or extra % 4 == 0:
        assert held.max() - held.min() <= 1
    assert held.max() <= -(-(12 + extra) // 8)


@pytest.mark.parametrize("choice", ["balanced", "local"])
def test_turns_do_not_depend_on_the_order_of_the_tokens(choice: str) -> None:
    """Of two clients in turn, one always uses the expert with two copies: 150 of its 300 tokens each."""
    ids = [row for i in range(300) for row in ([0], [1 + i % 3])]
    layout = Allocation(("g0", "g1"), [0, 0, 1, 1], replicas=[[(0, 1)]], choice=choice)
    for seed in (None, 0, 1):
        order = np.arange(600) if seed is None else np.random.default_rng(seed).permutation(600)
        assert layout.load(RoutingTrace(np.array(ids)[order], num_experts=4))[0].tolist() == [250, 350]


def test_local_turns_count_only_what_is_not_near() -> None:
    """Every second token visits g0 anyway; the others share both copies of expert 0 evenly."""
    ids = [row for _ in range(100) for row in ([0, 1], [0, 2])]
    layout = Allocation(("g0", "g1", "g2"), [0, 0, 2], replicas=[[(0, 1)]], choice="local")
    served = layout.chiplets(RoutingTrace(ids, num_experts=3))[0]
    assert (served[::2, 0] == 0).all()
    assert np.bincount(served[1::2, 0]).tolist() == [50, 50]


def test_two_copies_on_one_chiplet_take_two_turns() -> None:
    """300 tokens of an expert with two copies on g0, one on g1: 200 and 100; its weights lie there once."""
    trace = tokens_of([300, 50, 50])
    layout = Allocation(("g0", "g1"), [0, 0, 1], replicas=[[(0, 0), (0, 1)]])
    assert layout.load(trace)[0].tolist() == [250, 150]
    assert layout.imbalance(trace) == pytest.approx(1.25)
    assert layout.holds[0].tolist() == [[True, True, False], [True, False, True]]
    local = dataclasses.replace(layout, choice="local")
    assert local.load(trace)[0].tolist() == [250, 150]


def test_more_slots_than_chiplets_without_a_copy_share_one() -> None:
    """Where free slots run out on other chiplets, copies change places until no chiplet has one twice."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        load = rng.pareto(1.0, 6) * 50 + 1
        layout = replicate_by_load(
            Allocation(("a", "b", "c"), [0, 0, 1, 1, 2, 2]), tokens_of(load.astype(int)), 6
        )
        assert layout.holds[0].sum() == 12
        assert layout.holds[0].sum(axis=1).tolist() == [4, 4, 4]
