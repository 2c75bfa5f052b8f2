"""Break the code of a room at places that a seed chooses, one at a time, and see whether its tests notice.

``python .ci/mutation flow physical --sample 80 --seed 1`` prints every mutant that no test catches, and the
share that is caught; it fails below ``--least``. ``--only NUMBER`` runs one mutant again, ``--again`` those
that were not caught when this sample was last run, ``--more`` those that ``--minutes`` left, ``--list`` shows
them.

Whatever computes is broken: comparisons, arithmetic, numbers, conditions, minima and maxima, statements left
out. Text, messages of errors, tables and annotations are left alone. A first run of the room's tests finds
which of them reach which line; it is kept in ``build/mutants`` and only repeated for files of tests that have
changed. A mutant is run against those only, the quickest first and no more than ``--effort`` allows, until
one fails: the tests are collected once, and each mutant is a fork of that process with one function changed
in memory. Of compiled kernels, no line is seen. So each test that is over in three seconds where kernels are
run as Python is run so, too: of what it reaches there, the mutants are tried in the same way. What passes is
compiled, without what LLVM optimises, it alone with what contains it, and meets the tests that reach a line
which mentions it. What is not in a function needs a process of its own. A
mutant on which a test fails, or needs more than five times its CPU time (and 10 s), is caught.
``equivalent.toml`` lists those which change nothing, and why: they are not run, and not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
from pathlib import Path

from bench import Bench, Map, forked
from mutants import ROOT, Mutant, as_toml, equivalent, sample_of

AGREE = "tests/testing/test_differential.py::test_rooms_agree_with_oracles"
ROOMS: dict[str, tuple[str, ...]] = {
    "flow": ("tests/flow", f"{AGREE}[flow]", f"{AGREE}[multicast]"),
    "allocation": ("tests/allocation", "tests/contracts/test_allocators.py", f"{AGREE}[allocation]"),
    "scheduling": ("tests/scheduling", "tests/contracts/test_policies.py", f"{AGREE}[schedule]"),
    "step": ("tests/step", "tests/contracts/test_policies.py", "tests/test_pipeline.py"),
    "collectives": ("tests/collectives", f"{AGREE}[collectives]"),
    "simulate": ("tests/simulate", f"{AGREE}[simulator]"),
    "physical": ("tests/physical",),
}
"""Each room and the tests that stand for it; doctests of the room come on top."""
KEPT = ROOT / "build" / "mutants"


class Outcomes:
    """What came of the mutants of a sample so far, kept for ``--again``."""

    def __init__(self, path: Path, again: bool) -> None:
        self.path = path
        self.caught: dict[str, bool] = json.loads(path.read_text()) if again and path.exists() else {}

    def add(self, mutant: Mutant, caught: bool) -> None:
        self.caught[str(mutant.key)] = caught
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.caught, indent=0))


def attack(room: str, given: argparse.Namespace) -> float:
    """Run the mutants of a room; return the share that was caught."""
    sample = sample_of(room, given.sample, given.seed)
    if given.list:
        print("\n".join(f"{i}: {mutant}" for i, mutant in enumerate(sample)))
        return 1.0
    same = equivalent()
    outcomes = Outcomes(KEPT / f"{room}-{given.seed}.json", given.again or given.more)
    numbers = [i for i in given.only or range(len(sample)) if sample[i].key not in same]
    todo = [i for i in numbers if not outcomes.caught.get(str(sample[i].key), False)]
    if given.more:
        todo = [i for i in todo if str(sample[i].key) not in outcomes.caught]
    root = copied()
    kept = Map(KEPT / f"{room}.json", root, room)
    bench = Bench(root, room, kept, given.effort)
    left = root / "left.json"

    def tell(number: int, caught: bool) -> None:
        outcomes.add(sample[number], caught)
        if given.verbose or not caught:
            said = "caught  " if caught else "survived"
            print(f"  {said} {room} --seed {given.seed} --only {number}: {sample[number]}", flush=True)
            if given.toml:
                print(as_toml(sample[number]))

    def each() -> None:
        took = sum(bench.map.seconds.values())
        print(f"{room}: {len(bench.items)} tests, {took:.0f} s; {spent():.0f} s CPU so far", flush=True)
        later: list[int] = []
        for number in todo:
            if spent() > 60 * given.minutes:
                break
            caught = bench.caught(sample[number])
            if caught is None:
                later.append(number)
            else:
                tell(number, caught)
        left.write_text(json.dumps(later))

    tests = [*ROOMS[room], f"noptoolkit/{room}"]
    if forked(lambda: bench.collect(tests, each), 1e6, log=None):
        sys.exit(f"{room}: its tests fail on the sound code")
    bench.map = Map(KEPT / f"{room}.json", root, room)  # what the fork has learnt
    bench.read_map()
    outcomes = Outcomes(outcomes.path, again=True)
    for number in json.loads(left.read_text()):
        if spent() < 60 * given.minutes:
            tell(number, bench.caught_anew(sample[number]))
    known = [outcomes.caught[str(sample[i].key)] for i in numbers if str(sample[i].key) in outcomes.caught]
    share = sum(known) / max(len(known), 1)
    alike = len(given.only or sample) - len(numbers)
    print(
        f"{room} --seed {given.seed}: {sum(known)} of {len(known)} caught, {share:.1%}; {alike} change "
        f"nothing, {len(numbers) - len(known)} not run; {spent():.0f} s CPU",
        flush=True,
    )
    return share


def copied() -> Path:
    """Bring the copy of the checkout up to date, in which mutants run, and go there."""
    root = KEPT / "checkout"
    out = {".git", ".venv", "build", "_build", "generated", "auto_gallery", "out"}
    if root.exists():
        out.add("__pycache__")  # its kernels are its own
        for path in root.rglob("*"):
            kernel = path.parent.name == "__pycache__"
            if path.is_file() and not kernel and not (ROOT / path.relative_to(root)).exists():
                path.unlink()
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*out), dirs_exist_ok=True)
    os.chdir(root)
    os.environ |= {"PYTHONPATH": str(root), "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path[:] = [str(root), *(one for one in sys.path if one not in (str(root), str(ROOT)))]
    return root


def spent() -> float:
    """Return the CPU time of this process and those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python .ci/mutation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rooms", nargs="*", help="all where none is named: " + ", ".join(ROOMS))
    parser.add_argument("--sample", type=int, default=80, help="mutants of each room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.85, help="share that must be caught")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the mutants to run")
    parser.add_argument("--again", action="store_true", help="run what was not caught, or not run, last time")
    parser.add_argument("--more", action="store_true", help="run what was not run the last times")
    parser.add_argument("--minutes", type=float, default=1e6, help="CPU time after which no mutant is begun")
    parser.add_argument("--effort", type=float, default=60, help="CPU seconds of tests for a mutant, at most")
    parser.add_argument("--list", action="store_true", help="show the sample and run nothing")
    parser.add_argument(
        "--toml", action="store_true", help="print survivors as entries of equivalent.toml, too"
    )
    parser.add_argument("--verbose", action="store_true", help="print the mutants that are caught, too")
    given = parser.parse_args()
    for room in given.rooms:
        if room not in ROOMS:
            parser.error(f"no room named {room!r}; known: {', '.join(ROOMS)}")
    import matplotlib, networkx, numba, numpy, scipy.optimize  # noqa: E401, F401, I001  children have them

    shares = [attack(room, given) for room in given.rooms or ROOMS]
    sys.exit(min(shares) < given.least)


if __name__ == "__main__":
    main()
