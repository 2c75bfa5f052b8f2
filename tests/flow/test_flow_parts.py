"""Small parts of the flow solvers by hand: what decides which solver is asked, and what it is given."""

import networkx as nx
import numpy as np
import pytest
from flow_cases import from_graph, random_package, random_traffic
from message_cases import capable, messages, random_sets

from noptoolkit import Chiplet, Link, Package, topology
from noptoolkit.flow import best_widths, bisecting, congestion
from noptoolkit.flow.bisecting import proved_bisection
from noptoolkit.flow.bounds.certificate import node_cut_bounds
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.optimal import scaled_program
from noptoolkit.flow.optimal.path_columns import PathSearch
from noptoolkit.flow.optimal.scaled_program import is_wide
from noptoolkit.flow.trees import packing
from noptoolkit.flow.trees.blocks import partition
from noptoolkit.flow.trees.compiled_ascent import best_of_orders
from noptoolkit.flow.trees.dealt_trees import dealt_tree_loads, grown_trees
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.flow.widths.choices import choices_of
from noptoolkit.flow.widths.evidence import Evidence
from noptoolkit.network import flow_network
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import routing_problem
from noptoolkit.structure.bisection_bandwidth import bisection
from noptoolkit.traffic import DestinationSets, Traffic, from_matrix


def peeled(package, traffic):
    problem = routing_problem(package, traffic)
    return problem, peel(problem, tree_loads(problem, take_first))


def test_shares_are_asked_where_bandwidths_are_far_apart_and_columns_few(monkeypatch):
    """A ring with one link of another bandwidth: up to 1e5 times is near, just above it wide."""

    def ring(width):
        links = [Link(a, b, width if (a, b) == ("a", "b") else 1.0) for a, b in ("ab", "bc", "cd", "da")]
        return Package("ring", [Chiplet(name) for name in "abcd"], links)

    demand = 1 - np.eye(4)
    near, wide = (peeled(p, from_matrix(p, demand))[1].program for p in map(ring, (1e5, 1.001e5)))
    assert (is_wide(near), is_wide(wide)) == (False, True)
    monkeypatch.setattr(scaled_program, "MOST_COLUMNS", 12 * 8)  # pairs x arcs
    assert is_wide(wide)
    monkeypatch.setattr(scaled_program, "MOST_COLUMNS", 12 * 8 - 1)
    assert not is_wide(wide)


def test_the_tightest_port_bounds_the_time():
    """Of three sent to each of two, one may be received a second: 6 s; ports of others are wider."""
    nodes = [Chiplet("a", injection_bandwidth=4.0), Chiplet("b", ejection_bandwidth=1.0), Chiplet("c")]
    package = Package("three", nodes, [Link(*ends, 100.0) for ends in ("ab", "bc", "ca")])
    problem = routing_problem(package, from_matrix(package, 3.0 * (1 - np.eye(3))))
    port, *cuts = node_cut_bounds(problem)
    assert port.time == 6.0
    assert port.prices @ problem.network.capacity == 1.0
    assert max(cut.time for cut in cuts) == pytest.approx(6 / 200)
    assert congestion(package, from_matrix(package, 3.0 * (1 - np.eye(3)))).time == 6.0


def test_what_is_stripped_bounds_what_is_left():
    """A chiplet hangs on a ring by a link that is the slowest: its 6 B over 2 B/s are known before."""
    links = [Link(*ends, 10.0) for ends in ("ab", "bc", "cd", "da")] + [Link("d", "e", 2.0)]
    package = Package("tail", [Chiplet(name) for name in "abcde"], links)
    demand = np.ones((5, 5)) - np.eye(5)
    demand[4, :4], demand[:4, 4] = 1.5, 1.5
    _, found = peeled(package, from_matrix(package, demand))
    assert found.program.known * found.byte / found.rate == pytest.approx(3.0)
    assert found.program.num_vertices == 4
    flow = congestion(package, from_matrix(package, demand))
    assert (flow.time, flow.time_bound) == (pytest.approx(3.0), pytest.approx(3.0))


def test_a_ring_of_one_way_links_is_no_tree():
    """Nothing hangs on it: each link carries 1 + 2 + 3 of the shares of four chiplets."""
    links = [Link(a, b, 1.0, 0.0) for a, b in ("ab", "bc", "cd", "da")]
    package = Package("one way", [Chiplet(name) for name in "abcd"], links)
    flow = congestion(package, from_matrix(package, 1 - np.eye(4)))
    assert (flow.time, flow.time_bound) == (6.0, pytest.approx(6.0))
    assert flow.verify()


