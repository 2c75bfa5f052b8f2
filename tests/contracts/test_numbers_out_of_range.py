"""Numbers that mean nothing are refused by name: none becomes NaN, infinite or an exception."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, bounds, physical, topology, traffic
from noptoolkit.errors import NopError
from noptoolkit.nodes import Efficiency
from noptoolkit.simulate import Router

MESH = topology.mesh(2, link_energy="1 pJ/bit")
FLOW = nop.congestion(MESH, traffic.all_to_all(MESH, 1e6))
NAN, INF = float("nan"), float("inf")

REFUSED: list[tuple[str, Callable[[Any], object], list[Any]]] = [
    ("nodes", lambda n: bounds.moore_sum(n, 3), [-1, 0, 2.5, NAN, True]),
    ("ports", lambda n: bounds.moore_sum(8, n), [-1, 0, 2.5, NAN, INF]),
    ("chiplets", lambda n: bounds.collective_bound("all-reduce", 1e6, n, 3, 1e9), [NAN, INF, 1e308, 8.0]),
    ("ports", lambda n: bounds.collective_bound("all-reduce", 1e6, 16, n, 1e9), [NAN, INF, 1e308, 3.0]),
    ("energy_per_bit", lambda x: one_stack(energy_per_bit=x), [-1.0, NAN, INF, 1e308]),
    ("spine_share", lambda x: topology.gpu_nodes(2, 2, rails=2, spine_share=x), [-1, 0, NAN, INF]),
    ("spine_share", lambda x: topology.gpu_nodes(2, 2, spine_share=x), [-1, 0, NAN, INF]),
    ("tol", lambda x: FLOW.spend(1e9, tol=x), [-1, 0, NAN, INF]),
    ("most", lambda n: FLOW.spend(1e9, most=n), [-1, NAN, 2.5]),
    ("ascent", lambda n: FLOW.spend(1e9, ascent=n), [-1, NAN, 2.5]),
    ("weights", lambda x: both(x), [-1, 0, NAN, INF, 1e308]),
    ("injection", lambda x: Router(injection=x), [-1, 0, NAN, INF, 1e-30]),
    ("ejection", lambda x: Router(ejection=x), [-1, 0, NAN, INF, 1e-30]),
    ("clock", lambda x: Router(clock=x), [-1, 0, NAN, INF, 1e-320]),
    ("network", lambda x: Efficiency(network=x), [-1, 0, NAN, INF, 1e-320, 1e308]),
    ("die", lambda x: physical.gross_dies(x, 0.01, 0.15), [-1, 0, NAN, INF, 1e-320]),
    ("wafer_radius", lambda x: physical.Process(wafer_radius=x), [-1, 0, NAN, INF, 1e308]),
    ("wafer_cost", lambda x: physical.Process(wafer_cost=x), [-1, 0, NAN, INF, 1e308]),
    ("test_cost", lambda x: physical.Process(test_cost=x), [-1, NAN, INF, 1e308]),
    ("edge_density", lambda x: physical.Technology("t", x), [-1, 0, NAN, INF, 1e-320]),
    ("areal_density", lambda x: physical.Technology("t", 1e12, areal_density=x), [-1, 0, NAN, INF, 1e-320]),
    ("energy_per_bit", lambda x: physical.Technology("t", 1e12, energy_per_bit=x), [-1, NAN, INF, 1e308]),
    ("utilisation", lambda x: physical.link_power(MESH, x), [-1, NAN, INF, 1e308]),
    ("assembly_cost", lambda x: physical.package_cost(MESH, assembly_cost_per_die=x), [-1, NAN, INF, 1e308]),
    ("spacing", lambda x: physical.place(MESH, spacing=x), [NAN, INF, 1e308]),
]


def one_stack(**fields: float) -> Package:
    return Package("p", [Chiplet("a"), Memory("m", 1e9, **fields)], [Link("a", "m", 1e9)])


def both(weight: float) -> object:
    demand = traffic.all_to_all(MESH, 1e6)
    return nop.flow.best_widths(MESH, [demand, demand], 1e9, weights=[weight, 1.0])


@pytest.mark.parametrize(("word", "call", "values"), REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_a_number_without_a_meaning_is_refused(
    word: str, call: Callable[[Any], object], values: list[Any]
) -> None:
    for value in values:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            with pytest.raises(NopError) as caught:
                call(value)
        assert word.split("_")[0] in str(caught.value), (value, str(caught.value))
