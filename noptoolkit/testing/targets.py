"""What is attacked: every reader, with its samples and the mutants that fit it."""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from noptoolkit.errors import NopError
from noptoolkit.formats import import_topology, load_topology, load_trace, load_workload, save_topology
from noptoolkit.formats.allocations import load_allocation
from noptoolkit.formats.arithmetic import parse_formula
from noptoolkit.formats.collective_schedules import load_collective
from noptoolkit.formats.expert_maps import load_expert_map
from noptoolkit.package import Package
from noptoolkit.testing.mutants import mutate_bytes, mutate_text, mutate_tree, mutate_zip
from noptoolkit.testing.samples import SAMPLES, packages
from noptoolkit.units import parse_quantity

__all__ = ["TARGETS", "Target"]

Shape = Literal["text", "json", "json lines", "toml", "yaml", "zip", "bytes", "folder"]


@dataclass(frozen=True)
class Target:
    """A reader under attack.

    Parameters
    ----------
    suffix
        Ending of its files.
    read
        What reads a file, and looks at what it has read.
    shape
        Which mutants fit it, besides blind ones.
    """

    suffix: str
    read: Callable[[Path], object]
    shape: Shape

    def mutant(self, data: bytes, rng: random.Random) -> bytes:
        """Return a mutant of a sound file."""
        if self.shape in ("bytes", "zip") and rng.random() < 0.4:
            return mutate_bytes(data, rng)
        if self.shape == "zip":
            return mutate_zip(data, rng, _changed_member)
        chance = rng.random()
        if chance < 0.25:
            return mutate_bytes(data, rng)
        if chance < 0.6 or self.shape in ("text", "bytes"):
            return mutate_text(data, rng)
        try:
            return _changed_tree(data, self.shape, rng)
        except (ValueError, RecursionError, TypeError, KeyError):
            return mutate_text(data, rng)


def _changed_tree(data: bytes, shape: Shape, rng: random.Random) -> bytes:
    text = data.decode()
    if shape == "json lines":
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        lines[at] = json.dumps(mutate_tree(json.loads(lines[at]), rng))
        return "\n".join(lines).encode()
    if shape == "toml":
        import tomli_w

        changed = mutate_tree(tomllib.loads(text), rng)
        return tomli_w.dumps(_without_none(changed)).encode("utf-8", "surrogatepass")
    if shape == "yaml":
        import yaml

        return yaml.safe_dump(mutate_tree(yaml.safe_load(text), rng), allow_unicode=True).encode()  # type: ignore[no-any-return]
    return json.dumps(mutate_tree(json.loads(text), rng)).encode()


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(part) for key, part in value.items() if part is not None}
    return [_without_none(part) for part in value if part is not None] if isinstance(value, list) else value


def _changed_member(name: str, content: bytes, rng: random.Random) -> bytes:
    """Return the content of an archive's member changed: an array's header mostly, or a pickle's numbers."""
    if content[:6] == b"\x93NUMPY" and rng.random() < 0.6:
        length = int.from_bytes(content[8:10], "little")
        header = mutate_text(content[10 : 10 + length], rng)
        if rng.random() < 0.5:
            header = re.sub(rb"'descr': '[^']*'", b"'descr': '" + rng.choice(DTYPES) + b"'", header)
        return content[:8] + len(header).to_bytes(4, "little")[:2] + header + content[10 + length :]
    return mutate_bytes(content, rng)


DTYPES = (
    b"<f8",
    b"<f2",
    b"<f16",
    b"<i1",
    b">u8",
    b"|b1",
    b"<U3",
    b"|S5",
    b"|O",
    b"<c16",
    b"<M8[s]",
    b"<U0",
    b"|V8",
)


def _topology(format: str) -> Callable[[Path], object]:
    """Return a reader that also writes what it has read, and reads it again."""

    def read(path: Path) -> object:
        found = import_topology(path, format=format)
        again = path.with_name("again.toml")
        save_topology(found.package, again)
        if load_topology(again) != found.package:
            raise AssertionError("the package as TOML is another one")
        return repr(found.package), found.assumed, found.ignored

    return read


