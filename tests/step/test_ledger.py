"""What lies where during a step, by hand and by other ways to count; hosts, recomputation, single buffers."""

import dataclasses

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch
from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopWarning, ScheduleError
from noptoolkit.nodes import OPTIMISERS, kv_bytes_per_token
from noptoolkit.scheduling import verify_schedule
from noptoolkit.step import Ledger, StepOptions, step_of
from noptoolkit.workload import Batch, MoEModel, Workload

pytestmark = pytest.mark.filterwarnings("ignore:.*need more memory")


def star(sram=None, capacity="1 GB", attention=True) -> Package:
    """An attention chiplet and two expert chiplets round a switch, a memory stack for each."""
    names = ["attn", "e0", "e1"] if attention else ["e0", "e1"]
    nodes = [Switch("hub", replicates=True, reduces=True)]
    links = []
    for name in names:
        role = "attention" if name == "attn" else "expert"
        nodes.append(Chiplet(name, flops="1 TFLOP/s", role=role, sram=sram))
        nodes.append(Memory(f"m-{name}", bandwidth="1 GB/s", capacity=capacity, serves=(name,)))
        links += [Link("hub", name, "1 GB/s"), Link(f"m-{name}", name, "1 GB/s", kind="memory")]
    return Package("star", nodes, links)


def workload(mode="training", layers=3, dense_layers=0, sequences=4) -> Workload:
    model = MoEModel(
        "tiny", hidden=8, layers=layers, heads=2, kv_heads=1, head_dim=4, vocab=16, expert_width=4,
        experts=4, top_k=2, dense_layers=dense_layers, dense_width=16,
    )  # fmt: skip
    ids = np.stack(
        [np.random.default_rng(i).permuted(np.tile(np.arange(4), (32, 1)), axis=1) for i in range(2)]
    )
    return Workload("tiny", model, Batch(sequences, 8, 2, mode), RoutingTrace(ids[:, :, :2], num_experts=4))


LAYOUT = Allocation(("e0", "e1"), [0, 0, 1, 1])


def test_the_ledger_by_hand() -> None:
    given = workload()
    model, tokens, width = given.model, 32, 2
    ledger = step_of(star(), given, LAYOUT, StepOptions(optimiser="adam")).ledger
    per_layer = model.attention_parameters + 2 * model.hidden + model.router_parameters
    on_host = 3 * per_layer + 2 * model.vocab * model.hidden  # with head and embedding
    kept = 3 * tokens * (2 * 8 + (2 * 2 + 2 * 1) * 4)
    assert ledger.of("m-attn") == {
        "weights": on_host * width,
        "optimiser": on_host * OPTIMISERS["adam"].state_bytes,
        "activations": kept * width,
    }
    expert_values = 8 + 3 * 4
    assert ledger.of("m-e0")["weights"] == 3 * 2 * model.expert_parameters * width
    both = ledger.of("m-e0")["activations"] + ledger.of("m-e1")["activations"]
    assert both == pytest.approx(3 * tokens * 2 * expert_values * width)
    assert ledger.total("weights") == (model.parameters - model.hidden) * width  # all but the last norm
    assert "activations" in str(ledger.table())


@pytest.mark.parametrize("mode", ["prefill", "decode"])
def test_serving_keeps_keys_and_values_only(mode: str) -> None:
    given = workload(mode)
    ledger = step_of(star(), given, LAYOUT).ledger
    assert ledger.total("cache") == 3 * 4 * 8 * kv_bytes_per_token(given.model, given.batch)
    assert ledger.total("activations") == ledger.total("optimiser") == 0


def test_sram_holds_what_it_can_and_the_stacks_the_rest() -> None:
    whole = step_of(star(), workload(), LAYOUT).ledger
    for sram in (600.0, 3e3, 1e6):
        ledger = step_of(star(sram=sram), workload(), LAYOUT).ledger
        for kind in ("weights", "activations"):
            stacks = sum(ledger.of(f"m-{name}").get(kind, 0.0) for name in ("attn", "e0", "e1"))
            inside = sum(ledger.of(name).get(kind, 0.0) for name in ("attn", "e0", "e1"))
            if kind == "weights":
                assert stacks == whole.total("weights")  # a copy of what is in use lies in SRAM
            else:
                assert stacks + inside == pytest.approx(whole.total("activations"))
        assert all(ledger.used(name) <= sram * (1 + 1e-12) for name in ("attn", "e0", "e1"))
        assert not ledger.overfull


