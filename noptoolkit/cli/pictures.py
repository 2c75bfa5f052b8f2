"""Which pictures a command writes, and under what names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from noptoolkit._shown import file_name
from noptoolkit.allocation import Allocation, LayoutReport
from noptoolkit.flow import Ladder, Upgrade
from noptoolkit.formats.results import replace_file
from noptoolkit.scheduling import Schedule
from noptoolkit.study import Comparison, Resilience
from noptoolkit.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "save_picture",
    "write_comparison",
    "write_layouts",
    "write_resilience",
    "write_schedule",
    "write_what_if",
]


def save_picture(picture: Axes, *paths: Path) -> None:
    """Write a picture to files whose endings say the format, then close it.

    Raises
    ------
    FormatError
        If an ending is not a format of pictures, or a place cannot be written to.
    """
    import matplotlib.pyplot as plt

    from noptoolkit.plot import save

    try:
        for path in paths:
            save(picture, path)
    finally:
        plt.close(picture.figure.get_figure(root=True))


def write_comparison(result: Comparison, folder: Path) -> tuple[str, ...]:
    """Write a comparison's tables and pictures; return the names of the files, PNG for PNG and SVG.

    One picture per topology; per workload one of the metrics, and of the stages that they needed one of the
    channels' loads on one colour scale and one per topology of its schedule.
    """
    import noptoolkit.plot as draw

    result.to_csv(folder / "comparison.csv")
    result.to_json(folder / "comparison.json")
    written = ["comparison.csv", "comparison.json"]

    def keep(picture: Axes, name: str) -> None:
        place = file_name(name)
        save_picture(picture, folder / f"{place}.png", folder / f"{place}.svg")
        written.append(f"{place}.png")

    with draw.style("page"):
        for package in {one.package.name: one.package for one in result.runs}.values():
            keep(draw.topology(package), f"topology-{package.name}")
        for workload in result.workloads:
            runs = result.of(workload)
            names = [
                one.package.name + (f" (links x {one.normalised[1]:.3g})" if one.normalised else "")
                for one in runs
            ]
            if all("dispatch" in one.computed for one in runs):
                keep(draw.loads([one.dispatch for one in runs], titles=names)[0], f"load-{workload}")
            keep(draw.comparison(result, workload)[0], f"comparison-{workload}")
            for one in runs:
                if "plan" not in one.computed:
                    continue
                name = file_name(f"schedule-{one.package.name}-{workload}") + ".png"  # no SVG of 40,000 tasks
                save_picture(draw.schedule(one.plan), folder / name)
                written.append(name)
    return tuple(written)


def write_layouts(report: LayoutReport, curve: Mapping[str, Allocation], folder: Path) -> None:
    """Write pictures of layouts: all, the best one's co-activation and chiplets, C_T against load cap."""
    import noptoolkit.plot as draw

    package, trace, best = report.package, report.trace, report.best.allocation
    with draw.style("page"):
        for name, picture in (
            ("layouts", draw.layouts(report)),
            ("coactivation-before", draw.coactivation(trace)),
            ("coactivation-after", draw.coactivation(trace, best)),
            ("layout", draw.layout(package, best, trace)),
            ("pareto", draw.pareto(curve, trace)),
        ):
            save_picture(picture, folder / f"{name}.png", folder / f"{name}.svg")


def write_resilience(result: Resilience, folder: Path) -> tuple[str, ...]:
    """Write a table of losses and, of single ones, a picture; return the names of the files."""
    import noptoolkit.plot as draw

    result.to_csv(folder / "resilience.csv")
    result.to_json(folder / "resilience.json")
    if any(len(names) > 1 for names in result.lost):
        return "resilience.csv", "resilience.json"
    with draw.style("page"):
        save_picture(draw.degradation(result), folder / "resilience.png", folder / "resilience.svg")
    return "resilience.csv", "resilience.json", "resilience.png", "resilience.svg"


def write_what_if(
    tables: Sequence[Table], drawn: Sequence[Upgrade | Ladder], folder: Path
) -> tuple[str, ...]:
    """Write the tables of a what-if, and its pictures; return the names of the files."""
    import noptoolkit.plot as draw

    written = []
    for i, table in enumerate(tables, 1):
        name = f"what-if-{i}.csv"
        replace_file(folder / name, table.csv())
        written.append(name)
    with draw.style("page"):
        for i, one in enumerate(drawn, 1):
            if isinstance(one, Ladder):
                if one.rungs:
                    written.append(f"ladder-{i}.png")
                    save_picture(draw.ladder(one), folder / written[-1])
                continue
            written += [f"upgrade-{i}.png", f"bandwidth-{i}.png"]
            save_picture(draw.upgrades(one), folder / written[-2])
            save_picture(draw.bandwidth_curve(one.curve), folder / written[-1])
    return tuple(written)


def write_schedule(plan: Schedule, folder: Path) -> tuple[str, ...]:
    """Write a schedule's Gantt chart, and its trace for Perfetto; return the names of the files."""
    import noptoolkit.plot as draw

    with draw.style("page"):
        save_picture(draw.schedule(plan, critical=True), folder / "schedule.png")
    plan.to_chrome_trace(folder / "schedule.trace.json")
    return "schedule.png", "schedule.trace.json"
