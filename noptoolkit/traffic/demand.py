"""Demands in bytes, and messages to sets of endpoints.

A `Traffic` has up to three parts, all over the same ``endpoints``: a demand matrix (unicast), multicasts (one
source, a set of destinations, one message that switches may copy on the way) and reductions (the same
backwards: a set of sources, one root, partial results that switches may add on the way).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from noptoolkit._arrays import Bits, Bools, Floats, Ints
from noptoolkit.errors import WorkloadError
from noptoolkit.package import Package
from noptoolkit.units import format_quantity

__all__ = ["DestinationSets", "Traffic", "from_matrix"]


@dataclass(frozen=True, eq=False)
class DestinationSets:
    """Messages between one root and a set of endpoints each, equal ones merged.

    Parameters
    ----------
    root
        Index of the endpoint that sends (multicast) or collects (reduction), [messages].
    members
        Bit sets of the other ends, [messages, words] of uint64: bit i % 64 of word i // 64 is endpoint i.
    bytes
        Size of each message, in B, [messages].
    """

    root: Ints
    members: Bits
    bytes: Floats

    def __post_init__(self) -> None:
        for array in (self.root, self.members, self.bytes):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.root)

    def __repr__(self) -> str:
        return f"DestinationSets({len(self)} messages, {format_quantity(self.bytes.sum(), 'B')})"

    def contains(self, endpoints: int) -> Bools:
        """Return whether each message reaches each of the first endpoints, [messages, endpoints].

        Examples
        --------
        >>> sets = DestinationSets(np.array([0]), np.array([[6]], dtype=np.uint64), np.array([1.0]))
        >>> sets.contains(4)
        array([[False,  True,  True, False]])
        """
        index = np.arange(endpoints)
        shift = (index % 64).astype(np.uint64)
        return ((self.members[:, index // 64] >> shift) & np.uint64(1)).astype(np.bool_)


@dataclass(frozen=True, eq=False, repr=False)
class Traffic:
    """What a package has to carry.

    Parameters
    ----------
    endpoints
        Names of the nodes that send and receive; rows and columns of ``demand``.
    demand
        Bytes from each endpoint (row) to each other (column), [endpoints, endpoints]; its diagonal does
        not count.
    multicast, reduction
        Messages that the network may copy or add on the way, or ``None``.
    name
        Name in tables and pictures.
    origin
        ``recorded``, ``loads``, ``synthetic`` or ``unstated`` where it comes from a trace, else empty.
    wiring
        `Package.wiring` of the package it was made for; empty where any package with such endpoints will do.

    Raises
    ------
    WorkloadError
        If the demand is not such a matrix, or bytes are negative or not finite in total.
    """

    endpoints: tuple[str, ...]
    demand: Floats
    multicast: DestinationSets | None = None
    reduction: DestinationSets | None = None
    name: str = ""
    origin: str = ""
    wiring: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoints", tuple(self.endpoints))
        object.__setattr__(self, "demand", self._checked(self.demand))
        for sets in (self.multicast, self.reduction):
            if sets is not None:
                self._check_bytes(sets.bytes)

    def _checked(self, demand: ArrayLike) -> Floats:
        """Return the demand as a matrix of its own that is read-only."""
        count = len(self.endpoints)
        try:
            matrix = np.asarray(demand)
            if np.iscomplexobj(matrix):
                raise TypeError
            matrix = matrix.astype(np.float64, copy=matrix.flags.writeable)
        except (TypeError, ValueError):
            raise WorkloadError(f"traffic {self.name!r}: demand is not a matrix of numbers") from None
        if matrix.shape != (count, count):
            raise WorkloadError(
                f"traffic {self.name!r}: demand has shape {matrix.shape}, there are {count} endpoints; "
                f"give [{count}, {count}] bytes"
            )
        if matrix.diagonal().any():
            matrix = np.where(np.eye(count, dtype=np.bool_), 0.0, matrix)
        wrong = np.argwhere(~np.isfinite(matrix) | (matrix < 0))
        if len(wrong):
            i, j = wrong[0]
            pair = f"{self.endpoints[i]!r} to {self.endpoints[j]!r}"
            raise WorkloadError(
                f"traffic {self.name!r}: {pair} is {matrix[i, j]:g} B; bytes are finite and not negative"
            )
        self._check_bytes(matrix)
        matrix.flags.writeable = False
        return matrix

    def _check_bytes(self, sizes: Floats) -> None:
        with np.errstate(over="ignore"):
            total = float(sizes.sum())
        if not (sizes.min(initial=0.0) >= 0 and math.isfinite(total)):
            raise WorkloadError(f"traffic {self.name!r}: bytes must be not negative, and finite in total")

    def delivered(self) -> Floats:
        """Return the bytes that each endpoint has for each other, in B, [endpoints, endpoints].

        Messages to sets count for each member, reductions for each part. What an endpoint has for itself
        crosses no channel and is 0.
        """
        total = np.array(self.demand, dtype=float)
        for sets, reverse in ((self.multicast, False), (self.reduction, True)):
            if sets is None or not len(sets):
                continue
            reached = sets.contains(len(self.endpoints))
            for root in np.unique(sets.root):
                mine = sets.root == root
                part = sets.bytes[mine] @ reached[mine]
                if reverse:
                    total[:, root] += part
                else:
                    total[root] += part
        np.fill_diagonal(total, 0.0)
        return total

    def on(self, package: Package) -> Traffic:
        """Return this traffic for another package with the same endpoints.

        A traffic belongs to the package that it was made for: nodes of another one may have the same names
        and mean something else. Other bandwidths do not matter; other links or roles do, and are accepted
        here.

        Raises
        ------
        UnknownNameError
            If the package lacks an endpoint.

        Examples
        --------
        >>> from noptoolkit.topology import mesh, torus
        >>> from noptoolkit.traffic import all_to_all
        >>> grid, loop = mesh(4), torus(4)
        >>> demand = all_to_all(grid, "1 MB")
        >>> demand.check_fits(loop)
        Traceback (most recent call last):
        noptoolkit.errors.WorkloadError: traffic 'all-to-all' was made for a package with other nodes or ...
        >>> demand.on(loop)
        Traffic('all-to-all': 16 endpoints, 240 MB in 240 demands)
        """
        for name in self.endpoints:
            package[name]
        return replace(self, wiring=package.wiring)

    def check_fits(self, package: Package) -> None:
        """Raise UnknownNameError or WorkloadError if this traffic is not of a package."""
        for name in self.endpoints:
            package[name]  # raises, naming the nearest node, where there is none of this name
        if self.wiring and self.wiring != package.wiring:
            raise WorkloadError(
                f"traffic {self.name!r} was made for a package with other nodes or links than "
                f"{package.name!r}; make it for this package, or accept it with traffic.on(package)"
            )

    def __repr__(self) -> str:
        parts = [f"{len(self.endpoints)} endpoints"]
        pairs = int(np.count_nonzero(self.demand))
        if pairs:
            parts.append(f"{format_quantity(self.demand.sum(), 'B')} in {pairs} demands")
        for kind, sets in (("multicasts", self.multicast), ("reductions", self.reduction)):
            if sets is not None:
                parts.append(f"{format_quantity(sets.bytes.sum(), 'B')} in {len(sets)} {kind}")
        if self.origin:
            parts.append(self.origin)
        return f"Traffic({self.name!r}: {', '.join(parts)})"


def from_matrix(
    package: Package, demand: ArrayLike, *, endpoints: tuple[str, ...] | None = None, name: str = "matrix"
) -> Traffic:
    """Return the traffic of a matrix of bytes.

    Parameters
    ----------
    package
        Package whose endpoints index the matrix.
    demand
        Bytes, [endpoints, endpoints]; the diagonal is ignored.
    endpoints
        Names of nodes, chiplets or memory stacks; ``package.terminals`` where ``None``.

    Raises
    ------
    WorkloadError
        If the shape does not fit, or an entry is negative, NaN or infinite.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
    >>> from_matrix(pair, [[0, 1000], [500, 0]])
    Traffic('matrix': 2 endpoints, 1.5 kB in 2 demands)
    """
    names = package.terminals if endpoints is None else tuple(endpoints)
    twice = [endpoint for endpoint, count in Counter(names).items() if count > 1]
    if twice:
        raise WorkloadError(
            f"traffic {name!r}: endpoint {twice[0]!r} stands {Counter(names)[twice[0]]} times; add up its "
            "rows and columns, and name it once"
        )
    for name_ in names:
        package[name_]
    try:
        matrix = np.array(demand)
        matrix = matrix if np.iscomplexobj(matrix) else matrix.astype(float)  # Traffic refuses the former
    except (TypeError, ValueError):
        raise WorkloadError(f"traffic {name!r}: demand is not a matrix of numbers") from None
    if matrix.shape != (len(names), len(names)):
        raise WorkloadError(
            f"traffic {name!r}: demand has shape {matrix.shape}, package {package.name!r} has "
            f"{len(names)} endpoints; give [{len(names)}, {len(names)}] bytes"
        )
    matrix.flags.writeable = False
    return Traffic(names, matrix, name=name, wiring=package.wiring)
