"""A Dask cluster that evaluates points: small records travel, the coordinator alone writes to the store."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopError
from noptoolkit.studies.evaluation import Evaluation, Task, evaluate_chunk

__all__ = ["Cluster"]

ADDRESS = re.compile(r"[a-z]+://\S+:\d+/?")
AHEAD = 3
"""Tasks per thread of the workers that are sent ahead."""

PATIENCE = "10s"
"""How long a scheduler may take to answer."""

RETRIES = 5
"""How often a point is sent again when the worker that had it is lost."""


class Cluster:
    """Workers behind a Dask scheduler.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    NopError
        If there is no scheduler at the address, or the extra ``distributed`` is missing.
    """

    apart = True

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise NopError("--scheduler needs Dask: pip install 'noptoolkit[distributed]'") from error
        if not ADDRESS.fullmatch(address):
            raise NopError(f"scheduler {address!r} is no address: write it like 'tcp://10.0.0.1:8786'")
        try:
            self._client: Any = Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise NopError(
                f"no Dask scheduler answers at {address}: {error}; start one with 'dask scheduler'"
            ) from error

    def run(
        self, study: str, tasks: Iterator[Task]
    ) -> Iterator[tuple[list[Evaluation], dict[str, Allocation]]]:
        """Yield evaluations as workers hand them back; those of a lost worker are sent again."""
        from distributed import as_completed

        running = as_completed(loop=self._client.loop)
        waiting = 0
        done = False
        while True:
            while not done and waiting < self._room():
                task = next(tasks, None)
                if task is None:
                    done = True
                else:
                    running.add(self._submit(study, task))
                    waiting += 1
            if not waiting:
                return
            future = next(running)
            waiting -= 1
            try:
                found = future.result()
            except Exception as error:
                raise NopError(
                    f"the cluster lost a point {RETRIES + 1} times ({type(error).__name__}: {error}); "
                    "finished points are kept, run the same command again"
                ) from error
            yield found

    def close(self) -> None:
        """Leave the cluster; it goes on for others."""
        self._client.close()

    def _submit(self, study: str, task: Task) -> Any:
        return self._client.submit(evaluate_chunk, study, [task], pure=False, retries=RETRIES)

    @property
    def width(self) -> int:
        """Threads of the workers: tasks at once."""
        return max(int(sum(self._client.nthreads().values())), 1)

    def _room(self) -> int:
        return AHEAD * self.width
