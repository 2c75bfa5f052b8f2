"""Experts that stay in SRAM between steps, where caches lie, and tensor-parallel attention: by hand."""

import dataclasses

import numpy as np
import pytest
from decode_steps import LAYOUT, star, workload

import noptoolkit as nop
from noptoolkit.errors import NopWarning, ScheduleError, WorkloadError
from noptoolkit.nodes import cache_bytes
from noptoolkit.step import StepOptions, step_of
from noptoolkit.step.residents import residents_of
from noptoolkit.touched import touched

pytestmark = pytest.mark.filterwarnings("ignore:.*need more memory")
EXPERT = 3 * 64 * 96 * 2
SRAM = 6 * EXPERT


def options(**given) -> StepOptions:
    return StepOptions(**given)


def test_pinned_experts_are_the_most_probable_ones() -> None:
    given, package = workload(3), star(sram=SRAM)
    kept = residents_of(package, given, LAYOUT, options(resident="pinned"), [None, 0, 1])
    chance = touched(given.trace, 3).chance
    assert kept[0] == {}
    for name, held in (("e0", range(4)), ("e1", range(4, 8))):
        pairs = sorted((-chance[row, e], row, e) for row in (0, 1) for e in held)[:3]
        found = {(layer - 1, e) for layer in (1, 2) for e in kept[layer].get(name, ())}
        assert found == {(row, e) for _, row, e in pairs}


