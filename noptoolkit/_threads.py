"""The one limit of threads: how many the compiled solvers may use at once.

The limit is, in this order: that of the innermost `limit_threads`; the environment variable
``NOPTOOLKIT_NUM_THREADS``; ``NUMBA_NUM_THREADS`` or ``OMP_NUM_THREADS``, which joblib sets in its workers to
cores / jobs, so that ``compare(jobs=...)`` does not start more threads than there are cores; the cores that
the process may use. Results do not depend on it: work is cut into parts of a fixed number, and summed in
their order.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

from noptoolkit.errors import NopError, NopWarning

__all__ = ["check_numba_threads", "limit_threads", "num_threads", "one_blas_thread", "thread_pool"]

VARIABLES = ("NOPTOOLKIT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


def check_numba_threads() -> None:
    """Drop a ``NUMBA_NUM_THREADS`` with which numba would not load, with a warning."""
    given = os.environ.get("NUMBA_NUM_THREADS")
    if given is None or (given.isdecimal() and len(given) < 6 and int(given) > 0):
        return
    del os.environ["NUMBA_NUM_THREADS"]
    warnings.warn(
        f"NUMBA_NUM_THREADS={given[:20]!r} is no number of threads, and is not used; give 1 or more",
        NopWarning,
        stacklevel=2,
    )


_limit: ContextVar[int | None] = ContextVar("noptoolkit_thread_limit", default=None)


@contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Limit the threads of the solvers inside a ``with`` block.

    Parameters
    ----------
    count : int
        Largest number of threads, at least 1.

    Raises
    ------
    NopError
        If ``count`` is not a whole number of at least 1.

    Examples
    --------
    >>> with limit_threads(1):
    ...     num_threads()
    1
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise NopError(f"limit_threads({count!r}): give a whole number of threads, at least 1")
    token = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(token)


def num_threads() -> int:
    """Return how many threads a solver may use, see the module.

    Raises
    ------
    NopError
        If ``NOPTOOLKIT_NUM_THREADS`` is not a whole number of at least 1.
    """
    limit = _limit.get()
    if limit is not None:
        return limit
    for name in VARIABLES:
        text = os.environ.get(name, "").partition(",")[0].strip()  # OpenMP: one number for each level
        if text.isdecimal() and int(text) > 0:
            return int(text)
        if text and name == VARIABLES[0]:
            raise NopError(f"{name}={text!r}: give a whole number of threads, at least 1")
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_pool() -> ThreadPoolExecutor:
    """Return a pool of as many threads as are allowed."""
    return ThreadPoolExecutor(num_threads())


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread inside a ``with`` block, for work on small matrices.

    The threads of a BLAS wait for each other in busy loops: where other jobs have the cores, an eigenvector
    problem of 128 x 128 takes ten times the CPU time that it takes alone. The limit is one of the whole
    process, so that blocks of several threads run one after the other.
    """
    from threadpoolctl import threadpool_limits

    with _blas, threadpool_limits(1, user_api="blas"):
        yield


_blas = threading.RLock()
