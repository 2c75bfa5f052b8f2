"""Yield, cost, power and temperature against closed forms."""

import math

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import NopError, TopologyError
from noptoolkit.physical import (
    TECHNOLOGIES,
    Process,
    die_cost,
    die_yield,
    gross_dies,
    link_power,
    measured_links,
    organic_panel,
    package_cost,
    phy_areas,
    temperature,
    violations,
)
from noptoolkit.topology import mesh, nop_tree, scale_bandwidth


def test_yields() -> None:
    small, density = 1e-4, 1000.0
    assert die_yield(small, density, "poisson") == pytest.approx(math.exp(-0.1))
    assert die_yield(small, density, "murphy") == pytest.approx(((1 - math.exp(-0.1)) / 0.1) ** 2)
    assert die_yield(small, density, "negative binomial", 2.0) == pytest.approx((1 + 0.05) ** -2)
    assert die_yield(small, density, "negative binomial", 1e9) == pytest.approx(math.exp(-0.1))
    assert die_yield(small, 0.0, "murphy") == 1
    ordered = [die_yield(8e-4, density, model) for model in ("poisson", "murphy", "negative binomial")]
    assert ordered == sorted(ordered)
    with pytest.raises(TopologyError, match="no yield model"):
        die_yield(small, density, "seeds")


def test_die_cost() -> None:
    process = Process(wafer_cost=6000.0, defect_density=0.0, test_cost=2.0)
    assert die_cost(0.01, 0.01, process) == pytest.approx(6000 / gross_dies(0.01, 0.01, 0.15) + 2)
    four_small, one_large = 4 * die_cost(0.01, 0.02, Process()), die_cost(0.02, 0.04, Process())
    assert four_small < one_large  # what chiplets are for
    with pytest.raises(TopologyError, match="does not fit a wafer"):
        die_cost(0.3, 0.3, Process())


@pytest.mark.parametrize("wrong", [{"wafer_cost": 0}, {"defect_density": -1}, {"clustering": math.nan}])
def test_processes_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(NopError):
        Process(**wrong)


def test_bandwidth_has_its_price() -> None:
    package = mesh(2, link_bandwidth="125 GB/s", chiplet_size=("10 mm", "5 mm"))
    areas = phy_areas(package, "ucie-2d")  # two links each, 250 GB/s both ways, at 125 GB/s per mm2
    assert list(areas.values()) == pytest.approx([4e-6] * 4)
    assert list(phy_areas(package, "rapidchiplet").values()) == pytest.approx([2 * 0.85e-6] * 4)
    cost = package_cost(package, technology="ucie-2d", assembly_yield=1.0)
    grow = math.sqrt(54 / 50)
    assert cost.dies == pytest.approx(4 * die_cost(0.01 * grow, 0.005 * grow, Process()))
    wide, tall = 0.021, 0.011
    grow = math.sqrt(1 + 16e-6 / (wide * tall))
    under = organic_panel()
    assert cost.carrier == pytest.approx(die_cost(wide * grow, tall * grow, under))
    bare = package_cost(package, technology=None)
    assert bare.dies < cost.dies
    assert bare.carrier == pytest.approx(die_cost(wide, tall, Process(defect_density=100.0)))
    assert package_cost(package, technology="wires-50um") == bare
    half = scale_bandwidth(package, 0.5)
    assert package_cost(half, technology="ucie-2d").total < package_cost(package, technology="ucie-2d").total


def test_memory_buses_and_bonds_have_no_phys() -> None:
    plain, full = mesh(2), mesh(2, memory=True)
    assert phy_areas(full, "ucie-2d") == {**phy_areas(plain, "ucie-2d"), "hbm0": 0.0, "hbm1": 0.0}
    assert any(
        broken.rule == "phy area" for broken in violations(mesh(2, link_bandwidth="4 TB/s"), "ucie-2d")
    )
    one_way = Link("e0", "e3", "125 GB/s", reverse_bandwidth=0.0)
    more = plain.replace(links=[*plain.links, one_way])
    assert phy_areas(more, "ucie-2d")["e3"] - phy_areas(plain, "ucie-2d")["e3"] == pytest.approx(1e-6)


