"""What the readers and writers of files have in common: checks of text, JSON, and bandwidths of edges.

Nodes and links as flat attributes are in `noptoolkit.package.attributed_graph`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.limits import check_values
from noptoolkit.package import Package
from noptoolkit.package.attributed_graph import (
    MOST_EDGES,
    Edge,
    Graph,
    Imported,
    graph_attributes,
    link_attributes,
    node_attributes,
)
from noptoolkit.package.attributed_graph import to_package as _to_package
from noptoolkit.package.edge_bandwidth import BandwidthChoice, edge_bandwidth

__all__ = [
    "BANDWIDTH",
    "MOST_EDGES",
    "Edge",
    "Graph",
    "Imported",
    "check_xml",
    "graph_attributes",
    "link_attributes",
    "memories_lost",
    "node_attributes",
    "parse_json",
    "to_package",
]

BANDWIDTH = 128e9
"""Bandwidth in B/s of links in files that have none; reported wherever it is used."""

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_package(graph: Graph, place: str, *, bandwidth: BandwidthChoice) -> Imported:
    """Return the package of a graph that a file holds; see `noptoolkit.package.attributed_graph.to_package`.

    Parameters
    ----------
    graph
        Graph as read.
    place
        Name of the file.
    bandwidth
        Bandwidth of the edges that do not say, or where it stands (`noptoolkit.package.edge_bandwidth`).
    """
    known = dict.fromkeys(key for edge in graph.edges for key in edge.attributes)
    try:
        rule = edge_bandwidth(bandwidth, known, default=BANDWIDTH)
    except FormatError as error:
        raise FormatError(f"{place}: {error}") from None
    return _to_package(graph, place, bandwidth=rule)


def check_xml(text: str, language: str) -> None:
    """Raise if a text has characters that XML 1.0 cannot hold, escaped or not.

    Raises
    ------
    TopologyError
        It names the text about them.
    """
    found = NO_XML.search(text)
    if found is not None:
        bad = text[max(found.start() - 20, 0) : found.end() + 20]
        raise TopologyError(f"{bad!r}: {language} cannot hold control characters; rename it")


def memories_lost(package: Package) -> list[str]:
    """Return what a format without memory cannot say of a package, if it has any."""
    count = len(package.memories)
    if not count:
        return []
    return ["1 memory stack and its links" if count == 1 else f"{count} memory stacks and their links"]


def parse_json(text: str, place: str) -> Any:
    """Return the value of a JSON text; NaN, infinity and what is beyond the limits are refused.

    Raises
    ------
    FormatError
        If it is not JSON.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not a finite number")

    try:
        value = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise FormatError(f"{place}: nested too deeply; is it the right file?") from None
    except ValueError as error:
        raise FormatError(f"{place}: no JSON: {error}") from None
    return check_values(value, place)
