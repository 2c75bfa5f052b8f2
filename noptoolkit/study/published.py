"""Rows of published values beside ours, each with how well its value is sourced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from noptoolkit.errors import WorkloadError
from noptoolkit.tables import Amount, Column, Missing, Table

__all__ = ["STANDINGS", "PublishedRow", "PublishedTable", "Standing"]

Standing = Literal["quoted", "secondary", "derived"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)


@dataclass(frozen=True)
class PublishedRow:
    """One figure: what was published, what we have.

    Parameters
    ----------
    figure
        What it is.
    published
        Value in a publication, or the one that follows from it by hand; None where nothing is claimed.
    ours
        Value computed here; None where it is not reproduced.
    unit
        Base unit of both.
    standing
        ``quoted`` from the publication or its authors' code, from a ``secondary`` source, or ``derived`` by
        hand from what is quoted.
    remark
        What a reader must know.
    form
        Format of numbers without a unit, as `noptoolkit.tables.Column` has it.
    """

    figure: str
    published: float | None
    ours: float | None
    unit: str = ""
    standing: Standing = "quoted"
    remark: str = ""
    form: str = ".4g"

    def __post_init__(self) -> None:
        if self.standing not in STANDINGS:
            raise WorkloadError(f"row {self.figure!r}: standing {self.standing!r} is not one of {STANDINGS}")

    @property
    def ratio(self) -> float | None:
        """Ours over published."""
        if self.published is None or self.ours is None or self.published == 0:
            return None
        return self.ours / self.published


@dataclass(frozen=True, eq=False, repr=False)
class PublishedTable:
    """Published figures beside ours.

    Parameters
    ----------
    title
        What is compared.
    rows
        A figure each.
    remarks
        Lines below the table: sources, assumptions, what the comparison says.
    """

    title: str
    rows: tuple[PublishedRow, ...]
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"PublishedTable({self.title!r}, {len(self.rows)} figures)"

    def __getitem__(self, figure: str) -> PublishedRow:
        """Return the row of a figure."""
        return {row.figure: row for row in self.rows}[figure]

    def _repr_html_(self) -> str:
        return self.table().html()

    def __str__(self) -> str:
        return str(self.table())

    def table(self) -> Table:
        """Return the figures as a table."""
        columns = [
            Column("figure", meaning="what is compared"),
            Column("published", meaning="value of the publication, or derived from it by hand"),
            Column("ours", meaning="value computed here"),
            Column("ratio", form=".4f", meaning="ours over published"),
            Column("standing", meaning="quoted, from a secondary source, or derived by hand"),
            Column("remark", meaning="what a reader must know"),
        ]
        body: list[list[Any]] = []
        for row in self.rows:
            cells = [
                Missing(reason) if value is None else Amount(value, row.unit, "" if row.unit else row.form)
                for value, reason in ((row.published, "not claimed"), (row.ours, "not reproduced"))
            ]
            body.append([row.figure, *cells, row.ratio, row.standing, row.remark])
        return Table(columns, body, title=self.title, notes=list(self.remarks))
