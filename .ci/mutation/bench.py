"""Where mutants are run: the tests of a room are collected once, every mutant is a fork of that process."""

from __future__ import annotations

import ast
import ctypes
import faulthandler
import gc
import hashlib
import importlib.machinery
import json
import os
import re
import resource
import signal
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from kernels import Kernels, Name, defined_by, module_of
from mutants import Mutant

WORDS = ("-qq", "-s", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:randomly", "-p", "no:benchmark")


NOT_THERE = 77
"""Exit code where the function that a mutant changes is not in memory as such."""

QUICK = 3.0
"""CPU seconds in which a test with interpreted kernels must be over, coverage and all, to be used so."""


class Map:
    """Which test reaches which line, and how long it takes: kept on disk, file of tests by file of tests."""

    def __init__(self, path: Path, root: Path, room: str) -> None:
        self.path, self.root = path, root
        shared = [*(root / "noptoolkit" / room).rglob("*.py"), *(root / "tests" / "support").glob("*.py")]
        self.code = digest_of(*shared, root / "tests" / "conftest.py")
        told = json.loads(path.read_text()) if path.exists() else {}
        self.files: dict[str, Any] = told.get("files", {}) if told.get("code") == self.code else {}

    def unknown(self, names: set[str]) -> set[str]:
        """Return the files of tests that were not run since they changed."""
        for name in list(self.files):
            if name not in names:
                del self.files[name]
        return {
            name for name in names if self.files.get(name, {}).get("digest") != digest_of(self.root / name)
        }

    def add(self, name: str, compiled: dict[str, Any], interpreted: dict[str, Any]) -> None:
        self.files[name] = {"digest": digest_of(self.root / name), "interpreted": interpreted, **compiled}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"code": self.code, "files": self.files}))

    @property
    def seconds(self) -> dict[str, float]:
        return {test: took for file in self.files.values() for test, took in file["seconds"].items()}

    @property
    def quick(self) -> dict[str, float]:
        """Seconds of the tests that are short and pass where kernels are interpreted."""
        return {
            test: took
            for file in self.files.values()
            for test, took in file["interpreted"]["seconds"].items()
        }

    def reached(self, *, interpreted: bool = False) -> dict[tuple[str, int], set[str]]:
        """Return the tests that reach each line: each line of kernels where these are interpreted."""
        found: dict[tuple[str, int], set[str]] = defaultdict(set)
        for file in self.files.values():
            for name, lines in (file["interpreted"] if interpreted else file)["lines"].items():
                for line, tests in lines.items():
                    found[name, int(line)].update(tests)
        return found


def digest_of(*paths: Path) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(paths))).hexdigest()


