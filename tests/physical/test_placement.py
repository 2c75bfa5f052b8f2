"""Where dies are placed, by hand: rows, hexagons, circles, and the shortest wires of small packages."""

import itertools
import math

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import TopologyError
from noptoolkit.package import Role
from noptoolkit.physical import place
from noptoolkit.topology import random_regular

MM = 1e-3


def dies(links: str, width: float, height: float, fast: str = "") -> Package:
    """Return dies of a size in mm, joined by links such as ``ab ac`` of 1 GB/s, the fast ones of 10."""
    nodes = [Chiplet(name, size=(width * MM, height * MM)) for name in sorted(set(links) - {" "})]
    joined = [Link(one[0], one[1], 1e10 if one in fast.split() else 1e9) for one in links.split()]
    return Package("p", nodes, joined)


def at(package: Package) -> list[tuple[float, float]]:
    """Return the centres, in mm."""
    centres = [node.position or (math.nan, math.nan) for node in package.nodes]
    return [(round(x / MM, 6) + 0.0, round(y / MM, 6) + 0.0) for x, y in centres]


def wires(package: Package) -> float:
    """Return the length of all links between centres, Manhattan, weighted by bandwidth in GB/s, in mm."""
    centre = dict(zip(package.index, at(package), strict=True))
    return sum(
        link.bandwidth / 1e9 * sum(abs(p - q) for p, q in zip(centre[link.a], centre[link.b], strict=True))
        for link in package.links
    )


def test_rows() -> None:
    """Cells of 12 mm x 8 mm: sqrt(5 x 8 / 12) = 1.8, two columns."""
    five = dies("ab bc cd de", 10, 6)
    rows = [(0, 0), (12, 0), (0, -8), (12, -8), (0, -16)]
    assert at(place(five, spacing="2 mm")) == rows
    assert at(place(five, "hexagonal", spacing="2 mm")) == [(0, 0), (12, 0), (6, -8), (18, -8), (0, -16)]
    assert at(place(five, "annealed", spacing="2 mm", moves=0)) == rows
    wide = dies("ab bc cd", 40, 3)  # sqrt(4 x 4 / 41) = 0.6: one column, 1 mm apart
    assert at(place(wide)) == [(0, 0), (0, -4), (0, -8), (0, -12)]
    assert at(place(wide, spacing=0)) == [(0, 0), (0, -3), (0, -6), (0, -9)]


def test_cells_are_as_large_as_the_largest_die() -> None:
    nodes = [Chiplet("a", size=(0.004, 0.012)), Chiplet("b"), Chiplet("c", size=(0.002, 0.002))]
    package = Package("p", nodes, [Link("a", "b", 1.0), Link("b", "c", 1.0)])
    placed = place(package, spacing=0)  # 10 mm x 12 mm: sqrt(3 x 12 / 10) = 1.9, two columns
    assert at(placed) == [(0, 0), (10, 0), (0, -12)]
    assert [node.size for node in placed.nodes] == [(0.004, 0.012), (0.01, 0.01), (0.002, 0.002)]
    assert place(package, default_size="20 mm").nodes[1].size == (0.02, 0.02)


def round_m(links: str) -> dict[str, tuple[float, float]]:
    """Return the angle in degrees, and the distance in diagonals of a cell, of dies placed round die m."""
    package = dies(links, 10, 6)
    roles: dict[str, Role] = dict.fromkeys(package.index, "expert") | {"m": "attention"}
    nodes = [Chiplet(node.name, role=roles[node.name], size=node.size) for node in package.nodes]
    spread = dict(zip(package.index, at(place(package.replace(nodes=nodes), "radial")), strict=True))
    assert spread.pop("m") == (0, 0)
    return {
        name: (math.degrees(math.atan2(y, x)) % 360, math.hypot(x, y) / math.hypot(11, 7))
        for name, (x, y) in spread.items()
    }


