"""Workload files: TOML with ``schema = 1`` and the tables ``[model]``, ``[batch]`` and ``[routing]``.

``base`` names a preset or another file that this one differs from: `noptoolkit.formats.inheritance`.

``[routing]`` holds one of: ``trace``, the path of a trace file (relative to this one), with its ``origin``
where the file does not say (``recorded``, ``synthetic``); ``loads``, recorded loads of the experts, from
which ``tokens`` are drawn with ``seed``; ``generator``, a table with the parameters of
`noptoolkit.SyntheticRouting`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from noptoolkit.errors import FormatError, NopError, raise_collected
from noptoolkit.formats.files import find, parse_toml, preset_names, read_text
from noptoolkit.formats.inheritance import MOST_BASES, with_base
from noptoolkit.formats.topology_toml import check_schema
from noptoolkit.formats.traces import load_trace
from noptoolkit.synthetic import SyntheticRouting, draw_from_loads
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Batch, LatentAttention, MoEModel, Workload
from noptoolkit.workload_edits import MOST

__all__ = ["is_workload_file", "load_workload", "trace_file"]

SOURCES = ("trace", "loads", "generator")


def load_workload(ref: str | Path | Workload, *, trace: str | Path | RoutingTrace | None = None) -> Workload:
    """Return the workload that a preset name, a TOML file or a workload means.

    Parameters
    ----------
    ref
        One of `noptoolkit.formats.list_workloads`, a path, or a workload.
    trace
        Recorded routing that takes the place of the workload's own: a trace or its file.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    FormatError
        If the file is not a workload, with all faults.
    WorkloadError
        If the trace does not fit the model.

    Examples
    --------
    >>> load_workload("qwen3-30b-a3b").model.parameters
    30532122624
    """
    if isinstance(ref, Workload):
        workload = ref
    else:
        path = find(ref, "workloads")
        workload = _parse(read_text(path), path, skip_routing=trace is not None)
    if trace is None:
        return workload
    recorded = trace
    if not isinstance(recorded, RoutingTrace):
        recorded = load_trace(recorded, num_experts=workload.model.experts, top_k=workload.model.top_k)
    return replace(workload, routing=recorded)


def is_workload_file(path: Path, depth: int = 0) -> bool:
    """Return whether a file looks like a workload: TOML with one of its tables, or with such a base."""
    try:
        if path.suffix != ".toml" or not path.is_file():
            return False
    except OSError:  # a name too long for a file
        return False
    text = read_text(path)
    if re.search(r"^[ \t]*\[(model|batch|routing)\b", text, re.MULTILINE):
        return True
    base = re.search(r"""^[ \t]*base[ \t]*=[ \t]*["']([^"']+)["']""", text, re.MULTILINE)
    if base is None or base[1] in preset_names("workloads"):
        return base is not None
    return depth < MOST_BASES and is_workload_file(path.parent / base[1], depth + 1)


def trace_file(ref: str | Path) -> Path | None:
    """Return the trace file that a workload's preset or file names, if it names one."""
    path = find(ref, "workloads")
    routing = with_base(parse_toml(read_text(path), path.name), path, "workloads").get("routing")
    named = routing.get("trace") if isinstance(routing, Mapping) else None
    return (path.parent / named).resolve() if isinstance(named, str) else None


def _parse(text: str, path: Path, *, skip_routing: bool) -> Workload:
    from noptoolkit.formats.schema import check, entry_model, table_model

    place = path.name
    data = with_base(parse_toml(text, place), path, "workloads")
    faults: list[str] = []
    check_schema(data, faults)
    header = table_model(
        "workload",
        name=(str, ""),
        description=(str, ""),
        source=(str, ...),
        assumed=(tuple[str, ...], ()),
        **dict.fromkeys(("model", "batch", "routing"), (Any, None)),
    )
    values = check(header, {key: value for key, value in data.items() if key != "schema"}, "", faults)
    if "model" not in data:
        raise_collected(FormatError, place, [*faults, "table [model] is missing"])
    shape, latent = data["model"], None
    if isinstance(shape, Mapping) and "latent_attention" in shape:
        latent = shape["latent_attention"]
        shape = {key: value for key, value in shape.items() if key != "latent_attention"}
    found = check(entry_model(MoEModel, leave_out=("latent_attention",)), shape, "[model]", faults)
    if latent is not None:
        ranks = check(entry_model(LatentAttention), latent, "[model.latent_attention]", faults)
        found["latent_attention"] = LatentAttention(**ranks) if ranks else None
    batch = check(entry_model(Batch), data.get("batch", {}), "[batch]", faults)
    routing = data.get("routing", {})
    _check_routing(routing, faults)
    for table in (found, batch, routing if isinstance(routing, Mapping) else {}):
        for key, most in MOST.items():
            if isinstance(table.get(key), int) and table[key] > most:
                faults.append(f"{key} = {table[key]} is more than {most}; is it a typing error?")
    raise_collected(FormatError, place, faults)
    try:
        model = MoEModel(**found)
        drawn = None if skip_routing else _routing(routing, model, path.parent)
        return Workload(
            name=values.get("name") or path.stem,
            model=model,
            batch=Batch(**batch),
            routing=drawn,
            source=values["source"],
            assumed=values.get("assumed", ()),
        )
    except NopError as error:
        raise FormatError(f"{place}: {error}") from error


def _check_routing(routing: Any, faults: list[str]) -> None:
    from noptoolkit.formats.schema import check, entry_model, table_model

    generator = entry_model(SyntheticRouting, leave_out=("num_experts", "top_k"))
    row = tuple[float, ...]
    model = table_model(
        "routing",
        trace=(str, ""),
        origin=(Literal["recorded", "synthetic", "unstated"], "unstated"),
        loads=(row | tuple[row, ...], ()),
        tokens=(int, 0),
        seed=(int, 0),
        generator=(generator, None),
    )
    found = check(model, routing, "[routing]", faults)
    given = [key for key in SOURCES if key in found]
    if len(given) > 1:
        faults.append(f"[routing]: {' and '.join(map(repr, given))}: keep one")
    if "origin" in found and given != ["trace"]:
        faults.append("[routing]: 'origin' goes with 'trace'; loads and generators have their own")
    for key in ("tokens", "seed"):
        if key in found and given != ["loads"]:
            faults.append(f"[routing]: {key!r} goes with 'loads'; a generator has its own")


def _routing(
    routing: Mapping[str, Any], model: MoEModel, folder: Path
) -> RoutingTrace | SyntheticRouting | None:
    if "trace" in routing:
        return load_trace(
            folder / routing["trace"],
            num_experts=model.experts,
            top_k=model.top_k,
            origin=routing.get("origin"),
        )
    if "loads" in routing:
        chosen = {key: routing[key] for key in ("tokens", "seed") if key in routing}
        return draw_from_loads(routing["loads"], model.top_k, **chosen)
    if "generator" in routing:
        return SyntheticRouting(num_experts=model.experts, top_k=model.top_k, **routing["generator"])
    return None
