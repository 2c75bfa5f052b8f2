"""The referee: fluid bound, chosen route and simulated routers, in one table.

The fluid model of `noptoolkit.flow` has no buffers and no arbiters: its bound cannot be beaten, and its
chosen routes may be optimistic about routers. `check` runs the same bytes along the same routes until
everything is delivered. ``efficiency``, which `congestion` takes, is then measured: fluid time / simulated
time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._pictures import Reported
from noptoolkit.errors import RoutingError
from noptoolkit.flow import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.network import flow_network
from noptoolkit.package import Package
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.rules import Routing, method_of
from noptoolkit.simulate.completing import complete
from noptoolkit.simulate.injection import Pattern, key_of, pattern_of
from noptoolkit.simulate.kept_trees import kept_trees
from noptoolkit.simulate.result import Simulation
from noptoolkit.simulate.router import Router
from noptoolkit.simulate.simulating import completed_result
from noptoolkit.tables import Column, Table
from noptoolkit.traffic import Traffic
from noptoolkit.units import format_quantity

__all__ = ["Check", "check", "load_bound"]

WASTE = 0.02  # of the bytes, from which on whole flits are worth a note


@dataclass(frozen=True, eq=False, repr=False)
class Check(Reported):
    """What a flow promised and what routers did.

    Parameters
    ----------
    flow : FlowResult
        What was checked.
    run : Simulation
        The same bytes on the same routes until done.
    bound, chosen, simulated : float
        Lower bound for any routing, time of the flow's own routes, simulated time, in s, at efficiency 1.
    extra_flits : array
        Flits that each channel carried beyond what the flow counts, [channels]: whole flits, and the
        splitting of shares by packets.
    """

    flow: FlowResult
    run: Simulation
    bound: float
    chosen: float
    simulated: float
    extra_flits: Floats

    @property
    def efficiency(self) -> float:
        """Time of the flow's routes / simulated time, for `congestion` with this router design."""
        return self.chosen / self.simulated if self.simulated > 0 else 1.0

    @property
    def optimism(self) -> float:
        """Excess of the simulated time over that of the flow's routes, as a share of it."""
        return self.simulated / self.chosen - 1 if self.chosen > 0 else 0.0

    def table(self) -> Table:
        """Return bound, chosen routes and simulation as three rows."""
        router = self.run.router
        rows = []
        for name, time, what in (
            ("fluid bound", self.bound, self.flow.bound_method),
            ("chosen routes", self.chosen, f"{self.flow.routing} by {self.flow.method}"),
            (
                "simulated",
                self.simulated,
                f"{router.vcs} VCs of {router.depth} flits, speedup {router.speedup:g}",
            ),
        ):
            rows.append([name, time, time / self.bound if self.bound > 0 else None, what])
        columns = [
            Column("what"),
            Column("time", unit="s", meaning="until everything is delivered"),
            Column("of_bound", meaning="time over the fluid bound", form=".4f"),
            Column("by", meaning="method, or router design"),
        ]
        return Table(columns, rows, title=repr(self), notes=[*self._whole_flits(), *self.run.notes])

    def _whole_flits(self) -> list[str]:
        """Return a line where whole flits for each message are many more bytes than the traffic has."""
        load = float(self.flow.load.sum())
        more = float(self.run.flits.sum()) * self.run.flit_bytes / load - 1 if load > 0 else 0.0
        if more < WASTE:
            return []
        flit = format_quantity(self.run.flit_bytes, "B")
        return [f"each message takes whole flits of {flit}: {more:.0%} more bytes"]

    def __repr__(self) -> str:
        return (
            f"Check({self.flow.traffic.name} on {self.flow.package.name!r}, {self.flow.routing}: simulated "
            f"{self.optimism:+.2%} of the flow's time, "
            f"{self.simulated / self.bound - 1 if self.bound else 0:+.2%} "
            f"of the bound; efficiency {self.efficiency:.3f})"
        )


def check(
    flow: FlowResult,
    *,
    router: Router | None = None,
    routing: str | Routing | None = None,
    rng: int | np.random.Generator | None = 0,
    allow_deadlock: bool = False,
    token_window: int | None = None,
    most_cycles: int = 100_000_000,
) -> Check:
    """Return a flow's promise beside what simulated routers do with the same bytes on the same routes.

    Parameters
    ----------
    flow : FlowResult
        Of `noptoolkit.congestion`.
    router : Router, optional
        The design of the routers.
    routing : str or routing, optional
        What the packets follow; the flow's own routes where ``None``: its rule, its split or its trees.
    rng, allow_deadlock, token_window, most_cycles
        As in `noptoolkit.simulate.simulate`.

    Raises
    ------
    RoutingError
        If the flow keeps no routes, or they can deadlock and there are too few VCs.

    Examples
    --------
    >>> from noptoolkit import congestion, topology, traffic
    >>> mesh = topology.mesh(3)
    >>> seen = check(congestion(mesh, traffic.all_to_all(mesh, "64 kB"), routing="dor"))
    >>> 1 <= seen.simulated / seen.bound < 1.2
    True
    """
    if not isinstance(flow, FlowResult):
        raise RoutingError(f"{flow!r} is not a FlowResult; congestion() returns one")
    router = router or Router()
    problem = routing_problem(flow.package, flow.traffic)
    trees = kept_trees(problem, flow.routed.trees) if routing is None and problem.messages else None
    follow: str | Routing = routing if routing is not None else flow.routing
    if routing is None:
        try:
            known = method_of(follow)
        except LookupError:
            known = None
        if known is None or known.searches:
            follow = flow.forwarding()
    run = complete(
        flow.package, flow.traffic, router, follow, key_of(rng), token_window=token_window, window=0,
        allow_deadlock=allow_deadlock, checked=False, most_cycles=most_cycles, trees=trees,
    )  # fmt: skip
    result = completed_result(run, flow.traffic.name)
    chosen, bound = flow.time * flow.efficiency, flow.time_bound * flow.efficiency
    extra = result.flits - flow.load / result.flit_bytes
    return Check(flow, result, bound, chosen, result.time, extra)


def load_bound(package: Package, traffic: Traffic | Pattern | str, *, router: Router | None = None) -> float:
    """Return a load that no routing exceeds, in flits per cycle and source: a bound of the fluid model.

    Parameters
    ----------
    package, traffic
        As in `noptoolkit.simulate.simulate`, with a rate.
    router : Router, optional
        Whose flits and clock are meant.

    Examples
    --------
    >>> from noptoolkit import simulate, topology
    >>> mesh = topology.mesh(4)
    >>> round(load_bound(mesh, simulate.uniform(mesh, itself=False)), 3)
    0.938
    """
    router = router or Router()
    pattern = pattern_of(package, traffic)
    weight = pattern.weight.copy()
    np.fill_diagonal(weight, 0.0)
    if not weight.any():
        return float("inf")
    loads = pattern.weight.sum(axis=1)
    flow = congestion(package, Traffic(pattern.endpoints, weight, name=pattern.name), routing="shortest")
    flit = router.flit_bytes(flow_network(package))
    return float(loads[loads > 0].mean() / (flow.time_bound * flow.efficiency * float(router.clock) * flit))
