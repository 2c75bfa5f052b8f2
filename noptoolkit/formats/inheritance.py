"""``base = "preset"``: a TOML file that says only what differs from another one.

``base`` names a preset or a file, relative to the file that names it. Tables are merged key by key;
everything else replaces what the base says. Another ``builder`` or another kind of routing takes nothing over
from the one that it replaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError
from noptoolkit.formats.files import Kind, find, parse_toml, read_text

__all__ = ["MOST_BASES", "with_base"]

MOST_BASES = 8
"""Files that one file may rest on, one on the other."""

ALTERNATIVES = ("trace", "loads", "generator")
"""Keys of ``[routing]`` of which one stands."""

OWN = ("name", "description", "base")
"""Keys that are not taken over."""


def with_base(data: Mapping[str, Any], path: Path, kind: Kind, depth: int = 0) -> dict[str, Any]:
    """Return the tables of a file, merged into those of its base where it has one.

    Parameters
    ----------
    data
        Tables of the file.
    path
        Path of the file, for relative references.
    kind
        Which presets ``base`` may name.
    depth
        Number of files that rest on this one.

    Raises
    ------
    FormatError
        If the base cannot be read, or bases go round in a circle.
    UnknownNameError
        If there is no such preset.
    """
    own = dict(data)
    if "base" not in own:
        return own
    ref = own.pop("base")
    if not isinstance(ref, str) or not ref:
        raise FormatError(f"{path.name}: base = {ref!r} is not the name of a preset or a file")
    if depth == MOST_BASES:
        raise FormatError(f"{path.name}: more than {MOST_BASES} bases, one on the other; is it a circle?")
    beside = path.parent / ref
    place = beside if beside.suffix == ".toml" and beside.is_file() else find(ref, kind)
    if place.suffix != ".toml":
        raise FormatError(f"{path.name}: base = {ref!r} is not TOML; convert it first")
    try:
        base = with_base(parse_toml(read_text(place), place.name), place, kind, depth + 1)
    except FormatError as error:
        raise FormatError(f"{path.name}: base: {error}") from error
    routing = base.get("routing")
    if isinstance(routing, dict) and isinstance(routing.get("trace"), str):
        routing["trace"] = str(place.parent / routing["trace"])  # it was relative to the base
    return _merged({key: value for key, value in base.items() if key not in OWN}, own)


def _merged(base: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables merged key by key, what is not a table replaced."""
    if "builder" in own and own["builder"] != base.get("builder"):
        base.pop("params", None)
    if any(key in own for key in ALTERNATIVES):
        base = {key: value for key, value in base.items() if key in own}
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            value = _merged(dict(before), value)
        merged[key] = value
    return merged
