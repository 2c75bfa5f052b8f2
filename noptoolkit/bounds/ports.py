"""Ports that may be wired in any way: what leaves and enters a node, and byte-hops over all channels.

For N chiplets with whole links of b per direction and p_v ports each,

    T >= max over v of max(sent_v, received_v) / (p_v b)                                          (ports)
    T >= sum over s of (least byte-hops of s, `noptoolkit.bounds.moore`) / (2 b floor(sum p / 2))  (Moore)

The second holds for the demand, its transpose and their mean; if the sum of ports is odd, one port stays free
and the least over the chiplets that may have it counts. Prices a_u + b_v of an arc sum to the same for every
graph; by concavity equal ones are best for equal chiplets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from noptoolkit._arrays import Floats, Ints
from noptoolkit.bounds.moore import hops_of_row, levels
from noptoolkit.bounds.needs import Needs, needs_of
from noptoolkit.bounds.port_counts import Ports, equal_ports
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.errors import TopologyError
from noptoolkit.traffic import Traffic
from noptoolkit.units import Quantity

__all__ = ["MooreCertificate", "PortCertificate", "near_counts", "ports_bound"]


@dataclass(frozen=True, eq=False)
class PortCertificate:
    """The node whose ports are the fullest: price 1 on each of them.

    Parameters
    ----------
    needs, ports
        What is asked, and of what.
    node
        Index of the endpoint.
    sends
        Whether it is full with what it sends.
    """

    needs: Needs
    ports: Ports
    node: int
    sends: bool

    def recount(self) -> float:
        """Return the time of the node's ports, its bytes added up message by message."""
        traffic, v = self.needs.traffic, self.node
        total = float(traffic.demand[v].sum() if self.sends else traffic.demand[:, v].sum())
        for part, backwards in ((traffic.multicast, False), (traffic.reduction, True)):
            if part is None:
                continue
            for root, words, amount in zip(
                part.root.tolist(), part.members.tolist(), part.bytes.tolist(), strict=True
            ):
                bits = sum(word << (64 * i) for i, word in enumerate(words)) & ~(1 << root)
                bits &= (1 << len(traffic.endpoints)) - 1
                if self.sends != backwards:  # the node is the root
                    if root == v and bits:
                        total += amount if self.needs.copies else amount * bits.bit_count()
                elif bits >> v & 1:
                    total += amount
        return total / float((self.ports.out if self.sends else self.ports.into)[v])


@dataclass(frozen=True, eq=False)
class MooreCertificate:
    """Equal prices on all ports: byte-hops over all bandwidth.

    Parameters
    ----------
    needs, ports
        What is asked, and of what.
    side
        0 counts the rows of the demand, 1 its columns, 2 the mean of both.
    within
        How many other endpoints lie within each multiple of the reach, [endpoints][multiples]; or ``None``.
    """

    needs: Needs
    ports: Ports
    side: int
    within: tuple[Ints, ...] | None = None

    def recount(self) -> float:
        """Return the time, with every source's best case built as a tree and measured from its root."""
        demand = _sides(self.needs.demand)[self.side]
        each = [self._best_tree(v, demand[v], int(self.ports.count[v])) for v in range(len(demand))]
        hops = sum(each)
        if self.ports.odd:
            short = [
                hops - each[v] + self._best_tree(v, demand[v], int(self.ports.count[v]) - 1)
                for v in range(len(demand))
            ]
            hops = min([*short, *([hops] if len(self.ports.relays) else [])])
        return (hops + self.needs.entered) / self.ports.capacity

    def _best_tree(self, root: int, row: Floats, own: int) -> float:
        wanted = sorted((x for x in row.tolist() if x > 0), reverse=True)
        waiting = deque(sorted(self.ports.others(root).tolist(), reverse=True))
        shell, hop, total, placed = own, 0, 0.0, 0
        limit = None if self.within is None else self.within[root]
        room = 0
        while placed < len(wanted):
            hop += 1
            allowed = len(waiting) if limit is None else int(limit[min(hop, len(limit) - 1)]) - room
            taken = [waiting.popleft() for _ in range(min(shell, len(waiting), max(allowed, 0)))]
            blocked = shell - len(taken)
            if not taken and (limit is None or hop >= len(limit)):
                return float("inf")
            for _ in taken:
                if placed < len(wanted):
                    total += hop * wanted[placed]
                    placed += 1
            room += len(taken)
            shell = sum(max(ports - 1, 0) for ports in taken) + (blocked if limit is not None else 0)
        return total


def _sides(demand: Floats) -> tuple[Floats, Floats, Floats]:
    return demand, demand.T, (demand + demand.T) / 2


