"""What `verify()` of a bound over all topologies refuses, and what it says that it assumes."""

import dataclasses

import numpy as np
import pytest

from noptoolkit import topology
from noptoolkit.bounds import (
    TopologyBound,
    all_to_all_bound,
    collective_bound,
    design_bound,
    edge_bound,
    grid_class,
    matched_bound,
    ports_bound,
    wire_bound,
)
from noptoolkit.errors import RoutingError
from noptoolkit.traffic import Traffic, all_to_all

EVEN = Traffic(tuple(f"e{i}" for i in range(9)), 1 - np.eye(9))
SKEWED = Traffic(tuple("abcde"), np.eye(5)[[1, 2, 3, 4, 0]] + 0.1 * (1 - np.eye(5)))
ONE_FULL = Traffic(tuple("abcd"), np.array([[0, 9.0, 9, 9], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]))
MESH = topology.mesh(3, link_bandwidth=1.0)
BOUNDS: dict[str, TopologyBound] = {
    "levels": all_to_all_bound(16, 2, 1.0, 1.0, switches=[8, 8]),
    "ports": ports_bound(ONE_FULL, 2, 1.0),
    "Moore": ports_bound(EVEN, 3, 1.0),
    "matched": matched_bound(SKEWED, 3, 1.0),
    "design": design_bound(EVEN, grid_class(3, ports=4, reach=2, bandwidth=1.0)),
    "edge": edge_bound(EVEN, 100.0),
    "wire": wire_bound(MESH, all_to_all(MESH, 1.0)),
    "counts": collective_bound("all-reduce", 7.0, 5, 3, 1.0),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_times_above_what_is_proved_are_refused(name: str) -> None:
    bound = BOUNDS[name]
    assert bound.verify()
    assert dataclasses.replace(bound, time=0.9 * bound.time).verify()  # less holds, too
    for wrong in (1.001 * bound.time, np.nan, np.inf):
        with pytest.raises(RoutingError, match="does not hold"):
            dataclasses.replace(bound, time=wrong).verify()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("matched", field) for field in ("neighbour", "carried", "width", "degree", "full")),
        *(("design", field) for field in ("at_node", "at_pair", "length", "moore")),
        *(("levels", field) for field in ("shells", "supply")),
    ],
)
def test_prices_that_are_none_prove_nothing(name: str, field: str, wrong: float) -> None:
    bound = BOUNDS[name]
    prices = getattr(bound.certificate, field).copy()
    assert prices.size
    prices[..., -1] = wrong
    forged = dataclasses.replace(bound.certificate, **{field: prices})  # type: ignore[type-var]
    with pytest.raises(RoutingError, match="does not hold"):
        dataclasses.replace(bound, certificate=forged).verify()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("edge", {"edge": 50.0}), ("wire", {"wire": 0.5 * BOUNDS["wire"].certificate.wire}),  # type: ignore[attr-defined]
        ("levels", {"bandwidth": 0.5}), ("counts", {"size": 14.0}), ("matched", {"bandwidth": 0.5}),
    ],
)  # fmt: skip
def test_the_class_of_the_certificate_is_assumed_to_be_the_one_that_is_named(name: str, change: dict) -> None:
    """Half the edge proves twice the time: of the class that the text still names it would be wrong."""
    bound = BOUNDS[name]
    other = dataclasses.replace(bound.certificate, **change)  # type: ignore[type-var]
    assert dataclasses.replace(bound, certificate=other, time=2 * bound.time).verify()


@pytest.mark.parametrize(
    ("name", "field"), [("matched", "hops"), ("levels", "reached"), ("design", "at_total")]
)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_single_price_that_is_none_proves_nothing(name: str, field: str, wrong: float) -> None:
    bound = BOUNDS[name]
    forged = dataclasses.replace(bound.certificate, **{field: wrong})  # type: ignore[type-var]
    with pytest.raises(RoutingError, match="does not hold"):
        dataclasses.replace(bound, certificate=forged).verify()
