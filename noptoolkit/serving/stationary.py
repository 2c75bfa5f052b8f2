"""Continuous batching as a stationary mix: an estimate in closed form, beside the simulation.

With arrivals at rate L, prompts of P and outputs of O tokens, a prompt takes m = P / C steps with a chunk of
its tokens (rounded up), which last t(n, P / m) beside n sequences; other steps last t(n, 0). Steps with a
chunk take the share u = L m t(n, P / m) of the time, so that a sequence sees steps of

    1 / s = u / t(n + 1, P / m) + (1 - u) / t(n + 1, 0),    n = L (O - 1) s / a,

with a tokens per sequence and step: it sees itself besides the n others that Little's law gives. A prompt
waits as in a queue M/G/1 with service S = m t(n + 1, P / m): L E[S^2] / (2 (1 - L E[S])) (Pollaczek and
Khinchine), after what is left of the step under way, s / 2. Requests in the server are limited to k: where
many are in, a request waits for a place as in M/G/k, by Erlang's C with (1 + v^2) / 2 for the variation v of
its service (Allen and Cunneen). The estimate knows means and variances only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from noptoolkit.errors import WorkloadError
from noptoolkit.serving.requests import Requests
from noptoolkit.serving.times import StepTimes
from noptoolkit.tables import Amount, Table

__all__ = ["Stationary", "erlang_c", "stationary"]


@dataclass(frozen=True)
class Stationary:
    """The steady state of continuous batching, estimated.

    Parameters
    ----------
    stable
        Whether there is one: the server keeps up. If not, the times are infinite.
    sequences, prompt_tokens
        Mean sequences and prompt tokens of a step.
    step
        Mean time of a step, in s.
    first_token, token_time
        Mean times, in s.
    wait
        Part of the time to the first token that is waiting, in s.
    rate
        Output tokens per second.
    """

    stable: bool
    sequences: float
    prompt_tokens: float
    step: float
    first_token: float
    token_time: float
    wait: float
    rate: float

    def table(self) -> Table:
        """Return the estimate as a table."""
        rows = [
            ("keeps up", "yes" if self.stable else "no"),
            ("sequences of a step", Amount(self.sequences, form=".3g")),
            ("prompt tokens of a step", Amount(self.prompt_tokens, form=".3g")),
            ("step", Amount(self.step, "s")),
            ("time to first token", Amount(self.first_token, "s")),
            ("of it waiting", Amount(self.wait, "s")),
            ("time per output token", Amount(self.token_time, "s")),
            ("output tokens per second", Amount(self.rate, form=".4g")),
        ]
        return Table(["what", "value"], rows, title="Continuous batching, estimated")


def stationary(
    times: StepTimes, requests: Requests, *, most: int, chunk: int, tokens_per_step: float = 1.0
) -> Stationary:
    """Return the steady state of continuous batching with chunked prefill; parameters as `simulate_requests`.

    Raises
    ------
    WorkloadError
        If a limit is not above 0.
    """
    for name, value in (("most", most), ("chunk", chunk)):
        if not isinstance(value, int) or value < 1:
            raise WorkloadError(f"{name}={value!r}: give a whole number above 0")
    rate, prompt, output = requests.rate, requests.prompts.mean, requests.outputs.mean
    context = prompt + output / 2
    per_second = rate * (output - 1) / tokens_per_step
    pieces = math.ceil(prompt / chunk)

    def steps(n: float) -> tuple[float, float, float]:
        """Return the step that a sequence sees beside n others, that with a chunk, and the share of those."""
        inside = min(n + 1.0, most) if per_second else 0.0
        filled = times(inside, context, prompt / pieces)
        share = rate * pieces * filled
        alone = times(inside, context) if per_second else filled
        return 1 / (min(share, 1.0) / filled + max(1 - share, 0.0) / alone), filled, share

    full = steps(most)
    never = Stationary(
        False,
        float(most),
        prompt / pieces,
        full[0],
        math.inf,
        math.inf,
        math.inf,
        most * tokens_per_step / full[0],
    )
    low, high = 0.0, float(most)
    if per_second * full[0] > most or steps(0.0)[2] >= 1:
        return never
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if per_second * steps(middle)[0] > middle else (low, middle)
    n = high if per_second else 0.0
    s, filled, load = steps(n)
    if load >= 1:
        return never
    service = pieces * filled
    variation = requests.prompts.squared_variation
    wait = load * service * (1 + variation) / (2 * (1 - load))
    wait += s / 2 if n else 0.0
    inside = n + rate * service
    if most > 1:
        stay = inside / rate
        wait += (
            erlang_c(most, inside)
            * stay
            / max(most - inside, 1e-9)
            * (1 + requests.outputs.squared_variation)
            / 2
        )
    return Stationary(True, n, rate * prompt * s, s, wait + service, s / tokens_per_step, wait, rate * output)


def erlang_c(servers: int, load: float) -> float:
    """Return the probability that all of some servers are busy in M/M/k, by Erlang's recursion.

    Examples
    --------
    >>> erlang_c(1, 0.5), round(erlang_c(2, 1.0), 6)
    (0.5, 0.333333)
    """
    if load >= servers:
        return 1.0
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))
