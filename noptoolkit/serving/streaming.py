"""Requests that keep coming to the server of a curve: the estimate and the simulation of one stream."""

from __future__ import annotations

from dataclasses import dataclass, replace

from noptoolkit.progress import Progress
from noptoolkit.serving.curve import ServingCurve
from noptoolkit.serving.events import RequestRun, simulate_requests
from noptoolkit.serving.requests import Requests
from noptoolkit.serving.stationary import Stationary, stationary
from noptoolkit.serving.times import step_times
from noptoolkit.tables import Table

__all__ = ["Stream", "stream_of"]

COUNT, WITHOUT_END = 2000, 300
"""Requests that are simulated, where the server keeps up and where it does not."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Continuous batching of a stream of requests.

    Parameters
    ----------
    requests
        What comes.
    most, chunk
        Requests in the server at once, and prompt tokens of a step, at most.
    estimate, simulated
        The steady state in closed form, and requests event by event.
    """

    requests: Requests
    most: int
    chunk: int
    estimate: Stationary
    simulated: RequestRun

    @property
    def stable(self) -> bool:
        """Whether the server keeps up, as estimated."""
        return self.estimate.stable

    def tables(self) -> tuple[Table, Table]:
        """Return the estimate and the simulation as tables."""
        simulated = self.simulated.table()
        if not self.stable:
            grows = (
                f"of {len(self.simulated.arrival)} requests: the server does not keep up, "
                "with more of them requests wait longer"
            )
            simulated = replace(simulated, notes=(grows,))
        return self.estimate.table(), simulated


def stream_of(
    curve: ServingCurve, requests: Requests, *, chunk: int, progress: Progress | None = None
) -> Stream:
    """Return a stream of requests on the server of a curve, up to its largest batch that fits.

    Parameters
    ----------
    curve
        Result of `serve`, whose prompt the requests have.
    requests
        What comes.
    chunk
        Prompt tokens of a step at most.
    progress
        Callable that is given a line for each step that is scheduled.

    Raises
    ------
    WorkloadError
        If a limit is not above 0.
    """
    server, prompt = curve.server, curve.prompt
    most = max(min(curve.room.sequences, curve.points[-1].batch), 1)
    longest = max(prompt + round(requests.outputs.mean), 2)
    model = server.workload.model.context
    contexts = sorted({max(prompt // 2, 1), prompt, longest if model is None else min(longest, model)})
    times = step_times(server, most=most, contexts=contexts, chunk=chunk, progress=progress)
    tokens = server.speculation.tokens
    estimate = stationary(times, requests, most=most, chunk=chunk, tokens_per_step=tokens)
    count = COUNT if estimate.stable else WITHOUT_END
    run = simulate_requests(times, requests, most=most, chunk=chunk, tokens_per_step=tokens, count=count)
    return Stream(requests, most, chunk, estimate, run)
