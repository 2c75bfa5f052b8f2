"""Allocations as TOML or JSON: which chiplet holds each expert, one row per layer or one for all.

    schema = 1
    method = "auto: agglomerative + tabu"
    chiplets = ["e0", "e1"]
    groups = [[0], [1]]
    chiplet_of_expert = [[0, 0, 1, 1]]
    replicas = [[[0, 1]]]         # further copies: (expert, chiplet) pairs for each row; optional
    choice = "local"              # which copy a token uses; optional

Indices are into ``chiplets``. Nothing else is in the file, so that a layout made by other software is easily
written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit._shown import shown
from noptoolkit.allocation import Allocation
from noptoolkit.errors import FormatError, WorkloadError, raise_collected
from noptoolkit.formats.attributes import parse_json
from noptoolkit.formats.files import parse_toml, read_text
from noptoolkit.formats.results import replace_file

__all__ = ["load_allocation", "save_allocation"]

KEYS = ("schema", "method", "chiplets", "groups", "chiplet_of_expert", "replicas", "choice")


def save_allocation(path: str | Path, allocation: Allocation) -> None:
    """Write an allocation, as JSON if the file is named so, else as TOML.

    Raises
    ------
    FormatError
        If the file cannot be written.

    Examples
    --------
    >>> save_allocation("/nowhere/layout.toml", Allocation(("e0", "e1"), [0, 0, 1, 1]))
    Traceback (most recent call last):
    noptoolkit.errors.FormatError: /nowhere/layout.toml: cannot be written: No such file or directory
    """
    rows = allocation.chiplet_of_expert.tolist()
    content: dict[str, Any] = {
        "schema": 1,
        "method": allocation.method,
        "chiplets": list(allocation.experts),
        "groups": [list(members) for members in allocation.groups],
        "chiplet_of_expert": rows,
    }
    if allocation.replicas.size:
        content |= {"replicas": allocation.replicas.tolist(), "choice": allocation.choice}
    quoted = {key: json.dumps(value) for key, value in content.items() if key != "chiplet_of_expert"}
    table = ",\n".join(f"  {json.dumps(row)}" for row in rows)  # one layer per line: arrays alike in both
    if Path(path).suffix == ".json":
        body = "".join(f'"{key}": {value},\n' for key, value in quoted.items())
        text = f'{{\n{body}"chiplet_of_expert": [\n{table}\n]\n}}\n'
    else:
        body = "".join(f"{key} = {value}\n" for key, value in quoted.items())
        text = f"{body}chiplet_of_expert = [\n{table},\n]\n"
    replace_file(path, text)


def load_allocation(path: str | Path) -> Allocation:
    """Read an allocation from TOML or JSON.

    Raises
    ------
    FormatError
        If the file cannot be read or is not an allocation, with all faults.
    """
    place = Path(path)
    text = read_text(place)
    content = (
        _table(parse_json(text, str(place)), place)
        if place.suffix == ".json"
        else parse_toml(text, str(place))
    )
    raise_collected(FormatError, str(place), _faults(content))
    groups = tuple(tuple(members) for members in content["groups"]) if "groups" in content else None
    try:
        return Allocation(
            tuple(content["chiplets"]),
            content["chiplet_of_expert"],
            groups,
            content.get("method", "given"),
            content.get("replicas"),
            content.get("choice", "balanced"),
        )
    except WorkloadError as error:
        raise FormatError(f"{place}: {error}") from None


def _table(content: Any, place: Path) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise FormatError(f'{place}: not an object; write {{"schema": 1, ...}}')
    return content


def _faults(content: dict[str, Any]) -> list[str]:
    faults = [f"unknown key {shown(key)}; {did_you_mean(key, KEYS)}" for key in content if key not in KEYS]
    if content.get("schema") != 1:
        faults.append(f"schema is {shown(content.get('schema'))}; this version reads schema = 1")
    if not isinstance(content.get("method", ""), str):
        faults.append(f"method {shown(content['method'])} is not text")
    names = content.get("chiplets")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        faults.append('chiplets: give the names of the expert chiplets, such as ["e0", "e1"]')
        names = []
    elif len(set(names)) < len(names):
        faults.append("chiplets: a name occurs twice")
    if not _is_table(content.get("chiplet_of_expert")):
        faults.append(
            "chiplet_of_expert: give rows of equally many chiplet indices, one per layer or one for all"
        )
    if content.get("choice", "balanced") not in ("balanced", "local"):
        faults.append(f"choice is {shown(content['choice'])}; give 'balanced' or 'local'")
    replicas = content.get("replicas", [])
    if not isinstance(replicas, list) or not all(
        _is_rows(layer) and all(len(pair) == 2 for pair in layer) and len(layer) == len(replicas[0])
        for layer in replicas
    ):
        faults.append("replicas: give equally many pairs of whole numbers for each row")
    if "groups" in content:
        groups = content["groups"]
        whole = _is_rows(groups) and sorted(i for row in groups for i in row) == list(range(len(names)))
        if names and not whole:
            faults.append(f"groups: give lists of indices in which each of 0 to {len(names) - 1} occurs once")
    return faults


def _is_rows(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(row, list) for row in value)
        and all(type(entry) is int and abs(entry) < 2**31 for row in value for entry in row)
    )


def _is_table(value: Any) -> bool:
    return _is_rows(value) and bool(value) and bool(value[0]) and len({len(row) for row in value}) == 1
