"""Parallel channels along paths and trees: which of them a packet takes at each hop.

A routing splits the load of an arc over its parallel channels by shares. A packet draws one number u in
[0, 1), and takes at each hop the channel in whose part of the unit interval u falls; so every channel carries
its share exactly, and a path over several such hops needs as many variants (*planes*) as u has parts, not as
many as there are combinations of channels. Choices along a path are therefore not independent of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.simulate.ports import Ports

__all__ = ["in_proportion", "planes_of"]

GOLDEN = 0.6180339887498949  # whose multiples are spread evenly over the unit interval


def planes_of(ports: Ports, arcs: Sequence[int]) -> list[tuple[dict[int, int], Fraction]]:
    """Return the output port that each arc uses, and the share of the packets, for each plane.

    Parameters
    ----------
    arcs : sequence of int
        Arcs of a path or of a tree.
    """
    used = sorted(set(arcs))
    edges = {arc: [Fraction(0), *accumulate(ports.share_of_arc[arc])] for arc in used}
    cuts = sorted({Fraction(0), Fraction(1), *(edge for row in edges.values() for edge in row)})
    found = []
    for low, high in pairwise(cuts):
        port = {}
        for arc in used:
            lane = sum(edge <= low for edge in edges[arc]) - 1
            port[arc] = ports.out_of_arc[arc][lane]
        found.append((port, high - low))
    return found


def in_proportion(shares: Sequence[float], count: int, number: int) -> Ints:
    """Return which of several variants each of some packets takes, [packets].

    Systematic sampling: each variant gets its share of the packets within one packet, evenly mixed; the shift
    of the sample depends on the number of the transfer, so that many transfers of one packet keep the shares
    too.

    Parameters
    ----------
    shares : sequence of float
        Share of each variant, in any unit.
    count : int
        Packets.
    number : int
        Number of the transfer.

    Examples
    --------
    >>> in_proportion([0.75, 0.25], 8, 0).tolist()
    [0, 0, 1, 0, 0, 0, 1, 0]
    >>> np.bincount([int(in_proportion([0.5, 0.5], 1, k)[0]) for k in range(100)]).tolist()
    [49, 51]
    """
    if len(shares) == 1:
        return np.zeros(count, np.int64)
    part = np.cumsum(shares)
    edges = np.floor(part / part[-1] * count + number * GOLDEN % 1.0).astype(np.int64)
    edges[-1] = count
    many = np.diff(np.r_[0, edges])
    turn = np.concatenate([(np.arange(n) + 0.5) / n for n in many.tolist() if n > 0] or [np.zeros(0)])
    which = np.repeat(np.arange(len(many)), many)
    mixed: Ints = which[np.argsort(turn, kind="stable")]
    return mixed
