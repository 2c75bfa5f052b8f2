"""Trees of messages that are chosen together with the paths of a step."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
from small_steps import small_package, small_workload

import noptoolkit as nop
from noptoolkit import Batch, Chiplet, Link, Memory, MoEModel, Package, RoutingTrace, Workload
from noptoolkit.network import flow_network
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.step import StepSchedule
from noptoolkit.step.joint_trees import DealtTrees, joint_trees, with_trees
from noptoolkit.step.path_program import PathPool
from noptoolkit.step.phases import phases_of
from noptoolkit.step.route_checks import route_faults
from noptoolkit.step.transfers import Transfer

pytestmark = pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")

LINK = 1e9


def triangle() -> Package:
    """Return an attention chiplet and two experts, all linked, all copying and adding."""
    nodes: list[Chiplet | Memory] = [
        Chiplet("a", role="attention", flops=1e18, replicates=True, reduces=True),
        *(Chiplet(f"e{i}", flops=1e18, sram=1e9, replicates=True, reduces=True) for i in range(2)),
        *(Memory(f"h{name}", 1e12, serves=(name,)) for name in ("a", "e0", "e1")),
    ]
    links = [Link("a", "e0", LINK), Link("a", "e1", LINK), Link("e0", "e1", LINK)]
    links += [Link(f"h{name}", name, 1e12) for name in ("a", "e0", "e1")]
    return Package("triangle", nodes, links)


def both_experts() -> Workload:
    """Return a model of two experts, both of which every token goes to."""
    model = MoEModel("pair", 64, 1, 4, 4, 16, 200, expert_width=32, experts=2, top_k=2)
    batch = Batch(sequences=4, sequence_length=512, mode="training")
    return Workload("pair", model, batch, RoutingTrace([[0, 1]] * 1024, num_experts=2))


def planned(routing: str) -> StepSchedule:
    package, workload = triangle(), both_experts()
    layout = nop.allocate(workload.trace, package, method="contiguous")
    return nop.schedule(package, workload, layout, routing=routing, degree="in-network")


def test_shortest_trees_carry_half_as_much_again_as_joint_ones() -> None:
    """Dispatch and combine take B bytes each, between `a` and both experts.

    Shortest paths put B on each link of `a`, each way. Let a share s follow them, and the rest one of the two
    ways round, half each: links of `a` carry s B + (1 - s) B / 2, those between the experts (1 - s) B / 2 for
    dispatch and as much for combine. The largest is least where (1 + s) / 2 = 1 - s: s = 1/3, load 2/3 B.
    """
    step = planned("shortest").step
    phases = phases_of(step)
    network = flow_network(step.package)
    dealt = joint_trees(step, PathPool(network, phases.pairs))
    assert dealt is not None
    load = np.zeros(network.num_resources)
    for reverse, shares in dealt.shares.items():
        for number, share in enumerate(shares):
            one = DealtTrees(dealt.trees, {reverse: np.eye(len(shares))[number]})
            trees = {sent.index: one(sent) for sent in step.transfers() if sent.trees is not None}
            load += share * phases_of(with_trees(step, trees)).base["forward"]
    whole = phases.base["forward"].max()
    assert load.max() == pytest.approx(2 / 3 * whole, rel=1e-6)


@pytest.fixture(scope="module")
def mesh() -> StepSchedule:
    package, workload = nop.load_topology("mesh-4x4-in-network"), nop.load_workload("olmoe-1b-7b")
    return nop.schedule(package, workload, nop.allocate(workload.trace, package, method="mozart", rng=0))


def fewer(trees: TreeLoads) -> TreeLoads:
    return dataclasses.replace(trees, trees=trees.trees[1:])


def lighter(trees: TreeLoads) -> TreeLoads:
    return dataclasses.replace(trees, arc_load=trees.arc_load / 2)


def silent(trees: TreeLoads) -> TreeLoads:
    return dataclasses.replace(trees, injected=trees.injected / 2)


@pytest.mark.parametrize(
    ("change", "fault"), [(fewer, "is routed"), (lighter, "do not add up"), (silent, "send or receive")]
)
def test_forged_trees_are_seen(
    mesh: StepSchedule, change: Callable[[TreeLoads], TreeLoads], fault: str
) -> None:
    def forged(sent: Transfer) -> Transfer:
        return sent if sent.trees is None else dataclasses.replace(sent, trees=change(sent.trees))

    faults = route_faults(mesh.step.with_transfers(forged))
    assert any(fault in line for line in itertools.islice(faults, 8))


@pytest.mark.parametrize("seed", range(4))
def test_never_longer_than_shortest_and_never_below_the_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = small_package(rng)
    copies = rng.random(len(package.nodes)) < 0.8  # some nodes only forward
    nodes = [
        dataclasses.replace(node, replicates=bool(yes), reduces=bool(yes))
        if isinstance(node, Chiplet)
        else node
        for node, yes in zip(package.nodes, copies, strict=True)
    ]
    package = Package("copying", nodes, package.links)
    workload = small_workload(rng, package)
    layout = nop.allocate(workload.trace, package, method="contiguous")
    plans = {
        name: nop.schedule(package, workload, layout, routing=name, degree="in-network")
        for name in ("shortest", "optimal")
    }
    assert plans["optimal"].makespan <= plans["shortest"].makespan
    assert plans["optimal"].lower_bound <= plans["optimal"].makespan * (1 + 1e-9)
    plans["optimal"].verify()


def test_in_network_mesh_comes_closer_to_its_bound(mesh: StepSchedule) -> None:
    assert mesh.routing == "joint with trees, by transfer"
    assert mesh.gap < 0.01  # 1.78 % along shortest paths
    mesh.verify()
