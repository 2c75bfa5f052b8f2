"""Where nodes are drawn that have no positions: trees, layers of switches, circles."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from typing import Literal

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.package import Chiplet, Memory, Package, Switch

__all__ = ["PLAIN", "LayoutKind", "drawn"]

PLAIN = {Chiplet: (0.31, 0.31), Switch: (0.24, 0.24), Memory: (0.29, 0.22)}  # half sizes, in pitches
LayoutKind = Literal["physical", "tree", "layers", "circle"]

FAN = 3.6  # radians that an arc of hanging nodes may take
FAN_STEP = 1.0  # distance of neighbours on such an arc, in steps of the layout
CLEAR = 0.12  # room for half a link over a box, in pitches
NEAR = 1.0  # distance of a leaf among subtrees from the lines to them, in steps of the layout
WIDE_LAYER = 32  # chiplets beyond which layers are drawn as circles
TOGETHER, OUTSIDE = 0.8, 2.6  # how near on a circle nodes of one switch are, and how far outside it stands
WIDE_TREE = 24  # leaves beyond which a tree is drawn round its root


def drawn(package: Package) -> tuple[Floats, LayoutKind, list[int]]:
    """Return the centres of a layout made from the graph, its kind, and what is on its circle."""
    index = package.index
    neighbours: dict[int, list[int]] = {i: [] for i in range(len(package.nodes))}
    for link in package.links:
        a, b = index[link.a], index[link.b]
        if b not in neighbours[a]:
            neighbours[a].append(b)
            neighbours[b].append(a)
    bearers = [i for i, node in enumerate(package.nodes) if not isinstance(node, Memory)]
    forwards = set(bearers)
    core = {i: [j for j in neighbours[i] if j in forwards] for i in bearers}
    centre = np.zeros((len(package.nodes), 2))
    placed = ring = bearers
    kind: LayoutKind = "circle"
    below = _below_chiplets(package, core)
    layered = {i: [j for j in others if j not in below] for i, others in core.items() if i not in below}
    level = _hops(layered, (i for i in layered if isinstance(package.nodes[i], Chiplet)))
    if sum(map(len, core.values())) // 2 == len(bearers) - 1:
        kind = "tree"
        hanging = [i for i in neighbours if i not in core and len(neighbours[i]) == 1]
        branches = {i: [j for j in neighbours[i] if j in core or j in hanging] for i in [*core, *hanging]}
        _place_tree(centre, branches, _tree_root(package, core))
        placed = bearers + hanging
    elif package.switches and not any(level[i] == level[j] for i in layered for j in layered[i]):
        kind = "layers"
        layers: list[list[int]] = [[] for _ in range(max(level.values()) + 1)]
        for i in layered:
            layers[level[i]].append(i)
        if len(layers[0]) > WIDE_LAYER:
            placed = _place_rings(centre, neighbours, layered, layers)
            for k, i in enumerate(below):
                centre[i] = 2.0 * k - len(below) + 1.0, centre[placed][:, 1].min() - 2.0
            placed = placed + below
        else:
            _place_layers(centre, layered, level, layers)
            for i in below:
                centre[i] = centre[core[i]].mean(axis=0) - [0.0, _rise(len(layers[0]))]
    else:
        leaves = [
            i for i in layered if len(layered[i]) == 1 and isinstance(package.nodes[layered[i][0]], Switch)
        ]
        ring = placed = [i for i in bearers if i not in set(leaves)]
        fans = {i: [j for j in neighbours[i] if len(neighbours[j]) == 1 and j not in ring] for i in ring}
        placed = ring + _place_circle(centre, ring, fans)
    _place_outside(centre, neighbours | layered, placed)
    return centre, kind, ring if kind == "circle" else []


def _below_chiplets(package: Package, core: dict[int, list[int]]) -> list[int]:
    """Return the attention chiplets that are linked to chiplets only: a layer under theirs."""
    attention = [package.index[name] for name in package.with_role("attention")]
    return [i for i in attention if all(isinstance(package.nodes[j], Chiplet) for j in core[i])]


def _tree_root(package: Package, tree: dict[int, list[int]]) -> int:
    """Return the centre of a tree: what is left when leaves are stripped again and again.

    Of two that are left it is the attention chiplet, else the first.
    """
    degree = {i: len(others) for i, others in tree.items()}
    left, layer = set(tree), [i for i, count in degree.items() if count <= 1]
    while len(left) > 2:
        left.difference_update(layer)
        following = []
        for i in layer:
            for j in tree[i]:
                degree[j] -= 1
                if degree[j] == 1 and j in left:
                    following.append(j)
        layer = following
    attention = set(package.with_role("attention"))
    return min(left, key=lambda i: (package.nodes[i].name not in attention, i))


def _hops(core: dict[int, list[int]], roots: Iterable[int]) -> dict[int, int]:
    """Return the hops from each node to the nearest of some roots."""
    depth = dict.fromkeys(roots, 0)
    queue = deque(depth)
    while queue:
        i = queue.popleft()
        for j in core[i]:
            if j not in depth:
                depth[j] = depth[i] + 1
                queue.append(j)
    return depth


def _place_tree(centre: Floats, tree: dict[int, list[int]], root: int) -> None:
    """Leaves side by side, each parent over the middle of its children; as balloons where that is wide."""
    depth = _hops(tree, [root])
    children = {i: [j for j in tree[i] if depth[j] > depth[i]] for i in tree}
    order: list[int] = []
    stack = [root]
    while stack:
        i = stack.pop()
        order.append(i)
        stack.extend(reversed(children[i]))
    leaves = [i for i in order if not children[i]]
    if len(leaves) > WIDE_TREE or max(map(len, children.values())) > WIDE_TREE // 2:
        _place_balloons(centre, children, order)
        return
    across = dict(zip(leaves, np.arange(len(leaves), dtype=float), strict=True))
    for i in reversed(order):
        if children[i]:
            across[i] = (across[children[i][0]] + across[children[i][-1]]) / 2
    rise = max(_rise(len(leaves)), _clear_rise(across, children))
    for i in order:
        centre[i] = across[i] - across[root], rise * -depth[i]


def _place_balloons(centre: Floats, children: dict[int, list[int]], order: list[int]) -> None:
    """Children on a circle round their parent, each with the room that its own children need.

    Where half of the children or more have children, one without has as much of the circle as the others,
    and stands as near as that allows.
    """
    reach = dict.fromkeys(order, 0.5)  # radius of the disc that holds a subtree
    wide: dict[int, float] = {}  # half of the arc that a child has
    ring: dict[int, float] = {}  # radius of the circle of the children
    for i in reversed(order):
        if children[i]:
            widest = max(reach[j] for j in children[i])
            spread = 2 * sum(bool(children[j]) for j in children[i]) >= len(children[i])
            wide |= {j: widest if spread and not children[j] else reach[j] for j in children[i]}
            room = sum(2.0 * wide[j] for j in children[i]) + (0.0 if i == order[0] else 1.0)
            ring[i] = max(1.02 * room / (2 * np.pi), 0.7 + widest)
            reach[i] = ring[i] + widest
    centre[order[0]] = 0.0
    facing = {order[0]: np.pi / 2}  # where a node's parent is, seen from it; its children leave that way free
    for i in order:
        if not children[i]:
            continue
        share = 2 * np.pi / (sum(wide[j] for j in children[i]) + (0.0 if i == order[0] else 0.5))
        angle = facing[i] - (0.0 if i == order[0] else 0.25 * share)
        angle += 0.5 * share * wide[children[i][0]] if i == order[0] else 0.0
        for j in children[i]:
            angle -= 0.5 * share * wide[j]
            near = ring[i]
            if not children[j] and any(children[k] for k in children[i]):
                near = min(near, max(1.5, NEAR / (share * wide[j])))
            centre[j] = centre[i] + near * np.array([np.cos(angle), np.sin(angle)])
            facing[j] = angle + np.pi
            angle -= 0.5 * share * wide[j]


def _rise(width: int) -> float:
    """Return the distance of two layers: a wide picture needs tall steps."""
    return max(1.0, 0.18 * width)


def _clear_rise(across: dict[int, float], children: dict[int, list[int]]) -> float:
    """Return the least distance of two layers at which no line to a child crosses the box of another."""
    half = PLAIN[Chiplet][0]
    least = 0.0
    for parent, members in children.items():
        away = sorted(across[i] - across[parent] for i in members)
        for side in ([d for d in away if d > 0], [-d for d in reversed(away) if d < 0]):
            for near, far in itertools.pairwise(side):
                least = max(least, (half + CLEAR) * far / (far - near - half))
    return least


def _place_layers(
    centre: Floats, core: dict[int, list[int]], level: dict[int, int], layers: list[list[int]]
) -> None:
    """Chiplets below, each layer of switches ordered by the mean place of its neighbours below."""
    widest = max(map(len, layers))
    for height, members in enumerate(layers):
        if height:
            below = {i: [centre[j, 0] for j in core[i] if level[j] < height] for i in members}
            members = sorted(members, key=lambda i: (float(np.mean(below[i])), i))
        step = min((widest - 1) / max(len(members) - 1, 1), widest / len(members))
        for k, i in enumerate(members):
            centre[i] = (k - (len(members) - 1) / 2) * step, _rise(widest) * height


def _place_rings(
    centre: Floats, neighbours: dict[int, list[int]], core: dict[int, list[int]], layers: list[list[int]]
) -> list[int]:
    """Chiplets on a circle, switches on circles within; outside, a switch of some neighbours alone.

    Such a switch is that of a node of accelerators, whose network is inside. Stacks of one chiplet stand
    outside it. Returns what is placed.
    """
    radius = 1.1 * len(layers[0]) / (2 * np.pi)
    turn: dict[int, float] = {}  # angle, clockwise from the top

    def put(i: int, angle: float, out: float) -> None:
        turn[i] = angle
        centre[i] = out * np.sin(angle), out * np.cos(angle)

    hanging: list[int] = []
    for k, i in enumerate(layers[0]):
        put(i, 2 * np.pi * (k + 0.5) / len(layers[0]), radius)
        own = [j for j in neighbours[i] if j not in core and len(neighbours[j]) == 1][:1]
        for j in own:
            centre[j] = (1.0 + 1.0 / radius) * centre[i]
        hanging += own
    chiplets = set(layers[0])
    for height, members in enumerate(layers[1:], start=1):
        inner = []
        for i in members:
            below = [j for j in core[i] if j in turn]
            middle = np.mean([np.exp(1j * turn[j]) for j in below])
            alone = chiplets.issuperset(core[i]) and all(len(core[j]) > 1 for j in core[i])
            if alone and np.abs(middle) > TOGETHER:
                put(i, float(np.angle(middle)), radius + OUTSIDE)
            else:
                inner.append(
                    (round(float(np.angle(middle) % (2 * np.pi)), 6) if abs(middle) > 1e-6 else 0.0, i)
                )
        for k, (_, i) in enumerate(sorted(inner)):
            share = 0.0 if len(inner) == 1 else 1.0 - height / (len(layers) - 0.4)
            put(i, 2 * np.pi * (k + 0.5) / len(inner), share * radius)
    return [*core, *hanging]


def _place_circle(centre: Floats, ring: list[int], hanging: dict[int, list[int]]) -> list[int]:
    """Nodes on a circle, several that hang on one of them on an arc outside it; return those.

    All on an arc are equally far from what they hang on, so that no line to one crosses another.
    """
    fans = {i: members for i, members in hanging.items() if len(members) > 1}
    reach = {i: max(1.1, FAN_STEP * (len(members) - 1) / FAN) for i, members in fans.items()}
    room = np.array([2.0 * reach[i] + 1.2 if i in fans else 1.0 for i in ring])
    radius = room.sum() / (2 * np.pi)
    turn = 2 * np.pi * (np.cumsum(room) - 0.5 * room - 0.5 * room[0]) / room.sum()
    angle = np.pi / 2 - turn
    centre[ring] = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    for i, out in zip(ring, angle, strict=True):
        if i in fans:
            step = min(FAN_STEP / reach[i], FAN / (len(fans[i]) - 1))
            swing = out + step * ((len(fans[i]) - 1) / 2 - np.arange(len(fans[i])))
            centre[fans[i]] = centre[i] + reach[i] * np.column_stack([np.cos(swing), np.sin(swing)])
    return [j for members in fans.values() for j in members]


def _place_outside(centre: Floats, neighbours: dict[int, list[int]], placed: list[int]) -> None:
    """Each other node one step outside the nodes that it hangs on, seen from the middle of the picture."""
    middle = (centre[placed].min(axis=0) + centre[placed].max(axis=0)) / 2
    taken = [tuple(centre[i]) for i in placed]
    for i in sorted(set(neighbours) - set(placed)):
        at = np.mean([centre[j] for j in neighbours[i]], axis=0) if neighbours[i] else middle
        out = at - middle
        turn = np.arctan2(out[1], out[0]) if np.hypot(*out) > 1e-9 else -np.pi / 2
        centre[i] = _free_spot(at, turn, taken)
        taken.append(tuple(centre[i]))


def _free_spot(at: Floats, turn: float, taken: list[tuple[float, float]]) -> Floats:
    others = np.array(taken)
    for reach in (1.0, 1.5, 2.0, 3.0):
        for swing in (0, 1, -1, 2, -2, 3, -3):
            angle = turn + swing * np.pi / 6
            spot = at + reach * np.array([np.cos(angle), np.sin(angle)])
            if np.abs(others - spot).max(axis=1).min() >= 0.85:
                return np.asarray(spot)
    return np.asarray(at + 4.0 * np.array([np.cos(turn), np.sin(turn)]))
