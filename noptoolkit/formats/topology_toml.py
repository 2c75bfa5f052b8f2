"""Topology files: TOML with ``schema = 1``, parametric or explicit, in and out.

Parametric: ``builder`` names one of `noptoolkit.topology.BUILDERS`, ``[params]`` holds its arguments.
Explicit: ``[[chiplet]] [[switch]] [[memory]] [[link]]`` with the fields of their classes, and
``[defaults.link]`` (or chiplet, switch, memory) for what they share; nodes are in that order of kinds
unless ``order`` lists their names. Both: ``name``, ``description``, ``source``, ``assumed``, and ``base``, a
preset or another file that this one differs from (`noptoolkit.formats.inheritance`).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit._shown import shown
from noptoolkit.errors import MOST_COUNTED, FormatError, NopError, raise_collected
from noptoolkit.formats.files import parse_toml
from noptoolkit.formats.inheritance import with_base
from noptoolkit.package import Link, Node, Package
from noptoolkit.package.attributed_graph import KINDS as NODE_KINDS
from noptoolkit.package.checks import graph_faults
from noptoolkit.topology import BUILDERS
from noptoolkit.units import format_quantity, parse_quantity

__all__ = ["check_schema", "dump_topology", "parse_topology"]

SCHEMA = 1
MOST_ENTRIES = 500_000
KINDS: dict[str, Any] = {**NODE_KINDS, "link": Link}


def parse_topology(text: str, place: str, *, folder: Path | None = None) -> Package:
    """Return the package that a TOML text describes; ``place`` names it in errors.

    ``folder`` is where the text stands: a relative ``base`` is looked for there.
    """
    from noptoolkit.formats.schema import check, table_model

    data = with_base(parse_toml(text, place), (folder or Path()) / place, "topologies")
    faults: list[str] = []
    header_fields: dict[str, Any] = {
        "name": (str, ""),
        "description": (str, ""),
        "source": (str, ""),
        "assumed": (tuple[str, ...], ()),
        "without": (tuple[str, ...], ()),
    }
    body_fields = ("builder", "params", "defaults", "order", *KINDS)
    header = table_model("topology", **header_fields, **dict.fromkeys(body_fields, (Any, None)))
    check_schema(data, faults)
    values = check(header, {key: value for key, value in data.items() if key != "schema"}, "", faults)
    name = values.get("name") or Path(place).stem
    base = None
    if "builder" in data:
        base = _built(data, place, faults)
    elif "params" in data:
        faults.append("[params] needs a 'builder'")
    nodes, links = _explicit(data, faults)
    if base is not None:
        nodes, links = [*base.nodes, *nodes], [*base.links, *links]
    nodes = _ordered(nodes, data.get("order"), faults)
    if faults and (base is not None or "builder" not in data):  # what was made may have faults of its own
        faults += graph_faults(nodes, links, more=_names(data))
    raise_collected(FormatError, place, faults)
    source = values.get("source") or (base.source if base else "")
    try:
        package = Package(name, nodes, links, source, values.get("assumed", ()))
        return package.without(*values["without"]) if values.get("without") else package
    except NopError as error:
        raise FormatError(f"{place}: {error}") from error


def check_schema(data: Mapping[str, Any], faults: list[str]) -> None:
    """Add a fault if a file is of a schema that this version does not read."""
    version = data.get("schema")
    if version is None:
        faults.append(f"key 'schema' is missing; write schema = {SCHEMA}")
    elif isinstance(version, bool) or version != SCHEMA:
        faults.append(f"schema = {shown(version)}: this version reads schema = {SCHEMA}")


def _built(data: Mapping[str, Any], place: str, faults: list[str]) -> Package | None:
    from noptoolkit.formats.schema import builder_model, check

    builder = data["builder"]
    if not isinstance(builder, str) or builder not in BUILDERS:
        faults.append(f"no builder named {shown(builder)}; {did_you_mean(str(builder), BUILDERS)}")
        return None
    params = check(builder_model(BUILDERS[builder]), data.get("params", {}), "[params]", faults)
    if faults:
        return None
    try:
        return BUILDERS[builder](**params)
    except NopError as error:
        raise FormatError(f"{place}: [params]: {error}") from error


def _explicit(data: Mapping[str, Any], faults: list[str]) -> tuple[list[Node], list[Link]]:
    from noptoolkit.formats.schema import check, entry_model, table_model

    optional = {kind: (entry_model(cls, all_optional=True), None) for kind, cls in KINDS.items()}
    shared = table_model("defaults", **optional)
    defaults = data.get("defaults", {})
    wrong_before = len(faults)
    if isinstance(defaults, Mapping):
        loose = [key for key in defaults if key not in KINDS and _kinds_with(key)]
        faults += [_in_its_table(key) for key in loose[:MOST_COUNTED]]
        defaults = {key: value for key, value in defaults.items() if key not in loose}
    check(shared, defaults, "[defaults]", faults)
    broken = len(faults) > wrong_before  # then do not blame the entries for what they would have had
    if broken:
        defaults = {}
    nodes: list[Node] = []
    links: list[Link] = []
    for kind, cls in KINDS.items():
        entries = data.get(kind, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            faults.append(f"{kind}: write [[{kind}]] tables")
            continue
        if len(entries) > MOST_ENTRIES:
            faults.append(f"{len(entries)} [[{kind}]] tables are more than {MOST_ENTRIES}")
            continue
        model = entry_model(cls, all_optional=broken)
        for number, entry in enumerate(entries, start=1):
            if len(faults) >= MOST_COUNTED:
                break
            values = check(model, {**defaults.get(kind, {}), **entry}, _place(kind, entry, number), faults)
            if broken or not values:
                continue
            if kind == "link":
                links.append(Link(**values))
            else:
                nodes.append(cls(**values))
    return nodes, links


def _kinds_with(key: str) -> list[str]:
    """Return the kinds of nodes and links that have a field of this name."""
    return [kind for kind, cls in KINDS.items() if key in {field.name for field in dataclasses.fields(cls)}]


def _in_its_table(key: str) -> str:
    tables = " or ".join(f"[defaults.{kind}]" for kind in _kinds_with(key))
    return f"[defaults]: {key!r} must be in the table of its kind: {tables}"


def _names(data: Mapping[str, Any]) -> list[str]:
    """Return the names that a file gives to nodes, whether or not they are sound otherwise."""
    entries = [entry for kind in KINDS for entry in _tables(data.get(kind))]
    return [entry["name"] for entry in entries if isinstance(entry.get("name"), str)]


def _tables(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _ordered(nodes: list[Node], order: Any, faults: list[str]) -> list[Node]:
    if order is None or faults:
        return nodes
    by_name = {node.name: node for node in nodes}
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(by_name):
        faults.append("order must list the name of every node once, or be left out")
        return nodes
    return [by_name[name] for name in order]


def _place(kind: str, entry: Mapping[str, Any], number: int) -> str:
    if kind == "link" and {"a", "b"} <= set(entry):
        return f"link {entry['a']!r}-{entry['b']!r}"
    return f"{kind} {entry['name']!r}" if "name" in entry else f"{kind} number {number}"


def dump_topology(package: Package) -> str:
    """Return a package as explicit TOML; `parse_topology` of it is an equal package.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> dump_topology(ring(3)).splitlines()[:2]
    ['schema = 1', 'name = "ring-3"']
    """
    import tomli_w

    data: dict[str, Any] = {"schema": SCHEMA, "name": package.name}
    if package.source:
        data["source"] = package.source
    if package.assumed:
        data["assumed"] = list(package.assumed)
    families: dict[str, Sequence[Node | Link]] = {
        "chiplet": package.chiplets,
        "switch": package.switches,
        "memory": package.memories,
        "link": package.links,
    }
    by_kind = [*package.chiplets, *package.switches, *package.memories]
    if by_kind != list(package.nodes):
        data["order"] = [node.name for node in package.nodes]
    entries = {kind: [_table(member) for member in members] for kind, members in families.items() if members}
    defaults = {kind: _shared(tables) for kind, tables in entries.items()}
    if any(defaults.values()):
        data["defaults"] = {kind: table for kind, table in defaults.items() if table}
    for kind, tables in entries.items():
        shared = defaults[kind]
        data[kind] = [{k: v for k, v in table.items() if shared.get(k) != v} for table in tables]
    return tomli_w.dumps(data)


def _table(member: Node | Link) -> dict[str, Any]:
    """Return the fields that differ from the class's defaults."""
    table: dict[str, Any] = {}
    for field in dataclasses.fields(member):
        value = getattr(member, field.name)
        if value == field.default or value is None:
            continue
        unit = field.metadata.get("unit")
        if unit:
            value = _text(value, unit)
        elif isinstance(value, tuple):
            value = list(value)
        elif field.name == "kind":
            value = str(value)
        table[field.name] = value
    return table


def _shared(tables: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the commonest value of each key that all tables have, their names and ends excepted."""
    first, *others = tables
    shared = {}
    for key in first if others else ():
        if key in ("name", "a", "b", "position") or not all(key in other for other in others):
            continue
        values = Counter(repr(table[key]) for table in (first, *others))
        commonest, count = values.most_common(1)[0]
        if count > 1:
            shared[key] = next(table[key] for table in (first, *others) if repr(table[key]) == commonest)
    return shared


@lru_cache(maxsize=4096)
def _text(value: float, unit: str) -> str | float:
    """Return a quantity as text where that loses nothing, else as a number."""
    text = format_quantity(value, unit, digits=12)
    try:
        return text if parse_quantity(text, unit) == value else value
    except FormatError:
        return value
