"""Dynamic energy of one operation on one node.

An operation costs its FLOP times the energy of one, moving bytes costs their bits times the energy per bit of
every link crossed, and reading or writing memory its bits times the access energy. Leakage and clocks are not
counted. What a package does not state counts nothing; `noptoolkit.step.StepEnergy` names it.
"""

from __future__ import annotations

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.nodes.operations import Work
from noptoolkit.package import Link, Memory, Package

__all__ = ["access_energy", "compute_energy", "link_energy", "load_energy"]

BITS = 8


def compute_energy(work: Work, energy_per_flop: float) -> float:
    """Return the energy of an operation's arithmetic, in J.

    Examples
    --------
    >>> compute_energy(Work(flops=2e12), 0.5e-12)
    1.0
    """
    return work.flops * energy_per_flop


def link_energy(link: Link, size: float) -> float:
    """Return the energy of moving ``size`` bytes over a link, in J.

    Examples
    --------
    >>> link_energy(Link("a", "b", "1 GB/s", energy_per_bit="0.5 pJ/bit"), 1e12)
    4.0
    """
    return size * BITS * (link.energy_per_bit or 0.0)


def load_energy(package: Package, load: Floats) -> float:
    """Return the energy of loads on the channels of a package, in J; links that state none count nothing.

    Parameters
    ----------
    load
        Bytes on each of ``package.channels``, [channels].
    """
    each = np.array([link_energy(package.links[channel.link], 1.0) for channel in package.channels])
    return float(each @ load) if len(each) else 0.0


def access_energy(memory: Memory, size: float) -> float:
    """Return the energy of reading or writing ``size`` bytes of a memory stack, in J.

    Examples
    --------
    >>> access_energy(Memory("hbm", bandwidth="256 GB/s", energy_per_bit="4 pJ/bit"), 1e12)
    32.0
    """
    return size * BITS * (memory.energy_per_bit or 0.0)
