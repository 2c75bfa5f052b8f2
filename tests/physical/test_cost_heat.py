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


def test_link_power() -> None:
    package = measured_links(nop_tree(2, 2), TECHNOLOGIES["ucie-2d"])
    full = link_power(package)
    assert full.sum() == pytest.approx(8 * package.total_bandwidth * 0.6e-12)
    assert link_power(package, np.linspace(0, 1, len(full)))[0] == 0
    with pytest.raises(TopologyError, match="no energy_per_bit"):
        link_power(mesh(2))
    with pytest.raises(TopologyError, match="not negative"):
        link_power(package, -1.0)


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