def test_package_cost() -> None:
    free = package_cost(mesh(3), technology=None, assembly_yield=1.0)
    assert free.total == pytest.approx(9 * die_cost(0.01, 0.01, Process()) + free.carrier)
    lossy = package_cost(mesh(3), technology=None, assembly_yield=0.9, assembly_cost_per_die=1.0)
    assert lossy.total == pytest.approx((free.total + 9) / 0.9**9)
    with pytest.raises(TopologyError, match="no size"):
        package_cost(Package("bare", [Chiplet("a")], []))
    with pytest.raises(TopologyError, match="a share"):
        package_cost(mesh(2), assembly_yield=0.0)


def test_costs_by_hand() -> None:
    """Gross dies of 1 cm2: pi 225 / 1 - 30 pi / sqrt 2 = 640.2, of which (31 / 30)^-3 work."""
    gross = 225 * math.pi - 30 * math.pi / math.sqrt(2)
    assert gross == pytest.approx(640.215, abs=1e-3)
    die = 1000 / gross * (31 / 30) ** 3
    assert die_cost(0.01, 0.01, Process()) == pytest.approx(die)
    alone = Package("alone", [Chiplet("a", position=(0, 0), size=(0.01, 0.01))], [])
    carrier = 1000 / gross * (301 / 300) ** 3  # silicon with 100 defects per m2
    cost = package_cost(alone, technology=None, assembly_cost_per_die=0.5)
    assert (cost.dies, cost.carrier) == (pytest.approx(die), pytest.approx(carrier))
    assert (cost.assembly, cost.yield_) == (0.5, 0.99)
    assert cost.total == pytest.approx((die + carrier + 0.5) / 0.99)
    assert package_cost(alone, technology="ucie-2.5d").carrier == pytest.approx(carrier)
    panel = 10 * math.sqrt(51 * 51.5 / math.pi)  # mm; 10 defects per m2
    disc = math.pi * panel**2 / 100 - 2 * math.pi * panel / math.sqrt(200)
    assert package_cost(alone).carrier == pytest.approx(1000 / disc * (1 + 1e-3 / 3) ** 3)
    own = Process(wafer_cost=640.0, defect_density=0.0)
    assert package_cost(alone, carrier_process=own).carrier == pytest.approx(640 / gross)
    assert package_cost(alone, die_process=own).dies == pytest.approx(640 / gross)
    with pytest.raises(TopologyError, match="a share above 0, up to 1"):
        package_cost(alone, assembly_yield=1.001)


def test_dies_of_one_outline_differ_by_their_links() -> None:
    """At 125 GB/s per mm2, both ways: a chain of 125 GB/s has PHYs of 2, 4 and 2 mm2."""
    nodes = [
        Chiplet(name, position=(x, 0), size=(0.01, 0.01))
        for name, x in zip("abc", (0, 0.01, 0.02), strict=True)
    ]
    chain = Package("chain", nodes, [Link("a", "b", "125 GB/s"), Link("b", "c", "125 GB/s")])
    flat = Process(defect_density=0.0)
    sides = [math.sqrt(area * 1e-6) for area in (102, 104, 102)]
    assert package_cost(chain, die_process=flat).dies == pytest.approx(
        sum(die_cost(side, side, flat) for side in sides)
    )


def test_the_limits_of_wafers_and_yields() -> None:
    """A die of 3 m x 4 m just fits a wafer of 2.5 m radius, where the estimate is below one."""
    wafer = Process(wafer_radius=2.5, defect_density=0.0)
    assert gross_dies(3, 4, 2.5) == 1
    assert gross_dies(3, 4, 2.499) == 0
    assert die_cost(3, 4, wafer) == 1000
    with pytest.raises(TopologyError, match="3010 mm x 4000 mm does not fit a wafer of 2500 mm radius"):
        die_cost(3.01, 4, wafer)
    for model, share in (("poisson", math.exp(-1)), ("murphy", (1 - math.exp(-1)) ** 2)):
        assert die_yield(1e-3, 1000, model) == pytest.approx(share)  # type: ignore[arg-type]
    assert die_yield(1e-3, 1000) == pytest.approx(27 / 64)
    assert die_yield(1e200, 1e200) == 0
    assert die_yield(1e-3, 1000, clustering=0.5) == pytest.approx(3**-0.5)
    with pytest.raises(TopologyError, match=r"^height of a die 0 must be finite and above 0$"):
        gross_dies(0.01, 0, 0.15)
    with pytest.raises(TopologyError, match=r"^die area -0\.0001 must be finite and not negative$"):
        die_yield(-1e-4, 1000)
    with pytest.raises(TopologyError, match=r"^clustering 0 must be finite and above 0$"):
        die_yield(0.0, 1000, clustering=0)


