"""Routing table, traffic and BookSim options of a RapidChiplet design.

The routing table has one minimum-hop path per pair, as ``generate_routing.py -ra splif`` makes it: of the
neighbours on shortest paths, interposer routers before chiplets, then the lowest number. Memory stacks do not
relay. Traffic is uniform among the chiplets that compute, one packet per cycle from each. Pairs are keys of
these files in the form of RapidChiplet's ``helpers.py``: ``__tuple__:[0, 1]``.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from noptoolkit.package import Memory, Package

__all__ = ["Traffic", "booksim_config", "routing_table", "uniform_traffic"]


class Traffic(NamedTuple):
    """Traffic between chiplets, and between their units, of which each has one."""

    by_chiplet: dict[str, float]
    by_unit: dict[str, float]


def routing_table(package: Package, number: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """Return the next node from every node to every chiplet.

    Parameters
    ----------
    package
        Package that is written.
    number
        Kind (chiplet or irouter) and number of each node.
    """
    stacks = {memory.name for memory in package.memories}
    neighbours: dict[str, dict[str, None]] = {node.name: {} for node in package.nodes}
    for link in package.links:
        neighbours[link.a][link.b] = neighbours[link.b][link.a] = None
    keys = {name: _key(*pair) for name, pair in number.items()}
    onward = {name: {"__tuple__": True, "items": list(pair)} for name, pair in number.items()}
    preferred = {
        name: sorted(others, key=lambda other: (number[other][0] == "chiplet", number[other][1]))
        for name, others in neighbours.items()
    }
    table: dict[str, dict[str, Any]] = {keys[node.name]: {} for node in package.nodes}
    for end in (node.name for node in package.nodes if number[node.name][0] == "chiplet"):
        hops = {end: 0}
        queue = deque([end])
        while queue:
            name = queue.popleft()
            if name in stacks and name != end:
                continue
            for other in preferred[name]:
                if other not in hops:
                    hops[other] = hops[name] + 1
                    queue.append(other)
        for name, distance in hops.items():  # a switch behind a stack is not among them
            if distance:
                way = next(
                    other
                    for other in preferred[name]
                    if hops.get(other) == distance - 1 and (other not in stacks or other == end)
                )
                table[keys[name]][keys[end]] = onward[way]
    return {"type": "default", "table": table}


def uniform_traffic(package: Package, number: Mapping[str, tuple[str, int]]) -> Traffic:
    """Return uniform traffic among the chiplets that compute."""
    chiplets = [
        number[node.name][1]
        for node in package.nodes
        if not isinstance(node, Memory) and number[node.name][0] == "chiplet"
    ]
    share = 1.0 / max(len(chiplets) - 1, 1)
    pairs = [(a, b) for a in chiplets for b in chiplets if a != b]
    by_unit = {_key(_key(a, 0), _key(b, 0)): share for a, b in pairs}
    return Traffic({_key(a, b): share for a, b in pairs}, by_unit)


def booksim_config() -> dict[str, Any]:
    """Return the options of RapidChiplet's BookSim runs: those of its example inputs."""
    return {
        "mode": "traffic",
        "ignore_cycles": 0,
        "precision": 0.01,
        "saturation_factor": 5,
        "num_vcs": 4,
        "vc_buf_size": 16,
        "warmup_periods": 1,
        "sim_count": 1,
        "hold_switch_for_packet": 0,
        "packet_size": 1,
        "vc_allocator": "separable_input_first",
        "sw_allocator": "separable_input_first",
        "alloc_iters": 1,
        "sample_period": 5300,
        "wait_for_tail_credit": 0,
        "priority": "none",
        "injection_rate_uses_flits": 1,
        "deadlock_warn_timeout": 1024,
    }


def _key(*parts: Any) -> str:
    return "__tuple__:" + json.dumps(list(parts))