def _rapidchiplet(path: Path) -> object:
    """Read a design whose files are the entries of one JSON object."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    try:
        parts = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # then the first file is as faulty
        (folder / "design.json").write_bytes(path.read_bytes())
        return import_topology(folder)
    for name, content in parts.items() if isinstance(parts, dict) else ():
        if re.fullmatch(r"[a-z_]{1,100}\.json", name):
            (folder / name).write_text(json.dumps(content))
    return import_topology(folder)


def _trace(path: Path) -> object:
    try:
        return load_trace(path, tokens=64)
    except NopError:  # perhaps it does not say how many
        return load_trace(path, num_experts=4, top_k=2, tokens=64)


def _either(path: Path) -> object:
    """Read an archive or array as a trace and as an expert map; one of the two may refuse it."""
    try:
        return load_trace(path, num_experts=4, tokens=64)
    except NopError:
        return load_expert_map(path, 2)


def _study(path: Path) -> object:
    from noptoolkit.studies.study_file import load_study

    return load_study(path).space.describe()


def _search(path: Path) -> object:
    from noptoolkit.search.search_file import load_search

    found = load_search(path)
    return repr(found.within), [traffic.name for traffic in found.traffics], found.objective


def _store(path: Path) -> object:
    from noptoolkit.studies.reading import study_table
    from noptoolkit.studies.store import Store

    with Store(path, create=False) as store:
        return store.studies(), [study_table(store, name).text() for name in list(store.studies())[:3]]


def _chakra(path: Path) -> object:
    from noptoolkit.scheduling.execution_trace import from_chakra

    return from_chakra(path)


def _ring() -> Package:
    return packages()[1]


def _collective(path: Path) -> object:
    from noptoolkit.collectives.exports import from_data

    return from_data(_ring(), load_collective(path), place=path.name)


def _msccl(path: Path) -> object:
    from noptoolkit.collectives import Request
    from noptoolkit.collectives.exports import from_data
    from noptoolkit.collectives.msccl import from_msccl

    ring = _ring()
    kind = "all-reduce" if b"allreduce" in path.read_bytes() else "all-gather"
    request = Request(kind, "4 GB", [f"e{i}" for i in range(4)])
    return from_data(ring, from_msccl(ring, load_collective(path), request, place=path.name), place=path.name)


def _text(parse: Callable[[str], object]) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from noptoolkit.formats.files import read_text

        return parse(read_text(path))

    return read


def _booksim_config(text: str) -> object:
    from noptoolkit.simulate.booksim import read_booksim_config

    return read_booksim_config(text)


def _plan(text: str) -> object:
    from noptoolkit.plans.plan_names import plan_of

    return plan_of(text)


TARGETS: dict[str, Target] = {
    "toml": Target(".toml", _topology("toml"), "toml"),
    "graphml": Target(".graphml", _topology("graphml"), "text"),
    "gml": Target(".gml", _topology("gml"), "text"),
    "dot": Target(".dot", _topology("dot"), "text"),
    "node-link": Target(".json", _topology("node-link"), "json"),
    "booksim": Target(".anynet", _topology("booksim"), "text"),
    "astra-sim": Target(".yml", _topology("astra-sim"), "text"),
    "infragraph": Target(".infragraph", _topology("infragraph"), "yaml"),
    "rapidchiplet": Target(".json", _rapidchiplet, "json"),
    "workload": Target(".toml", load_workload, "toml"),
    "npz": Target(".npz", _either, "zip"),
    "npy": Target(".npy", _either, "bytes"),
    "csv": Target(".csv", _trace, "text"),
    "json-trace": Target(".json", _trace, "json"),
    "json-lines": Target(".jsonl", _trace, "json lines"),
    "torch": Target(".pt", lambda path: load_trace(path, top_k=2, tokens=64), "zip"),
    "expert-map": Target(".json", lambda path: load_expert_map(path, 2), "json"),
    "allocation": Target(".toml", load_allocation, "toml"),
    "allocation-json": Target(".json", load_allocation, "json"),
    "study": Target(".toml", _study, "toml"),
    "search": Target(".toml", _search, "toml"),
    "store": Target(".db", _store, "bytes"),
    "chakra": Target(".et", _chakra, "bytes"),
    "collective": Target(".json", _collective, "json"),
    "msccl": Target(".xml", _msccl, "text"),
    "booksim-config": Target(".cfg", _text(_booksim_config), "text"),
    "quantity": Target(".txt", _text(lambda text: parse_quantity(text, "B/s")), "text"),
    "formula": Target(".txt", _text(lambda text: parse_formula(text, "formula")(3.0)), "text"),
    "plan": Target(".txt", _text(_plan), "text"),
}
"""Every reader by the name of its format; `noptoolkit.testing.samples.SAMPLES` has the same names."""

assert TARGETS.keys() == SAMPLES.keys()
