"""Parts of the collectives on packages and numbers that a reader can follow."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from collective_cases import joined, path

from noptoolkit import Chiplet, Link, Package, Switch, topology
from noptoolkit.collectives import KINDS, Request, collective, optimum
from noptoolkit.collectives.algorithms.tours import _short_tour
from noptoolkit.collectives.exports import as_data, as_tasks, from_data
from noptoolkit.collectives.groups.relaying import _add_pair
from noptoolkit.collectives.kinds.steiner import all_reduce_at_switches
from noptoolkit.collectives.kinds.streams import _parted
from noptoolkit.collectives.prices.symmetry import _plain_orbits
from noptoolkit.collectives.values.answers import Answer
from noptoolkit.network import flow_network
from noptoolkit.scheduling import schedule_graph


def test_circles_of_a_flow_are_taken_out_of_its_paths() -> None:
    """Two go from 0 by 1 to 3, one more circles between 1 and 2, one between 3 and 1."""
    arcs = [(0, 1, 2), (1, 3, 3), (2, 1, 1), (1, 2, 1), (3, 1, 1)]
    tail, head, flow = np.array(arcs).T
    graph: Any = SimpleNamespace(tail=tail, head=head)
    parts = _parted(graph, 0, np.array([3]), np.array([2]), flow)
    assert sum(amount for _, amount, _ in parts) == 2
    assert {tuple(arcs) for _, _, arcs in parts} == {(0, 1)}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "send"])
def test_a_crossbar_that_everything_enters_is_counted(kind: str) -> None:
    """Three members behind a hub of 1 B/s, which copies nothing: each way to a member enters it."""
    nodes = [Switch("hub", crossbar_bandwidth=1.0), *(Chiplet(name) for name in "abc")]
    package = Package("star", nodes, [Link("hub", name, 10.0) for name in "abc"])
    result = collective(package, kind, 3.0)
    paths = {"scatter": 2.0, "gather": 2.0, "all-reduce": 12.0}
    assert result.time == result.time_bound == pytest.approx(paths.get(kind, 6.0))
    assert result.bottleneck == "hub crossbar"
    assert result.verify()


def test_two_phases_are_taken_where_they_are_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the busiest channel: a wide one may carry more."""
    package = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 1.0, 10.0)])
    network = flow_network(package)
    request = Request("all-reduce", 1.0, ("a", "b"))
    groups = optimum.groups_of(network, [request])
    assert network.capacity.tolist() == [1.0, 10.0]

    def answer(*use: float) -> Answer:
        return Answer(np.array(use), f"{use}", (), None, "")

    best = answer(1.0, 10.0)
    for plain, taken in ((answer(2.0, 1.0), False), (answer(1.0, 1.0), True), (answer(0.5, 10.5), False)):
        monkeypatch.setattr(optimum, "reduce_then_gather", lambda *_, plain=plain: plain)
        found = optimum._plainer(groups, best, 0.01, slack=0.0)
        assert (found.use == (plain if taken else best).use).all()


def test_a_pair_of_trees_collects_where_data_ends_and_spreads_from_where_it_starts() -> None:
    """Members 0 and 1 send from vertices 10 and 11, and receive at 20 and 21; 1 is the root."""
    groups: Any = SimpleNamespace(
        start=np.array([0, 2]),
        shares=np.array([6.0, 0.0]),
        origin=np.array([10, 11]),
        destination=np.array([20, 21]),
    )
    added: list[tuple[Any, ...]] = []

    def add(*row: Any, collects: bool, after: int) -> int:
        added.append((*row, collects, after))
        return 7

    rows: Any = SimpleNamespace(add=add)
    _add_pair(rows, groups, 0, 3, 1, [[100], [200]], [(1, 0), (-1, -2)])
    assert added == [(0, 21, 2.0, [[200]], True, -1), (0, 11, 2.0, [[100]], False, 7)]


