"""Mozart's published ablation beside what the model says (Luo et al., NeurIPS 2025, arXiv 2603.07006).

Two presets, both data (``data/mozart.toml``). *Bottom-up* takes the paper's constants as published and
schedules the steps: it shows what those constants allow, and its times in s are an order of magnitude below
the paper's, which therefore do not follow from them. *Calibrated* fits five global parameters to the
published figures (`noptoolkit.study.calibration`); it is calibrated to them and validates nothing. What it
predicts of a model that it was not fitted to is the leave-one-model-out error, printed beside a null model's.
"""

from __future__ import annotations

import dataclasses
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from noptoolkit.allocation import Allocation, allocate
from noptoolkit.errors import NopWarning
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.nodes import Efficiency
from noptoolkit.package import Memory, Package
from noptoolkit.progress import Progress
from noptoolkit.step import POLICIES, schedule
from noptoolkit.study.calibration import (
    Calibration,
    LeftOut,
    Measurement,
    StepTimes,
    calibrate,
    leave_one_out,
    root_mean_square,
    step_times,
)
from noptoolkit.tables import Column, Missing, Table
from noptoolkit.units import Quantity, parse_quantity
from noptoolkit.workload import Workload

__all__ = ["MozartReproduction", "MozartRow", "reproduce_mozart"]


@dataclass(frozen=True)
class MozartRow:
    """One figure of the paper beside the model's.

    Parameters
    ----------
    figure
        Name of the figure; times end in ``(s)``, the others are speed-ups over the serial step.
    published
        Value in the paper; ``None`` where only a direction is known.
    bottom_up, calibrated
        Values of the two presets.
    """

    figure: str
    published: float | None
    bottom_up: float
    calibrated: float

    @property
    def residual(self) -> float | None:
        """Calibrated over published, minus 1."""
        return None if self.published is None else self.calibrated / self.published - 1.0


@dataclass(frozen=True, eq=False)
class MozartReproduction:
    """The paper's figures beside the model's.

    Parameters
    ----------
    rows
        The 9 speed-ups, the points by sequence length, then the trend with memory.
    calibration
        Preset or fit, with all residuals.
    left_out
        Errors in predicting each model from the other two.
    contradiction
        Largest relative difference between the paper's own two tables.
    source
        Origin of the published figures.
    """

    rows: tuple[MozartRow, ...]
    calibration: Calibration
    left_out: tuple[LeftOut, ...]
    contradiction: float
    source: str

    @cached_property
    def leave_one_out_rms(self) -> tuple[float, float]:
        """Root mean square error for models left out, of the model and of the null model."""
        ours = root_mean_square(self.left_out, lambda left: left.errors)
        return ours, root_mean_square(self.left_out, lambda left: left.null_errors)

    def _repr_html_(self) -> str:
        return self.table().html()

    def __str__(self) -> str:
        return str(self.table())

    def table(self) -> Table:
        """Return the figures as a table."""
        columns = [
            Column("figure", meaning="times end in (s), the others are speed-ups over the serial step"),
            Column("published", form=".2f", meaning="value in the paper"),
            Column("bottom_up", "bottom-up", form=".2f", meaning="from the paper's constants"),
            Column("calibrated", form=".2f", meaning="calibrated to the published figures"),
            Column("residual", form="+.1f %", meaning="calibrated over published, minus 1"),
        ]
        unknown = Missing("-")
        rows = [
            [
                row.figure,
                unknown if row.published is None else row.published,
                row.bottom_up,
                row.calibrated,
                unknown if row.residual is None else row.residual,
            ]
            for row in self.rows
        ]
        return Table(columns, rows, title="mozart", notes=self.notes())

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return self.table().cells()

    def notes(self) -> list[str]:
        """Return the notes below the table, a line each."""
        fit, (ours, null) = self.calibration, self.leave_one_out_rms
        seconds = [row for row in self.rows if row.figure.endswith("(s)") and row.published]
        faster = [(row.published or 0.0) / row.bottom_up for row in seconds]
        shares = ", ".join(f"{name} {value:.3f}" for name, value in fit.exposed.items() if name != "serial")
        return [
            f"Published: {self.source}",
            f"Calibrated to {len(fit.measurements)} published figures with {fit.free} parameters: residuals "
            f"rms {100 * fit.rms:.1f} %, worst {100 * fit.worst:.1f} %; not a validation.",
            f"Share of peak rates: compute {fit.efficiency.compute:.3f}, memory {fit.efficiency.memory:.3f}, "
            f"network {fit.efficiency.network:.3f}; exposed share: {shares}.",
            f"Speed-ups of a model left out of the fit: rms error {100 * ours:.1f} %; null model (mean of "
            f"the others) {100 * null:.1f} %.",
            f"Bottom-up, from the paper's constants, is {min(faster):.0f} to {max(faster):.0f} times faster "
            "than the paper in seconds: its absolute times do not follow from its constants.",
            f"The paper's own tables contradict each other by up to {100 * self.contradiction:.1f} %.",
            "Routing is synthetic, calibrated to the paper's C_T.",
        ]


