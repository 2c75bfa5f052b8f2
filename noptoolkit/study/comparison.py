"""Several packages under several workloads, side by side."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from noptoolkit import physical
from noptoolkit._names import did_you_mean, resolve
from noptoolkit._numbers import is_whole
from noptoolkit._pictures import Reported
from noptoolkit.allocation import Allocation, Allocator
from noptoolkit.allocation.allocating import Objective
from noptoolkit.errors import NopError, NopWarning, UnknownNameError
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.formats.results import replace_file, write_json
from noptoolkit.metrics import METRICS, Metric
from noptoolkit.package import Package
from noptoolkit.pipeline import run
from noptoolkit.plans import ParallelPlan
from noptoolkit.progress import Countdown, Progress
from noptoolkit.routing.rules import Routing
from noptoolkit.stages import LayoutKey, Run
from noptoolkit.step import Policy, check_computes
from noptoolkit.step.broadcasts import Weights
from noptoolkit.study.rewidened import with_best_widths
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.trace import ORIGINS
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Batch, Workload

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "compare"]

Values = dict[str, "float | str | Missing"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Reported):
    """Runs of every package under every workload.

    Parameters
    ----------
    runs
        One run per package and workload, workloads outermost.
    metrics
        Metrics of the tables, by name; the usual ones of `noptoolkit.metrics.METRICS` by default.
    """

    runs: tuple[Run, ...]
    metrics: Mapping[str, Metric] = field(default_factory=lambda: _metrics_of(None))
    _values: tuple[Values, ...] | None = None

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
        return tuple(dict.fromkeys(one.given.name for one in self.runs))

    def of(self, workload: str) -> tuple[Run, ...]:
        """Return the runs of one workload, in the order of the packages."""
        return tuple(one for one in self.runs if one.given.name == workload)

    @cached_property
    def rows(self) -> tuple[dict[str, str | int | float | bool | None], ...]:
        """One mapping per run: its record (see `Run.record`) and every metric in its base unit.

        A value that is not known is ``None``; the column ``remarks`` then says why.
        """
        return tuple(self.table().records())

    def title(self, workload: str) -> str:
        """Return the heading of one workload's table: what runs, and with what options."""
        first = self.of(workload)[0]
        batch = first.given.batch
        parts = [
            f"{workload}: {batch.mode}, {batch.sequences} x {batch.sequence_length} tokens "
            f"in {batch.micro_batches} micro-batches",
            ORIGINS[first.given.origin],
            first.settings(),
        ]
        if first.normalised is not None:
            parts.append(f"die-to-die links scaled to equal {first.normalised[0]}")
        return ", ".join(parts)

    def cells(self, workload: str) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of text of one workload's table: a row per metric."""
        return self.table(workload).cells()

    def table(self, workload: str | None = None) -> Table:
        """Return the runs of one workload, or of all where ``None``, as a table.

        It holds a row per run and prints a line per metric, with a part for each workload.
        """
        whole = self._table
        kept = [i for i, one in enumerate(self.runs) if workload in (None, one.given.name)]
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
        values = self._values or tuple(_measure(one, self.metrics) for one in self.runs)
        records = [one.record() for one in self.runs]
        factor = Column(
            "normalised_factor",
            "link bandwidth factor",
            meaning="bandwidth of the die-to-die links over that of the package as given",
            form=".4g",
            shown=any(one.normalised is not None for one in self.runs),
        )
        kept = {"package": Column("package", ""), "normalised_factor": factor}
        recorded = [kept.get(key, Column(key, shown=False)) for key in records[0]] if records else []
        measured = [
            Column(name, metric.title, metric.unit, metric.meaning) for name, metric in self.metrics.items()
        ]
        rows = [
            [*record.values(), *found.values(), None] for record, found in zip(records, values, strict=True)
        ]
        titles = {name: self.title(name) for name in self.workloads}
        sections = [titles[one.given.name] for one in self.runs]
        columns = [*recorded, *measured, Column("remarks", shown=False)]
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
            for name, metric in self.metrics.items()
        }
        return {**self.table().as_json(), "metrics": about}

    def to_dataframe(self) -> pd.DataFrame:
        """Return `rows` as a pandas DataFrame (needs the extra ``frames``)."""
        try:
            import pandas as pd
        except ImportError as error:
            raise NopError("to_dataframe() needs pandas: pip install 'noptoolkit[frames]'") from error
        frame = pd.DataFrame(list(self.rows))
        numbers = [name for name, metric in self.metrics.items() if metric.unit and name in frame]
        return frame.astype(dict.fromkeys([*numbers, "normalised_factor"], float))


