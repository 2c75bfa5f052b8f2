"""Break the code of a room at places that a seed chooses, one at a time, and see whether its tests notice.

``mutation.py flow physical --sample 80 --seed 1`` prints every mutant that no test catches, and the share
that is caught; it fails below ``--least``. ``--only NUMBER`` runs one mutant again, ``--list`` shows them.

Whatever computes is broken: comparisons, arithmetic, numbers, conditions, minima and maxima, statements left
out. Text, messages of errors, tables and annotations are left alone. A first run of the room's tests finds
which of them reach which line; a mutant is run against those only, the quickest first, in a copy of the
checkout. Kernels are compiled, so no line of theirs is seen: their mutants are run against all tests, with
the caches of all that import them set aside. A mutant on which a test fails, or which needs more than four
times the CPU time of the sound code (and 20 s), is caught.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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
SKIPPED = {"__repr__", "__str__", "_repr_html_", "table", "notes", "cells", "text"}
"""Functions that only show."""
SWAPS: dict[type, tuple[str, ...]] = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"),
    ast.Eq: ("!=",), ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",),
    ast.In: ("not in",), ast.NotIn: ("in",),
    ast.Add: ("-",), ast.Sub: ("+",), ast.Mult: ("/",), ast.Div: ("*",), ast.FloorDiv: ("*",),
    ast.Mod: ("*",), ast.Pow: ("*",), ast.BitAnd: ("|",), ast.BitOr: ("&",), ast.BitXor: ("|",),
    ast.LShift: (">>",), ast.RShift: ("<<",), ast.And: ("or",), ast.Or: ("and",),
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "argmin": "argmax",
         "argmax": "argmin", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one file: ``old`` at a place of the text becomes ``new``."""

    path: str
    line: int
    begin: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        old = " ".join(self.old.split())
        return f"{self.path}:{self.line}: {old[:60]!r} -> {self.new[:60]!r}"


def mutants_of(path: Path) -> list[Mutant]:
    """Return every mutant of a file, in the order of its text."""
    text = path.read_text()
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    data = text.encode()
    found: list[Mutant] = []

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    def add(node: ast.expr | ast.stmt, new: str, begin: int | None = None, end: int | None = None) -> None:
        begin = at(node.lineno, node.col_offset) if begin is None else begin
        end = at(node.end_lineno or 0, node.end_col_offset or 0) if end is None else end
        line = data[:begin].count(b"\n") + 1
        name = path.relative_to(ROOT).as_posix()
        found.append(Mutant(name, line, begin, end, data[begin:end].decode(), new))

    def between(left: ast.expr, right: ast.expr, word: str) -> None:
        """Change the operator that stands between two operands, brackets and all left where they are."""
        begin, end = at(left.end_lineno or 0, left.end_col_offset or 0), at(right.lineno, right.col_offset)
        gap = data[begin:end].decode()
        operator = re.search(r"[^\s()#\\]+(\s+(not|in))?", gap)
        if operator:
            add(left, f" {word} ", begin + operator.start(), begin + operator.end())

    for node in computing(ast.parse(text)):
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                operands = [left, *others]
                for i, op in enumerate(ops):
                    for word in SWAPS.get(type(op), ()):
                        between(operands[i], operands[i + 1], word)
            case ast.BinOp(left=left, op=op, right=right):
                for word in SWAPS.get(type(op), ()):
                    between(left, right, word)
            case ast.BoolOp(op=op, values=values):
                between(values[0], values[1], SWAPS[type(op)][0])
            case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand) if not isinstance(
                operand, ast.Constant
            ):
                add(node, f"({ast.unparse(operand)})")
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                add(test, f"(not ({ast.unparse(test)}))")
            case ast.Constant(value=bool() as value):
                add(node, str(not value))
            case ast.Constant(value=int() as value):
                add(node, str(value + 1))
            case ast.Constant(value=float() as value):
                add(node, repr(2 * value if value else 1.0))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name) as func) if name in NAMES:
                end = at(func.end_lineno or 0, func.end_col_offset or 0)
                add(func, NAMES[name], end - len(name), end)
            case ast.AugAssign() | ast.Expr(value=ast.Call()) | ast.Continue() | ast.Break():
                add(node, "pass")
    return found


