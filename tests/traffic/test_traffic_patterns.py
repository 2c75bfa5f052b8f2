"""Closed forms of the plain patterns, and their errors."""

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Memory, Package, topology
from noptoolkit.errors import FormatError, NopError, UnknownNameError, WorkloadError
from noptoolkit.traffic import DestinationSets, all_to_all, from_matrix, hotspot, permutation, transpose

LEAVES = [Chiplet(f"e{i}", role="expert") for i in range(4)]
RING = Package(
    "ring",
    [Chiplet("root", role="attention"), *LEAVES, Memory("hbm", "256 GB/s")],
    [
        Link(a, b, "1 GB/s")
        for a, b in zip(("root", "e0", "e1", "e2", "e3"), ("e0", "e1", "e2", "e3", "root"), strict=True)
    ]
    + [Link("hbm", "root", "1 GB/s")],
)


def test_all_to_all_sends_one_message_per_ordered_pair() -> None:
    demand = all_to_all(RING, "2 kB").demand
    assert demand.sum() == 4 * 3 * 2000
    assert demand[0].sum() == demand[:, 0].sum() == 0
    everybody = all_to_all(RING, 1.0, among="terminals")
    assert everybody.endpoints == RING.terminals
    assert everybody.demand.sum() == 5 * 4
    assert all_to_all(RING, 1.0, among=["root", "e2"]).demand.sum() == 2


def test_hotspot_leaves_the_hot_chiplet_out() -> None:
    demand = hotspot(RING, 10.0, to="e1").demand
    assert demand[:, 2].tolist() == [0, 10, 0, 10, 10]
    assert demand.sum() == 30


def test_transpose_mirrors_the_square() -> None:
    demand = transpose(RING, 1.0).demand[1:, 1:]
    assert np.argwhere(demand).tolist() == [[1, 2], [2, 1]]


def test_permutation_sends_and_receives_once_and_never_to_itself() -> None:
    for seed in range(20):
        demand = permutation(RING, 3.0, rng=seed).demand
        assert demand.sum(axis=0).tolist() == demand.sum(axis=1).tolist() == [0, 3, 3, 3, 3]
    assert (permutation(RING, 1.0, rng=1).demand == permutation(RING, 1.0, rng=1).demand).all()
    given = permutation(RING, 1.0, order=[1, 2, 3, 0]).demand[1:, 1:]
    assert (given == np.roll(np.eye(4), 1, axis=1)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: all_to_all(RING, "2 GB/s"), "bytes_per_pair '2 GB/s' is in B/s, not in B"),
        (lambda: all_to_all(RING, -1), "bytes_per_pair -1 B must be above 0"),
        (lambda: all_to_all(RING, 1.0, among="expert"), "no endpoints 'expert'; did you mean 'experts'"),
        (lambda: all_to_all(RING, 1.0, among=["e0"]), "gives 1 different endpoints"),
        (lambda: all_to_all(RING, 1.0, among=["e0", "e0"]), "each once"),
        (lambda: all_to_all(RING, 1.0, among=["e0", "hbm"]), "no chiplet named 'hbm'"),
        (lambda: hotspot(RING, 1.0, to="e9"), "no chiplet named 'e9'; known: root, e0"),
        (lambda: transpose(RING, 1.0, among="terminals"), "square of endpoints, package 'ring' gives 5"),
        (lambda: permutation(RING, 1.0, order=[0, 0, 1, 2]), "is not a permutation of 0 to 3"),
        (lambda: from_matrix(RING, np.zeros((2, 2))), r"has shape \(2, 2\), package 'ring' has 5 endpoints"),
        (lambda: from_matrix(RING, np.full((5, 5), np.nan)), "'root' to 'e0' is nan B"),
        (lambda: from_matrix(RING, -np.ones((5, 5))), "'root' to 'e0' is -1 B"),
    ],
)
def test_errors_name_thing_and_way_out(wrong, message: str) -> None:
    with pytest.raises(NopError, match=message) as caught:
        wrong()
    assert isinstance(caught.value, WorkloadError | FormatError | UnknownNameError)


def test_memory_stacks_are_end_points_when_asked_for() -> None:
    traffic = from_matrix(RING, [[0, 5], [7, 0]], endpoints=("hbm", "e0"))
    assert traffic.demand.sum() == 12
    assert repr(traffic) == "Traffic('matrix': 2 endpoints, 12 B in 2 demands)"


def test_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        all_to_all(RING, 1.0).demand[0, 1] = 5.0


def test_destination_sets_over_several_words() -> None:
    members = np.zeros((1, 2), dtype=np.uint64)
    members[0, 1] = np.uint64(1) << np.uint64(3)
    sets = DestinationSets(np.array([0]), members, np.array([8.0]))
    assert np.flatnonzero(sets.contains(128)[0]).tolist() == [67]
    assert repr(sets) == "DestinationSets(1 messages, 8 B)"


def test_a_matrix_names_each_endpoint_once() -> None:
    package = topology.mesh(3)
    with pytest.raises(WorkloadError, match="endpoint 'e0' stands 2 times"):
        from_matrix(package, [[0, 1, 1], [1, 0, 1], [1, 1, 0]], endpoints=("e0", "e0", "e8"))
