"""A step on any network: what arithmetic and memory stacks alone take.

The network is one switch with links so wide that they never limit. Stacks that name whom they serve stay; the
others, whose chiplets depend on the network, are one with the bandwidth of all: what they deliver together in
a while is no more than that one would. The lower bound of the step's task graph on this package (loads of
chiplets and stacks, longest path, and both between stages) then holds for every package of these chiplets and
stacks, whatever its links, with this layout and for the same slices, micro-batches and order of loads.
"""

from __future__ import annotations

import dataclasses

from noptoolkit.package import Link, LinkKind, Node, Package, Switch
from noptoolkit.pipeline import run
from noptoolkit.stages import Run

__all__ = ["any_network", "step_on_any_network"]

WIDE = 1e9
"""Bandwidth of a link of the network over that of the widest stack."""


def any_network(package: Package) -> Package:
    """Return the chiplets and stacks of a package round a switch, its links too wide to limit.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> from noptoolkit.topology.attachments import attach_memory
    >>> one = attach_memory(attach_memory(mesh(2), "e0", serves=["e0"]), "e3")
    >>> [memory.name for memory in any_network(attach_memory(one, "e1")).memories]
    ['mem0', 'other stacks']
    """
    hub = Switch("any network", replicates=True, reduces=True)
    nodes: list[Node] = [hub, *(dataclasses.replace(chiplet, position=None) for chiplet in package.chiplets)]
    stacks = [dataclasses.replace(stack, position=None) for stack in package.memories if stack.serves]
    rest = [stack for stack in package.memories if not stack.serves]
    if rest:
        rooms = [stack.capacity for stack in rest]
        pool = dataclasses.replace(
            rest[0],
            name="other stacks",
            bandwidth=sum(stack.bandwidth for stack in rest),
            capacity=None if None in rooms else sum(room for room in rooms if room is not None),
            latency=min(stack.latency for stack in rest),
            position=None,
        )
        stacks.append(pool)
    wide = WIDE * max((stack.bandwidth for stack in stacks), default=1e12)
    links = [Link(chiplet.name, hub.name, wide) for chiplet in package.chiplets]
    links += [Link(stack.name, hub.name, wide, kind=LinkKind.MEMORY) for stack in stacks]
    return Package("any network", [*nodes, *stacks], links)


def step_on_any_network(base: Run) -> float:
    """Return what a step takes at least on any network between the dies and stacks of a run, in s."""
    package = any_network(base.package)
    return run(package, base.given, allocator=base.allocation.on(package)).plan.lower_bound
