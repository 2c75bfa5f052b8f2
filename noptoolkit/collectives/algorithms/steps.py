"""Algorithms in synchronous steps: who sends which blocks to whom, and how long the steps take.

The model. A buffer is cut into equal blocks. In a step, sender i of ``senders`` sends ``blocks[i]`` to
``receivers[i]``, along all shortest paths (``ecmp``); a step ends when its busiest channel, crossbar or port
is done, and the next one starts. So ::

    time = sum over steps of max over resources of use / capacity

which is what barriers between steps cost in fluid terms; latency comes on top
(`noptoolkit.collectives.latency`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import FlowNetwork
from noptoolkit.routing.hop_loads import load_along_hops
from noptoolkit.routing.hops import plain_graph

__all__ = ["Step", "Steps", "turned_round"]


@dataclass(frozen=True, eq=False)
class Step:
    """Transfers that happen at the same time.

    Parameters
    ----------
    senders, receivers
        Members, by their place in the group, [transfers].
    blocks
        Blocks that each transfer carries, [transfers, blocks of a transfer].
    adds
        Whether receivers add what comes to what they have, instead of keeping it.
    """

    senders: Ints
    receivers: Ints
    blocks: Ints
    adds: bool


@dataclass(frozen=True, eq=False)
class Steps:
    """An algorithm as steps.

    Parameters
    ----------
    name
        Name of the algorithm.
    blocks
        Number of blocks of the buffer.
    owner
        Member that owns each block once a reduce-scatter is done, [blocks].
    steps
        In order.
    """

    name: str
    blocks: int
    owner: Ints
    steps: tuple[Step, ...]

    def measure(self, network: FlowNetwork, nodes: Ints, size: float) -> tuple[float, Floats, int]:
        """Return the time in s, the use of each resource in B, and the largest number of hops of all steps.

        Parameters
        ----------
        nodes
            Node of each member, [members].
        size
            Bytes of the buffer, in B.
        """
        graph = plain_graph(network)
        of_block = size / self.blocks
        known: dict[tuple[bytes, bytes], Floats] = {}
        total, use = 0.0, np.zeros(network.num_resources)
        for step in self.steps:
            key = step.senders.tobytes(), step.receivers.tobytes()
            if key not in known:
                demand = np.zeros((network.num_vertices, network.num_vertices))
                ends = network.origin[nodes[step.senders]], network.destination[nodes[step.receivers]]
                np.add.at(demand, ends, 1.0)
                sent = np.bincount(nodes[step.senders], minlength=len(network.origin))
                received = np.bincount(nodes[step.receivers], minlength=len(network.origin))
                ports = network.on_injected @ sent + network.on_ejected @ received
                known[key] = network.on_arcs @ load_along_hops(network, graph, demand) + ports
            carried = step.blocks.shape[1] * of_block * known[key]
            total += float((carried / network.capacity).max(initial=0.0))
            use += carried
        return total, use, len(self.steps)

    def replay(self, values: Floats) -> Floats:
        """Run the steps on numbers.

        Parameters
        ----------
        values
            What each member has of each block, [members, blocks]; NaN is nothing.

        Returns
        -------
        array
            What each member has in the end, [members, blocks].
        """
        held = values.copy()
        for step in self.steps:
            before = held.copy()
            for i, (u, v) in enumerate(zip(step.senders.tolist(), step.receivers.tolist(), strict=True)):
                sent = before[u, step.blocks[i]]
                held[v, step.blocks[i]] = held[v, step.blocks[i]] + sent if step.adds else sent
        return held


def turned_round(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the all-gather that undoes a reduce-scatter: its steps backwards, each turned round."""
    return tuple(
        Step(step.receivers, step.senders, step.blocks, adds=False) for step in reversed(list(steps))
    )
