"""EPLB's hierarchical policy against the example of its authors; redundant experts judged by time."""

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit.allocation.hierarchical import hierarchical_copies, replicate_hierarchically
from noptoolkit.allocation.replication import replicate_by_load, replicate_by_traffic
from noptoolkit.errors import WorkloadError
from noptoolkit.serving import Server

EPLB = [
    [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86],
    [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27],
]


def test_the_example_of_its_authors() -> None:
    """github.com/deepseek-ai/EPLB, README (d52c72d): 16 replicas, 4 groups, 2 nodes, 8 GPUs."""
    found = hierarchical_copies(EPLB, copies=16, groups=4, nodes=2, chiplets=8)
    assert found.tolist() == [
        [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1],
        [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1],
    ]


@pytest.mark.long
def test_copies_by_all_three_ways_judged_on_balance_and_time() -> None:
    package, given = nop.load_topology("mozart-nop-tree"), nop.load_workload("stdlib-moe")
    trace = given.trace
    plain = nop.allocate(trace, package, method="contiguous")
    layouts = {
        "none": plain,
        "global": replicate_by_load(plain, trace, 16),
        "hierarchical": replicate_hierarchically(plain, trace, 16),
        "traffic": replicate_by_traffic(plain, trace, 16),
    }
    imbalance = {name: layout.imbalance(trace) for name, layout in layouts.items()}
    assert imbalance["global"] < imbalance["none"]
    assert imbalance["hierarchical"] < imbalance["none"]
    for layout in layouts.values():
        layout.check_fits(package)
        server = Server(package, given, layout)
        plan = server.plan(server.batch(64, 200))
        assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
        held = layout.holds
        assert (held.sum(axis=1) >= 1).all()


def test_each_group_of_experts_stays_in_one_node() -> None:
    package, trace = nop.load_topology("mozart-nop-tree"), nop.load_workload("stdlib-moe").trace
    plain = nop.allocate(trace, package, method="contiguous")
    layout = replicate_hierarchically(plain, trace, 16, groups=8)
    node = layout.group_of_chiplet
    for layer in range(layout.num_layers):
        for group in range(8):
            holders = np.flatnonzero(layout.holds[layer][:, group * 8 : (group + 1) * 8].any(axis=1))
            assert len(set(node[holders].tolist())) == 1


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"copies": 15, "groups": 4, "nodes": 2, "chiplets": 8}, "8 chiplets do not divide 15"),
        ({"copies": 8, "groups": 4, "nodes": 2, "chiplets": 8}, "less than the 12 experts"),
        ({"copies": 16, "groups": 5, "nodes": 2, "chiplets": 8}, "5 groups of experts do not divide 12"),
    ],
)
def test_what_does_not_divide_is_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        hierarchical_copies(EPLB, **sizes)
    with pytest.raises(WorkloadError, match="layers, experts"):
        hierarchical_copies([1.0], copies=1, groups=1, nodes=1, chiplets=1)
