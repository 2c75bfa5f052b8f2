"""Weights that several chiplets want from the same stacks: read once, and copied on their way.

Chiplets share a reading where they want the same weights in the same pass and have the same stacks, with the
same shares: hosts that share a stack (attention, router, shared experts, dense layers, head), and holders of
copies of an expert. A reading is a multicast from each of the stacks. Who copies it is up to `Weights`:

* ``multicast``: nodes that replicate. Copies that none of them makes leave the stack one by one, and the
  stack's port and bus carry each; on a package where nothing replicates each chiplet reads its own;
* ``broadcast``: the chiplets that want the weights copy, too, as a router does that replicates: what reaches
  one of them goes on from there while it comes in. Chiplets that let nothing pass do not.

The chiplets wait for each other: a reading starts when all of them have room for it. Each keeps, updates and
writes back a copy of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from noptoolkit.package import Chiplet, Package
from noptoolkit.routing.problem import RoutingProblem, routing_problem
from noptoolkit.traffic import DestinationSets, Traffic

__all__ = ["WEIGHTS", "Weights", "copied_by", "reading_of"]

Weights = Literal["each", "multicast", "broadcast"]
"""Who reads weights that several chiplets want: each of them, or one for all, copied by nodes that replicate,
or by the chiplets themselves as well."""

WEIGHTS: tuple[Weights, ...] = get_args(Weights)


def reading_of(
    package: Package, sizes: Mapping[str, float], chiplets: Sequence[str], weights: Weights
) -> RoutingProblem:
    """Return one reading of weights for several chiplets as a problem of routing.

    Parameters
    ----------
    sizes : mapping
        Bytes that lie on each memory stack, by its name.
    chiplets : sequence of str
        Chiplets that want all of them.
    weights : {"multicast", "broadcast"}
        Who copies.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> line = topology.mesh(1, 3, link_bandwidth="1 GB/s", memory=True)
    >>> read = {line.memories[0].name: 1e9}
    >>> plain, passed_on = (reading_of(line, read, line.experts, who) for who in ("multicast", "broadcast"))
    >>> plain.demand.sum().item(), len(plain.messages), passed_on.demand.sum().item(), len(passed_on.messages)
    (3000000000.0, 0, 0.0, 1)
    """
    names = (*sizes, *chiplets)
    words = np.zeros((1, -(-len(names) // 64)), np.uint64)
    for bit in range(len(sizes), len(names)):
        words[0, bit // 64] |= np.uint64(1) << np.uint64(bit % 64)
    sets = DestinationSets(
        np.arange(len(sizes)), np.repeat(words, len(sizes), axis=0), np.array([*sizes.values()], float)
    )
    traffic = Traffic(names, np.zeros((len(names),) * 2), sets)
    if weights == "broadcast":
        package = copied_by(package, tuple(chiplets))
    return routing_problem(package, traffic)


@lru_cache(maxsize=256)
def copied_by(package: Package, chiplets: tuple[str, ...]) -> Package:
    """Return a package in which some chiplets copy what passes through them."""
    chosen = set(chiplets)
    nodes = [
        replace(node, replicates=True) if isinstance(node, Chiplet) and node.name in chosen else node
        for node in package.nodes
    ]
    return package.replace(nodes=nodes)
