"""Channels, expert groups and link arrays that follow from a package's nodes and links."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Floats, Ints
from noptoolkit.package.elements import Channel, Chiplet
from noptoolkit.package.graph import Package

__all__ = ["channels", "expert_groups", "link_bandwidths", "link_ends", "link_totals"]


def channels(package: Package) -> tuple[Channel, ...]:
    """Return both directions of every link, those without bandwidth left out."""
    ways = (
        (tail, head, bandwidth, i)
        for i, link in enumerate(package.links)
        for tail, head, bandwidth in (
            (link.a, link.b, link.bandwidth),
            (link.b, link.a, link.backward_bandwidth),
        )
        if bandwidth > 0
    )
    return tuple(Channel(name, *way) for name, way in zip(package.channel_names, ways, strict=True))


def expert_groups(package: Package) -> tuple[tuple[int, ...], ...]:
    """Return the indices into ``package.experts`` of each group; a chiplet without a group is one itself."""
    groups: dict[tuple[bool, str], list[int]] = {}
    for i, name in enumerate(package.experts):
        chiplet = package[name]
        assert isinstance(chiplet, Chiplet)
        key = (True, chiplet.group) if chiplet.group else (False, name)
        groups.setdefault(key, []).append(i)
    return tuple(tuple(members) for members in groups.values())


def link_ends(package: Package) -> Ints:
    """Return the indices of the two nodes that each link joins, [links, 2]."""
    index = package.index
    ends = [index[name] for link in package.links for name in (link.a, link.b)]
    return _read_only(np.array(ends, dtype=np.int64).reshape(-1, 2))


def link_bandwidths(package: Package) -> Floats:
    """Return the bandwidth of each link from its first end to its second and back, in B/s, [links, 2]."""
    widths = [width for link in package.links for width in (link.bandwidth, link.backward_bandwidth)]
    return _read_only(np.array(widths, dtype=float).reshape(-1, 2))


def link_totals(package: Package) -> Floats:
    """Return the bandwidth of each link, both directions, half duplex counted once, in B/s, [links]."""
    half = np.array([link.half_duplex for link in package.links], dtype=bool)
    forward, backward = package.link_bandwidths.T
    return _read_only(forward + np.where(half, 0.0, backward))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
