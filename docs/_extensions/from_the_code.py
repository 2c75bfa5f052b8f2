"""The pages that are made from the code at build time, so that they cannot fall behind it.

Written to ``docs/generated`` before Sphinx reads its sources:

* ``command-line.md``: every command and option, from the typer application;
* ``model/*.rst``: the module docstrings in the order of the stages: equations, assumptions, sources;
* ``api/*.rst``: the public names of every room, from ``__all__``;
* ``tables.rst``: builders, routings, allocators, policies and metrics, from the tables that hold them;
* ``provenance.md``: source and assumptions of every preset, from the TOML files;
* ``benchmarks.txt``: the docstrings of the benchmarks.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx

ROOMS = {
    "units": "Units",
    "errors": "Errors",
    "limits": "Limits of files",
    "package": "The package graph",
    "trace": "Routing traces",
    "hypergraph": "Hypergraph of a trace",
    "synthetic": "Synthetic routing",
    "workload": "Workloads",
    "touched": "Experts touched by a batch",
    "network": "The network of a package as arrays",
    "topology": "Topologies",
    "structure": "Structure of a graph",
    "nodes": "Nodes: time and energy of an operation",
    "allocation": "Expert allocation",
    "formats": "Files",
    "traffic": "Traffic",
    "routing": "Routing rules",
    "flow": "Congestion",
    "collectives": "Collectives",
    "scheduling": "Schedules",
    "step": "The step of a mixture-of-experts model",
    "plans": "Parallel plans",
    "serving": "Serving",
    "simulate": "Simulation",
    "stages": "The stages of a run",
    "pipeline": "The pipeline",
    "metrics": "Metrics",
    "whatif": "What if",
    "bounds": "Bounds over all topologies",
    "search": "Search over structure",
    "tables": "Tables",
    "progress": "Progress",
    "physical": "Geometry, area, cost and power",
    "study": "Studies",
    "studies": "Sweeps and their store",
    "plot": "Plots",
    "report": "Reports",
    "notebook": "Notebooks",
}
"""Rooms in the order in which a value walks through them; one that does not exist is left out."""

Rows = list[tuple[str, ...]]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", write_pages)  # before Sphinx looks for its sources
    app.connect("autodoc-process-docstring", show_equations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def show_equations(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Make the indented blocks of a module's docstring, its equations, literal; escape bars in its prose."""
    if what != "module":
        return
    shown: list[str] = []
    literal, paragraph = False, 0  # the indentation of the prose before a block
    for before, line in zip(["", *lines], lines, strict=False):
        indent = len(line) - len(line.lstrip())
        if line and not (literal and indent > paragraph):
            literal = indent >= paragraph + 4 and not before
            if literal:
                shown += [" " * paragraph + "::", ""]
            else:
                paragraph, literal = indent, line.endswith("::")
                line = line.replace("|", "\\|")
        shown.append(line)
    lines[:] = shown


def write_pages(app: Sphinx, config: object) -> None:
    """Write every generated page; a page that did not change keeps its date."""
    folder = Path(app.srcdir) / "generated"
    shutil.rmtree(folder / "api" / "names", ignore_errors=True)  # a name that moved leaves no page behind
    pages = {
        "command-line.md": command_line(),
        "tables.rst": tables(),
        "provenance.md": provenance(),
        "benchmarks.txt": benchmarks(),
        **model_pages(),
        **api_pages(),
    }
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def rooms() -> dict[str, ModuleType]:
    """Return the rooms that there are, by name."""
    import noptoolkit

    there = {module.name for module in pkgutil.iter_modules(noptoolkit.__path__)}
    return {name: importlib.import_module(f"noptoolkit.{name}") for name in ROOMS if name in there}


def modules_of(room: ModuleType) -> list[ModuleType]:
    """Return a room and the modules in it and in the rooms within it, private ones left out."""
    inner = pkgutil.walk_packages(getattr(room, "__path__", []), f"{room.__name__}.")
    names = [module.name for module in inner if "._" not in module.name]
    return [room, *(importlib.import_module(name) for name in names)]


