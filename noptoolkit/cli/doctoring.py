"""``noptoolkit doctor``: what a bug report should say, and whether this installation computes."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

import typer

from noptoolkit import __version__
from noptoolkit._threads import limit_threads, num_threads
from noptoolkit.cli.screen import AsJson, show
from noptoolkit.errors import NopError
from noptoolkit.limits import Limits, current, usual
from noptoolkit.tables import Column, Table

__all__ = ["doctor"]

NEEDED = (
    *("numpy", "scipy", "networkx", "igraph", "highspy", "numba", "pydantic", "quantiphy", "matplotlib"),
    *("typer", "rich", "joblib", "tomli-w", "pyyaml", "threadpoolctl"),
)
EXTRAS = ("pandas", "pyarrow", "protobuf", "infragraph", "dask", "mtkahypar", "pymetis", "hypothesis")
VARIABLES = ("NOPTOOLKIT_LIMITS", "NOPTOOLKIT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "COLUMNS")
PLACES = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")


def doctor(as_json: AsJson = False) -> None:
    """Check this installation: versions, threads, caches, write access, and closed forms in seconds.

    The text is made to be pasted into a bug report; it holds no name of yours but those of folders.
    """
    with ExitStack() as instead:
        rows = [*_versions(), *_settings(instead), *_surroundings(), *_self_test()]
    columns = [Column("what"), Column("is"), Column("state")]
    wrong = [row[0] for row in rows if row[2] not in ("ok", "")]
    note = f"wrong: {', '.join(wrong)}" if wrong else "all is as it should be"
    show(Table(columns, rows, title=f"noptoolkit {__version__}", notes=(note,)), as_json=as_json)
    if wrong:
        raise typer.Exit(1)


def _versions() -> list[list[str]]:
    rows = [["Python", f"{platform.python_version()} on {platform.platform()}", "ok"]]
    for name in NEEDED:
        try:
            rows.append([name, metadata.version(name), "ok"])
        except metadata.PackageNotFoundError:
            rows.append([name, "not installed", "missing: install noptoolkit again"])
    for name in EXTRAS:
        try:
            rows.append([f"{name} (extra)", metadata.version(name), ""])
        except metadata.PackageNotFoundError:
            rows.append([f"{name} (extra)", "not installed", ""])
    return rows


def _settings(instead: ExitStack) -> list[list[str]]:
    """Return what the environment sets; where that is wrong, check the rest with what is usual."""
    rows = []
    try:
        rows.append(["cores, threads", f"{os.cpu_count()}, {num_threads()}", "ok"])
    except NopError as error:
        rows.append(["cores, threads", str(os.cpu_count()), str(error)])
        instead.enter_context(limit_threads(1))
    try:
        here = vars(current())
        other = [name for name, value in vars(Limits()).items() if here[name] != value]
        rows.append(["limits of files", f"raised: {', '.join(other)}" if other else "the usual ones", "ok"])
    except NopError as error:
        rows.append(["limits of files", "", str(error)])
        instead.enter_context(usual())
    return rows


def _surroundings() -> list[list[str]]:
    rows = [[name, os.environ[name], ""] for name in (*VARIABLES, *PLACES) if name in os.environ]
    package = Path(__file__).parents[1]
    cache = os.environ.get("NUMBA_CACHE_DIR")
    where = Path(cache) if cache else package
    state = _writable(where)
    if state != "ok" and not cache:
        home = Path(os.environ.get("HOME", "/"))
        where, state = home, _writable(home)
    rows.append(["compiled kernels are kept", str(where), "ok" if state == "ok" else "no: each run compiles"])
    rows.append(["folder of temporary files", tempfile.gettempdir(), _writable(Path(tempfile.gettempdir()))])
    here_is = _writable(Path.cwd())
    rows.append(["this folder", str(Path.cwd()), "ok" if here_is == "ok" else ""])
    return rows


def _writable(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return "ok"
    except OSError as error:
        return f"cannot be written: {error.strerror}"


def _self_test() -> list[list[str]]:
    tests: dict[str, Callable[[], tuple[float, float]]] = {
        "one link: 1 GB over 1 GB/s, in s": _one_link,
        "ring of 5, all to all, in s": _ring,
        "linear program on a mesh, verified": _mesh,
        "all-gather on a ring of 4, in s": _all_gather,
        "4 tasks of 1 s on 2 machines, in s": _tasks,
        "a file, written and read": _file,
    }
    rows = []
    for name, test in tests.items():
        begun = time.perf_counter()
        try:
            found, right = test()
            good = abs(found - right) <= 1e-6 * abs(right)
            state = "ok" if good else f"wrong: {right:.9g} is right"
            rows.append([name, f"{found:.9g} (in {time.perf_counter() - begun:.1f} s)", state])
        except Exception as error:  # a report is of use only if it names whatever goes wrong
            rows.append([name, "", f"{type(error).__name__}: {str(error)[:200]}"])
    return rows


def _one_link() -> tuple[float, float]:
    from noptoolkit import Chiplet, Link, Package, congestion
    from noptoolkit.traffic import from_matrix

    package = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", "1 GB/s")])
    demand = [[0.0, 1e9], [0.0, 0.0]]
    return congestion(package, from_matrix(package, demand, endpoints=("a", "b"))).time, 1.0


def _ring() -> tuple[float, float]:
    """Of an odd ring of n, each direction carries (n^2 - 1) / 8 of what each sends to each of the others."""
    from noptoolkit import congestion
    from noptoolkit.topology import ring
    from noptoolkit.traffic import all_to_all

    flow = congestion(ring(5, link_bandwidth="1 GB/s"), all_to_all(ring(5), 1e9))
    flow.verify()
    return flow.time, (5**2 - 1) / 8


def _mesh() -> tuple[float, float]:
    from noptoolkit import congestion
    from noptoolkit.topology import mesh
    from noptoolkit.traffic import all_to_all

    package = mesh(4, link_bandwidth="1 GB/s")
    flow = congestion(package, all_to_all(package, 1e9))
    if not flow.verify():
        raise NopError("it was not verified as a whole")
    return flow.time, flow.time_bound


def _all_gather() -> tuple[float, float]:
    """Each of 4 gets 3 / 4 of 4 GB over two links of 1 GB/s."""
    from noptoolkit import collective
    from noptoolkit.topology import ring

    return collective(ring(4, link_bandwidth="1 GB/s"), "all-gather", "4 GB").time, 1.5


def _tasks() -> tuple[float, float]:
    from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph

    tasks = TaskGraphBuilder(capacities={"machine": 2})
    for _ in range(4):
        tasks.add(1.0, "machine")
    return schedule_graph(tasks.build()).makespan, 2.0


def _file() -> tuple[float, float]:
    from noptoolkit import load_topology, save_topology

    package = load_topology("mozart-nop-tree")
    with tempfile.TemporaryDirectory() as folder:
        save_topology(package, Path(folder) / "p.toml")
        return float(load_topology(Path(folder) / "p.toml") == package), 1.0
