"""Random packages and traffics of any spread of bandwidths, from a seed."""

from __future__ import annotations

import numpy as np

from noptoolkit.package import Chiplet, Link, Package, Switch
from noptoolkit.traffic import DestinationSets, Traffic, from_matrix

__all__ = ["random_messages", "random_package", "random_traffic"]


def random_package(
    rng: np.random.Generator,
    *,
    nodes: tuple[int, int] = (3, 10),
    bandwidth: tuple[float, float] = (1e9, 1e11),
    ports: float = 0.15,
    copying: float = 0.0,
    half_duplex: float = 0.15,
) -> Package:
    """Return a connected package: a random tree and some more links.

    Parameters
    ----------
    rng
        Generator.
    nodes
        Fewest and most nodes; two thirds are chiplets.
    bandwidth
        Smallest and largest, in B/s, drawn evenly by their logarithm.
    ports, copying, half_duplex
        Share of limits on ports and crossbars, of routers that copy, and of half-duplex links.
    """
    low, high = np.log10(bandwidth)
    count = int(rng.integers(nodes[0], nodes[1] + 1))
    chiplets = max(2, int(count * 0.67))
    names = [f"c{i}" if i < chiplets else f"s{i}" for i in range(count)]

    def width() -> float:
        return float(10 ** rng.uniform(low, high))

    def limit() -> float | None:
        return width() if rng.random() < ports else None

    def copies() -> bool:
        return bool(rng.random() < copying)

    made: list[Chiplet | Switch] = []
    for i, name in enumerate(names):
        if i < chiplets:
            made.append(
                Chiplet(
                    name,
                    injection_bandwidth=limit(),
                    ejection_bandwidth=limit(),
                    crossbar_bandwidth=limit(),
                    replicates=copies(),
                    reduces=copies(),
                )
            )
        else:
            made.append(Switch(name, crossbar_bandwidth=limit(), replicates=copies(), reduces=copies()))
    links = [Link(names[i], names[int(rng.integers(0, i))], width()) for i in range(1, count)]
    for _ in range(int(rng.integers(0, count + 1))):
        a, b = rng.choice(count, 2, replace=False).tolist()
        half = bool(rng.random() < half_duplex)
        back = width() if not half and rng.random() < 0.2 else None
        links.append(Link(names[a], names[b], width(), reverse_bandwidth=back, half_duplex=half))
    return Package("random", made, links)


def random_traffic(
    rng: np.random.Generator, package: Package, *, size: tuple[float, float] = (1e3, 1e9), share: float = 0.4
) -> Traffic:
    """Return bytes between some pairs of chiplets.

    Parameters
    ----------
    size
        Smallest and largest number of bytes, drawn evenly by their logarithm.
    share
        Share of the pairs that have any.
    """
    count = len(package.terminals)
    matrix = 10 ** rng.uniform(np.log10(size[0]), np.log10(size[1]), (count, count))
    matrix *= rng.random((count, count)) < share
    np.fill_diagonal(matrix, 0.0)
    return from_matrix(package, matrix, endpoints=package.terminals)


def random_messages(
    rng: np.random.Generator, package: Package, *, messages: int = 1, reverse: bool = False
) -> Traffic:
    """Return multicasts (or, ``reverse``, reductions) of 1 to 9 MB among chiplets."""
    count = len(package.terminals)
    roots, masks, sizes = [], [], []
    for _ in range(messages):
        root = int(rng.integers(count))
        others = [i for i in range(count) if i != root]
        members = rng.choice(others, int(rng.integers(1, min(4, len(others)) + 1)), replace=False)
        roots.append(root)
        masks.append([sum(1 << int(i) for i in members)])
        sizes.append(float(rng.integers(1, 10)) * 1e6)
    sets = DestinationSets(np.array(roots), np.array(masks, dtype=np.uint64), np.array(sizes))
    none = np.zeros((count, count))
    if reverse:
        return Traffic(package.terminals, none, reduction=sets)
    return Traffic(package.terminals, none, multicast=sets)
