"""``noptoolkit list`` and ``noptoolkit show``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from noptoolkit._names import did_you_mean
from noptoolkit.cli.screen import AsJson
from noptoolkit.cli.screen import show as show_table
from noptoolkit.errors import UnknownNameError
from noptoolkit.formats import (
    list_topologies,
    list_workloads,
    load_topology,
    load_workload,
    topology_descriptions,
    workload_descriptions,
)
from noptoolkit.formats.workload_toml import is_workload_file
from noptoolkit.package.elements import Link
from noptoolkit.physical import profile
from noptoolkit.tables import Column, Table

__all__ = ["list_presets", "show"]

MOST_CHANNELS = 200
"""Of more channels than this, `show` counts those of one kind."""


def list_presets(as_json: AsJson = False) -> None:
    """List the topologies and workloads that come with noptoolkit."""
    rows = [
        (kind, *row)
        for kind, described in (
            ("topologies", topology_descriptions()),
            ("workloads", workload_descriptions()),
        )
        for row in described.items()
    ]
    columns = [Column("kind", shown=False), Column("name"), Column("description")]
    show_table(Table(columns, rows, sections=[row[0] for row in rows]), as_json=as_json)


def show(
    reference: Annotated[str, typer.Argument(help="Name of a preset, or path of a file.")],
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Measure the topology: structure, wires, edges, cost, power.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what one topology or workload is, and where its numbers come from."""
    topologies, workloads = list_topologies(), list_workloads()
    if reference in workloads or (reference not in topologies and is_workload_file(Path(reference))):
        if metrics:
            what = f"{reference} is a workload; only a topology is measured"
            raise typer.BadParameter(what, param_hint="--metrics")
        show_table(_workload_table(reference), as_json=as_json)
    elif reference in topologies or "." in reference or "/" in reference:
        show_table(_topology_table(reference, metrics), as_json=as_json)
    else:
        hint = did_you_mean(reference, [*topologies, *workloads])
        raise UnknownNameError(f"no topology or workload named {reference!r}; {hint}")


def _topology_table(reference: str, metrics: bool) -> Table:
    package = load_topology(reference)
    if metrics:
        return replace(profile(package).table(), title=f"{package!r}")
    kinds = [(_kind_of(package.links[channel.link]), channel.bandwidth) for channel in package.channels]
    shown = [Column("kind", meaning="kind of the link"), Column("bandwidth", unit="B/s")]
    notes = _provenance(package.source, package.assumed)
    if len(kinds) <= MOST_CHANNELS:
        rows = [[c.name, *kind] for c, kind in zip(package.channels, kinds, strict=True)]
        return Table(["channel", *shown], rows, title=f"{package!r}", notes=notes)
    counted = [[count, *kind] for kind, count in Counter(kinds).most_common()]
    return Table(["channels", *shown], counted, title=f"{package!r}", notes=notes)


def _kind_of(link: Link) -> str:
    """Return a link's kind; both directions of a half-duplex one share its bandwidth."""
    return f"{link.kind}, half duplex" if link.half_duplex else f"{link.kind}"


def _workload_table(reference: str) -> Table:
    workload = load_workload(reference)
    model = workload.model
    rows = [
        ("model", model.name),
        ("parameters", f"{model.parameters:,} ({model.active_parameters:,} active)"),
        ("experts", f"{model.experts} routed + {model.shared_experts} shared, top-{model.top_k}"),
        ("layers", f"{model.layers}, {model.moe_layers} with experts"),
        ("batch", f"{workload.batch}"),
        ("routing", f"{workload.routing}"),
    ]
    notes = _provenance(workload.source, workload.assumed)
    return Table(["property", "value"], rows, title=workload.name, notes=notes)


def _provenance(source: str, assumed: tuple[str, ...]) -> list[str]:
    return [f"source: {source or 'not stated'}", *(f"assumed: {line}" for line in assumed)]
