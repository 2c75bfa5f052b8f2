"""Traces as text: CSV and JSON lines of expert ids, for recorders in other languages.

CSV: lines of ``# key = value`` (``num_experts``, ``top_k``, ``origin``, ``source``), a header, and one row
per token and layer. Columns ``expert0``, ``expert1``, ... hold the ids; ``weight0``, ..., ``layer``,
``domain`` and ``document`` may be there too. A layer's rows are its tokens in order, the same in each layer.

JSON lines: an object with the keys of an ``.npz`` (`noptoolkit.formats.traces`), then one token per line: its
ids as [layers, k] or [k], or an object of ``experts`` (those ids), ``weights``, ``domain`` and ``document``.
JSON: one object with the keys of an ``.npz``, or a list of the lines above. Either may hold vLLM's responses.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._names import did_you_mean
from noptoolkit._shown import shown
from noptoolkit.errors import FormatError
from noptoolkit.formats.attributes import parse_json
from noptoolkit.formats.files import read_text
from noptoolkit.formats.recording import FIELDS, Recording, whole_number
from noptoolkit.formats.serving_dumps import (
    COUNT_COLUMNS,
    is_load_dump,
    is_response,
    read_counts,
    read_load_dump,
    read_responses,
)
from noptoolkit.limits import array_of, within

__all__ = ["read_csv", "read_json", "read_json_lines"]

_COLUMN = re.compile(r"(expert|weight)([0-9]{1,6})|layer|domain|document")
_SAID = ("num_experts", "top_k", "origin", "source")
_OF_A_TOKEN = ("experts", "weights", "domain", "document")


def read_csv(path: Path) -> Recording:
    """Return the trace of a CSV file.

    Raises
    ------
    FormatError
        If it is not such a table.
    """
    lines = read_text(path, "table_bytes").splitlines()
    said: dict[str, Any] = {}
    comments = list(takewhile(lambda line: line.startswith("#"), lines))
    for comment in comments:
        key, value = (part.strip() for part in comment.lstrip("# ").partition("=")[::2])
        said[key] = int(value) if re.fullmatch(r"[0-9]{1,9}", value) else value
    _check_keys(said, _SAID, f"{path}: comment")
    rows = [line.split(",") for line in lines[len(comments) :] if line.strip()]
    if rows and [cell.strip() for cell in rows[0]] == COUNT_COLUMNS:
        of_experts = read_counts(rows[1:], path)
        given: dict[str, Any] = {
            key: whole_number(said[key], key, str(path)) for key in ("num_experts", "top_k") if key in said
        }
        return replace(of_experts, **given)
    columns = _columns(lines[len(comments) :], path)
    ids = _stacked(columns, "expert", int, path)
    if ids is None:
        raise FormatError(f"{path}: no column 'expert0'; the header must name the columns of ids")
    layer = _parsed(columns["layer"], int, path, "layer") if "layer" in columns else np.zeros(len(ids), int)
    layers, counts = np.unique(layer, return_counts=True)
    if len(set(counts.tolist())) > 1:
        shown = ", ".join(f"{n} of layer {i}" for i, n in list(zip(layers, counts, strict=True))[:4])
        raise FormatError(f"{path}: every layer needs the same tokens; there are rows: {shown}")
    order = np.argsort(layer, kind="stable").reshape(len(layers), -1)
    weights = _stacked(columns, "weight", float, path)
    domains, domain = _coded(columns.get("domain"), order[0])
    _, document = _coded(columns.get("document"), order[0])
    said |= {"topk": ids[order], "domain": domain, "domains": domains, "document": document}
    said |= {"weights": None if weights is None else weights[order], "layers": layers.tolist()}
    return Recording.of(said, str(path))


def read_json(path: Path) -> Recording:
    """Return the trace of a JSON file.

    Raises
    ------
    FormatError
        If it is not JSON of a trace.
    """
    value = parse_json(read_text(path, "table_bytes"), str(path))
    return _read_values(value if isinstance(value, list) else [value], path)


def read_json_lines(path: Path) -> Recording:
    """Return the trace of a file with one JSON value per line.

    Raises
    ------
    FormatError
        If a line is not JSON, or the lines do not make a trace.
    """
    lines = enumerate(read_text(path, "table_bytes").split("\n"), start=1)
    return _read_values([parse_json(line, f"{path}: line {i}") for i, line in lines if line.strip()], path)


def _columns(lines: Sequence[str], path: Path) -> dict[str, Sequence[str]]:
    try:
        rows = [row for row in csv.reader(lines, strict=True) if row]
    except csv.Error as error:
        raise FormatError(f"{path}: no CSV ({error})") from None
    if len(rows) < 2:
        raise FormatError(
            f"{path}: no rows; give a header like 'layer,expert0,expert1', then a row per token"
        )
    header = [name.strip() for name in rows.pop(0)]
    within("columns", len(header), str(path), "columns")
    for name in header:
        if not _COLUMN.fullmatch(name):
            hint = did_you_mean(name[:60], ("expert0", "weight0", "layer", "domain", "document"))
            raise FormatError(f"{path}: unknown column {shown(name)}; {hint}")
    for name, count in Counter(header).items():
        if count > 1:
            raise FormatError(f"{path}: two columns {name!r}; name each once")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise FormatError(f"{path}: row {number} has {len(row)} values, the header {len(header)}")
    return dict(zip(header, zip(*rows, strict=True), strict=True))


def _stacked(columns: Mapping[str, Sequence[str]], what: str, kind: type, path: Path) -> NDArray[Any] | None:
    """Return the numbered columns of a name side by side, [rows, columns]."""
    names = [name for name in columns if name.startswith(what)]
    names.sort(key=lambda name: int(name.removeprefix(what)))
    return np.stack([_parsed(columns[n], kind, path, n) for n in names], axis=1) if names else None


def _parsed(column: Sequence[str], kind: type, path: Path, name: str) -> NDArray[Any]:
    try:
        return np.fromiter(map(kind, column), dtype=kind, count=len(column))
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path}: column {name!r}: {error}") from None


def _coded(column: Sequence[Any] | None, order: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[Any] | None]:
    """Return the distinct labels in order of appearance, and each token's index among them."""
    if column is None:
        return (), None
    labels = [str(column[i]) for i in order]
    names = {name: i for i, name in enumerate(dict.fromkeys(labels))}
    return tuple(names), np.array([names[label] for label in labels])


