"""A workload as TOML: what differs from the defaults of its model, batch and generator."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from noptoolkit.errors import WorkloadError
from noptoolkit.synthetic import SyntheticRouting
from noptoolkit.workload import Workload

__all__ = ["dump_workload"]


def dump_workload(workload: Workload, *, trace: str | Path | None = None) -> str:
    """Return a workload as a TOML text that `noptoolkit.load_workload` reads.

    Parameters
    ----------
    workload
        Workload to write.
    trace
        Path of the file of its routing, if that is a trace: arrays do not stand in TOML.

    Raises
    ------
    WorkloadError
        If the routing is a trace and ``trace`` is not given.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> text = dump_workload(nop.load_workload("qwen3-30b-a3b").replace(mode="decode"))
    >>> 'mode = "decode"' in text, "affinity = 2.338" in text
    (True, True)
    """
    import tomli_w

    model = _table(workload.model, leave_out=("latent_attention",))
    if workload.model.latent_attention is not None:
        model["latent_attention"] = _table(workload.model.latent_attention)
    data: dict[str, Any] = {"schema": 1, "name": workload.name, "source": workload.source or "not stated"}
    if workload.assumed:
        data["assumed"] = list(workload.assumed)
    batch = {field.name: getattr(workload.batch, field.name) for field in dataclasses.fields(workload.batch)}
    data |= {"model": model, "batch": batch}
    routing = workload.routing
    if isinstance(routing, SyntheticRouting):
        data["routing"] = {"generator": _table(routing, leave_out=("num_experts", "top_k"), all_of_it=True)}
    elif routing is not None:
        if trace is None:
            raise WorkloadError(
                f"workload {workload.name!r} has a trace; write it with save_trace, give its path as trace="
            )
        data["routing"] = {"trace": str(trace)}
        if routing.origin in ("recorded", "synthetic"):
            data["routing"]["origin"] = routing.origin
    return tomli_w.dumps(data)


def _table(part: Any, leave_out: tuple[str, ...] = (), *, all_of_it: bool = False) -> dict[str, Any]:
    """Return the fields that differ from the class's defaults, or all."""
    return {
        field.name: value
        for field in dataclasses.fields(part)
        if field.name not in leave_out
        and (value := getattr(part, field.name)) is not None
        and (all_of_it or value != field.default)
    }
