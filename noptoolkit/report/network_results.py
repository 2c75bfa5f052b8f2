"""What flows, collectives and changes of bandwidth bring to a page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.collectives import CollectiveResult
from noptoolkit.collectives.comparing import AlgorithmComparison
from noptoolkit.flow import BandwidthCurve, BestWidths, FlowResult, Ladder, Upgrade
from noptoolkit.flow.bandwidth_curves import named
from noptoolkit.flow.upgrades import upgrade_table
from noptoolkit.report.charts import bars, curves, matrix
from noptoolkit.report.parts import EXACT, Parts, left_over
from noptoolkit.tables import Column
from noptoolkit.units import format_quantity

__all__ = ["add_bandwidth", "add_collective", "add_flow", "add_ladder", "add_traffic",
    "add_upgrade", "add_widths",
]  # fmt: skip

DENSE = 80
"""Points of a curve between two of which a straight line is drawn."""


def add_flow(one: FlowResult, parts: Parts) -> None:
    """Add a flow: its time and bound, its traffic, its loads on the map."""
    name = _name(one)
    parts.subtitle = parts.subtitle or f"{name}, {one.routing} routing"
    parts.sentences.append(
        f"On {one.package.name}, {name} takes {_time(one.time)} by {one.routing} routing; "
        f"{one.bottleneck or 'nothing'} limits it. {left_over(one.time, one.time_bound, 'routing')}"
    )
    parts.tables.append(one.table(None))
    add_traffic(one, parts)
    parts.show_on_map(one.package, {name: one})
    parts.certify(one)
    parts.packages.append(one.package)


def add_traffic(one: FlowResult, parts: Parts) -> None:
    """Add what a flow delivers from each node to each other."""
    name, values = _name(one), one.traffic.delivered()
    if values.any():
        said = f"{name}: {format_quantity(float(values.sum()), 'B')} in all"
        key = parts.key("traffic")
        chart = matrix(key, said, f"Traffic matrix of {said}", one.traffic.endpoints, values, unit="B")
        parts.matrices.append(replace(chart, group=(name,)))


def add_collective(one: AlgorithmComparison | CollectiveResult, parts: Parts) -> None:
    """Add a collective: its optimum, the algorithms of today beside it, its loads on the map."""
    best = one.optimum if isinstance(one, AlgorithmComparison) else one
    parts.subtitle = parts.subtitle or f"{best.title}, {best.algorithm}"
    by = "" if best.algorithm == "optimal" else f" by {best.algorithm}"
    parts.sentences.append(
        f"On {best.package.name}, {best.title} takes {_time(best.time)}{by}; "
        f"{best.bottleneck or 'nothing'} limits it. {left_over(best.time, best.time_bound, 'schedule')}"
    )
    if isinstance(one, AlgorithmComparison):
        known = {name: r for name, r in one.others.items() if isinstance(r, CollectiveResult)}
        if known:
            fastest = min(known, key=lambda name: known[name].time)
            ratio = known[fastest].time / best.time if best.time else 1.0
            parts.sentences.append(
                f"The best algorithm of today here, {fastest}, takes {ratio:.3g} times as long."
            )
            names = ["optimal", *known]
            times = [best.time, *(r.time for r in known.values())]
            parts.charts.append(
                bars(
                    parts.key("algorithms"), "time of each algorithm, bandwidth alone",
                    "Bar chart of the time of each algorithm", names, {"time": times},
                    y=Column("time", unit="s"), table=one.table(),
                )
            )  # fmt: skip
            views = {
                best.algorithm: best,
                **{name: r for name, r in known.items() if r.package == best.package},
            }
            parts.show_on_map(best.package, views)
    parts.show_on_map(best.package, {best.title: best})
    parts.tables.append(one.table() if isinstance(one, AlgorithmComparison) else best.table(None))
    if isinstance(one, AlgorithmComparison):
        parts.tables.append(best.table(None))
    parts.packages.append(best.package)


def add_bandwidth(one: BandwidthCurve, parts: Parts) -> None:
    """Add the curve of a time over the bandwidth of some links."""
    name, package = _name(one.flow), one.flow.package
    exact = one.gap <= EXACT
    x = np.unique(np.concatenate([one.bandwidth, np.linspace(one.bandwidth[0], one.bandwidth[-1], DENSE)]))
    lines = [("time" if exact else "lower bound", x, np.array([one.bound_at(value) for value in x]))]
    if not exact:
        lines.append(("achieved", one.bandwidth, one.time))
    of = f"time of {name} on {package.name} over the bandwidth of {named(one.links, 3)}, per direction"
    parts.charts.append(
        curves(
            parts.key("bandwidth"), of, f"Line chart of the {of}", lines,
            x=Column("bandwidth", unit="B/s"), y=Column("time", unit="s"),
            dashed=[("today", one.today)], table=one.table(), smooth=["time", "lower bound"],
            marks=["achieved"],
        )
    )  # fmt: skip
    parts.tables.append(one.table())
    parts.packages.append(package)


def add_upgrade(one: Upgrade, parts: Parts) -> None:
    """Add an upgrade: before and after in a sentence, the curve, both packages on the map."""
    parts.changed = True
    name = _name(one.before)
    same = abs(one.gain) < 5e-4
    takes = "still takes" if same else f"takes {_time(one.after.time)} instead of"
    parts.sentences.append(
        f"With {named(one.links)} at {format_quantity(float(one.new[0]), 'B/s')}, {name} on "
        f"{one.before.package.name} {takes} {_time(one.before.time)}, "
        f"solved again; {one.after.bottleneck or 'nothing'} then limits it. "
        + left_over(one.after.time, one.after.time_bound, "routing")
    )
    parts.tables.append(upgrade_table([one]))
    add_bandwidth(one.curve, parts)
    _before_and_after(one.before, one.after, parts)


def add_ladder(one: Ladder, parts: Parts) -> None:
    """Add a ladder of bottlenecks: its corners as a curve, the flow where it starts on the map."""
    parts.changed = True
    name = _name(one.flow)
    if one.rungs:
        first, last = one.rungs[0], one.rungs[-1]
        if np.isfinite(last.end):
            amount = format_quantity(last.end, one.unit) if one.unit else f"{last.end:.4g}"
            parts.sentences.append(
                f"{amount} more, spent where it helps {name} most, takes it from {_time(first.time)} "
                f"to {_time(last.time_after)} on {one.flow.package.name}; what limits it today is "
                f"{named(first.limited_by, 1)}."
            )
        spent, times = _corners(one)
        parts.charts.append(
            curves(
                parts.key("ladder"),
                f"{name} on {one.flow.package.name}: time over the extra bandwidth, spent where it helps "
                "most; a point where the next resource limits too",
                f"Time of {name} against extra bandwidth",
                [("time", spent, times), ("the next limits too", *_joins(one))],
                x=Column("spent", "extra bandwidth", unit=one.unit), y=Column("time", unit="s"),
                table=one.table(), smooth=["time"], marks=["the next limits too"],
            )
        )  # fmt: skip
    parts.tables.append(one.table())
    parts.show_on_map(one.flow.package, {name: one.flow})
    parts.certify(one.flow)
    parts.packages.append(one.flow.package)


def add_widths(one: BestWidths, parts: Parts) -> None:
    """Add the best use of a budget: what it buys, and both packages on the map."""
    parts.changed = True
    budget = format_quantity(one.budget, one.unit) if one.unit else f"cost {one.budget:.4g}"
    parts.sentences.append(
        f"{budget}, spent as the table says, take {' and '.join(_name(flow) for flow in one.before)} from "
        f"{_time(one.today)} to {_time(one.time)}; no use of it takes less than {_time(one.time_bound)}."
    )
    parts.tables.append(one.table())
    for before, after in zip(one.before, one.after, strict=True):
        _before_and_after(before, after, parts)


def _before_and_after(before: FlowResult, after: FlowResult, parts: Parts) -> None:
    """Show a flow on both packages under one name, so that one scale colours both."""
    parts.show_on_map(before.package, {_name(before): before})
    name = parts.name_of_view(before) or _name(before)
    changed = f"{after.package.name}, changed"
    parts.show_on_map(after.package, {name: after}, label=changed)
    parts.certify(before)
    parts.certify(after, label=changed)
    parts.packages += [before.package, after.package]


def _corners(one: Ladder) -> tuple[Floats, Floats]:
    """Return money spent and times along a ladder: between corners 1 / time is a straight line."""
    share = np.linspace(0.0, 1.0, DENSE // 4)
    rungs = [rung for rung in one.rungs if np.isfinite(rung.end)]
    spent = [rung.start + share * rung.cost for rung in rungs]
    times = [1.0 / ((1 - share) / rung.time + share / rung.time_after) for rung in rungs]
    if not rungs:
        return np.zeros(1), np.array([one.rungs[0].time])
    return np.concatenate(spent), np.concatenate(times)


def _joins(one: Ladder) -> tuple[list[float], list[float]]:
    """Return where another resource begins to limit."""
    return [rung.start for rung in one.rungs], [rung.time for rung in one.rungs]


def _name(flow: FlowResult) -> str:
    return flow.traffic.name or "traffic"


def _time(value: float) -> str:
    return format_quantity(value, "s", 4)
