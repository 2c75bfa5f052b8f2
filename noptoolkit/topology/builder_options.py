"""What a package is made of, for any topology: the options that every builder takes.

A builder draws a graph; `Parts` says which chiplets, links, attention chiplet and memory stacks it is made
of. Quantities are in SI units or text with a unit. The defaults are round assumptions except where a source
is named: 256 GB/s and 8 GiB per HBM2 stack (Mozart, arXiv 2603.07006).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypedDict

from noptoolkit._names import did_you_mean
from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, Link, LinkKind, Memory, Role, Switch
from noptoolkit.units import Measured, MeasuredOrNone, Quantity, convert_fields, measured, parse_quantity

__all__ = ["Parts", "PartsOptions", "parts_of"]

MOST_STACKS = 1024
"""Of the attention chiplet."""

Point = tuple[float, float]
Size = tuple[Quantity, Quantity]


class PartsOptions(TypedDict, total=False):
    """The keyword arguments of `Parts`, which every builder takes."""

    link_bandwidth: Quantity
    link_latency: Quantity
    link_energy: Quantity | None
    role: Role
    flops: Quantity | None
    sram: Quantity | None
    sram_bandwidth: Quantity | None
    injection_bandwidth: Quantity | None
    ejection_bandwidth: Quantity | None
    crossbar_bandwidth: Quantity | None
    router_latency: Quantity
    replicates: bool
    reduces: bool
    chiplet_size: Size
    spacing: Quantity
    switch_size: Size
    switch_crossbar: Quantity | None
    switch_latency: Quantity
    memory_groups: int | None
    attention: bool
    attention_flops: Quantity | None
    attention_sram: Quantity | None
    attention_size: Size | None
    memory: bool
    memory_kind: str
    memory_bandwidth: Quantity
    memory_capacity: Quantity | None
    memory_latency: Quantity
    memory_energy: Quantity | None
    memory_size: Size
    attention_memories: int


@dataclass(frozen=True)
class Parts:
    """The chiplets, links and memory stacks that a builder uses.

    Parameters
    ----------
    link_bandwidth, link_latency, link_energy
        Bandwidth per direction, latency and energy of each die-to-die link, in B/s, s and J/bit.
    role
        Role of the chiplets.
    flops, sram, sram_bandwidth, injection_bandwidth, ejection_bandwidth, crossbar_bandwidth, router_latency
        Fields of each chiplet, see `noptoolkit.Chiplet`.
    replicates, reduces
        Whether the chiplets' routers copy packets and add partial results.
    chiplet_size, spacing
        Outline of a chiplet and the gap between neighbours, in m.
    switch_size, switch_crossbar, switch_latency
        Outline, crossbar and latency of each switch, in m, B/s and s.
    memory_groups
        Number of equal groups of chiplets that share a memory stack; the family's own where
        ``None``.
    attention
        Whether there is an attention chiplet, linked to one chiplet (or switch) of each group.
    attention_flops, attention_sram, attention_size
        Fields of the attention chiplet; those of the other chiplets where ``None``.
    memory
        Whether there are memory stacks: one for each group and ``attention_memories`` for the attention
        chiplet.
    memory_kind, memory_bandwidth, memory_capacity, memory_latency, memory_energy, memory_size
        Fields of each stack, see `noptoolkit.Memory`. Its link is a half-duplex bus of the same bandwidth.
    attention_memories
        Stacks of the attention chiplet.
    """

    link_bandwidth: Measured = measured("B/s", default="128 GB/s")
    link_latency: Measured = measured("s", default=0.0)
    link_energy: MeasuredOrNone = measured("J/bit", default=None)
    role: Role = "expert"
    flops: MeasuredOrNone = measured("FLOP/s", default=None)
    sram: MeasuredOrNone = measured("B", default=None)
    sram_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    injection_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    ejection_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    crossbar_bandwidth: MeasuredOrNone = measured("B/s", default=None)
    router_latency: Measured = measured("s", default=0.0)
    replicates: bool = False
    reduces: bool = False
    chiplet_size: Size = ("10 mm", "10 mm")
    spacing: Measured = measured("m", default="1 mm")
    switch_size: Size = ("5 mm", "5 mm")
    switch_crossbar: MeasuredOrNone = measured("B/s", default=None)
    switch_latency: Measured = measured("s", default=0.0)
    memory_groups: int | None = None
    attention: bool = False
    attention_flops: MeasuredOrNone = measured("FLOP/s", default=None)
    attention_sram: MeasuredOrNone = measured("B", default=None)
    attention_size: Size | None = None
    memory: bool = False
    memory_kind: str = "HBM2"
    memory_bandwidth: Measured = measured("B/s", default="256 GB/s")
    memory_capacity: MeasuredOrNone = measured("B", default="8 GiB")
    memory_latency: Measured = measured("s", default=0.0)
    memory_energy: MeasuredOrNone = measured("J/bit", default=None)
    memory_size: Size = ("7.8 mm", "12 mm")
    attention_memories: int = 2

    def __post_init__(self) -> None:
        convert_fields(self, lambda: "parts")
        for field in ("chiplet_size", "switch_size", "attention_size", "memory_size"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, _size(value, field))
        if not 0 <= self.attention_memories <= MOST_STACKS:
            raise TopologyError(
                f"attention_memories {self.attention_memories} is not between 0 and {MOST_STACKS}"
            )
        if self.spacing < 0:
            raise TopologyError(f"spacing {self.spacing:g} m must not be negative")

    @property
    def die(self) -> Point:
        """Outline of a chiplet, in m."""
        return _floats(self.chiplet_size)

    @property
    def attention_die(self) -> Point:
        """Outline of the attention chiplet, in m."""
        return _floats(self.attention_size or self.chiplet_size)

    @property
    def switch_die(self) -> Point:
        """Outline of a switch, in m."""
        return _floats(self.switch_size)

    @property
    def stack(self) -> Point:
        """Outline of a memory stack, in m."""
        return _floats(self.memory_size)

    @property
    def pitches(self) -> Point:
        """Distances between the centres of neighbours in a row and in a column of a grid, in m."""
        return self.die[0] + self.spacing, self.die[1] + self.spacing

    def chiplet(self, name: str, position: Point, group: str | None) -> Chiplet:
        """Return one chiplet of the array."""
        return Chiplet(
            name,
            role=self.role,
            flops=self.flops,
            sram=self.sram,
            sram_bandwidth=self.sram_bandwidth,
            injection_bandwidth=self.injection_bandwidth,
            ejection_bandwidth=self.ejection_bandwidth,
            crossbar_bandwidth=self.crossbar_bandwidth,
            latency=self.router_latency,
            replicates=self.replicates,
            reduces=self.reduces,
            position=position,
            size=self.die,
            group=group,
        )

    def attention_chiplet(self, position: Point) -> Chiplet:
        """Return the attention chiplet, named ``attn``."""
        flops = self.flops if self.attention_flops is None else self.attention_flops
        sram = self.sram if self.attention_sram is None else self.attention_sram
        return dataclasses.replace(
            self.chiplet("attn", position, None),
            role="attention",
            flops=flops,
            sram=sram,
            size=self.attention_die,
        )

    def switch(self, name: str, position: Point, *, in_network: bool = False) -> Switch:
        """Return a switch; ``in_network`` lets it replicate and reduce."""
        return Switch(
            name,
            crossbar_bandwidth=self.switch_crossbar,
            replicates=in_network,
            reduces=in_network,
            latency=self.switch_latency,
            position=position,
            size=self.switch_die,
        )

    def memory_stack(self, name: str, position: Point, serves: tuple[str, ...]) -> Memory:
        """Return a memory stack that holds the weights of some chiplets."""
        return Memory(
            name,
            bandwidth=self.memory_bandwidth,
            capacity=self.memory_capacity,
            kind=self.memory_kind,
            latency=self.memory_latency,
            energy_per_bit=self.memory_energy,
            serves=serves,
            position=position,
            size=self.stack,
        )

    def link(self, a: str, b: str, bandwidth: float | None = None, kind: LinkKind = LinkKind.D2D) -> Link:
        """Return a link, of ``link_bandwidth`` unless another is given."""
        return Link(
            a,
            b,
            bandwidth=self.link_bandwidth if bandwidth is None else bandwidth,
            kind=kind,
            latency=self.link_latency,
            energy_per_bit=self.link_energy,
        )

    def memory_link(self, memory: str, node: str) -> Link:
        """Return the bus of a memory stack."""
        return Link(
            memory,
            node,
            bandwidth=self.memory_bandwidth,
            kind=LinkKind.MEMORY,
            latency=self.link_latency,
            energy_per_bit=self.link_energy,
            half_duplex=True,
        )


def parts_of(options: PartsOptions, *, attention: bool = False) -> Parts:
    """Return the parts that a builder was asked for.

    Parameters
    ----------
    options
        Keyword arguments of the builder.
    attention
        Whether its family has an attention chiplet where ``options`` do not say.

    Raises
    ------
    TopologyError
        If an option is unknown.
    """
    known = [field.name for field in dataclasses.fields(Parts)]
    for key in options:
        if key not in known:
            raise TopologyError(f"no builder option named {key!r}; {did_you_mean(key, known)}")
    parts = Parts(**options)
    return parts if "attention" in options else dataclasses.replace(parts, attention=attention)


def _size(value: Size, field: str) -> Point:
    if isinstance(value, str) or len(value) != 2:
        raise TopologyError(f"{field} {value!r} is not a width and a height; write ['10 mm', '10 mm']")
    width, height = (parse_quantity(part, "m", field) for part in value)
    if min(width, height) <= 0:
        raise TopologyError(f"{field} {value!r} must be above 0")
    return width, height


def _floats(size: Size) -> Point:
    width, height = size
    return float(width), float(height)
