"""Traffic patterns of the interconnection-network literature (Dally and Towles, 2004, section 3.2).

All are over ``package.terminals``; ``among`` chooses which of them take part: the chiplets of role
``expert`` if there are any, else all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit._seeds import generator_from
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.package import Package, expect_package
from noptoolkit.traffic.demand import Traffic, from_matrix
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["all_to_all", "hotspot", "permutation", "transpose"]

Among = str | Sequence[str]


def all_to_all(package: Package, bytes_per_pair: Quantity, *, among: Among | None = None) -> Traffic:
    """Return one message from each chosen endpoint to each other.

    Parameters
    ----------
    package
        Package whose chiplets take part.
    bytes_per_pair
        Size of each message, in B.
    among
        Endpoints: ``experts``, ``terminals`` (all chiplets), or names of chiplets; ``None`` is the chiplets
        of role ``expert`` if there are any, else all.

    Raises
    ------
    WorkloadError
        If fewer than two endpoints take part.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> ring = Package("ring", [Chiplet(n) for n in "abc"],
    ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "ca")])
    >>> all_to_all(ring, "1 kB")
    Traffic('all-to-all': 3 endpoints, 6 kB in 6 demands)
    """
    chosen, size = _chosen(package, among), _size(bytes_per_pair, "bytes_per_pair")
    demand = _nothing(package)
    demand[np.ix_(chosen, chosen)] = size
    return from_matrix(package, demand, name="all-to-all")


def hotspot(package: Package, bytes_per_source: Quantity, *, to: str, among: Among | None = None) -> Traffic:
    """Return one message from each chosen endpoint to the hot one.

    Parameters
    ----------
    package
        Package whose chiplets take part.
    bytes_per_source
        Size of each message, in B.
    to
        Name of the chiplet that receives.
    among
        Endpoints, as in `all_to_all`.
    """
    chosen, size = _chosen(package, among, least=1), _size(bytes_per_source, "bytes_per_source")
    demand = _nothing(package)
    demand[chosen, _terminal(package, to)] = size
    return from_matrix(package, demand, name=f"hotspot at {to}")


def transpose(package: Package, bytes_per_source: Quantity, *, among: Among | None = None) -> Traffic:
    """Return one message from each chosen endpoint to its mirror image across the diagonal.

    The chosen endpoints are read as a square, row by row; those on the diagonal send nothing.

    Raises
    ------
    WorkloadError
        If their number is not a square.
    """
    chosen, size = _chosen(package, among), _size(bytes_per_source, "bytes_per_source")
    side = math.isqrt(len(chosen))
    if side * side != len(chosen):
        raise WorkloadError(
            f"transpose is over a square of endpoints, package {package.name!r} gives {len(chosen)}; "
            f"choose {side * side} of them with among="
        )
    demand = _nothing(package)
    demand[chosen, chosen.reshape(side, side).T.ravel()] = size
    return from_matrix(package, demand, name="transpose")


def permutation(
    package: Package,
    bytes_per_source: Quantity,
    *,
    order: Sequence[int] | None = None,
    among: Among | None = None,
    rng: int | np.random.Generator | None = None,
) -> Traffic:
    """Return one message from each chosen endpoint to another one, all different.

    Parameters
    ----------
    package
        Package whose chiplets take part.
    bytes_per_source
        Size of each message, in B.
    order
        Entry i is where the i-th chosen endpoint sends to; ``None`` draws one cycle through all, so that
        no endpoint sends to itself.
    among
        Endpoints, as in `all_to_all`.
    rng
        Seed or generator of the drawn order.

    Raises
    ------
    WorkloadError
        If ``order`` is not a permutation.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> pair = Package("pair", [Chiplet(n) for n in "ab"], [Link("a", "b", "1 GB/s")])
    >>> permutation(pair, "1 kB", rng=0)
    Traffic('permutation': 2 endpoints, 2 kB in 2 demands)
    """
    chosen, size = _chosen(package, among), _size(bytes_per_source, "bytes_per_source")
    demand = _nothing(package)
    if order is None:
        cycle = generator_from(rng).permutation(chosen)
        demand[cycle, np.roll(cycle, 1)] = size
    elif sorted(order) != list(range(len(chosen))):
        raise WorkloadError(f"order {list(order)!r} is not a permutation of 0 to {len(chosen) - 1}")
    else:
        demand[chosen, chosen[np.asarray(order)]] = size
    return from_matrix(package, demand, name="permutation")


def _size(size: Quantity, what: str) -> float:
    number = parse_quantity(size, "B", what)
    if number <= 0:
        raise WorkloadError(f"{what} {number:g} B must be above 0")
    return number


def _nothing(package: Package) -> Floats:
    return np.zeros((len(package.terminals), len(package.terminals)))


def _terminal(package: Package, name: str) -> int:
    if name not in package.terminals:
        hint = did_you_mean(name, package.terminals)
        raise UnknownNameError(f"package {package.name!r}: no chiplet named {name!r}; {hint}")
    return package.terminals.index(name)


def _chosen(package: Package, among: Among | None, least: int = 2) -> Ints:
    """Return the indices into ``package.terminals`` of the endpoints that take part."""
    expect_package(package)
    if among is None:
        names: Sequence[str] = package.with_role("expert") or package.terminals
    elif among == "experts":
        names = package.experts
    elif among == "terminals":
        names = package.terminals
    elif isinstance(among, str):
        hint = did_you_mean(among, ["experts", "terminals"])
        raise UnknownNameError(f"no endpoints {among!r}; {hint} Or give a list of names")
    else:
        names = among
    if len(set(names)) < max(least, len(names)):
        raise WorkloadError(
            f"package {package.name!r}: among={among!r} gives {len(set(names))} different endpoints; "
            f"name at least {least}, each once, or choose among='terminals'"
        )
    return np.array([_terminal(package, name) for name in names], dtype=np.int64)