def command_line() -> str:
    """Return the page of the command line."""
    from typer import Context
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from noptoolkit.cli.application import app

    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=Context(command), name="noptoolkit", title="Command line")
    for name, inner in command.commands.items():  # typer cuts the summaries short
        summary = (inner.help or "").partition("\n\n")[0].replace("\n", " ").replace("\\", "\\\\")
        text = re.sub(rf"^\* `{name}`: .*$", f"* `{name}`: {summary}", text, flags=re.MULTILINE)
    return text.rstrip() + (
        "\n\n## Exit codes\n\n"
        "0: done. 1: the input is at fault; one message names the file, the thing and the way out. "
        "2: the command was not understood. 130: stopped by Ctrl-C.\n"
    )


def model_pages() -> dict[str, str]:
    """Return the pages of the module docstrings, one for each room that has a model."""
    pages: dict[str, str] = {}
    for name, room in rooms().items():
        chosen = [module for module in modules_of(room) if module is room or has_model(module)]
        if name in ("plot", "report", "notebook", "errors") or not (len(chosen) > 1 or has_model(room)):
            continue
        lines = [heading(ROOMS[name], "=")]
        for module in chosen:
            last = module.__name__.rpartition(".")[2]
            if module is not room:
                lines.append(heading(module.__name__.removeprefix(f"{room.__name__}."), "-"))
            taken = inspect.isfunction(getattr(room, last, None))  # a function of the room has the same name
            index = "   :no-index:\n" if taken else ""
            lines.append(f".. automodule:: {module.__name__}\n   :no-members:\n{index}")
        pages[f"model/{name}.rst"] = "\n".join(lines)
    index_lines = [
        heading("Model reference", "="),
        "What is computed, from what assumptions, after which source: the docstrings of the modules, in the "
        "order in which a value walks through them.\n",
        ".. toctree::\n   :maxdepth: 2\n",
        *(f"   {page.removeprefix('model/').removesuffix('.rst')}" for page in pages),
    ]
    return {"model/index.rst": "\n".join(index_lines) + "\n", **pages}


def has_model(module: ModuleType) -> bool:
    """Return whether a module's docstring says more than what the module is."""
    return "\n\n" in (module.__doc__ or "").strip()


def api_pages() -> dict[str, str]:
    """Return the pages of the public names: the whole package first, then each room."""
    import noptoolkit

    def summary(module: ModuleType, names: list[str]) -> str:
        return "\n".join(
            [
                f".. currentmodule:: {module.__name__}\n",
                ".. autosummary::\n   :toctree: names\n",
                *(f"   {name}" for name in names),
                "",
            ]
        )

    top = [name for name in noptoolkit.__all__ if not inspect.ismodule(getattr(noptoolkit, name))]
    at_top = {id(getattr(noptoolkit, name)) for name in top}
    found = rooms()
    index = [
        heading("API", "="),
        "Names that stand in ``noptoolkit`` itself (``import noptoolkit as nop``):\n",
        summary(noptoolkit, top),
        heading("Rooms", "-"),
        "Further names, by room:\n",
        ".. toctree::\n   :maxdepth: 1\n",
    ]
    pages: dict[str, str] = {}
    for name, room in found.items():
        public = [n for n in getattr(room, "__all__", ()) if documented(room, n)]
        further = [n for n in public if id(getattr(room, n)) not in at_top]
        if not further:
            continue
        index.append(f"   {name}")
        title = f"noptoolkit.{name}: {ROOMS[name][:1].lower()}{ROOMS[name][1:]}"
        known = [n for n in public if id(getattr(room, n)) in at_top]
        links = ", ".join(f":py:obj:`~noptoolkit.{n}`" for n in known)
        also = f"In ``noptoolkit`` itself: {links}.\n\n" if known else ""
        pages[f"api/{name}.rst"] = f"{heading(title, '=')}\n{also}{summary(room, further)}"
    return {"api/index.rst": "\n".join(index) + "\n", **pages}


