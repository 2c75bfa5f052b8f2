"""Streams of requests: conservation, Little's law, M/D/1 as a limit, estimate and simulation side by side."""

import numpy as np
import pytest

from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.serving import Lengths, Requests, StepTimes, simulate_requests, stationary
from noptoolkit.serving.stationary import erlang_c


def flat(step: float, most: int = 64, chunk: int = 512, per_token: float = 0.0) -> StepTimes:
    """Steps of one length, but for what prompt tokens add."""
    time = np.full((most + 1, 1, 2), step)
    time[:, :, 1] += per_token * chunk
    return StepTimes(tuple(range(most + 1)), (1,), (0, chunk), time)


def growing(most: int = 64, chunk: int = 256) -> StepTimes:
    time = np.array([[[0.002 + 0.0004 * n + 0.00001 * c for c in (0, chunk)]] for n in range(most + 1)])
    return StepTimes(tuple(range(most + 1)), (1,), (0, chunk), time)


@pytest.mark.parametrize("until", [None, 3.0])
def test_no_request_is_lost_and_little_holds(until) -> None:
    requests = Requests(40.0, Lengths(100, "geometric"), Lengths(20, "geometric"))
    run = simulate_requests(growing(), requests, most=16, chunk=256, count=400, until=until)
    arrived = int((run.arrival <= run.end).sum())
    assert run.finished + run.in_system == arrived
    assert (run.in_system == 0) is (until is None)
    gone = np.where(np.isfinite(run.done), run.done, run.end)
    spent = (gone - run.arrival)[run.arrival <= run.end].sum()
    assert run.area == pytest.approx(spent, rel=1e-9)  # L = lambda W, the left side added up step by step
    assert (run.first >= run.arrival)[np.isfinite(run.first)].all()
    assert (run.done >= run.first)[np.isfinite(run.done)].all()


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_place_and_prompts_alone_are_m_d_1(load: float) -> None:
    service = 0.01
    requests = Requests(load / service, 512, 1)
    times = flat(service, most=1)
    wanted = service + load * service / (2 * (1 - load))
    found = stationary(times, requests, most=1, chunk=512)
    assert found.first_token == pytest.approx(wanted)
    run = simulate_requests(times, requests, most=1, chunk=512, count=40_000, rng=1)
    assert run.first_token == pytest.approx(wanted, rel=0.03)
    start = 0.0
    for arrival, first in zip(run.arrival, run.first, strict=True):  # Lindley's recursion, request by request
        start = max(start, arrival) + service
        assert first == pytest.approx(start)


def test_estimate_and_simulation_agree_where_both_apply() -> None:
    for rate, output in ((5.0, Lengths(50, "geometric")), (15.0, Lengths(40, "geometric")), (20.0, 30)):
        requests = Requests(rate, 200, output)
        found = stationary(growing(), requests, most=64, chunk=256)
        run = simulate_requests(growing(), requests, most=64, chunk=256, count=6000, rng=2)
        assert found.stable
        assert run.token_time == pytest.approx(found.token_time, rel=0.1)
        assert run.sequence_time / run.end == pytest.approx(found.sequences, rel=0.1)
        assert run.first_token == pytest.approx(found.first_token, rel=0.2)
        assert run.rate == pytest.approx(found.rate, rel=0.1)


def test_a_server_that_cannot_keep_up_is_said_to() -> None:
    for requests, most in ((Requests(1000.0, 200, 50), 64), (Requests(30.0, 10, 500), 4)):
        found = stationary(growing(), requests, most=most, chunk=256)
        assert not found.stable
        assert found.first_token == float("inf")


def test_the_loop_against_simpy() -> None:
    """Decode alone, prompts of one token that take no time: a process per step in simpy."""
    simpy = pytest.importorskip("simpy")
    step, most, count = 0.01, 3, 200
    requests = Requests(30.0, 1, Lengths(6, "geometric"))
    times = flat(step, most=most, chunk=512)
    run = simulate_requests(times, requests, most=most, chunk=512, count=count, rng=4)
    env = simpy.Environment()
    done, queue = np.full(count, np.nan), simpy.Store(env)

    def arrive():
        for i, when in enumerate(run.arrival):
            yield env.timeout(when - env.now)
            yield queue.put(i)

    def serve():
        inside: list[tuple[int, int]] = []  # tokens left, request
        while True:
            if not inside:
                inside = [(int(run.output[i]), i) for i in [(yield queue.get())]]
            while queue.items and len(inside) < most:
                i = yield queue.get()
                inside.append((int(run.output[i]), i))
            yield env.timeout(step)
            for left, i in inside:
                if left == 1:
                    done[i] = env.now
            inside = [(left - 1, i) for left, i in inside if left > 1]

    env.process(arrive())
    env.process(serve())
    env.run(until=run.end + 1)
    assert done == pytest.approx(run.done, abs=1e-9)


def test_accepted_tokens_shorten_outputs() -> None:
    requests = Requests(1.0, 100, 41)
    one = simulate_requests(growing(), requests, most=8, chunk=256, count=100)
    two = simulate_requests(growing(), requests, most=8, chunk=256, count=100, tokens_per_step=2.0)
    assert two.token_time == pytest.approx(one.token_time / 2, rel=0.05)


@pytest.mark.parametrize("kind", ["constant", "geometric", "lognormal"])
def test_lengths_have_their_means(kind: str) -> None:
    lengths = Lengths(200, kind, 0.5)  # type: ignore[arg-type]
    drawn = lengths.draw(50_000, 3)
    assert drawn.mean() == pytest.approx(200, rel=0.02)
    assert (drawn.std() / drawn.mean()) ** 2 == pytest.approx(lengths.squared_variation, rel=0.05, abs=1e-9)
    assert drawn.min() >= 1


def test_erlang_against_the_sum() -> None:
    from math import factorial

    for k, load in ((1, 0.4), (3, 2.0), (8, 7.5)):
        last = load**k / factorial(k) * k / (k - load)
        assert erlang_c(k, load) == pytest.approx(
            last / (sum(load**i / factorial(i) for i in range(k)) + last)
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Requests(0.0), "rate=0.0"),
        (lambda: Requests(-1.0), "above 0"),
        (lambda: Requests(float("nan")), "rate=nan"),
        (lambda: Requests(1e-320), "1e-12 to 1e\\+15"),
        (lambda: Requests(True), "rate=True"),
        (lambda: simulate_requests(growing(), Requests(1.0, 10**7), most=8, chunk=1), "give a chunk of more"),
        (lambda: simulate_requests(growing(), Requests(1.0, 1, 10**9), most=8, chunk=1), "shorter prompts"),
        (lambda: Lengths(0), "1 or more"),
        (lambda: Lengths(5, "normal"), "lognormal"),  # type: ignore[arg-type]
        (lambda: Lengths(5, "lognormal", 0.0), "variation"),
        (lambda: simulate_requests(growing(), Requests(1.0), most=0, chunk=1), "most=0"),
        (lambda: simulate_requests(growing(), Requests(1.0), most=8, chunk=9999), "the chunk has 9999"),
        (lambda: simulate_requests(growing(4), Requests(1.0), most=8, chunk=9), "know 4 sequences"),
        (lambda: stationary(growing(), Requests(1.0), most=1, chunk=0), "chunk=0"),
    ],
)
def test_streams_that_cannot_be(make, message: str) -> None:
    with pytest.raises((WorkloadError, UnknownNameError), match=message):
        make()
