"""Packets of a run until done in the Trace Event Format that Perfetto and chrome://tracing open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noptoolkit.errors import WorkloadError
from noptoolkit.formats.results import replace_file
from noptoolkit.simulate.result import Simulation

__all__ = ["write_packet_trace"]

MOST_PACKETS = 1_000_000


def write_packet_trace(run: Simulation, path: str | Path) -> None:
    """Write each packet of a run until done as an event of its source, in us.

    Raises
    ------
    WorkloadError
        If the run has no list of packets, or more than a million.
    """
    if not 0 < len(run.trace) <= MOST_PACKETS:
        raise WorkloadError(
            f"{run!r} has {len(run.trace)} packets to trace; 1 to {MOST_PACKETS}, of a run with until='done'"
        )
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": n, "name": "process_name", "args": {"name": name}}
        for n, name in enumerate(run.endpoints)
    ]
    scale = 1e6 / run.clock
    for number, (source, to, created, sent, done) in enumerate(run.trace.tolist()):
        if done < 0:  # absorbed into a sum on the way
            continue
        event = {"ph": "b", "pid": source, "tid": to, "cat": "packet", "id": number}
        event |= {"name": f"to {run.endpoints[to]}", "ts": sent * scale, "args": {"waited": sent - created}}
        events += [event, {**event, "ph": "e", "ts": done * scale}]
    replace_file(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}))
