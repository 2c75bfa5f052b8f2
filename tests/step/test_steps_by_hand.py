"""Small pieces of a step, each with an answer that a reader can give."""

import dataclasses

import numpy as np
import pytest
from small_steps import small_package, small_step, small_workload

import noptoolkit as nop
from noptoolkit.errors import NopError, ScheduleError
from noptoolkit.nodes import OPTIMISERS, Efficiency
from noptoolkit.step import Policy
from noptoolkit.step.holdings import _caches
from noptoolkit.step.hosts import check_computes, hosts_of
from noptoolkit.step.parts import cut_step
from noptoolkit.step.simulated import StepCheck
from noptoolkit.step.step import MOST_SLICES, StepOptions

pytestmark = pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")


@pytest.mark.parametrize("seed", range(3))
def test_in_a_serial_step_each_stage_ends_in_one_task(seed: int) -> None:
    """What runs side by side is joined, so that everything waits for one task alone."""
    rng = np.random.default_rng(seed)
    package = small_package(rng)
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    graph = nop.schedule(package, work, layout, policy="serial", routing="shortest").graph
    waits = np.diff(graph.pred_ptr)
    join = np.array([graph.kinds[kind] == "join" for kind in graph.kind])
    assert join.any()
    assert (waits[join] > 1).all()
    assert (waits[~join] <= 1).all()
    assert (graph.duration[join] == 0).all()


def test_a_check_of_nothing_has_efficiency_one() -> None:
    assert StepCheck(None, (), (), ()).efficiency == 1.0  # type: ignore[arg-type]


def test_chiplets_that_do_not_say_how_fast_they_compute_are_named() -> None:
    package = nop.topology.mesh(2, attention=True, flops="1 TFLOP/s")
    check_computes(package)
    slow = [
        dataclasses.replace(node, flops=None) if isinstance(node, nop.Chiplet) else node
        for node in package.nodes
    ]
    with pytest.raises(ScheduleError, match="chiplet 'e2' does not say how fast it computes"):
        check_computes(
            package.replace(
                nodes=[a if a.name == "e2" else b for a, b in zip(slow, package.nodes, strict=True)]
            )
        )
    with pytest.raises(ScheduleError, match=f"{len(package.chiplets)} chiplets, such as"):
        check_computes(package.replace(nodes=slow))


def test_tokens_live_where_attention_is_else_on_the_experts() -> None:
    with_host = nop.topology.mesh(2, attention=True, flops="1 TFLOP/s")
    without = nop.topology.mesh(2, flops="1 TFLOP/s")
    host = with_host.with_role("attention")
    assert hosts_of(with_host, None) == host
    assert hosts_of(with_host, "experts") == with_host.experts
    assert hosts_of(with_host, "all") == (*host, *with_host.experts)
    assert hosts_of(without, None) == without.experts
    assert hosts_of(without, ("e1", "e0")) == ("e1", "e0")


def test_a_layout_of_another_package_is_refused() -> None:
    rng = np.random.default_rng(0)
    package = small_package(rng)
    work = small_workload(rng, package)
    names = tuple(f"x{i}" for i in range(len(package.experts)))
    layout = nop.Allocation(names, np.arange(2 * len(names)) // 2)
    with pytest.raises(NopError, match=r"the allocation is for .* allocate again for this package"):
        nop.schedule(package, work, layout, routing="shortest")


@pytest.mark.parametrize("slices", [0, -1, 2.5, "streams", MOST_SLICES + 1])
def test_slices_are_a_whole_number_or_a_stream(slices: object) -> None:
    with pytest.raises(ScheduleError, match=f"slices={slices!r}: give a whole number from 1 to"):
        StepOptions(slices=slices)  # type: ignore[arg-type]
    for good in (1, MOST_SLICES, "stream", None):
        assert StepOptions(slices=good).slices == good  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prefetch": -1}, "prefetch -1 must be a whole number, 0 or more"),
        ({"prefetch": (0, 1.5)}, "prefetch 1.5 must be"),
        ({"micro_batches": 0}, "micro_batches 0 must be a whole number above 0"),
        ({"parts": 0}, "parts 0 must be a whole number from 1 to"),
        ({"contention": "fluids"}, "no contention named 'fluids'; did you mean 'fluid'"),
        ({"chunks": 0}, "chunks 0 must be a whole number from 1 to"),
        ({"rounds": -1}, "rounds -1 must be a whole number, 0 or more"),
    ],
)
def test_a_policy_says_what_it_cannot_be(given: dict[str, object], said: str) -> None:
    with pytest.raises(NopError, match=said):
        Policy(**given)  # type: ignore[arg-type]
    Policy(prefetch=0, micro_batches=1, parts=1, contention="fluid", chunks=1, rounds=0)


def test_one_part_is_the_step_itself() -> None:
    step = small_step(np.random.default_rng(0))
    assert cut_step(step, 1) is step


