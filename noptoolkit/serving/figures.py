"""Single figures of a server at one batch and context, each scheduled as `serve` does."""

from __future__ import annotations

from noptoolkit.serving.capacity import capacity
from noptoolkit.serving.over_batches import io_time
from noptoolkit.serving.server import Server

__all__ = ["FIGURES", "first_token", "sequences_that_fit", "token_rate", "token_time", "tokens_per_joule"]


def token_time(server: Server, batch: int, context: int) -> float:
    """Return the time per output token of a sequence, in s: a decode step over the tokens that it yields."""
    return server.decode(batch, context).time / server.speculation.tokens


def token_rate(server: Server, batch: int, context: int) -> float:
    """Return the output tokens per second of all sequences."""
    return batch / token_time(server, batch, context)


def first_token(server: Server, batch: int, context: int) -> float:
    """Return the time to the first token of a prompt of ``context`` tokens at an idle server, in s."""
    return io_time(server, 4.0 * context) + server.prefill(context).time


def tokens_per_joule(server: Server, batch: int, context: int) -> float | None:
    """Return the output tokens per joule of dynamic energy; ``None`` where the package gives no energies."""
    energy = server.decode(batch, context).energy
    return batch * server.speculation.tokens / energy if energy else None


def sequences_that_fit(server: Server, batch: int, context: int) -> int:
    """Return how many sequences of ``context`` tokens have room for their keys and values."""
    return capacity(server, context).sequences


FIGURES = {
    "token_time": token_time,
    "token_rate": token_rate,
    "first_token": first_token,
    "tokens_per_joule": tokens_per_joule,
    "sequences_that_fit": sequences_that_fit,
}
"""By name: functions of a server, a batch and a context."""
