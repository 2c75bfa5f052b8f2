"""What a package is made of: chiplets, switches, memory stacks and the links between them.

Quantities are given as floats in SI units or as text such as ``"128 GB/s"``, and held as floats.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from noptoolkit._names import did_you_mean
from noptoolkit.errors import TopologyError, UnknownNameError
from noptoolkit.units import (
    Measured,
    MeasuredOrNone,
    MeasuredPair,
    convert_fields,
    measured,
    measured_pair,
    parse_quantity,
)

__all__ = [
    "ROLES",
    "Channel",
    "Chiplet",
    "Link",
    "LinkKind",
    "Memory",
    "Node",
    "Role",
    "Switch",
    "links_of_kinds",
]

Role = Literal["attention", "expert", "compute", "io"]
ROLES: tuple[Role, ...] = ("attention", "expert", "compute", "io")


class LinkKind(enum.StrEnum):
    """What a link is made of."""

    D2D = "d2d"
    HYBRID_BOND = "hybrid_bond"
    MEMORY = "memory"
    SUBSTRATE = "substrate"


@dataclass(frozen=True)
class Chiplet:
    """A die that computes; it injects and ejects traffic and may forward it.

    Parameters
    ----------
    name
        Name, unique in the package.
    role
        ``attention`` (the dispatcher), ``expert`` (holds experts), ``compute`` or ``io``.
    flops
        Peak rate in FLOP/s (FP16 multiply and add count as two).
    sram, sram_bandwidth
        On-chiplet memory in B and its bandwidth in B/s.
    injection_bandwidth, ejection_bandwidth
        Total bandwidth that the chiplet can send and receive, in B/s; ``None`` is unlimited.
    crossbar_bandwidth
        Total bandwidth through its router, in B/s; ``None`` is unlimited.
    replicates, reduces
        Whether its router can copy a packet to several outputs, or add partial results.
    latency
        Time to cross its router, in s.
    position, size
        Centre and outline on the package, in m; drawn by the plots, measured by `physical`.
    group
        Name or number of its group: chiplets of one group share a memory port (the groups of Mozart's
        equation 5).
    """

    name: str
    role: Role = "compute"
    flops: MeasuredOrNone = measured("FLOP/s", default=None)
    sram: MeasuredOrNone = measured("B", default=None)
    sram_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    injection_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    ejection_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    crossbar_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    replicates: bool = False
    reduces: bool = False
    latency: Measured = measured("s", default=0.0)
    position: MeasuredPair = measured_pair()
    size: MeasuredPair = measured_pair()
    group: str | None = None

    def __post_init__(self) -> None:
        _convert_node(self)
        if isinstance(self.group, int) and not isinstance(self.group, bool):
            object.__setattr__(self, "group", str(self.group))
        elif self.group is not None and not isinstance(self.group, str):
            raise TopologyError(
                f"chiplet {self.name!r}: group {self.group!r} must be a name or a whole number"
            )


@dataclass(frozen=True)
class Switch:
    """A router on the package that holds no compute.

    Parameters
    ----------
    name
        Name, unique in the package.
    crossbar_bandwidth
        Total bandwidth through the switch, in B/s; ``None`` is unlimited.
    replicates, reduces
        Whether it can copy a packet to several outputs, or add partial results.
    latency
        Time to cross it, in s.
    position, size
        Centre and outline on the package, in m.
    """

    name: str
    crossbar_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    replicates: bool = False
    reduces: bool = False
    latency: Measured = measured("s", default=0.0)
    position: MeasuredPair = measured_pair()
    size: MeasuredPair = measured_pair()

    def __post_init__(self) -> None:
        _convert_node(self)


@dataclass(frozen=True)
class Memory:
    """A memory stack: an endpoint of weight traffic that never forwards.

    Parameters
    ----------
    name
        Name, unique in the package.
    bandwidth
        Bandwidth of its port, reads and writes together, in B/s.
    capacity
        Capacity in B; ``None`` is not checked.
    kind
        ``HBM2``, ``SSD``, ...: a label.
    latency
        Access time, in s.
    energy_per_bit
        Access energy, in J/bit.
    serves
        Names of the chiplets whose weights live here; empty means every chiplet that is nearest to it.
    position, size
        Centre and outline on the package, in m.
    """

    name: str
    bandwidth: Measured = measured("B/s")
    capacity: MeasuredOrNone = measured("B", default=None)
    kind: str = "HBM2"
    latency: Measured = measured("s", default=0.0)
    energy_per_bit: MeasuredOrNone = measured("J/bit", default=None)
    serves: tuple[str, ...] = ()
    position: MeasuredPair = measured_pair()
    size: MeasuredPair = measured_pair()

    def __post_init__(self) -> None:
        _convert_node(self)
        serves = (self.serves,) if isinstance(self.serves, str) else tuple(self.serves)
        object.__setattr__(self, "serves", serves)


Node = Chiplet | Switch | Memory


@dataclass(frozen=True, slots=True)
class Link:
    """One physical link between two nodes.

    Parameters
    ----------
    a, b
        Names of its ends.
    bandwidth
        Bandwidth from ``a`` to ``b``, in B/s.
    reverse_bandwidth
        Bandwidth from ``b`` to ``a``; ``None`` is the same as ``bandwidth``, 0 makes the link one-way.
    kind
        Material of the link; a package takes ``d2d`` for ``memory`` where an end is a memory stack.
    latency
        Time of flight with both PHYs, in s.
    energy_per_bit
        Energy of the link, in J/bit.
    half_duplex
        Whether both directions share ``bandwidth``.
    length
        Length in m; ``None`` lets `physical` measure it from the positions.
    """

    a: str
    b: str
    bandwidth: Measured = measured("B/s")
    reverse_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    kind: LinkKind = LinkKind.D2D
    latency: Measured = measured("s", default=0.0)
    energy_per_bit: MeasuredOrNone = measured("J/bit", default=None)
    half_duplex: bool = False
    length: MeasuredOrNone = measured("m", default=None)

    def __post_init__(self) -> None:
        convert_fields(self, self._place)
        if type(self.kind) is not LinkKind:
            try:
                object.__setattr__(self, "kind", LinkKind(self.kind))
            except ValueError:
                hint = did_you_mean(str(self.kind), [kind.value for kind in LinkKind])
                raise UnknownNameError(f"{self._place()}: no link kind named {self.kind!r}; {hint}") from None

    def _place(self) -> str:
        return f"link {self.a!r}-{self.b!r}"

    @property
    def backward_bandwidth(self) -> float:
        """Bandwidth from ``b`` to ``a``, in B/s."""
        return self.bandwidth if self.reverse_bandwidth is None else self.reverse_bandwidth


@dataclass(frozen=True, slots=True)
class Channel:
    """One direction of a link.

    Parameters
    ----------
    name
        ``tail->head``, with ``#2``, ``#3``, ... on parallel links.
    tail, head
        Names of the nodes it leaves and enters.
    bandwidth
        Bandwidth of the channel, in B/s.
    link
        Index of its link in ``package.links``.
    """

    name: str
    tail: str
    head: str
    bandwidth: Measured = measured("B/s")
    link: int = 0


def links_of_kinds(nodes: Iterable[Node], links: Iterable[Link]) -> tuple[Link, ...]:
    """Return links in which those to memory stacks that are ``d2d``, the default, are of kind ``memory``.

    A stack is not a die, and what counts links between dies (wires, edges, upgrades) must not count its bus.
    """
    given = tuple(links)
    stacks = {node.name for node in nodes if isinstance(node, Memory)}
    if not stacks:
        return given
    return tuple(
        replace(link, kind=LinkKind.MEMORY)
        if isinstance(link, Link) and link.kind is LinkKind.D2D and not stacks.isdisjoint((link.a, link.b))
        else link
        for link in given
    )


def _convert_node(node: Node) -> None:
    kind = type(node).__name__.lower()
    for field in ("replicates", "reduces"):
        value = getattr(node, field, False)
        if not isinstance(value, bool):
            raise TopologyError(f"{kind} {node.name!r}: {field} {value!r} must be True or False")
    convert_fields(node, lambda: f"{kind} {node.name!r}")
    for field in ("position", "size"):
        value = getattr(node, field)
        if value is not None:
            if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
                raise TopologyError(
                    f"{kind} {node.name!r}: {field} {value!r} is not a pair of lengths; "
                    "write ('10 mm', '10 mm') or two numbers in m"
                )
            x, y = value
            if not (type(x) is type(y) is float):
                x, y = (_length(part, f"{kind} {node.name!r}: {field}") for part in value)
            object.__setattr__(node, field, (x, y))


def _length(value: object, what: str) -> float:
    """Return a length in m; infinite numbers are left to the check of the package, which names them all."""
    if isinstance(value, str) or not hasattr(value, "__float__"):
        return parse_quantity(value, "m", what)  # type: ignore[arg-type]
    return float(value)
