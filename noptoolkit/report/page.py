"""A page: sections of text, tables, figures; and how it becomes one file that asks for nothing.

The content security policy of the page is ``default-src 'none'``: scripts are those of the page alone, by
their sha256, so that nothing that a file brings in could run even if it were taken for script; styles stand
inline.
Pictures inside style sheets of Bokeh are ``data:`` addresses.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from noptoolkit._version import __version__
from noptoolkit.drawing.colours import NODE_COLOURS, TASK_COLOURS, hex_ramp
from noptoolkit.errors import NopError
from noptoolkit.formats.results import replace_file
from noptoolkit.report.escaping import inline_json, visible
from noptoolkit.tables import Table

__all__ = [
    "Block",
    "Chart",
    "Page",
    "Section",
    "asset",
    "environment_of",
    "needed",
    "styles",
    "write_page",
]

QUIET = "const nop_log = console.log; console.log = () => {};"
"""Bokeh tells that it will tell nothing: it takes console.log as it is when it is loaded."""

SHADES = 64
"""Colours of the scale of the package map."""


@dataclass(frozen=True)
class Chart:
    """A chart of Bokeh, as its function ``json_item`` returns it.

    Parameters
    ----------
    key
        Id of its place on the page.
    title, words
        Caption, and what it shows for those who do not see it.
    item
        Its document.
    table
        Its figures as a table.
    height
        Its height in CSS pixels, so that nothing moves when it is drawn.
    group
        What tells it from others of its section, of which one is seen at a time: a row of buttons each.
    controls
        Whether it has buttons to zoom along x.
    """

    key: str
    title: str
    words: str
    item: Any
    table: Table | None = None
    height: int = 300
    group: tuple[str, ...] = ()
    controls: bool = False


@dataclass(frozen=True)
class Block:
    """One thing in a section.

    Parameters
    ----------
    kind
        ``table``, ``chart``, ``charts`` (one group), ``sentences``, ``map``, ``commands`` or ``facts``.
    value
        What the kind says.
    """

    kind: str
    value: Any


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own."""

    key: str
    title: str
    blocks: Sequence[Block]
    about: str = ""


@dataclass(frozen=True)
class Page:
    """What a report holds.

    Parameters
    ----------
    title, subtitle
        Heading, and what was computed in a line.
    sections
        Parts in order.
    data
        What scripts of the page draw from: packages, values of channels, time.
    notes
        What a reader must know at once, such as synthetic routing.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]
    data: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def charts(self) -> list[Chart]:
        """All charts of the page."""
        found = []
        for section in self.sections:
            for block in section.blocks:
                if block.kind in ("chart", "scatter"):
                    found.append(block.value)
                elif block.kind == "charts":
                    found += list(block.value)
        return found

    def html(self) -> str:
        """Return the page as HTML.

        Raises
        ------
        NopError
            If the extra ``report`` is not installed.
        """
        jinja2 = _import("jinja2")
        charts = self.charts
        scripts = [asset("helpers.js"), asset("format.js"), asset("tables.js")]
        if charts:
            scripts[:0] = [QUIET, _bokeh()]
            scripts.append(asset("charts.js"))
        if self.data:
            scripts.append(asset("map.js"))
        scripts = [_safe(script) for script in scripts]
        from noptoolkit.report.table_html import table_html

        template = environment_of(jinja2, {"table": table_html}).get_template("page.html")
        hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
        return str(
            template.render(
                page=self,
                version=__version__,
                policy=f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:",
                style=styles(),
                scripts=scripts,
                data=inline_json(self.data),
                items={chart.key: inline_json(chart.item) for chart in charts},
                legend=NODE_COLOURS,
            )
        )


def write_page(page: Page, path: str | Path) -> None:
    """Write a page to a file.

    Raises
    ------
    FormatError
        If the place cannot be written to.
    """
    replace_file(path, page.html())


def environment_of(jinja2: Any, filters: dict[str, Any]) -> Any:
    """Return what renders the templates of this room, every value escaped."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {
        "visible": lambda text: visible(str(text)),
        "tojson_text": lambda value: json.dumps([visible(one) for one in value]),
        **filters,
    }
    return made


def styles() -> str:
    """Return the style sheet of pages, with the colours that pictures on paper have."""
    return asset("page.css") + _colours()


def needed() -> None:
    """Raise unless what makes pages is installed.

    Raises
    ------
    NopError
        If the extra ``report`` is not installed.
    """
    _import("jinja2")
    _import("bokeh")


def _import(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise NopError(f"a report needs {name}: pip install 'noptoolkit[report]'") from error


@lru_cache
def asset(name: str) -> str:
    """Return the text of a file of the page."""
    return files("noptoolkit.report").joinpath("assets", name).read_text(encoding="utf-8")


@lru_cache
def _bokeh() -> str:
    """Return Bokeh's library without its extensions: tables, widgets and formulas are not used."""
    root = Path(_import("bokeh").__file__).parent
    return (root / "server" / "static" / "js" / "bokeh.min.js").read_text(encoding="utf-8")


def _safe(script: str) -> str:
    """Return a script that cannot end its own element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _colours() -> str:
    """Return the colours that pictures on paper have, as style sheets for light and dark."""
    light, dark = hex_ramp(SHADES), hex_ramp(SHADES, dark=True)
    bright = "".join(f".q{i}{{fill:{colour}}}" for i, colour in enumerate(light))
    night = "".join(f".q{i}{{fill:{colour}}}" for i, colour in enumerate(dark))
    kinds = "".join(f"--{_slug(kind)}:{colour};" for kind, colour in (NODE_COLOURS | TASK_COLOURS).items())
    ramps = (
        f"--ramp:linear-gradient(to right,{','.join(light[::7])});",
        (f"--ramp:linear-gradient(to right,{','.join(dark[::7])});"),
    )
    dark_rules = night.replace(".q", ":root[data-theme=dark] .q")
    auto_rules = night.replace(".q", ":root:not([data-theme=light]) .q")
    return (
        f":root{{{kinds}{ramps[0]}}}{bright}"
        f"@media screen{{:root[data-theme=dark]{{{ramps[1]}}}{dark_rules}"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{ramps[1]}}}{auto_rules}}}}}"
    )


def _slug(kind: str) -> str:
    return kind.replace(" ", "-")
