"""The directive ``picture``: code, and the picture that it draws when the pages are built.

``nop`` and ``plot`` are there without an import (the first picture of a page shows the imports); the last
figure that is open afterwards is the picture. It is written as SVG to ``docs/generated/pictures``; with
``:nocode:`` the code is not shown. ``-D draw_pictures=0`` leaves the pictures out.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

IMPORTS = "import noptoolkit as nop\nfrom noptoolkit import plot\n"
"""Shown above the first picture of a page."""


class Picture(SphinxDirective):
    """Code, and what it draws."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "alt": directives.unchanged_required,
        "nocode": directives.flag,
        "width": directives.length_or_percentage_or_unitless,
    }

    def run(self) -> list[nodes.Node]:
        code = textwrap.dedent("\n".join(self.content))
        if not self.config.draw_pictures:
            return [nodes.literal_block(code, code, language="python")]
        number = self.env.temp_data["pictures"] = self.env.temp_data.get("pictures", 0) + 1
        name = f"{self.env.docname.replace('/', '-')}-{number}.svg"
        try:
            draw(code, Path(self.env.srcdir) / "generated" / "pictures" / name)
        except Exception as error:
            raise self.error(
                f"picture {number} of {self.env.docname}: {type(error).__name__}: {error}"
            ) from error
        image = nodes.image(uri=f"/generated/pictures/{name}", alt=self.options["alt"])
        image["width"] = self.options.get("width", "100%")
        self.set_source_info(image)
        if "nocode" in self.options:
            return [image]
        if number == 1:
            code = f"{IMPORTS}\n{code}"
        shown = nodes.literal_block(code, code, language="python")
        self.set_source_info(shown)
        return [shown, image]


def draw(code: str, path: Path) -> None:
    """Run code and save the figure that it leaves open."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    import noptoolkit as nop
    import noptoolkit.plot as plot

    plt.close("all")
    exec(compile(code, path.name, "exec"), {"nop": nop, "plot": plot})
    plot.save(plt.gcf(), path)
    plt.close("all")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("draw_pictures", True, "env", bool)
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
