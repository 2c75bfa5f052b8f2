"""The package graph: nodes, links, the package that they make, its edits and its views as other graphs."""

from noptoolkit.package.elements import Channel, Chiplet, Link, LinkKind, Memory, Node, Role, Switch
from noptoolkit.package.graph import Package, expect_package

__all__ = [
    "Channel",
    "Chiplet",
    "Link",
    "LinkKind",
    "Memory",
    "Node",
    "Package",
    "Role",
    "Switch",
    "expect_package",
]
