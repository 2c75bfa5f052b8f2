"""Upgrades: ranges of prices against solving again, and the example in which two prices missed the truth."""

import dataclasses

import numpy as np
import pytest
from flow_cases import all_to_all, random_package, random_traffic

from noptoolkit import Chiplet, Link, Package, Switch, congestion, load_topology, topology, traffic
from noptoolkit.errors import NopError, RoutingError, UnknownNameError
from noptoolkit.flow.widths.choices import choices_of, with_lane_bandwidths
from noptoolkit.flow.widths.sandwich import Line, sandwich
from noptoolkit.topology import mesh
from noptoolkit.traffic import from_matrix


def near_ties():
    """Four leaves of a switch, the busiest of which take 160 us and .894, .8 and .7 of it."""
    leaves = [Chiplet(f"e{i}", role="expert") for i in range(4)]
    nodes = [Chiplet("attn", role="attention"), Switch("sw2"), *leaves]
    links = [Link("attn", "sw2", "1 TB/s"), *(Link("sw2", leaf.name, "96 GB/s") for leaf in leaves)]
    package = Package("near ties", nodes, links)
    demand = np.zeros((5, 5))
    demand[0, 1:] = np.array([1, 0.894, 0.8, 0.7]) * 160e-6 * 96e9
    return congestion(package, from_matrix(package, demand, endpoints=("attn", "e0", "e1", "e2", "e3")))


@pytest.mark.parametrize(("to", "said"), [("128 GB/s", 120e-6), ("192 GB/s", 80e-6)])
def test_a_price_says_how_far_it_holds(to, said):
    flow = near_ties()
    found = flow.upgrade("sw2->e0", to=to)
    assert found.forecast == pytest.approx(said, abs=1e-7)
    assert found.after.time == pytest.approx(0.894 * 160e-6)
    assert found.held_forecast == pytest.approx(0.894 * 160e-6)
    assert found.high == pytest.approx(96e9 / 0.894)
    assert found.next_limit == ("sw2->e1",)
    assert found.verify()
    [row] = found.table().records()
    assert row["next"] == "sw2->e1"
    assert row["high"] == found.high


def test_inside_its_range_the_forecast_is_the_truth():
    """Ties of a symmetric mesh: one link alone, both ways, and what sets the time today."""
    package = load_topology("mesh-4x4")
    flow = congestion(package, traffic.all_to_all(package, "1 MB"))
    whole = flow.upgrade("e1<->e2", to="256 GB/s")
    assert 256e9 < whole.high < 300e9
    for bandwidth in (160e9, 256e9, 0.999 * whole.high):
        found = flow.upgrade("e1<->e2", to=bandwidth)
        assert found.forecast == pytest.approx(found.after.time, rel=1e-6)
    beyond = flow.upgrade("e1<->e2", to=1.2 * whole.high)
    assert beyond.forecast < beyond.after.time * (1 - 1e-3)
    ring = topology.ring(8, link_bandwidth="128 GB/s")
    found = congestion(ring, traffic.all_to_all(ring, "1 MB")).upgrade("e0->e1", to="256 GB/s")
    assert "limited by e0->e1 and 15 more" in found.table().notes[0]
    assert found.forecast == pytest.approx(found.after.time, rel=1e-6)


def test_fewer_bytes_per_second_are_allowed_and_said():
    found = near_ties().upgrade("sw2->e0", to="64 GB/s")
    assert found.after.time == pytest.approx(240e-6)
    assert found.gain == pytest.approx(-0.5)
    assert found.is_downgrade
    assert "some links get less bandwidth than they have today" in found.table().notes
    assert found.held_forecast == pytest.approx(240e-6)
    assert not any("the limit is" in line for line in found.table().notes)  # it limits down to nothing
    other = near_ties().upgrade("sw2->e1", to="64 GB/s")
    assert other.low == pytest.approx(0.894 * 96e9)
    assert "below 85.8 GB/s on sw2->e1 the limit is sw2->e1" in other.table().notes
    same = near_ties().upgrade("sw2->e0", by=0.0)
    assert same.after.time == same.before.time
    assert same.gain == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give one of to= .* and by="),
        ({"to": 1e9, "by": 1e9}, "give one of to="),
        ({"to": 0}, "more than 0"),
        ({"by": "-96 GB/s"}, "more than 0"),
        ({"to": "128 GB"}, "is in B, not in B/s"),
    ],
)
def test_wrong_bandwidths(options, words):
    with pytest.raises(NopError, match=words):
        near_ties().upgrade("sw2->e0", **options)


def test_a_link_that_does_not_exist_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'sw2->e0'"):
        near_ties().upgrade("sw2->e00", to="1 GB/s")
    package = mesh(2)
    nothing = congestion(package, from_matrix(package, np.zeros((4, 4))))
    with pytest.raises(NopError, match="carries nothing"):
        nothing.upgrade("d2d", to="1 GB/s")