@pytest.mark.parametrize("mode", ["prefill", "decode"])
def test_keys_and_values_are_two_vectors_for_each_token_and_layer(mode: str) -> None:
    """4 heads of 16 numbers of 2 bytes, keys and values: 256 B for each token in each layer."""
    rng = np.random.default_rng(0)
    package = small_package(rng)
    work = small_workload(rng, package, mode)
    each = 2 * 4 * 16 * work.batch.bytes_per_value * work.model.layers
    assert _caches(work) == work.batch.sequences * work.batch.sequence_length * each
    if mode == "decode":
        prompt = dataclasses.replace(work.batch, prompt_tokens=8, cached=4)
        more = _caches(dataclasses.replace(work, batch=prompt)) - _caches(work)
        assert more == 12 * each


@pytest.mark.parametrize("on_network", [False, True])
def test_stacks_that_take_a_while_to_answer_are_verified(on_network: bool) -> None:
    """Every movement of a stack takes its latency longer, and the checks count it again."""
    rng = np.random.default_rng(1)
    package = small_package(rng)
    late = package.replace(
        nodes=[
            dataclasses.replace(node, latency=1e-5) if isinstance(node, nop.Memory) else node
            for node in package.nodes
        ]
    )
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    plain, slow = (
        nop.schedule(one, work, layout, routing="shortest", weights_on_network=on_network)
        for one in (package, late)
    )
    assert slow.verify()
    assert slow.makespan > plain.makespan


@pytest.mark.parametrize("on_network", [False, True])
def test_steps_of_less_than_full_speed_are_verified(on_network: bool) -> None:
    """Half the speed everywhere is twice the time of all tasks."""
    rng = np.random.default_rng(1)
    package = small_package(rng)
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    plain, mixed, half = (
        nop.schedule(
            package, work, layout, routing="shortest", weights_on_network=on_network,
            efficiency=Efficiency(*speeds),
        )
        for speeds in ((1.0, 1.0, 1.0), (0.5, 0.8, 0.7), (0.5, 0.5, 0.5))
    )  # fmt: skip
    assert mixed.verify()
    assert half.verify()
    assert half.makespan == pytest.approx(2 * plain.makespan)
    assert plain.makespan < mixed.makespan < half.makespan


def test_computing_again_is_a_third_pass_and_more_energy() -> None:
    rng = np.random.default_rng(1)
    package = small_package(rng)
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    kept, again = (
        nop.schedule(
            package, work, layout, routing="shortest", recompute=recompute, energy_per_flop="1 pJ"
        )
        for recompute in (False, True)
    )  # fmt: skip
    assert (kept.step.backward_factor, again.step.backward_factor) == (2.0, 3.0)
    assert kept.energy.compute < again.energy.compute < 4 / 3 * kept.energy.compute
    assert kept.energy.memory == again.energy.memory
    assert kept.energy.per_flop == pytest.approx(1e-12)
    for plan in (kept, again):
        assert plan.verify()


@pytest.mark.parametrize("optimiser", sorted(OPTIMISERS))
@pytest.mark.parametrize("on_network", [False, True])
def test_stacks_that_are_read_and_written_at_once_are_verified(optimiser: str, on_network: bool) -> None:
    rng = np.random.default_rng(2)
    package = small_package(rng)
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    plan = nop.schedule(
        package, work, layout, routing="shortest", optimiser=optimiser, weights_on_network=on_network
    )
    assert plan.verify()


@pytest.mark.parametrize("seed", range(3))
def test_transfers_are_those_that_a_change_meets_in_the_same_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = small_package(rng)
    work = small_workload(rng, package)
    step = nop.schedule(package, work, policy="all-to-all", routing="shortest").step
    met = []
    kept = step.with_transfers(lambda sent: (met.append(sent), sent)[1])
    assert len(met) > 2
    assert list(map(id, met)) == list(map(id, step.transfers())) == list(map(id, kept.transfers()))
    other = step.with_transfers(lambda sent: dataclasses.replace(sent, index=sent.index + 1))
    assert [sent.index for sent in other.transfers()] == [sent.index + 1 for sent in met]


def test_activations_lie_in_sram_as_far_as_the_ring_of_weights_leaves_room() -> None:
    rng = np.random.default_rng(1)
    package = small_package(rng)
    roomy = package.replace(
        nodes=[dataclasses.replace(n, sram=1e9) if n.name in package.experts else n for n in package.nodes]
    )
    work = small_workload(rng, package)
    layout = nop.allocate(work.trace, package, method="contiguous")
    ledgers = [nop.schedule(one, work, layout, routing="shortest").step.ledger for one in (package, roomy)]
    for one, ledger in zip((package, roomy), ledgers, strict=True):
        assert all(held.size >= 0 for held in ledger.holdings)
        for name in one.experts:
            assert ledger.used(name) <= one[name].sram * (1 + 1e-12)  # type: ignore[union-attr]
    inside = [held for held in ledgers[1].holdings if held.place in roomy.experts and held.size > 0]
    assert {held.kind for held in inside} == {"weights", "activations"}
    total = [sum(h.size for h in ledger.holdings if h.kind == "activations") for ledger in ledgers]
    assert total[0] == pytest.approx(total[1])
