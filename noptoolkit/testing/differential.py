"""Hold rooms against oracles that share nothing with them, on random problems.

``python -m noptoolkit.testing.differential NAME --cases N --seed S`` runs it; NAME is ``all`` or some of:

* ``flow``: `noptoolkit.congestion` of pairs against a linear program of every source's flow;
* ``multicast``: the same of multicasts and reductions, against every way that copies can take, mixed by a
  linear program; some nodes copy or add, with half duplex and limits of ports;
* ``collectives``: against a compact linear program of budgets and flows;
* ``simulator``: simulated routers against the fluid optimum and their own routes;
* ``schedule``: list schedules, their bounds and "cannot be scheduled" against CP-SAT (OR-tools);
* ``allocation``: allocators and the bound of C_T against all layouts.

A bound above an optimum, a result below one, one that is called optimal or exact and is not, a ``verify()``
that refuses or leaves something out, and any exception is a finding. Every case has a seed of its own, so
that ``--only NUMBER`` runs it again; findings are made small before they are shown.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noptoolkit.errors import NopWarning
from noptoolkit.testing.duels import NETWORK_DUELS, Duel
from noptoolkit.testing.order_duels import ORDER_DUELS

__all__ = ["DUELS", "Finding", "Report", "compare", "main"]

DUELS: dict[str, Duel] = NETWORK_DUELS | ORDER_DUELS
MOST_TRIES = 200
"""Problems tried to make a finding smaller."""


@dataclass(frozen=True)
class Finding:
    """A problem whose answers do not agree.

    Parameters
    ----------
    name, seed, case
        What made it; the same three make it again.
    what
        Kind and figures.
    problem
        The problem, made small.
    """

    name: str
    seed: int
    case: int
    what: str
    problem: Any

    def __str__(self) -> str:
        shown = str(self.problem).replace("\n", "\n    ")
        return f"{self.name} --seed {self.seed} --only {self.case}: {self.what}\n    {shown}"


@dataclass
class Report:
    """What a comparison found.

    Parameters
    ----------
    name, cases
        What was compared, and how often.
    findings
        Where the answers do not agree.
    seconds
        CPU time of all.
    """

    name: str
    cases: int = 0
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    def row(self) -> str:
        """Return the report as a line."""
        return f"{self.name:<16}{self.cases:>7}{len(self.findings):>10}{self.seconds:>8.1f}"


HEAD = f"{'against':<16}{'cases':>7}{'findings':>10}{'CPU s':>8}"


def compare(
    name: str, cases: int, seed: int = 0, *, first: int = 0, only: int | None = None, shrink: bool = True
) -> Report:
    """Compare answers on random problems and return what came of it.

    Parameters
    ----------
    name
        A key of `DUELS`.
    cases, seed
        How many problems, and the seed of them all.
    first
        Number of the first case.
    only
        Number of the one case to run.
    shrink
        Whether findings are made small.
    """
    duel, report = DUELS[name], Report(name)
    begun = time.process_time()
    for case in [only] if only is not None else range(first, first + cases):
        problem = _drawn(duel, [seed, case, zlib.crc32(name.encode())])
        what = _outcome(duel, problem)
        report.cases += 1
        if what:
            problem, what = _smaller(duel, problem, what) if shrink else (problem, what)
            report.findings.append(Finding(name, seed, case, what, problem))
    report.seconds = time.process_time() - begun
    return report


def _drawn(duel: Duel, seed: list[int]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)  # of slow links: they are meant
        return duel.draw(np.random.default_rng(seed))


def _outcome(duel: Duel, problem: Any) -> str:
    """Return the first fault of a problem, empty where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", NopWarning)
            return next(duel.faults(problem), "")
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _smaller(duel: Duel, problem: Any, what: str) -> tuple[Any, str]:
    """Return a simpler problem that goes wrong in the same way, and how."""
    kind, tries = what.partition(":")[0], MOST_TRIES
    fresh = True
    while fresh and tries:
        fresh = False
        for simpler in _simpler(duel, problem):
            tries -= 1
            found = _outcome(duel, simpler)
            if found.partition(":")[0] == kind:
                problem, what, fresh = simpler, found, True
                break
            if not tries:
                break
    return problem, what


def _simpler(duel: Duel, problem: Any) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        yield from duel.smaller(problem)


def main(words: Sequence[str] | None = None) -> int:
    """Compare from the command line; return the exit code: 1 where there are findings."""
    parser = argparse.ArgumentParser(
        prog="python -m noptoolkit.testing.differential",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="+", help="all, or some of: " + ", ".join(DUELS))
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, help="number of the one case to run")
    given = parser.parse_args(words)
    names = list(DUELS) if given.name == ["all"] else given.name
    for name in names:
        if name not in DUELS:
            parser.error(f"no comparison named {name!r}; known: {', '.join(DUELS)}")
    if given.cases < 1:
        parser.error(f"--cases {given.cases}: give a whole number above 0")
    print(HEAD)
    found = False
    for name in names:
        report = compare(name, given.cases, given.seed, first=given.first, only=given.only)
        print(report.row(), flush=True)
        for finding in report.findings:
            print(f"  {finding}", flush=True)
        found |= bool(report.findings)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
