"""Links within the pages: those back from the source pages are put right, and all are followed at the end.

`sphinx.ext.viewcode` takes every name of a module to be documented under one prefix; ours are documented
where they are imported from, some in ``noptoolkit``, some in a room. A link that leads nowhere is a warning,
and so an error of ``make docs``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sphinx.application import Sphinx
from sphinx.util import logging

BACK = re.compile(r'href="([^"#]*/names/([\w.]+)\.html)#([\w.]+)"')
logger = logging.getLogger(__name__)


def mend_source_page(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Make the links of a source page lead to the names that their pages document."""
    if page.startswith("_modules/"):
        body = BACK.sub(
            lambda match: f'href="{match[1]}#{documented_at(match[2], match[3])}"', context["body"]
        )
        context["body"] = re.sub(r'<li><a href="(?!noptoolkit)[^"]*">.*?</li>', "", body)  # builtins, time


def documented_at(page: str, anchor: str) -> str:
    """Return the anchor of a name, or of a member of it, on the page of the name.

    >>> documented_at("noptoolkit.formats.Conversion", "noptoolkit.Conversion.cells")
    'noptoolkit.formats.Conversion.cells'
    >>> documented_at("noptoolkit.search.search", "noptoolkit.search.search")
    'noptoolkit.search.search'
    """
    if anchor == page or anchor.startswith(f"{page}."):
        return anchor
    last = page.rpartition(".")[2]
    return page + anchor.partition(f".{last}")[2]


def follow_links(app: Sphinx, error: Exception | None) -> None:
    """Warn of every link to a page or a place that is not there."""
    if error is not None or app.builder.name != "html":
        return
    pages = {path.resolve(): path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html")}
    places = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in pages.items()}
    for path, text in pages.items():
        for link in re.findall(r'<a\b[^>]*\bhref="([^"]*)"', text):
            if re.match(r"[a-z]+:", link):
                continue
            file, _, place = map(unquote, link.partition("#"))
            target = (path.parent / file).resolve() if file else path
            if not target.exists() or (place and place not in places.get(target, {place})):
                logger.warning("%s: a link leads nowhere: %s", path.relative_to(app.outdir), link)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", mend_source_page)
    app.connect("build-finished", follow_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
