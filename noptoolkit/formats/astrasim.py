"""ASTRA-sim's analytical network YAML: in, and out for the packages that it can describe.

It knows products of dimensions, each a ``Ring``, ``FullyConnected`` or ``Switch`` with a count of NPUs, a
bandwidth per link and direction in GB/s, of 2^30 B (``bw_GBps_to_Bpns`` in its NetworkFunction.cc), and a
latency in ns. It refuses dimensions of one NPU, and so does this reader. Its congestion-aware variant takes
one dimension; the congestion-unaware one takes any number, and charges a message for bandwidth and hops of
its own alone. Keys that it does not know are passed over, as yaml-cpp does, and reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from noptoolkit.errors import FormatError, NopError, TopologyError
from noptoolkit.formats.attributes import MOST_EDGES, Imported
from noptoolkit.formats.losses import lost_features, network_links
from noptoolkit.formats.yaml_text import parse_yaml
from noptoolkit.package import Chiplet, Link, Package, Switch
from noptoolkit.topology.lines import complete, grid_lines, ring
from noptoolkit.topology.size_checks import MOST_CHIPLETS
from noptoolkit.units import Gibi

__all__ = ["astrasim_losses", "dump_astrasim", "parse_astrasim"]

PATTERNS = {"Ring": ring, "FullyConnected": complete}
KEYS = ("topology", "npus_count", "bandwidth", "latency")
MOST_DIMENSIONS = 8


def parse_astrasim(text: str, place: str, *, bandwidth: float) -> Imported:
    """Return the package of an ASTRA-sim network file; NPUs are expert chiplets.

    Parameters
    ----------
    text, place
        Of the file.
    bandwidth
        Not used: the file has its own.
    """
    table = parse_yaml(text, place)
    if not isinstance(table, dict):
        raise FormatError(f"{place}: no ASTRA-sim network: it must have {', '.join(KEYS)}")
    missing = [key for key in KEYS if key not in table]
    if missing:
        raise FormatError(f"{place}: {', '.join(missing)} missing; known: {', '.join(KEYS)}")
    values = {key: _texts(table[key], key, place) for key in KEYS}
    lengths = {len(part) for part in values.values()}
    if len(lengths) != 1 or lengths.pop() > MOST_DIMENSIONS:
        raise FormatError(
            f"{place}: {', '.join(KEYS)} need one entry per dimension (up to {MOST_DIMENSIONS})"
        )
    counts = [_count(part, place) for part in values["npus_count"]]
    if math.prod(counts) > MOST_CHIPLETS:
        raise FormatError(f"{place}: {math.prod(counts)} NPUs are more than {MOST_CHIPLETS}")
    widths = [_measure(part, "bandwidth", place) * Gibi for part in values["bandwidth"]]
    delays = [_measure(part, "latency", place) / 1e9 for part in values["latency"]]
    kinds = zip(values["topology"], counts, strict=True)
    per_npu = sum((count - 1) / 2 if kind == "FullyConnected" else 1.0 for kind, count in kinds)
    if math.prod(counts) * per_npu > MOST_EDGES:
        raise FormatError(f"{place}: more than {MOST_EDGES} links; is it the right file?")
    nodes: list[Chiplet | Switch] = [Chiplet(f"e{i}", role="expert") for i in range(math.prod(counts))]
    links: list[Link] = []
    # the first dimension is the innermost: NPU numbers count along it
    for dimension, axis in enumerate(grid_lines(counts[::-1])):
        kind, width, delay = values["topology"][dimension], widths[dimension], delays[dimension]
        for i, members in enumerate(axis):
            if kind == "Switch":
                hub = f"sw{dimension}_{i}"
                nodes.append(Switch(hub))
                links += [Link(f"e{npu}", hub, width, latency=delay) for npu in members]
            elif kind in PATTERNS:
                pairs = PATTERNS[kind](len(members))
                links += [Link(f"e{members[a]}", f"e{members[b]}", width, latency=delay) for a, b in pairs]
            else:
                raise FormatError(f"{place}: no topology {kind[:20]!r}; known: Ring, FullyConnected, Switch")
    try:
        package = Package(Path(place).stem, nodes, links)
    except NopError as error:
        raise FormatError(f"{place}: {error}") from error
    ignored = tuple(f"key {key[:40]!r}" for key in table if key not in KEYS)
    return Imported(package, ("every NPU is an expert chiplet",), ignored)


def _texts(value: object, key: str, place: str) -> list[str]:
    """Return the entries of a list, or of a value alone, as texts."""
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(entry, str) and entry for entry in entries):
        raise FormatError(f"{place}: {key}: give one entry per dimension, such as [ Ring, Switch ]")
    return [str(entry) for entry in entries]


def dump_astrasim(package: Package) -> str:
    """Return a package's network as an ASTRA-sim network file.

    Parameters
    ----------
    package
        A product of rings, complete graphs and switches whose chiplets are numbered along it, as builders
        number them, with equal links per dimension. Where all chiplets together are none, its expert chiplets
        alone. Memory stacks are left out. `astrasim_losses` tells what of it is lost.

    Raises
    ------
    TopologyError
        If it is nothing of the kind, with the reason.

    Examples
    --------
    >>> from noptoolkit.topology import torus
    >>> print(dump_astrasim(torus(4)), end="")
    topology: [ Ring, Ring ]
    npus_count: [ 4, 4 ]
    bandwidth: [ 119.20928955078125, 119.20928955078125 ]
    latency: [ 0.0, 0.0 ]
    """
    dimensions = _dimensions(package)[0]
    rows = {
        "topology": [dimension.kind for dimension in dimensions],
        "npus_count": [str(dimension.size) for dimension in dimensions],
        "bandwidth": [str(dimension.bandwidth / Gibi) for dimension in dimensions],
        "latency": [str(round(dimension.latency * 1e9, 9)) for dimension in dimensions],
    }
    return "".join(f"{key}: [ {', '.join(row)} ]\n" for key, row in rows.items())


def astrasim_losses(package: Package) -> tuple[str, ...]:
    """Return what an ASTRA-sim network file of a package leaves out."""
    dimensions, chiplets, links = _dimensions(package)
    kept = ("bandwidths", "latency", "one-way", "parallel")
    lost = list(lost_features(package, *kept, links=links))
    gone = [chiplet for chiplet in package.chiplets if chiplet.name not in chiplets]
    if gone:
        count = len(network_links(package)) - len(links)
        shown = ", ".join(f"{chiplet.name!r} ({chiplet.role})" for chiplet in gone[:4])
        shown += f" and {len(gone) - 4} more chiplets" if len(gone) > 4 else ""
        lost.insert(1, f"{shown}, {count} links: with them the network is not a product of dimensions")
    double = len(links) - len({frozenset((link.a, link.b)) for link in links})
    if double:
        lost.append(f"{double} parallel links: written as one link of the bandwidth of all together")
    if len(dimensions) > 1:
        lost.append("congestion: the backend's congestion-aware variant takes one dimension")
    return tuple(lost)


class _Dimension(NamedTuple):
    """A dimension of a network file; bandwidth in B/s, latency in s."""

    kind: str
    size: int
    bandwidth: float
    latency: float


def _dimensions(package: Package) -> tuple[list[_Dimension], tuple[str, ...], tuple[Link, ...]]:
    """Return the dimensions of a package, and the chiplets and links that they describe.

    Raises
    ------
    TopologyError
        With the reason why there are none.
    """
    links = network_links(package)
    one_way = [link for link in links if link.backward_bandwidth != link.bandwidth]
    if one_way:
        a, b = one_way[0].a, one_way[0].b
        raise TopologyError(
            f"package {package.name!r}: link {a!r}-{b!r} has two bandwidths; ASTRA-sim's links have one for "
            "both directions"
        )
    found = _product(package.terminals, package, links)
    if found:
        return found, package.terminals, links
    reason = "no product of rings, complete graphs and switches with equal links in each dimension"
    experts = package.experts
    if 1 < len(experts) < len(package.chiplets):
        rest = set(package.terminals) - set(experts)
        inner = tuple(link for link in links if link.a not in rest and link.b not in rest)
        found = _product(experts, package, inner)
        if found:
            return found, experts, inner
        reason += ", not even without the chiplets of other roles"
    raise TopologyError(
        f"package {package.name!r}: {reason}, which is all that ASTRA-sim knows; export it as GraphML or "
        "BookSim instead"
    )


def _product(chiplets: Sequence[str], package: Package, links: Sequence[Link]) -> list[_Dimension]:
    """Return the dimensions of a network, or nothing where it is not such a product."""
    order = {name: i for i, name in enumerate(chiplets)}
    joined: dict[tuple[str, str], list[Link]] = {}
    for link in links:
        joined.setdefault((min(link.a, link.b), max(link.a, link.b)), []).append(link)
    between: dict[frozenset[int], tuple[float, float]] = {}  # bandwidth and latency by ends
    spokes: dict[str, dict[int, tuple[float, float]]] = {switch.name: {} for switch in package.switches}
    for (a, b), several in joined.items():
        if len({link.latency for link in several}) > 1:
            return []
        measures = (sum(link.bandwidth for link in several), several[0].latency)
        if a in order and b in order:
            between[frozenset((order[a], order[b]))] = measures
        elif a in order or b in order:
            hub, chiplet = (b, a) if a in order else (a, b)
            spokes[hub][order[chiplet]] = measures
        else:
            return []  # switches that are linked to each other
    stars = {frozenset(members): tuple(members.values()) for members in spokes.values() if members}
    if len(stars) < sum(map(bool, spokes.values())):
        return []
    total = len(between) + sum(map(len, stars))
    for counts in _factors(len(order)):
        axes = grid_lines(counts[::-1])
        for kinds in product(*(_kinds(count, bool(stars), bool(between)) for count in counts)):
            found, used = [], 0
            for kind, count, axis in zip(kinds, counts, axes, strict=True):
                members = _members(kind, count, axis, between, stars)
                if len(set(members)) != 1:
                    break
                used += len(members)
                found.append(_Dimension(kind, count, *members[0]))
            if len(found) == len(counts) and used == total:
                return found
    return []


def _kinds(count: int, switches: bool, direct: bool) -> list[str]:
    direct_kinds = list(PATTERNS) if count > 3 else ["Ring"]  # up to three, a ring is a complete graph
    return [*(direct_kinds if direct else []), *(["Switch"] if switches else [])]


def _members(
    kind: str,
    count: int,
    axis: Iterable[Sequence[int]],
    between: Mapping[frozenset[int], tuple[float, float]],
    stars: Mapping[frozenset[int], tuple[tuple[float, float], ...]],
) -> list[tuple[float, float]]:
    """Return bandwidth and latency of each link of a dimension, nothing where one is missing."""
    found: list[tuple[float, float]] = []
    for line in axis:
        if kind == "Switch":
            star = stars.get(frozenset(line))
            if star is None:
                return []
            found += star
            continue
        for a, b in PATTERNS[kind](count):
            ends = frozenset((line[a], line[b]))
            if ends not in between:
                return []
            found.append(between[ends])
    return found


def _factors(count: int) -> list[tuple[int, ...]]:
    """Return the ways to write a count as a product of up to three factors of 2 or more, or of twos."""
    divisors = [d for d in range(2, count + 1) if count % d == 0]
    found: list[tuple[int, ...]] = [(count,)] if count > 1 else []
    for a in divisors:
        found += [(a, count // a)] if count // a > 1 else []
        found += [(a, b, count // a // b) for b in divisors if count // a % b == 0 and count // a // b > 1]
    if count > 8 and count & (count - 1) == 0:
        found.append((2,) * (count.bit_length() - 1))
    return found


def _count(text: str, place: str) -> int:
    if not text.isdecimal() or len(text) > 9 or not 2 <= int(text) <= MOST_CHIPLETS:
        raise FormatError(f"{place}: npus_count {text[:20]!r} is not a number from 2 to {MOST_CHIPLETS}")
    return int(text)


def _measure(text: str, what: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise FormatError(f"{place}: {what} {text[:20]!r} is no number") from None
    if not math.isfinite(value) or value < 0:
        raise FormatError(f"{place}: {what} {text[:20]!r} must be finite and not negative")
    return value
