"""How links and channels run between the boxes: centre lines, and ribbons along them.

A link between neighbours is a straight line; where boxes face each other it meets both at a right angle. A
link whose straight line would cross a third box (the wrap links of a torus) leaves by the corner and runs
beside the row, half a pitch away; where that is far, only its two ends are drawn, as stubs. A channel is a
ribbon on the right-hand side of its link in the direction of travel, its width proportional to its
bandwidth, its end a tip. Parallel links lie side by side.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.drawing.layout import GAP, Layout, place
from noptoolkit.package import LinkKind, Package

__all__ = [
    "ROOMY",
    "arrange",
    "channel_ribbons",
    "channel_widths",
    "covering_width",
    "drawn_links",
    "far_apart",
    "lane_width",
    "link_lines",
    "link_widths",
    "relative_width",
]

ROOMY = 0.46  # gap between boxes where the channels are the matter: boxes are smaller than in other pictures
LANE = 0.13  # widest lane, in pitches
BORDER = 0.4  # share of a box's border that the lanes one way may take
SEAM = 0.18  # gap between the two lanes of a link, in widest lanes
LONG = 6.0  # pitches beyond which a way round is drawn as two stubs
STUB = 0.8  # length of a stub from the centre of its box, in pitches
TANGLED = 0.04  # share of tangled links beyond which positions are given up
WIDE_RANGE = 6.0  # fastest over slowest link beyond which widths follow the square root
THINNEST = 0.12  # thinnest lane, in widest lanes: what is there stays visible

Points = Floats
Track = tuple[int, float, float, float]  # axis along which a way round runs, where across, from, to


def lane_width(package: Package, layout: Layout, *, border: float = BORDER) -> float:
    """Return the width of the widest channel's ribbon, in the layout's unit.

    It leaves room between the boxes, for parallel links, and for all links of a node round its box: their
    lanes one way take at most ``border`` of it.
    """
    groups = _parallel(package)
    parallel = max(map(len, groups.values()), default=1)
    room = min(layout.pitch, 5.0 * float(layout.half.min()))
    degree = np.zeros(len(package.nodes))
    for pair, members in groups.items():
        if any(layout.under[package.index[name]] for name in pair):
            continue
        for name in pair:
            degree[package.index[name]] += len(members)
    share = float((4.0 * layout.half.sum(axis=1) / np.maximum(degree, 1.0)).min())
    if layout.crowded or layout.kind == "circle":
        room, border = 0.5 * room, 0.5 * border
    return min(LANE * room / (1.0 if parallel == 1 else 0.85 * parallel), border * share)


def channel_widths(package: Package, widest: float, reference: float | None = None) -> Points:
    """Return the width of each channel's ribbon, [channels]: by bandwidth, as `relative_width` has it.

    ``reference`` is the bandwidth in B/s of the widest, the largest where ``None``; faster ones are cut.
    """
    bandwidth = np.array([channel.bandwidth for channel in package.channels])
    shown = np.minimum(bandwidth, reference or np.inf)
    return np.asarray(widest * relative_width(shown, np.append(shown, reference or [])))


def link_widths(package: Package, layout: Layout, widest: float) -> Points:
    """Return the width of each link's line, [links], by its faster direction; the fastest has the widest."""
    bandwidth = package.link_bandwidths.max(axis=1, initial=0.0)
    return np.asarray(widest * relative_width(bandwidth, bandwidth[drawn_links(package, layout)]))


def relative_width(bandwidth: Points, drawn: Points) -> Points:
    """Return widths of lines, the fastest of those drawn 1, by bandwidth.

    They are proportional to it, or to its square root where the fastest is more than `WIDE_RANGE` times as
    fast as the slowest: else slow links could not be told apart.
    """
    most = float(drawn.max(initial=0.0)) or 1.0
    return np.asarray(np.clip((bandwidth / most) ** (0.5 if far_apart(drawn) else 1.0), THINNEST, 1.0))


def far_apart(bandwidth: Points) -> bool:
    """Return whether the fastest is more than `WIDE_RANGE` times as fast as the slowest."""
    return float(bandwidth.max(initial=0.0)) > WIDE_RANGE * float(bandwidth.min(initial=np.inf))


def drawn_links(package: Package, layout: Layout) -> Bools:
    """Return which links are seen, [links]: not the bonds of a die to what stands on it."""
    return np.asarray(~layout.under[package.link_ends].any(axis=1))