def test_circles() -> None:
    """The side of a branch is as wide as its leaves; circles are a cell's diagonal apart."""
    found = round_m("mn ma ab ac ad")  # a has most links, but m is the attention chiplet
    by_hand = {"n": (45, 1), "a": (225, 1), "b": (135, 2), "c": (225, 2), "d": (315, 2)}
    assert {name: found[name] for name in by_hand} == {
        name: pytest.approx(spot, abs=1e-5) for name, spot in by_hand.items()
    }
    assert at(place(dies("ab ac bd be bf", 10, 6), "radial"))[1] == (0, 0)  # b has the most links


def test_the_first_and_the_last_of_a_circle_are_apart() -> None:
    """Between branches of one, six and one leaf: 22.5, 180 and 337.5 degrees, the first and last 45 apart."""
    found = round_m("ma mb mc bd be bf bg bh bi")
    radius = 0.5 / math.sin(math.radians(22.5))
    for name, angle in (("a", 22.5), ("b", 180), ("c", 337.5)):
        assert found[name] == pytest.approx((angle, radius), abs=1e-5)


def test_a_circle_holds_its_dies() -> None:
    """Twelve leaves a diagonal apart: a radius of half of it over sin 15 degrees."""
    star = place(dies(" ".join(f"z{leaf}" for leaf in "abcdefghijkl"), 10, 6), "radial")
    points = np.array(at(star))
    radius = math.hypot(11, 7) / 2 / math.sin(math.radians(15))
    assert np.hypot(*points[:-1].T) == pytest.approx([radius] * 12, abs=1e-5)
    assert np.hypot(*(points[0] - points[1])) == pytest.approx(math.hypot(11, 7), abs=1e-5)
    chain = np.array(at(place(dies("ab bc cd de", 10, 6), "radial")))  # round b
    assert np.hypot(*chain.T) == pytest.approx(math.hypot(11, 7) * np.array([1, 0, 1, 2, 3]), abs=1e-5)


def test_the_shortest_path_through_six_cells() -> None:
    """Three columns 12 mm apart in two rows 9 mm apart: a path takes each column's 9 mm and 12 mm twice."""
    scrambled = dies("af fb be ec cd", 10, 7)
    assert wires(place(scrambled, spacing="2 mm")) > 51
    assert wires(place(scrambled, "annealed", spacing="2 mm", moves=3000)) == pytest.approx(51)
    assert wires(place(scrambled, "annealed", spacing="2 mm", moves=3000, rng=5)) == pytest.approx(51)


def test_fast_links_are_short() -> None:
    """Four dies, all joined: two links must be diagonal, and those of 10 GB/s are not."""
    every = dies("ab ac ad bc bd cd", 10, 10, fast="ad bc")
    assert wires(place(every)) == pytest.approx(11 * (4 + 2 * 20))
    assert wires(place(every, "annealed", moves=200)) == pytest.approx(11 * (2 * 10 + 2 + 2 * 2))


@pytest.mark.parametrize("moves", [1, 5, 40, 300])
def test_annealing_never_lengthens(moves: int) -> None:
    package = random_regular(13, 4, seed=3)  # 16 cells, three of them free
    placed = place(package, "annealed", moves=moves, rng=2)
    assert wires(placed) <= wires(place(package)) + 1e-6
    assert len(set(at(placed))) == 13


def test_what_cannot_be_placed() -> None:
    package = dies("ab", 10, 6)
    for wrong in ({"spacing": "-1 um"}, {"default_size": 0}):
        with pytest.raises(TopologyError, match="spacing must not be negative and default_size above 0"):
            place(package, **wrong)
    names = [f"c{i}" for i in range(4097)]
    joined = [Link(a, b, 1e9) for a, b in itertools.pairwise(names)]
    many = Package("many", [Chiplet(name) for name in names], joined)
    with pytest.raises(TopologyError, match="4097 nodes are more than the 4096"):
        place(many, "annealed")
