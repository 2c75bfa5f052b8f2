"""Best widths and ladders: closed forms, an independent program, enumeration, and broken certificates."""

import dataclasses
import itertools

import numpy as np
import pytest
from flow_cases import all_to_all, random_package, random_traffic
from scipy.optimize import linprog

from noptoolkit import Chiplet, Link, Package, Switch, congestion, topology, traffic
from noptoolkit.errors import NopError, RoutingError
from noptoolkit.flow.best_widths import best_widths
from noptoolkit.testing import problems
from noptoolkit.topology import mesh
from noptoolkit.traffic import DestinationSets, Traffic, from_matrix


def independent(package, demand, budget):
    """The best time of a plain package by scipy alone: flows by source and a width for each link at once."""
    n, links = len(package.nodes), len(package.links)
    arcs = [(i, d) for i in range(links) for d in (0, 1)]
    ends = package.link_ends
    tails = [ends[i][d] for i, d in arcs]
    heads = [ends[i][1 - d] for i, d in arcs]
    sources = [s for s in range(n) if demand[s].sum() > 0]
    flows = len(sources) * len(arcs)
    rows, owed = [], []
    for k, s in enumerate(sources):
        for v in range(n):
            if v == s:
                continue
            row = np.zeros(flows + links + 1)
            for a in range(len(arcs)):
                row[k * len(arcs) + a] = int(heads[a] == v) - int(tails[a] == v)
            rows.append(row)
            owed.append(demand[s, v])
    most, room = [], []
    for a, (i, d) in enumerate(arcs):
        row = np.zeros(flows + links + 1)
        row[[k * len(arcs) + a for k in range(len(sources))]] = 1.0
        row[flows + i] = -1.0
        row[-1] = -package.link_bandwidths[i, d]
        most.append(row)
        room.append(0.0)
    spent = np.zeros(flows + links + 1)
    spent[flows : flows + links] = 2.0  # both directions
    spent[-1] = -budget
    most.append(spent)
    room.append(0.0)
    goal = np.zeros(flows + links + 1)
    goal[-1] = 1.0
    return linprog(goal, A_ub=np.array(most), b_ub=room, A_eq=np.array(rows), b_eq=owed).fun


@pytest.mark.parametrize("seed", range(6))
def test_against_an_independent_linear_program(seed):
    package = random_package(seed, nodes=6, rich=False)
    demand = random_traffic(package, seed, memory=False)
    matrix = np.array(demand.demand)
    np.fill_diagonal(matrix, 0.0)
    for budget in (0.5, 5.0):
        found = best_widths(package, demand, budget)
        wanted = independent(package, matrix, budget)
        assert found.time == pytest.approx(wanted, rel=2e-3)
        assert found.time_bound <= wanted * (1 + 1e-7)
        assert found.time_bound == pytest.approx(wanted, rel=2e-3)
        assert found.verify()


@pytest.mark.parametrize("seed", [1, 2])
def test_one_traffic_takes_one_program_and_one_more_solve(seed):
    """Flows and widths are one linear program there: nothing is searched."""
    package = random_package(seed, nodes=8, rich=False)
    found = best_widths(package, all_to_all(package), 5.0)
    assert found.time == pytest.approx(found.time_bound, rel=1e-4)
    assert found.solves == 2


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_no_use_of_a_grid_beats_it(seed):
    """Every way to hand out five equal parts of the budget over four links, solved one by one."""
    rng = np.random.default_rng(seed)
    pairs = ("ab", "bc", "cd", "da")
    package = Package(
        "ring", [Chiplet(n) for n in "abcd"], [Link(*p, float(rng.uniform(0.5, 2))) for p in pairs]
    )
    demand = from_matrix(package, rng.pareto(1.5, (4, 4)))
    found = best_widths(package, demand, 4.0)
    grid = []
    for parts in itertools.product(range(6), repeat=4):
        if sum(parts) == 5:
            wide = package
            for pair, part in zip(pairs, parts, strict=True):
                now = next(link.bandwidth for link in package.links if (link.a, link.b) == tuple(pair))
                wide = wide.with_link_bandwidth(f"{pair[0]}<->{pair[1]}", now + part * 0.4)
            grid.append(congestion(wide, demand, tol=1e-6).time)
    assert min(grid) >= found.time_bound * (1 - 1e-9)
    assert found.time <= min(grid) * (1 + 1e-3)
    assert found.time == pytest.approx(congestion(found.package, demand, tol=1e-6).time, rel=1e-6)


@pytest.mark.parametrize("side", [4, 8])
def test_a_mesh_rewidened_has_its_closed_form(side):
    """k^2 (k + 1) / 6, which no package of as much wire beats."""
    package = mesh(side, side, link_bandwidth=1.0)
    found = best_widths(package, all_to_all(package), package.total_bandwidth, floor=0.0)
    assert found.time == pytest.approx(side**2 * (side + 1) / 6, rel=1e-5)
    assert found.status == "exact"