def test_recent_experts_are_those_of_the_last_steps() -> None:
    given, package = workload(2), star(sram=SRAM)
    number = 50
    kept = residents_of(package, given, LAYOUT, options(resident="recent", number=number), [0, 1])
    for row, room in ((0, 2), (1, 1)):  # three places of half the SRAM, dealt over two layers
        for index, name in enumerate(("e0", "e1")):
            recent: list[int] = []
            for step in range(number - 1, number - 33, -1):
                places = [(i * 40 // 2 + step) % 40 for i in range(2)]
                ids = given.trace.topk[row][places].ravel().tolist()
                mine = sorted({e for e in ids if e // 4 == index}, key=lambda e: (-ids.count(e), e))
                recent += [e for e in mine if e not in recent]
            assert kept[row].get(name, frozenset()) == set(recent[:room])


@pytest.mark.parametrize("policy", ["serial", "streaming"])
@pytest.mark.parametrize("resident", ["pinned", "recent"])
def test_what_is_in_sram_is_not_loaded_and_takes_room(policy: str, resident: str) -> None:
    given, package = workload(6), star(sram=SRAM)
    bare, kept = (
        nop.schedule(package, given, LAYOUT, policy=policy, routing="shortest", resident=which, number=40)
        for which in ("none", resident)
    )
    rows = [None, 0, 1]
    sets = residents_of(package, given, LAYOUT, options(resident=resident, number=40), rows)
    saved = sum(
        len(sets[layer].get(name, frozenset()) & set(np.unique(given.trace.topk[row][places]).tolist()))
        for layer, row in ((1, 0), (2, 1))
        for name in ("e0", "e1")
        for places in [[(i * 40 // 6 + 40) % 40 for i in range(6)]]
    )
    assert saved > 0
    assert bare.step.loaded["expert"] - kept.step.loaded["expert"] == saved * EXPERT
    for name in ("e0", "e1"):
        size = EXPERT * sum(len(one.get(name, ())) for one in sets)
        assert kept.step.resident[name] == size
        assert kept.step.ledger.of(name)["weights"] >= size
        assert (
            kept.graph.buffer_size[kept.graph.buffers.index(name)] == SRAM - size
            if kept.graph.buffers
            else True
        )
    assert kept.step.ledger.total("weights") - sum(
        kept.step.ledger.of(n)["weights"] for n in ("attn", "e0", "e1")
    ) == (
        bare.step.ledger.total("weights")
        - sum(bare.step.ledger.of(n)["weights"] for n in ("attn", "e0", "e1"))
    )
    assert kept.makespan < bare.makespan
    kept.verify()


def test_where_caches_lie() -> None:
    given = workload(5)
    each = cache_bytes(given.model, 8)
    near = step_of(star(), given, LAYOUT).ledger
    dealt = step_of(star(), given, LAYOUT, options(cache="sequences")).ledger
    model = dataclasses.replace(given.model, heads=4, kv_heads=2, head_dim=16)
    by_head = step_of(star(), dataclasses.replace(given, model=model), LAYOUT, options(cache="heads")).ledger
    names = ("m-attn", "m-e0", "m-e1")
    assert [near.of(name).get("cache", 0.0) for name in names] == [5 * each, 0, 0]
    assert [dealt.of(name)["cache"] for name in names] == pytest.approx([2 * each, 2 * each, each])
    assert [by_head.of(name)["cache"] for name in names] == pytest.approx([2 * each, 1.5 * each, 1.5 * each])
    far = nop.schedule(star(), given, LAYOUT, cache="sequences", routing="shortest")
    pairs = far.step.blocks[0].cache_read.pairs
    assert set(pairs) == {(name, "attn") for name in names}
    assert sum(pairs.values()) == pytest.approx(5 * 8 * 2 * 32 * 2)
    far.verify()


def test_a_verdict_on_capacity_is_at_the_byte() -> None:
    given = workload(5)
    need = step_of(star(), given, LAYOUT).ledger.used("m-attn")
    assert step_of(star(), given, LAYOUT).ledger.overfull == ()
    package = star()

    def with_capacity(size: float) -> nop.Package:
        nodes = [dataclasses.replace(n, capacity=size) if n.name == "m-attn" else n for n in package.nodes]
        return package.replace(nodes=nodes)

    assert step_of(with_capacity(need), given, LAYOUT).ledger.overfull == ()
    with pytest.warns(NopWarning, match="need more memory"):
        assert step_of(with_capacity(need - 1), given, LAYOUT).ledger.overfull == ("m-attn",)


@pytest.mark.parametrize("policy", ["serial", "streaming"])
def test_tensor_parallel_attention(policy: str) -> None:
    given = workload(6)
    model = dataclasses.replace(given.model, heads=6, kv_heads=3, head_dim=16)
    given = dataclasses.replace(given, model=model)
    data, tensor = (
        nop.schedule(star(), given, LAYOUT, policy=policy, routing="shortest", hosts="all", attention=which)
        for which in ("data", "tensor")
    )
    block = tensor.step.blocks[0]
    size = 6 * 64 * 2 / 3
    for sent in (*block.gather, *block.scatter):
        assert set(sent.pairs.values()) == {size}
        assert len(sent.pairs) == 6  # 3 hosts, each to the two others
    router = 3 * 2 * 64 * 8 * 2  # on every host, in both layers with experts
    norms = 3 * 3 * 2 * 64 * 2
    assert tensor.step.loaded["attention"] - router * 1 - norms == 3 * model.attention_parameters * 2
    assert data.step.loaded["attention"] - router - norms == 3 * 3 * model.attention_parameters * 2
    assert tensor.step.ledger.total("cache") == data.step.ledger.total("cache")  # as many heads as hosts
    for plan in (data, tensor):
        assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
        plan.verify()


def test_few_heads_are_copied() -> None:
    given = workload(6)  # one key-value head on three hosts
    tensor = step_of(star(), given, LAYOUT, options(hosts="all", attention="tensor"))
    data = step_of(star(), given, LAYOUT, options(hosts="all"))
    assert tensor.ledger.total("cache") == pytest.approx(3 * data.ledger.total("cache"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resident": "all"}, "pinned"),
        ({"resident_share": 1.0}, "below 1"),
        ({"cache": "head"}, "heads"),
        ({"attention": "tensors"}, "tensor"),
    ],
)
def test_options_that_cannot_be(given: dict[str, object], message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        options(**given)


def test_caches_need_stacks_to_be_dealt_over() -> None:
    package = star()
    bare = package.replace(
        nodes=[n for n in package.nodes if not n.name.startswith("m-")],
        links=[link for link in package.links if link.kind.value != "memory"],
    )
    with pytest.raises(WorkloadError, match="no memory stacks"):
        step_of(bare, workload(2), LAYOUT, options(cache="heads"))
