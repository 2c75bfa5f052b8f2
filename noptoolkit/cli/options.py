"""Options that several commands have, and the workload that they describe."""

from __future__ import annotations

import dataclasses
import tomllib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from noptoolkit._names import did_you_mean
from noptoolkit.allocation import ALLOCATORS, Allocation
from noptoolkit.allocation.allocating import Objective
from noptoolkit.errors import NopWarning, UnknownNameError, WorkloadError
from noptoolkit.flow import ROUTINGS
from noptoolkit.formats import list_topologies, list_workloads, load_topology, load_workload
from noptoolkit.formats.allocations import load_allocation
from noptoolkit.formats.files import parse_toml, preset_names
from noptoolkit.formats.results import made_folder
from noptoolkit.metrics import METRICS
from noptoolkit.package import Package
from noptoolkit.physical.equal_cost import MEASURES
from noptoolkit.step import POLICIES
from noptoolkit.step.broadcasts import Weights
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Workload

__all__ = [
    "MOST_JOBS",
    "AllocationFile",
    "AllocatorName",
    "Bandwidth",
    "DegreeName",
    "Jobs",
    "Length",
    "MetricNames",
    "MicroBatches",
    "Mode",
    "NormaliseBy",
    "ObjectiveName",
    "PolicyName",
    "RoutingName",
    "RoutingOfPicture",
    "Seed",
    "Sequences",
    "Settings",
    "Topologies",
    "Topology",
    "WorkloadName",
    "WorkloadNames",
    "complete_topology",
    "complete_workload",
    "folder_and_file",
    "placement",
    "topologies_of",
    "topology_of",
    "workload_of",
]


def folder_and_file(out: Path | None, file: Path | None, option: str) -> tuple[Path | None, Path | None]:
    """Return the folder of ``-o`` and the single file of its own option, the folders made.

    ``-o`` used to name the file in some commands: with an ending it still does, and warns.
    """
    if out is not None and file is None and out.suffix and not out.is_dir():
        warnings.warn(
            f"-o is a folder: write {option} {out} for the single file; -o FILE goes with noptoolkit 0.3",
            NopWarning,
            stacklevel=2,
        )
        out, file = None, out
    if file is not None:
        made_folder(file.parent)
    return None if out is None else made_folder(out), file


def complete_topology(incomplete: str) -> list[str]:
    """Return the topology presets that begin so, for the shell."""
    return [name for name in list_topologies() if name.startswith(incomplete)]


def complete_workload(incomplete: str) -> list[str]:
    """Return the workload presets that begin so, for the shell."""
    return [name for name in list_workloads() if name.startswith(incomplete)]


