"""Topologies in and out of every format: one table, one loader, one writer, and what a conversion loses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, UnknownNameError
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
from noptoolkit.formats.files import find, parse_toml, preset_names, read_text
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
from noptoolkit.package import Package, expect_package
from noptoolkit.package.edge_bandwidth import BandwidthChoice
from noptoolkit.tables import Table
from noptoolkit.units import parse_quantity

__all__ = [
    "FORMATS",
    "BookSimOptions",
    "Conversion",
    "Format",
    "convert",
    "import_topology",
    "load_topology",
    "save_topology",
    "topology_toml",
]

BANDWIDTH = "128 GB/s"
"""Of links in files that have no bandwidth; reported wherever it is used."""


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


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Parameters
    ----------
    package
        What was converted.
    path
        What was written.
    assumed
        What the source did not say and was assumed.
    ignored
        What the source says and a package has no place for.
    lost
        What the target cannot say.
    """

    package: Package
    path: Path
    assumed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def table(self) -> Table:
        """Return what was assumed, ignored and lost as a table."""
        kinds = [("assumed", self.assumed), ("ignored", self.ignored), ("lost", self.lost)]
        rows = [[kind, text] for kind, texts in kinds for text in texts]
        return Table(["kind", "subject"], rows, notes=self.notes())

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return self.table().cells()

    def notes(self) -> list[str]:
        """Return what was done, a line each."""
        return [f"{self.package!r} written to {self.path}", *([] if self.lost else ["nothing was lost"])]


def _text(
    dump: Callable[[Package], str], losses: Callable[[Package], tuple[str, ...]] | None = None
) -> Callable[[Package, Path], tuple[str, ...]]:
    def write(package: Package, path: Path) -> tuple[str, ...]:
        replace_file(path, dump(package))
        return losses(package) if losses else ()

    return write


def _plain(bandwidth: BandwidthChoice) -> float:
    """Return the bandwidth for a format whose links have no attributes."""
    if callable(bandwidth) or isinstance(bandwidth, tuple):
        raise FormatError(f"bandwidth {bandwidth!r}: this format has no attributes of links; give a quantity")
    return parse_quantity(bandwidth, "B/s", "bandwidth")


def _read_toml(path: Path, bandwidth: BandwidthChoice) -> Imported:
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
        return load_rapidchiplet(path)
    if is_infragraph(data):
        return parse_infragraph(text, path.name, bandwidth=bandwidth)
    return parse_node_link(text, path.name, bandwidth=bandwidth)