def test_latency_of_channels_is_a_task_of_its_own() -> None:
    """Two hops of 1 s each, and after each what the channel adds; in two chunks the second fills the gap."""
    result = collective(path(3), "broadcast", 1.0, root="0")
    for alpha, chunks, tasks, span in ((0.0, 1, 2, 2.0), (0.25, 1, 4, 2.5), (0.25, 2, 8, 2.0)):
        graph = as_tasks(result, chunks, alpha=alpha)
        assert len(graph) == tasks
        assert schedule_graph(graph).makespan == pytest.approx(span)


@pytest.mark.parametrize("seed", range(6))
def test_no_part_of_a_short_tour_is_better_turned_round(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 12))
    hops = rng.integers(1, 5, (n, n))
    hops = np.minimum(hops, hops.T)
    tour = _short_tour(hops).tolist()
    assert sorted(tour) == list(range(n))

    def length(order: list[int]) -> int:
        return int(hops[order, [*order[1:], order[0]]].sum())

    for i in range(n):
        for j in range(i + 2, n + 1):
            assert length([*tour[:i], *tour[i:j][::-1], *tour[j:]]) >= length(tour)


def test_a_partition_into_members_proves_more_than_a_cut_of_two() -> None:
    """A ring of four, a switch in one side: 6 B into or out of four members over 4 links, two ways each."""
    package = joined("ring", [(0, 1), (1, 2), (2, 3), (3, "s"), ("s", 0)], relays=("s",))
    request = Request("all-reduce", 1.0, tuple("0123"))
    answer, _ = all_reduce_at_switches(flow_network(package), request, np.array([package.index["s"]]), 1e-3)
    assert answer is not None
    assert answer.bounds[0].time == pytest.approx(0.75)
    assert answer.bounds[0].cut is not None
    assert len(answer.bounds[0].cut.parts) == 4


def test_shares_are_written_where_there_are_any() -> None:
    mesh = topology.mesh(2, 2, link_bandwidth=1.0)
    even, uneven = (
        collective(mesh, "all-gather", 10.0),
        collective(mesh, "all-gather", shares=[1.0, 2.0, 3.0, 4.0]),
    )
    assert "shares" not in as_data(even)["requests"][0]
    data = as_data(uneven)
    assert data["requests"][0]["shares"] == [1.0, 2.0, 3.0, 4.0]
    again = from_data(mesh, data)
    assert again.requests == uneven.requests
    assert again.time == pytest.approx(uneven.time)


def test_orbits_are_not_told_by_links_where_two_unlike_ones_join_the_same_nodes() -> None:
    half, full = Link("a", "b", 1.0, half_duplex=True), Link("a", "b", 1.0)
    for links, plain in (([full, Link("b", "c", 1.0)], True), ([full, half, Link("b", "c", 1.0)], False)):
        network = flow_network(Package("chain", [Chiplet(name) for name in "abc"], links))
        groups = optimum.groups_of(network, [Request("all-gather", 1.0, tuple("abc"))])
        assert (_plain_orbits(groups) is not None) == plain


def test_a_schedule_within_the_gap_is_kept_where_a_mixture_is_a_little_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of what is kept, two phases must be no slower; of a mixture, by half of the gap."""
    asked: list[float] = []

    def plainer(groups: Any, best: Answer, tol: float, *, slack: float) -> Answer:
        asked.append(slack)
        return best

    monkeypatch.setattr(optimum, "_plainer", plainer)
    torus = topology.torus(9, 10, link_bandwidth=1.0)
    rows = [torus.terminals[:10], torus.terminals[40:50]]
    mixed, whole = (
        collective(torus, "all-gather", 1.0, groups=rows, tol=0.3, trees=trees) for trees in (False, True)
    )
    assert mixed.time < 0.999 * whole.time
    assert whole.time <= 1.3 * whole.time_bound
    assert whole.schedule is not None
    assert whole.verify()
    assert asked == [0.0]
