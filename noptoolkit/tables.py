"""Tables as values: typed columns and rows, printed as text, HTML, CSV and JSON.

A `Table` holds numbers in base units; text is made of them only where a reader asks for it. Numbers are
aligned right, text left. A value that is not known is a `Missing` with its reason: the reason stands in the
printed table and in the column ``remarks`` of CSV and JSON, whose own cell stays empty.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from noptoolkit._shown import harmless_cell, visible
from noptoolkit._table_text import html_table, text_table, wrapped
from noptoolkit.units import format_quantity

__all__ = [
    "Amount",
    "Cell",
    "Column",
    "Missing",
    "Table",
    "cell_text",
    "html_table",
    "text_table",
    "value_text",
]


@dataclass(frozen=True)
class Missing:
    """A value that is not known.

    Parameters
    ----------
    reason
        Why it is not known, in a few words: it stands in place of the value.
    """

    reason: str


@dataclass(frozen=True)
class Amount:
    """A number with a unit of its own, in a column whose rows have different units.

    Parameters
    ----------
    value
        Number in the base unit.
    unit
        Base unit; empty for a pure number.
    form
        As `Column` has it.
    """

    value: float
    unit: str = ""
    form: str = ""


Cell = str | int | float | bool | Amount | Missing | None
"""What a table holds; ``None`` is an empty cell."""


@dataclass(frozen=True)
class Column:
    """One column: what it holds and how it is printed.

    Parameters
    ----------
    key
        Name in CSV, JSON and `Table.records`.
    title
        Heading in print; the key with spaces for underscores where ``None``.
    unit
        Base unit of its numbers; empty for pure numbers and text.
    meaning
        One sentence for a reader who has not met it.
    form
        Format specification of a pure number (``.3f``); ``.1f %`` prints a share in per cent, ``.3g x`` adds
        a word. Empty for a default by type and unit.
    shown
        Whether it is printed; hidden columns stand in CSV and JSON only.
    """

    key: str
    title: str | None = None
    unit: str = ""
    meaning: str = ""
    form: str = ""
    shown: bool = True

    @property
    def heading(self) -> str:
        """Heading in print."""
        return self.key.replace("_", " ") if self.title is None else self.title


@dataclass(frozen=True, init=False, repr=False)
class Table:
    """Rows of typed values under columns that say what they are.

    Parameters
    ----------
    columns
        One `Column` per value of a row; a plain text is a column of that key.
    rows
        Values in base units, [rows][columns].
    title
        What the table shows; printed above it.
    notes
        What a reader must know besides; printed below it, a line each.
    sections
        Title of the part that each row belongs to, [rows]; each part is printed as a table of its own. No
        parts where empty.
    sideways
        Whether print has a line per column and a column per row, headed by the row's first value.

    Raises
    ------
    ValueError
        If a row or ``sections`` has another length, or two columns have one key.

    Examples
    --------
    >>> loads = Table(["link", Column("load", unit="B"), Column("share", form=".0f %")],
    ...               [["a->b", 3e9, 0.25], ["b->a", 12e9, 1.0]], title="loads")
    >>> print(loads)
    loads
    link   load  share
    ----  -----  -----
    a->b   3 GB   25 %
    b->a  12 GB  100 %
    >>> loads.records()[0]
    {'link': 'a->b', 'load': 3000000000.0, 'share': 0.25}
    >>> print(loads.csv().splitlines()[0])
    link,load [B],share
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    sideways: bool = False

    def __init__(
        self,
        columns: Iterable[Column | str],
        rows: Iterable[Iterable[Any]],
        title: str = "",
        notes: Iterable[str] = (),
        sections: Iterable[str] = (),
        sideways: bool = False,
    ) -> None:
        named = tuple(Column(column) if isinstance(column, str) else column for column in columns)
        held = tuple(tuple(_plain(value) for value in row) for row in rows)
        parts = tuple(sections)
        if len({column.key for column in named}) < len(named):
            raise ValueError(f"two columns have one key: {[column.key for column in named]}")
        for row in held:
            if len(row) != len(named):
                raise ValueError(f"{len(named)} columns, but a row of {len(row)} values: {row}")
        if parts and len(parts) != len(held):
            raise ValueError(f"{len(parts)} sections for {len(held)} rows")
        for name, value in (
            ("columns", named),
            ("rows", held),
            ("title", title),
            ("notes", tuple(notes)),
            ("sections", parts),
            ("sideways", sideways),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Table({self.title!r}, {len(self.rows)} rows x {len(self.columns)} columns)"

    def __str__(self) -> str:
        return self.text()

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_html_(self) -> str:
        return self.html()

    def parts(self) -> tuple[Table, ...]:
        """Return the tables that are printed one below the other: one per section, or the table itself.

        The title of the whole stands above the first part, its notes below the last.
        """
        if not self.sections:
            return (self,)
        found = []
        for title, group in groupby(zip(self.sections, self.rows, strict=True), key=lambda pair: pair[0]):
            rows = tuple(row for _, row in group)
            found.append(replace(self, rows=rows, title=title, notes=(), sections=()))
        if self.title:
            found[0] = replace(found[0], title=f"{self.title}\n{found[0].title}")
        found[-1] = replace(found[-1], notes=self.notes)
        return tuple(found)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return what is printed: the headings, and the rows as text."""
        shown = [i for i, column in enumerate(self.columns) if column.shown]
        head = [visible(self.columns[i].heading) for i in shown]
        body = [[cell_text(row[i], self.columns[i]) for i in shown] for row in self.rows]
        if not self.sideways:
            return head, body
        turned = [list(line) for line in zip(head, *body, strict=True)]
        return ["", *turned[0][1:]], turned[1:]

    def is_text(self) -> list[bool]:
        """Return whether each printed column is one of text, which is aligned left."""
        if self.sideways:
            return [True] + [False] * len(self.rows)
        return [
            all(isinstance(row[i], str | bool | None) for row in self.rows)
            for i, column in enumerate(self.columns)
            if column.shown
        ]

    def text(self, width: int | None = 80) -> str:
        """Return the table as plain text.

        Parameters
        ----------
        width
            Characters of a line: titles, notes, headings and text cells are wrapped, and a sideways table is
            cut into blocks of columns. Numbers are never broken. No limit where ``None``.
        """
        blocks = []
        for part in self.parts():
            head, body = part.cells()
            grid = text_table(head, body, text=part.is_text(), width=width, blocks=part.sideways)
            lines = [*wrapped(visible(part.title), width), grid]
            for note in part.notes:
                lines += wrapped(visible(note), width)
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks)

    def html(self) -> str:
        """Return the table as HTML; the meaning of a column is the tooltip of its heading."""
        blocks = []
        for part in self.parts():
            meanings = [column.meaning for column in part.columns if column.shown]
            tips = {"row_tips": meanings[1:]} if part.sideways else {"head_tips": meanings}
            blocks.append(
                html_table(*part.cells(), title=part.title, notes=part.notes, text=part.is_text(), **tips)
            )
        return "\n".join(blocks)

    def records(self) -> list[dict[str, str | int | float | bool | None]]:
        """Return one mapping per row, by column key, numbers in base units.

        A column of `Amount` is followed by its ``unit``. Reasons of `Missing` values go to ``remarks``: a
        column of that key, else one more if there are any.
        """
        lone = [any(isinstance(row[i], Amount) for row in self.rows) for i in range(len(self.columns))]
        remarked = any(isinstance(value, Missing) for row in self.rows for value in row)
        found = []
        for row in self.rows:
            record: dict[str, str | int | float | bool | None] = {}
            reasons = []
            for column, value, with_unit in zip(self.columns, row, lone, strict=True):
                if isinstance(value, Missing):
                    reasons.append(f"{column.key}: {value.reason}")
                    record[column.key] = None
                else:
                    record[column.key] = value.value if isinstance(value, Amount) else value
                if with_unit:
                    record[_unit_key(column)] = value.unit if isinstance(value, Amount) else ""
            if remarked or "remarks" in record:
                own = record.get("remarks")
                record["remarks"] = "; ".join([*([str(own)] if own else []), *reasons])
            found.append(record)
        return found

    def csv(self) -> str:
        """Return `records` as CSV, with the unit of each column in its heading; unknown values are empty.

        Texts that a spreadsheet would compute get an apostrophe in front, and nothing in them stays unseen.
        """
        units = {column.key: column.unit for column in self.columns}
        records = self.records()
        keys = list(records[0]) if records else list(units)
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([harmless_cell(f"{key} [{units[key]}]" if units.get(key) else key) for key in keys])
        writer.writerows(
            ["" if value is None else harmless_cell(value) for value in record.values()] for record in records
        )
        return stream.getvalue()

    def as_json(self) -> dict[str, Any]:
        """Return title, columns with unit and meaning, `records` and notes, ready for a JSON file.

        Values that are unknown or not finite are ``None``.
        """
        return {
            "schema": 1,
            "title": self.title,
            "columns": [
                {"key": c.key, "title": c.heading.strip(), "unit": c.unit, "meaning": c.meaning}
                for c in self.columns
            ],
            "rows": [{key: _finite(value) for key, value in record.items()} for record in self.records()],
            "notes": list(self.notes),
        }

    def json(self) -> str:
        """Return `as_json` as indented text."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def value_text(value: float, unit: str = "", form: str = "") -> str:
    """Return a number as a reader wants it: with an SI prefix where it has a unit.

    Examples
    --------
    >>> value_text(0.0123, "s"), value_text(20), value_text(5.771), value_text(1e-4, "m2")
    ('12.3 ms', '20', '5.77', '100 mm2')
    >>> value_text(0.123, form=".1f %"), value_text(1.5, form=".3g x"), value_text(math.inf, "s")
    ('12.3 %', '1.5 x', 'inf')
    """
    if not math.isfinite(value):
        return f"{value:g}"
    if form.endswith(" %"):
        return f"{100 * value:{form[:-2]}} %"
    if form:
        spec, _, word = form.partition(" ")
        return f"{value:{spec}} {word}".rstrip()
    if unit == "m2":
        return f"{value * 1e6:.4g} mm2"
    if unit:
        return format_quantity(value, unit)
    return f"{value:,d}" if isinstance(value, int) else f"{value:.2f}"


def cell_text(cell: Cell, column: Column) -> str:
    """Return a cell as a column prints it."""
    if cell is None:
        return ""
    if isinstance(cell, Missing):
        return visible(cell.reason)
    if isinstance(cell, Amount):
        return value_text(cell.value, cell.unit, cell.form)
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return visible(cell) if isinstance(cell, str) else value_text(cell, column.unit, column.form)


def _plain(value: Any) -> Cell:
    """Return a value as Python's own type: numpy's scalars print and compare as something else."""
    if isinstance(value, str | bool | int | float | Amount | Missing) and type(value).__module__ != "numpy":
        return value
    found: Cell = value.item() if hasattr(value, "item") else value
    return found


def _finite(value: str | int | float | bool | None) -> str | int | float | bool | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unit_key(column: Column) -> str:
    return "unit" if column.key == "value" else f"{column.key}_unit"