def forked(work: Callable[[], int], seconds: float, log: str | None = os.devnull) -> int:
    """Do something in a fork of this process; return its exit code, or less than 0 for a signal."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Linux: it ends with its parent
            if log is not None:
                told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(told, 1)
                os.dup2(told, 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            faulthandler.disable()
            allow(seconds)
            code = work()
        finally:
            os._exit(code)
    begun = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - begun > 10 * seconds:  # it waits for something that does not come
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)


def allow(seconds: float) -> None:
    """Let this process be killed when it has used so much CPU time from now on."""
    until = int(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def compile_again(stale: set[Name]) -> None:
    """Let numba neither read nor keep what it compiles of some functions."""
    from numba.core.caching import FunctionCache

    load, save = FunctionCache.load_overload, FunctionCache.save_overload

    def is_stale(cache: Any) -> bool:
        outermost = cache._py_func.__qualname__.partition(".")[0]  # what a module defines, not what is inside
        return (cache._py_func.__module__, outermost) in stale

    FunctionCache.load_overload = lambda self, *given: None if is_stale(self) else load(self, *given)
    FunctionCache.save_overload = lambda self, *given: None if is_stale(self) else save(self, *given)


def compile_quickly() -> None:
    """Let numba leave out what LLVM would optimise: most of the time that compiling takes."""
    from numba.core import config

    config.OPT = config._OptLevel(0)


def interpret() -> None:
    """Let all kernels of the house run as Python."""
    import numpy as np
    from numba.core.dispatcher import Dispatcher

    np.seterr(all="ignore")  # compiled, they do not warn
    for name, module in list(sys.modules.items()):
        if name.startswith(("noptoolkit", "test_")) or ".test_" in name:
            for word, value in list(vars(module).items()):
                if isinstance(value, Dispatcher):
                    setattr(module, word, value.py_func)


class Place:
    """Where a mutant is: the statement of the module, and the function whose code it changes, if any."""

    def __init__(self, mutant: Mutant, data: bytes) -> None:
        self.changed = data[: mutant.begin] + mutant.new.encode() + data[mutant.end :]
        self.names: set[str] = set()
        self.function: str | None = None
        body, names = ast.parse(data).body, []
        self.early = called_on_import(body)
        while True:
            inside = [node for node in body if _first(node) <= mutant.line <= (node.end_lineno or 0)]
            if not inside:
                return
            self.names = self.names or defined_by(inside[0])
            names.append(getattr(inside[0], "name", ""))
            if isinstance(inside[0], ast.FunctionDef):
                if mutant.line >= inside[0].body[0].lineno:  # not a default
                    self.function = ".".join(names)
                return
            if not isinstance(inside[0], ast.ClassDef):
                return
            body = inside[0].body

    def put(self, path: Path) -> bool:
        """Change the function, and those inside it, where they stand in memory; say whether it was there."""
        new: dict[tuple[str, int], list[CodeType]] = defaultdict(list)
        for code in _codes(compile(self.changed, str(path), "exec")):
            if f"{code.co_qualname}.".startswith(f"{self.function}."):
                new[code.co_qualname, code.co_firstlineno].append(code)
        found = False
        for one in gc.get_objects():
            if isinstance(one, FunctionType) and one.__code__.co_filename == str(path):
                same = new.get((one.__code__.co_qualname, one.__code__.co_firstlineno), [])
                if len(same) == 1 and same[0].co_freevars == one.__code__.co_freevars:
                    one.__code__ = same[0]
                    found |= same[0].co_qualname == self.function
        return found


def called_on_import(body: list[ast.stmt]) -> set[str]:
    """Return what a module calls of its own while it is imported: that is done before it can be changed."""

    def called(nodes: list[ast.stmt]) -> set[str]:
        calls = (one for node in nodes for one in ast.walk(node) if isinstance(one, ast.Call))
        return {one.func.id for one in calls if isinstance(one.func, ast.Name)}

    kept = {node.name: called([node]) for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    plain = [node for node in body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    found = todo = called(plain) & set(kept)
    while todo:
        todo = (set().union(*(kept[name] for name in todo)) & set(kept)) - found
        found = found | todo
    return found


def _first(node: ast.stmt) -> int:
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def _codes(code: CodeType) -> list[CodeType]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return [code, *(other for one in inner for other in _codes(one))]


class Bench:
    """A plugin of pytest that runs the tests of a room for one mutant after the other."""

    def __init__(self, root: Path, room: str, map: Map, effort: float) -> None:
        self.root, self.room, self.map, self.effort = root, room, map, effort
        self.kernels = Kernels(root)
        self.items: dict[str, pytest.Item] = {}

    def collect(self, tests: list[str], then: Callable[[], None]) -> int:
        """Collect the room's tests in this process, and do something where they would be run."""
        self.then = then
        return int(pytest.main([*WORDS, *tests], plugins=[self]))

    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings  # what fails need not be made small

        settings.register_profile(
            "mutants", derandomize=True, phases=(Phase.explicit, Phase.generate), deadline=None
        )
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.learn()
        self.read_map()
        self.then()
        return True

    def read_map(self) -> None:
        self.reached, self.reached_quickly = self.map.reached(), self.map.reached(interpreted=True)

    def learn(self) -> None:
        """Run the sound code: how long each test takes, and which lines it reaches."""
        by_file: dict[str, list[str]] = defaultdict(list)
        for name in self.items:
            by_file[name.partition("::")[0]].append(name)
        room, told = self.root / "noptoolkit" / self.room, self.root / "told.json"
        kernels = [str(path) for path in room.rglob("compil*.py")]
        for file in sorted(self.map.unknown(set(by_file))):
            names = by_file[file]
            if forked(lambda: self._reach(names, told, [f"{room}/*"]), 1500.0, f"{told}.log"):  # noqa: B023
                print(Path(f"{told}.log").read_text()[-3000:])
                sys.exit(f"{file}: its tests fail on the sound code")
            compiled = json.loads(told.read_text())
            quick: dict[str, dict[str, Any]] = {"seconds": {}, "lines": {}}
            for name in names if kernels else ():

                def reach(name: str = name) -> int:
                    interpret()
                    return self._reach([name], told, kernels)

                if forked(reach, QUICK) == 0:
                    found = json.loads(told.read_text())
                    quick["seconds"] |= found["seconds"]
                    for path, lines in found["lines"].items():
                        for line, tests in lines.items():
                            quick["lines"].setdefault(path, {}).setdefault(line, []).extend(tests)
            self.map.add(file, compiled, quick)

    def _reach(self, names: list[str], told: Path, include: list[str]) -> int:
        """Run tests and write down what they reach."""
        import coverage

        cover = coverage.Coverage(data_file=None, include=include, config_file=False)
        cover.start()
        items, seconds = [self.items[name] for name in names], {}
        for item, after in zip(items, [*items[1:], None], strict=True):
            cover.switch_context(item.nodeid)
            begun = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            seconds[item.nodeid] = time.process_time() - begun
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tests of kernels alone reach no line
            cover.stop()
            data, lines = cover.get_data(), {}
        for name in data.measured_files():
            of_file = data.contexts_by_lineno(name)
            lines[Path(name).relative_to(self.root).as_posix()] = {
                line: [test for test in tests if test] for line, tests in of_file.items()
            }
        told.write_text(json.dumps({"seconds": seconds, "lines": lines}))
        return int(items[0].session.testsfailed > 0)

    def order(self, mutant: Mutant, place: Place, stale: set[Name]) -> list[str]:
        """Return the tests that may notice a mutant, those first that take least."""
        seconds = self.map.seconds
        tests = set(self.reached[mutant.path, mutant.line])
        if len(stale) > 1 or not tests:  # code that is compiled, or run on import: who mentions it?
            for name in self.kernels.imports:
                if name.startswith(f"noptoolkit/{self.room}/"):
                    text = (self.root / name).read_text()
                    for line in self.kernels.mentions(name, text, stale):
                        tests |= self.reached[name, line]
            tests |= self.direct(stale)
        if place.function is None or not tests:
            tests |= {
                test for (name, _), some in self.reached.items() if name == mutant.path for test in some
            }
        return self._within_effort(tests or set(seconds), seconds)

    def _within_effort(self, tests: set[str], seconds: dict[str, float]) -> list[str]:
        """Return the tests that take least, the quickest first."""
        chosen, total = [], 0.0
        for test in sorted(tests, key=lambda test: (seconds.get(test, 0.0), test)):
            total += seconds.get(test, 0.0)
            if chosen and total > self.effort:
                break
            chosen.append(test)
        return chosen

    def direct(self, stale: set[Name]) -> set[str]:
        """Return the tests in files that import some of these names, from their module or its package."""
        found: set[str] = set()
        for file in self.map.files:
            text = (self.root / file).read_text()
            for module, name in stale:
                imported = any(f"from {one} import" in text for one in (module, module.rpartition(".")[0]))
                if imported and re.search(rf"\b{re.escape(name)}\b", text):
                    found |= {test for test in self.map.seconds if test.startswith(f"{file}::")}
        return found

    def caught(self, mutant: Mutant) -> bool | None:
        """Return whether some test fails on a mutant; None if only a new process can tell."""
        path = self.root / mutant.path
        place = Place(mutant, path.read_bytes())
        if place.function is None:
            return None
        stale = self.kernels.stale(mutant.path, place.names)
        quick = self._within_effort(self.reached_quickly[mutant.path, mutant.line], self.map.quick)
        if quick:  # kernels as Python cost nothing, where compiling takes ten seconds and more
            code = forked(lambda: self._attempt(path, place, stale, quick, kernels=False), 600.0)
            if code not in (0, NOT_THERE):
                return True
        order = self.order(mutant, place, stale)
        code = forked(lambda: self._attempt(path, place, stale, order), 3600.0)
        return None if code == NOT_THERE or (code == 0 and place.names & place.early) else code != 0

    def _attempt(
        self, path: Path, place: Place, stale: set[Name], order: list[str], *, kernels: bool = True
    ) -> int:
        if not place.put(path):
            return NOT_THERE
        compile_again(stale)
        for one in gc.get_objects():
            if type(one).__name__ == "_lru_cache_wrapper":
                one.cache_clear()
        compiled = kernels and (len(stale) > 1 or path.name.startswith("compiled"))
        return self._run(order, 70.0 if compiled else 10.0, kernels=kernels)

    def _run(self, order: list[str], grace: float, *, kernels: bool) -> int:
        """Run tests until one fails or takes much too long; the first has time to compile."""
        if kernels:
            compile_quickly()
        else:
            interpret()
        items = [self.items[name] for name in order]
        for item, after in zip(items, [*items[1:], None], strict=True):
            allow(grace + 5 * self.map.seconds.get(item.nodeid, 0.0))
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if item.session.testsfailed:
                return 1
            grace = min(grace, 10.0)
        return 0

    def caught_anew(self, mutant: Mutant) -> bool:
        """Return whether some test fails on a mutant, in a process that has imported nothing of the house."""
        path = self.root / mutant.path
        place = Place(mutant, path.read_bytes())
        stale = self.kernels.stale(mutant.path, place.names)
        order = self.order(mutant, place, stale)
        total = sum(self.map.seconds.get(name, 0.0) for name in order)

        def run() -> int:
            read = importlib.machinery.SourceFileLoader.get_code

            def get_code(loader: Any, fullname: str) -> Any:
                if fullname == module_of(mutant.path):
                    return compile(place.changed, str(path), "exec")
                return read(loader, fullname)

            importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
            compile_again(stale)
            plain = "--assert=plain"  # else pytest itself reads the modules whose doctests it is asked for
            return int(pytest.main([*WORDS, plain, "-x", *order], plugins=[InOrder(order)]))

        return forked(run, 20 + 4 * total + 90 * (len(stale) > 1)) != 0


class InOrder:
    """A plugin of pytest that runs tests in the order in which they were asked for."""

    def __init__(self, names: list[str]) -> None:
        self.rank = {name: i for i, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self.rank.get(item.nodeid, len(self.rank)))