def test_link_power() -> None:
    package = measured_links(nop_tree(2, 2), TECHNOLOGIES["ucie-2d"])
    full = link_power(package)
    assert full.sum() == pytest.approx(8 * package.total_bandwidth * 0.6e-12)
    assert link_power(package, np.linspace(0, 1, len(full)))[0] == 0
    with pytest.raises(TopologyError, match="no energy_per_bit"):
        link_power(mesh(2))
    for wrong in (-0.5, math.inf, [-0.5] + [1.0] * (len(full) - 1)):
        with pytest.raises(TopologyError, match="finite and not negative"):
            link_power(package, wrong)
    ends = [Chiplet("a"), Chiplet("b")]
    one = Package("one", ends, [Link("a", "b", 2e9, 1e9, energy_per_bit="0.5 pJ/bit")])
    assert link_power(one, [0.5, 1.0]) == pytest.approx([0.004, 0.004])  # 8 bits x 1 GB/s x 0.5 pJ each way
    free = Package("free", ends, [Link("a", "b", 2e9, energy_per_bit=0.0)])
    assert link_power(free).tolist() == [0, 0]


def test_uniform_heat_rises_by_flux_over_sink() -> None:
    die = Package("die", [Chiplet("a", position=(0, 0), size=(0.02, 0.01))], [])
    hot = temperature(die, {"a": 100.0}, ambient=300.0, sink=1e4)
    assert hot.cells == pytest.approx(np.full_like(hot.cells, 300 + 100 / (0.02 * 0.01) / 1e4))
    assert hot.of_node["a"] == pytest.approx(hot.hottest)


def test_heat_in_is_heat_out() -> None:
    package = mesh(3, memory=True)
    hot = temperature(package, {"e0": "40 W", "e4": 15.0, "hbm1": 5.0}, ambient=300.0, sink=5e3)
    dx, dy = hot.cell
    assert (5e3 * (hot.cells - 300) * dx * dy).sum() == pytest.approx(60.0)
    assert hot.of_node["e0"] == max(hot.of_node.values())
    again = temperature(package, {"e0": 80.0, "e4": 30.0, "hbm1": 10.0}, ambient=300.0, sink=5e3)
    assert again.cells - 300 == pytest.approx(2 * (hot.cells - 300))


def test_four_oblong_cells() -> None:
    """Two by two dies of 10 mm x 6 mm, a cell each, and 8 W in one: 2 W in each mode of a 2 x 2 grid.

    The sheet, 150 W/(m K) x 0.5 mm, conducts 0.075 x 6 / 10 = 0.045 W/K across and 0.075 x 10 / 6 = 0.125 W/K
    upwards; the sink takes 20,000 W/(m2 K) x 60 mm2 = 1.2 W/K of each cell.
    """
    places = {"low left": (30, -7), "low right": (40, -7), "high left": (30, -1), "high right": (40, -1)}
    nodes = [Chiplet(n, position=(x * 1e-3, y * 1e-3), size=(0.01, 0.006)) for n, (x, y) in places.items()]
    joined = [Link("low left", name, 1.0) for name in list(places)[1:]]
    hot = temperature(Package("four", nodes, joined), {"low left": "8 W"}, cell="11 mm")
    even, across, up, both = 2 / 1.2, 2 / 1.29, 2 / 1.45, 2 / 1.54
    rise = [
        [even + across + up + both, even - across + up - both],
        [even + across - up - both, even - across - up + both],
    ]
    assert hot.cells == pytest.approx(318.15 + np.array(rise))
    assert list(hot.of_node.values()) == pytest.approx(list(hot.cells.ravel()))
    assert hot.hottest == hot.cells[0, 0]
    assert hot.cell == pytest.approx((0.01, 0.006))
    assert hot.origin == pytest.approx((0.025, -0.01))
    with pytest.raises(ValueError, match="read-only"):
        hot.cells[0, 0] = 0.0


