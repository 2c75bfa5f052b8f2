"""Attack readers with mutants of sound files.

``python -m noptoolkit.testing.fuzz FORMAT --cases N --seed S`` runs it; FORMAT is ``all`` or some names.

A reader may read a mutant or refuse it with one `NopError`. All else is a finding: another exception, a
warning of NumPy's, more than ``--seconds`` of CPU time, more than ``--megabytes`` of memory. Every case has a
seed of its own, so that ``--only NUMBER`` runs it again; findings are made small before they are shown, and
kept with ``--keep FOLDER``.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noptoolkit.errors import NopError
from noptoolkit.testing.samples import samples_of
from noptoolkit.testing.targets import TARGETS

__all__ = ["Finding", "Report", "attack", "main"]

MOST_TRIES = 150
"""Attempts to make a finding smaller."""


class TooLong(BaseException):
    """A reader took more than its time; not an Exception, so that no reader can swallow it."""


@dataclass(frozen=True)
class Finding:
    """A mutant that a reader stumbled over.

    Parameters
    ----------
    format, seed, case
        What made it; the same three make it again.
    what
        Exception and the place in the code where it was raised, or ``too long``.
    data
        The file, made small.
    """

    format: str
    seed: int
    case: int
    what: str
    data: bytes

    def __str__(self) -> str:
        shown = self.data[:200]
        return f"{self.format} --seed {self.seed} --only {self.case}: {self.what}\n    {shown!r}"


@dataclass
class Report:
    """What an attack found.

    Parameters
    ----------
    format, cases
        What was attacked, and how often.
    read, refused
        Mutants that were read, and that were refused with one error of noptoolkit's.
    findings
        All others.
    seconds, longest
        CPU time of all, and of the slowest case.
    megabytes
        How much the process grew at its peak.
    """

    format: str
    cases: int = 0
    read: int = 0
    refused: int = 0
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    longest: float = 0.0
    megabytes: float = 0.0

    def row(self) -> str:
        """Return the report as a line."""
        return (
            f"{self.format:<16}{self.cases:>7}{self.read:>7}{self.refused:>8}{len(self.findings):>10}"
            f"{self.seconds:>8.1f}{self.longest:>9.2f}{self.megabytes:>7.0f}"
        )


HEAD = (
    f"{'format':<16}{'cases':>7}{'read':>7}{'refused':>8}{'findings':>10}{'CPU s':>8}{'longest':>9}{'MB':>7}"
)


def attack(
    format: str,
    cases: int,
    seed: int = 0,
    *,
    seconds: float = 5.0,
    only: int | None = None,
    shrink: bool = True,
) -> Report:
    """Read mutants and return what came of it.

    Parameters
    ----------
    format
        A key of `noptoolkit.testing.targets.TARGETS`.
    cases, seed
        How many mutants, and the seed of them all.
    seconds
        CPU time that a case may take.
    only
        Number of the one case to run.
    shrink
        Whether findings are made small.
    """
    target, samples = TARGETS[format], samples_of(format)
    report = Report(format)
    known: Counter[str] = Counter()  # of kinds of findings
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case{target.suffix}"
        for sample in samples:
            path.write_bytes(sample)
            target.read(path)  # a sample that is not read attacks nothing
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for case in [only] if only is not None else range(cases):
            rng = random.Random(f"{format} {seed} {case}")
            data = target.mutant(rng.choice(samples), rng)
            begun = time.process_time()
            what = _outcome(format, path, data, seconds)
            took = time.process_time() - begun
            report.cases += 1
            report.seconds += took
            report.longest = max(report.longest, took)
            if what == "read":
                report.read += 1
            elif what == "refused":
                report.refused += 1
            else:
                kind = what.partition(":")[0]
                known[kind] += 1
                if shrink and known[kind] == 1:
                    data = _smaller(format, path, data, what, seconds)
                report.findings.append(Finding(format, seed, case, what, data))
        report.megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    return report


def _outcome(format: str, path: Path, data: bytes, seconds: float) -> str:
    """Return ``read``, ``refused``, or what went wrong and where."""
    for other in path.parent.glob("case*"):
        if other.is_file():
            other.unlink()
    path.write_bytes(data)
    try:
        with warnings.catch_warnings(), _limited(seconds):
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            TARGETS[format].read(path)
    except NopError as error:
        if isinstance(error.__context__, MemoryError):
            return "MemoryError, refused too late"
        return "refused" if str(error).strip() else "an error without a message"
    except TooLong:
        return "too long"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return f"{type(error).__name__} at {_place(error)}: {_said(error)}"
    return "read"


def _said(error: BaseException) -> str:
    try:
        return str(error)[:100]
    except Exception as fault:  # an error that cannot even be shown
        return f"(its text: {type(fault).__name__})"


def _place(error: BaseException) -> str:
    own = Path(__file__).parents[1]
    places = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    frames = [(path, line) for path, line in places if own in path.parents and "testing" not in path.parts]
    return f"{frames[-1][0].name} line {frames[-1][1]}" if frames else "?"


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `TooLong` after so much CPU time."""

    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _smaller(format: str, path: Path, data: bytes, what: str, seconds: float) -> bytes:
    """Return fewer bytes that go wrong in the same way."""
    kind = what.partition(":")[0]
    tries, size = MOST_TRIES, max(len(data) // 2, 1)
    while size and tries:
        at = 0
        while at < len(data) and tries:
            tries -= 1
            shorter = data[:at] + data[at + size :]
            if _outcome(format, path, shorter, seconds).partition(":")[0] == kind:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def main(words: Sequence[str] | None = None) -> int:
    """Run attacks from the command line; return the exit code: 1 where there are findings."""
    parser = argparse.ArgumentParser(prog="python -m noptoolkit.testing.fuzz", description=__doc__)
    parser.add_argument("format", nargs="+", help="all, or some of: " + ", ".join(TARGETS))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU time that a case may take")
    parser.add_argument("--megabytes", type=int, default=3000, help="memory that the process may take")
    parser.add_argument("--only", type=int, help="number of the one case to run")
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    given = parser.parse_args(words)
    if given.cases < 1:
        parser.error(f"--cases {given.cases}: give a whole number above 0")
    formats = list(TARGETS) if given.format == ["all"] else given.format
    for name in formats:
        if name not in TARGETS:
            parser.error(f"no format named {name!r}; known: {', '.join(TARGETS)}")
    with _memory(given.megabytes):
        print(HEAD)
        found = [_printed(name, given) for name in formats]
    return int(any(found))


@contextmanager
def _memory(megabytes: int) -> Iterator[None]:
    """Limit the address space of the process for a while: whoever comes after needs it, OpenBLAS for one."""
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def _printed(name: str, given: argparse.Namespace) -> bool:
    """Attack a format, print what came of it, keep the files of findings; return whether there are any."""
    report = attack(name, given.cases, given.seed, seconds=given.seconds, only=given.only)
    print(report.row(), flush=True)
    kinds: dict[str, Finding] = {}
    for finding in report.findings:
        kinds.setdefault(finding.what.partition(":")[0], finding)
    for what, finding in kinds.items():
        number = sum(one.what.startswith(what) for one in report.findings)
        print(f"  {number} x {finding}")
        if given.keep is not None:
            given.keep.mkdir(parents=True, exist_ok=True)
            place = given.keep / f"{name}-{given.seed}-{finding.case}{TARGETS[name].suffix}"
            place.write_bytes(finding.data)
    return bool(report.findings)


if __name__ == "__main__":
    sys.exit(main())
