"""Curves of a server: schedules at the points, points between them, what fits, speculation, bad input."""

import dataclasses

import pytest
from decode_steps import LAYOUT, star, workload

import noptoolkit as nop
from noptoolkit.errors import NopError, WorkloadError
from noptoolkit.nodes import cache_bytes
from noptoolkit.serving import Server, Speculation, capacity, max_sequences, serve
from noptoolkit.serving.batches import batches_of
from noptoolkit.step import step_of

SRAM = 300e3


def server(**options) -> Server:
    return Server(star(sram=SRAM), workload(1), LAYOUT, options=options)


def with_capacity(size: float) -> nop.Package:
    package = star(sram=SRAM)
    nodes = [dataclasses.replace(n, capacity=size) if n.name == "m-attn" else n for n in package.nodes]
    return package.replace(nodes=nodes)


@pytest.fixture(scope="module")
def curve():
    return serve(server(), context=8, batch="1:256", scheduled=24)


def test_points_are_schedules_or_lie_within_a_per_cent(curve) -> None:
    assert len(curve.points) == 200
    assert sum(point.scheduled for point in curve.points) >= 24
    for point in curve.points:
        if point.scheduled:
            assert point.step == pytest.approx(curve.server.decode(point.batch, 8).time, rel=1e-9)
    others = [point for point in curve.points if not point.scheduled]
    for point in others[:: len(others) // 10][:10]:
        assert point.step == pytest.approx(curve.server.decode(point.batch, 8).time, rel=0.01)


def test_a_step_of_the_curve_is_that_of_schedule(curve) -> None:
    given = workload(16)
    plan = nop.schedule(
        star(sram=SRAM), given, LAYOUT, routing="shortest", slices="stream", experts="routed", micro_batches=1
    )
    assert curve.server.decode(16, 8).time == plan.makespan
    assert curve.server.decode(16, 8).bound == pytest.approx(plan.bounds.value, rel=1e-9)
    plan.verify()
    point = curve.at(16)
    assert point.rate == pytest.approx(16 / point.step)
    assert curve.first_token == curve.server.prefill(8).time


def test_streamed_slices_are_near_those_that_sram_cuts() -> None:
    for sequences in (1, 8, 40):
        times = [
            nop.schedule(
                star(sram=SRAM), workload(sequences), LAYOUT, routing="shortest", slices=slices,
                experts="routed",
            ).makespan
            for slices in (None, "stream")
        ]  # fmt: skip
        assert times[1] == pytest.approx(times[0], rel=0.05)


def test_the_largest_batch_that_fits_is_at_the_byte() -> None:
    given = workload(5)
    each = cache_bytes(given.model, 8)
    weights = step_of(star(sram=SRAM), given, LAYOUT).ledger.of("m-attn")["weights"]
    for size, wanted in ((weights + 5 * each, 5), (weights + 5 * each - 1, 4), (weights + each - 1, 0)):
        assert max_sequences(Server(with_capacity(size), given, LAYOUT), 8) == wanted
    room = capacity(Server(with_capacity(weights - 1), given, LAYOUT), 8)
    assert room.sequences == 0
    assert not room.weights_fit


def test_dealt_caches_fit_more() -> None:
    package, given = with_capacity(1e6), workload(5)
    near, dealt = (
        max_sequences(Server(package, given, LAYOUT, options={"cache": where}), 8)
        for where in ("hosts", "sequences")
    )
    assert dealt > near


@pytest.mark.long
def test_speculation_multiplies_tokens() -> None:
    plain = serve(server(), context=8, batch="8")
    bold = serve(star(sram=SRAM), workload(1), LAYOUT, context=8, batch="8", speculation=Speculation(2, 0.5))
    assert Speculation(2, 0.5).tokens == 1.75
    assert Speculation(3, 1.0).tokens == 4
    batch = bold.server.batch(8, 8)
    assert batch.tokens == 24
    assert bold.at(8).rate == pytest.approx(8 * 1.75 / bold.at(8).step)
    assert bold.at(8).step > plain.at(8).step
    assert any("Speculation" in line for line in bold.notes())


def test_the_trace_is_said_to_be_short() -> None:
    assert any("The trace has 40 tokens" in line for line in serve(server(), context=8, batch="64").notes())


def test_one_host_has_nothing_to_split() -> None:
    notes = serve(server(attention="tensor"), context=8, batch="1").notes()
    assert any("attention='tensor' splits nothing" in line for line in notes)


def test_prompts_pass_the_io_chiplet() -> None:
    package = nop.topology.attach_io(star(sram=SRAM), "hub", bandwidth="1 kB/s")
    found = serve(package, workload(1), LAYOUT, context=8, batch="1", prompt=4)
    assert found.prompt_io == pytest.approx(4 * 4 / 1e3)
    assert found.first_token == pytest.approx(found.prompt_io + found.prefill.time)


@pytest.mark.long
def test_energy_is_said_where_it_is_known() -> None:
    assert serve(server(), context=8, batch="1").at(1).tokens_per_joule is None
    package = nop.load_topology("mesh-4x4")
    found = serve(package, nop.load_workload("stdlib-moe"), context=64, batch="1,2")
    plan = found.server.plan(found.server.batch(2, 64))
    assert found.at(2).tokens_per_joule == pytest.approx(2 / plan.energy.total)


@pytest.mark.parametrize("given", ["", "0:4", "4:1", "1:2:1", "a", "1,x", [], [0], [1.5], True, "1:99999999"])
def test_batches_that_cannot_be(given) -> None:
    with pytest.raises(WorkloadError, match="batch="):
        batches_of(given)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"context": 0}, "context=0"),
        ({"context": 10**9}, "beyond the"),
        ({"prompt": -1}, "prompt=-1"),
        ({"prompt": 10**23}, "1000000000 at most"),
        ({"prompt": True}, "prompt=True"),
        ({"hosts": ("hub",)}, "no node named 'hub'"),
    ],
)
def test_what_cannot_be_served(asked, message: str) -> None:
    package, given = nop.load_topology("mesh-4x4"), nop.load_workload("stdlib-moe")
    with pytest.raises(NopError, match=message):
        serve(package, given, batch="1", **{"context": 64, **asked})


@pytest.mark.parametrize(
    ("given", "message"),
    [((1, 2.0), "probability"), ((-1, 0.5), "whole number"), ((10**9, 0.5), "from 0 to 1000")],
)
def test_speculation_that_cannot_be(given, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        Speculation(*given)
