"""Which bandwidths may change: one choice per link, or per direction, and what a B/s of it costs.

A *lane* is one direction of a link (both together where it is half duplex): the number that a package gives
as a bandwidth. A *choice* widens one lane, or both lanes of a link alike.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from noptoolkit._arrays import Floats, Ints
from noptoolkit.errors import RoutingError, TopologyError, UnknownNameError
from noptoolkit.network import flow_network
from noptoolkit.package import Package
from noptoolkit.package.edits import Links, chosen_directions

__all__ = ["Choices", "Directions", "choices_of", "with_lane_bandwidths"]

SLIVER = 1e-9

Directions = Literal["both", "each"]
"""Whether a link is widened in both directions alike, or each direction by itself."""


@dataclass(frozen=True, eq=False)
class Choices:
    """Bandwidths that may change.

    Parameters
    ----------
    package
        Package that the choices are of.
    names
        Name of each choice: ``a->b`` one direction, ``a<->b`` both, [choices].
    lanes
        Which lanes each choice widens, [lanes, choices]; lane ``2 i`` is link i from its first end to its
        second, lane ``2 i + 1`` the other direction.
    on_resources
        Capacity of each resource of the network per B/s of each choice, [resources, choices].
    price
        Units of the budget per B/s of each choice, [choices].
    start
        Bandwidth of each lane before anything is spent, in B/s, [lanes].
    capacity
        Capacity of each resource of the network then, in B/s, [resources].
    """

    package: Package
    names: tuple[str, ...]
    lanes: csr_array[Any]
    on_resources: csr_array[Any]
    price: Floats
    start: Floats
    capacity: Floats

    def widened(self, extra: Floats) -> Package:
        """Return the package with some bandwidth more than at the start, in B/s, [choices].

        A lane that would have none keeps a sliver, 1e-9 of today's, so that the links stay the same.
        """
        lanes = self.start + self.lanes @ np.maximum(extra, 0.0)
        return with_lane_bandwidths(
            self.package, np.maximum(lanes, SLIVER * self.package.link_bandwidths.ravel())
        )


def choices_of(
    package: Package,
    links: Links = "d2d",
    *,
    directions: Directions = "both",
    price: Floats | None = None,
    floor: float = 1.0,
) -> Choices:
    """Return the bandwidths of some links as choices.

    Parameters
    ----------
    links
        As `Package.with_link_bandwidth` takes them; a name of one direction chooses that direction alone.
    directions
        Whether both chosen directions of a link change alike, or each by itself.
    price
        Units of the budget per B/s of a link's bandwidth, each direction counted, [links]; 1 where ``None``:
        the budget is then bandwidth, both directions together, half duplex counted once.
    floor
        Share of today's bandwidth that the chosen links keep in any case, from 0 to 1.

    Raises
    ------
    UnknownNameError
        If a name matches no link.
    RoutingError
        If the price of a link is not above 0.
    """
    if directions not in ("both", "each"):
        raise UnknownNameError(f"directions {directions!r} is not known; give 'both' or 'each'")
    if not 0 <= floor <= 1:
        raise RoutingError(f"floor {floor!r} is a share of today's bandwidth; give it from 0 to 1")
    network = flow_network(package)
    resource = _resource_of_lane(package)
    per_link = np.ones(len(package.links)) if price is None else np.asarray(price, dtype=float)
    names: list[str] = []
    rows: list[int] = []
    columns: list[int] = []
    cost: list[float] = []
    for link, chosen in enumerate(chosen_directions(package, links)):
        there = [lane for lane in (2 * link, 2 * link + 1) if resource[lane] >= 0]
        mine = [lane for lane in there if chosen & (1 + lane % 2)]
        if package.links[link].half_duplex and chosen:
            mine = there
        if not mine:
            continue
        if not (per_link[link] > 0 and np.isfinite(per_link[link])):
            raise RoutingError(
                f"package {package.name!r}: a B/s of link {package.links[link].a!r} to "
                f"{package.links[link].b!r} costs {per_link[link]:g}; a price must be above 0"
            )
        for group in [mine] if directions == "both" else [[lane] for lane in mine]:
            rows += group
            columns += [len(names)] * len(group)
            cost.append(per_link[link] * len(group))
            names.append(_name(package, group))
    if not names:
        raise UnknownNameError(f"package {package.name!r} has no link to widen among those chosen")
    shape = (2 * len(package.links), len(names))
    lanes = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    used = np.flatnonzero(resource >= 0)
    gather: Any = csr_array((np.ones(len(used)), (resource[used], used)), (network.num_resources, shape[0]))
    today = package.link_bandwidths.ravel()
    given_up = np.where(lanes.sum(axis=1) > 0, (1.0 - floor) * today, 0.0)
    return Choices(
        package,
        tuple(names),
        lanes,
        csr_array(gather @ lanes),
        np.array(cost),
        today - given_up,
        np.maximum(network.capacity - gather @ given_up, 0.0),
    )


def with_lane_bandwidths(package: Package, lanes: Floats) -> Package:
    """Return a package with the bandwidth of each lane, in B/s, [2 x links].

    Raises
    ------
    TopologyError
        If a bandwidth is below 0, or a link has none left.
    """
    if (lanes < 0).any() or not np.isfinite(lanes).all():
        worst = int(np.argmin(np.where(np.isfinite(lanes), lanes, -np.inf))) // 2
        link = package.links[worst]
        raise TopologyError(f"link {link.a!r} to {link.b!r}: a bandwidth must be finite and not below 0")
    links = []
    for link, (out, back) in zip(package.links, lanes.reshape(-1, 2).tolist(), strict=True):
        if link.half_duplex:
            links.append(link if out == link.bandwidth else dataclasses.replace(link, bandwidth=out))
        elif (out, back) == (link.bandwidth, link.backward_bandwidth):
            links.append(link)
        else:
            reverse = None if back == out else back
            links.append(dataclasses.replace(link, bandwidth=out, reverse_bandwidth=reverse))
    return package.replace(links=links)


def _resource_of_lane(package: Package) -> Ints:
    """Return the channel resource that each lane adds its bandwidth to, -1 for none, [2 x links]."""
    network = flow_network(package)
    found = np.full(2 * len(package.links), -1)
    for i, channel in enumerate(package.channels):
        link = package.links[channel.link]
        lane = 2 * channel.link + (channel.tail != link.a)
        if link.half_duplex and lane % 2:
            continue  # its bandwidth is the one of the other direction
        found[lane] = network.own[network.arc_of_channel[i]]
    return found


def _name(package: Package, lanes: list[int]) -> str:
    link = lanes[0] // 2
    names = [c.name for c in package.channels if c.link == link]
    if len(lanes) == 2 or package.links[link].half_duplex:
        return names[0].replace("->", "<->")
    tail = (package.links[link].a, package.links[link].b)[lanes[0] % 2]
    return next(c.name for c in package.channels if c.link == link and c.tail == tail)
