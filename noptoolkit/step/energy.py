"""Dynamic energy of a step: what it computes, moves and accesses, whenever it does so.

The schedule does not change it; degree, layout and package do. Static power is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from noptoolkit.errors import ScheduleError
from noptoolkit.nodes import OPTIMISERS, Work, compute_energy, link_energy, step_flops
from noptoolkit.package import LinkKind
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
    """

    compute: Measured = measured("J")
    memory: Measured = measured("J")
    network: Measured = measured("J")
    unknown: tuple[str, ...] = ()

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
    )


def _moved(step: Step, block: Block) -> tuple[float, float]:
    """Return the energy of memory and of network of one pass (in training, of both) through a block, in J."""
    passes = 2 if step.training and block is not step.head else 1
    memory = network = 0.0
    for part in block.slices:
        ways = [(part.size, False, passes)]
        if step.training:
            ways += [(part.size + part.state, True, 1), (part.state, False, 1)]
        for size, back, times in ways:
            access, links = step.routes.energy(part.chiplet, size, back)
            memory += times * access
            network += times * links
    for host, (read, written) in block.cached.items():
        for size, back in ((read, False), (written, True)):
            access, links = step.routes.energy(host, size, back)
            memory += step.micro_batches * access
            network += step.micro_batches * links
    network += passes * _sent(step, [*block.dispatch, *block.combine])
    network += _sent(step, [block.exchange[kind] for kind, _ in block.exchanged])
    return memory, network


def _sent(step: Step, transfers: Iterable[Transfer]) -> float:
    channels, links = step.package.channels, step.package.links
    return sum(
        link_energy(links[channel.link], float(load))
        for sent in transfers
        for channel, load in zip(channels, sent.load, strict=True)
        if load > 0
    )
