"""Where the PHYs of a RapidChiplet design are: at the places where links leave the dies, at the right length.

A link leaves a die where the line to the other die's centre crosses the outline, as in
`noptoolkit.physical.geometry`; the Manhattan distance of its two PHYs is then the length that the package
measures. A link that states another length gets it where two points of the dies are that far apart: both
PHYs move together from these places to the nearest or to the farthest points of the dies. Interposer routers
are points, so links between two of them have the distance that they have.
"""

from __future__ import annotations

from noptoolkit.package import Link, LinkKind, Package, Switch

__all__ = ["phy_points"]

Point = tuple[float, float]
Box = tuple[float, float, float, float]
TOLERANCE = 1e-9  # m


def phy_points(package: Package, link: Link) -> tuple[Point, Point, bool]:
    """Return where both ends of a link are, in m, and whether they are as far apart as the link is long.

    Parameters
    ----------
    package
        Package in which every node has a position.
    link
        One of its links.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> package = mesh(2)
    >>> (ax, _), (bx, _), exact = phy_points(package, package.links[0])
    >>> round((bx - ax) * 1e3, 9), exact
    (1.0, True)
    """
    a, b = _box(package, link.a), _box(package, link.b)
    start, length = (_way_out(a, b), _way_out(b, a)), _length(package, link)
    if abs(_distance(start) - length) <= TOLERANCE:
        return (*start, True)
    goal = _nearest(a, b) if length < _distance(start) else _farthest(a, b)
    low, high = 0.0, 1.0  # share of the way to the goal
    rising = _distance(goal) > _distance(start)
    if (_distance(goal) - length) * (1 if rising else -1) < -TOLERANCE:
        return (*goal, False)
    for _ in range(60):
        middle = (low + high) / 2
        if (_distance(_between(start, goal, middle)) < length) == rising:
            low = middle
        else:
            high = middle
    found = _between(start, goal, (low + high) / 2)
    return (*found, abs(_distance(found) - length) <= TOLERANCE)


def _length(package: Package, link: Link) -> float:
    """Return the length of a link in m: its own, or between the outlines, those of switches too."""
    if link.length is not None:
        return link.length
    if link.kind is LinkKind.HYBRID_BOND:
        return 0.0
    a, b = _box(package, link.a, points=False), _box(package, link.b, points=False)
    return _distance((_way_out(a, b), _way_out(b, a)))


def _box(package: Package, name: str, *, points: bool = True) -> Box:
    """Return centre and half size of a node; switches may be points."""
    node = package[name]
    x, y = node.position or (0.0, 0.0)
    point = points and isinstance(node, Switch)
    width, height = (0.0, 0.0) if point else node.size or (0.0, 0.0)
    return x, y, width / 2, height / 2


def _way_out(box: Box, other: Box) -> Point:
    """Return where the line to another centre crosses the outline of a box."""
    x, y, half_width, half_height = box
    dx, dy = other[0] - x, other[1] - y
    shares = [abs(way) / half for way, half in ((dx, half_width), (dy, half_height)) if half > 0]
    if not shares:
        return x, y
    largest = max(1.0, *shares)
    return (
        x + (dx / largest if half_width > 0 else 0.0),
        y + (dy / largest if half_height > 0 else 0.0),
    )


def _nearest(a: Box, b: Box) -> tuple[Point, Point]:
    """Return the points of two boxes that are nearest to each other."""
    (ax, bx), (ay, by) = (_near(a[i], a[i + 2], b[i], b[i + 2]) for i in (0, 1))
    return (ax, ay), (bx, by)


def _near(a: float, half_a: float, b: float, half_b: float) -> tuple[float, float]:
    low, high = max(a - half_a, b - half_b), min(a + half_a, b + half_b)
    if low <= high:  # they overlap on this axis
        return (low + high) / 2, (low + high) / 2
    return (a + half_a, b - half_b) if a < b else (a - half_a, b + half_b)


def _farthest(a: Box, b: Box) -> tuple[Point, Point]:
    """Return the corners of two boxes that are farthest from each other."""
    signs = [1 if a[i] <= b[i] else -1 for i in (0, 1)]
    return (
        (a[0] - signs[0] * a[2], a[1] - signs[1] * a[3]),
        (b[0] + signs[0] * b[2], b[1] + signs[1] * b[3]),
    )


def _between(start: tuple[Point, Point], goal: tuple[Point, Point], share: float) -> tuple[Point, Point]:
    (a, b), (c, d) = start, goal
    return (
        (a[0] + (c[0] - a[0]) * share, a[1] + (c[1] - a[1]) * share),
        (b[0] + (d[0] - b[0]) * share, b[1] + (d[1] - b[1]) * share),
    )


def _distance(ends: tuple[Point, Point]) -> float:
    (ax, ay), (bx, by) = ends
    return abs(ax - bx) + abs(ay - by)
