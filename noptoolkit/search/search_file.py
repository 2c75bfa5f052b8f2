"""Search files: TOML with ``schema = 1``, the class, what is wanted, and how long to search.

.. code-block:: toml

    schema = 1
    name = "grid-8x8-reach-2"

    [class]
    rows = 8
    columns = 8                     # as many as rows if not given
    # package = "mozart-nop-tree"   # or the nodes of a package, wired in any way, in place of a grid
    ports = 4                       # of each chiplet; those of the package if not given
    bandwidth = "128 GB/s"          # of a port, per direction
    links = "single"                # one a pair; or "whole", or "split": bandwidth split freely
    reach = 2                       # longest link, in pitches; any if not given
    wire = 224                      # most wire, in links over a pitch; any if not given
    total = 128                     # most links; any if not given
    # switches = [8, 8]             # ports of each switch that may be used
    # copiers = 2                   # how many nodes may copy and add, or "all", or "given"
    # movable = true                # whether chiplets may exchange their places
    # technology = "ucie-2d"        # whose rules of edge, reach and area a package must keep

    [traffic]
    kind = "all-to-all"             # every chiplet to every other; or "matrix", or, of a package's class,
    bytes = "1 MB"                  # "dispatch", "combine", "dispatch + combine"
    # matrix = [[0, 1e6, ...], ...] # bytes from each chiplet (row) to each other
    # workload = "olmoe-1b-7b"      # of dispatch and combine, with its allocator
    # allocator = "contiguous"

    # [objective]                   # in place of [traffic]: any metric, with a study's parameters
    # metric = "step"
    # workload = "olmoe-1b-7b"
    # allocator = "contiguous"
    # layout = "fixed"              # that of the class's package on all, or "own"

    [search]
    solves = 400                    # packages solved
    screens = 120000                # graphs screened
    seed = 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit import limits
from noptoolkit._names import did_you_mean
from noptoolkit.bounds import TopologyClass, class_like, grid_class
from noptoolkit.errors import FormatError, NopError, raise_collected
from noptoolkit.formats import load_topology
from noptoolkit.formats.files import parse_toml, read_text
from noptoolkit.formats.topology_toml import check_schema
from noptoolkit.pipeline import run
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
    "package": str,
    "switches": list,
    "copiers": (int, str),
    "movable": bool,
    "technology": str,
}
KINDS = ("all-to-all", "matrix", "dispatch", "combine", "dispatch + combine")
TRAFFIC = {"kind": str, "bytes": (str, int, float), "matrix": list, "workload": str, "allocator": str}
SEARCH = {"solves": int, "screens": int, "seed": int}
TOP = {"schema": int, "name": str, "description": str} | dict.fromkeys(
    ("class", "traffic", "objective", "search"), dict
)


@dataclass(frozen=True)
class SearchFile:
    """What a search file says.

    Parameters
    ----------
    name
        Name of the package that is to be found; of the file where it has none.
    within
        The class.
    traffics
        The traffic, several one after the other; none where a metric is wanted.
    objective
        Metric, workload and further parameters, as `noptoolkit.studies.metric_figure` takes them.
    solves, screens, seed
        As `search` takes them.
    """

    name: str
    within: TopologyClass
    traffics: tuple[Traffic, ...]
    objective: Mapping[str, Any] = field(default_factory=dict)
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
    objective = data["objective"] if isinstance(data.get("objective"), dict) else {}
    for key, known in (("class", CLASS), ("traffic", TRAFFIC), ("search", SEARCH)):
        _check(parts[key], known, f"[{key}] ", faults)
    if ("rows" in parts["class"]) == ("package" in parts["class"]):
        faults.append("[class] has no rows and no package, or both; give the rows of a grid, or a package")
    if objective and "traffic" in data:
        faults.append("[traffic] and [objective] are both given; give one of them")
    faults += [
        f"[objective] has no {key}" for key in ("metric", "workload") if objective and key not in objective
    ]
    faults += [
        f"[search] {key} {value!r} must be {least} or more"
        for key, least in (("solves", 1), ("screens", 0))
        if isinstance(value := parts["search"].get(key, least), int) and value < least
    ]
    raise_collected(FormatError, f"{place}: no search", faults)
    if "rows" in parts["class"]:
        size = parts["class"]["rows"] * parts["class"].get("columns", parts["class"]["rows"])
        size += len(parts["class"].get("switches", ()))
        limits.within("values", size**2, str(place), "pairs of nodes")
    try:
        within = _class(dict(parts["class"]))
        traffics = () if objective else _traffics(parts["traffic"], within)
        return SearchFile(str(data.get("name", place.stem)), within, traffics, objective, **parts["search"])
    except NopError as wrong:
        raise FormatError(f"{place}: {wrong}") from None


def _check(data: Any, known: Mapping[str, Any], where: str, faults: list[str]) -> None:
    for key, value in data.items():
        if key not in known:
            faults.append(f"{where}{key!r} is not known; {did_you_mean(key, known)}")
        elif not isinstance(value, known[key]) or (isinstance(value, bool) and known[key] is not bool):
            faults.append(f"{where}{key} = {value!r} is of the wrong type")


def _class(given: dict[str, Any]) -> TopologyClass:
    given |= {key: float(given[key]) for key in ("reach", "wire", "total") if key in given}
    if "switches" in given:
        given["switches"] = tuple(given["switches"])
    if "package" in given:
        package = load_topology(given.pop("package"))
        if "bandwidth" in given:
            package = package.with_link_bandwidth("d2d", given.pop("bandwidth"))
        return class_like(package, **given)
    freedom: dict[str, Any] = {
        key: given.pop(key) for key in ("switches", "copiers", "movable", "technology") if key in given
    }
    within = grid_class(**given)
    if "switches" in freedom:
        if within.reach is not None or within.wire is not None or "technology" in freedom:
            raise FormatError(
                "[class] switches of a grid have no places, and reach, wire and technology ask for them: "
                "leave those out, or give a package whose switches have places"
            )
        freedom["positions"] = None
    return within.replace(**freedom)


def _traffics(given: dict[str, Any], within: TopologyClass) -> tuple[Traffic, ...]:
    kind, size = given.get("kind", "all-to-all"), len(within)
    if kind == "all-to-all":
        amount = parse_quantity(given.get("bytes", "1 MB"), "B", "[traffic] bytes")
        if amount <= 0:
            raise FormatError(f"[traffic] bytes {given['bytes']!r} must be above 0")
        return (Traffic(within.names, amount * (1.0 - np.eye(size)), name="all-to-all"),)
    if kind == "matrix":
        return (Traffic(within.names, given.get("matrix", []), name="matrix"),)
    if kind not in KINDS:
        raise FormatError(f"[traffic] kind {kind!r}: {did_you_mean(kind, KINDS)}")
    if within.template is None or "workload" not in given:
        raise FormatError(
            f"[traffic] {kind} needs a workload, and [class] package, whose chiplets hold experts"
        )
    made = run(within.template, given["workload"], allocator=given.get("allocator", "auto"))
    both = {"dispatch": made.dispatch_traffic, "combine": made.combine_traffic}
    return tuple(both[part] for part in kind.split(" + "))
