"""Every number of a technology against its source, so that none changes unseen."""

import math

import pytest

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import TopologyError
from noptoolkit.physical import TECHNOLOGIES, Process, Technology, measured_links, organic_panel

# GB/s per mm of edge, pJ/bit, reach in mm, GB/s per mm2, ns of both PHYs, ns per mm, mm2 per PHY, carrier
PUBLISHED = {
    # 224 GB/s per mm, 0.5 to 0.6 pJ/bit, 2 ns there and back (Das Sharma, Hot Interconnects, 2025);
    # 25 mm on a standard package (UCIe 1.0); 125 GB/s per mm2 (UCIe white paper, 2022)
    "ucie-2d": (224, 0.6, 25, 125, 1, 0, None, "organic"),
    # 1.3 TB/s per mm, 0.25 to 0.3 pJ/bit, 2 ns there and back; 2 mm; 1.35 TB/s per mm2 (the same sources)
    "ucie-2.5d": (1300, 0.3, 2, 1350, 1, 0, None, "silicon"),
    # 0.125 GB/s per wire and 20 wires per mm (Mozart, arXiv 2603.07006)
    "wires-50um": (0.125 * 20, None, None, None, 0, 0, None, "silicon"),
    # 12 cycles at each end, 0.25 cycle per mm, 0.85 mm2 per PHY (RapidChiplet, arXiv 2311.06081), at 1 GHz
    "rapidchiplet": (0.125 * 20, None, None, None, 24, 0.25, 0.85, "silicon"),
}


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_published_numbers(name: str) -> None:
    edge, energy, reach, areal, phys, wire, phy_area, carrier = PUBLISHED[name]
    found = TECHNOLOGIES[name]
    scaled = [
        (found.edge_density, edge, 1e12),
        (found.energy_per_bit, energy, 1e-12),
        (found.reach, reach, 1e-3),
        (found.areal_density, areal, 1e15),
        (found.phy_latency, phys, 1e-9),
        (found.latency_per_length, wire, 1e-6),
        (found.phy_area, phy_area, 1e-6),
    ]
    for value, stated, unit in scaled:
        assert value == (None if stated is None else pytest.approx(stated * unit, rel=1e-9, abs=0))
    assert (found.name, found.carrier) == (name, carrier)
    assert found.source


def test_example_processes() -> None:
    """A wafer of 300 mm and one defect in 10 cm2; a disc of the area of a panel of 510 mm x 515 mm."""
    wafer, panel = Process(), organic_panel()
    assert (wafer.wafer_radius, wafer.wafer_cost, wafer.defect_density) == (0.15, 1000.0, 1000.0)
    assert (wafer.clustering, wafer.test_cost) == (3.0, 0.0)
    assert math.pi * panel.wafer_radius**2 == pytest.approx(0.51 * 0.515)
    assert (panel.wafer_cost, panel.defect_density) == (1000.0, 10.0)


def test_small_numbers_are_allowed_and_infinite_ones_are_not() -> None:
    small = dict.fromkeys(("wafer_radius", "wafer_cost", "clustering", "defect_density", "test_cost"), 0.5)
    assert Process(**small).clustering == 0.5
    assert Process(defect_density=0.0, test_cost=0.0).defect_density == 0
    for name in small:
        for value in (math.inf, -0.5, math.nan, *([] if name in ("defect_density", "test_cost") else [0.0])):
            with pytest.raises(TopologyError, match=name):
                Process(**{name: value})
    tiny = Technology("t", 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    assert (tiny.reach, tiny.phy_area) == (0.5, 0.5)
    free = Technology("t", 1.0, energy_per_bit=0.0, phy_area=0.0)
    assert (free.energy_per_bit, free.phy_area, free.carrier) == (0.0, 0.0, "silicon")
    for name in ("edge_density", "reach", "areal_density", "energy_per_bit", "phy_latency", "phy_area"):
        with pytest.raises(TopologyError, match=name):
            Technology("t", **{"edge_density": 1.0, name: math.inf})


def test_only_links_between_dies_are_measured() -> None:
    """20 mm x 5 mm apart: 25 mm along the axes, sqrt(425) mm straight; latency 24 ns + 0.25 ns per mm."""
    nodes = [Chiplet("a", position=(0, 0)), Chiplet("b", position=(0.02, 0.005))]
    one = Link("a", "b", 2.0, 1.0, latency="7 ns", energy_per_bit="2 pJ/bit")
    bond = Link("a", "b", 2.0, kind="hybrid_bond", latency="7 ns")  # type: ignore[arg-type]
    bus = Link("a", "b", 2.0, half_duplex=True)
    measured = measured_links(Package("p", nodes, [one, bond, bus]), TECHNOLOGIES["rapidchiplet"])
    found, kept, half = measured.links
    assert kept == bond
    assert (half.half_duplex, found.half_duplex) == (True, False)
    assert (found.a, found.b, found.bandwidth, found.reverse_bandwidth) == ("a", "b", 2.0, 1.0)
    assert found.energy_per_bit == 2e-12  # the technology has no energy of its own
    assert (found.length, found.latency) == (pytest.approx(0.025), pytest.approx(30.25e-9))
    straight = measured_links(Package("p", nodes, [one]), TECHNOLOGIES["ucie-2d"], "euclidean").links[0]
    assert straight.length == pytest.approx(math.sqrt(425) * 1e-3)
    assert (straight.latency, straight.energy_per_bit) == (1e-9, 0.6e-12)
