"""Dynamic energy of a step: what it computes, moves and accesses, whenever it does so.

The schedule does not change it; degree, layout and package do. Static power is not counted.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from noptoolkit.errors import ScheduleError
from noptoolkit.nodes import (
    OPTIMISERS,
    Work,
    access_energy,
    compute_energy,
    head_work,
    link_energy,
    step_flops,
)
from noptoolkit.package import LinkKind, Memory
from noptoolkit.step.step import Block, Step
from noptoolkit.step.transfers import Transfer
from noptoolkit.units import Measured, Quantity, measured, parse_quantity

__all__ = ["StepEnergy", "energy_of"]


@dataclass(frozen=True)
class StepEnergy:
    """The dynamic energy of one step.

    Parameters
    ----------
    compute
        Of all arithmetic.
    memory
        Of reading and writing the stacks.
    network
        Of all links, those of the stacks included.
    unknown
        What has no figure and counts nothing: ``compute``, ``memory`` or ``network``, in whole or in part.
    per_flop
        Energy of one operation, ``None`` where none was given.
    """

    compute: Measured = measured("J")
    memory: Measured = measured("J")
    network: Measured = measured("J")
    unknown: tuple[str, ...] = ()
    per_flop: float | None = field(default=None, metadata={"unit": "J"})

    @property
    def total(self) -> float:
        """The sum of the three, in J."""
        return self.compute + self.memory + self.network


def energy_of(step: Step, energy_per_flop: Quantity | None = None) -> StepEnergy:
    """Return the dynamic energy of a step.

    Parameters
    ----------
    energy_per_flop
        In J; no sourced figure is known to us, so that there is no default.
    """
    each = 0.0 if energy_per_flop is None else parse_quantity(energy_per_flop, "J", "energy_per_flop")
    if each < 0:
        raise ScheduleError(f"energy_per_flop {each:g} J is negative")
    package, workload = step.package, step.workload
    flops = step_flops(workload.model, workload.batch, OPTIMISERS[step.options.optimiser])
    if step.training and step.options.recompute:
        forward = dataclasses.replace(workload.batch, mode="prefill")
        last = head_work(
            workload.model, forward.sequences
        ).flops  # which prefill runs, and nothing computes again
        flops += step_flops(workload.model, forward) - last
    per_block = [_moved(step, block) for block in step.blocks]
    parts = [per_block[i] for i in step.layers] + [_moved(step, step.head)]
    unknown = [] if energy_per_flop is not None else ["compute"]
    if any(memory.energy_per_bit is None for memory in package.memories):
        unknown.append("memory")
    if any(link.energy_per_bit is None and link.kind is not LinkKind.MEMORY for link in package.links):
        unknown.append("network")
    return StepEnergy(
        compute_energy(Work(flops), each),
        sum(memory for memory, _ in parts),
        sum(network for _, network in parts),
        tuple(unknown),
        None if energy_per_flop is None else each,
    )


def _moved(step: Step, block: Block) -> tuple[float, float]:
    """Return the energy of memory and of network of one pass (in training, of both) through a block, in J."""
    passes = 2 if step.training and block is not step.head else 1
    times = [(part.load, passes) for part in block.slices]
    if step.training:
        times += [(part.store, 1) for part in block.slices]
    caches = [sent for sent in (block.cache_read, block.cache_written) if sent is not None]
    times += [(sent, step.micro_batches) for sent in caches]
    memory = sum(n * _accessed(step, sent) for sent, n in times)
    times += [(sent, passes) for sent in (*block.dispatch, *block.combine, *block.gather, *block.scatter)]
    times += [(block.exchange[kind], 1) for kind, _ in block.exchanged]
    return memory, sum(n * _sent(step, sent) for sent, n in times)


def _accessed(step: Step, sent: Transfer) -> float:
    """Return the energy of a movement in the memory stacks, in J."""
    nodes = [(step.package[end], size) for ends, size in sent.pairs.items() for end in ends]
    if sent.trees is not None:
        nodes += zip(step.package.nodes, sent.trees.injected.tolist(), strict=True)
    return sum(access_energy(node, size) for node, size in nodes if isinstance(node, Memory))


def _sent(step: Step, sent: Transfer) -> float:
    """Return the energy of a transfer on the links, in J."""
    channels, links = step.package.channels, step.package.links
    return sum(
        link_energy(links[channels[i].link], float(sent.load[i]))
        for i in np.flatnonzero(sent.load > 0).tolist()
    )