def _truth(flow, lanes):
    package = with_lane_bandwidths(flow.package, lanes)
    return congestion(package, flow.traffic, routing=flow.routing, tol=1e-7).time


def _check_ranges(seed, routing):
    """Inside its range the price is the truth; the whole curve is, at any bandwidth."""
    package = random_package(seed, nodes=7)
    traffic = random_traffic(package, seed)
    flow = congestion(package, traffic, routing=routing, tol=1e-7)
    rng = np.random.default_rng(seed)
    names = [c.name for c in package.channels]
    if routing != "optimal":  # parallel links share equally there, whatever their bandwidth
        several = [name.split("#")[0] for name in names if "#" in name]
        names = [name for name in names if name.split("#")[0] not in several]
        backs = {"->".join(reversed(name.split("->"))) for name in several}
        names = [name for name in names if name not in backs]
    busiest = flow.bottleneck if flow.bottleneck in names else names[0]
    for name in {str(busiest), str(rng.choice(names))}:
        found = flow.upgrade(name, by=0.7)
        today = package.link_bandwidths.ravel()
        lanes = np.asarray(choices_of(package, name, directions="each").lanes.sum(axis=1)).ravel()
        assert found.curve.gap < 2e-6
        for piece in found.curve.pieces:
            for share in (0.01, 0.5, 0.99):
                x = piece.low + share * (piece.high - piece.low)
                true = _truth(flow, today + lanes * (x - found.old[0]))
                assert piece.time(x) == pytest.approx(true, rel=3e-6)
        price = (1 / found.held_forecast - 1 / flow.time) / max(
            min(found.new[0], found.high) - found.old[0], 1e-9
        )
        for share in (0.2, 0.9):
            x = found.old[0] + share * (min(found.high, 5.0) - found.old[0])
            if x > found.old[0]:
                true = _truth(flow, today + lanes * (x - found.old[0]))
                assert 1 / true == pytest.approx(1 / flow.time + price * (x - found.old[0]), rel=1e-5)
        if np.isfinite(found.high):
            x = found.high * 1.05
            true = _truth(flow, today + lanes * (x - found.old[0]))
            assert 1 / true < 1 / flow.time + price * (x - found.old[0]) - 1e-7


@pytest.mark.parametrize("routing", ["optimal", "ecmp"])
@pytest.mark.parametrize("seed", range(4))
def test_ranges_of_prices_against_solving_again(seed, routing):
    _check_ranges(seed, routing)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4, 104))
def test_ranges_of_prices_on_a_hundred_packages(seed):
    _check_ranges(seed, "optimal")


def test_the_curve_of_one_link_of_a_mesh():
    """It limits nothing alone: the middle cut does, with three other links."""
    package = mesh(4, 4, link_bandwidth=1.0)
    flow = congestion(package, all_to_all(package))
    curve = flow.over_bandwidth("e1<->e2", 0.01, 3.0)
    for x in (0.1, 0.6, 1.4):
        wide = package.with_link_bandwidth("e1<->e2", x)
        assert curve.bound_at(x) == pytest.approx(congestion(wide, flow.traffic, tol=1e-7).time, rel=1e-5)
    assert curve.bound_at(0.5) == pytest.approx(64 / 3.5, rel=1e-5)
    assert curve.bound_at(2.0) == pytest.approx(16.0, rel=1e-5)
    assert curve.table().rows[0][0] == pytest.approx(0.01)
    with pytest.raises(NopError, match="empty"):
        flow.over_bandwidth("e1<->e2", 2.0, 1.0)


def test_messages_to_sets_have_ranges_too():
    tree = topology.nop_tree(2, 3, link_bandwidth=1.0)
    from noptoolkit.traffic import DestinationSets, Traffic

    names = ("attn", *tree.experts)
    members = np.array([[0b0000110], [0b0111000], [0b1001010]], np.uint64)
    sets = DestinationSets(np.zeros(3, np.int64), members, np.array([3.0, 2.0, 4.0]))
    traffic = Traffic(names, np.zeros((7, 7)), multicast=sets, wiring=tree.wiring)
    flow = congestion(tree, traffic, tol=1e-7)
    busiest = str(flow.bottleneck)
    found = flow.upgrade(busiest, to=10.0)
    assert found.after.time == pytest.approx(
        congestion(tree.with_link_bandwidth(busiest, 10.0), traffic, tol=1e-7).time
    )
    edge = congestion(tree.with_link_bandwidth(busiest, found.high * 0.999), traffic, tol=1e-7)
    past = congestion(tree.with_link_bandwidth(busiest, found.high * 1.001), traffic, tol=1e-7)
    assert edge.time > past.time * (1 - 1e-9)
    assert past.time == pytest.approx(found.after.time)


