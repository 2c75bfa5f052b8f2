"""Equations as SVG outlines, set by matplotlib's mathtext: no font, no script and no network is needed.

They take the colour of the text round them, so that they read on light and on dark pages; screen readers get
the TeX source.
"""

from __future__ import annotations

import functools
import html
import io
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

SIZE = 10.0  # points in which an equation is set; an em of the page is as many
INK = "#010203"  # a colour that nothing else has, put in the place of the page's


@functools.cache
def drawn(tex: str) -> str:
    """Return an equation as an SVG element whose unit is the em of the text round it."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    picture = io.StringIO()
    settings = {
        "mathtext.fontset": "cm",
        "svg.fonttype": "path",
        "svg.hashsalt": tex,
        "text.parse_math": True,
    }
    with mpl.rc_context(settings):
        depth = math_to_image(f"${tex}$", picture, prop=FontProperties(size=SIZE), format="svg", color=INK)
    text = picture.getvalue()
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)
    assert size is not None
    width, height = (f"{float(points) / SIZE:.3f}em" for points in size.groups())
    body = text[text.index('<g id="figure_1">') :].replace(INK, "currentColor")
    body = re.sub(r'<g id="patch_1">.*?</g>', "", body, flags=re.DOTALL)  # the white behind it
    body = re.sub(r' id="(figure|text)_1"', "", body)  # a page has several
    box = re.search(r'viewBox="[^"]+"', text)
    assert box is not None
    return (
        f'<svg class="equation" role="img" aria-label="{html.escape(tex)}" {box[0]} '
        f'style="width:{width};height:{height};vertical-align:{-depth / SIZE:.3f}em">{body}'
    )


def try_all(app: Sphinx, page: nodes.document) -> None:
    """Draw the equations of a page as it is read: a fault is one of the page, whatever is built of it."""
    for node in page.findall(lambda node: isinstance(node, nodes.math | nodes.math_block)):
        try:
            drawn(source(node))
        except ValueError as error:
            raise ExtensionError(f"{app.env.docname}: equation {source(node)!r}: {error}") from error


def source(node: nodes.Node) -> str:
    """Return the TeX of an equation on one line."""
    return " ".join(node.astext().split())


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(drawn(source(node)))
    raise nodes.SkipNode


def displayed(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="equation">{drawn(source(node))}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", try_all)
    app.add_html_math_renderer("outlines", (inline, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