def test_what_fits_nowhere_is_said_with_numbers_and_way_out() -> None:
    package, given = star(capacity="4 kB"), workload()
    with pytest.warns(
        NopWarning,
        match=r"activations .*; .*; recompute=True \(schedule --recompute\) keeps less",
    ):
        full = step_of(package, given, LAYOUT).ledger
    assert full.overfull[0] in full.table().text()
    assert full.used(full.overfull[0]) > 4e3
    less = step_of(star(), given, LAYOUT, StepOptions(recompute=True)).ledger
    assert less.total("activations") < 0.6 * full.total("activations")
    weights = tuple(held for held in less.holdings if held.kind == "weights")
    with pytest.warns(NopWarning, match=r"the weights need more memory .* in 3 of 3 stacks.*; buy more"):
        Ledger(star(capacity="1 B"), weights).warn("buy more", stacklevel=1)


def test_recomputation_is_a_third_forward_pass() -> None:
    """Serial, network and memory next to free: backward takes 3 times forward instead of 2."""
    package = star().replace(
        links=[dataclasses.replace(link, bandwidth=1e30, reverse_bandwidth=1e30) for link in star().links],
        nodes=[
            dataclasses.replace(node, bandwidth=1e30) if isinstance(node, Memory) else node
            for node in star().nodes
        ],
    )
    given = workload()
    options = {"policy": "serial", "routing": "shortest"}
    plain = nop.schedule(package, given, LAYOUT, **options)
    again = nop.schedule(package, given, LAYOUT, recompute=True, **options)
    forward = nop.schedule(
        package, dataclasses.replace(given, batch=Batch(4, 8, 2, "prefill")), LAYOUT, **options
    )
    head = forward.graph.duration[forward.graph.kind == forward.graph.kinds.index("head")]
    assert again.makespan - plain.makespan == pytest.approx(forward.makespan - head.sum(), rel=1e-9)


@pytest.mark.parametrize("hosts", [None, "experts", "all", ("e0",)])
@pytest.mark.parametrize("mode", ["training", "decode"])
def test_attention_on_any_chiplets(hosts, mode: str) -> None:
    package, given = star(), workload(mode, sequences=6)  # three to a micro-batch: one for each host
    plan = nop.schedule(package, given, LAYOUT, hosts=hosts, routing="shortest")
    names = {None: ("attn",), "experts": ("e0", "e1"), "all": ("attn", "e0", "e1")}.get(hosts, hosts)
    assert plan.step.hosts == names
    attention = plan.graph.kind == plan.graph.kinds.index("attention")
    busy = {plan.graph.resources[r] for r in plan.graph.resource_of[attention]}
    assert busy == set(names)
    verify_schedule(plan.graph, plan.start, plan.end)
    assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
    sources = {pair[0] for block in plan.step.blocks for sent in block.dispatch for pair in sent.pairs}
    assert sources <= set(names)
    if hosts == "experts":
        bare = star(attention=False)
        same = nop.schedule(bare, given, Allocation(("e0", "e1"), [0, 0, 1, 1]), routing="shortest")
        assert plan.makespan == pytest.approx(same.makespan)


@pytest.mark.parametrize(
    ("hosts", "message"),
    [((), "one chiplet or more"), (("e0", "e0"), "each once"), (("hub",), "'hub' does not say")],
)
def test_hosts_that_cannot_be(hosts, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        nop.schedule(star(), workload(), LAYOUT, hosts=hosts)


def test_a_slice_that_fits_once_but_not_twice_is_said() -> None:
    size = 2 * 96 * 2  # both experts of a chiplet at once
    with pytest.warns(
        NopWarning, match=r"2 chiplets, such as 'e0', hold one slice of 384 B in 500 B of SRAM"
    ):
        step_of(star(sram=500.0), workload(), LAYOUT, StepOptions(slices=1))
    assert step_of(star(sram=2.0 * size), workload(), LAYOUT, StepOptions(slices=1)).ledger


def test_a_trace_with_a_row_for_every_layer_is_taken_layer_by_layer() -> None:
    """Dense layers alternate: MoE layers are the second and the fourth, and take those rows of the trace."""
    given = workload(layers=4, dense_layers=2)
    model = dataclasses.replace(given.model, dense_order="alternate")
    assert model.is_dense == (True, False, True, False)
    ids = np.zeros((4, 32, 2), np.int64)
    ids[:, :, 1] = 1
    ids[1] = [2, 3]  # the second layer uses the other chiplet alone
    whole = dataclasses.replace(given, model=model, routing=RoutingTrace(ids, num_experts=4))
    step = step_of(star(), whole, LAYOUT)
    assert step.layers == (2, 0, 2, 1)
    two = dataclasses.replace(whole, routing=RoutingTrace(ids[[1, 3]], num_experts=4))
    assert step_of(star(), two, LAYOUT).layers == (2, 0, 2, 1)
