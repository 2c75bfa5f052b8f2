"""The page of a stored study: its points in the plane of any two numbers, tied to the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noptoolkit.report.charts import points
from noptoolkit.report.page import Block, Page, Section
from noptoolkit.report.provenance import reproduce
from noptoolkit.studies import Store, study_table
from noptoolkit.tables import Table, cell_text

__all__ = ["study_page"]

MOST_POINTS = 5000


def study_page(
    store: Store, study: str | None = None, *, where: Sequence[str] = (), command: Sequence[str] | str = ""
) -> Page:
    """Return the page of a study.

    Parameters
    ----------
    store, study, where
        As `noptoolkit.studies.study_table` takes them; of more than `MOST_POINTS` points, the first.
    command
        Command that made it.
    """
    table = study_table(store, study, where=where, most=MOST_POINTS)
    metrics = store.metrics()
    numeric = [
        i
        for i, column in enumerate(table.columns)
        if column.shown and any(_is_number(row[i]) for row in table.rows)
    ]
    measured = [i for i in numeric if table.columns[i].key in metrics]
    sections = [Section("verdict", "In short", [Block("sentences", _sentences(table, metrics, measured))])]
    title = table.title.partition(":")[0]
    if numeric and table.rows:
        first = next((i for i in measured if metrics[table.columns[i].key][2]), numeric[0])
        directed = [i for i in measured if metrics[table.columns[i].key][2]]
        others = [i for i in reversed(directed) if i != first]
        second = others[0] if others else numeric[-1]
        names = [_name(table, row) for row in table.rows]
        columns = [(table.columns[i], [_number(row[i]) for row in table.rows]) for i in numeric]
        better = [metrics.get(table.columns[i].key, ("", "", "", ""))[2] for i in numeric]
        chart = points(
            "points",
            "points of the study; orange: no other beats them in both numbers. A click picks the row",
            f"Scatter chart of the points of {title}",
            names,
            columns,
            better,
            x=numeric.index(second),
            y=numeric.index(first),
        )
        blocks = [Block("scatter", chart), Block("table", table)]
    else:
        blocks = [Block("table", table)]
    sections.append(Section("figures", "Points", blocks))
    meanings = [[name, *about] for name, about in metrics.items()]
    if meanings:
        columns_of = ["metric", "title", "unit", "better", "meaning"]
        sections.append(
            Section(
                "meanings", "Metrics", [Block("table", Table(columns_of, meanings, title="What is measured"))]
            )
        )
    sections.append(reproduce(command))
    return Page(title, f"{len(table.rows):,} points", sections, {"study": title})


def _sentences(
    table: Table, metrics: dict[str, tuple[str, str, str, str]], measured: Sequence[int]
) -> list[str]:
    """Return the best point of each metric that has a better direction, and how the points ended."""
    lines = []
    for i in measured:
        column = table.columns[i]
        title, _, better, _ = metrics[column.key]
        if not better:
            continue
        known = [(value, row) for row in table.rows if np.isfinite(value := _number(row[i]))]
        if not known:
            continue
        _, row = (min if better == "lower" else max)(known, key=lambda pair: pair[0])
        word = "Lowest" if better == "lower" else "Highest"
        lines.append(f"{word} {title}: {cell_text(row[i], column)} with {_name(table, row)}.")
    place = [column.key for column in table.columns].index("status")
    counts: dict[str, int] = {}
    for row in table.rows:
        word = str(row[place]).partition(":")[0]
        counts[word] = counts.get(word, 0) + 1
    lines.append("Points: " + ", ".join(f"{count:,} {word}" for word, count in counts.items()) + ".")
    return lines


def _name(table: Table, row: Sequence[object]) -> str:
    """Return the parameters of a point in words."""
    told = []
    for column, value in zip(table.columns[1:], row[1:], strict=True):
        if column.key == "status" or column.unit or not column.shown or value is None:
            continue
        if column.meaning:  # a metric
            continue
        told.append(f"{column.heading} {cell_text(value, column)}")  # type: ignore[arg-type]
    return ", ".join(told) or str(row[0])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: object) -> float:
    return float(value) if _is_number(value) else float("nan")  # type: ignore[arg-type]