def computing(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what computes: no text, no messages, no annotations, no default of what only shows."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
            continue
        if isinstance(node, ast.FunctionDef) and node.name in SKIPPED:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "keywords") and not isinstance(
                node, ast.Call
            ):
                continue
            todo += [
                one for one in (value if isinstance(value, list) else [value]) if isinstance(one, ast.AST)
            ]


def sample_of(room: str, number: int, seed: int) -> list[Mutant]:
    """Return some mutants of a room, drawn by a seed, no two of one place."""
    every: dict[tuple[str, int], list[Mutant]] = defaultdict(list)
    for path in sorted((ROOT / "noptoolkit" / room).rglob("*.py")):
        for mutant in mutants_of(path):
            every[mutant.path, mutant.begin].append(mutant)
    rng = random.Random(f"{room} {seed}")
    places = rng.sample(sorted(every), min(number, len(every)))
    return [rng.choice(every[place]) for place in places]


class Bench:
    """A copy of the checkout in which mutants of a room are run."""

    def __init__(self, room: str, folder: Path) -> None:
        self.room, self.root = room, folder / "checkout"
        ignored = shutil.ignore_patterns(".git", ".venv", "_build", "generated", "auto_gallery", "out")
        shutil.copytree(ROOT, self.root, ignore=ignored)
        self.tests = [*ROOMS[room], f"noptoolkit/{room}"]
        self.seconds: dict[str, float] = {}
        self.reached: dict[tuple[str, int], set[str]] = defaultdict(set)

    def learn(self) -> None:
        """Run the sound code: how long each test takes, and which lines it reaches."""
        told = self.root / "told.json"
        done = self._child(self.tests, 3600.0, told=str(told))
        if done != 0:
            sys.exit(f"{self.room}: the tests fail on the sound code (exit {done})")
        found = json.loads(told.read_text())
        self.seconds = found["seconds"]
        for name, lines in found["lines"].items():
            for line, tests in lines.items():
                self.reached[name, int(line)] |= set(tests)

    def caught(self, mutant: Mutant) -> bool:
        """Return whether some test fails on a mutant."""
        path = self.root / mutant.path
        sound, stat = path.read_bytes(), path.stat()
        kernel = path.name.startswith("compiled")
        tests = set(self.seconds) if kernel else self.reached[mutant.path, mutant.line] or set(self.seconds)
        order = sorted(tests, key=lambda name: (self.seconds.get(name, 0.0), name))
        allowed = 20 + 4 * sum(self.seconds.get(name, 0.0) for name in order) + (120 if kernel else 0)
        aside = self._caches_aside(path) if kernel else []
        changed = sound[: mutant.begin] + mutant.new.encode() + sound[mutant.end :]
        try:
            ast.parse(changed)
            path.write_bytes(changed)
            return self._child(order, allowed, first=True) != 0
        finally:
            path.write_bytes(sound)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            for cache, kept in aside:
                cache.write_bytes(kept)

    def _caches_aside(self, path: Path) -> list[tuple[Path, bytes]]:
        """Remove the caches of a kernel's module and of all that import it; return what was in them."""
        stale, fresh = {path.stem}, {path.stem}
        sources = {one: one.read_text() for one in (self.root / "noptoolkit").rglob("*.py")}
        while fresh:
            names = "|".join(fresh)
            fresh = {
                one.stem
                for one, text in sources.items()
                if one.stem not in stale and re.search(rf"from noptoolkit\S*\.({names}) import", text)
            }
            stale |= fresh
        kept = []
        for cache in (self.root / "noptoolkit").rglob("*.nb[ic]"):
            if cache.name.partition(".")[0] in stale:
                kept.append((cache, cache.read_bytes()))
                cache.unlink()
        return kept

    def _child(self, tests: list[str], seconds: float, *, told: str = "", first: bool = False) -> int:
        """Run tests in a fork of this process and return pytest's exit code, or that of a signal."""
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.setsid()
            _run(self.root, self.room, tests, seconds, told, first)
        begun = time.monotonic()
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() - begun > 10 * seconds:  # it waits for something that does not come
                os.killpg(child, signal.SIGKILL)
            time.sleep(0.02)
        return os.waitstatus_to_exitcode(status)


