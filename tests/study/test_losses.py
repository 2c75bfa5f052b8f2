"""Losses: those that symmetry makes equal against all of them one by one; routings that know no way round."""

import csv
import dataclasses
import itertools
import json

import numpy as np
import pytest
from flow_cases import all_to_all, random_package, random_traffic

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import NopError
from noptoolkit.flow import ROUTINGS, congestion
from noptoolkit.study import resilience
from noptoolkit.study.relabelling import alike, relabellings
from noptoolkit.topology import mesh, nop_tree, torus
from noptoolkit.traffic import from_matrix


def ring_of(widths, half=()):
    size = len(widths)
    return Package(
        "ring",
        [Chiplet(f"n{i}") for i in range(size)],
        [
            Link(f"n{i}", f"n{(i + 1) % size}", float(width), half_duplex=i in half)
            for i, width in enumerate(widths)
        ],
    )


def unequal(package):
    """Demand that a reflection of a grid keeps, and a turn does not."""
    rows = np.array([int(name[1:]) // 4 for name in package.terminals])
    return from_matrix(package, (1.0 + abs(rows[:, None] - rows[None, :])) * np.ones((16, 16)))


CASES = {
    "mesh": (mesh(4, 4, link_bandwidth=1.0), all_to_all),
    "mesh, unequal demand": (mesh(4, 4, link_bandwidth=1.0), unequal),
    "torus": (torus(3, 5, link_bandwidth=1.0), all_to_all),
    "tree": (nop_tree(2, 3), all_to_all),
    "ring, unequal links": (ring_of([1, 2, 1, 2, 1, 2]), all_to_all),
    "ring, half duplex": (ring_of([1, 1, 1, 1], half={0, 2}), all_to_all),
    "random": (random_package(3), lambda package: random_traffic(package, 3)),
    "ring, pairs": (ring_of([1] * 6), lambda package: from_matrix(package, np.eye(6)[[1, 0, 4, 5, 2, 3]])),
    "nothing": (ring_of([1, 1, 1, 1]), lambda package: from_matrix(package, np.zeros((4, 4)))),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("routing", "of", "failures"), [("ecmp", "links", 1), ("ecmp", "chiplets", 1), ("valiant", "links", 2)]
)
def test_symmetric_losses_cost_the_same(monkeypatch, case, routing, of, failures):
    package, make = CASES[case]
    traffic = make(package)
    options = {"of": of, "routing": routing, "trials": 40 if failures > 1 else None, "rng": 0}
    found = resilience(package, traffic, failures, **options)
    careful = dataclasses.replace(ROUTINGS[routing], names_matter=True)
    monkeypatch.setitem(ROUTINGS, routing, careful)
    every = resilience(package, traffic, failures, **options)
    assert found.lost == every.lost
    np.testing.assert_allclose(found.time, every.time, rtol=1e-12)
    assert (found.time_bound <= found.time).all()


@pytest.mark.parametrize(
    ("case", "classes"), [("mesh", 4), ("mesh, unequal demand", 8), ("torus", 2), ("tree", 2)]
)
def test_number_of_links_that_differ(case, classes):
    """A 4x4 mesh has four kinds of link, eight if rows and columns differ; a torus two, a tree its levels."""
    package, make = CASES[case]
    links = sorted({channel.link: (channel.name,) for channel in reversed(package.channels)}.items())
    chosen = alike([lost for _, lost in links], relabellings(package, make(package)))
    assert len(set(chosen.tolist())) == classes


@pytest.mark.parametrize("case", CASES)
def test_relabellings_keep_channels_and_demand(case):
    package, make = CASES[case]
    traffic = make(package)
    wide = {(c.tail, c.head, c.bandwidth) for c in package.channels}
    demand = {
        (a, b): traffic.demand[i, j]
        for (i, a), (j, b) in itertools.product(enumerate(traffic.endpoints), repeat=2)
        if i != j
    }
    for names in relabellings(package, traffic):
        assert {(names[a], names[b], width) for a, b, width in wide} == wide
        for (a, b), amount in demand.items():
            assert demand[names[a], names[b]] == pytest.approx(amount)


def test_optimal_after_every_loss_of_a_mesh():
    package = mesh(4, 4, link_bandwidth=1.0)
    lines = []
    after = resilience(package, all_to_all(package), report=lines.append)
    assert len(after.lost) == 24
    assert len(lines) == 4
    assert repr(after).startswith("Resilience('mesh-4x4', optimal: 24 losses, at worst 1.3")
    assert len(repr(after)) < 110
    assert lines[0].startswith("1 of 4 losses, ")
    assert ": without e0->e1 " in lines[0]
    assert (after.time <= after.time_bound * 1.01).all()
    assert (after.time >= after.intact.time * (1 - 1e-9)).all()
    middle = after.lost.index(("e1->e2",))
    assert after.time_bound[middle] == pytest.approx(64 / 3, rel=0.011)  # 8 x 8 bytes over 3 links
    left = package.without("e1->e2")
    again = congestion(left, all_to_all(left))
    assert after.time[middle] == pytest.approx(again.time, rel=0.011)


@pytest.mark.parametrize("of", ["links", "chiplets"])
def test_no_bound_is_above_what_can_be_had(of):
    package = mesh(3, 3)
    gather = np.zeros((9, 9))
    gather[1:, 0] = 1.0
    traffic = from_matrix(package, gather)  # less is left of it when a chiplet is lost
    fixed = resilience(package, traffic, of=of, routing="shortest")
    best = resilience(package, traffic, of=of)
    assert (fixed.time_bound <= best.time * (1 + 1e-9)).all()
    assert (fixed.time >= best.time_bound * (1 - 1e-9)).all()


def test_a_routing_that_knows_no_way_round_takes_for_ever():
    package = mesh(3, 3)
    for routing in (
        "dor",
        {(a, b): [a, *between(a, b), b] for a, b in itertools.permutations(package.terminals, 2)},
    ):
        after = resilience(package, all_to_all(package), routing=routing)
        assert np.isinf(after.time).all()
        assert np.isfinite(after.time_bound).all()
        assert (after.time_bound >= after.intact.time_bound).all()


def between(a, b):
    (r, c), (r2, c2) = divmod(int(a[1:]), 3), divmod(int(b[1:]), 3)
    row = [f"e{3 * r + x}" for x in range(c, c2, 1 if c2 > c else -1)]
    column = [f"e{3 * x + c2}" for x in range(r, r2, 1 if r2 > r else -1)]
    return [*row, *column][1:]


@pytest.mark.parametrize(
    "options",
    [
        {"failures": 0},
        {"failures": 1.5},
        {"failures": "1"},
        {"trials": 0},
        {"failures": 99},
        {"of": "chiplet"},
    ],
)
def test_options_out_of_range(options):
    package = ring_of([1, 1, 1])
    with pytest.raises(NopError, match=r"whole number from 1 up|cannot fail|known: links"):
        resilience(package, all_to_all(package), **{"failures": 1} | options)


def test_nodes_that_are_cut_off_without_traffic_are_lost_too():
    """A stack whose bus is lost, and an attention chiplet without demand, stop no traffic among experts."""
    package = mesh(3, 3, memory=True, attention=True, memory_groups=1)
    traffic = from_matrix(package, np.pad(np.ones((9, 9)), ((1, 0), (1, 0))))
    assert traffic.endpoints[0] == "attn"
    after = resilience(package, traffic, routing="ecmp")
    assert np.isfinite(after.time).all()
    for lost in (("hbm0->e5",), ("attn->e0",), ("hbm1->attn",)):
        assert after.time[after.lost.index(lost)] == after.intact.time
    everywhere = from_matrix(package, np.ones((10, 10)))
    after = resilience(package, everywhere, routing="ecmp")
    assert [lost for lost, time in zip(after.lost, after.time, strict=True) if np.isinf(time)] == [
        ("attn->e0",)
    ]


def test_table_rows_and_files(tmp_path):
    package = mesh(2, 3, link_bandwidth=1.0)
    after = resilience(package, all_to_all(package), routing="dor")
    head, rows = after.cells()
    assert head == ["lost", "time", "lower bound", "slowdown"]
    assert len(rows) == 7
    assert {row[1] for row in rows} == {"inf"}
    assert rows[0][2] == f"{after.time_bound.max():.3g} s"
    assert after.notes()[1:] == ["7 of 7 losses leave a path that dor does not take"]
    assert "<table>" in after._repr_html_()
    after.to_csv(tmp_path / "lost.csv")
    with (tmp_path / "lost.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["time [s]"]) for line in lines] == after.time.tolist()
    assert [float(line["time_bound [s]"]) for line in lines] == after.time_bound.tolist()
    after.to_json(tmp_path / "lost.json")
    stored = json.loads((tmp_path / "lost.json").read_text())
    assert [row["time"] for row in stored["rows"]] == [None] * 7
    assert stored["intact"]["time"] == after.intact.time

    best = resilience(package, all_to_all(package))
    assert [row["slowdown"] for row in best.rows] == best.slowdown.tolist()
    worst_first = [float(row[3].removesuffix(" x")) for row in best.cells(most=3)[1]]
    assert worst_first == sorted(worst_first, reverse=True)
    assert len(worst_first) == 3
    assert best.notes()[1].startswith("7 losses: ")
    dies = resilience(package, all_to_all(package), of="chiplets", routing="ecmp")
    assert "what a lost chiplet sends and receives is lost with it" in dies.notes()
    path = mesh(1, 3)
    assert "2 losses, no loss completes" in repr(resilience(path, all_to_all(path)))
    assert resilience(path, all_to_all(path)).notes()[1:] == ["2 of 2 losses leave a demand without a path"]


def test_random_losses_are_different_sets():
    ring = ring_of([1.0] * 5)
    after = resilience(ring, all_to_all(ring), 2, trials=9, rng=0, routing="ecmp")
    assert len({frozenset(names) for names in after.lost}) == 9


def test_notes_say_of_how_many_losses_the_mean_is():
    links = [Link(*pair, 1.0) for pair in ("ab", "bc", "ca", "cd")]
    package = Package("loop with a tail", [Chiplet(name) for name in "abcd"], links)
    after = resilience(package, all_to_all(package), routing="ecmp")
    assert np.isinf(after.time).tolist() == [False, False, False, True]
    assert after.notes()[1].startswith("3 of 4 losses that complete: ")
    assert after.notes()[2] == "1 of 4 losses leave a demand without a path"