def reproduce_mozart(*, refit: bool = False, progress: Progress | None = None) -> MozartReproduction:
    """Return Mozart's published figures beside the model's.

    Parameters
    ----------
    refit
        Fit the parameters again instead of taking the preset's.
    progress
        Callable that is given a line of text before each part.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)  # the paper's package holds less than its models need
        return _Reproduction(progress or (lambda _: None)).make(refit)


def mozart_data() -> dict[str, Any]:
    """Return the published figures and the presets."""
    text = (resources.files("noptoolkit.study") / "data" / "mozart.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


class _Reproduction:
    """Computes the reproduction; keeps the times of steps that several figures share."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.data = mozart_data()
        self.package = load_topology(self.data["package"])
        self.workloads = {m["name"]: load_workload(m["workload"]) for m in self.data["model"]}
        self.policy: dict[str, str] = self.data["variants"]
        self._times: dict[tuple[str, str, str, int | None], StepTimes] = {}
        self._layouts: dict[tuple[str, str], Allocation] = {}
        self._scheduled: dict[tuple[str, str, int | None, str], float] = {}

    def make(self, refit: bool) -> MozartReproduction:
        measurements = list(self.measurements())
        preset = self.data["preset"]["calibrated"]
        fixed = {name: preset["exposed"][name] for name in preset["fixed"]}
        if refit:
            fit = calibrate(measurements, fixed_exposed=fixed, source=preset["source"])
        else:
            shares = {key: preset[key] for key in ("compute", "memory", "network")}
            exposed = {"serial": 1.0, **preset["exposed"]}
            free = 3 + len(preset["exposed"]) - len(fixed)
            fit = Calibration(
                Efficiency(**shares, source=preset["source"]), exposed, tuple(measurements), free
            )
        contradictions = [
            abs(model["speed_up"][v] * model["latency"][v] - 1.0)
            for model in self.data["model"]
            for v in self.policy
        ]
        bottom_up = list(self.bottom_up())
        rows = [
            MozartRow(m.name, m.value, ours, float(modelled))
            for m, ours, modelled in zip(measurements, bottom_up, fit.modelled, strict=True)
        ]
        return MozartReproduction(
            (*rows, *self.memory_trend(fit)),
            fit,
            leave_one_out(measurements, fixed_exposed=fixed),
            max(contradictions),
            self.data["source"],
        )

    def measurements(self) -> Iterator[Measurement]:
        for model in self.data["model"]:
            name = model["name"]
            self.progress(f"{name}: serial steps")
            base = self.times(name, "serial")
            for variant, policy in self.policy.items():
                value = model["speed_up"][variant]
                yield Measurement(f"{name} {variant}", name, policy, self.times(name, policy), value, base)
        for point in self.data["sequence_length"]:
            name, length = point["model"], point["length"]
            base, full = self.times(name, "serial", length), self.times(name, self.policy["C"], length)
            title = f"{name}, length {length}"
            yield Measurement(f"{title}, C", name, self.policy["C"], full, point["speed_up_C"], base)
            yield Measurement(f"{title}, serial (s)", name, "serial", base, point["serial_seconds"])

    def bottom_up(self) -> Iterator[float]:
        """Yield the list scheduler's value for each measurement, in the same order."""
        for model in self.data["model"]:
            name = model["name"]
            self.progress(f"{name}: bottom-up schedules")
            for policy in self.policy.values():
                yield self.scheduled(name, "serial") / self.scheduled(name, policy)
        for point in self.data["sequence_length"]:
            name, length = point["model"], point["length"]
            yield self.scheduled(name, "serial", length) / self.scheduled(name, self.policy["C"], length)
            yield self.scheduled(name, "serial", length)

    def memory_trend(self, fit: Calibration) -> Iterator[MozartRow]:
        """Yield the speed-up by overlap with either kind of memory; in the paper HBM2 gains more."""
        ssd = with_memory(self.package, self.data["ssd_bandwidth"], "SSD")
        slower = self.package.memories[0].bandwidth / ssd.memories[0].bandwidth
        policy = self.policy["A"]
        for model in self.data["model"]:
            name = model["name"]
            self.progress(f"{name}: SSD")
            for kind, package, factor in (("HBM2", self.package, 1.0), ("SSD", ssd, slower)):
                base, over = self.times(name, "serial"), self.times(name, policy)
                base, over = (dataclasses.replace(t, load=factor * t.load) for t in (base, over))
                calibrated = base.under(fit.efficiency, 1.0) / over.under(fit.efficiency, fit.exposed[policy])
                ours = self.scheduled(name, "serial", package=package)
                ours /= self.scheduled(name, policy, package=package)
                yield MozartRow(f"{name} A, weights in {kind}", None, ours, calibrated)

    def times(self, model: str, policy: str, length: int | None = None) -> StepTimes:
        key = (model, POLICIES[policy].degree, POLICIES[policy].layout, length)  # all that a serial step has
        if key not in self._times:
            layout = self.layout(model, policy)
            self._times[key] = step_times(self.package, self.workload(model, length), policy, layout)
        return self._times[key]

    def scheduled(
        self, model: str, policy: str, length: int | None = None, package: Package | None = None
    ) -> float:
        chosen = package or self.package
        if policy == "serial" and chosen is self.package:  # nothing overlaps: the sum of its parts
            return self.times(model, policy, length).under(Efficiency(), exposed=1.0)
        key = (model, policy, length, chosen.name)
        if key not in self._scheduled:
            workload, layout = self.workload(model, length), self.layout(model, policy)
            plan = schedule(chosen, workload, layout, policy=policy, weights_on_network=False)
            self._scheduled[key] = plan.makespan
        return self._scheduled[key]

    def layout(self, model: str, policy: str) -> Allocation:
        """Return where a policy puts a model's experts: the same at every length and with any memory."""
        key = (model, POLICIES[policy].layout)
        if key not in self._layouts:
            self._layouts[key] = allocate(self.workloads[model].trace, self.package, method=key[1])
        return self._layouts[key]

    def workload(self, model: str, length: int | None) -> Workload:
        found = self.workloads[model]
        if length is None:
            return found
        trace = found.trace  # the same tokens at every length
        batch = dataclasses.replace(found.batch, sequence_length=length)
        return dataclasses.replace(found, batch=batch, routing=trace)


def with_memory(package: Package, bandwidth: Quantity, kind: str) -> Package:
    """Return a package whose memory stacks and their links have another bandwidth.

    Examples
    --------
    >>> with_memory(load_topology("mozart-nop-tree"), "15.8 GB/s", "SSD").memories[0].bandwidth
    15800000000.0
    """
    rate = parse_quantity(bandwidth, "B/s", "bandwidth")
    stacks = {memory.name for memory in package.memories}
    nodes = [
        dataclasses.replace(node, bandwidth=rate, kind=kind) if isinstance(node, Memory) else node
        for node in package.nodes
    ]
    links = [
        dataclasses.replace(link, bandwidth=rate) if {link.a, link.b} & stacks else link
        for link in package.links
    ]
    return package.replace(name=f"{package.name}, {kind}", nodes=nodes, links=links)
