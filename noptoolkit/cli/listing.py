"""``noptoolkit list`` and ``noptoolkit show``."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from noptoolkit._names import did_you_mean
from noptoolkit.cli.options import (
    Bandwidth,
    Length,
    MicroBatches,
    Mode,
    Sequences,
    Settings,
    complete_topology,
    complete_workload,
    topology_of,
    workload_of,
)
from noptoolkit.cli.screen import AsJson, print_toml
from noptoolkit.cli.screen import show as show_table
from noptoolkit.errors import UnknownNameError
from noptoolkit.formats import (
    list_topologies,
    list_workloads,
    topology_descriptions,
    workload_descriptions,
)
from noptoolkit.formats.conversion import topology_toml
from noptoolkit.formats.workload_dump import dump_workload
from noptoolkit.formats.workload_toml import is_workload_file, trace_file
from noptoolkit.package import Link, Package
from noptoolkit.physical import profile
from noptoolkit.tables import Column, Table
from noptoolkit.workload import Workload

__all__ = ["list_presets", "show"]

MOST_CHANNELS = 40
"""Of more channels than this, `show` counts those of one kind and bandwidth unless all are asked for."""


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


def _complete(incomplete: str) -> list[str]:
    return [*complete_topology(incomplete), *complete_workload(incomplete)]


def show(
    reference: Annotated[
        str, typer.Argument(help="Name of a preset, or path of a file.", autocompletion=_complete)
    ],
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Measure the topology: structure, wires, edges, cost, power.")
    ] = False,
    channels: Annotated[
        bool, typer.Option("--channels", help="List every channel, however many there are.")
    ] = False,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="Print it as TOML and nothing else: a file to start from.")
    ] = False,
    settings: Settings = None,
    mode: Mode = None,
    sequences: Sequences = None,
    length: Length = None,
    micro_batches: MicroBatches = None,
    bandwidth: Bandwidth = None,
    as_json: AsJson = False,
) -> None:
    """Show what one topology or workload is, and where its numbers come from."""
    topologies, workloads = list_topologies(), list_workloads()
    changes = (settings, mode, sequences, length, micro_batches)
    if reference in workloads or (reference not in topologies and is_workload_file(Path(reference))):
        if metrics:
            what = f"{reference} is a workload; only a topology is measured"
            raise typer.BadParameter(what, param_hint="--metrics")
        workload = workload_of(reference, *changes)
        if as_toml:
            print_toml(dump_workload(workload, trace=trace_file(reference)))
        else:
            show_table(_workload_table(workload), as_json=as_json)
    elif reference in topologies or "." in reference or "/" in reference or os.path.isdir(reference):
        if any(changes):
            what = f"{reference} is a topology; only a workload has such fields"
            raise typer.BadParameter(what, param_hint="--set, --mode, ...")
        if as_toml:
            print_toml(topology_toml(reference, bandwidth=bandwidth))
        else:
            show_table(
                _topology_table(topology_of(reference, bandwidth), metrics, channels or as_json),
                as_json=as_json,
            )
    else:
        hint = did_you_mean(reference, [*topologies, *workloads])
        raise UnknownNameError(f"no topology or workload named {reference!r}; {hint}")


def _topology_table(package: Package, metrics: bool, every: bool) -> Table:
    if metrics:
        return replace(profile(package).table(), title=f"{package!r}")
    kinds = [(_kind_of(package.links[channel.link]), channel.bandwidth) for channel in package.channels]
    shown = [Column("kind", meaning="kind of the link"), Column("bandwidth", unit="B/s")]
    notes = _provenance(package.source, package.assumed)
    if every or len(kinds) <= MOST_CHANNELS:
        rows = [[c.name, *kind] for c, kind in zip(package.channels, kinds, strict=True)]
        return Table(["channel", *shown], rows, title=f"{package!r}", notes=notes)
    first = dict(zip(reversed(kinds), reversed(package.channel_names), strict=True))
    counted = [[count, *kind, first[kind]] for kind, count in Counter(kinds).most_common()]
    notes = ["--channels lists every channel", *notes]
    return Table(["channels", *shown, "such as"], counted, title=f"{package!r}", notes=notes)


def _kind_of(link: Link) -> str:
    """Return a link's kind; both directions of a half-duplex one share its bandwidth."""
    return f"{link.kind}, half duplex" if link.half_duplex else f"{link.kind}"


def _workload_table(workload: Workload) -> Table:
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