def documented(room: ModuleType, name: str) -> bool:
    """Return whether a public name is a class or function; constants are told of where they are used."""
    value = getattr(room, name)
    return inspect.isclass(value) or inspect.isfunction(value)


def tables() -> str:
    """Return the page of everything that goes by name."""
    from noptoolkit.allocation import ALLOCATORS
    from noptoolkit.flow import ROUTINGS
    from noptoolkit.formats import FORMATS
    from noptoolkit.metrics import METRICS
    from noptoolkit.step import POLICIES, Policy
    from noptoolkit.topology import BUILDERS

    families: dict[str, Mapping[str, Callable[..., object]]] = {
        "Topologies": BUILDERS,
        "Allocators": ALLOCATORS,
    }
    text = [heading("Everything that goes by name", "=")]
    text.append("An option that chooses an algorithm takes one of these names, or a user's own callable.\n")
    for title, table in families.items():
        rows = [(f"``{name}``", first_line(value)) for name, value in table.items()]
        text += [heading(title, "-"), list_table(("name", "what it does"), rows)]
    rows = [(f"``{name}``", method.meaning) for name, method in ROUTINGS.items()]
    text += [heading("Routings", "-"), list_table(("name", "what it does"), rows)]
    shown = [field.name for field in fields(Policy)]
    rows = [
        (f"``{name}``", *(setting(getattr(policy, field), field) for field in shown))
        for name, policy in POLICIES.items()
    ]
    text += [
        heading("Schedule policies", "-"),
        "What the settings mean: `noptoolkit.step.Policy`. Of several values the best is kept.\n",
        list_table(("name", *(field.replace("_", "-") for field in shown)), rows),
    ]
    rows = [
        (f"``{n}``", m.description, ", ".join(m.suffixes) or "a folder", "in, out" if m.read else "out")
        for n, m in FORMATS.items()
    ]
    text += [
        heading("Topology formats", "-"),
        list_table(("name", "what it is", "ending", "direction"), rows),
    ]
    rows = [
        (f"``{n}``", m.title.strip(), m.unit or "–", m.better or "–", m.meaning) for n, m in METRICS.items()
    ]
    text += [heading("Metrics", "-"), list_table(("name", "heading", "unit", "better", "meaning"), rows)]
    return "\n".join(text)


def setting(value: object, field: str) -> str:
    """Return the value of a policy's field in words."""
    if isinstance(value, tuple):
        return ", ".join(setting(one, field) for one in value)
    if value is None:
        return "by urgency" if field == "order" else "as given"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def first_line(value: object) -> str:
    """Return what a member of a table says of itself in one sentence."""
    sentence = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
    said = sentence.removeprefix("Return ").replace("`", "``").replace("````", "``")
    return said[:1].upper() + said[1:]


def provenance() -> str:
    """Return the page of where the presets' numbers come from."""
    from noptoolkit.formats import (
        list_topologies,
        list_workloads,
        load_topology,
        load_workload,
        topology_descriptions,
        workload_descriptions,
    )

    text = ["# Provenance of the presets", "", "As their TOML files state it."]
    for title, names, described in (
        ("Topologies", list_topologies(), topology_descriptions()),
        ("Workloads", list_workloads(), workload_descriptions()),
    ):
        text += ["", f"## {title}"]
        for name in names:
            preset = load_topology(name) if title == "Topologies" else load_workload(name)
            text += ["", f"### {name}", "", described[name] + ".", "", preset.source]
            if preset.assumed:
                text += ["", "Assumed:", "", *(f"- {line}" for line in preset.assumed)]
    return "\n".join(text) + "\n"


def benchmarks() -> str:
    """Return what each benchmark says it measures, for the page that includes it."""
    folder = Path(__file__).parents[2] / "benchmarks"
    text = []
    for path in sorted(folder.glob("bench_*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        text += [f"## {path.stem.removeprefix('bench_')}", "", "```text", docstring, "```", ""]
    return "\n".join(text)


def heading(text: str, mark: str) -> str:
    return f"{text}\n{mark * len(text)}\n"


def list_table(head: tuple[str, ...], rows: Rows) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"
