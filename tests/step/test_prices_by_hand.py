"""Paths, trees, prices and bounds of a step, each with an answer that a reader can give."""

import dataclasses
import itertools
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from small_steps import RATE, expert_bytes, small_workload, star, step_of

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, RoutingTrace
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.step import StepOptions, StepSchedule, price_checks
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.finer import MOST_TASKS, is_far
from noptoolkit.step.joint_routing import joint_routings
from noptoolkit.step.joint_trees import _parts, _shortest
from noptoolkit.step.path_program import PathPool, choose_paths, share_paths
from noptoolkit.step.phases import phases_of
from noptoolkit.step.price_checks import PriceCheck, cheapest_trees
from noptoolkit.step.prices import set_costs
from noptoolkit.step.relaxation import _Alone
from noptoolkit.step.routes import named_routing, routed_step
from noptoolkit.step.transfers import Lane
from noptoolkit.step.verification import _bound_faults
from noptoolkit.step.work_checks import _received

pytestmark = pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")


def test_two_ways_share_the_bytes_as_their_rates() -> None:
    """3 GB between corners of a square of which one way carries 2 GB/s and the other 1 GB/s: 1 s."""
    nodes = [Chiplet(name, flops=1e12) for name in "abcd"]
    links = [Link("a", "b", 2e9), Link("b", "d", 2e9), Link("a", "c", 1e9), Link("c", "d", 1e9)]
    network = flow_network(Package("square", nodes, links))
    pool = PathPool(network, (("a", "d"),))
    none = np.zeros(network.num_resources)
    found = share_paths(pool, [np.array([3e9])], [none])
    assert found.times == pytest.approx((1.0,))
    assert sorted(found.shares[0]) == pytest.approx([1 / 3, 2 / 3])
    assert found.prices[0] @ network.capacity == pytest.approx(1.0)
    busy = none.copy()
    ends = network.tail == network.origin[0], network.head == network.destination[1]
    (arc,) = np.flatnonzero(ends[0] & ends[1])
    busy[network.own[arc]] = 3e9  # from a to b, 2 GB/s: 3 + x there, 3 - x on the other way
    assert share_paths(pool, [np.array([3e9])], [busy]).times == pytest.approx((2.0,))


