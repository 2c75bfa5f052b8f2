"""Who sends to whom, and when: patterns of destinations and processes of injection.

A *pattern* gives each source its share of the load and the shares of its destinations. In each cycle a source
creates a packet with a probability (Bernoulli); or only within bursts, whose beginnings and ends are drawn
too (a Markov chain of two states, BookSim2's ``on_off``); or, in a closed loop, only while fewer packets than
its window are on their way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._seeds import generator_from
from noptoolkit.errors import WorkloadError
from noptoolkit.package import Package, expect_package
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.ports import Ports
from noptoolkit.traffic import Traffic

__all__ = ["Bursts", "Pattern", "drawn_sources", "key_of", "no_list", "pattern_of", "uniform"]

DRAWS = 2**53
"""Different words that are drawn in a cycle: a chance below one of them is none."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Shares of the load, which may include what a source sends to itself.

    Parameters
    ----------
    endpoints : tuple of str
        Names of the nodes that send and receive, in the order of their numbers.
    weight : array
        Share of each pair, in any unit, [endpoints, endpoints]; what a row adds up to is the source's share.
    name : str
        What tables and pictures call it.
    """

    endpoints: tuple[str, ...]
    weight: Floats
    name: str = "pattern"

    def __post_init__(self) -> None:
        weight = np.array(self.weight, dtype=float)
        count = len(self.endpoints)
        if weight.shape != (count, count) or not np.isfinite(weight).all() or (weight < 0).any():
            raise WorkloadError(
                f"pattern {self.name!r}: weights are finite, not negative and [{count}, {count}] for "
                f"{count} endpoints; these have shape {weight.shape}"
            )
        if not weight.any():
            raise WorkloadError(f"pattern {self.name!r}: no pair has a weight above 0; give one")
        weight.flags.writeable = False
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "endpoints", tuple(self.endpoints))


@dataclass(frozen=True)
class Bursts:
    """Injection in bursts: a source is on or off, and creates packets only while it is on.

    Parameters
    ----------
    length : float
        Mean length of a burst, in cycles, at least 1.
    rate : float
        Flits per cycle within a burst; the load asked for sets how often bursts begin.
    """

    length: float = 50.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.length) and self.length >= 1 and 0 < self.rate <= 64):
            raise WorkloadError(f"{self}: a burst lasts 1 cycle or more, at a rate above 0 and at most 64")


def uniform(
    package: Package, *, among: Sequence[str] | None = None, itself: bool = True, name: str = "uniform"
) -> Pattern:
    """Return uniform random traffic: every endpoint sends to every one alike.

    Parameters
    ----------
    package : Package
        Whose chiplets take part.
    among : sequence of str, optional
        Names of nodes; all chiplets where ``None``.
    itself : bool
        Whether endpoints send to themselves too, as in BookSim2.

    Examples
    --------
    >>> from noptoolkit.topology import ring
    >>> uniform(ring(3), itself=False).weight
    array([[0., 1., 1.],
           [1., 0., 1.],
           [1., 1., 0.]])
    """
    expect_package(package)
    names = package.terminals if among is None else tuple(among)
    for node in names:
        package[node]
    weight = np.ones((len(names), len(names)))
    if not itself:
        np.fill_diagonal(weight, 0.0)
    return Pattern(names, weight, name)


def pattern_of(package: Package, traffic: Traffic | Pattern | str) -> Pattern:
    """Return a traffic's demands as a pattern; ``"uniform"`` is uniform random traffic of all chiplets.

    Raises
    ------
    WorkloadError
        If it has messages to sets, which have no rate: they run until they are done.
    """
    if isinstance(traffic, Pattern):
        return traffic
    if isinstance(traffic, str):
        if traffic != "uniform":
            raise WorkloadError(
                f"traffic {traffic!r}: 'uniform' is the only name; noptoolkit.traffic makes others"
            )
        return uniform(package)
    if not isinstance(traffic, Traffic):
        raise WorkloadError(f"{traffic!r} is neither a Traffic nor a Pattern; noptoolkit.traffic makes them")
    if traffic.multicast is not None or traffic.reduction is not None:
        raise WorkloadError(
            f"traffic {traffic.name!r}: multicasts and reductions have no rate; run them with until='done'"
        )
    return Pattern(traffic.endpoints, traffic.demand, traffic.name or "traffic")


def key_of(rng: int | np.random.Generator | None, turn: int = 0) -> Any:
    """Return the key of a run's random words; seeds below 1024 fill the highest ten bits."""
    if isinstance(rng, int) and not isinstance(rng, bool) and 0 <= rng < 1024 and turn == 0:
        return np.uint64(rng << 54)
    if isinstance(rng, int) and not isinstance(rng, bool):
        seeds = np.random.SeedSequence([abs(rng), turn, int(rng < 0)])
        if rng < 0:
            generator_from(rng)
        return np.uint64(seeds.generate_state(1, np.uint64)[0])
    return np.uint64(generator_from(rng).integers(0, 1 << 63))


