"""A class of topologies: where chiplets lie, and what links between them may take."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, Package, Switch
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["LinkRule", "TopologyClass", "grid_class"]

Copiers = int | Literal["given", "all"]
"""Which nodes may copy messages to sets and add reductions: those of the template (``given``; none without
one), ``all``, or so many of them, whichever."""

LinkRule = Literal["split", "whole", "single"]
"""How a chiplet's ports may be used: their bandwidth *split* freely over any links, *whole* links of one port
each (several between a pair if wanted), or whole links with a *single* one a pair."""

RULES: dict[str, str] = {
    "split": "bandwidth split freely over links",
    "whole": "whole links",
    "single": "whole links, one a pair",
}


@dataclass(frozen=True, eq=False, repr=False)
class TopologyClass:
    """Every package that may be built with these chiplets.

    Parameters
    ----------
    names
        Chiplets.
    ports
        Ports of each, [chiplets]. With ``links="split"`` they stand for bandwidth: ports x bandwidth.
    bandwidth
        Of a port, per direction, in B/s.
    links
        See `LinkRule`.
    positions
        Place of each, then of each switch, in pitches, [nodes, 2]; ``None`` where nothing depends on it.
    reach
        Longest link, in pitches, Manhattan; any where ``None``.
    wire
        Most of bandwidth x length, in links of one port over one pitch; any where ``None``.
    total
        Most bandwidth of all links together, in links of one port; any where ``None``.
    switches
        Ports of each switch that may be used; those without links are left out of a package.
    copiers
        Which nodes may copy and add, see `Copiers`.
    movable
        Whether chiplets may exchange their places.
    template
        Package whose nodes these are, see `noptoolkit.bounds.class_like`.
    technology
        Name in `noptoolkit.physical.TECHNOLOGIES` whose rules a package must keep (edge, reach, PHY area).

    Raises
    ------
    TopologyError
        If a budget is not above 0, or the class holds no connected package: the message names the budget that
        forbids it.
    """

    names: tuple[str, ...]
    ports: Ints
    bandwidth: float
    links: LinkRule = "whole"
    positions: Floats | None = None
    reach: float | None = None
    wire: float | None = None
    total: float | None = None
    switches: tuple[int, ...] = ()
    copiers: Copiers = "given"
    movable: bool = False
    template: Package | None = None
    technology: str | None = None

    def __post_init__(self) -> None:
        if self.links not in RULES:
            raise TopologyError(f"links={self.links!r} is not known; give one of {', '.join(RULES)}")
        size = len(self.names)
        object.__setattr__(self, "bandwidth", parse_quantity(self.bandwidth, "B/s", "bandwidth"))
        object.__setattr__(self, "ports", np.broadcast_to(np.asarray(self.ports), (size,)).copy())
        if self.positions is not None:
            object.__setattr__(self, "positions", np.asarray(self.positions, dtype=float))
        object.__setattr__(self, "switches", tuple(self.switches))
        self._check()

    def __repr__(self) -> str:
        return f"TopologyClass({self.text()})"

    def __len__(self) -> int:
        return len(self.names)

    def replace(self, **changes: Any) -> TopologyClass:
        """Return a class with some of its fields changed."""
        return replace(self, **changes)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the chiplets, then of the switches."""
        if not self.switches:
            return self.names
        if self.template is not None:
            return self.names + tuple(node.name for node in self.template.switches)
        return self.names + tuple(f"s{i}" for i in range(len(self.switches)))

    @property
    def node_ports(self) -> Ints:
        """Ports of each chiplet and switch, [nodes]."""
        found: Ints = np.concatenate([self.ports, np.array(self.switches, self.ports.dtype)])
        return found

    @property
    def copies(self) -> bool:
        """Whether any node may copy and add."""
        if self.copiers != "given":
            return self.copiers != 0
        nodes = () if self.template is None else self.template.nodes
        return any(isinstance(node, Chiplet | Switch) and (node.replicates or node.reduces) for node in nodes)

    @property
    def length(self) -> Floats:
        """Manhattan distance between nodes, in pitches, [nodes, nodes]; 0 without positions."""
        if self.positions is None:
            return np.zeros((len(self.nodes), len(self.nodes)))
        apart: Floats = np.abs(self.positions[:, None] - self.positions[None]).sum(axis=-1)
        return apart

    @property
    def allowed(self) -> Bools:
        """Whether a link may join two nodes, [nodes, nodes]."""
        away = ~np.eye(len(self.nodes), dtype=bool)
        return away if self.reach is None else away & (self.length <= self.reach + 1e-9)

    def text(self) -> str:
        """Return the class in words."""
        low, high = int(self.ports.min()), int(self.ports.max())
        count = f"{low}" if low == high else f"{low} to {high}"
        whose = "" if self.template is None else f" of {self.template.name!r}"
        parts = [
            f"{len(self)} chiplets{whose} with {count} ports of {format_quantity(self.bandwidth, 'B/s')}",
            RULES[self.links],
        ]
        if self.reach is not None:
            parts.append(f"no link longer than {self.reach:g} pitches")
        if self.wire is not None:
            parts.append(f"wire of {self.wire:g} links over a pitch")
        if self.total is not None:
            parts.append(f"bandwidth of {self.total:g} links")
        if self.switches:
            least, most = min(self.switches), max(self.switches)
            radix = f"{least}" if least == most else f"{least} to {most}"
            parts.append(f"up to {len(self.switches)} switches of {radix} ports")
        if self.copiers != "given":
            parts.append("all nodes copy" if self.copiers == "all" else f"at most {self.copiers} nodes copy")
        elif self.copies:
            parts.append("nodes copy as those of the template")
        if self.movable:
            parts.append("chiplets at any of the places")
        if self.technology is not None:
            parts.append(f"rules of {self.technology}")
        return ", ".join(parts)

    def _check(self) -> None:
        size = len(self.names)
        if size < 2:
            raise TopologyError(f"a class of {size} chiplets has nothing to join; give at least two")
        if len(set(self.names)) < size:
            raise TopologyError("two chiplets of the class have one name; give each a name of its own")
        if self.ports.dtype.kind not in "iu" or (self.ports < 1).any():
            given = self.ports.tolist()
            wrong = next((one for one in given if not isinstance(one, int) or one < 1), given[0])
            raise TopologyError(
                f"ports = {wrong!r} of {self.names[given.index(wrong)]!r}: give whole numbers above 0"
            )
        if not (self.bandwidth > 0 and np.isfinite(self.bandwidth)):
            raise TopologyError(f"ports of {self.bandwidth:g} B/s carry nothing; give more than 0")
        for what in ("reach", "wire", "total"):
            value = getattr(self, what)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise TopologyError(f"{what}={value:g} allows no link; give more than 0, or leave it out")
        self._check_freedom()
        if self.positions is None:
            if self.reach is not None or self.wire is not None:
                raise TopologyError("reach and wire need positions, one for each chiplet, in pitches")
        else:
            places = (size + len(self.switches), 2)
            if self.positions.shape != places or not np.isfinite(self.positions).all():
                raise TopologyError(
                    f"positions have shape {self.positions.shape}; give {list(places)} pitches"
                )
        self._check_connected()

    def _check_freedom(self) -> None:
        for ports in self.switches:
            if not isinstance(ports, int | np.integer) or isinstance(ports, bool) or ports < 2:
                raise TopologyError(f"a switch of {ports!r} ports joins nothing; give 2 or more")
        if self.template is not None and len(self.switches) != len(self.template.switches):
            raise TopologyError(
                f"package {self.template.name!r} has {len(self.template.switches)} switches, and switches="
                f"{self.switches!r}: give the ports of each"
            )
        if self.switches and self.links == "split":
            raise TopologyError(
                "bandwidth split freely: one switch with links as wide as needed is the best (edge_bound); "
                "give links='whole' or 'single' for switches"
            )
        count = self.copiers
        if count not in ("given", "all") and (
            isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(self.nodes)
        ):
            raise TopologyError(
                f"copiers={count!r}: give 'given', 'all', or a number of nodes up to {len(self.nodes)}"
            )
        if self.technology is not None:
            from noptoolkit._names import resolve
            from noptoolkit.physical import TECHNOLOGIES

            resolve(self.technology, TECHNOLOGIES, "technology")
            if self.positions is None and self.template is None:
                raise TopologyError(f"the rules of {self.technology} need positions, one for each node")

    def _check_connected(self) -> None:
        from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

        size, none = len(self), "the class holds no connected package"
        _, part = connected_components(self.allowed)
        apart = np.flatnonzero(part[:size] != part[0])
        if len(apart):
            first, other = self.names[0], self.names[int(apart[0])]
            raise TopologyError(
                f"reach {self.reach:g}: no chain of links joins {first!r} to {other!r}; {none}"
            )
        if self.links == "split":
            return
        total = int(self.ports.sum()) + sum(ports - 2 for ports in self.switches)
        if total < 2 * (size - 1):
            beyond = ", beyond two of each switch," if self.switches else ""
            raise TopologyError(
                f"{total} ports{beyond} make {total // 2} links, and {size} chiplets need {size - 1}; "
                f"{none}: give more ports"
            )
        if self.total is not None and self.total < size - 1:
            raise TopologyError(f"total={self.total:g} allows fewer than {size - 1} whole links; {none}")
        if self.wire is not None and not self.switches:
            least = float(minimum_spanning_tree(self.length * self.allowed).sum())
            if self.wire < least - 1e-9:
                raise TopologyError(
                    f"wire={self.wire:g} is less than the {least:g} of the shortest tree of links; {none}"
                )


def grid_class(
    rows: int,
    columns: int | None = None,
    *,
    ports: ArrayLike = 4,
    bandwidth: Quantity = "128 GB/s",
    links: LinkRule = "whole",
    reach: float | None = None,
    wire: float | None = None,
    total: float | None = None,
) -> TopologyClass:
    """Return the class of a grid of chiplets one pitch apart, named as `noptoolkit.topology.mesh` names them.

    Examples
    --------
    >>> grid_class(8, ports=4, reach=2)
    TopologyClass(64 chiplets with 4 ports of 128 GB/s, whole links, no link longer than 2 pitches)
    """
    columns = rows if columns is None else columns
    if rows < 1 or columns < 1:
        raise TopologyError(f"a grid of {rows} x {columns} holds no chiplet")
    positions = np.array([(x, y) for y in range(rows) for x in range(columns)], dtype=float)
    names = tuple(f"e{i}" for i in range(rows * columns))
    return TopologyClass(
        names,
        np.asarray(ports),
        parse_quantity(bandwidth, "B/s", "bandwidth"),
        links,
        positions,
        reach,
        wire,
        total,
    )