def _known(kind: str, names: Sequence[str]) -> Any:
    """Return a check that refuses an unknown name before anything is read, and its completion."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise UnknownNameError(f"no {kind} named {value!r}; {did_you_mean(value, names)}")
        return value

    return {
        "callback": check,
        "autocompletion": lambda incomplete: [n for n in names if n.startswith(incomplete)],
    }


def _metrics(given: list[str] | None) -> list[str] | None:
    """Refuse a misspelt metric before anything is read."""
    for name in given or ():
        if name not in METRICS:
            raise UnknownNameError(f"no metric named {name!r}; {did_you_mean(name, METRICS)}")
    return given


ON = "Workload: preset or TOML file, or WORKLOAD@TRACE to use a trace of your own."
LAYOUT = f"Placement of experts: {', '.join(ALLOCATORS)}."
MOST_JOBS = 1024  # more processes than any machine has cores for: a typing error
STEP_ROUTINGS = (*ROUTINGS, "optimal-split", "optimal-alone")

Topology = Annotated[str, typer.Argument(help="Topology: preset or file.", autocompletion=complete_topology)]
Topologies = Annotated[
    list[str], typer.Argument(help="Topologies: presets or files.", autocompletion=complete_topology)
]
Bandwidth = Annotated[
    str | None,
    typer.Option(
        help="Bandwidth of links in files that have none, such as '128 GB/s'; or the attribute of edges "
        "that holds it, with its unit, such as 'capacity Gbit/s'."
    ),
]
WorkloadName = Annotated[str, typer.Option(help=ON, autocompletion=complete_workload)]
WorkloadNames = Annotated[
    list[str], typer.Option(help=f"{ON} May be repeated.", autocompletion=complete_workload)
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Another value of a field of the model, batch or generator."
    ),
]
Mode = Annotated[Literal["training", "prefill", "decode"] | None, typer.Option(help="Mode of the step.")]
Sequences = Annotated[int | None, typer.Option(help="Number of sequences of the batch.")]
Length = Annotated[int | None, typer.Option(help="Tokens of each sequence; of its context in decode.")]
MicroBatches = Annotated[int | None, typer.Option(help="Number of micro-batches of the step.")]
AllocatorName = Annotated[str | None, typer.Option(help=LAYOUT, **_known("allocator", list(ALLOCATORS)))]
AllocationFile = Annotated[Path | None, typer.Option(help="Use this layout file instead of an allocator.")]
RoutingName = Annotated[
    str,
    typer.Option(help=f"Routing of traffic: {', '.join(STEP_ROUTINGS)}.", **_known("routing", STEP_ROUTINGS)),
]
RoutingOfPicture = Annotated[
    str | None,
    typer.Option(
        help=f"Routing of traffic: {', '.join(STEP_ROUTINGS)}; shortest for multicast, else optimal, "
        "if not given.",
        **_known("routing", STEP_ROUTINGS),
    ),
]
PolicyName = Annotated[
    str,
    typer.Option(help=f"Schedule of the step: {', '.join(POLICIES)}.", **_known("policy", list(POLICIES))),
]
DegreeName = Annotated[Degree | None, typer.Option(help="Copies of a token; the policy's own if not given.")]
WeightsName = Annotated[
    Weights | None,
    typer.Option(
        help="Who reads weights that several chiplets want: each its own, or one for all, copied by nodes "
        "that replicate (multicast) and by the chiplets, too (broadcast).  [default: each]"
    ),
]
NormaliseBy = Annotated[
    str | None,
    typer.Option(
        help=f"Scale links to the first topology's total of: {', '.join(MEASURES)}.",
        **_known("measure", list(MEASURES)),
    ),
]
ObjectiveName = Annotated[
    Objective | None,
    typer.Option(
        help="Objective of the allocator auto: time of a layer on the package, C_T, or step: of these two "
        "layouts that of the shorter step.  [default: time]"
    ),
]
MetricNames = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        help=f"Metric of the table, computed with what it needs; may be repeated: {', '.join(METRICS)}.",
        callback=_metrics,
        autocompletion=lambda incomplete: [name for name in METRICS if name.startswith(incomplete)],
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the trace's split and of the allocator.", min=0)]
Jobs = Annotated[
    int,
    typer.Option(
        "-j", "--jobs", help="Runs at once, each in its own process; -1: one per core.", max=MOST_JOBS
    ),
]


def topology_of(reference: str, bandwidth: str | None = None) -> Package:
    """Return the package of a preset or a file; ``bandwidth`` is that of links without any in the file."""
    return load_topology(reference, bandwidth=bandwidth)


def topologies_of(references: Sequence[str], bandwidth: str | None = None) -> list[Package]:
    """Return the packages of several; an attribute of edges is asked only of the files that have some."""
    known = preset_names("topologies")
    own = [name in known or Path(name).suffix == ".toml" for name in references]
    asked = [None if says and not all(own) else bandwidth for says in own]
    return [topology_of(name, given) for name, given in zip(references, asked, strict=True)]


def workload_of(
    reference: str,
    settings: Sequence[str] | None = None,
    mode: str | None = None,
    sequences: int | None = None,
    length: int | None = None,
    micro_batches: int | None = None,
) -> Workload:
    """Return the workload of ``WORKLOAD`` or ``WORKLOAD@TRACE``, with the fields that options replace."""
    name, at, trace = reference.partition("@")
    if at and not (name and trace):
        raise typer.BadParameter(f"{reference!r} is not WORKLOAD@TRACE", param_hint="--on")
    workload = load_workload(name, trace=trace if at else None)
    if at:
        workload = dataclasses.replace(workload, name=f"{workload.name}@{Path(trace).stem}")
    batch = {
        "mode": mode,
        "sequences": sequences,
        "sequence_length": length,
        "micro_batches": micro_batches,
    }
    changes = {key: value for key, value in batch.items() if value is not None}
    changes |= dict(_assigned(setting) for setting in settings or ())
    if not changes:
        return workload
    given = ", ".join(f"{field} = {value}" for field, value in changes.items())
    return workload.replace(**changes, assumed=(*workload.assumed, f"given on the command line: {given}"))


def _assigned(setting: str) -> tuple[str, Any]:
    """Return the field and the value of ``field=value``: a number, true or false, else text."""
    field, equals, value = (part.strip() for part in setting.partition("="))
    if not (field and equals and value):
        raise typer.BadParameter(f"{setting!r} is not FIELD=VALUE", param_hint="--set")
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return field, value
    except (ValueError, RecursionError):  # numbers too long, lists too deep: said by the reader of files
        pass
    return field, parse_toml(f"value = {value}", f"--set {field}")["value"]


def hosts_of(given: str | None) -> str | tuple[str, ...] | None:
    """Return the hosts that ``--hosts`` names: a set of chiplets, or chiplets by name."""
    if given is None or given in ("experts", "all"):
        return given
    return tuple(name.strip() for name in given.split(","))


def placement(
    allocator: str | None, layout: Path | None, packages: Sequence[Package], workloads: Sequence[Workload]
) -> str | Allocation | None:
    """Return what places the experts: the name of an allocator, or a layout from its file.

    Raises
    ------
    WorkloadError
        If the layout does not fit one of the packages, or has other experts than one of the workloads.
    """
    if layout is None:
        return allocator
    if allocator is not None:
        raise typer.BadParameter("give an allocator or a layout, not both", param_hint="--allocation")
    found = load_allocation(layout)
    try:
        for package in packages:
            found.check_fits(package)
    except WorkloadError as error:
        raise WorkloadError(f"{layout}: {error}") from None
    for workload in workloads:
        if workload.model.experts != found.num_experts:
            raise WorkloadError(
                f"{layout}: the layout places {found.num_experts} experts, {workload.name} has "
                f"{workload.model.experts}; give a layout of that model, or leave out --allocation to "
                "allocate anew"
            )
    return found