@pytest.mark.parametrize("seed", range(3))
def test_the_first_pool_carries_every_pair_once(seed):
    package = random_package(seed, nodes=12)
    _, found = peeled(package, random_traffic(package, seed))
    search = PathSearch(found.program)
    pool, shares, prices = search.greedy(np.inf)
    assert np.bincount(pool.pair, shares) == pytest.approx(np.ones(len(search.amount)))
    assert (shares > 0).all()
    assert (prices > 0).all()
    flow = search.flow(pool, shares)
    gain = np.zeros(found.program.demand.shape)
    np.add.at(gain.T, found.program.head, flow.T)
    np.subtract.at(gain.T, found.program.tail, flow.T)
    rows = np.arange(len(gain))
    gain[rows, found.program.ends] = found.program.demand[rows, found.program.ends]
    assert gain == pytest.approx(found.program.demand, abs=1e-9)


@pytest.mark.parametrize("reverse", [False, True])
def test_messages_are_dealt_evenly_to_trees(reverse):
    """On a ring, two trees from a root leave by both its channels, a half or a quarter of the bytes."""
    package = capable(topology.ring(5, link_bandwidth=1.0))
    count = 80
    everyone = DestinationSets(
        np.zeros(count, np.int64), np.full((count, 1), 0b11110, np.uint64), np.ones(count)
    )
    problem = routing_problem(package, messages(package, everyone, reverse=reverse))
    (part,) = problem.messages
    network = problem.network
    trees = grown_trees(network, part, 0, np.ones(network.num_arcs), 2)
    at = network.destination[0] if reverse else network.origin[0]
    near = (network.head if reverse else network.tail) == at
    used = [sorted({int(a) for way in tree.values() for a in way}) for tree in trees]
    assert [len(arcs) for arcs in used] == [4, 4]  # each spans the ring
    for share in (0.5, 0.25):
        loads = dealt_tree_loads(problem, {(0, reverse): trees}, {reverse: np.array([share, 1 - share])})
        alone = [np.isin(np.arange(network.num_arcs), arcs) for arcs in used]
        dealt = loads.arc_load[alone[0] & ~alone[1]]
        assert dealt == pytest.approx(np.full(len(dealt), share * count), abs=2)
        assert loads.arc_load.sum() == pytest.approx(4 * count)
        assert near[used[0]].any()


@pytest.mark.parametrize("reverse", [False, True])
def test_grown_trees_lead_from_where_messages_start_to_where_they_end(reverse):
    """A memory stack sends from one vertex and receives at another: nothing goes through it."""
    package = capable(random_package(3, nodes=9))
    names = (*package.terminals, "m0")
    everyone = DestinationSets(
        np.zeros(1, np.int64), np.array([[2 ** len(names) - 2]], np.uint64), np.ones(1)
    )
    asked = {"reduction" if reverse else "multicast": everyone}
    problem = routing_problem(package, Traffic(names, np.zeros((len(names), len(names))), **asked))
    (part,), network = problem.messages, problem.network
    length = np.ones(network.num_arcs)
    ends = part.endpoints.tolist()
    grown = [(root, tree) for root in ends for tree in grown_trees(network, part, root, length, 2)]
    for root, tree in grown:
        assert {root, *tree} == set(ends)
        for node, way in tree.items():
            first, last = (node, root) if reverse else (root, node)
            passed = [int(network.origin[first]), *network.head[way].tolist()]
            assert passed[:-1] == network.tail[way].tolist()
            assert passed[-1] == network.destination[last]


def test_messages_are_dealt_on_where_the_last_were():
    """80 messages dealt 30 and 50 at a time go on the same trees as all at once."""
    package = capable(topology.ring(5, link_bandwidth=1.0))

    def loads(count, first=0):
        size = 1.0 + np.arange(first, first + count)  # no two alike: each has to take its own tree
        sets = DestinationSets(np.zeros(count, np.int64), np.full((count, 1), 0b11110, np.uint64), size)
        problem = routing_problem(package, messages(package, sets))
        trees = grown_trees(problem.network, problem.messages[0], 0, np.ones(problem.network.num_arcs), 2)
        return dealt_tree_loads(problem, {(0, False): trees}, {False: np.array([0.3, 0.7])}, first).arc_load

    assert loads(30) + loads(50, first=30) == pytest.approx(loads(80))


def test_the_master_program_shares_out_each_block_once():
    """Fixed use (here a port) counts whole beside what is mixed: shares of half a block would hide it."""
    package = capable(topology.mesh(3, link_bandwidth=1.0))
    sets = random_sets(9, 40, 4, seed=3)
    search = packing._Search(partition(routing_problem(package, messages(package, sets))), 1e-3, np.inf)
    assert search.start()
    shares, prices = search._master({"solver": "simplex"}, np.inf)
    blocks = np.array([column.block for column in search.columns])
    assert np.bincount(blocks, shares) == pytest.approx(np.ones(len(search.parts.blocks)))
    assert (prices >= 0).all()