def ports_bound(
    traffic: Traffic,
    ports: Ports | int | Sequence[int] | Mapping[str, int],
    bandwidth: Quantity | None = None,
    *,
    relays: Sequence[int] = (),
    positions: ArrayLike | None = None,
    reach: float | None = None,
    any_place: bool = False,
    copies: bool = True,
) -> TopologyBound:
    """Return a bound over all packages with these ports, wired in any way: ports, and Moore sums.

    Parameters
    ----------
    ports, bandwidth, relays
        As `equal_ports` takes them, or its result, or that of `ports_of`.
    positions
        Place of each endpoint, in pitches, [endpoints, 2]; only needed with ``reach``.
    reach
        Longest link, in pitches, Manhattan.
    any_place
        Whether endpoints may exchange their places: each then counts as the one with the most in reach.
    copies
        Whether the network may copy messages to sets, and add reductions, wherever it likes.

    Raises
    ------
    TopologyError
        If the class holds no connected package.

    Examples
    --------
    >>> from noptoolkit.topology import torus
    >>> from noptoolkit.traffic import all_to_all
    >>> found = ports_bound(all_to_all(torus(4), "1 MB"), 4, "1 GB/s")
    >>> round(1e3 * found.time, 6), found.theorem, found.verify()
    (6.5, 'ports + Moore', True)
    """
    needs = needs_of(traffic, copies=copies)
    if not isinstance(ports, Ports):
        if bandwidth is None:
            raise TopologyError("give the bandwidth of a link per direction with its ports")
        ports = equal_ports(traffic, ports, bandwidth, relays=relays)
    over = f"the packages of {len(ports.names)} endpoints with {ports.text}, wired in any way"
    within = None
    if reach is not None:
        within = near_counts(positions, reach, len(ports.names))
        if any_place:
            most = max(map(len, within))
            padded = [np.pad(counts, (0, most - len(counts)), mode="edge") for counts in within]
            within = (np.max(padded, axis=0),) * len(within)
        if len(ports.relays):
            raise TopologyError("relays have no place: a bound with a reach takes endpoints alone")
        neighbours = np.array([counts[min(1, len(counts) - 1)] for counts in within])
        ports = replace(ports, count=np.minimum(ports.count, neighbours))  # further ports join none anew
        over += f", no link longer than {reach:g} pitches"
    if needs.entered and copies:
        over += ", copying and adding anywhere"
    at_ports, certificate = _fullest(needs, ports)
    at_hops, side = _fewest_hops(needs, ports, within)
    what = traffic.name or "traffic"
    if at_hops > at_ports * (1 + 1e-12):
        if not np.isfinite(at_hops):
            raise TopologyError(f"{what}: {over} reach no destination; the class holds no connected package")
        theorem = "ports + Moore" if needs.demand.any() else "byte-hops"
        return TopologyBound(at_hops, theorem, over, what, MooreCertificate(needs, ports, side, within))
    return TopologyBound(at_ports, "ports", over, what, certificate)


def near_counts(positions: ArrayLike | None, reach: float, size: int) -> tuple[Ints, ...]:
    """Return how many others lie within each multiple of the reach, for each endpoint.

    Raises
    ------
    TopologyError
        If positions are missing or no chain of links joins all places.
    """
    if positions is None:
        raise TopologyError("a reach needs positions, one for each endpoint, in pitches")
    place = np.asarray(positions, dtype=float)
    if place.shape != (size, 2):
        raise TopologyError(f"positions have shape {place.shape}; give [{size}, 2] pitches")
    if not reach > 0:
        raise TopologyError(f"reach {reach:g} allows no link; give more than 0")
    apart = np.abs(place[:, None] - place[None]).sum(axis=-1)
    found = []
    for row in apart:
        steps = np.ceil(row / reach - 1e-9).astype(np.int64)
        found.append(np.cumsum(np.bincount(steps)) - 1)
    return tuple(found)


def _fullest(needs: Needs, ports: Ports) -> tuple[float, PortCertificate]:
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.stack(
            [
                np.where(need > 0, need / room, 0.0)
                for need, room in ((needs.sent, ports.out), (needs.received, ports.into))
            ]
        )
    way, node = np.unravel_index(int(np.argmax(times)), times.shape)
    if not np.isfinite(times[way, node]):
        raise TopologyError(f"{ports.names[int(node)]!r} has traffic and no port; give it one")
    return float(times[way, node]), PortCertificate(needs, ports, int(node), bool(way == 0))


def _fewest_hops(needs: Needs, ports: Ports, within: tuple[Ints, ...] | None) -> tuple[float, int]:
    """Return the time of all byte-hops over all bandwidth, and the side that is counted."""
    if not needs.demand.any():
        return needs.entered / ports.capacity, 0
    uniform = needs.uniform
    best, side = 0.0, 0
    sides = (needs.demand,) if uniform is not None else _sides(needs.demand)
    for k, demand in enumerate(sides):
        hops = _hops(demand, ports, within, alike=uniform is not None)
        time = (hops + needs.entered) / ports.capacity
        if time > best:
            best, side = time, k
    return best, side


def _hops(demand: Floats, ports: Ports, within: tuple[Ints, ...] | None, *, alike: bool) -> float:
    known: dict[tuple[object, ...], float] = {}
    whole = np.concatenate([ports.count, ports.relays])

    def least(v: int, own: int) -> float:
        place = None if within is None else within[v]
        key = (own, int(ports.count[v]), None if place is None else place.tobytes())
        if alike and key in known:
            return known[key]
        mine = np.delete(whole, v) if (whole != whole[0]).any() else whole[1:]
        known[key] = hops_of_row(demand[v], levels(own, mine, place))
        return known[key]

    each = np.array([least(v, int(ports.count[v])) for v in range(len(demand))])
    hops = float(each.sum())
    if ports.odd:
        short = min(hops - float(each[v]) + least(v, int(ports.count[v]) - 1) for v in range(len(demand)))
        hops = hops if len(ports.relays) else short
    return hops
