"""A report page inside the pages: the directive ``live-report`` frames one that is made at build time."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

PLACE = "live/report.html"


class LiveReport(Directive):
    """A frame with the page, and a link to the page alone."""

    def run(self) -> list[nodes.Node]:
        """Return the frame: its address starts at the page that holds it."""
        env = self.state.document.settings.env
        up = "../" * env.docname.count("/")
        words = "A report page of noptoolkit: verdict, figures, package map, traffic, schedule, certificates"
        frame = (
            f'<iframe class="live-report" src="{up}{PLACE}" title="{words}" loading="lazy"></iframe>'
            f'<p><a href="{up}{PLACE}">The same page alone</a></p>'
        )
        return [nodes.raw("", frame, format="html")]


def write_report(app: Sphinx, error: Exception | None) -> None:
    """Make the page, before links are followed."""
    if error is not None or app.builder.name != "html":
        return
    import warnings

    import noptoolkit as nop

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nop.errors.NopWarning)
        packages = ["mozart-nop-tree", "mesh-4x4", "torus-4x4"]
        result = nop.compare(packages, "olmoe-1b-7b", allocator="contiguous", routing="shortest")
        path = Path(app.outdir) / PLACE
        path.parent.mkdir(exist_ok=True)
        result.to_html(path)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("live-report", LiveReport)
    app.connect("build-finished", write_report, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