@pytest.mark.parametrize("upright", [False, True])
def test_dies_that_share_cells(upright: bool) -> None:
    """Two cells of 10 mm x 4 mm: 0.8 W/K each to the sink and 0.03 W/K between them; one die half on each."""

    def die(name: str, middle: float, length: float) -> Chiplet:
        at, size = (middle * 1e-3, 0.002), (length * 1e-3, 0.004)
        return Chiplet(name, position=at[::-1] if upright else at, size=size[::-1] if upright else size)

    nodes = [die("left", 2.5, 5), die("middle", 10, 10), die("right", 17.5, 5)]
    strip = Package("strip", nodes, [Link("left", "middle", 1.0), Link("middle", "right", 1.0)])
    side = temperature(strip, {"left": 6.88}, ambient=300.0, cell="11 mm")
    assert side.cells.shape == ((2, 1) if upright else (1, 2))
    assert side.cells.ravel() == pytest.approx([308.3, 300.3])  # 6.88 x 0.83 / 0.688 and 6.88 x 0.03 / 0.688
    assert side.of_node == pytest.approx({"left": 308.3, "middle": 304.3, "right": 300.3})
    shared = temperature(strip, {"middle": 0.8, "right": 0.0}, ambient=300.0, cell="11 mm")
    assert shared.cells.ravel() == pytest.approx([300.5, 300.5])
    one = temperature(strip, {"left": 0.8}, ambient=300.0, cell="1 m")
    assert one.cells == pytest.approx(np.array([[300.5]]))


def test_cells_are_a_hundredth_of_the_longer_side() -> None:
    joined = [Link("a", "port", 1.0)]
    die = Package("die", [Chiplet("a", position=(0, 0), size=(0.001, 0.02)), Chiplet("port")], joined)
    assert temperature(die, {}).cells.shape == (100, 5)
    assert temperature(die, {}, cell=0.02 / 399.5).cells.shape == (400, 20)
    for cell in (0.0, -0.001, 0.02 / 400.5):
        with pytest.raises(TopologyError, match="more than 400 cells per side"):
            temperature(die, {}, cell=cell)
    with pytest.raises(TopologyError, match="'port' has power but no outline"):
        temperature(die, {"port": 1.0})
    for where in ((0.01, 0.0), (0.0, 0.01)):
        points = Package("points", [Chiplet("a", position=(0, 0)), Chiplet("port", position=where)], joined)
        with pytest.raises(TopologyError, match="'points' has no outlines"):
            temperature(points, {})


@pytest.mark.parametrize("cell", [0.0002, 0.0003])  # square cells, and some that are not
def test_a_strip_is_a_fin(cell: float) -> None:
    """Heat put into a short end of a long strip falls off as cosh(m (L - x)), m^2 = h / (k d)."""
    length, width, end = 0.04, 0.001, 0.0002
    nodes = [
        Chiplet("end", position=(end / 2, 0), size=(end, width)),
        Chiplet("strip", position=(end + (length - end) / 2, 0), size=(length - end, width)),
    ]
    from noptoolkit import Link

    package = Package("strip", nodes, [Link("end", "strip", 1.0)])
    sink, depth = 5e3, 0.5e-3
    hot = temperature(package, {"end": 1.0}, ambient=300.0, sink=sink, thickness=depth, cell=cell)
    m = math.sqrt(sink / (150.0 * depth))
    rise = hot.cells.mean(axis=0) - 300
    x = (np.arange(len(rise)) + 0.5) * hot.cell[0]
    fin = 1.0 / (150.0 * depth * width * m) * np.cosh(m * (length - x)) / np.sinh(m * length)
    assert rise[5:-5] == pytest.approx(fin[5:-5], rel=0.02)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sink": 0.0}, "sink"),
        ({"conductivity": math.inf}, "conductivity"),
        ({"thickness": "-1 mm"}, "thickness"),
        ({"cell": "1 um"}, "cells per side"),
        ({"power": {"e0": -1.0}}, "negative"),
        ({"power": {"e9": 1.0}}, "no node named"),
    ],
)
def test_temperatures_that_make_no_sense(options: dict, reason: str) -> None:
    power = options.pop("power", {"e0": 1.0})
    with pytest.raises(NopError, match=reason):
        temperature(mesh(2), power, **options)