def test_a_tree_of_multicasts_has_its_closed_form():
    """Widths in proportion to loads: (bytes into groups + into leaves) / bandwidth, each way by itself."""
    tree = topology.nop_tree(2, 3, link_bandwidth=1.0)
    members = np.array([[0b0000110], [0b0111000], [0b1001010]], np.uint64)
    sets = traffic.DestinationSets(np.zeros(3, np.int64), members, np.array([3.0, 2.0, 4.0]))
    sent = traffic.Traffic(("attn", *tree.experts), np.zeros((7, 7)), multicast=sets, wiring=tree.wiring)
    flow = congestion(tree, sent, tol=1e-7)
    down = sum(load for load, c in zip(flow.load, tree.channels, strict=True))
    found = best_widths(tree, sent, tree.total_bandwidth, floor=0.0, directions="each")
    assert found.time == pytest.approx(down / tree.total_bandwidth, rel=1e-3)
    assert found.verify()


def test_dispatch_and_combine_together():
    """Two trees' worth of traffic, one each way: the sum of two times is least where each gets its share."""
    star = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 1.0)])
    there, back = from_matrix(star, [[0, 9.0], [0, 0]]), from_matrix(star, [[0, 0], [4.0, 0]])
    found = best_widths(star, [there, back], 3.0, directions="each", tol=1e-6)
    # minimise 9 / (1 + x) + 4 / (1 + 3 - x): (1 + x) / (4 - x) = 3 / 2
    assert found.time == pytest.approx(9 / 3 + 4 / 2, rel=1e-5)
    assert found.time_bound == pytest.approx(5.0, rel=1e-5)
    assert found.verify()
    weighed = best_widths(star, [there, back], 3.0, directions="each", weights=[4, 9], tol=1e-6)
    assert weighed.time == pytest.approx(4 * 9 / 2.5 + 9 * 4 / 2.5, rel=1e-5)


def test_a_broken_certificate_is_seen():
    package = mesh(3, 3, link_bandwidth=1.0)
    found = best_widths(package, all_to_all(package), 4.0)
    assert found.verify()
    one = found.evidence[0]
    dear = [dataclasses.replace(plane, cost=plane.cost * 1.01) for plane in one.planes]
    outer = dataclasses.replace(found.outer, bound=found.outer.bound * 1.005)
    fewer = congestion(found.package, all_to_all(package, package.terminals[:8]))
    cases = [
        dataclasses.replace(found, evidence=(dataclasses.replace(one, planes=dear),)),
        dataclasses.replace(found, outer=outer),
        dataclasses.replace(found, extra=found.extra * 2),
        dataclasses.replace(found, extra=found.extra * 0.9),
        dataclasses.replace(found, package=package),
        dataclasses.replace(found, after=found.before),
        dataclasses.replace(found, after=(fewer,)),
        dataclasses.replace(found, budget=found.budget / 2),
        dataclasses.replace(found, budget=float("nan")),
    ]
    for broken in cases:
        if broken.outer is outer:  # the claim is the smaller of bound and time: raise both
            broken = dataclasses.replace(broken, after=found.before)
        with pytest.raises(RoutingError, match="does not hold"):
            broken.verify()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget": -1.0}, "cannot be spent"),
        ({"budget": "4 GB"}, "not in B/s"),
        ({"links": "e0->e77"}, "no link"),
        ({"directions": "up"}, "'both' or 'each'"),
        ({"floor": 2.0}, "from 0 to 1"),
        ({"weights": [1.0, 2.0]}, "for each of 1 traffics"),
        ({"price": np.zeros(12)}, "must be above 0"),
    ],
)
def test_wrong_arguments(options, words):
    package = mesh(3, 3, link_bandwidth=1.0)
    with pytest.raises(NopError, match=words):
        best_widths(package, all_to_all(package), **{"budget": 1.0} | options)


def test_what_no_link_relieves_is_said():
    star = Package(
        "star",
        [Switch("hub", crossbar_bandwidth=2.0), *(Chiplet(n) for n in "abc")],
        [Link("hub", n, 1.0) for n in "abc"],
    )
    found = best_widths(star, all_to_all(star), 100.0)
    assert found.time == pytest.approx(3.0)  # six bytes through a crossbar of 2
    assert found.time_bound == pytest.approx(3.0)
    rungs = congestion(star, all_to_all(star)).ladder()
    assert rungs.stuck == ("hub crossbar",)
    assert rungs.notes() == ["no bandwidth of the chosen links helps: hub crossbar limits"]
    narrow = star.with_link_bandwidth("hub<->a", 0.5)
    rungs = congestion(narrow, all_to_all(narrow)).ladder()
    assert [rung.time for rung in rungs.rungs] == pytest.approx([4.0])
    assert rungs.rungs[0].end == pytest.approx(1 / 3)
    assert "then no bandwidth of the chosen links helps: hub crossbar limits" in rungs.notes()


