"""Whether a bound is of a class and a traffic: what its certificate ranges over, told again from both.

A certificate proves a number for the budgets and the demand that it holds. That these are the class's and the
traffic's is checked here name by name and link by link, by code that shares nothing with what made them.
"""

from __future__ import annotations

from collections import Counter
from math import inf, isclose

import numpy as np

from noptoolkit.bounds.design_certificate import DesignCertificate
from noptoolkit.bounds.edges import recounted
from noptoolkit.bounds.ports import MooreCertificate, PortCertificate
from noptoolkit.bounds.result import TopologyBound
from noptoolkit.bounds.topology_class import TopologyClass
from noptoolkit.traffic import DestinationSets, Traffic

__all__ = ["not_of", "same_traffic"]

FIELDS = ("names", "bandwidth", "links", "reach", "wire", "total", "switches", "copiers", "movable")


def not_of(bound: TopologyBound, traffic: Traffic, within: TopologyClass) -> list[str]:
    """Return how a bound's certificate differs from a class and a traffic; nothing if it is of them.

    Only certificates that `class_bound` gives are known; any other is a difference.
    """
    proof = bound.certificate
    if isinstance(proof, DesignCertificate):
        return _of_design(proof, traffic, within)
    if isinstance(proof, PortCertificate | MooreCertificate):
        return _of_ports(proof, traffic, within)
    return [f"a bound by {type(proof).__name__} is none of a class"]


def _of_design(proof: DesignCertificate, traffic: Traffic, within: TopologyClass) -> list[str]:
    other = proof.within
    faults = [
        f"a bound is of a class with another {name}"
        for name in FIELDS
        if getattr(other, name) != getattr(within, name)
    ]
    if other.ports.tolist() != within.ports.tolist():
        faults.append("a bound is of a class with other ports")
    places = [None if one.positions is None else one.positions.tolist() for one in (other, within)]
    if places[0] != places[1]:
        faults.append("a bound is of a class with other places")
    wanted = {
        (a, b): amount
        for a, row in zip(traffic.endpoints, traffic.demand.tolist(), strict=True)
        for b, amount in zip(traffic.endpoints, row, strict=True)
        if amount > 0
    }
    counted = {
        (other.names[i], other.names[j]): float(proof.demand[i, j])
        for i, j in np.argwhere(proof.demand > 0).tolist()
    }
    sets = any(part is not None and len(part) for part in (traffic.multicast, traffic.reduction))
    if sets or not _alike(wanted, counted):
        faults.append("a bound is of another traffic")
    return faults


def _of_ports(
    proof: PortCertificate | MooreCertificate, traffic: Traffic, within: TopologyClass
) -> list[str]:
    faults = []
    needs, ports = proof.needs, proof.ports
    if within.copies and not needs.copies:
        faults.append("a bound is of packages that do not copy")
    if not same_traffic(needs.traffic, traffic) or not _asked(proof, traffic):
        faults.append("a bound is of another traffic")
    reach = [_neighbours(within, name) for name in traffic.endpoints]
    mine = dict(zip(within.names, within.ports.tolist(), strict=True))
    relays = [count for name, count in mine.items() if name not in traffic.endpoints] + [*within.switches]
    least = [min(mine.get(name, 0), most) for name, most in zip(traffic.endpoints, reach, strict=True)]
    plain = [mine.get(name, 0) for name in traffic.endpoints]
    whole = sum(mine.values()) + sum(within.switches)
    if (
        any(count < one for count, one in zip(ports.count.tolist(), least, strict=True))
        or any(
            width < one * within.bandwidth * (1 - 1e-12) for width, one in zip(ports.out, plain, strict=True)
        )
        or any(
            width < one * within.bandwidth * (1 - 1e-12) for width, one in zip(ports.into, plain, strict=True)
        )
        or Counter(ports.relays.tolist()) != Counter(relays)
        or not isclose(ports.capacity, 2 * within.bandwidth * (whole // 2))
        or (ports.odd and whole % 2 == 0)
    ):
        faults.append("a bound is of a class with other ports")
    if isinstance(proof, MooreCertificate) and proof.within is not None:
        faults += _of_reach(proof, traffic, within)
    return faults


def _neighbours(within: TopologyClass, name: str) -> float:
    """Return the nodes that a link of a chiplet may end at."""
    if within.reach is None or within.positions is None or within.switches:
        return inf
    spots = within.positions.tolist()
    most = 0
    for at, other in enumerate(within.names):
        if other == name or within.movable:
            near = sum(_apart(spots[at], spot) <= within.reach + 1e-9 for spot in spots) - 1
            most = max(most, near)
    return most


def _of_reach(proof: MooreCertificate, traffic: Traffic, within: TopologyClass) -> list[str]:
    assert proof.within is not None
    if within.reach is None or within.positions is None:
        return ["a bound is of a class with a reach"]
    spots = [within.positions[within.names.index(name)].tolist() for name in traffic.endpoints]
    steps = [
        [0 if spot is one else int(-(-(_apart(spot, one) - 1e-9) // within.reach)) for one in spots]
        for spot in spots
    ]
    for at, listed in enumerate(proof.within):
        for hop, count in enumerate(listed.tolist()):
            asked = steps if within.movable else [steps[at]]
            if count < max(sum(step <= hop for step in row) - 1 for row in asked):
                return ["a bound is of a class with another reach"]
        if listed[-1] < len(spots) - 1:
            return ["a bound is of a class with another reach"]
    return []


def _apart(a: list[float], b: list[float]) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _alike(one: dict[tuple[str, str], float], other: dict[tuple[str, str], float]) -> bool:
    return one.keys() == other.keys() and all(isclose(one[key], other[key], rel_tol=1e-9) for key in one)


def same_traffic(one: Traffic, other: Traffic) -> bool:
    """Return whether two traffics carry the same bytes between the same endpoints."""
    return (
        one.endpoints == other.endpoints
        and np.array_equal(one.demand, other.demand)
        and _same_sets(one.multicast, other.multicast)
        and _same_sets(one.reduction, other.reduction)
    )


def _same_sets(one: DestinationSets | None, other: DestinationSets | None) -> bool:
    if one is None or other is None:
        return (one is None or not len(one)) and (other is None or not len(other))
    return (
        np.array_equal(one.root, other.root)
        and np.array_equal(one.members, other.members)
        and np.array_equal(one.bytes, other.bytes)
    )


def _asked(proof: PortCertificate | MooreCertificate, traffic: Traffic) -> bool:
    """Return whether the needs of a certificate are those of a traffic, counted message by message."""
    needs = proof.needs
    sent, received = recounted(traffic, needs.copies)
    demand, entered = traffic.demand.copy(), 0.0
    for part, backwards in ((traffic.multicast, False), (traffic.reduction, True)):
        if part is None:
            continue
        for root, words, amount in zip(
            part.root.tolist(), part.members.tolist(), part.bytes.tolist(), strict=True
        ):
            bits = sum(word << (64 * i) for i, word in enumerate(words))
            for v in range(len(traffic.endpoints)):
                if v != root and bits >> v & 1 and needs.copies:
                    entered += amount
                elif v != root and bits >> v & 1:
                    demand[(v, root) if backwards else (root, v)] += amount
    return (
        np.allclose(sent, needs.sent, rtol=1e-9, atol=0)
        and np.allclose(received, needs.received, rtol=1e-9, atol=0)
        and np.allclose(demand, needs.demand, rtol=1e-9, atol=0)
        and isclose(entered, needs.entered, rel_tol=1e-9)
    )
