"""The class of a package, and the bound of any class by the theorem that covers it."""

from __future__ import annotations

from typing import Any

import numpy as np

from noptoolkit.bounds.designs import design
from noptoolkit.bounds.ports import ports_bound
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.bounds.topology_class import LinkRule, TopologyClass
from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, LinkKind, Package, Switch
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

__all__ = ["class_bound", "class_like"]


def class_like(package: Package, *, links: LinkRule = "single", **changes: Any) -> TopologyClass:
    """Return the class of all packages of the nodes of one: their ports, wired in any way.

    A port is an end of a die-to-die link of the package. Chiplets, memory stacks and the links of stacks stay
    as they are; switches may be left out, but for those that stacks hang on.

    Parameters
    ----------
    links
        See `LinkRule`.
    **changes
        Further fields of `TopologyClass`, such as ``reach`` (in least distances between two nodes of the
        package), ``total``, ``copiers``, ``movable``, ``technology``; ``ports`` and ``switches`` too.

    Raises
    ------
    TopologyError
        If its die-to-die links are not all equal and full duplex, or a chiplet has none.

    Examples
    --------
    >>> from noptoolkit.topology import nop_tree
    >>> class_like(nop_tree(2, 2))
    TopologyClass(5 chiplets of 'nop_tree-2x2' with 1 to 2 ports of 128 GB/s, ..., up to 2 switches ...)
    """
    joins = [link for link in package.links if link.kind != LinkKind.MEMORY]
    if not joins:
        raise TopologyError(f"package {package.name!r} has no die-to-die link; there is nothing to wire anew")
    first = joins[0]
    for link in joins:
        if link.half_duplex or not link.bandwidth == link.backward_bandwidth == first.bandwidth:
            wide, other = (format_quantity(one.bandwidth, "B/s") for one in (first, link))
            raise TopologyError(
                f"package {package.name!r}: link {link.a!r}-{link.b!r} ({other}) is not as {first.a!r}-"
                f"{first.b!r} ({wide}), full duplex and equal both ways: a class has ports of one bandwidth; "
                "make them equal by with_link_bandwidth('d2d', ...)"
            )
    count = dict.fromkeys((node.name for node in package.nodes), 0)
    for link in joins:
        count[link.a] += 1
        count[link.b] += 1
    chiplets = [node.name for node in package.nodes if isinstance(node, Chiplet)]
    switches = [node.name for node in package.nodes if isinstance(node, Switch)]
    for name in chiplets:
        if not count[name]:
            raise TopologyError(f"package {package.name!r}: chiplet {name!r} has no die-to-die link")
    places = [package[name].position for name in (*chiplets, *switches)]
    positions = None
    if all(place is not None for place in places):
        placed = np.array(places, dtype=float)
        apart = np.abs(placed[:, None] - placed[None]).sum(axis=-1) + np.diag([np.inf] * len(placed))
        positions = placed / apart.min()
    fields: dict[str, Any] = {
        "names": tuple(chiplets),
        "ports": np.array([count[name] for name in chiplets]),
        "bandwidth": first.bandwidth,
        "links": links,
        "positions": positions,
        "switches": tuple(count[name] for name in switches),
        "template": package,
    }
    return TopologyClass(**{**fields, **changes})


def class_bound(traffic: Traffic, within: TopologyClass) -> TopologyBound:
    """Return the best bound that a theorem of this room proves of a class.

    Without switches, sets and exchanged places it is the design program's; else ports, Moore sums and
    byte-hops, switches counted by their ports.

    Raises
    ------
    TopologyError
        If bandwidth splits freely and the program does not cover the class.

    Examples
    --------
    >>> from noptoolkit.traffic import all_to_all
    >>> from noptoolkit.topology import nop_tree
    >>> tree = nop_tree(2, 2, link_bandwidth="1 GB/s")
    >>> demand = all_to_all(tree, "1 GB", among="experts")
    >>> class_bound(demand, class_like(tree)).theorem
    'ports'
    """
    sets = any(part is not None and len(part) for part in (traffic.multicast, traffic.reduction))
    if not (sets or within.switches or within.movable):
        return design(traffic, within).bound
    if within.links == "split":
        raise TopologyError(
            f"{within.text()}: for sets and places that change, free splits are bounded by edge_bound and "
            "wire_bound"
        )
    ports = dict(zip(within.names, within.ports.tolist(), strict=True))
    place = {name: i for i, name in enumerate(within.names)}
    relays = [count for name, count in ports.items() if name not in traffic.endpoints] + [*within.switches]
    placed = within.positions if within.reach is not None and not relays else None
    bound = ports_bound(
        traffic,
        ports,
        within.bandwidth,
        relays=relays,
        positions=None if placed is None else placed[[place[name] for name in traffic.endpoints]],
        reach=None if placed is None else within.reach,
        copies=within.copies,
        any_place=within.movable,
    )
    return TopologyBound(bound.time, bound.theorem, within.text(), bound.what, bound.certificate)
