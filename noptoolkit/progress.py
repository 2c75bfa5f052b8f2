"""Progress: one line of text at a time, for whoever waits.

Everything that takes long takes a `Progress`. Stages and counts ("2 of 6 runs, 40 s left") go to
``progress=``; what a solver reports of its own iterations goes to ``report=``, another `Progress`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Countdown", "Progress"]

Progress = Callable[[str], None]
"""Callable that is given one line of text; ``print`` will do."""


@dataclass
class Countdown:
    """How many of several equal pieces of work are done, and how long the rest may take.

    Parameters
    ----------
    total
        Number of pieces.
    what
        Name of the pieces, in the plural.
    clock
        Source of the time, in s.

    Examples
    --------
    >>> ticks = iter([0.0, 20.0])
    >>> count = Countdown(3, "runs", clock=lambda: next(ticks))
    >>> count.text()
    'run 1 of 3'
    >>> count.finish_one()
    >>> count.text()
    'run 2 of 3, 40 s left'
    """

    total: int
    what: str
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    _start: float = field(default=0.0, init=False, repr=False)
    _spent: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    def finish_one(self) -> None:
        """Count one piece as done."""
        self.done += 1
        self._spent = self.clock() - self._start

    def text(self) -> str:
        """Return which piece is at work and how long the rest takes at the pace so far."""
        return f"{self.what.removesuffix('s')} {min(self.done + 1, self.total)} of {self.total}{self.left()}"

    def finished(self) -> str:
        """Return how many pieces are done and how long the rest takes at the pace so far."""
        return f"{self.done} of {self.total} {self.what}{self.left()}"

    def left(self) -> str:
        """Return ``, 40 s left``, or nothing before the first piece and after the last."""
        if not 0 < self.done < self.total:
            return ""
        seconds = self._spent / self.done * (self.total - self.done)
        return f", {seconds:.0f} s left" if seconds < 100 else f", {seconds / 60:.0f} min left"