def covering_width(layout: Layout, lines: list[list[Points]]) -> float:
    """Return the width at which lines cover half of their disc: so dense, they show as a tone.

    Infinite where they do not lie in a disc.
    """
    pieces = [piece for pieces in lines for piece in pieces]
    length = sum(float(np.hypot(*np.diff(piece, axis=0).T).sum()) for piece in pieces)
    if layout.kind != "circle" or not length:
        return float("inf")
    return float(0.5 * np.pi * np.abs(np.vstack(pieces)).max() ** 2 / length)


def arrange(
    package: Package, *, physical: bool | None = None, gap: float = GAP
) -> tuple[Layout, list[list[Points]]]:
    """Return a layout and the pieces of each link's centre line in it.

    Parameters
    ----------
    package
        Package to lay out.
    physical
        Whether to keep to the nodes' own positions; ``None``: unless the links would be tangled in them,
        be the boxes as small as they are drawn in any picture. All pictures of a package choose alike.
    gap
        See `place`.
    """
    layout = place(package, physical=physical is not False, gap=gap)
    most = TANGLED * len(package.links) if physical is None and layout.kind == "physical" else np.inf
    lines, tangled = link_lines(package, layout, most)
    if tangled:
        crowded = dataclasses.replace(layout, crowded=True)
        again, left = link_lines(package, crowded, most)
        if left < tangled:
            layout, lines, tangled = crowded, again, left
    if tangled <= most:
        return layout, lines
    if gap < ROOMY:
        return arrange(package, gap=ROOMY)
    layout, lines = arrange(package, physical=False, gap=gap)
    return dataclasses.replace(layout, given_up=True), lines


