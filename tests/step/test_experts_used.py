"""Prefill and decode load the experts that their tokens use: recounted, one token, all experts, in time."""

import dataclasses

import pytest
from decode_steps import LAYOUT, star, workload

import noptoolkit as nop
from noptoolkit.errors import NopError, ScheduleError
from noptoolkit.step import StepOptions, step_of

pytestmark = pytest.mark.filterwarnings("ignore:.*need more memory")


def loaded(step, layer, chiplet):
    parts = step.blocks[step.layers[layer]].experts
    return sum(part.size for part in parts if part.chiplet == chiplet)


@pytest.mark.parametrize(("sequences", "number"), [(1, 0), (3, 2), (7, 11), (40, 0), (90, 0)])
def test_what_is_loaded_is_what_the_tokens_use(sequences: int, number: int) -> None:
    given = workload(sequences)
    step = step_of(star(), given, LAYOUT, StepOptions(number=number))
    size = given.model.expert_parameters * 2
    for layer, row in ((1, 0), (2, 1)):  # layer 0 is dense
        places = [(i * 40 // sequences + number) % 40 for i in range(sequences)]
        used = {int(e) for i in places for e in given.trace.topk[row][i]}
        for index, name in enumerate(("e0", "e1")):
            here = sum(LAYOUT.chiplet_of_expert[0][expert] == index for expert in used)
            assert loaded(step, layer, name) == here * size
            unread = step.blocks[step.layers[layer]].unread.get(name, 0.0)
            assert unread == (4 - here) * size
    stored = step_of(star(), given, LAYOUT, StepOptions(experts="all")).ledger
    assert step.ledger.total("weights") == stored.total("weights")  # all lie on the stacks


def test_one_token_reads_its_active_weights() -> None:
    for sequences, more in ((1, 0), (2, None)):
        given = workload(sequences)
        model = given.model
        step = step_of(star(), given, LAYOUT)
        active = (
            model.active_parameters - model.vocab * model.hidden - model.hidden
        )  # no embedding, last norm
        if more is not None:
            assert sum(step.loaded.values()) == active * 2
        else:
            assert sum(step.loaded.values()) > active * 2


@pytest.mark.parametrize("policy", ["serial", "streaming"])
def test_a_batch_that_touches_all_experts_is_a_step_that_loads_all(policy: str) -> None:
    given = workload(40)
    plans = [
        nop.schedule(star(sram="300 kB"), given, LAYOUT, policy=policy, routing="shortest", experts=which)
        for which in ("used", "all")
    ]
    assert not any(block.unread for block in plans[0].step.blocks)
    assert plans[0].makespan == plans[1].makespan
    assert plans[0].lower_bound == plans[1].lower_bound
    few = [
        nop.schedule(
            star(sram="300 kB"), workload(2), LAYOUT, policy=policy, routing="shortest", experts=which
        )
        for which in ("used", "all")
    ]
    assert few[0].makespan < few[1].makespan


@pytest.mark.parametrize("policy", ["serial", "streaming"])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_experts_loaded_as_routed_wait_for_the_router(policy: str, micro_batches: int) -> None:
    given = workload(4, micro_batches=micro_batches)
    used, routed = (
        nop.schedule(star(sram="300 kB"), given, LAYOUT, policy=policy, routing="shortest", experts=which)
        for which in ("used", "routed")
    )
    assert routed.step.loaded == used.step.loaded
    assert routed.makespan >= used.makespan * (1 - 1e-12)
    graph = routed.graph
    labels = [graph.texts[i] for i in graph.label]
    for layer in (1, 2):
        router = [i for i, text in enumerate(labels) if text.startswith(f"attention L{layer} m")]
        router = router or [i for i, text in enumerate(labels) if text == f"attention L{layer} forward"]
        loads = [
            i for i, text in enumerate(labels)
            if text in (f"load expert L{layer}", f"load experts L{layer} forward")
            and graph.kinds[graph.kind[i]] == "load"
        ]  # fmt: skip
        assert router
        assert loads
        assert routed.start[loads].min() >= routed.end[router].min() - 1e-15
    for plan in (used, routed):
        assert plan.lower_bound <= plan.makespan * (1 + 1e-9)
        plan.verify()


def test_training_loads_all() -> None:
    few = workload(2, "training")
    assert few.batch.tokens == 16
    step = step_of(star(), few, LAYOUT)
    assert not any(block.unread for block in step.blocks)


def test_hosts_without_a_sequence_take_no_part() -> None:
    one, three = (step_of(star(), workload(n), LAYOUT, StepOptions(hosts="all")) for n in (1, 3))
    assert one.hosts == ("attn",)
    assert three.hosts == ("attn", "e0", "e1")
    assert one.loaded["attention"] * 3 == three.loaded["attention"]
    four = step_of(star(), workload(4), LAYOUT, StepOptions(hosts="all"))
    caches = [four.ledger.of(f"m-{name}")["cache"] for name in ("attn", "e0", "e1")]
    assert caches[0] == 2 * caches[1] == 2 * caches[2]  # a sequence has one host
    times = {part.chiplet: part.forward.sum() for part in four.blocks[-1].before}
    assert times["attn"] > times["e0"] == times["e1"]


def test_prompts_ride_in_a_decode_step() -> None:
    alone = nop.schedule(star(), workload(2), LAYOUT, routing="shortest")
    both = nop.schedule(
        star(), workload(2, prompt_tokens=16, cached=8), LAYOUT, routing="shortest", experts="used"
    )
    assert both.step.workload.batch.tokens == 18
    assert both.makespan > alone.makespan
    assert both.step.ledger.total("cache") > alone.step.ledger.total("cache")
    both.verify()


@pytest.mark.parametrize(
    ("options", "message"), [({"experts": "most"}, "used"), ({"number": -1}, "whole number, 0 or more")]
)
def test_options_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises((ScheduleError, NopError), match=message):
        StepOptions(**options)  # type: ignore[arg-type]


def test_windowed_layers_are_blocks_of_their_own() -> None:
    given = workload(4)
    model = dataclasses.replace(given.model, window=3, full_every=3)
    step = step_of(star(), dataclasses.replace(given, model=model), LAYOUT)
    assert model.is_windowed == (True, True, False)
    sizes = [sum(step.blocks[i].cache_read.pairs.values()) for i in step.layers]
    assert sizes == [4 * 3 * 128, 4 * 3 * 128, 4 * 8 * 128]
    assert step.ledger.total("cache") == 4 * (3 + 3 + 8) * 128
