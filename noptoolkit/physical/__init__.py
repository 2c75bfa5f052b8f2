"""A package as a physical thing: geometry, feasibility, cost, power and temperature."""

from __future__ import annotations

from noptoolkit.physical.cost import (
    Cost,
    Process,
    die_cost,
    die_yield,
    gross_dies,
    organic_panel,
    package_cost,
    phy_areas,
)
from noptoolkit.physical.equal_cost import MEASURES, normalise
from noptoolkit.physical.feasibility import Violation, beachfront, edge_use, violations
from noptoolkit.physical.geometry import Ports, area, link_lengths, link_ports, measured_links, wire_length
from noptoolkit.physical.heat import Temperature, link_power, temperature
from noptoolkit.physical.placement import place
from noptoolkit.physical.profiles import Profile, profile
from noptoolkit.physical.technology import TECHNOLOGIES, Technology

__all__ = [
    "MEASURES",
    "TECHNOLOGIES",
    "Cost",
    "Ports",
    "Process",
    "Profile",
    "Technology",
    "Temperature",
    "Violation",
    "area",
    "beachfront",
    "die_cost",
    "die_yield",
    "edge_use",
    "gross_dies",
    "link_lengths",
    "link_ports",
    "link_power",
    "measured_links",
    "normalise",
    "organic_panel",
    "package_cost",
    "phy_areas",
    "place",
    "profile",
    "temperature",
    "violations",
    "wire_length",
]
