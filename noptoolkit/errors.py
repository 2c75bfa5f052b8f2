"""The errors that noptoolkit raises on purpose, one class per kind of fault.

A message names the place, the thing and the way out:
``mozart.toml: link 'sw0'-'e9': no node named 'e9'; did you mean 'e8'?``
A file's or a package's faults are collected and raised once, one per line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from noptoolkit._shown import visible

__all__ = [
    "MOST_COUNTED",
    "MOST_SHOWN",
    "FormatError",
    "InfeasibleError",
    "NopError",
    "NopWarning",
    "PlanError",
    "RoutingError",
    "ScheduleError",
    "TopologyError",
    "UnknownNameError",
    "WorkloadError",
    "raise_collected",
    "raises_where_malformed",
]

P = ParamSpec("P")
R = TypeVar("R")


MOST_SHOWN = 20
"""Faults of one place that a message spells out."""

MOST_COUNTED = 1000
"""Faults after which a check may stop looking: a hostile file should not take a minute to refuse."""


MOST_LETTERS = 500
"""Of a line of a message: what a hostile file holds is not repeated at its full length."""


class NopError(Exception):
    """Base of every error that noptoolkit raises on purpose.

    The middle of endless lines is left out, and what is not seen is written out: names come from files.

    Examples
    --------
    >>> len(str(NopError(f"no node named {'x' * 100_000!r}; known: e0, e1")))
    503
    """

    def __str__(self) -> str:
        return "\n".join(visible(_shortened(line)) for line in super().__str__().split("\n"))


class TopologyError(NopError):
    """A package graph that cannot be built or does not fit what is asked of it."""


class WorkloadError(NopError):
    """A model, batch, trace or traffic that contradicts itself or its package."""


class PlanError(NopError):
    """A parallel plan that does not divide its model, its batch or its package."""


class RoutingError(NopError):
    """A routing that does not apply to the graph or does not reach a destination."""


class ScheduleError(NopError):
    """A task graph that has no schedule: a cycle, an unknown resource, a buffer too small."""


class FormatError(NopError, ValueError):
    """A file or a quantity that cannot be read as what it should be."""


class InfeasibleError(NopError, RuntimeError):
    """A question without an answer: no layout under a cap, no flow for a demand."""


class UnknownNameError(NopError, LookupError):
    """A name that is in no table; the message offers the nearest."""


class NopWarning(UserWarning):
    """Something a reader of the result must know, such as a package short of DRAM."""


def _shortened(line: str) -> str:
    if len(line) <= MOST_LETTERS:
        return line
    kept = MOST_LETTERS // 2
    return f"{line[:kept]}...{line[-kept:]}"


def raise_collected(error: type[NopError], place: str, faults: Sequence[str]) -> None:
    """Raise one error that lists every fault found at a place; do nothing without faults.

    Parameters
    ----------
    error
        The class to raise.
    place
        What holds the faults: a file name, ``package 'mesh-4x4'``.
    faults
        One line each, naming the thing and the way out.

    Examples
    --------
    >>> raise_collected(TopologyError, "package 'p'", [])
    >>> raise_collected(TopologyError, "package 'p'", ["link 'a'-'b': zero bandwidth"])
    Traceback (most recent call last):
    noptoolkit.errors.TopologyError: package 'p': link 'a'-'b': zero bandwidth
    """
    if not faults:
        return
    if len(faults) == 1:
        raise error(f"{place}: {faults[0]}")
    shown = [f"  - {fault}" for fault in faults[:MOST_SHOWN]]
    if len(faults) > MOST_SHOWN:
        shown.append(f"  - and {len(faults) - MOST_SHOWN} more")
    count = f"{MOST_COUNTED} faults or more" if len(faults) >= MOST_COUNTED else f"{len(faults)} faults"
    raise error(f"{place}: {count}\n" + "\n".join(shown))


def raises_where_malformed(error: type[NopError]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a check of a result: one whose arrays do not fit together does not hold.

    A check follows indices and compares arrays of a result that anybody may have made; where they are of
    another length, or point nowhere, that is a fault of the result, with one error.

    Examples
    --------
    >>> @raises_where_malformed(RoutingError)
    ... def verify(loads):
    ...     return loads[3] >= 0
    >>> verify([1.0])
    Traceback (most recent call last):
    noptoolkit.errors.RoutingError: list does not hold: its parts do not fit together (IndexError...
    """

    def decorate(check: Callable[P, R]) -> Callable[P, R]:
        @wraps(check)
        def checked(*given: P.args, **options: P.kwargs) -> R:
            try:
                return check(*given, **options)
            except NopError:
                raise
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
                result: Any = given[0]
                what = f"{type(fault).__name__}: {fault}"
                raise error(
                    f"{type(result).__name__} does not hold: its parts do not fit together ({what})"
                ) from fault

        return checked

    return decorate