@pytest.mark.parametrize(("side", "routing"), [(8, "optimal"), (8, "dor"), (6, "optimal")])
def test_the_ladder_of_a_mesh_has_its_closed_form(side, routing):
    """Cut by cut: (i + 1) (k - 1 - i) k^2 / 2 bytes each way over k links, the middle one first."""
    package = mesh(side, side, link_bandwidth=1.0)
    found = congestion(package, all_to_all(package), routing=routing, tol=1e-7).ladder()
    cuts = [(i + 1) * (side - 1 - i) * side for i in range((side - 1) // 2, -1, -1)]
    np.testing.assert_allclose([rung.time for rung in found.rungs], cuts, rtol=1e-5)
    assert found.finished
    for number, rung in enumerate(found.rungs[:-1]):
        needed = sum(max(cut / cuts[number + 1] - 1, 0) * side * 2 * 2 * 2 for cut in cuts if cut != cuts[0])
        needed += max(cuts[0] / cuts[number + 1] - 1, 0) * side * 2 * 2 * (1 if side % 2 == 0 else 2)
        assert rung.end == pytest.approx(needed, rel=1e-4)
    assert found.verify()


@pytest.mark.parametrize("seed", range(4))
def test_the_ladder_of_a_fixed_routing_against_brute_force(seed):
    """Widen whatever is busiest by little steps: the order in which channels join is that of the ladder."""
    package = random_package(seed, nodes=7, rich=False)
    flow = congestion(package, random_traffic(package, seed, memory=False), routing="shortest")
    found = flow.ladder(5, directions="each")
    width = np.array([c.bandwidth for c in package.channels])
    joined, spent = [], 0.0
    busy = flow.load / width
    order = np.argsort(-busy)
    for k in order[:5]:  # down to the next busiest, all that are above it together
        time = busy[k]
        spent = float(np.maximum(flow.load / time - width, 0).sum())
        joined.append((package.channels[k].name, time, spent))
    for rung, (name, time, before) in zip(found.rungs, joined, strict=True):
        assert rung.time == pytest.approx(time, rel=1e-6)
        assert rung.start == pytest.approx(before, rel=1e-5, abs=1e-9)
        assert rung.limited_by[0] == name


@pytest.mark.parametrize("seed", range(3))
def test_rungs_are_the_best_use_of_what_they_cost(seed):
    package = random_package(seed, nodes=6, rich=False)
    demand = random_traffic(package, seed, memory=False)
    matrix = np.array(demand.demand)
    np.fill_diagonal(matrix, 0.0)
    found = congestion(package, demand, tol=1e-7).ladder(4)
    for rung in found.rungs:
        assert rung.time_after == pytest.approx(independent(package, matrix, rung.end), rel=1e-4)
        middle = (rung.start + rung.end) / 2
        straight = 2 / (1 / rung.time + 1 / rung.time_after)
        if rung is not found.rungs[-1] or not found.finished:
            assert straight == pytest.approx(independent(package, matrix, middle), rel=1e-4)
    with pytest.raises(RoutingError, match="whole number"):
        congestion(package, demand).ladder(0)


def test_a_half_duplex_link_that_is_widened_is_verified() -> None:
    package = Package(
        "shared",
        [Chiplet(name) for name in "abc"],
        [Link("a", "b", 1e9, half_duplex=True), Link("b", "c", 2e9)],
    )
    flow = congestion(package, from_matrix(package, [[0, 1e9, 1e9], [0, 0, 0], [0, 0, 0]]))
    found = flow.spend(1e9)
    assert found.time == pytest.approx(1.0)
    assert found.verify()
    assert flow.ladder().verify()


def test_widths_of_links_twelve_powers_of_ten_apart() -> None:
    """The slow link needs 3 kB/s more; those beside it, and the budget, are far larger."""
    names = [Chiplet(name) for name in "abcd"]
    links = [Link("a", "b", 1e3), Link("b", "c", 4e3), Link("c", "d", 1e15)]
    package = Package("far apart", names, links)
    flow = congestion(package, from_matrix(package, [[0, 0, 8e3, 0], [0] * 4, [0] * 4, [0] * 4]))
    found = flow.spend(6e3)
    assert found.time == pytest.approx(2.0, rel=1e-6)
    assert found.package.links[1:] == package.links[1:]
    assert found.verify()
    rung = flow.ladder(1).rungs[0]
    assert (rung.time, rung.time_after, rung.end) == pytest.approx((8.0, 2.0, 6e3), rel=1e-4)
    assert rung.extra[0] == pytest.approx(3e3, rel=1e-4)
    assert flow.ladder().verify()


def test_links_keep_a_sliver_of_their_own_bandwidth() -> None:
    """A share of the mean would be more than a slow link has, and nobody paid for it."""
    links = [Link("a", "b", 1e3), Link("b", "c", 1e15)]
    package = Package("far apart", [Chiplet(name) for name in "abc"], links)
    flow = congestion(package, from_matrix(package, [[0, 1e3, 1e3], [0] * 3, [0] * 3]))
    found = flow.spend(0.0)
    assert found.time == flow.time == 2.0
    assert found.package.links == package.links


def test_a_ladder_whose_bandwidth_buys_nothing_has_no_rung() -> None:
    """The crossbar limits; prices of links beside it are rounding, and no rung is made of them."""
    nodes = [Chiplet("e0", crossbar_bandwidth=1e8), *(Chiplet(f"e{i}") for i in (1, 2, 3))]
    widths = (4.25e9, 1.5e8, 1.59e9, 2.86e9)
    links = [Link(f"e{i}", f"e{(i + 1) % 4}", width) for i, width in enumerate(widths)]
    package = Package("crossbar", nodes, links)
    sent = 1e6 * np.array([[0, 0, 2, 6], [5, 0, 4, 6], [4, 6, 0, 6], [4, 2, 3, 0]])
    found = congestion(package, from_matrix(package, sent)).ladder()
    assert found.rungs == ()
    assert found.stuck == ("e0 crossbar",)
    assert found.verify()


@pytest.mark.parametrize("seed", [59, 68])
def test_a_last_rung_that_saves_no_time_is_none(seed: int) -> None:
    """Crossbars limit in the end; a slope of 1e-9, all rounding, once made a rung of 25 GB/s for nothing."""
    rng = np.random.default_rng(seed)
    kind = {"bandwidth": (1e9, 3e9), "ports": 0.3, "copying": 0.5, "half_duplex": 0.4}
    package = problems.random_package(rng, nodes=(4, 6), **kind)
    sums = problems.random_messages(rng, package, messages=4, reverse=True)
    found = congestion(package, sums, tol=1e-6).ladder(3)
    assert all(rung.saved > 1e-6 * rung.time for rung in found.rungs)
    assert "crossbar" in found.stuck[0]
    assert found.verify()


def test_a_rung_ends_where_its_widths_cost() -> None:
    """A gap of 5e-6 in time was one of 1e-4 in the budget: the corner lay beyond what was bought."""
    nodes = [
        Chiplet("c0"),
        Chiplet("c1"),
        Chiplet("c2", ejection_bandwidth=2.455e9, reduces=True),
        Chiplet("c3", reduces=True),
        Chiplet("c4", injection_bandwidth=2.3e9, ejection_bandwidth=1.15e9, reduces=True),
    ]
    links = [
        Link("c0", "c1", 2.13e9, half_duplex=True),
        Link("c2", "c1", 1.33e9, half_duplex=True),
        Link("c3", "c2", 2.44e9, reverse_bandwidth=1.98e9),
        Link("c4", "c2", 2.21e9),
        Link("c3", "c2", 2.59e9, reverse_bandwidth=1.43e9),
        Link("c3", "c1", 1.01e9, half_duplex=True),
    ]
    package = Package("sums", nodes, links)
    sent = np.zeros((5, 5))
    sent[4, 3] = 240.9e6
    sums = DestinationSets(np.array([0]), np.array([[0b11110]], dtype=np.uint64), np.array([1110.0]))
    found = congestion(package, Traffic(package.terminals, sent, reduction=sums), tol=1e-6).ladder()
    before = 0.0
    for rung in found.rungs:
        assert rung.start == before
        assert rung.end == pytest.approx(found.search.choices.price @ rung.extra, rel=2e-6)
        before = rung.end
    assert found.rungs[-1].end == pytest.approx(180e6, rel=1e-6)  # 90 MB/s each way: 2.3 GB/s, as c4 injects
    assert found.verify()


def test_a_ladder_claims_times_within_its_gap() -> None:
    package = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 1e9)])
    found = congestion(package, from_matrix(package, [[0, 1e9], [0, 0]])).ladder(1)
    low = dataclasses.replace(found.rungs[0], time_after=found.rungs[0].time_after / 1.4)
    assert dataclasses.replace(found, rungs=(low,), gap=0.5).verify()
    with pytest.raises(RoutingError, match="rung 1 ends at"):
        dataclasses.replace(found, rungs=(low,), gap=0.3).verify()
