"""Topologies in and out of every format: one loader, one writer, and what a conversion loses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, NopWarning, UnknownNameError
from noptoolkit.formats.attributes import Imported
from noptoolkit.formats.booksim import parse_anynet
from noptoolkit.formats.booksim_export import BookSimOptions
from noptoolkit.formats.files import find, parse_toml, preset_names, read_text
from noptoolkit.formats.format_table import FORMATS, Format, plain_bandwidth, write_anynet
from noptoolkit.formats.topology_toml import dump_topology
from noptoolkit.package import Package, expect_package
from noptoolkit.package.edge_bandwidth import BandwidthChoice
from noptoolkit.tables import Table

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
        return parse_anynet(
            read_text(path), path.name, bandwidth=plain_bandwidth(bandwidth), clock=booksim.clock
        )
    return chosen.read(path, bandwidth)


def load_topology(
    ref: str | Path | Package, *, format: str | None = None, bandwidth: BandwidthChoice | None = None
) -> Package:
    """Return the package that a preset name, a file of any format or a package means.

    Parameters
    ----------
    ref
        One of `noptoolkit.formats.list_topologies`, a path, or a package (returned as it is).
    format
        A name in `noptoolkit.formats.FORMATS`; told by the suffix where ``None``.
    bandwidth
        Bandwidth of links in files that have none, in B/s (128 GB/s, with a warning, where ``None``); for
        GraphML, GML, DOT and node-link JSON also the attribute of edges that holds it, with its unit
        (``"capacity Gbit/s"``), or a function (`noptoolkit.package.edge_bandwidth`).

    Raises
    ------
    UnknownNameError
        If there is no such preset or format.
    FormatError
        If the file is not a topology, with all faults.

    Warns
    -----
    NopWarning
        If a file does not say the bandwidth of its links, and neither does ``bandwidth``.

    Examples
    --------
    >>> load_topology("mozart-nop-tree").experts[:3]
    ('e0', 'e1', 'e2')
    """
    if isinstance(ref, Package):
        return ref
    read = import_topology(ref, format=format, bandwidth=BANDWIDTH if bandwidth is None else bandwidth)
    if bandwidth is None and read.without_bandwidth:
        warnings.warn(
            f"{Path(ref).name}: {read.without_bandwidth} links have no bandwidth in the file, {BANDWIDTH} is "
            "assumed; give another, or the attribute that holds it, as bandwidth (--bandwidth)",
            NopWarning,
            stacklevel=2,
        )
    assumed = (*read.package.assumed, *read.assumed)
    return read.package.replace(assumed=assumed) if read.assumed else read.package


def topology_toml(ref: str | Path, *, bandwidth: BandwidthChoice | None = None) -> str:
    """Return a topology as TOML: the text of its file if that is TOML without a base, else written out."""
    path = find(ref, "topologies")
    if path.suffix == ".toml":
        text = read_text(path)
        if bandwidth is not None:
            plain_bandwidth(bandwidth)
        if "base" not in parse_toml(text, path.name):
            return text
    return dump_topology(load_topology(ref, bandwidth=bandwidth))


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
        If the format cannot represent such a package.
    """
    expect_package(package)
    target = Path(path)
    chosen = _format(target, format)
    if booksim is not None and chosen is not FORMATS["booksim"]:
        raise FormatError(f"{target}: options of BookSim for {chosen.description}; leave them out")
    try:
        if booksim is not None:
            return write_anynet(package, target, booksim)
        return chosen.write(package, target)
    except OSError as error:
        raise FormatError(f"{target}: cannot be written ({error.strerror or error})") from None
    except UnicodeEncodeError as error:
        bad = error.object[max(error.start - 20, 0) : error.end + 20]
        raise FormatError(f"{target}: {bad!r} is not text that a file can hold; rename it") from None


def convert(
    source: str | Path | Package,
    target: str | Path,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    bandwidth: BandwidthChoice = BANDWIDTH,
    booksim: BookSimOptions | None = None,
    prepare: Callable[[Package], Package] | None = None,
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
    prepare
        Function that changes the package before it is written, such as `noptoolkit.physical.place` for a
        format that needs positions.

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
    if prepare is not None:
        changed = prepare(read.package)
        new = tuple(text for text in changed.assumed if text not in read.package.assumed)
        read = replace(read, package=changed, assumed=(*read.assumed, *new))
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
    if path.is_dir() or not (path.suffix or path.exists()):
        return FORMATS["rapidchiplet"]
    if not path.suffix:  # /dev/stdin, a pipe
        return FORMATS["toml"]
    for candidate in FORMATS.values():
        if path.suffix.lower() in candidate.suffixes:
            return candidate
    known = ", ".join(suffix for candidate in FORMATS.values() for suffix in candidate.suffixes)
    raise FormatError(f"{path}: the suffix {path.suffix!r} tells no format; known: {known}; or name one")