def compare(
    packages: Sequence[str | Path | Package] | str | Path | Package,
    workloads: Sequence[str | Path | Workload] | str | Path | Workload,
    *,
    metrics: Sequence[str | Metric] | None = None,
    allocator: str | Allocator | Allocation | None = "auto",
    routing: str | Routing = "optimal",
    policy: str | Policy = "streaming",
    normalise: str | Callable[[Package], float] | None = None,
    widths: Literal["given", "best"] = "given",
    degree: Degree | None = None,
    weights: Weights | None = None,
    batch: int | Mapping[str, Any] | Batch | None = None,
    objective: Objective | None = None,
    plan: str | ParallelPlan | None = None,
    tol: float = 0.01,
    rng: int | None = 0,
    jobs: int = 1,
    progress: Progress | None = None,
    report: Progress | None = None,
) -> Comparison:
    """Run every workload on every package; also known as ``noptoolkit.compare``.

    A layout found for one package is taken for every other package that puts the same question to the
    allocator, see `Run.layout_key`.

    Parameters
    ----------
    packages, workloads
        Names of presets, paths of files, or the values themselves; one or several.
    metrics
        Names in `noptoolkit.metrics.METRICS`, or `Metric` records; the bound of a metric comes with it. Only
        the stages that they need are computed. The usual ones where ``None``.
    allocator, routing, policy, degree, weights, batch, objective, plan, tol, rng, progress, report
        As `run` takes them.
    normalise
        Total that the links of every package are scaled to, that of the first package: ``beachfront``,
        ``wire``, ``bandwidth``, ``cost`` or a callable, see `noptoolkit.physical.normalise`. Packages stay
        as given where ``None``.
    widths
        ``best`` spreads the bandwidth of each package's die-to-die links anew, as dispatch + combine want it,
        at the total of ``normalise`` (``beachfront`` where ``None``), see `noptoolkit.whatif.rewiden`;
        layouts are those of the package as given.
    jobs
        Number of runs at once, each in a process of its own, which finds its own layouts; -1 for one per
        core. joblib starts them, so its backends apply: under ``joblib.parallel_config(backend="dask")`` they
        leave this machine (the extra ``distributed``).

    Raises
    ------
    NopError
        As the stages raise it; all files are read and all options checked before anything is computed. Also
        if two packages or two workloads have one name.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> result = nop.compare(["mozart-nop-tree", "mesh-4x4"], ["olmoe-1b-7b"], allocator="contiguous")
    >>> result
    Comparison(mozart-nop-tree, mesh-4x4 on olmoe-1b-7b)
    >>> [row["links"] for row in result.rows]
    [26, 34]
    >>> print(nop.compare("mesh-4x4", "olmoe-1b-7b", allocator="contiguous", metrics=["c_t", "links"]))
    olmoe-1b-7b: training, 32 x 256 tokens in 4 micro-batches, synthetic routing,
    layout by contiguous, token copies in-network, network routing optimal
           mesh-4x4
    -----  --------
    C_T        6.82
    links        34
    """
    given = [packages] if isinstance(packages, str | Path | Package) else list(packages)
    asked = [workloads] if isinstance(workloads, str | Path | Workload) else list(workloads)
    if not given or not asked:
        raise NopError("nothing to compare: give at least one package and one workload")
    if not is_whole(jobs) or (jobs < 1 and jobs != -1):
        raise NopError(f"jobs={jobs!r}: give how many runs at once, or -1 for one per core")
    if widths not in ("given", "best"):
        raise UnknownNameError(f"widths {widths!r}: {did_you_mean(widths, ('given', 'best'))}")
    chosen = _metrics_of(metrics)
    places = [load_topology(package) for package in given]
    if metrics is None:  # all of them: the step among them computes
        for place in places:
            check_computes(place)
    factors: list[tuple[str, float] | None] = [None] * len(places)
    if normalise is not None:
        level = physical.normalise(places, normalise)
        by = normalise if isinstance(normalise, str) else getattr(normalise, "__name__", "a callable")
        factors = [(by, _factor(*pair)) for pair in zip(places, level, strict=True)]
        places = list(level)
    loads: list[Workload] = [load_workload(workload).with_batch(batch) for workload in asked]
    _check_names("packages", [place.name for place in places])
    _check_names("workloads", [load.name for load in loads])
    layouts: dict[LayoutKey, Allocation] = {}
    count = Countdown(len(places) * len(loads), "runs")

    def tell(line: str) -> None:
        assert progress is not None
        progress(f"{line} ({count.text()})" if 1 < count.total != count.done else line)

    runs = [
        replace(
            run(
                place,
                load,
                allocator=allocator,
                routing=routing,
                policy=policy,
                degree=degree,
                weights=weights,
                objective=objective,
                plan=plan,
                tol=tol,
                rng=rng,
                progress=None if progress is None else tell,
                report=report,
            ),
            layouts=layouts,
            normalised=normalised,
        )
        for load in loads
        for place, normalised in zip(places, factors, strict=True)
    ]
    if widths == "best":
        total = normalise if isinstance(normalise, str) else "beachfront"
        runs = [with_best_widths(one, total, progress=one.report) for one in runs]
    if jobs != 1:
        return _measured_apart(runs, chosen, jobs, count, progress)
    values = []
    for one in runs:
        values.append(_measure(one, chosen))
        count.finish_one()
    return Comparison(tuple(runs), chosen, tuple(values))


