"""Prefill and decode on two groups of chiplets, keys and values moved between them over the network.

Each group has a copy of the model: its experts on the group's expert chiplets, attention on its attention
chiplets, or on its expert chiplets where it has none. The rest of the package stays as it is, and carries
what passes. After a prefill the prompt's keys and values go from the hosts of one group to those of the
other, in equal parts, by the best routing (`noptoolkit.congestion`), while the groups work; the stacks read
and write them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noptoolkit.errors import TopologyError
from noptoolkit.flow import congestion
from noptoolkit.nodes import cache_bytes
from noptoolkit.package import Chiplet, Package, expect_package
from noptoolkit.serving.server import Server, Speculation
from noptoolkit.step.hosts import hosts_of
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.tables import Column, Table
from noptoolkit.traffic import from_matrix
from noptoolkit.units import format_quantity
from noptoolkit.workload import Workload

__all__ = ["Disaggregated", "disaggregate"]


@dataclass(frozen=True, eq=False)
class Disaggregated:
    """A server in two groups, at one prompt length, output length and batch.

    Parameters
    ----------
    prefill, decode
        The two groups' servers.
    prompt, output, batch
        Tokens of prompt and output, and sequences that decode at once.
    prefill_time, step
        Prefill of one prompt, and step of decode at the mean context, in s.
    moved, move_time
        Keys and values of a prompt, in B, and how long they take alone, in s.
    bottleneck
        What limits the move.
    """

    prefill: Server
    decode: Server
    prompt: int
    output: int
    batch: int
    prefill_time: float
    step: float
    moved: float
    move_time: float
    bottleneck: str

    @property
    def first_token(self) -> float:
        """Time to the first token, nothing else waiting, in s: it comes from the prefill."""
        return self.prefill_time

    @property
    def second_token(self) -> float:
        """Time to the second token: the move and a step later, in s."""
        return self.prefill_time + self.move_time + self.step

    @property
    def capacities(self) -> dict[str, float]:
        """Requests per second that each part serves at most."""
        tokens = self.batch * self.decode.speculation.tokens
        return {
            "prefill": 1 / self.prefill_time,
            "move": 1 / self.move_time if self.move_time else float("inf"),
            "decode": tokens / self.step / max(self.output - 1, 1),
        }

    @property
    def limit(self) -> str:
        """The part that serves the fewest requests."""
        return min(self.capacities, key=lambda name: self.capacities[name])

    @property
    def requests_per_second(self) -> float:
        """Requests per second at most."""
        return self.capacities[self.limit]

    def table(self) -> Table:
        """Return the three parts: time per request, and requests per second at most."""
        times = {
            "prefill": self.prefill_time,
            "move": self.move_time,
            "decode": self.step * (self.output - 1),
        }
        columns = [
            Column("part"),
            Column("time", unit="s", meaning="of one request, nothing else waiting"),
            Column("requests_per_second", "requests/s", form=".4g", meaning="at most"),
            Column("limit"),
        ]
        rows = [
            (name, times[name], rate, "limits" if name == self.limit else "")
            for name, rate in self.capacities.items()
        ]
        size = format_quantity(self.moved, "B")
        notes = [
            f"A prompt of {self.prompt} tokens moves {size}, limited by {self.bottleneck}.",
            f"Decode: batch {self.batch}, outputs of {self.output} tokens.",
        ]
        return Table(columns, rows, title="Prefill and decode apart", notes=notes)


def disaggregate(
    package: Package,
    workload: Workload,
    *,
    prefill: Sequence[str],
    decode: Sequence[str],
    prompt: int = 2048,
    output: int = 256,
    batch: int = 16,
    speculation: Speculation | None = None,
    **options: Any,
) -> Disaggregated:
    """Return prefill and decode on two groups of chiplets.

    Parameters
    ----------
    prefill, decode
        Names of the chiplets of each group; no chiplet is in both.
    prompt, output, batch
        See `Disaggregated`.
    options
        As `Server` takes them, for both groups.

    Raises
    ------
    TopologyError
        If a group has no expert chiplet, a name is none, or a chiplet is in both.
    """
    expect_package(package)
    both = sorted(set(prefill) & set(decode))
    if both:
        raise TopologyError(f"chiplet {both[0]!r} is in both groups; give each chiplet to one")
    first, second = (
        Server(
            _group(package, names, what),
            workload,
            speculation=speculation or Speculation(),
            options=options,
        )
        for names, what in ((prefill, "prefill"), (decode, "decode"))
    )
    sources, sinks = (hosts_of(one.package, one.options.get("hosts")) for one in (first, second))
    size = cache_bytes(first.workload.model, prompt, first.workload.batch.bytes_per_value)
    ends = (*sources, *sinks)
    pairs = np.zeros((len(ends), len(ends)))
    pairs[: len(sources), len(sources) :] = size / len(sources) / len(sinks)
    flow = congestion(package, from_matrix(package, pairs, endpoints=ends))
    stacks = MemoryStacks(package)
    ports = [
        (size / len(hosts) * share / memory.bandwidth, memory.name)
        for hosts in (sources, sinks)
        for host in hosts
        for memory, share in stacks.shares(host)
    ]
    port, name = max(ports, default=(0.0, ""))
    network = float(flow.time)
    return Disaggregated(
        first,
        second,
        prompt,
        output,
        batch,
        first.prefill(prompt).time,
        second.decode(batch, prompt + output // 2).time,
        size,
        max(network, port),
        str(flow.bottleneck) if network >= port else f"stack {name}",
    )


def _group(package: Package, names: Sequence[str], what: str) -> Package:
    """Return a package whose experts and attention are those of one group."""
    for name in names:
        if not isinstance(package[name], Chiplet):
            raise TopologyError(f"package {package.name!r}: {name!r} of the {what} group is no chiplet")
    chosen = set(names)
    if not chosen & set(package.experts):
        raise TopologyError(
            f"the {what} group has no expert chiplet; name some of {', '.join(package.experts[:4])}"
        )
    nodes = [
        dataclasses.replace(node, role="compute")
        if isinstance(node, Chiplet) and node.role in ("attention", "expert") and node.name not in chosen
        else node
        for node in package.nodes
    ]
    return package.replace(nodes=nodes, name=f"{package.name}, {what}")