def link_lines(package: Package, layout: Layout, most: float = np.inf) -> tuple[list[list[Points]], int]:
    """Return the pieces of each link's centre line, [points, 2] each, and how many links are tangled.

    Lines run from inside the box of ``a`` to inside that of ``b``. A link has one piece; a long way round
    has two, the stubs at its ends; the bond of a die under a node has none. Tangled is a way round that
    crosses a third box (bonds aside) or lies on another's. At more than ``most`` of them the rest stay
    straight.
    """
    ends = package.link_ends
    start, stop = _facing_points(layout, ends)
    shift = _side_by_side(package, layout)
    along = stop - start
    length = np.maximum(np.hypot(*along.T), 1e-12)
    normal = np.column_stack([along[:, 1], -along[:, 0]]) / length[:, None]
    start, stop = start + shift[:, None] * normal, stop + shift[:, None] * normal
    seen = drawn_links(package, layout)
    lines = [
        [line] if shown else [] for line, shown in zip(np.stack([start, stop], axis=1), seen, strict=True)
    ]
    middle = np.median(layout.centre, axis=0)
    if layout.kind == "circle":
        round_ = layout.on_circle[ends].all(axis=1) & (length > 1.3)
        for i in np.flatnonzero(round_):
            lines[i] = [_chord(start[i], stop[i])]
        return lines, 0
    tangled = 0
    tracks: list[Track] = []
    for i in np.flatnonzero(seen & (length > 1.2 * layout.pitch)):
        if not _crosses_box(layout, ends[i], start[i], stop[i]):
            continue
        axis = int(np.argmax(np.abs(along[i])))
        straight = abs(along[i, 1 - axis]) < 1e-6 * length[i]
        if straight and length[i] > LONG * layout.pitch:
            stub = STUB * layout.pitch * along[i] / length[i]
            lines[i] = [np.stack([start[i], start[i] - stub]), np.stack([stop[i] + stub, stop[i]])]
            continue
        near, far = sorted((start[i, axis], stop[i, axis]))
        for outer_side in (True, False):
            detour = _detour(start[i], stop[i], layout, middle, outer_side=outer_side)
            track = (axis, float(detour[len(detour) // 2, 1 - axis]), float(near), float(far))
            alone = not any(_overlap(track, other, layout.pitch) for other in tracks)
            if alone and (straight or _clear(layout, ends[i], detour)):
                break
        else:
            tangled += straight or package.links[i].kind is not LinkKind.HYBRID_BOND
        lines[i] = [detour]
        tracks.append(track)
        if tangled > most:
            break
    return lines, tangled


def _overlap(one: Track, other: Track, pitch: float) -> bool:
    beside = one[0] == other[0] and abs(one[1] - other[1]) < 0.06 * pitch
    return beside and one[2] < other[3] - 0.1 * pitch and other[2] < one[3] - 0.1 * pitch


def _chord(start: Points, stop: Points) -> Points:
    """Return a curve between two places on a circle round the origin that bends towards it."""
    pull = 0.35 * (start + stop) / 2
    part = np.linspace(0.0, 1.0, 17)[:, None]
    return np.asarray((1 - part) ** 2 * start + 2 * part * (1 - part) * pull + part**2 * stop)


def channel_ribbons(
    package: Package, layout: Layout, lines: list[list[Points]], widths: Points, widest: float
) -> tuple[list[Points], Ints]:
    """Return the outlines of the channels' ribbons, [corners, 2] each, and the channel of each.

    Ribbons lie in the order of the channels; each ends in a tip on the border of its head's box.
    """
    two_way = np.zeros(len(package.links), dtype=int)
    for channel in package.channels:
        two_way[channel.link] += 1
    ribbons: list[Points] = []
    owner: list[int] = []
    for i, (channel, width) in enumerate(zip(package.channels, widths, strict=True)):
        pieces = lines[channel.link]
        if channel.tail != package.links[channel.link].a:
            pieces = [piece[::-1] for piece in reversed(pieces)]
        offset = (width + SEAM * widest) / 2 if two_way[channel.link] == 2 else 0.0
        for piece in pieces:
            spine = _cut_end(_beside(piece, float(offset)), layout, package.index[channel.head])
            spine = _cut_end(spine[::-1], layout, package.index[channel.tail])[::-1]
            ribbons.append(_pointed_band(spine, float(width)))
            owner.append(i)
    return ribbons, np.array(owner, dtype=np.int64)


def _beside(line: Points, offset: float) -> Points:
    """Return a line moved to the right of its own direction."""
    return line + offset * _right_of(line)


def _right_of(line: Points) -> Points:
    """Return the unit normals to the right at each point of a line."""
    step = np.diff(line, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    direction = step / np.maximum(length, 1e-12)[:, None]
    right = np.column_stack([direction[:, 1], -direction[:, 0]])
    bend = np.vstack([right[:1], right[:-1] + right[1:], right[-1:]])
    bend /= np.maximum(np.hypot(bend[:, 0], bend[:, 1]), 1e-12)[:, None]
    return np.asarray(bend)


def _pointed_band(line: Points, width: float) -> Points:
    """Return a band along a line, pointed at its far end."""
    last = line[-1] - line[-2]
    length = float(np.hypot(*last))
    shoulder = line[-1] - min(1.1 * width, 0.8 * length) / max(length, 1e-12) * last
    spine = np.vstack([line[:-1], shoulder])
    side = width / 2 * _right_of(spine)
    return np.vstack([spine + side, line[-1], (spine - side)[::-1]])


def _parallel(package: Package) -> dict[frozenset[str], list[int]]:
    groups: dict[frozenset[str], list[int]] = defaultdict(list)
    for i, link in enumerate(package.links):
        groups[frozenset((link.a, link.b))].append(i)
    return groups


def _side_by_side(package: Package, layout: Layout) -> Points:
    """Return how far each link is moved sideways (to the right of a to b) for its parallels' sake."""
    shift = np.zeros(len(package.links))
    step = lane_width(package, layout) * (2.0 + 3 * SEAM)
    for members in _parallel(package).values():
        for k, i in enumerate(members):
            right_of_first = package.links[i].a == package.links[members[0]].a
            shift[i] = (k - (len(members) - 1) / 2) * step * (1 if right_of_first else -1)
    return shift


def _facing_points(layout: Layout, ends: Ints) -> tuple[Points, Points]:
    """Return a point in each end's box: level with each other where the boxes face, else the centres."""
    start, stop = layout.centre[ends[:, 0]].copy(), layout.centre[ends[:, 1]].copy()
    half_a, half_b = layout.half[ends[:, 0]], layout.half[ends[:, 1]]
    low = np.maximum(start - half_a, stop - half_b)
    high = np.minimum(start + half_a, stop + half_b)
    enough = (high - low) >= np.minimum(half_a, half_b)
    for axis in (0, 1):
        level = enough[:, axis] & ~enough[:, 1 - axis]
        shared = (low[level, axis] + high[level, axis]) / 2
        start[level, axis] = stop[level, axis] = shared
    return start, stop


def _crosses_box(layout: Layout, ends: Ints, start: Points, stop: Points) -> bool:
    """Return whether a straight line crosses the box of a node that is not at its ends."""
    low, high = layout.centre - 0.85 * layout.half, layout.centre + 0.85 * layout.half
    along = stop - start
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (low - start) / along, (high - start) / along
    parallel = np.abs(along) < 1e-12
    inside = (start > low) & (start < high)
    near = np.where(parallel, np.where(inside, -np.inf, np.inf), np.minimum(first, second)).max(axis=1)
    far = np.where(parallel, np.inf, np.maximum(first, second)).min(axis=1)
    crossed = (near < far) & (near < 1.0) & (far > 0.0) & ~layout.under
    crossed[ends] = False
    return bool(crossed.any())


def _clear(layout: Layout, ends: Ints, line: Points) -> bool:
    """Return whether a bent line keeps off the boxes of all nodes that are not at its ends."""
    others = np.delete(np.arange(len(layout.centre)), ends)
    others = others[~layout.under[others]]
    parts = np.linspace(0.0, 1.0, 4, endpoint=False)[:, None, None]
    dots = (line[:-1] + parts * np.diff(line, axis=0)).reshape(-1, 2)
    inside = np.abs(dots[:, None] - layout.centre[others]) < 0.95 * layout.half[others]
    return not bool(inside.all(axis=2).any())


def _detour(
    start: Points, stop: Points, layout: Layout, middle: Points, *, outer_side: bool = True
) -> Points:
    """Return a line that runs beside the straight one, in the free lane on its outer or its inner side."""
    along = stop - start
    length = float(np.hypot(*along))
    direction = along / length
    side = np.array([-direction[1], direction[0]])
    outward = float(np.dot((start + stop) / 2 - middle, side))
    if abs(outward) < 1e-9 * layout.pitch:
        outward = 1.0 if (side[1], side[0]) > (0.0, 0.0) else -1.0
    side = side * np.sign(outward) * (1 if outer_side else -1)
    ramp = min(0.55 * layout.pitch, length / 2)
    part = np.linspace(0.0, 1.0, 17)
    rise = _free_lane(start, direction, length, side, layout) * part * part * (3.0 - 2.0 * part)
    up = start + np.outer(ramp * part, direction) + np.outer(rise, side)
    down = stop - np.outer(ramp * part, direction) + np.outer(rise, side)
    return np.vstack([up, down[::-1]])


def _free_lane(start: Points, direction: Points, length: float, side: Points, layout: Layout) -> float:
    """Return how far beside a line to run: in the middle of the free space, or in the near third of it."""
    offset = layout.centre - start
    reach_along, reach_across = (layout.half @ np.abs(axis) for axis in (direction, side))
    across = offset @ side
    near = (np.abs(offset @ direction - length / 2) < length / 2 + reach_along) & (across > -reach_across)
    on_line = near & (across - reach_across < 0)
    beyond = near & ~on_line
    inner = float((across + reach_across)[on_line].max(initial=0.0))
    outer = float((across - reach_across)[beyond].min(initial=np.inf))
    share = 1 / 3 if layout.crowded else 1 / 2
    return inner + min(share * (outer - inner), 0.4 * share * layout.pitch)


def _cut_end(line: Points, layout: Layout, node: int) -> Points:
    """Return a line without the part at its end that lies in a node's outline, corners taken off."""
    offset = (line - layout.centre[node]) / layout.half[node]
    depth = np.maximum(np.abs(offset).max(axis=1), np.abs(offset).sum(axis=1) / layout.bevel[node])
    outside = np.flatnonzero(depth > 1.0)
    if not len(outside) or outside[-1] == len(line) - 1:
        return line
    i = int(outside[-1])
    inner, along = offset[i + 1], offset[i] - offset[i + 1]
    sign = np.sign(along)
    rise = np.abs(along)
    walls = np.divide(1.0 - sign * inner, rise, out=np.full(2, np.inf), where=rise > 1e-12)
    corner = (layout.bevel[node] - (sign * inner).sum()) / rise.sum()
    reach = float(np.clip(min(walls.min(), corner), 0.0, 1.0))
    return np.vstack([line[: i + 1], line[i + 1] + reach * (line[i] - line[i + 1])])
