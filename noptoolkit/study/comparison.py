"""Several packages under several workloads, side by side."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noptoolkit import physical
from noptoolkit._names import did_you_mean
from noptoolkit.allocation import Allocation, Allocator
from noptoolkit.allocation.allocating import Objective
from noptoolkit.errors import NopError, NopWarning, UnknownNameError
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.formats.results import replace_file, write_json
from noptoolkit.metrics import METRICS
from noptoolkit.package import Package
from noptoolkit.pipeline import Progress, Run, run
from noptoolkit.routing.rules import Routing
from noptoolkit.step import Policy
from noptoolkit.tables import Column, Table
from noptoolkit.trace import ORIGINS
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Runs of every package under every workload.

    Parameters
    ----------
    runs
        One per package and workload, workloads outermost.
    """

    runs: tuple[Run, ...]

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.packages)} on {', '.join(self.workloads)})"

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the packages, in order."""
        return tuple(dict.fromkeys(one.package.name for one in self.runs))

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of the workloads, in order."""
        return tuple(dict.fromkeys(one.workload.name for one in self.runs))

    def of(self, workload: str) -> tuple[Run, ...]:
        """Return the runs of one workload, in the order of the packages."""
        return tuple(one for one in self.runs if one.workload.name == workload)

    @cached_property
    def rows(self) -> tuple[dict[str, str | int | float | bool | None], ...]:
        """One mapping per run: package, workload, routing's origin and every metric in its base unit.

        A value that is not known is ``None``; the column ``remarks`` then says why.
        """
        return tuple(self.table().records())

    def title(self, workload: str) -> str:
        """Return the heading of one workload's table: what runs, and what its routing is."""
        first = self.of(workload)[0]
        batch = first.workload.batch
        return (
            f"{workload}: {batch.mode}, {batch.sequences} x {batch.sequence_length} tokens "
            f"in {batch.micro_batches} micro-batches, {ORIGINS[first.trace.origin]}, "
            f"layout by {first.allocation.method.partition(':')[0]}, token copies {first.degree}, "
            f"network routing {first.dispatch.routing}"
        )

    def cells(self, workload: str) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of text of one workload's table: a row per metric."""
        return self.table(workload).cells()

    def table(self, workload: str | None = None) -> Table:
        """Return the runs of one workload, or of all where ``None``, as a table.

        It holds a row per run and prints a line per metric, with a part for each workload.
        """
        whole = self._table
        kept = [i for i, one in enumerate(self.runs) if workload in (None, one.workload.name)]
        if not kept:
            hint = did_you_mean(str(workload), self.workloads)
            raise UnknownNameError(f"no workload named {workload!r} in the comparison; {hint}")
        return replace(
            whole,
            rows=tuple(whole.rows[i] for i in kept),
            sections=tuple(whole.sections[i] for i in kept),
        )

    @cached_property
    def _table(self) -> Table:
        hidden = [Column(key, shown=False) for key in ("workload", "origin", "allocator", "degree")]
        measured = [
            Column(name, metric.title, metric.unit, metric.meaning) for name, metric in METRICS.items()
        ]
        rows = [
            [
                one.package.name,
                one.workload.name,
                one.trace.origin,
                one.allocation.method,
                one.degree,
                *(metric.value(one) for metric in METRICS.values()),
                None,
            ]
            for one in self.runs
        ]
        titles = {name: self.title(name) for name in self.workloads}
        sections = [titles[one.workload.name] for one in self.runs]
        columns = [Column("package", ""), *hidden, *measured, Column("remarks", shown=False)]
        return Table(columns, rows, sections=sections, sideways=True)

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` with the unit of each column in its heading; unknown values are empty."""
        replace_file(path, self.table().csv())

    def to_json(self, path: str | Path) -> None:
        """Write `as_json`."""
        write_json(path, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return `rows`, the meaning and the unit of every metric, and which way is better."""
        about = {
            name: {"unit": metric.unit, "better": metric.better, "meaning": metric.meaning}
            for name, metric in METRICS.items()
        }
        return {**self.table().as_json(), "metrics": about}

    def to_dataframe(self) -> pd.DataFrame:
        """Return `rows` as a pandas DataFrame (needs the extra ``frames``)."""
        try:
            import pandas as pd
        except ImportError as error:
            raise NopError("to_dataframe() needs pandas: pip install 'noptoolkit[frames]'") from error
        frame = pd.DataFrame(list(self.rows))
        numbers = [name for name, metric in METRICS.items() if metric.unit and name in frame]
        return frame.astype(dict.fromkeys(numbers, float))


def compare(
    packages: str | Path | Package | Sequence[str | Path | Package],
    workloads: str | Path | Workload | Sequence[str | Path | Workload],
    *,
    allocator: str | Allocator | Allocation = "auto",
    routing: str | Routing = "optimal",
    policy: str | Policy = "streaming",
    normalise: str | Callable[[Package], float] | None = None,
    degree: Degree | None = None,
    objective: Objective = "time",
    tol: float = 0.01,
    rng: int | None = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Run every workload on every package; also known as ``noptoolkit.compare``.

    Parameters
    ----------
    packages, workloads
        Presets' names, files' paths, or the things themselves; one alone needs no list.
    allocator, routing, policy, degree, objective, tol, rng, progress
        As `run` takes them.
    normalise
        Scale the links of every package so that this total equals the first package's: ``beachfront``,
        ``wire``, ``bandwidth``, ``cost`` or a callable, see `noptoolkit.physical.normalise`. As given
        where ``None``.
    jobs
        Runs at once, each in a process of its own; -1 for one per core. joblib starts them, so its backends
        apply: under ``joblib.parallel_config(backend="dask")`` they leave this machine (the extra
        ``distributed``).

    Raises
    ------
    NopError
        As the stages raise it; all files are read before anything is run. Also if two packages or two
        workloads have one name.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> result = nop.compare(["mozart-nop-tree", "mesh-4x4"], ["olmoe-1b-7b"], allocator="contiguous")
    >>> result
    Comparison(mozart-nop-tree, mesh-4x4 on olmoe-1b-7b)
    >>> [row["links"] for row in result.rows]
    [26, 34]
    """
    packages = [packages] if isinstance(packages, str | Path | Package) else packages
    workloads = [workloads] if isinstance(workloads, str | Path | Workload) else workloads
    if not packages or not workloads:
        raise NopError("nothing to compare: give at least one package and one workload")
    places = [load_topology(package) for package in packages]
    if normalise is not None:
        places = list(physical.normalise(places, normalise))
    loads: list[Workload] = [load_workload(workload) for workload in workloads]
    _check_names("packages", [place.name for place in places])
    _check_names("workloads", [load.name for load in loads])
    options: dict[str, Any] = {
        "allocator": allocator,
        "routing": routing,
        "policy": policy,
        "degree": degree,
        "objective": objective,
        "tol": tol,
        "rng": rng,
    }
    pairs = [(place, load) for load in loads for place in places]
    if jobs == 1:
        return Comparison(tuple(run(*pair, progress=progress, **options) for pair in pairs))
    return Comparison(tuple(_run_apart(pairs, options, jobs, progress)))


def _run_apart(
    pairs: Sequence[tuple[Package, Workload]], options: dict[str, Any], jobs: int, progress: Progress | None
) -> Iterator[Run]:
    from joblib import Parallel, delayed

    if jobs == 0 or not isinstance(jobs, int):
        raise NopError(f"jobs={jobs!r}: give how many runs at once, or -1 for one per core")
    tasks = (delayed(_run_silently)(*pair, options) for pair in pairs)
    for done, caught in Parallel(n_jobs=jobs, return_as="generator")(tasks):
        for warning in caught:
            warnings.warn(warning, stacklevel=4)
        if progress is not None:
            progress(f"{done.package.name}: done with {done.workload.name}")
        yield done


def _run_silently(package: Package, workload: Workload, options: dict[str, Any]) -> tuple[Run, list[Warning]]:
    """Run with its warnings handed back: printed by another process, they would be lost or out of place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NopWarning)
        done = run(package, workload, **options)
    return done, [one.message for one in caught if isinstance(one.message, NopWarning)]


def _check_names(kind: str, names: Sequence[str]) -> None:
    """Refuse a name that stands twice: tables and pictures tell things apart by it."""
    for name, count in Counter(names).items():
        if count > 1:
            raise NopError(f"{count} {kind} are named {name!r}; give each a name of its own")
