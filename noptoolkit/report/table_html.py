"""Tables of the page: sorted by their numbers, filtered by their words."""

from __future__ import annotations

import html
import math
import re

from noptoolkit.report.escaping import visible
from noptoolkit.tables import Amount, Cell, Column, Table, cell_text

__all__ = ["table_html"]

COLUMNS, ROWS = 8, 8
"""Columns beyond which a table is turned on paper, where it has at most so many rows."""

WIDE = 10  # columns beyond which a table is in small print on paper
LONG = 40  # letters beyond which a cell may be broken
FEW = 5  # rows up to which there is nothing to filter


def table_html(table: Table, label: str = "") -> object:
    """Return a table as HTML with a row per row, whatever its print; a part per section.

    Parameters
    ----------
    table
        Table to show; its title is the caption.
    label
        Name for readers of screens where the table has no title.

    Returns
    -------
    markupsafe.Markup
    """
    from markupsafe import Markup

    return Markup("\n".join(_part(part, label) for part in table.parts()))


def _caption(title: str) -> str:
    """Return a title in words where it is what Python shows of a result: ``FlowResult(...)``."""
    shown = re.fullmatch(r"([A-Z]\w*)\((.*)\)", title, re.DOTALL)
    if shown is None:
        return title
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", shown[1]).capitalize()
    return f"{kind}: {shown[2]}"


def _part(table: Table, label: str) -> str:
    shown = [(i, column) for i, column in enumerate(table.columns) if column.shown]
    shown = [
        (i, column)
        for i, column in shown
        if len(table.rows) < 1 or any(row[i] is not None for row in table.rows) or column.meaning
    ]
    lines = ['<div class="table">']
    if len(table.rows) > FEW:
        lines.append(
            '<p class="tools"><label>Filter <input type="search" class="filter" '
            'placeholder="text, or latency &lt; 5 ms" autocomplete="off"></label> '
            f'<output class="count">{len(table.rows):,} rows</output></p>'
        )
    name = _text(_caption(table.title) or label or "table")
    turned = len(shown) > COLUMNS and 0 < len(table.rows) <= ROWS
    kind = " turned" if turned else " wide" if len(shown) > WIDE else ""
    lines.append(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table class="sortable{kind}">'
    )
    if table.title:
        lines.append(f"<caption>{name}</caption>")
    lines.append("<thead><tr>")
    for place, (i, column) in enumerate(shown):
        words = " text" if not place or _is_text(table, i) else ""
        title = f' title="{_text(column.meaning)}"' if column.meaning else ""
        unit = f' data-unit="{_text(column.unit)}"' if column.unit else ""
        heading = _text(column.heading.strip() or column.key)
        lines.append(
            f'<th scope="col" class="sort{words}" aria-sort="none"{unit}>'
            f'<button type="button"{title}>{heading}</button></th>'
        )
    lines.append("</tr></thead><tbody>")
    for row in table.rows:
        cells = [_cell(row[i], column, head=place == 0) for place, (i, column) in enumerate(shown)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table>")
    if turned:
        lines.append(_turned(table, shown, name))
    lines.append("</div>")
    lines += [f'<p class="note">{_text(note)}</p>' for note in table.notes]
    meanings = [(c.heading.strip() or c.key, c.meaning, c.unit) for _, c in shown if c.meaning]
    if meanings:
        told = "".join(
            f"<dt>{_text(name)}</dt><dd>{_text(meaning)}{f' ({_text(unit)})' if unit else ''}</dd>"
            for name, meaning, unit in meanings
        )
        lines.append(f"<details><summary>What the columns mean</summary><dl>{told}</dl></details>")
    lines.append("</div>")
    return "".join(lines)


def _turned(table: Table, shown: list[tuple[int, Column]], name: str) -> str:
    """Return a table for paper: a row for each column, so that wide ones fit."""
    lines = [f'<table class="paper"><caption>{name}</caption><tbody>']
    for i, column in shown:
        if not any(cell_text(row[i], column) for row in table.rows):
            continue
        heading = _text(column.heading.strip() or column.key)
        cells = [_cell(row[i], column, head=False).replace(" long", "") for row in table.rows]
        lines.append(f'<tr><th scope="row">{heading}</th>{"".join(cells)}</tr>')
    return "".join(lines) + "</tbody></table>"


def _is_text(table: Table, i: int) -> bool:
    return all(isinstance(row[i], str | bool | None) for row in table.rows)


def _cell(cell: Cell, column: Column, *, head: bool) -> str:
    value = cell.value if isinstance(cell, Amount) else cell
    number = isinstance(value, int | float) and not isinstance(value, bool)
    sort = f' data-v="{value!r}"' if number and math.isfinite(float(value)) else ""  # type: ignore[arg-type]
    words = cell_text(cell, column)
    long = " long" if len(words) > LONG and " " in words else ""
    kind = "" if number else f' class="text{long}"'
    tag = 'th scope="row"' if head else "td"
    return f"<{tag}{sort}{kind}>{_text(words)}</{tag.split()[0]}>"


def _text(text: str) -> str:
    return html.escape(visible(text.replace("\n", " ")), quote=True)