def _read_values(values: Sequence[Any], path: Path) -> Recording:
    if values and all(map(is_response, values)):
        return read_responses(values, path)
    if any(map(is_load_dump, values)) and all(isinstance(value, Mapping) for value in values):
        return read_load_dump(values, path)
    said: dict[str, Any] = {}
    if values and isinstance(values[0], Mapping) and "experts" not in values[0]:
        said, values = dict(values[0]), values[1:]
        _check_keys(said, FIELDS, f"{path}: header")
    if "topk" in said or "loads" in said:
        if values:
            raise FormatError(
                f"{path}: its header holds all tokens, and {len(values)} lines follow; give one"
            )
        return Recording.of(said, str(path))
    if not values:
        raise FormatError(f"{path}: no tokens; give one per line, as [layers, k] ids")
    tokens = [value if isinstance(value, Mapping) else {"experts": value} for value in values]
    for i, token in enumerate(tokens):
        _check_keys(token, _OF_A_TOKEN, f"{path}: token {i}")
        if token.keys() != tokens[0].keys():
            raise FormatError(f"{path}: token {i} has {sorted(token)}, the first has {sorted(tokens[0])}")
    if "experts" not in tokens[0]:
        raise FormatError(f"{path}: token 0 has no 'experts'; each token needs its ids, [layers, k] or [k]")
    columns = {key: [token[key] for token in tokens] for key in tokens[0]}
    everybody = np.arange(len(tokens))
    said["topk"] = _layers_first(columns["experts"], path)
    if "weights" in columns:
        said["weights"] = _layers_first(columns["weights"], path)
    if "domain" in columns:
        said["domains"], said["domain"] = _coded(columns["domain"], everybody)
    if "document" in columns:
        said["document"] = _coded(columns["document"], everybody)[1]
    return Recording.of(said, str(path))


def _layers_first(tokens: list[Any], path: Path) -> NDArray[Any]:
    """Return what lines of [layers, k] or [k] hold as [layers, tokens, k]."""
    given = array_of(tokens, str(path), "the tokens")
    return given.transpose(1, 0, 2) if given.ndim == 3 else given


def _check_keys(given: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in given:
        if key not in known:
            raise FormatError(f"{place}: unknown key {shown(key)}; {did_you_mean(key[:60], known)}")