def loads_of(pattern: Pattern, rate: float) -> Floats:
    """Return the flits per cycle of each source, ``rate`` in the mean of those that send, [endpoints]."""
    load: Floats = pattern.weight.sum(axis=1)
    return np.asarray(load * (rate / load[load > 0].mean()))


def drawn_sources(
    ports: Ports,
    pattern: Pattern,
    rate: float,
    key: Any,
    *,
    kind: int = c.UNICAST,
    bursts: Bursts | None = None,
    window: int = 0,
) -> Any:
    """Return sources that draw when they send and to whom, as `noptoolkit.simulate.columns.Sources`.

    Raises
    ------
    WorkloadError
        If a source would have to send more than its port carries, or none would ever send.
    """
    packet = ports.router.packet
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not math.isfinite(rate) or rate <= 0:
        raise WorkloadError(f"rate {rate!r} is not a load: give flits per cycle and source, above 0")
    load = loads_of(pattern, rate)
    widest = np.array([float(x) for x in ports.rate[ports.outputs :]])
    s = int(np.argmax(load / np.minimum(widest, packet)))
    most = min(widest[s], packet)
    if load[s] > most * (1 + 1e-12):
        raise WorkloadError(
            f"rate {rate:g}: {pattern.endpoints[s]!r} would send {load[s]:.4g} flits per cycle, and it can "
            "send "
            f"{most:.4g} at most; give a rate of {rate * most / load[s]:.4g} or less"
        )
    wake = sleep = np.uint64(0)
    chance = load / packet
    if bursts is not None:
        share = load.max() / bursts.rate
        if share > 1 or bursts.rate > widest.min():
            raise WorkloadError(
                f"rate {rate:g} within {bursts}: it is above the rate of a burst, or that above what a "
                "source can "
                f"send ({widest.min():g} flits per cycle)"
            )
        stop = 1 / bursts.length
        start = min(1.0, stop * share / (1 - share)) if share < 1 else 1.0
        wake, sleep = np.uint64(int(start * DRAWS)), np.uint64(int((stop if share < 1 else 0.0) * DRAWS))
        chance = load / load.max() * bursts.rate / packet
    chances = np.array([int(x * DRAWS) for x in chance.tolist()], np.uint64)
    if not chances.any() or (bursts is not None and not wake):
        least = packet / DRAWS / loads_of(pattern, 1.0).max()
        raise WorkloadError(
            f"rate {rate:g}: so small a load never sends a packet; give one far above {least:.2g} flits per "
            "cycle and source"
        )
    to, dest, row_of, limit = _destinations(pattern)
    return no_list(ports)._replace(
        mode=c.DRAWN, kind=kind, key=key, size=packet,
        chance=chances,
        to=to, dest=dest, row_of=row_of, limit=limit, wake=wake, sleep=sleep, window=window,
    )  # fmt: skip


def no_list(ports: Ports) -> Any:
    """Return sources that send nothing, to be filled in."""
    none, words = np.zeros(1, np.int64), np.zeros(1, np.uint64)
    return c.Sources(
        mode=c.DRAWN, kind=c.UNICAST, key=np.uint64(0), size=1,
        chance=np.zeros(len(ports.endpoints), np.uint64), to=c.UNIFORM, dest=none, row_of=none,
        limit=np.zeros((1, 1), np.uint64), wake=np.uint64(0), sleep=np.uint64(0), window=0,
        order=none[:0].copy(), li=np.zeros((1, 16), np.int64), heap=none, heap_time=none,
        follow_first=np.zeros(2, np.int64), follow=none, event_left=none, token_window=0, done_of_root=none,
        by_order=none, order_first=none,
        paths=none, path_limit=words, path_first=np.zeros(2, np.int64),
        between=np.arange(len(ports.endpoints)),
    )  # fmt: skip


def _destinations(pattern: Pattern) -> tuple[int, Any, Any, Any]:
    """Return how destinations are drawn: all alike, one each, or by a table of distinct rows of limits."""
    weight = pattern.weight
    count = len(weight)
    none, limits = np.zeros(1, np.int64), np.zeros((1, 1), np.uint64)
    if (weight == weight[0, 0]).all():
        return c.UNIFORM, none, none, limits
    if ((weight > 0).sum(axis=1) <= 1).all():
        return c.FIXED, weight.argmax(axis=1), none, limits
    rows, row_of = np.unique(weight, axis=0, return_inverse=True)
    share = np.cumsum(rows, axis=1) / np.maximum(rows.sum(axis=1, keepdims=True), 1e-300)
    limit = np.ceil(share * 2.0**32).astype(np.uint64)
    for row, edge in zip(rows, limit, strict=True):  # rounding must not reach an endpoint of weight 0
        if row.any():
            edge[int(np.flatnonzero(row)[-1]) :] = 1 << 32
    assert limit.shape[1] == count
    return c.TABLE, none, row_of.ravel(), limit
