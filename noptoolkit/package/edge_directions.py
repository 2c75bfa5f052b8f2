"""Directed edges joined to links: opposite ones that agree make a full-duplex link.

A link has one latency, length, energy and kind for both directions, and a bandwidth for each. So opposite
edges that agree in all but bandwidth are one link, and those that do not are two one-way links.

`Package.graph` has one edge for all parallel channels of a direction. Where that hides what the links are
(two or more, or a form that equality would notice), the edge also has ``links``, their fields; ``channels``
gives their order. What was edited since then holds: a changed bandwidth is shared in the old proportions, any
other changed attribute is that of all links of the edge.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noptoolkit.errors import NopError
from noptoolkit.package.elements import Link

__all__ = ["Direction", "expand_edge", "hidden_links", "join_directions", "shared_attributes"]

SHARED = ("kind", "latency", "energy_per_bit", "half_duplex", "length")
"""Fields that both directions of a link have in common."""


@dataclass(frozen=True)
class Direction:
    """One direction of a link to be; a whole link where ``directed`` is false.

    Parameters
    ----------
    link
        Link from tail to head, one-way where directed.
    directed
        Whether an opposite direction may join it.
    whole
        Link that it was part of, where nothing of it was changed.
    order
        Index of the channel that it was, infinite where it was none.
    """

    link: Link
    directed: bool
    whole: Link | None = None
    order: float = math.inf


def shared_attributes(link: Link) -> dict[str, Any]:
    """Return the attributes of an edge of `Package.graph` but its bandwidth."""
    found: dict[str, Any] = {
        "latency": link.latency,
        "kind": str(link.kind),
        "half_duplex": link.half_duplex,
    }
    for field in ("energy_per_bit", "length"):
        if getattr(link, field) is not None:
            found[field] = getattr(link, field)
    return found


def hidden_links(links: Sequence[Link]) -> tuple[dict[str, Any], ...]:
    """Return the fields of the links behind an edge where its own attributes do not tell them.

    They tell a single link unless it is one-way, or both of its bandwidths are given and equal.
    """
    if len(links) == 1:
        (link,) = links
        if link.bandwidth > 0 and link.reverse_bandwidth not in (0.0, link.bandwidth):
            return ()
    names = [field.name for field in dataclasses.fields(Link)]
    return tuple({name: getattr(link, name) for name in names} | {"kind": str(link.kind)} for link in links)


def expand_edge(
    tail: str,
    head: str,
    values: Mapping[str, Any],
    structure: Mapping[str, Any],
    directed: bool,
    ignored: dict[str, None],
) -> list[Direction]:
    """Return the directions that an edge stands for.

    Parameters
    ----------
    tail, head
        Names of its ends.
    values
        Fields of `Link` but its ends.
    structure
        ``channels`` and ``links`` of an edge of `Package.graph`.
    directed
        Whether it is one direction only.
    ignored
        Gets the parts of ``structure`` that are not as `Package.graph` has them.
    """
    channels = _channels(structure, ignored)
    wholes = _wholes(structure, tail, head, ignored)
    if wholes:
        return _parallel(tail, head, values, wholes, channels, directed)
    order = float(channels[0]) if channels else math.inf
    if not directed or "reverse_bandwidth" in values:
        return [Direction(Link(tail, head, **values), False, None, order)]
    return [Direction(_one_way(tail, head, values), True, None, order)]


def _one_way(tail: str, head: str, values: Mapping[str, Any]) -> Link:
    # half duplex comes back with the opposite direction; alone it would mean nothing
    return Link(tail, head, **{**values, "reverse_bandwidth": 0.0})


def _channels(structure: Mapping[str, Any], ignored: dict[str, None]) -> tuple[int, ...]:
    given = structure.get("channels", ())
    if isinstance(given, list | tuple) and all(type(entry) is int for entry in given):
        return tuple(given)
    ignored["attribute 'channels' of a link"] = None
    return ()


def _wholes(structure: Mapping[str, Any], tail: str, head: str, ignored: dict[str, None]) -> tuple[Link, ...]:
    given = structure.get("links", ())
    try:
        links = tuple(Link(**fields) for fields in given)
        if all({link.a, link.b} == {tail, head} for link in links):
            return links
    except (NopError, TypeError):
        pass
    ignored["attribute 'links' of a link"] = None
    return ()


def _parallel(
    tail: str,
    head: str,
    values: Mapping[str, Any],
    wholes: tuple[Link, ...],
    channels: tuple[int, ...],
    directed: bool,
) -> list[Direction]:
    """Return the directions of several links, with the changes that were made to their common edge."""
    forth = [link.bandwidth if link.a == tail else link.backward_bandwidth for link in wholes]
    total = sum(forth)
    scale = values["bandwidth"] / total if total > 0 else 1.0
    before = {**dict.fromkeys(SHARED), **shared_attributes(wholes[0])}
    now = {**before, **{key: value for key, value in values.items() if key in SHARED}}
    changed = {key: value for key, value in now.items() if value != before[key]}
    found = []
    for i, (link, width) in enumerate(zip(wholes, forth, strict=True)):
        order = float(channels[i]) if len(channels) == len(wholes) else math.inf
        same = scale == 1.0 and not changed
        if not directed:
            changes = changed if scale == 1.0 else {**changed, **_scaled(link, scale)}
            found.append(
                Direction(link if same else dataclasses.replace(link, **changes), False, None, order)
            )
            continue
        shared = {key: getattr(link, key) for key in SHARED} | changed
        way = _one_way(tail, head, {"bandwidth": width * scale, **shared})
        found.append(Direction(way, True, link if same else None, order))
    return found


def _scaled(link: Link, scale: float) -> dict[str, Any]:
    back = link.reverse_bandwidth
    return {
        "bandwidth": link.bandwidth * scale,
        "reverse_bandwidth": None if back is None else back * scale,
    }


def join_directions(
    directions: Sequence[Direction], faults: list[str]
) -> tuple[list[Link], tuple[int, tuple[str, ...]] | None]:
    """Return the links that directions make, in the order of their channels.

    Parameters
    ----------
    directions
        Directions of the edges, in their order.
    faults
        Gets what cannot be one link.

    Returns
    -------
    links : links in order
    apart : number of pairs of nodes whose directions differ and the fields in which they do, if there are any
    """
    ranked = sorted(enumerate(directions), key=lambda entry: (entry[1].order, entry[0]))
    made: list[Link] = []
    waiting: dict[tuple[str, str], list[tuple[int, Direction]]] = {}
    for _, direction in ranked:
        link = direction.link
        if not direction.directed:
            made.append(link)
            continue
        if direction.whole is not None and 0 in (link.bandwidth, _back(direction)):
            made.append(direction.whole)
            continue
        others = waiting.get((link.b, link.a), [])
        i = next((i for i, (_, other) in enumerate(others) if _same_link(direction, other)), None)
        if i is None:
            waiting.setdefault((link.a, link.b), []).append((len(made), direction))
            made.append(link)
            continue
        place, first = others.pop(i)
        if first.whole is not None and direction.whole is not None:
            made[place] = first.whole
            continue
        back = link.bandwidth if link.bandwidth != first.link.bandwidth else None
        if back is not None and link.half_duplex:
            faults.append(f"link {link.b!r}-{link.a!r}: half duplex with two bandwidths; give both the same")
        made[place] = dataclasses.replace(first.link, reverse_bandwidth=back)
    for place, direction in (entry for entries in waiting.values() for entry in entries):
        if direction.link.half_duplex:
            made[place] = dataclasses.replace(direction.link, half_duplex=False)
    return made, _differences(waiting)


def _back(direction: Direction) -> float:
    """Return the bandwidth of the way back of a whole link."""
    whole = direction.whole
    assert whole is not None
    return whole.backward_bandwidth if whole.a == direction.link.a else whole.bandwidth


def _same_link(direction: Direction, other: Direction) -> bool:
    if direction.whole is not None and other.whole is not None:
        return direction.whole == other.whole
    return all(getattr(direction.link, key) == getattr(other.link, key) for key in SHARED)


def _differences(
    waiting: Mapping[tuple[str, str], Sequence[tuple[int, Direction]]],
) -> tuple[int, tuple[str, ...]] | None:
    count = 0
    fields: dict[str, None] = {}
    for (a, b), entries in waiting.items():
        others = waiting.get((b, a), ())
        if entries and others and a < b:
            count += 1
            ours, theirs = entries[0][1].link, others[0][1].link
            fields |= {key: None for key in SHARED if getattr(ours, key) != getattr(theirs, key)}
    return (count, tuple(fields)) if count else None
