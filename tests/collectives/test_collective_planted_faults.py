"""Every field of a result is held against the rest of it: one planted fault each."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from collective_cases import grid, path, ring, star

from noptoolkit import Chiplet, Link, Memory, Package, Switch, topology
from noptoolkit.collectives import CollectiveResult, Request, collective
from noptoolkit.collectives.solving import assemble
from noptoolkit.collectives.values.answers import Answer, ProvedBound
from noptoolkit.collectives.verification.bound_checks import price_faults
from noptoolkit.collectives.verification.claim_checks import claim_faults
from noptoolkit.errors import RoutingError
from noptoolkit.network import flow_network

MESH = grid(2, 3).experts
CASES = {
    "cut": collective(path(4), "all-gather", 4.0),
    "partition": collective(grid(3, 3), "all-reduce", 1.0),
    "prices": collective(star(4), "all-reduce", 1.0),
    "flow": collective(grid(3, 2), "all-to-all", 6.0),
    "ring": collective(grid(2, 2), "all-reduce", 1.0, algorithm="ring (given order)"),
    "in network": collective(star(4), "all-reduce", 1.0, in_network=True),
    "several": collective(
        grid(2, 3),
        groups=[
            Request("all-gather", 2.0, MESH[:2]),
            Request("all-reduce", 1.0, [MESH[2], MESH[5], MESH[4]]),
        ],
    ),
}


def changed(result: CollectiveResult, **fields: Any) -> CollectiveResult:
    return dataclasses.replace(result, **fields)


def spoilt(values: np.ndarray[Any, Any], by: float) -> np.ndarray[Any, Any]:
    other = np.array(values, dtype=float)
    other[int(np.argmax(other))] *= by
    return other


FAULTS: dict[str, Any] = {
    "time nan": lambda r: {"time": float("nan")},
    "time lower": lambda r: {"time": r.time * 0.9},
    "bound nan": lambda r: {"time_bound": float("nan")},
    "bound nought": lambda r: {"time_bound": 0.0},
    "bound nought without a cut": lambda r: {"time_bound": 0.0, "time_bound_trees": 0.0, "cut": None},
    "bound higher": lambda r: {"time_bound": r.time_bound * 1.05},
    "bound in trees nan": lambda r: {"time_bound_trees": float("nan")},
    "bound in trees higher": lambda r: {"time_bound_trees": r.time_bound_trees * 1.05},
    "bound in trees lower": lambda r: {"time_bound_trees": r.time_bound * 0.9},
    "load nan": lambda r: {"load": np.where(np.arange(len(r.load)) == 0, np.nan, r.load)},
    "load more": lambda r: {"load": spoilt(r.load, 1.1)},
    "use nan": lambda r: {"use": spoilt(r.use, float("nan"))},
    "use more": lambda r: {"use": spoilt(r.use, 1.1)},
    "prices nan": lambda r: {"prices": spoilt(r.prices, float("nan"))},
    "status": lambda r: {"status": "certified"},
    "another status": lambda r: {"status": "bounded"},
    "theorem": lambda r: {"theorem": "every schedule is the best one"},
    "theorem of another": lambda r: {"theorem": "no bytes, no time"},
    "bottleneck": lambda r: {"bottleneck": "nowhere"},
    "no bottleneck": lambda r: {"bottleneck": ""},
    "requests": lambda r: {"requests": (Request(r.requests[0].kind, 9.0, r.requests[0].members),)},
    "arrays of another package": lambda r: {
        "network": CASES["cut" if r.package != path(4) else "flow"].network
    },
}


@pytest.mark.parametrize("case", CASES)
def test_results_hold(case: str) -> None:
    found = CASES[case].verify()
    assert found.bound != "nothing"
    assert found or case == "ring"  # of synchronous steps only the bound is checked, and that is said


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", CASES)
def test_planted_faults_are_seen(case: str, fault: str) -> None:
    result = CASES[case]
    if case == "ring" and fault in ("time lower", "load more", "use more", "no bottleneck"):
        pytest.skip("time is the sum of steps, which are not kept")
    if case == "ring" and fault == "another status":
        pytest.skip("the same")
    with pytest.raises(RoutingError, match="does not hold"):
        changed(result, **FAULTS[fault](result)).verify()


CUT_FAULTS: dict[str, Any] = {
    "an unknown label": lambda c: {"parts": (*c.parts[:-1], (*c.parts[-1], "nobody"))},
    "a label in no part": lambda c: {"parts": (*c.parts[:-1], c.parts[-1][1:])},
    "a label twice": lambda c: {"parts": (*c.parts[:-1], (*c.parts[-1], c.parts[0][0]))},
    "labels exchanged": lambda c: {
        "parts": ((c.parts[1][0], *c.parts[0][1:]), (c.parts[0][0], *c.parts[1][1:]))
    },
    "no channels": lambda c: {"resources": ()},
    "other channels": lambda c: {"resources": (*c.resources[1:], "nowhere")},
    "no capacity": lambda c: {"capacity": 0.0},
    "capacity nan": lambda c: {"capacity": float("nan")},
    "demand": lambda c: {"demand": c.demand * 1.1},
    "time": lambda c: {"time": c.time * 1.1},
    "way": lambda c: {"way": "into" if c.way == "out of" else "out of"},
    "everything in one part": lambda c: {"parts": (tuple(x for part in c.parts for x in part), ())},
    "another way": lambda c: {"way": "through"},
}


@pytest.mark.parametrize("fault", CUT_FAULTS)
@pytest.mark.parametrize("case", ["cut", "partition", "in network"])
def test_planted_faults_of_cuts_are_seen(case: str, fault: str) -> None:
    result = CASES[case]
    assert result.cut is not None
    if fault == "labels exchanged" and len(result.cut.parts) > 2:
        pytest.skip("single nodes may change places")
    with pytest.raises(RoutingError, match="does not hold"):
        changed(result, cut=changed(result.cut, **CUT_FAULTS[fault](result.cut))).verify()


def test_bounds_in_trees_have_their_own_prices() -> None:
    result = collective(topology.nop_tree(2, 3, link_bandwidth=1.0), "all-reduce", 1.0, in_network=False)
    random = collective(grid(2, 3), "all-reduce", 1.0, among=[MESH[0], MESH[1], MESH[5]])
    for found in (result, random):
        assert found.verify()
        assert found.prices_trees is not None
        assert float(found.prices_trees @ found.network.capacity) == pytest.approx(1.0)
    apart = collective(topology.mesh(3, 3, link_bandwidth=1.0), "all-reduce", 1.0, among=["e0", "e4", "e5"])
    assert apart.verify()
    assert apart.time_bound_trees > 1.1 * apart.time_bound
    even = 1 / (apart.network.capacity * len(apart.network.capacity))  # worth as much, and proves less
    with pytest.raises(RoutingError, match=r"the prices prove .* s in trees"):
        changed(apart, prices_trees=even).verify()
    for others, in_trees in (({"prices": even}, False), ({"prices_trees": even}, True)):
        for trees in (False, True):  # each bound is that of its own prices
            faults, _ = price_faults(changed(apart, **others), 1e-7, trees=trees)
            assert len(faults) == (trees == in_trees)


def test_a_tree_with_a_memory_stack_first() -> None:
    nodes = [Memory("m", 5.0), Switch("s"), Chiplet("a"), Chiplet("b"), Chiplet("c")]
    links = [Link("m", "a", 1.0), Link("s", "a", 1.0), Link("s", "b", 1.0), Link("s", "c", 1.0)]
    for kind in (
        "all-to-all",
        "all-gather",
        "reduce-scatter",
        "all-reduce",
        "scatter",
        "gather",
        "broadcast",
    ):
        result = collective(Package("memory first", nodes, links), kind, 3.0)
        assert result.verify()
    twice = Package(
        "two branches",
        [*nodes, Chiplet("d"), Chiplet("e")],
        [*links, Link("c", "d", 1.0), Link("d", "e", 1.0)],
    )
    result = collective(twice, "all-to-all", 5.0)
    assert result.time == pytest.approx(6.0)  # two of five members behind one channel: 2 x 3 shares of 1 B
    assert result.verify()


def test_what_is_assumed_is_not_seen() -> None:
    """What was asked for, and texts that only describe; the docstring of the verification says so."""
    hub = CASES["in network"]
    assert hub.computing
    assert not any(getattr(node, "reduces", False) for node in hub.package.nodes)
    assert hub.verify()  # asked for with `in_network=True`: that the hub can add is taken as given
    assert changed(CASES["cut"], method="guess", remarks=("so it is",), seconds=9.0).verify()
    plain = CASES["prices"]
    with pytest.raises(RoutingError, match="does not hold"):
        changed(hub, computing=()).verify()  # that it adds must be claimed, though
    assert plain.computing == ()


def test_which_chiplets_forward_is_part_of_the_bound() -> None:
    """Half of the ring is closed: where all may forward, the same bound is twice what holds."""
    result = collective(ring(4), "all-to-all", 4.0, among=["0", "2"], forwards=["1"])
    assert result.verify()
    assert set(result.non_forwarding) == {"0", "2", "3"}
    with pytest.raises(RoutingError, match="does not hold"):
        changed(result, non_forwarding=()).verify()


@pytest.mark.parametrize(
    ("proved", "in_trees", "limited", "algorithm", "status"),
    [
        (1.0, 1.0, False, "optimal", "exact"),
        (0.92, 0.95, False, "optimal", "certified"),  # 1 / 1.1 = 0.909
        (0.5, 0.92, False, "optimal", "certified in trees"),
        (0.5, 0.9, False, "optimal", "bounded"),
        (0.5, 0.9, True, "optimal", "time limit"),
        (0.92, 0.92, False, "ring", "fixed algorithm"),
    ],
)
def test_a_status_follows_from_time_and_bounds(
    proved: float, in_trees: float, limited: bool, algorithm: str, status: str
) -> None:
    """What is assembled from an answer of 1 s and bounds, within 10 %; and no other status is let pass."""
    request, network = Request("broadcast", 1.0, ["0", "1"]), flow_network(path(2))
    bounds = (ProvedBound(proved, "any"), ProvedBound(in_trees, "in trees", trees_only=True))
    answer = Answer(network.capacity, "by hand", bounds, None, "", limited=limited)
    found = assemble(network, (request,), answer, algorithm=algorithm, tol=0.1, seconds=0.0)
    assert (found.time, found.time_bound, found.time_bound_trees) == (1.0, proved, in_trees)
    assert found.status == status
    same = {"bounded", "time limit"}  # the deadline is not kept
    for other in ("exact", "certified", "certified in trees", "bounded", "time limit", "fixed algorithm"):
        faults = [fault for fault in claim_faults(changed(found, status=other), 1e-7) if "status" in fault]
        assert bool(faults) == (other != status and not {other, status} <= same)
