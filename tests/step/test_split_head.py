"""The output head on the hosts, or spread over the expert chiplets; what limits a step by resource."""

import dataclasses

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch
from noptoolkit.allocation import Allocation
from noptoolkit.nodes import head_work
from noptoolkit.workload import Batch, MoEModel, Workload

pytestmark = pytest.mark.filterwarnings("ignore:.*need more memory")
LAYOUT = Allocation(("e0", "e1", "e2", "e3"), [0, 0, 1, 1, 2, 2, 3, 3])


def star(link="1 TB/s") -> Package:
    nodes = [Switch("hub", replicates=True, reduces=True)]
    links = []
    for name in ("attn", "e0", "e1", "e2", "e3"):
        role = "attention" if name == "attn" else "expert"
        nodes += [Chiplet(name, flops="1 TFLOP/s", role=role)]
        nodes += [Memory(f"m-{name}", bandwidth="10 GB/s", capacity="1 GB", serves=(name,))]
        links += [Link("hub", name, link), Link(f"m-{name}", name, "10 GB/s", kind="memory")]
    return Package("star", nodes, links)


def workload(mode="training") -> Workload:
    model = MoEModel(
        "tiny", hidden=64, layers=2, heads=2, kv_heads=1, head_dim=4, vocab=4096, expert_width=4, experts=8,
        top_k=2,
    )  # fmt: skip
    ids = np.stack([np.arange(64) % 8, (np.arange(64) + 3) % 8], axis=1)
    return Workload("tiny", model, Batch(8, 8, 2, mode), RoutingTrace(ids, num_experts=8))


def held(plan, kind):
    return {name: kinds[kind] for name, kinds in plan.busy_by_kind.items() if kind in kinds}


@pytest.mark.parametrize("policy", ["serial", "streaming"])
@pytest.mark.parametrize("mode", ["training", "prefill", "decode"])
def test_a_quarter_of_the_head_on_each_of_four_chiplets(mode, policy) -> None:
    given = workload(mode)
    whole, split = (
        nop.schedule(star(), given, LAYOUT, policy=policy, routing="shortest", split_head=flag)
        for flag in (False, True)
    )
    passes = 3 if mode == "training" else 1
    tokens = given.batch.sequences * (8 if mode == "training" else 1)
    time = passes * head_work(given.model, tokens).flops / 1e12
    assert held(whole, "head") == {"attn": pytest.approx(time)}
    assert held(split, "head") == dict.fromkeys(("e0", "e1", "e2", "e3"), pytest.approx(time / 4))
    assert split.makespan < whole.makespan  # loads and computes a quarter as long; the network is fast
    assert split.step.ledger.total("weights") == pytest.approx(whole.step.ledger.total("weights"))
    for plan in (whole, split):
        assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
        plan.verify()


@pytest.mark.parametrize("degree", ["in-network", "chiplets"])
def test_tokens_go_to_every_part_of_the_head_and_gradients_come_back_summed(degree) -> None:
    given = workload()
    plan = nop.schedule(
        star("1 GB/s"), given, LAYOUT, routing="shortest", split_head=True, degree=degree, contention="fluid"
    )
    size = given.batch.tokens / 2 * given.model.hidden * 2
    copies = 1 if degree == "in-network" else 4
    for sent, (tail, head) in (
        (plan.step.head.dispatch[0], ("attn", "hub")),
        (plan.step.head.combine[0], ("hub", "attn")),
    ):
        load = {
            channel.name: amount for channel, amount in zip(plan.package.channels, sent.load, strict=True)
        }
        assert load[f"{tail}->{head}"] == pytest.approx(copies * size)
        for name in ("e0", "e1", "e2", "e3"):
            way = f"hub->{name}" if tail == "attn" else f"{name}->hub"
            assert load[way] == pytest.approx(size)


def test_where_the_head_limits_a_step_is_said() -> None:
    whole, split = (
        nop.schedule(star(), workload(), LAYOUT, routing="shortest", split_head=flag)
        for flag in (False, True)
    )
    (note,) = [line for line in whole.notes() if line.startswith("The head takes")]
    assert "on 1 of 5 chiplets that compute; split_head=True" in note
    assert all("split_head=True" not in line for line in split.notes())
    table = whole.table_by_resource()
    assert table.rows[0][0] in whole.busy_by_kind
    shares = [row[-1] for row in table.rows]
    assert shares == sorted(shares, reverse=True)
    assert max(shares) <= 1 + 1e-9
    graph = dataclasses.replace(whole.graph)
    assert sum(held(whole, "attention").values()) == pytest.approx(
        graph.duration[graph.kind == graph.kinds.index("attention")].sum()
    )
