"""Bounds over all topologies: what no package of a class can beat, whatever its links.

Each result names its theorem and the class of packages that it ranges over, and holds a certificate that
`TopologyBound.verify` counts again by code of its own. The derivations: :doc:`/concepts/any-package`.
"""

from noptoolkit.bounds.designs import Design, design, design_bound
from noptoolkit.bounds.dies import room_bound
from noptoolkit.bounds.edges import edge_bound
from noptoolkit.bounds.matched import matched_bound
from noptoolkit.bounds.moore import moore_sum
from noptoolkit.bounds.of_classes import class_bound, class_like
from noptoolkit.bounds.of_collectives import collective_bound
from noptoolkit.bounds.of_packages import LIKE, any_package
from noptoolkit.bounds.port_counts import Ports, equal_ports, ports_of
from noptoolkit.bounds.ports import ports_bound
from noptoolkit.bounds.result import TopologyBound, bound_table
from noptoolkit.bounds.topology_class import TopologyClass, grid_class
from noptoolkit.bounds.wires import wire_bound
from noptoolkit.bounds.with_switches import all_to_all_bound

__all__ = [
    "LIKE",
    "Design",
    "Ports",
    "TopologyBound",
    "TopologyClass",
    "all_to_all_bound",
    "any_package",
    "bound_table",
    "class_bound",
    "class_like",
    "collective_bound",
    "design",
    "design_bound",
    "edge_bound",
    "equal_ports",
    "grid_class",
    "matched_bound",
    "moore_sum",
    "ports_bound",
    "ports_of",
    "room_bound",
    "wire_bound",
]
