"""The package map: geometry of `noptoolkit.drawing` as SVG, a ribbon per channel, a box per node."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.drawing.layout import Layout, kinds_of
from noptoolkit.drawing.ribbons import (
    ROOMY,
    arrange,
    channel_ribbons,
    channel_widths,
    covering_width,
    lane_width,
)
from noptoolkit.package import Chiplet, Memory, Package
from noptoolkit.report.escaping import visible
from noptoolkit.units import format_quantity

__all__ = ["PackageMap", "package_map"]

PITCH = 100.0  # units of the picture between two chiplets
BORDER = 0.5  # share of a box's border for the lanes one way
GLYPH = 0.62  # mean width of a letter, in type sizes


@dataclass(frozen=True)
class PackageMap:
    """A package as SVG, and what the page tells of its parts.

    Parameters
    ----------
    svg
        The picture; nodes and channels have their index in the package as ``data-n`` and ``data-c``.
    nodes, channels
        Facts of each, as the page lists them.
    name
        What the package is called.
    remark
        Why it is not drawn at its positions, where it is not.
    """

    svg: str
    nodes: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    name: str
    remark: str = ""


@lru_cache(maxsize=32)
def _geometry(package: Package) -> tuple[Layout, list[Floats], Any, float]:
    layout, lines = arrange(package, gap=ROOMY)
    widest = lane_width(package, layout, border=BORDER)
    finest = min(0.006 * layout.pitch, covering_width(layout, lines) / 2)
    widths = np.maximum(channel_widths(package, widest), finest)
    ribbons, owner = channel_ribbons(package, layout, lines, widths, widest)
    return layout, ribbons, owner, widest


def package_map(package: Package, *, name: str = "") -> PackageMap:
    """Return the map of a package.

    Parameters
    ----------
    package
        Package to draw, at its positions where it has them and its links can be told apart there.
    name
        What it is called; the package's name where empty.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> found = package_map(mesh(2))
    >>> found.svg.count("data-n="), found.svg.count("data-c=")
    (4, 8)
    """
    layout, ribbons, owner, _ = _geometry(package)
    scale = PITCH / layout.pitch
    points = np.vstack([*ribbons, layout.low[None], layout.high[None]])
    low, high = points.min(axis=0), points.max(axis=0)

    def at(point: Floats) -> str:
        x, y = (point[0] - low[0]) * scale + 20, (high[1] - point[1]) * scale + 20
        return f"{x:.1f} {y:.1f}"

    width, height = (high - low) * scale + 40
    kinds = kinds_of(package, layout)
    order = np.argsort(-layout.under.astype(int), kind="stable")
    body: list[str] = ['<g class="channels">']
    for ribbon, i in zip(ribbons, owner.tolist(), strict=True):
        path = "L".join(at(point) for point in ribbon)
        body.append(f'<path data-c="{i}" class="q0" d="M{path}Z"/>')
    body.append('</g><g class="nodes">')
    for i in order.tolist():
        body.append(_node(i, kinds[i], layout, scale, low, high))
    body.append('</g><g class="names" aria-hidden="true">')
    for size, members in _type_sizes(package, layout, kinds, scale).items():
        body.append(f'<g class="type" font-size="{size:g}">')
        for i in members:
            x, y = at(layout.centre[i]).split()
            text = html.escape(visible(package.nodes[i].name))
            dark = ' class="on-dark"' if kinds[i] == "switch" else ""
            body.append(f'<text x="{x}" y="{y}"{dark}>{text}</text>')
        body.append("</g>")
    body.append("</g>")
    words = html.escape(visible(f"Map of {name or package.name}: {package.describe()}"), quote=True)
    svg = (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="group" tabindex="0" aria-label="{words}" '
        f'data-w="{width:.0f}" data-h="{height:.0f}" preserveAspectRatio="xMidYMin meet">'
        f"{''.join(body)}</svg>"
    )
    return PackageMap(svg, _nodes(package, kinds), _channels(package), name or package.name, layout.remark)


def _node(i: int, kind: str, layout: Layout, scale: float, low: Floats, high: Floats) -> str:
    half = layout.half[i] * scale
    x = (layout.centre[i, 0] - low[0]) * scale + 20 - half[0]
    y = (high[1] - layout.centre[i, 1]) * scale + 20 - half[1]
    w, h = 2 * half
    slug = kind.replace(" ", "-")
    begin = f'<g class="node {slug}" data-n="{i}">'
    if kind == "switch":
        cut = 0.58 * half.min()
        corners = [(x, y + cut), (x + cut, y), (x + w - cut, y), (x + w, y + cut)]
        corners += [(x + w, y + h - cut), (x + w - cut, y + h), (x + cut, y + h), (x, y + h - cut)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
        return f'{begin}<polygon class="box" points="{path}"/></g>'
    rounding = 0.0 if kind == "memory stack" else 0.3 * half.min()
    box = f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{rounding:.1f}"/>'
    if kind == "memory stack":
        for level in (0.14, 0.86):
            at = y + level * h
            box += f'<path class="seam" d="M{x:.1f} {at:.1f}H{x + w:.1f}"/>'
    return f"{begin}{box}</g>"


def _type_sizes(
    package: Package, layout: Layout, kinds: Sequence[str], scale: float
) -> dict[float, list[int]]:
    """Return the size of the names of each kind, one size a kind, and who has it."""
    box = 2 * layout.half * scale
    lengths = np.array([max(len(visible(node.name)), 1) for node in package.nodes])
    fit = np.minimum(0.9 * box[:, 0] / (GLYPH * lengths), 0.6 * box[:, 1])
    found: dict[float, list[int]] = {}
    for kind in dict.fromkeys(kinds):
        members = [i for i, one in enumerate(kinds) if one == kind and not layout.under[i]]
        if members:
            size = round(float(min(fit[members].min(), 22.0)), 1)
            found.setdefault(size, []).extend(members)
    return found


def _nodes(package: Package, kinds: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for node, kind in zip(package.nodes, kinds, strict=True):
        facts: dict[str, str] = {}
        if isinstance(node, Chiplet):
            if node.flops:
                facts["peak rate"] = format_quantity(node.flops, "FLOP/s")
            if node.sram:
                facts["SRAM"] = format_quantity(node.sram, "B")
        if isinstance(node, Memory):
            for word, value, unit in (
                ("bandwidth", node.bandwidth, "B/s"),
                ("capacity", node.capacity, "B"),
            ):
                if value:
                    facts[word] = format_quantity(value, unit)
        if node.size is not None:
            facts["size"] = " x ".join(f"{1e3 * side:.4g}" for side in node.size) + " mm"
        able = [word for word in ("replicates", "reduces") if getattr(node, word, False)]
        if able:
            facts["in the network"] = " and ".join(able)
        found.append({"n": node.name, "k": kind, "f": facts})
    return found


def _channels(package: Package) -> list[dict[str, Any]]:
    index = package.index
    return [
        {
            "n": channel.name,
            "t": index[channel.tail],
            "h": index[channel.head],
            "b": channel.bandwidth,
            "k": str(package.links[channel.link].kind),
        }
        for channel in package.channels
    ]
