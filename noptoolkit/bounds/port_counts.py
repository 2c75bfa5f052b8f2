"""Ports of nodes: how many ends of links each has, and with what bandwidth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from noptoolkit._arrays import Floats, Ints
from noptoolkit.bounds.needs import needs_of
from noptoolkit.errors import TopologyError
from noptoolkit.package import Memory, Package
from noptoolkit.traffic import Traffic
from noptoolkit.units import Quantity, format_quantity, parse_quantity

__all__ = ["Ports", "equal_ports", "ports_of"]


@dataclass(frozen=True, eq=False)
class Ports:
    """Ends of links that may be joined in any way.

    Parameters
    ----------
    names
        Endpoints of the traffic.
    count
        Ports of each endpoint, [endpoints].
    out, into
        Bandwidth of all ports of each endpoint together, in B/s, [endpoints].
    relays
        Ports of each node that neither sends nor receives, [relays].
    capacity
        Most bandwidth that all channels can have together, in B/s.
    odd
        Whether one port, of whichever node, stays free.
    text
        The ports in words.
    """

    names: tuple[str, ...]
    count: Ints
    out: Floats
    into: Floats
    relays: Ints
    capacity: float
    odd: bool
    text: str

    def others(self, at: int) -> Ints:
        """Return the ports of all nodes but one endpoint."""
        return np.concatenate([np.delete(self.count, at), self.relays])


def equal_ports(
    traffic: Traffic,
    ports: int | Sequence[int] | Mapping[str, int],
    bandwidth: Quantity,
    *,
    relays: Sequence[int] = (),
) -> Ports:
    """Return ports for whole links of one bandwidth.

    Parameters
    ----------
    ports
        Of every endpoint, of each in their order, or by name.
    bandwidth
        Of a link per direction, in B/s.
    relays
        Ports of each switch, or of other nodes that only forward.

    Raises
    ------
    TopologyError
        If ports or bandwidth are not above 0, or no connected package has them.
    """
    names = traffic.endpoints
    if isinstance(ports, Mapping):
        lost = [name for name in names if name not in ports]
        if lost:
            raise TopologyError(f"no ports are given for {lost[0]!r}; give a number for each endpoint")
        given: ArrayLike = [ports[name] for name in names]
    else:
        given = ports if isinstance(ports, int) else list(ports)
    numbers = np.asarray(given)
    whole = numbers.dtype.kind in "iu" and (numbers.ndim == 0 or numbers.shape == (len(names),))
    if not whole or (numbers < 1).any() or any(int(r) != r or r < 1 for r in relays):
        raise TopologyError(
            f"ports={ports!r}: give whole numbers above 0, one or {len(names)}, and of relays"
        )
    rate = parse_quantity(bandwidth, "B/s", "bandwidth")
    if not rate > 0 or not np.isfinite(rate):
        raise TopologyError(f"a bandwidth of {rate:g} B/s carries nothing; give more than 0")
    count = np.broadcast_to(numbers.astype(np.int64), (len(names),)).copy()
    total = int(count.sum()) + int(sum(relays))
    joined = int(count.sum()) + sum(
        max(int(r) - 2, 0) for r in relays
    )  # a switch joins more than two, or none
    if joined < 2 * (len(names) - 1):
        raise TopologyError(
            f"{total} ports do not hang {len(names)} endpoints together: the class holds no connected "
            "package; give more ports"
        )
    low, high = int(count.min()), int(count.max())
    text = f"{low} ports" if low == high else f"{low} to {high} ports"
    if len(relays):
        text += f", and {len(relays)} switches of {min(relays)} to {max(relays)} ports,"
    return Ports(
        names,
        count,
        rate * count.astype(np.float64),
        rate * count.astype(np.float64),
        np.array(relays, np.int64),
        2 * rate * (total // 2),
        bool(total % 2),
        f"{text} of {format_quantity(rate, 'B/s')} each",
    )


def ports_of(package: Package, traffic: Traffic) -> Ports:
    """Return the ports that the nodes of a package have: links to memory stacks do not count.

    Raises
    ------
    TopologyError
        If an endpoint with traffic is a memory stack.
    """
    stacks = {memory.name for memory in package.memories}
    carries = [i for i, link in enumerate(package.links) if not {link.a, link.b} & stacks]
    count = np.zeros(len(package.nodes), np.int64)
    out, into = np.zeros((2, len(package.nodes)))
    widths = package.link_bandwidths
    half = False
    for i in carries:
        a, b = package.link_ends[i].tolist()
        there, back = widths[i].tolist()
        count[[a, b]] += 1
        half |= package.links[i].half_duplex
        out[a] += there
        into[b] += there
        out[b] += back
        into[a] += back
    place = [package.index[name] for name in traffic.endpoints]
    _refuse_stacks(package, traffic)
    rest = [i for i, node in enumerate(package.nodes) if i not in set(place) and not isinstance(node, Memory)]
    equal = not half and bool(carries) and len(np.unique(widths[carries])) == 1
    total = int(count.sum())
    return Ports(
        traffic.endpoints,
        count[place],
        out[place],
        into[place],
        count[rest][count[rest] > 0],
        float(out.sum()),
        equal and bool(total % 2),
        f"the ports of {package.name!r}",
    )


def _refuse_stacks(package: Package, traffic: Traffic) -> None:
    needs = needs_of(traffic)
    for name, amount in zip(needs.names, (needs.sent + needs.received).tolist(), strict=True):
        if amount > 0 and isinstance(package[name], Memory):
            raise TopologyError(f"memory stack {name!r} sends or receives: only chiplets' ports are counted")
