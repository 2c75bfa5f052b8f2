"""Search files: TOML with ``schema = 1``, the class, the traffic, and how long to search.

.. code-block:: toml

    schema = 1
    name = "grid-8x8-reach-2"

    [class]
    rows = 8
    columns = 8                     # as many as rows if not given
    ports = 4
    bandwidth = "128 GB/s"          # of a port, per direction
    links = "single"                # one a pair; or "whole", or "split": bandwidth split freely
    reach = 2                       # longest link, in pitches; any if not given
    wire = 224                      # most wire, in links over a pitch; any if not given
    total = 128                     # most links; any if not given

    [traffic]
    kind = "all-to-all"             # every chiplet to every other, or "matrix"
    bytes = "1 MB"                  # of each pair
    # matrix = [[0, 1e6, ...], ...] # bytes from each chiplet (row) to each other

    [search]
    solves = 400                    # graphs solved exactly
    screens = 120000                # graphs screened
    seed = 0
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit._names import did_you_mean
from noptoolkit.bounds import TopologyClass, grid_class
from noptoolkit.errors import FormatError, NopError, raise_collected
from noptoolkit.formats.files import parse_toml, read_text
from noptoolkit.formats.topology_toml import check_schema
from noptoolkit.traffic import Traffic
from noptoolkit.units import parse_quantity

__all__ = ["SearchFile", "load_search"]

CLASS = {
    "rows": int,
    "columns": int,
    "ports": int,
    "bandwidth": (str, int, float),
    "links": str,
    "reach": (int, float),
    "wire": (int, float),
    "total": (int, float),
}
TRAFFIC = {"kind": str, "bytes": (str, int, float), "matrix": list}
SEARCH = {"solves": int, "screens": int, "seed": int}
TOP = {"schema": int, "name": str, "description": str, "class": dict, "traffic": dict, "search": dict}


@dataclass(frozen=True)
class SearchFile:
    """What a search file says.

    Parameters
    ----------
    name
        Name of the package that is to be found; of the file where it has none.
    within
        The class.
    traffic
        The traffic.
    solves, screens, seed
        As `search` takes them.
    """

    name: str
    within: TopologyClass
    traffic: Traffic
    solves: int = 400
    screens: int = 120_000
    seed: int = 0


def load_search(path: str | Path) -> SearchFile:
    """Read a search file.

    Raises
    ------
    FormatError
        If it cannot be read, with every fault.
    """
    place = Path(path)
    data = parse_toml(read_text(place), str(place))
    faults: list[str] = []
    check_schema(data, faults)
    _check(data, TOP, "", faults)
    parts: dict[str, dict[str, Any]] = {
        key: data[key] if isinstance(data.get(key), dict) else {} for key in ("class", "traffic", "search")
    }
    for key, known in (("class", CLASS), ("traffic", TRAFFIC), ("search", SEARCH)):
        _check(parts[key], known, f"[{key}] ", faults)
    if "rows" not in parts["class"]:
        faults.append("[class] has no rows; give the rows of the grid")
    raise_collected(FormatError, f"{place}: no search", faults)
    try:
        within = grid_class(**parts["class"])
        return SearchFile(
            str(data.get("name", place.stem)), within, _traffic(parts["traffic"], within), **parts["search"]
        )
    except NopError as wrong:
        raise FormatError(f"{place}: {wrong}") from None


def _check(data: Any, known: dict[str, Any], where: str, faults: list[str]) -> None:
    for key, value in data.items():
        if key not in known:
            faults.append(f"{where}{key!r} is not known; {did_you_mean(key, known)}")
        elif not isinstance(value, known[key]) or isinstance(value, bool):
            faults.append(f"{where}{key} = {value!r} is of the wrong type")


def _traffic(given: dict[str, Any], within: TopologyClass) -> Traffic:
    kind, size = given.get("kind", "all-to-all"), len(within)
    if kind == "all-to-all":
        amount = parse_quantity(given.get("bytes", "1 MB"), "B", "bytes")
        return Traffic(within.names, amount * (1.0 - np.eye(size)), name="all-to-all")
    if kind == "matrix":
        return Traffic(within.names, given.get("matrix", []), name="matrix")
    raise FormatError(f"[traffic] kind {kind!r}: {did_you_mean(kind, ('all-to-all', 'matrix'))}")
