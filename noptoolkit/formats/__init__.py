"""Every file format, in and out: the only room that knows files."""

from __future__ import annotations

from noptoolkit.formats.conversion import (
    FORMATS,
    BookSimOptions,
    Conversion,
    convert,
    import_topology,
    load_topology,
    save_topology,
)
from noptoolkit.formats.files import descriptions, preset_names
from noptoolkit.formats.topology_toml import dump_topology
from noptoolkit.formats.traces import load_trace, save_trace
from noptoolkit.formats.workload_toml import load_workload

__all__ = [
    "FORMATS",
    "BookSimOptions",
    "Conversion",
    "convert",
    "dump_topology",
    "import_topology",
    "list_topologies",
    "list_workloads",
    "load_topology",
    "load_trace",
    "load_workload",
    "save_topology",
    "save_trace",
    "topology_descriptions",
    "workload_descriptions",
]


def list_topologies() -> tuple[str, ...]:
    """Return the names of the topology presets."""
    return preset_names("topologies")


def list_workloads() -> tuple[str, ...]:
    """Return the names of the workload presets."""
    return preset_names("workloads")


def topology_descriptions() -> dict[str, str]:
    """Return the one-line description of each topology preset by name."""
    return descriptions("topologies")


def workload_descriptions() -> dict[str, str]:
    """Return the one-line description of each workload preset by name."""
    return descriptions("workloads")
