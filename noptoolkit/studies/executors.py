"""Where points are evaluated: in this process, in processes of joblib, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from noptoolkit.allocation import Allocation
from noptoolkit.studies.evaluation import Evaluation, Task, evaluate_chunk

__all__ = ["Executor", "executor_of"]

Found = tuple[list[Evaluation], dict[str, Allocation]]


class Executor(Protocol):
    """What evaluates tasks; ``apart`` says whether other processes do."""

    apart: bool

    @property
    def width(self) -> int:
        """Tasks at once."""
        ...

    def run(self, study: str, tasks: Iterator[Task]) -> Iterator[Found]:
        """Yield evaluations and new layouts as they are found; tasks are taken as they are needed."""
        ...

    def close(self) -> None:
        """Let go of workers."""
        ...


class _Here:
    """The process that asks."""

    apart = False
    width = 1

    def run(self, study: str, tasks: Iterator[Task]) -> Iterator[Found]:
        for task in tasks:
            yield evaluate_chunk(study, [task])

    def close(self) -> None:
        pass


class _Joblib:
    """Processes of this machine, or whatever backend joblib is told to use."""

    apart = True

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    @property
    def width(self) -> int:
        from joblib import effective_n_jobs

        return int(effective_n_jobs(self.jobs))

    def run(self, study: str, tasks: Iterator[Task]) -> Iterator[Found]:
        from joblib import Parallel, delayed

        parallel = Parallel(n_jobs=self.jobs, return_as="generator_unordered", pre_dispatch="2 * n_jobs")
        yield from parallel(delayed(evaluate_chunk)(study, [task]) for task in tasks)

    def close(self) -> None:
        pass


def executor_of(jobs: int, scheduler: str | None) -> Executor:
    """Return what evaluates the points.

    Raises
    ------
    NopError
        If the scheduler cannot be reached, or its library is missing.
    """
    if scheduler is not None:
        from noptoolkit.studies.cluster import Cluster

        return Cluster(scheduler)
    return _Here() if jobs == 1 else _Joblib(jobs)