def _read_anynet(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return parse_anynet(read_text(path), path.name, bandwidth=_plain(bandwidth))


def _read_infragraph(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return parse_infragraph(read_text(path), path.name, bandwidth=bandwidth)


def _read_yaml(path: Path, bandwidth: BandwidthChoice) -> Imported:
    """Read an ASTRA-sim network, or an InfraGraph."""
    text = read_text(path)
    if "instances" in text and is_infragraph(parse_yaml(text, path.name, most=MOST_CHARACTERS)):
        return parse_infragraph(text, path.name, bandwidth=bandwidth)
    return parse_astrasim(text, path.name, bandwidth=_plain(bandwidth))


def _read_rapidchiplet(path: Path, bandwidth: BandwidthChoice) -> Imported:
    return load_rapidchiplet(path)


def _write_anynet(package: Package, path: Path, options: BookSimOptions | None = None) -> tuple[str, ...]:
    config, settings = path.with_suffix(".cfg"), dump_anynet_config(package, path.name, options)
    lost = anynet_losses(package, options)
    replace_file(path, dump_anynet(package, options))
    if config.exists():  # somebody's own settings, perhaps
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
    "booksim": Format("BookSim2 anynet, with a .cfg", (".anynet",), _read_anynet, _write_anynet),
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


def import_topology(
    ref: str | Path,
    *,
    format: str | None = None,
    bandwidth: BandwidthChoice = BANDWIDTH,
    booksim: BookSimOptions | None = None,
) -> Imported:
    """Return the package of a preset, a file or a folder, and what had to be assumed or ignored.

    Parameters
    ----------
    ref
        A preset's name or a path.
    format
        A name in `FORMATS`; told by the suffix where ``None``.
    bandwidth
        Bandwidth of links in files that have none, in B/s; for GraphML, GML, DOT and node-link JSON also the
        attribute of edges that holds it, with its unit (``"capacity Gbit/s"``), or a function
        (`noptoolkit.package.edge_bandwidth`).
    booksim
        Options of BookSim2, of which the clock turns the cycles of an anynet file into seconds.

    Raises
    ------
    UnknownNameError
        If there is no such preset or format.
    FormatError
        If the file is not what it should be.
    """
    path = find(ref, "topologies")
    chosen = (
        FORMATS["toml"] if ref in preset_names("topologies") and format is None else _format(path, format)
    )
    if chosen.read is None:
        raise FormatError(f"{path}: {chosen.description} is only written, not read")
    if booksim is not None and chosen is FORMATS["booksim"]:
        return parse_anynet(read_text(path), path.name, bandwidth=_plain(bandwidth), clock=booksim.clock)
    return chosen.read(path, bandwidth)


def load_topology(
    ref: str | Path | Package, *, format: str | None = None, bandwidth: BandwidthChoice = BANDWIDTH
) -> Package:
    """Return the package that a preset name, a file of any format or a package means.

    Parameters
    ----------
    ref
        One of `noptoolkit.formats.list_topologies`, a path, or a package (returned as it is).
    format
        A name in `noptoolkit.formats.FORMATS`; told by the suffix where ``None``.
    bandwidth
        Bandwidth of links in files that have none, in B/s; for GraphML, GML, DOT and node-link JSON also the
        attribute of edges that holds it, with its unit (``"capacity Gbit/s"``), or a function
        (`noptoolkit.package.edge_bandwidth`).

    Raises
    ------
    UnknownNameError
        If there is no such preset or format.
    FormatError
        If the file is not a topology, with all faults.

    Examples
    --------
    >>> load_topology("mozart-nop-tree").experts[:3]
    ('e0', 'e1', 'e2')
    """
    return (
        ref if isinstance(ref, Package) else import_topology(ref, format=format, bandwidth=bandwidth).package
    )


def topology_toml(ref: str | Path) -> str:
    """Return a topology as TOML: the text of its file if that is TOML without a base, else written out."""
    path = find(ref, "topologies")
    if path.suffix == ".toml":
        text = read_text(path)
        if "base" not in parse_toml(text, path.name):
            return text
    return dump_topology(load_topology(ref))


def save_topology(
    package: Package,
    path: str | Path,
    *,
    format: str | None = None,
    booksim: BookSimOptions | None = None,
) -> tuple[str, ...]:
    """Write a package to a file (a folder for RapidChiplet); return what the format cannot say.

    Parameters
    ----------
    package
        What to write.
    path
        Its suffix tells the format where ``format`` is ``None``.
    format
        A name in `noptoolkit.formats.FORMATS`.
    booksim
        Clock, packets, buffers and concentration of a BookSim2 export.

    Raises
    ------
    FormatError
        If the file cannot be written, the suffix is unknown, or options are for another format.
    TopologyError
        If the format has no words for such a package.
    """
    expect_package(package)
    target = Path(path)
    chosen = _format(target, format)
    if booksim is not None and chosen is not FORMATS["booksim"]:
        raise FormatError(f"{target}: options of BookSim for {chosen.description}; leave them out")
    try:
        if booksim is not None:
            return _write_anynet(package, target, booksim)
        return chosen.write(package, target)
    except OSError as error:
        raise FormatError(f"{target}: cannot be written ({error.strerror or error})") from None
    except UnicodeEncodeError as error:
        bad = error.object[max(error.start - 20, 0) : error.end + 20]
        raise FormatError(f"{target}: {bad!r} is no text that a file can hold; rename it") from None


def convert(
    source: str | Path | Package,
    target: str | Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    bandwidth: BandwidthChoice = BANDWIDTH,
    booksim: BookSimOptions | None = None,
) -> Conversion:
    """Write a topology in another format and report what was assumed, ignored and lost.

    Parameters
    ----------
    source
        A preset's name, a path or a package.
    target
        A path.
    source_format, target_format
        Names in `noptoolkit.formats.FORMATS`; told by the suffixes where ``None``.
    bandwidth
        Bandwidth of links in files that have none, in B/s; for GraphML, GML, DOT and node-link JSON also the
        attribute of edges that holds it, with its unit (``"capacity Gbit/s"``), or a function
        (`noptoolkit.package.edge_bandwidth`).
    booksim
        Clock, packets, buffers and concentration of a BookSim2 export, and the clock of an import.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     convert("mesh-4x4", Path(folder) / "mesh.anynet").lost[1]
    '6 memory stacks and their links'
    """
    if isinstance(source, Package):
        read = Imported(source)
    else:
        read = import_topology(source, format=source_format, bandwidth=bandwidth, booksim=booksim)
    to_booksim = _format(Path(target), target_format) is FORMATS["booksim"]
    from_booksim = not isinstance(source, Package) and (
        source_format == "booksim" or str(source).lower().endswith(FORMATS["booksim"].suffixes)
    )
    options = booksim if to_booksim or not from_booksim else None
    lost = save_topology(read.package, target, format=target_format, booksim=options)
    return Conversion(read.package, Path(target), read.assumed, read.ignored, lost)


def _format(path: Path, name: str | None) -> Format:
    if name is not None:
        if name not in FORMATS:
            raise UnknownNameError(f"no topology format named {name!r}; {did_you_mean(name, FORMATS)}")
        return FORMATS[name]
    if path.is_dir() or not path.suffix:
        return FORMATS["rapidchiplet"]
    for candidate in FORMATS.values():
        if path.suffix.lower() in candidate.suffixes:
            return candidate
    known = ", ".join(suffix for candidate in FORMATS.values() for suffix in candidate.suffixes)
    raise FormatError(f"{path}: the suffix {path.suffix!r} tells no format; known: {known}; or name one")
