"""What a run of the simulator found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit._pictures import Reported
from noptoolkit.package import Package
from noptoolkit.simulate.router import Router
from noptoolkit.tables import Amount, Column, Missing, Table

__all__ = ["Simulation"]


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(Reported):
    """Latency, accepted rate and loads of a simulated run: numbers of this router design and this seed.

    Parameters
    ----------
    package, endpoints, router, routing, traffic
        What was simulated.
    offered : float
        Flits per cycle that a source offers, mean over the sources that send; 0 for a run until done.
    accepted : float
        Flits per cycle that arrive, for each source that sends, in the sampled cycles: on the basis of
        ``offered``.
    stable : bool
        Whether the run converged; ``why`` names what did not.
    why : str
        Reason why a run is not stable: latency above the limit, accepted below offered, no convergence.
    latency : float
        Mean from the creation of a packet to the arrival of its tail, in cycles; NaN without packets.
    packets : int
        Packets measured.
    histogram : array
        Packets of each latency in cycles, the last one also for all above, [cycles].
    highest : int
        Latency of the slowest packet measured, in cycles.
    zero_load : float
        Mean latency of the same packets in an empty network, in cycles: exact for packets of a flit and a
        whole ``speedup``, within a cycle or two for longer ones over links of different bandwidth.
    hops : float
        Routers that a packet visited, mean.
    cycles : int
        Cycles simulated.
    checksum : int
        Sum over the measured packets of a hash of source, cycle of creation and latency, modulo 2^64.
    series : array
        For each tenth of a period: cycle, packets, sum of latencies, flits received, [tenths, 4].
    warmup : int
        Cycle from which the latencies are steady, found by the marginal standard error rule (MSER-5).
    discarded : int
        Cycles before the first measured packet.
    flits : array
        Flits carried by each channel in the measured cycles, [channels], of those on their way the part that
        has passed; that of parallel ones merged is shared by bandwidth.
    utilisation : array
        Flits carried / (rate x measured cycles) of each channel, [channels].
    occupancy : array
        Mean flits in the buffers behind each channel, [channels].
    peak_occupancy : array
        Most flits that stood in the buffers behind each channel at a time, of all its VCs, [channels];
        parallel channels merged into one port share its buffers.
    sent_by_source, latency_by_source : array
        Flits per cycle that were sent in the sampled cycles and delivered, and mean latency of the packets,
        of each endpoint, [endpoints].
    peak_sums : dict
        Most partial sums that a router held at a time, by name of the router.
    notes : tuple of str
        Classes of VCs, deeper buffers, and other conditions of the numbers.
    flit_bytes, clock
        Turn flits per cycle into B/s, and cycles into s.
    finished : array
        Cycle at which each transfer of a list ended, [transfers]; empty for drawn traffic.
    trace : array
        Source, destination, creation, injection and arrival of listed packets, [packets, 5].
    """

    package: Package
    endpoints: tuple[str, ...]
    router: Router
    routing: str
    traffic: str
    offered: float
    accepted: float
    stable: bool
    why: str
    latency: float
    packets: int
    histogram: Ints
    highest: int
    zero_load: float
    hops: float
    cycles: int
    checksum: int
    series: Floats
    warmup: int
    discarded: int
    flits: Floats
    utilisation: Floats
    occupancy: Floats
    peak_occupancy: Ints
    sent_by_source: Floats
    latency_by_source: Floats
    peak_sums: dict[str, int]
    notes: tuple[str, ...]
    flit_bytes: float = field(metadata={"unit": "B"})
    clock: float = field(metadata={"unit": "Hz"})
    finished: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    trace: Ints = field(default_factory=lambda: np.zeros((0, 5), np.int64))

    def __repr__(self) -> str:
        state = "stable" if self.stable else f"not stable ({self.why})"
        if self.offered == 0:
            return (
                f"Simulation({self.traffic} on {self.package.name!r}, {self.routing}: {self.packets} "
                "packets in "
                f"{self.cycles} cycles, {self.time * 1e6:.4g} us)"
            )
        latency = f"{self.latency:.2f} cycles" if self.packets else "no packets measured"
        return (
            f"Simulation({self.traffic} on {self.package.name!r}, {self.routing}: {latency} at "
            f"{self.offered:.4g} flits per cycle, accepted {self.accepted:.4g}, {state})"
        )

    @property
    def time(self) -> float:
        """Time simulated, in s."""
        return self.cycles / self.clock

    @property
    def queueing(self) -> float:
        """Part of the mean latency that is waiting, in cycles."""
        return self.latency - self.zero_load

    @property
    def fairness(self) -> float:
        """Jain's index of what the sources that sent got through: 1 if all alike, 1/n if one alone."""
        got = self.sent_by_source[self.sent_by_source > 0]
        return float(got.sum() ** 2 / (len(got) * (got**2).sum())) if len(got) else 1.0

    def percentile(self, share: float) -> int:
        """Return the latency that a share of the packets does not exceed, in cycles.

        Parameters
        ----------
        share : float
            In percent: 50 is the median.
        """
        below = np.cumsum(self.histogram)
        if not len(below) or below[-1] == 0:
            return 0
        at = int(np.searchsorted(below, np.ceil(share / 100 * below[-1])))
        return at if at < len(self.histogram) - 1 else self.highest

    def interval(self, batches: int = 20) -> tuple[float, float]:
        """Return a 95 % confidence interval of the mean latency, by the means of batches of the series.

        Student's t over batches of cycles after the discarded ones; two batches that follow each other are
        not quite independent, so it is somewhat too narrow near saturation, where runs of several seeds are
        better.
        """
        from scipy.special import stdtrit

        rows = self.series[self.series[:, 0] > self.discarded]
        parts = [
            part for part in np.array_split(rows, min(batches, max(len(rows), 1))) if part[:, 1].sum() > 0
        ]
        if len(parts) < 2:
            return (-np.inf, np.inf)
        means = np.array([part[:, 2].sum() / part[:, 1].sum() for part in parts])
        half = float(stdtrit(len(means) - 1, 0.975) * means.std(ddof=1) / np.sqrt(len(means)))
        return (float(means.mean()) - half, float(means.mean()) + half)

    def table(self) -> Table:
        """Return the run's numbers as a table."""
        none = "no packets measured"
        rows: list[list[object]] = [
            ["offered", Amount(self.offered, form=".4g"), "flits per cycle and source"],
            ["accepted", Amount(self.accepted, form=".4g"), "flits per cycle and source"],
            ["mean latency", self._cycles(self.latency, none), "cycles"],
            ["zero-load part", self._cycles(self.zero_load, none), "cycles"],
            ["queueing part", self._cycles(self.queueing, none), "cycles"],
            ["median", self.percentile(50) if self.packets else Missing(none), "cycles"],
            ["95th percentile", self.percentile(95) if self.packets else Missing(none), "cycles"],
            ["99th percentile", self.percentile(99) if self.packets else Missing(none), "cycles"],
            ["packets measured", self.packets, ""],
            ["cycles simulated", self.cycles, ""],
            ["time simulated", Amount(self.time, "s"), ""],
            ["utilisation", Amount(float(self.utilisation.max(initial=0.0)), form=".1%"), self.busiest],
            ["fullest buffer", f"{int(self.peak_occupancy.max(initial=0))} flits", self.fullest],
            [
                "fairness",
                Amount(self.fairness, form=".4f") if self.packets else Missing(none),
                "Jain's index",
            ],
            ["checksum", str(self.checksum), ""],
        ]
        if self.offered == 0:
            rows = rows[2:]
        columns = [Column("quantity"), Column("value"), Column("of", "unit or place")]
        return Table(columns, rows, title=repr(self), notes=self.notes)

    @staticmethod
    def _cycles(value: float, why: str) -> Amount | Missing:
        return Amount(value, form=".2f") if np.isfinite(value) else Missing(why)

    @property
    def fullest(self) -> str:
        """Name of the channel behind which most flits stood at a time."""
        names = self.package.channel_names
        return names[int(np.argmax(self.peak_occupancy))] if len(self.peak_occupancy) else ""

    @property
    def busiest(self) -> str:
        """Name of the channel with the highest utilisation."""
        return self.package.channel_names[int(np.argmax(self.utilisation))] if len(self.utilisation) else ""
