"""An SVG of the floor plan, to scale: outlines in mm, links as lines. Out only: not a netlist."""

from __future__ import annotations

from noptoolkit._shown import visible
from noptoolkit.errors import TopologyError
from noptoolkit.package import Chiplet, Memory, Node, Package
from noptoolkit.topology.composition import extent

__all__ = ["dump_svg"]

FILLS = {"attention": "#e8b4a0", "expert": "#a9c4de", "compute": "#a9c4de", "io": "#cdbfe0"}
SWITCH, MEMORY, LINE = "#d9d9d9", "#bcd8b5", "#666666"
MARGIN = 2.0
"""mm round the outlines."""


def dump_svg(package: Package) -> str:
    """Return the floor plan of a package as SVG, one user unit per mm.

    Raises
    ------
    TopologyError
        If a node has no position or no size.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> dump_svg(mesh(2)).count("<rect")
    4
    """
    from xml.sax.saxutils import escape, quoteattr

    for node in package.nodes:
        if node.position is None or node.size is None:
            raise TopologyError(
                f"package {package.name!r}: {node.name!r} has no position or size; "
                "place the package first, with noptoolkit.physical.place or convert --place"
            )
    (left, bottom), (width, height) = extent(package)
    top = bottom + height

    def at(node: Node) -> tuple[float, float]:
        x, y = node.position or (0.0, 0.0)
        return (x - left) * 1e3 + MARGIN, (top - y) * 1e3 + MARGIN

    wide, high = width * 1e3 + 2 * MARGIN, height * 1e3 + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.3f}mm" height="{high:.3f}mm" '
        f'viewBox="0 0 {wide:.3f} {high:.3f}" font-family="sans-serif">',
        f"<title>{escape(visible(package.name))}</title>",
        f'<g stroke="{LINE}" stroke-width="0.4">',
    ]
    for link in package.links:
        (ax, ay), (bx, by) = at(package[link.a]), at(package[link.b])
        lines.append(f'<line x1="{ax:.3f}" y1="{ay:.3f}" x2="{bx:.3f}" y2="{by:.3f}"/>')
    lines.append("</g>")
    for node in package.nodes:
        (x, y), (w, h) = at(node), node.size or (0.0, 0.0)
        w, h = w * 1e3, h * 1e3
        fill = (
            MEMORY if isinstance(node, Memory) else FILLS[node.role] if isinstance(node, Chiplet) else SWITCH
        )
        lines.append(
            f'<rect id={quoteattr(visible(node.name))} x="{x - w / 2:.3f}" y="{y - h / 2:.3f}" '
            f'width="{w:.3f}" height="{h:.3f}" fill="{fill}" stroke="black" stroke-width="0.2"/>'
        )
        size = min(w / max(len(node.name), 1) * 1.4, h * 0.6)
        lines.append(
            f'<text x="{x:.3f}" y="{y + size / 3:.3f}" font-size="{size:.3f}" text-anchor="middle">'
            f"{escape(visible(node.name))}</text>"
        )
    return "\n".join([*lines, "</svg>", ""])