def test_parallel_links_that_share_equally_are_refused():
    package = Package("two", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 1.0), Link("a", "b", 2.0)])
    flow = congestion(package, from_matrix(package, [[0, 6.0], [0, 0]]), routing="ecmp")
    assert flow.time == 3.0
    with pytest.raises(NopError, match="parallel links from 'a' to 'b' share"):
        flow.upgrade("a->b", to=3.0)
    best = congestion(package, flow.traffic)
    assert best.upgrade("a->b", to=3.0).after.time == pytest.approx(6 / 5)


def test_a_known_concave_function_is_found_with_its_corners():
    lines = [Line(0.0, 2.0), Line(1.0, 1.0), Line(3.0, 0.25), Line(5.0, 0.0)]
    asked = []

    def ask(x):
        asked.append(x)
        return min(line(x) for line in lines), [min(lines, key=lambda line: (line(x), line.slope))]

    found = sandwich(ask, 0.0, 100.0)
    np.testing.assert_allclose(found.corners(), [1.0, 8 / 3, 8.0])
    assert len(asked) <= 9
    assert len(sandwich(ask, 0.0, 100.0, corners=1).x) < len(found.x)
    assert len(asked) == len({*asked[: len(found.x)]}) + len({*asked[len(found.x) :]})  # none twice


def test_a_curve_is_asked_only_as_far_as_its_tolerance():
    """A root and its tangents: between the points asked, chords are within the tolerance of the tangents."""
    asked = []

    def ask(x):
        asked.append(x)
        return np.sqrt(x), [Line(np.sqrt(x) / 2, 1 / (2 * np.sqrt(x)))]

    found = sandwich(ask, 4.0, 400.0, tol=0.01)
    assert len(set(asked)) == len(asked) == len(found.x)
    assert 8 <= len(asked) <= 20
    everywhere = np.linspace(4.0, 400.0, 5000)
    upper = np.min([line(everywhere) for line in found.lines], axis=0)
    chords = np.interp(everywhere, found.x, found.value)
    assert (chords <= np.sqrt(everywhere) * (1 + 1e-12)).all()
    assert (upper >= np.sqrt(everywhere) * (1 - 1e-12)).all()
    assert (upper - chords <= 0.01 * upper * (1 + 1e-9)).all()


def test_planted_faults_of_an_upgrade_are_seen():
    package = mesh(3, 3, link_bandwidth=1.0)
    flow = congestion(package, all_to_all(package))
    found = flow.upgrade("e0<->e1", to=2.0)
    assert found.verify()
    wider = congestion(package.with_link_bandwidth("e0->e1", 3.0), all_to_all(package))
    double = congestion(found.after.package, from_matrix(package, 2 * (1 - np.eye(9))))
    fewer = found.after.package.replace(links=found.after.package.links[1:])
    faults = {
        "not those that are named": {"new": found.new * 2},
        "bandwidths that changed": {"after": wider},
        "is another one": {"after": double},
        "other nodes or links": {"after": congestion(fewer, all_to_all(fewer))},
        "was forecast at least": {"forecast": found.after.time * 1.01},
        "busiest resource": {"after": dataclasses.replace(found.after, time=found.after.time * 1.001)},
    }
    for said, change in faults.items():
        with pytest.raises(RoutingError, match=said):
            dataclasses.replace(found, **change).verify()
    with pytest.raises(RoutingError, match="forecast"):
        dataclasses.replace(found, forecast=float("nan")).verify()


def test_planted_faults_of_a_ladder_are_seen():
    package = mesh(2, 3, link_bandwidth=1.0)
    found = congestion(package, all_to_all(package)).ladder(2)
    assert found.verify()
    first, *others, last = found.rungs
    faults = {
        "the widths cost": ({"end": last.end * 1.01}, {"start": 0.1}, {"extra": last.extra * 1.1}),
        "begins at": ({"time": last.time * 1.01},),
        "ends at": ({"time_after": last.time_after * 0.99}, {"time_after": float("nan")}),
    }
    for said, changes in faults.items():
        for change in changes:
            rungs = (first, *others, dataclasses.replace(last, **change))
            with pytest.raises(RoutingError, match=said):
                dataclasses.replace(found, rungs=rungs).verify()
    with pytest.raises(RoutingError, match="begins at"):
        dataclasses.replace(found, rungs=(dataclasses.replace(first, time_after=0.9), *others, last)).verify()


@pytest.mark.parametrize("field", ["forecast", "held_forecast"])
@pytest.mark.parametrize("factor", [0.01, 0.99, 1.01])
def test_where_the_price_holds_another_forecast_is_refused(field, factor):
    package = mesh(2, link_bandwidth=1.0)
    found = congestion(package, all_to_all(package)).upgrade("d2d", to=2.0)
    assert found.low <= found.new[0] <= found.high
    assert found.verify()
    with pytest.raises(RoutingError, match="forecast"):
        dataclasses.replace(found, **{field: factor * getattr(found, field)}).verify()