def test_a_lane_left_out_keeps_a_sliver():
    """1e-9 of what it has today; a lane that is given some has that."""
    package = Package("pair", [Chiplet(n) for n in "abc"], [Link("a", "b", 2.0), Link("b", "c", 4.0)])
    choices = choices_of(package, floor=0.0)
    assert choices.names == ("a<->b", "b<->c")
    found = choices.widened(np.array([0.0, 7.0]))
    assert [link.bandwidth for link in found.links] == pytest.approx([2e-9, 7.0], rel=1e-12)
    assert choices_of(package).widened(np.array([0.0, 7.0])).links[1].bandwidth == 11.0


@pytest.mark.parametrize("efficiency", [1.0, 0.5])
def test_uses_that_are_learnt_take_the_time_of_the_flow(efficiency):
    """Two parallel links that share equally, one of a third of the bandwidth: it decides."""
    links = [Link("a", "b", 3.0), Link("a", "b", 1.0), Link("b", "c", 2.0)]
    package = Package("cables", [Chiplet(n) for n in "abc"], links)
    traffic = from_matrix(package, [[0, 6, 0], [0, 0, 2], [0, 0, 0]])
    flow = congestion(package, traffic, routing="ecmp", efficiency=efficiency)
    learnt = Evidence(routing_problem(package, traffic), efficiency, fixed=True)
    learnt.learn(flow)
    assert (learnt.uses[0] / flow_network(package).capacity).max() == pytest.approx(flow.time)
    assert flow.time == pytest.approx(3.0 / efficiency)


def test_routings_are_asked_until_one_proves(monkeypatch):
    """Cuts are only searched here, so that no solver's clock decides which routings are asked."""
    routings = []

    def told(package, traffic, *, routing, **options):
        routings.append(routing)
        return congestion(package, traffic, routing=routing, **options)

    def searched(package, **options):
        return bisection(package, **options | {"exact": False})

    monkeypatch.setattr(bisecting, "congestion", told)
    monkeypatch.setattr(bisecting, "bisection", searched)
    assert proved_bisection(topology.mesh(8)).status == "exact"
    assert routings == ["dor"]
    routings.clear()
    irregular = from_graph(nx.random_regular_graph(3, 40, seed=1))
    proved_bisection(irregular, time_limit=0.2)
    assert routings == ["dor", "ecmp", "optimal"]
    routings.clear()
    monkeypatch.setattr(bisecting, "MOST_LOADS", 120 * 40)  # channels x chiplets, as many as there are
    proved_bisection(irregular, time_limit=0.2)
    assert routings[-1] == "optimal"
    routings.clear()
    monkeypatch.setattr(bisecting, "MOST_LOADS", 120 * 40 - 1)
    proved_bisection(irregular)
    assert routings == ["dor", "ecmp"]


def test_members_are_raised_in_the_orders_of_knuths_generator():
    """Multiplier and increment of MMIX, the upper 31 bits: a message sees the same orders everywhere."""
    everyone = np.arange(1, 6)
    # a star of hops from the root at 1 each, and dear ones between the members: all orders prove as much
    tail, head = np.zeros(5, np.int64), everyone.copy()
    first, out_first = np.array([0, 0, 1, 2, 3, 4, 5]), np.array([0, 5, 5, 5, 5, 5, 5])
    ends, room = everyone.copy(), (np.empty(5), np.empty(5, np.int64), np.empty(5, np.bool_))
    bound, chosen, _ = best_of_orders(
        first, tail, head, np.ones(5), out_first, np.arange(5), 0, ends, 3, *room, np.empty(6, np.int64),
        np.empty(6, np.int64), np.zeros((0, 0), np.uint64), np.zeros(0),
    )  # fmt: skip
    assert (bound, chosen) == (5.0, 5)
    expected, state = everyone.tolist(), 1
    for k in range(4, 0, -1):  # the first order closes the gap
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        other = (state >> 33) % (k + 1)
        expected[k], expected[other] = expected[other], expected[k]
    assert ends.tolist() == expected


def test_two_traffics_on_two_links_share_a_budget_as_is_best():
    """4 B and 2 B on a link each, 5 B/s to share: 1.2 s both, or (2 + sqrt(2))^2 / 5 in sum (Cauchy)."""
    package = Package("row", [Chiplet(n) for n in "abc"], [Link("a", "b", 1.0), Link("b", "c", 1.0)])
    pair = [
        from_matrix(package, [[0, 4.0, 0], [0, 0, 0], [0, 0, 0]]),
        from_matrix(package, [[0, 0, 0], [0, 0, 2.0], [0, 0, 0]]),
    ]
    for worst, time in ((True, 1.2), (False, (2 + 2**0.5) ** 2 / 5)):
        found = best_widths(package, pair, 3.0, directions="each", worst=worst)
        assert found.time == pytest.approx(time, rel=2e-3)
        assert found.outer.bound == pytest.approx(time, rel=2e-3)  # as it is proved, not cut off at the time
        assert found.outer.bound <= time * (1 + 1e-6)
