"""The table of topology formats: how each is read from a path and written to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from noptoolkit.errors import FormatError
from noptoolkit.formats.astrasim import astrasim_losses, dump_astrasim, parse_astrasim
from noptoolkit.formats.attributes import Imported, parse_json
from noptoolkit.formats.booksim import parse_anynet
from noptoolkit.formats.booksim_export import (
    BookSimOptions,
    anynet_losses,
    dump_anynet,
    dump_anynet_config,
)
from noptoolkit.formats.dot import dump_dot, parse_dot
from noptoolkit.formats.files import read_text
from noptoolkit.formats.floorplan_svg import dump_svg
from noptoolkit.formats.gml import dump_gml, parse_gml
from noptoolkit.formats.graphml import dump_graphml, parse_graphml
from noptoolkit.formats.infragraph import (
    MOST_CHARACTERS,
    dump_infragraph,
    infragraph_losses,
    is_infragraph,
    parse_infragraph,
)
from noptoolkit.formats.node_link import dump_node_link, parse_node_link
from noptoolkit.formats.rapidchiplet import load_rapidchiplet
from noptoolkit.formats.rapidchiplet_export import save_rapidchiplet
from noptoolkit.formats.results import replace_file
from noptoolkit.formats.topology_toml import dump_topology, parse_topology
from noptoolkit.formats.yaml_text import parse_yaml
from noptoolkit.package import Package
from noptoolkit.package.edge_bandwidth import BandwidthChoice, bandwidth_of_all

__all__ = ["FORMATS", "Format", "plain_bandwidth", "write_anynet"]


@dataclass(frozen=True)
class Format:
    """One file format.

    Parameters
    ----------
    description
        One line.
    suffixes
        Of its files; a folder where empty.
    read
        Function of a path and of the bandwidth of links without one; ``None`` where it is only written.
    write
        From a package and a path to what the format cannot say.
    """

    description: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, BandwidthChoice], Imported] | None
    write: Callable[[Package, Path], tuple[str, ...]]


def _text(
    dump: Callable[[Package], str], losses: Callable[[Package], tuple[str, ...]] | None = None
) -> Callable[[Package, Path], tuple[str, ...]]:
    def write(package: Package, path: Path) -> tuple[str, ...]:
        replace_file(path, dump(package))
        return losses(package) if losses else ()

    return write


def plain_bandwidth(bandwidth: BandwidthChoice) -> float:
    """Return the bandwidth for a format whose links have no attributes."""
    if callable(bandwidth) or isinstance(bandwidth, tuple):
        raise FormatError(f"bandwidth {bandwidth!r}: this format has no attributes of links; give a quantity")
    return bandwidth_of_all(bandwidth)


def _read_toml(path: Path, bandwidth: BandwidthChoice) -> Imported:
    plain_bandwidth(bandwidth)  # of no link here, and refused if it is none
    return Imported(parse_topology(read_text(path), path.name, folder=path.parent))


def _read_graphml(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return parse_graphml(read_text(path), path.name, bandwidth=bandwidth)


def _read_gml(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return parse_gml(read_text(path), path.name, bandwidth=bandwidth)


def _read_dot(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return parse_dot(read_text(path), path.name, bandwidth=bandwidth)


def _read_json(path: Path, bandwidth: BandwidthChoice) -> Imported:
    """Read node-link JSON, or the design that names RapidChiplet's files."""
    text = read_text(path)
    data = parse_json(text, path.name)
    if isinstance(data, dict) and "placement" in data and "nodes" not in data:
        return _read_rapidchiplet(path, bandwidth)
    if is_infragraph(data):
        return parse_infragraph(text, path.name, bandwidth=bandwidth)
    return parse_node_link(text, path.name, bandwidth=bandwidth)


def _read_anynet(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return parse_anynet(read_text(path), path.name, bandwidth=plain_bandwidth(bandwidth))


def _read_infragraph(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return parse_infragraph(read_text(path), path.name, bandwidth=bandwidth)


def _read_yaml(path: Path, bandwidth: BandwidthChoice) -> Imported:
    """Read an ASTRA-sim network, or an InfraGraph."""
    text = read_text(path)
    if "instances" in text and is_infragraph(parse_yaml(text, path.name, most=MOST_CHARACTERS)):
        return parse_infragraph(text, path.name, bandwidth=bandwidth)
    return parse_astrasim(text, path.name, bandwidth=plain_bandwidth(bandwidth))


def _read_rapidchiplet(path: Path, bandwidth: BandwidthChoice) -> Imported:
    plain_bandwidth(bandwidth)
    return load_rapidchiplet(path)


def write_anynet(package: Package, path: Path, options: BookSimOptions | None = None) -> tuple[str, ...]:
    """Write an anynet file and its configuration; return what they cannot say."""
    config, settings = path.with_suffix(".cfg"), dump_anynet_config(package, path.name, options)
    lost = anynet_losses(package, options)
    replace_file(path, dump_anynet(package, options))
    if config.exists():  # the user's own settings, perhaps
        return (*lost, f"the configuration: {config.name} was there and is left as it was")
    replace_file(config, settings)
    return lost


def _svg_losses(package: Package) -> tuple[str, ...]:
    return ("everything but outlines, positions and names: SVG is for looking at",)


FORMATS: dict[str, Format] = {
    "toml": Format("noptoolkit's own", (".toml",), _read_toml, _text(dump_topology)),
    "graphml": Format("GraphML (networkx, yEd, Gephi)", (".graphml",), _read_graphml, _text(dump_graphml)),
    "gml": Format("GML (networkx, Topology Zoo, yEd)", (".gml",), _read_gml, _text(dump_gml)),
    "dot": Format("Graphviz DOT", (".dot", ".gv"), _read_dot, _text(dump_dot)),
    "node-link": Format("networkx node-link JSON", (".json",), _read_json, _text(dump_node_link)),
    "booksim": Format("BookSim2 anynet, with a .cfg", (".anynet",), _read_anynet, write_anynet),
    "astra-sim": Format(
        "ASTRA-sim analytical network",
        (".yml", ".yaml"),
        _read_yaml,
        _text(dump_astrasim, astrasim_losses),
    ),
    "infragraph": Format(
        "InfraGraph (YAML)",
        (".infragraph",),
        _read_infragraph,
        _text(dump_infragraph, infragraph_losses),
    ),
    "rapidchiplet": Format("RapidChiplet design folder", (), _read_rapidchiplet, save_rapidchiplet),
    "svg": Format("floor plan", (".svg",), None, _text(dump_svg, _svg_losses)),
}
