"""Where each node is drawn: its physical position, or a layout that depends on nothing but the graph.

Packages whose nodes all have positions are drawn true to them. Otherwise the nodes that forward are laid
out as a tree (root: the attention chiplet, else the centre of the graph), in layers where there are
switches (on circles of many chiplets), else on a circle; memory stacks stand outside the node that they
hang on, and dies that are bonded to others on or under them. No layout is force-directed: the same package
always gives the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Bools, Floats
from noptoolkit.drawing.schematic import PLAIN, LayoutKind, drawn
from noptoolkit.drawing.stacks import cascade, dies_under, rim
from noptoolkit.package import Chiplet, Memory, Node, Package, Switch

__all__ = ["Layout", "LayoutKind", "kinds_of", "place"]

GAP = 0.34  # share of the way between two linked centres that their boxes leave free for the link
BEVEL = {Chiplet: 1.85, Switch: 1.42, Memory: 2.0}


@dataclass(frozen=True, eq=False)
class Layout:
    """Centres and half sizes of the boxes that stand for the nodes.

    Parameters
    ----------
    centre, half
        [nodes, 2], in m where ``physical``, else in steps of the layout.
    bevel
        How far the corners reach, [nodes]: |x| + |y| in half sizes; 2 is a full box.
    pitch
        The least distance between the centres of two chiplets (the larger of its components).
    kind
        ``physical`` (the package's own positions), ``tree``, ``layers`` or ``circle``.
    on_circle
        Flags of the nodes on the circle itself, [nodes].
    under
        Flags of the dies under another node, [nodes]: a rim of them is seen.
    crowded
        Whether two ways round share the space between two rows, so that lines must be thin.
    given_up
        Whether the package's own positions were given up: links would lie on other nodes or links there.
    """

    centre: Floats
    half: Floats
    bevel: Floats
    pitch: float
    kind: LayoutKind
    on_circle: Bools
    under: Bools
    crowded: bool = False
    given_up: bool = False

    @property
    def remark(self) -> str:
        """Why the package's own positions are not those of the picture; empty where they are, or none are."""
        return "schematic: at its positions links would overlap" if self.given_up else ""

    @property
    def low(self) -> Floats:
        """Lower left corner of what is drawn."""
        return np.asarray((self.centre - self.half).min(axis=0))

    @property
    def high(self) -> Floats:
        """Upper right corner of what is drawn."""
        return np.asarray((self.centre + self.half).max(axis=0))


def place(package: Package, *, physical: bool = True, gap: float = GAP) -> Layout:
    """Return the layout of a package, its own positions if ``physical`` and all nodes have one.

    ``gap`` is the least share of the way between two linked centres that their boxes leave free.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Package
    >>> pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
    >>> place(pair).kind, place(pair).pitch
    ('tree', 1.0)
    """
    dies = dies_under(package)
    if dies:
        return _with_dies(package, place(package.without(*dies), physical=physical, gap=gap), dies)
    positions = [node.position for node in package.nodes if node.position is not None]
    kind: LayoutKind = "physical"
    ring: list[int] = []
    if physical and len(positions) == len(package.nodes):
        centre = cascade(package, np.array(positions))
    else:
        centre, kind, ring = drawn(package)
    chiplets = [i for i, node in enumerate(package.nodes) if isinstance(node, Chiplet)]
    pitch = _pitch(centre[chiplets]) or _pitch(centre) or 1.0
    half = np.array([PLAIN[type(node)] for node in package.nodes]) * min(pitch, _pitch(centre) or pitch)
    if kind == "physical":
        for i, node in enumerate(package.nodes):
            if node.size is not None:
                half[i] = np.array(node.size) / 2
        touching = _touching(centre, half)
        linked = touching[
            tuple(np.array([(package.index[a.a], package.index[a.b]) for a in package.links]).T)
        ]
        half *= min(1.0, (1.0 - gap) * float(linked.min(initial=np.inf)), 0.8 * float(touching.min()))
        half = np.maximum(half, min(0.2 * pitch, 0.3 * (_pitch(centre) or pitch)))
    elif gap > GAP:
        half *= (1.0 - gap) / (1.0 - GAP)
    bevel = np.array([BEVEL[type(node)] for node in package.nodes])
    on_circle = np.isin(np.arange(len(package.nodes)), ring)
    return Layout(centre, half, bevel, pitch, kind, on_circle, np.zeros(len(package.nodes), dtype=bool))


def _with_dies(package: Package, bare: Layout, dies: dict[str, str]) -> Layout:
    """Return a layout with the dies that it was made without, each a little lower right of its node."""
    order = {node.name: i for i, node in enumerate(node for node in package.nodes if node.name not in dies)}
    base = np.array([order[dies.get(node.name, node.name)] for node in package.nodes])
    under = np.array([node.name in dies for node in package.nodes])
    centre = bare.centre[base]
    for i in np.flatnonzero(under):
        centre[i] += rim(bare.half[base[i]])
    on_circle = bare.on_circle[base] & ~under
    return Layout(centre, bare.half[base], bare.bevel[base], bare.pitch, bare.kind, on_circle, under)


def _pitch(centre: Floats) -> float:
    """Return the least distance of two centres, 0 where there are not two."""
    if len(centre) < 2:
        return 0.0
    from scipy.spatial import cKDTree

    distance = np.asarray(cKDTree(centre).query(centre, k=2, p=np.inf)[0])
    return float(distance[:, 1].min())


def _touching(centre: Floats, half: Floats) -> Floats:
    """Return the scale at which two boxes would touch, [nodes, nodes], infinite on the diagonal."""
    apart = np.abs(centre[:, None] - centre[None])
    ratio = np.asarray((apart / (half[:, None] + half[None])).max(axis=2))
    np.fill_diagonal(ratio, np.inf)
    return ratio


def kinds_of(package: Package, layout: Layout) -> list[str]:
    """Return what the legend calls each node."""
    return [
        "die underneath" if under else _kind_of(node)
        for node, under in zip(package.nodes, layout.under, strict=True)
    ]


def _kind_of(node: Node) -> str:
    if isinstance(node, Chiplet):
        return f"{node.role} chiplet"
    return "switch" if isinstance(node, Switch) else "memory stack"
