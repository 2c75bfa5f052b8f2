"""Solving the traffic of a result again on a package with other bandwidths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from noptoolkit.errors import RoutingError
from noptoolkit.flow.evaluation import congestion
from noptoolkit.flow.result import FlowResult
from noptoolkit.flow.widths.choices import Choices
from noptoolkit.flow.widths.evidence import Evidence, evidence_of
from noptoolkit.package import Package
from noptoolkit.routing.rules import ROUTINGS, Routing, method_of

__all__ = ["evidence_for", "solver_of"]

TOL = 1e-6
"""Relative gap at which a solve again may stop; far tighter than that of one result, for ranges need it."""


def solver_of(
    flow: FlowResult,
    routing: str | Routing | None = None,
    *,
    tol: float = TOL,
    time_limit: float | None = None,
) -> Callable[[Package], FlowResult]:
    """Return a function that solves the traffic of a result again on a package of the same links.

    Raises
    ------
    RoutingError
        If the result's routing is not one of ``ROUTINGS`` and is not given.
    """
    chosen = flow.routing if routing is None else routing
    if isinstance(chosen, str) and chosen not in ROUTINGS:
        raise RoutingError(
            f"{flow!r} was routed by {chosen!r}, which is not a name in ROUTINGS; give it again as routing="
        )

    def solve(package: Package) -> FlowResult:
        return congestion(package, flow.traffic, routing=chosen, tol=tol, efficiency=flow.efficiency)

    return solve


def evidence_for(flow: FlowResult, routing: str | Routing | None, choices: Choices | None) -> Evidence:
    """Return what a result says about other bandwidths of the chosen links.

    Raises
    ------
    RoutingError
        If a fixed routing splits among parallel links that are to be widened: its time is then no function
        of their total.
    """
    method = method_of(flow.routing if routing is None else routing)
    network = flow.network
    if choices is not None and method.sharing != "by bandwidth":
        touched = np.zeros(network.num_resources, bool)
        touched[np.flatnonzero(np.asarray(choices.on_resources.sum(axis=1)).ravel() > 0)] = True
        bundled = touched[network.own] & (network.width > 1)
        if bundled.any():
            arc = int(np.flatnonzero(bundled)[0])
            a, b = (
                network.node_of_vertex(int(network.tail[arc])),
                network.node_of_vertex(int(network.head[arc])),
            )
            raise RoutingError(
                f"package {flow.package.name!r}: parallel links from {a!r} to {b!r} share their load "
                f"{method.sharing!r} under {method.name}, whatever their bandwidth; leave them out, or use "
                "routing='optimal'"
            )
    return evidence_of(flow, method)
