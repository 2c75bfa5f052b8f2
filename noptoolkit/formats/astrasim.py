"""ASTRA-sim's analytical network YAML: in, and out for the packages that it can describe.

It knows products of dimensions, each a ``Ring``, ``FullyConnected`` or ``Switch`` with a count of NPUs, a
bandwidth per link and direction in GB/s, of 2^30 B (``bw_GBps_to_Bpns`` in its NetworkFunction.cc), and a
latency in ns. It refuses dimensions of one NPU, and so does this reader. Only that much YAML is read:
``key: [ list ]`` or ``key: value`` on a line, and comments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from noptoolkit.errors import FormatError, NopError, TopologyError
from noptoolkit.formats.attributes import MOST_EDGES, Imported
from noptoolkit.package import Chiplet, Link, Memory, Package, Switch
from noptoolkit.topology.lines import complete, grid_lines, ring
from noptoolkit.topology.size_checks import MOST_CHIPLETS
from noptoolkit.units import Gibi

__all__ = ["dump_astrasim", "parse_astrasim"]

PATTERNS = {"Ring": ring, "FullyConnected": complete}
KEYS = ("topology", "npus_count", "bandwidth", "latency")
LINE = re.compile(r"(\w+)\s*:\s*(\[[^\[\]]*\]|[^\[\]]+)")
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
    values: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.split("#", 1)[0].strip()
        if not bare or bare == "---":
            continue
        match = LINE.fullmatch(bare)
        if match is None or match[1] not in KEYS or match[1] in values:
            raise FormatError(f"{place}: line {number}: {bare[:40]!r}; known, once each: {', '.join(KEYS)}")
        values[match[1]] = [part.strip().strip("\"'") for part in match[2].strip("[]").split(",")]
    missing = [key for key in KEYS if key not in values]
    if missing:
        raise FormatError(f"{place}: {', '.join(missing)} missing")
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
    return Imported(package, ("every NPU is an expert chiplet",))


def dump_astrasim(package: Package) -> str:
    """Return a package's network as an ASTRA-sim network file.

    Parameters
    ----------
    package
        A switch with its chiplets, or a product of rings and complete graphs whose chiplets are numbered
        along them, as builders number them. Memory stacks are left out.

    Raises
    ------
    TopologyError
        If it is nothing of the kind.

    Examples
    --------
    >>> from noptoolkit.topology import torus
    >>> print(dump_astrasim(torus(4)), end="")
    topology: [ Ring, Ring ]
    npus_count: [ 4, 4 ]
    bandwidth: [ 119.20928955078125, 119.20928955078125 ]
    latency: [ 0.0, 0.0 ]
    """
    names = {node.name for node in package.nodes if not isinstance(node, Memory)}
    links = [link for link in package.links if link.a in names and link.b in names]
    if len(package.switches) == 1 and all(package.switches[0].name in (link.a, link.b) for link in links):
        dimensions = [("Switch", len(package.chiplets), links)]
    elif not package.switches:
        dimensions = _product(package, links)
    else:
        dimensions = []
    if not dimensions or any(link.backward_bandwidth != link.bandwidth for link in links):
        raise TopologyError(
            f"package {package.name!r}: ASTRA-sim knows one switch, or products of rings and complete graphs "
            "with equal links per dimension; export it as GraphML or BookSim instead"
        )
    rows = {
        "topology": [kind for kind, _, _ in dimensions],
        "npus_count": [str(count) for _, count, _ in dimensions],
        "bandwidth": [str(members[0].bandwidth / Gibi) for _, _, members in dimensions],
        "latency": [str(round(members[0].latency * 1e9, 9)) for _, _, members in dimensions],
    }
    return "".join(f"{key}: [ {', '.join(row)} ]\n" for key, row in rows.items())


def _product(package: Package, links: Sequence[Link]) -> list[tuple[str, int, list[Link]]]:
    """Return kind, size and links of each dimension, or nothing where the network is no such product."""
    order = {name: i for i, name in enumerate(package.terminals)}
    by_ends = {frozenset((order[link.a], order[link.b])): link for link in links}
    if len(by_ends) != len(links):
        return []
    for counts in _factors(len(order)):
        axes = grid_lines(counts[::-1])
        # up to three, a ring is a complete graph
        for kinds in product(*(list(PATTERNS) if count > 3 else ["Ring"] for count in counts)):
            found = []
            for kind, count, axis in zip(kinds, counts, axes, strict=True):
                ends = [frozenset((line[a], line[b])) for line in axis for a, b in PATTERNS[kind](count)]
                members = [by_ends[pair] for pair in ends if pair in by_ends]
                alike = len({(link.bandwidth, link.latency) for link in members}) == 1
                if len(members) == len(ends) and alike:
                    found.append((kind, count, members))
            if len(found) == len(counts) and sum(len(members) for _, _, members in found) == len(links):
                return found
    return []


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
        raise FormatError(f"{place}: npus_count {text[:20]!r} is no number from 2 to {MOST_CHIPLETS}")
    return int(text)


def _measure(text: str, what: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise FormatError(f"{place}: {what} {text[:20]!r} is no number") from None
    if not math.isfinite(value) or value < 0:
        raise FormatError(f"{place}: {what} {text[:20]!r} must be finite and not negative")
    return value
