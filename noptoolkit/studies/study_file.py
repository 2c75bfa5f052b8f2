"""Study files: TOML with ``schema = 1``, the metrics, and the space.

.. code-block:: toml

    schema = 1
    name = "links-and-groups"
    metrics = ["all_to_all", "links"]
    layout = "own"                      # or "fixed"
    where = ["params.groups * params.experts_per_group == 16"]
    sample = "grid"                     # or random, lhs, sobol, with points and seed
    goals = ["all_to_all", "min links"] # of a search: noptoolkit optimise
    limits = ["links <= 40"]
    budget = 100

    [space]
    builder = "nop_tree"
    params.groups = [2, 4, 8]
    params.experts_per_group = [2, 4, 8]
    params.flops = "300 TFLOP/s"
    params.link_bandwidth = { low = "64 GB/s", high = "512 GB/s", count = 4, log = true }
    workload = "olmoe-1b-7b"
    "workload.sequences" = [8, 32]      # in quotes: TOML has no field of a text
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, NopError, raise_collected
from noptoolkit.formats.files import parse_toml, read_text
from noptoolkit.formats.topology_toml import check_schema
from noptoolkit.studies.space import Range, Space

__all__ = ["StudyFile", "load_study"]

KEYS = {
    "schema": int,
    "name": str,
    "description": str,
    "metrics": list,
    "layout": str,
    "where": list,
    "sample": str,
    "points": int,
    "seed": int,
    "goals": list,
    "limits": list,
    "budget": int,
    "space": dict,
}
DOTTED = re.compile(r"^[ \t]*((workload|policy|plan|normalise)\.\w+)\s*=", re.MULTILINE)
"""A field beside its base: TOML takes the base for text and the field for a table."""

RANGE = {"low", "high", "count", "log", "whole"}


@dataclass(frozen=True)
class StudyFile:
    """What a study file says.

    Parameters
    ----------
    name
        Name of the study; of the file where it has none.
    space
        Parameters and their values.
    metrics
        Names of the metrics.
    layout
        ``own`` or ``fixed``.
    goals, limits, budget, seed
        What a search of the space is to find, see `noptoolkit.studies.optimise`; budget ``None`` where the
        file gives none.
    """

    name: str
    space: Space
    metrics: tuple[str, ...]
    layout: str
    goals: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    budget: int | None = None
    seed: int = 0


def load_study(path: str | Path) -> StudyFile:
    """Return the study that a TOML file describes.

    Raises
    ------
    FormatError
        If it is not a study, with all faults.
    """
    file = Path(path)
    text = read_text(file)
    try:
        data = parse_toml(text, file.name)
    except FormatError as error:
        dotted = DOTTED.search(text)
        if dotted is None:
            raise
        way = f'"{dotted[1]}" = ...'
        raise FormatError(
            f"{error}; beside {dotted[2]} = ... write the dotted name in quotes: {way}"
        ) from error
    faults: list[str] = []
    check_schema(data, faults)
    for key, value in data.items():
        if key not in KEYS:
            faults.append(f"unknown key {key!r}; {did_you_mean(key, KEYS)}")
        elif not isinstance(value, KEYS[key]) or (KEYS[key] is int and isinstance(value, bool)):
            faults.append(f"{key} = {value!r} must be {_WORDS[KEYS[key]]}")
    if "space" not in data:
        faults.append("table [space] is missing: it holds the parameters and their values")
    raise_collected(FormatError, file.name, faults)
    values = {name: _axis(name, value, faults) for name, value in _flat(data["space"]).items()}
    for name in ("package", "normalise_to", "workload"):
        if name in values:
            values[name] = _beside(values[name], file.parent)
    raise_collected(FormatError, file.name, faults)
    options = {key: data[key] for key in ("where", "sample", "points", "seed") if key in data}
    try:
        space = Space(values, **options)
    except NopError as error:
        raise type(error)(f"{file.name}: {error}") from error
    return StudyFile(
        name=data.get("name", file.stem),
        space=space,
        metrics=tuple(map(str, data.get("metrics", ("all_to_all", "links")))),
        layout=data.get("layout", "own"),
        goals=tuple(map(str, data.get("goals", ()))),
        limits=tuple(map(str, data.get("limits", ()))),
        budget=data.get("budget"),
        seed=data.get("seed", 0),
    )


_WORDS = {int: "a whole number", str: "text", list: "a list", dict: "a table"}


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested tables by dotted names; a table with low and high is a range."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and not {"low", "high"} <= set(value):
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _axis(name: str, value: Any, faults: list[str]) -> Any:
    if not isinstance(value, dict):
        return value
    for key in set(value) - RANGE:
        faults.append(f"range of {name!r}: unknown key {key!r}; {did_you_mean(key, sorted(RANGE))}")
        return None
    try:
        return Range(**value)
    except NopError as error:
        faults.append(f"{name}: {error}")
        return None


def _beside(value: Any, folder: Path) -> Any:
    """Return names of files as they stand beside the study file."""
    if isinstance(value, list):
        return [_beside(one, folder) for one in value]
    place = folder / str(value)
    return str(place.resolve()) if isinstance(value, str) and place.is_file() else value
