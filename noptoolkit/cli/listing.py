"""``noptoolkit list`` and ``noptoolkit show``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from noptoolkit._names import did_you_mean
from noptoolkit.cli.screen import output, table
from noptoolkit.elements import Link
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
from noptoolkit.physical import profile
from noptoolkit.units import format_quantity

__all__ = ["list_presets", "show"]

MOST_CHANNELS = 200
"""Of more channels than this, `show` counts those of one kind."""


def list_presets() -> None:
    """List the topologies and workloads that come with noptoolkit."""
    for title, described in (
        ("topologies", topology_descriptions()),
        ("workloads", workload_descriptions()),
    ):
        output.print(table(title, ["name", "what it is"], list(described.items()), words=True))
        output.print()


def show(
    reference: Annotated[str, typer.Argument(help="Name of a preset, or path of a file.")],
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Measure the topology: structure, wires, edges, cost, power.")
    ] = False,
) -> None:
    """Show what one topology or workload is, and where its numbers come from."""
    topologies, workloads = list_topologies(), list_workloads()
    if reference in workloads or (reference not in topologies and is_workload_file(Path(reference))):
        if metrics:
            what = f"{reference} is a workload; only a topology is measured"
            raise typer.BadParameter(what, param_hint="--metrics")
        _show_workload(reference)
    elif reference in topologies or "." in reference or "/" in reference:
        _show_topology(reference, metrics)
    else:
        hint = did_you_mean(reference, [*topologies, *workloads])
        raise UnknownNameError(f"no topology or workload named {reference!r}; {hint}")


def _show_topology(reference: str, metrics: bool) -> None:
    package = load_topology(reference)
    output.print(f"{package!r}", markup=False, highlight=False, soft_wrap=True)
    if metrics:
        measured = profile(package)
        output.print(table("", *measured.cells(), words=True))
        for note in measured.notes():
            output.print(note, markup=False, highlight=False)
        return
    kinds = [
        (_kind_of(package.links[channel.link]), format_quantity(channel.bandwidth, "B/s"))
        for channel in package.channels
    ]
    if len(kinds) <= MOST_CHANNELS:
        rows = [[c.name, *kind] for c, kind in zip(package.channels, kinds, strict=True)]
        output.print(table("channels", ["channel", "kind", "bandwidth"], rows))
    else:
        counted = [[f"{count}", *kind] for kind, count in Counter(kinds).most_common()]
        output.print(table("channels", ["channels", "kind", "bandwidth"], counted))
    _show_provenance(package.source, package.assumed)


def _kind_of(link: Link) -> str:
    """Return a link's kind; both directions of a half-duplex one share its bandwidth."""
    return f"{link.kind}, half duplex" if link.half_duplex else f"{link.kind}"


def _show_workload(reference: str) -> None:
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
    output.print(table(workload.name, ["", ""], rows, words=True))
    _show_provenance(workload.source, workload.assumed)


def _show_provenance(source: str, assumed: tuple[str, ...]) -> None:
    output.print(f"source: {source or 'not stated'}", markup=False, highlight=False, soft_wrap=True)
    for line in assumed:
        output.print(f"assumed: {line}", markup=False, highlight=False, soft_wrap=True)
