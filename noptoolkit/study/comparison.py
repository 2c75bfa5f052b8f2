"""Several packages under several workloads, side by side."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noptoolkit import physical
from noptoolkit.allocation import Allocation, Allocator
from noptoolkit.allocation.allocating import Objective
from noptoolkit.errors import NopError, NopWarning
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.formats.results import write_csv, write_json
from noptoolkit.metrics import METRICS
from noptoolkit.package import Package
from noptoolkit.pipeline import Progress, Run, run
from noptoolkit.routing.rules import Routing
from noptoolkit.step import Policy
from noptoolkit.tables import html_table, text_table
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
        return "\n\n".join(self.table(workload) for workload in self.workloads)

    def _repr_html_(self) -> str:
        return "\n".join(html_table(*self.cells(name), title=self.title(name)) for name in self.workloads)

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
    def rows(self) -> tuple[dict[str, float | str], ...]:
        """One mapping per run: package, workload, routing's origin and every metric in its base unit."""
        return tuple(
            {
                "package": one.package.name,
                "workload": one.workload.name,
                "origin": one.trace.origin,
                "allocator": one.allocation.method,
                "degree": one.degree,
                **{name: metric.value(one) for name, metric in METRICS.items()},
            }
            for one in self.runs
        )

    def title(self, workload: str) -> str:
        """Return the heading of one workload's table: what runs, and what its routing is."""
        first = self.of(workload)[0]
        batch = first.workload.batch
        return (
            f"{workload}: {batch.mode}, {batch.sequences} x {batch.sequence_length} tokens "
            f"in {batch.micro_batches} micro-batches, {first.trace.origin} routing, "
            f"layout by {first.allocation.method.partition(':')[0]}, token copies {first.degree}"
        )

    def cells(self, workload: str) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of text of one workload's table: a row per metric."""
        chosen = [row for row in self.rows if row["workload"] == workload]
        head = ["", *(str(row["package"]) for row in chosen)]
        body = [
            [metric.title, *(metric.text(row[name]) for row in chosen)] for name, metric in METRICS.items()
        ]
        return head, body

    def table(self, workload: str | None = None) -> str:
        """Return one workload's table (the first one's where ``None``) as text."""
        chosen = workload or self.workloads[0]
        head, body = self.cells(chosen)
        return f"{self.title(chosen)}\n{text_table(head, body)}"

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` with the unit of each column in its heading."""
        headings = {name: _heading(name) for name in self.rows[0]}
        write_csv(path, [{headings[key]: value for key, value in row.items()} for row in self.rows])

    def to_json(self, path: str | Path) -> None:
        """Write `rows`, and what each metric means and is measured in."""
        about = {
            name: {"unit": metric.unit, "better": metric.better, "meaning": metric.meaning}
            for name, metric in METRICS.items()
        }
        write_json(path, {"schema": 1, "metrics": about, "rows": list(self.rows)})

    def to_dataframe(self) -> pd.DataFrame:
        """Return `rows` as a pandas DataFrame (needs the extra ``frames``)."""
        try:
            import pandas as pd
        except ImportError as error:
            raise NopError("to_dataframe() needs pandas: pip install 'noptoolkit[frames]'") from error
        return pd.DataFrame(list(self.rows))


def compare(
    packages: Sequence[str | Path | Package],
    workloads: Sequence[str | Path | Workload],
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
        Presets' names, files' paths, or the things themselves.
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


def _heading(name: str) -> str:
    unit = METRICS[name].unit if name in METRICS else ""
    return f"{name} [{unit}]" if unit else name