def _metrics_of(metrics: Sequence[str | Metric] | None) -> Mapping[str, Metric]:
    """Return metrics by name, each followed by its bound."""
    if metrics is None:
        return {name: metric for name, metric in METRICS.items() if metric.usual}
    chosen: dict[str, Metric] = {}
    for asked in [metrics] if isinstance(metrics, str | Metric) else metrics:
        metric = resolve(asked, METRICS, "metric")
        if not isinstance(metric, Metric):
            raise NopError(f"metric {asked!r} is not one: give a name or a noptoolkit.metrics.Metric")
        chosen[asked if isinstance(asked, str) else metric.key] = metric
        if metric.bound in METRICS:
            chosen[metric.bound] = METRICS[metric.bound]
    return chosen


def _measure(one: Run, metrics: Mapping[str, Metric]) -> Values:
    return {name: metric.value(one) for name, metric in metrics.items()}


def _factor(before: Package, after: Package) -> float:
    """Return by what the bandwidth of the die-to-die links was multiplied."""
    for old, new in zip(before.links, after.links, strict=True):
        if old.bandwidth != new.bandwidth:
            return new.bandwidth / old.bandwidth
    return 1.0


def _measured_apart(
    runs: Sequence[Run],
    metrics: Mapping[str, Metric],
    jobs: int,
    count: Countdown,
    progress: Progress | None,
) -> Comparison:
    from joblib import Parallel, delayed

    known = {name: None if METRICS.get(name) is metric else metric for name, metric in metrics.items()}
    tasks = (delayed(_measure_silently)(one, known) for one in runs)
    found, values = [], []
    for done, value, caught in Parallel(n_jobs=jobs, return_as="generator")(tasks):
        for warning in caught:
            warnings.warn(warning, stacklevel=3)
        count.finish_one()
        if progress is not None:
            progress(f"{done.package.name}: done with {done.given.name}, {count.finished()}")
        found.append(done)
        values.append(value)
    return Comparison(tuple(found), metrics, tuple(values))


def _measure_silently(one: Run, metrics: Mapping[str, Metric | None]) -> tuple[Run, Values, list[Warning]]:
    """Measure with warnings handed back: printed by another process, they would be lost or out of place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NopWarning)
        values = _measure(one, {name: metric or METRICS[name] for name, metric in metrics.items()})
    return one, values, [found.message for found in caught if isinstance(found.message, NopWarning)]


def _check_names(kind: str, names: Sequence[str]) -> None:
    """Refuse a name that stands twice: tables and pictures tell packages apart by it."""
    for name, count in Counter(names).items():
        if count > 1:
            raise NopError(f"{count} {kind} are named {name!r}; give each a name of its own")