def _distances(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return the distances of a random graph that is not symmetric."""
    found = rng.uniform(0.2, 1.0, (size, size))
    np.fill_diagonal(found, 0.0)
    for k in range(size):
        found = np.minimum(found, found[:, k, None] + found[k])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_cheapest_trees_part_at_the_best_vertices(seed: int) -> None:
    """To three members a tree parts at one vertex into one member and the way to where the others part."""
    size = 7
    d = _distances(np.random.default_rng(seed), size)
    ends, at = np.array([1, 2, 3]), np.array([0, 0, 0, 5])
    held = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]], bool)

    def two(start: int, x: int, y: int) -> float:
        return min(d[start, v] + d[v, x] + d[v, y] for v in range(size))

    def three(start: int) -> float:
        orders = ((1, 2, 3), (2, 1, 3), (3, 1, 2))
        return min(d[start, v] + d[v, x] + two(v, y, z) for v in range(size) for x, y, z in orders)

    found = cheapest_trees(d[None], ends, at, held)[0]
    assert found == pytest.approx([three(0), two(0, 1, 2), d[0, 3], three(5)])


def lengths_of(network: FlowNetwork, arcs: np.ndarray) -> np.ndarray:
    """Return the distances between all vertices, with arcs of some lengths."""
    size = network.num_vertices
    d = np.full((size, size), np.inf)
    np.fill_diagonal(d, 0.0)
    d[network.tail, network.head] = arcs
    for k in range(size):
        d = np.minimum(d, d[:, k, None] + d[k])
    return d


@pytest.mark.parametrize("reverse", [False, True])
def test_a_message_round_a_hub_costs_one_way_there_and_one_to_each_member(reverse: bool) -> None:
    package = star(experts=4)
    network = flow_network(package)
    y = np.random.default_rng(1).uniform(0.5, 1.5, network.num_resources)
    arcs = network.on_arcs.T @ y
    hub = network.origin[package.index["hub"]]
    d = lengths_of(network, arcs)
    members = np.array([package.index[f"e{i}"] for i in range(4)])
    sets = np.array([[package.index["a"], *row] for row in ([1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 1])])
    none = np.zeros((1, len(package.nodes)))
    found = set_costs(network, d[None], none, none, sets, members, reverse)[0]
    on = d.T if reverse else d
    root = network.origin[package.index["a"]]
    legs = np.array([on[hub, network.origin[i]] for i in members])
    assert found == pytest.approx(on[root, hub] + sets[:, 1:] @ legs)
    port = none.copy()
    port[0, package.index["a"]] = 10.0
    dearer = set_costs(network, d[None], *((none, port) if reverse else (port, none)), sets, members, reverse)
    assert dearer[0] == pytest.approx(found + 10.0)


@pytest.mark.parametrize("ratio", [1.0, 3.0, 1e4])
def test_a_byte_alone_takes_all_ways_at_once(ratio: float) -> None:
    nodes = [Chiplet(name, flops=1e12) for name in "abcd"]
    wide, narrow = ratio * 1e9, 1e9
    links = [Link("a", "b", wide), Link("b", "d", wide), Link("a", "c", narrow), Link("c", "d", narrow)]
    alone = _Alone(flow_network(Package("square", nodes, links)), 0.5)
    assert alone.time(("a", "d")) == pytest.approx(2 / (wide + narrow), rel=1e-3)
    assert alone.time(("a", "d")) <= 2 / (wide + narrow)
    assert alone.time(("b", "b")) == 0.0


def test_what_is_half_a_percent_over_its_bound_is_far() -> None:
    def plan(makespan: float, quick: float, routes: float, tasks: int = 10) -> StepSchedule:
        found = SimpleNamespace(
            graph=range(tasks), makespan=makespan, bounds=SimpleNamespace(quick=quick), bound_of_routes=routes
        )
        return cast(StepSchedule, found)

    assert is_far(plan(1.01, 0.5, 1.0))
    assert not is_far(plan(1.004, 0.5, 1.0))
    assert not is_far(plan(1.004, 1.0, 0.5))
    assert is_far(plan(1.01, 1.0, 1.0))
    assert is_far(plan(2.0, 0.5, 0.9, MOST_TASKS))
    assert not is_far(plan(2.0, 0.5, 0.9, MOST_TASKS + 1))


def test_a_reading_of_more_than_ten_is_priced_by_the_farthest() -> None:
    """Trees from a stack to more are not computed; from a chiplet they are."""
    package = star(experts=11)
    network = flow_network(package)
    arcs = np.random.default_rng(2).uniform(0.5, 1.5, network.num_arcs)
    d = lengths_of(network, arcs)
    members = np.array([package.index[f"e{i}"] for i in range(11)])
    none = np.zeros((1, len(package.nodes)))
    hub = network.origin[package.index["hub"]]
    legs = np.array([d[hub, network.destination[i]] for i in members])
    for root, count, found in (("hbm", 11, legs.max()), ("hbm", 10, legs[:10].sum()), ("a", 11, legs.sum())):
        sets = np.array([[package.index[root], *([1] * count + [0] * (11 - count))]])
        cost = set_costs(network, d[None], none, none, sets, members, False)
        assert cost[0, 0] == pytest.approx(d[network.origin[package.index[root]], hub] + found)


def test_claims_a_little_over_what_is_proved_are_seen() -> None:
    """Under one price of several alone, and alone on the network by a thousandth."""
    package = star()
    work = small_workload(np.random.default_rng(0), package)
    apart = RoutingTrace([[0, 2], [2, 4], [1, 5], [0, 3]] * 4, num_experts=6)  # no token on one chiplet alone
    layout = nop.Allocation(package.experts, np.arange(6) // 2)
    step = unrouted_step(package, nop.Workload("apart", work.model, work.batch, apart), layout, StepOptions())
    assert not any(step.blocks[0].dispatch[0].pairs.values())
    network = flow_network(step.package)
    y = np.random.default_rng(3).random((3, network.num_resources))
    y /= (y @ network.capacity)[:, None]
    bare = step.with_transfers(lambda sent: dataclasses.replace(sent, uses={}, ports={}, lanes={}))
    assert list(PriceCheck(step, bare, y).faults()) == []

    def faults(index: int, **claims: object) -> list[str]:
        forged = bare.with_transfers(
            lambda sent: dataclasses.replace(sent, **claims) if sent.index == index else sent  # type: ignore[arg-type]
        )
        return list(PriceCheck(step, forged, y).faults())

    check = PriceCheck(step, bare, y)
    load = step.blocks[0].experts[0].load
    ((ends, size),) = load.pairs.items()
    cost = size * check.cost(ends)
    exact = {f"price {k}": float(c) for k, c in enumerate(cost)}
    assert faults(load.index, uses=exact) == []
    for k in range(3):
        over = exact | {f"price {k}": 1.001 * float(cost[k])}
        assert any("costs more under the prices" in line for line in faults(load.index, uses=over))
    sent = step.blocks[0].dispatch[0]
    assert sent.problem is not None
    name, size = max(_received(sent).items(), key=lambda item: item[1])
    for factor, said in ((1.0, False), (1 + 1e-5, True)):
        lanes = {f"to {name}": Lane({}, factor * size / RATE)}
        told = faults(sent.index, lanes=lanes)
        assert any("takes longer alone" in line for line in told) == said


def test_one_path_is_chosen_among_those_of_the_pool() -> None:
    """3 GB alone take the way of 2 GB/s; beside 2 GB into it, the other; a port may be what limits both."""
    nodes = [
        Chiplet("a", flops=1e12, injection_bandwidth=1e9),
        *(Chiplet(name, flops=1e12) for name in "bcd"),
    ]
    links = [Link("a", "b", 2e9), Link("b", "d", 2e9), Link("a", "c", 1e9), Link("c", "d", 1e9)]
    network = flow_network(Package("square", nodes, links))
    pool = PathPool(network, (("a", "d"),))
    none = np.zeros(network.num_resources)
    found = share_paths(pool, [np.array([3e9])], [none])
    assert found.times == pytest.approx((3.0,))  # 3 GB out of a at 1 GB/s

    def way(path: np.ndarray) -> str:
        return "".join(network.package.nodes[i].name for i in network.head[path] if i < 4)

    open_nodes = [dataclasses.replace(node, injection_bandwidth=None) for node in nodes]
    network = flow_network(Package("square", open_nodes, links))
    pool = PathPool(network, (("a", "d"),))
    share_paths(pool, [np.array([3e9])], [np.zeros(network.num_resources)])
    assert len(pool.paths[0]) == 2
    base = np.zeros(network.num_resources)
    ends = network.tail == network.origin[0], network.head == network.destination[1]
    (arc,) = np.flatnonzero(ends[0] & ends[1])
    for use, expected in ((0.0, "bd"), (6e9, "cd")):
        base[network.own[arc]] = use
        chosen = choose_paths(pool, [np.array([3e9])], [base])
        assert chosen is not None
        assert [way(path) for path in chosen] == [expected]


def test_shortest_trees_go_from_root_to_members_and_sums_from_members_to_root() -> None:
    nodes = [Chiplet("a", role="attention", flops=1e12, replicates=True, reduces=True)]
    nodes += [Chiplet(f"e{i}", role="expert", flops=1e12, replicates=True, reduces=True) for i in range(3)]
    names = [node.name for node in nodes]
    package = Package("line", nodes, [Link(x, y, RATE) for x, y in itertools.pairwise(names)])
    step = step_of(package, degree="in-network")
    network = flow_network(package)
    parts = _parts(step)
    assert {reverse for _, reverse, _ in parts} == {False, True}
    for (root, reverse, _), part in parts.items():
        hops = np.ones(network.num_arcs)
        for paths in _shortest(network, part, root, hops):
            assert len(paths) == 3
            for member, path in paths.items():
                way = [*network.tail[path].tolist(), int(network.head[path[-1]])]
                assert way == [int(network.tail[path[0]]), *network.head[path].tolist()]
                ends = (member, root) if reverse else (root, member)
                assert (way[0], way[-1]) == (network.origin[ends[0]], network.destination[ends[1]])
                assert len(path) == abs(names.index(package.nodes[member].name))


def test_of_too_dear_trees_four_of_each_kind_are_named() -> None:
    step = step_of(star(), weights="multicast")
    network = flow_network(step.package)
    y = np.random.default_rng(3).random((3, network.num_resources))
    y /= (y @ network.capacity)[:, None]
    bare = step.with_transfers(lambda sent: dataclasses.replace(sent, uses={}, ports={}, lanes={}))
    check = PriceCheck(step, bare, y)
    for sets in check.sets.values():
        sets.claimed[:] = 2 * sets.claimed + 1.0
    told = [line for line in check.faults() if "its tree" in line]
    assert max(sets.claimed.size for sets in check.sets.values()) > 4
    assert len(told) == sum(min(4, sets.claimed.size) for sets in check.sets.values())


@pytest.mark.parametrize("split", [False, True])
def test_joint_routings_are_tables_turns_and_shares(split: bool) -> None:
    """On a square, with ways round both sides: one path a pair of two programs, the turns, and the shares."""
    nodes = [Chiplet("a", role="attention", flops=1e12)]
    nodes += [Chiplet(f"e{i}", role="expert", flops=1e12) for i in range(3)]
    ring = ["a", "e0", "e1", "e2", "a"]
    package = Package("square", nodes, [Link(x, y, RATE) for x, y in itertools.pairwise(ring)])
    phases = phases_of(routed_step(step_of(package), named_routing(package, "shortest")))
    pool = PathPool(flow_network(package), phases.pairs)
    found = {one.name: one for one in joint_routings(pool, phases, None, split=split)}
    names = ["joint", "joint, by transfer", "joint, split", "joint, 7 phases"]
    assert list(found) == [name for name in names if split or name != "joint, split"]
    sent = step_of(package).transfers()[0]
    for name in ("joint", "joint, 7 phases"):
        for ends, known in zip(pool.pairs, pool.paths, strict=True):
            arcs = np.flatnonzero(found[name].pair(sent, ends, 1.0)).tolist()
            assert arcs in [sorted(path.tolist()) for path in known]


@pytest.mark.parametrize(
    ("every", "cheap", "sample", "found"),
    [
        (True, 0.0, 2, [0, 1, 2, 3, 4]),
        (None, 1e6, 2, [0, 1, 2, 3, 4]),
        (None, 0.0, 2, [0, 4]),
        (None, 67.0, 2, [0, 4]),  # five sets of three members: 5 x 27 / 2 unions
        (None, 68.0, 2, [0, 1, 2, 3, 4]),
        (False, 1e6, 2, [0, 4]),
        (False, 0.0, 5, [0, 1, 2, 3, 4]),
        (False, 0.0, 3, [0, 2, 4]),
    ],
)
def test_trees_of_all_sets_are_computed_where_asked_cheap_or_few(
    every: bool | None, cheap: float, sample: int, found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price_checks, "CHEAP", cheap)
    monkeypatch.setattr(price_checks, "SAMPLE", sample)
    step = step_of(star())
    check = PriceCheck(step, step, np.zeros((0, flow_network(step.package).num_resources)), every)
    held = np.zeros((6, price_checks.MOST_MEMBERS + 1), bool)
    held[:5, :3] = True
    held[5] = True  # of too many members
    assert check._chosen(held, np.arange(6)).tolist() == found


def test_bounds_up_to_the_makespan_and_no_bound_of_one_routing_are_sound() -> None:
    nodes = [Chiplet(name, role="expert", flops=1e12) for name in "abc"]
    ring = Package("ring", nodes, [Link("a", "b", RATE), Link("b", "c", RATE), Link("c", "a", RATE)])
    line = Package("line", nodes, [Link("a", "b", RATE), Link("b", "c", RATE)])

    def faults(package: Package, lower: float, routes: float, any_routing: float) -> list[str]:
        step = routed_step(step_of(package), named_routing(package, "shortest"))
        plan = SimpleNamespace(
            makespan=100.0, lower_bound=lower, bound_of_routes=routes, step=step,
            any_routing=SimpleNamespace(value=any_routing),
        )  # fmt: skip
        return _bound_faults(cast(StepSchedule, plan), 1e-9)

    assert faults(ring, 100.0, 100.0, 100.0) == []
    assert "the lower bound is 101 s" in faults(ring, 101.0, 100.0, 101.0)[0]
    assert "the bound of the routes is 101 s" in faults(ring, 100.0, 101.0, 100.0)[0]
    assert "but there are others" in faults(ring, 100.0, 100.0, 99.0)[0]
    assert faults(line, 100.0, 100.0, 99.0) == []


def test_slices_that_are_alike_are_routed_once() -> None:
    package = star(expert_bytes(step_of(star())))
    step = routed_step(step_of(package), named_routing(package, "shortest"))
    first, second = (part.load for part in step.blocks[0].experts[:2])
    assert first.pairs == second.pairs
    assert first.uses is second.uses
    assert first.index != second.index


def test_a_tree_too_dear_under_one_of_two_prices_is_seen() -> None:
    """Under the other only the host's link has a price: a tree costs what its farthest member does."""
    step = step_of(star())
    network = flow_network(step.package)
    y = np.zeros((2, network.num_resources))
    y[0] = np.random.default_rng(3).random(network.num_resources)
    root = network.origin[step.package.index["a"]]
    y[1, network.own[network.tail == root]] = 1.0
    y /= (y @ network.capacity)[:, None]
    bare = step.with_transfers(lambda sent: dataclasses.replace(sent, uses={}, ports={}, lanes={}))
    check = PriceCheck(step, bare, y)
    assert list(check.faults()) == []
    for sets in check.sets.values():
        sets.claimed[0, int(np.argmax(sets.claimed[0]))] *= 1.01
    assert len(list(check._tree_faults())) == len(check.sets)


def test_trees_that_cost_nothing_under_a_price_are_no_fault() -> None:
    """Two pairs of experts; one price is of the links of one pair alone."""
    package = star(experts=4)
    work = small_workload(np.random.default_rng(0), package)
    pairs = RoutingTrace([[0, 2], [4, 6]] * 8, num_experts=8)
    layout = nop.Allocation(package.experts, np.arange(8) // 2)
    step = unrouted_step(package, nop.Workload("pairs", work.model, work.batch, pairs), layout, StepOptions())
    network = flow_network(package)
    y = np.ones((2, network.num_resources))
    ends = [network.origin[package.index[name]] for name in ("e0", "e1")]
    y[1] = 0.0
    y[1, network.own[np.isin(network.head, ends) | np.isin(network.tail, ends)]] = 1.0
    y /= (y @ network.capacity)[:, None]
    bare = step.with_transfers(lambda sent: dataclasses.replace(sent, uses={}, ports={}, lanes={}))
    check = PriceCheck(step, bare, y)
    assert any((sets.claimed[1] == 0).any() and (sets.claimed[1] > 0).any() for sets in check.sets.values())
    assert list(check.faults()) == []