def _run(root: Path, room: str, tests: list[str], seconds: float, told: str, first: bool) -> None:
    """Run pytest in this process, the child, and end it."""
    code = 99
    try:
        os.chdir(root)
        quiet = os.open(os.devnull if not told else f"{told}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.environ["PYTHONPATH"] = str(root)
        os.environ["MPLBACKEND"] = "Agg"
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(root))
        import pytest

        watch = Watch(root, room, bool(told))
        words = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:cov",
            "-p",
            "no:randomly",
            *(["-x"] if first else []),
        ]
        code = int(pytest.main([*words, *tests], plugins=[watch]))
        if told:
            Path(told).write_text(json.dumps(watch.told()))
    finally:
        os._exit(code)


class Watch:
    """A plugin of pytest: how long each test takes, and which lines of the room it reaches."""

    def __init__(self, root: Path, room: str, lines: bool) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.cover = None
        self.root = root
        if lines:
            import coverage

            self.cover = coverage.Coverage(
                data_file=None, source=[str(root / "noptoolkit" / room)], config_file=False
            )
            self.cover.start()

    def pytest_collection_modifyitems(self, config: object, items: list) -> None:  # type: ignore[type-arg]
        given = {name: i for i, name in enumerate(config.args)}  # type: ignore[attr-defined]
        if any("::" in name for name in given):
            items.sort(key=lambda item: given.get(item.nodeid, len(given)))

    def pytest_runtest_setup(self, item: object) -> None:
        if self.cover is not None:
            self.cover.switch_context(item.nodeid)  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: object) -> None:
        self.seconds[report.nodeid] += report.duration  # type: ignore[attr-defined]

    def told(self) -> dict[str, object]:
        found: dict[str, dict[int, list[str]]] = {}
        if self.cover is not None:
            self.cover.stop()
            data = self.cover.get_data()
            for name in data.measured_files():
                path = Path(name).relative_to(self.root).as_posix()
                by_line = data.contexts_by_lineno(name)
                # what runs while modules are imported has no test of its own: all of them
                found[path] = {line: tests for line, tests in by_line.items() if "" not in tests}
        return {"seconds": self.seconds, "lines": found}


def attack(room: str, given: argparse.Namespace) -> float:
    """Run the mutants of a room; return the share that was caught."""
    sample = sample_of(room, given.sample, given.seed)
    if given.list:
        print("\n".join(f"{i}: {mutant}" for i, mutant in enumerate(sample)))
        return 1.0
    numbers = given.only or range(len(sample))
    begun, missed = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(room, Path(folder))
        bench.learn()
        print(f"{room}: {len(bench.seconds)} tests, {sum(bench.seconds.values()):.0f} s", flush=True)
        for number in numbers:
            caught = bench.caught(sample[number])
            missed += not caught
            if not caught or given.verbose:
                said = "caught  " if caught else "survived"
                print(f"  {said} {room} --seed {given.seed} --only {number}: {sample[number]}", flush=True)
    share = 1 - missed / max(len(numbers), 1)
    took = time.monotonic() - begun
    print(f"{room}: {len(numbers) - missed} of {len(numbers)} caught, {share:.1%}, {took:.0f} s", flush=True)
    return share


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rooms", nargs="*", help="all where none is named: " + ", ".join(ROOMS))
    parser.add_argument("--sample", type=int, default=80, help="mutants of each room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.85, help="share that must be caught")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the mutants to run")
    parser.add_argument("--list", action="store_true", help="show the sample and run nothing")
    parser.add_argument("--verbose", action="store_true", help="print the mutants that are caught, too")
    given = parser.parse_args()
    for room in given.rooms:
        if room not in ROOMS:
            parser.error(f"no room named {room!r}; known: {', '.join(ROOMS)}")
    import matplotlib, networkx, numba, numpy, pytest, scipy.optimize  # noqa: E401, F401, I001  children have them

    shares = [attack(room, given) for room in given.rooms or ROOMS]
    sys.exit(min(shares) < given.least)


if __name__ == "__main__":
    main()
