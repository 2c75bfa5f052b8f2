"""Packages and brute-force oracles that several tests of collectives share."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from fractions import Fraction

from noptoolkit import Chiplet, Link, Package, Switch

Arcs = dict[tuple[str, str], int]


def joined(name: str, edges: list[tuple[object, object]], relays: tuple[object, ...] = ()) -> Package:
    """Return a package of unit links; nodes in order of their names' first use, relays are switches."""
    names = list(dict.fromkeys(itertools.chain.from_iterable(edges)))
    nodes = [Switch(str(n)) if n in relays else Chiplet(str(n), role="expert") for n in names]
    return Package(name, nodes, [Link(str(a), str(b), 1.0) for a, b in edges])


def ring(n: int) -> Package:
    return joined(f"ring-{n}", [(i, (i + 1) % n) for i in range(n)])


def path(n: int) -> Package:
    return joined(f"path-{n}", [(i, i + 1) for i in range(n - 1)])


def complete(n: int) -> Package:
    return joined(f"K{n}", list(itertools.combinations(range(n), 2)))


def hypercube(d: int) -> Package:
    return joined(f"cube-{d}", [(i, i ^ 1 << b) for i in range(2**d) for b in range(d) if i < i ^ 1 << b])


def grid(*sides: int, wrap: bool = False) -> Package:
    edges: list[tuple[object, object]] = []
    for place in itertools.product(*map(range, sides)):
        for axis, k in enumerate(sides):
            other = list(place)
            other[axis] += 1
            if other[axis] == k:
                if not wrap or k < 3:
                    continue
                other[axis] = 0
            edges.append((place, tuple(other)))
    package = joined(f"grid-{'x'.join(map(str, sides))}", edges)
    places = [str(place) for place in itertools.product(*map(range, sides))]
    return package.replace(nodes=[package[place] for place in places])


def star(n: int) -> Package:
    return joined(f"star-{n}", [("hub", i) for i in range(n)], relays=("hub",))


def random_package(seed: int, *, relays: bool = True, symmetric: bool = False, most: int = 4) -> Package:
    """Return a strongly connected package of 4 to 8 nodes with whole-number links."""
    rng = random.Random(seed)
    n = rng.randint(4, 8)
    chiplets = rng.randint(2, n) if relays else n
    nodes = [Chiplet(f"c{i}") if i < chiplets else Switch(f"s{i}") for i in range(n)]
    names = [node.name for node in nodes]
    order = rng.sample(names, n)
    pairs = list(zip(order, order[1:] + order[:1], strict=True))
    pairs += [tuple(rng.sample(names, 2)) for _ in range(rng.randint(0, 2 * n))]
    links = []
    for a, b in pairs:
        width = float(rng.randint(1, most))
        links.append(Link(a, b, width, reverse_bandwidth=None if symmetric else float(rng.randint(0, most))))
    return Package(f"random-{seed}", nodes, links)


def arcs_of(package: Package) -> Arcs:
    arcs: Arcs = {}
    for channel in package.channels:
        key = channel.tail, channel.head
        arcs[key] = arcs.get(key, 0) + int(channel.bandwidth)
    return arcs


def subsets(package: Package) -> Iterator[set[str]]:
    names = [node.name for node in package.nodes]
    for bits in range(1, 2 ** len(names) - 1):
        yield {name for i, name in enumerate(names) if bits >> i & 1}


def slowest_spreading(package: Package, shares: dict[str, int], members: set[str]) -> Fraction:
    """Return max over all vertex sets without a member of share inside / capacity that leaves."""
    arcs, best = arcs_of(package), Fraction(0)
    for inside in subsets(package):
        held = sum(x for name, x in shares.items() if name in inside)
        if held and not members <= inside:
            wide = sum(c for (u, v), c in arcs.items() if u in inside and v not in inside)
            best = max(best, Fraction(held, wide))
    return best


def slowest_scattering(package: Package, root: str, shares: dict[str, int]) -> Fraction:
    arcs, best = arcs_of(package), Fraction(0)
    for inside in subsets(package):
        owed = sum(x for name, x in shares.items() if name not in inside)
        if root in inside and owed:
            wide = sum(c for (u, v), c in arcs.items() if u in inside and v not in inside)
            best = max(best, Fraction(owed, wide))
    return best


def partitions(count: int) -> Iterator[list[int]]:
    def extend(labels: list[int], parts: int) -> Iterator[list[int]]:
        if len(labels) == count:
            yield list(labels)
            return
        for part in range(parts + 1):
            labels.append(part)
            yield from extend(labels, max(parts, part + 1))
            labels.pop()

    yield from extend([], 0)


def slowest_partition(package: Package) -> Fraction:
    """Return max over all partitions of (parts - 1) / capacity between parts, one direction."""
    arcs, names = arcs_of(package), [node.name for node in package.nodes]
    best = Fraction(0)
    for labels in partitions(len(names)):
        part = dict(zip(names, labels, strict=True))
        count = max(labels) + 1
        if count > 1:
            between = sum(c for (u, v), c in arcs.items() if part[u] != part[v])
            best = max(best, Fraction(2 * (count - 1), between))
    return best
