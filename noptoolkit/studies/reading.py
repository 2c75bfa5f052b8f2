"""Stored studies as tables: filtered, sorted, compared, exported."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, NopError, UnknownNameError
from noptoolkit.formats.results import replace_file
from noptoolkit.studies.filters import filter_of
from noptoolkit.studies.store import Store, stored_table, value_of
from noptoolkit.tables import Column, Missing, Table, value_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "diff_studies",
    "export_table",
    "point_text",
    "results_of",
    "shown",
    "study_frame",
    "study_name",
    "study_table",
]


def study_table(
    store: Store,
    study: str | None = None,
    *,
    where: Sequence[str] = (),
    sort: str | None = None,
    descending: bool = False,
    most: int | None = None,
) -> Table:
    """Return the points of a study as a table: parameters that vary, metrics, status.

    Filters and order are worked out by the database.

    Parameters
    ----------
    store
        Store that holds the study.
    study
        Its name; may be left out where there is one only.
    where
        Comparisons that a point must meet, such as ``"params.link_bandwidth >= 128 GB/s"``,
        ``"step < 10 ms"`` or ``"status == failed"``.
    sort
        Parameter or metric; the order of the space where ``None``. Points without a value come last.
    descending
        Whether large values come first.
    most
        Rows at most; all where ``None``.

    Raises
    ------
    UnknownNameError
        If there is no such study, parameter or metric, with the nearest name.
    FormatError
        If a comparison cannot be read.
    """
    name = study_name(store, study)
    names = _names(store, name)
    metrics = store.metrics()
    units = {key: metrics[key][1] if table == "results" else "" for key, table in names.items()}
    conditions, values = ["points.study = ?"], [name]
    for text in where:
        clause, more = _filter(text, names, units)
        conditions.append(clause)
        values += more
    order, join, joined = "position", "", list[Any]()
    if sort is not None:
        source = names.get(sort) or _unknown(sort, names)
        way = "DESC" if descending else "ASC"
        if source == "status":
            order = f"evaluations.status {way}, position"
        else:
            join = f" LEFT JOIN {source} AS s ON s.key = points.key AND s.name = ?"
            joined = [sort]
            order = f"s.number IS NULL, s.number {way}, s.text {way}, position"
    limit = "" if most is None else f" LIMIT {int(most)}"
    rows = store.ask(
        "SELECT points.key, points.point, evaluations.status, evaluations.error, evaluations.layout, "
        "count(*) OVER () FROM points LEFT JOIN evaluations ON evaluations.key = points.key"
        f"{join} WHERE {' AND '.join(conditions)} ORDER BY {order}{limit}",
        [*joined, *values],
    )
    total = rows[0][5] if rows else 0
    found = results_of(store, [row[0] for row in rows])
    points = [stored_table(row[1]) for row in rows]
    parameters = [one for one, source in names.items() if source == "settings"]
    visible = {one for one in parameters if len({json.dumps(point.get(one)) for point in points}) > 1}
    measured = [one for one, source in names.items() if source == "results"]
    columns = [
        Column("point", "", "", "digest of the point"),
        *(Column(one, one.removeprefix("params."), shown=one in visible, form="g") for one in parameters),
        *(Column(one, metrics[one][0], metrics[one][1], metrics[one][3]) for one in measured),
        Column("status"),
        Column("layout", shown=False),
    ]
    body = []
    for (key, _, status, error, layout, _), point in zip(rows, points, strict=True):
        told = status or "not yet"
        if error:
            told = f"failed: {error.splitlines()[0]}"
        line = [key[:8], *(shown(point.get(one)) for one in parameters)]
        line += [found[key].get(one) for one in measured]
        body.append([*line, told, layout or ""])
    cut = [f"{len(rows):,} of {total:,} points"] if len(rows) < total else []
    return Table(columns, body, title=f"{name}: {total:,} points", notes=cut)


def diff_studies(store: Store, first: str, second: str, *, other: Store | None = None) -> Table:
    """Return the points of two studies whose results differ, and those that one of them lacks.

    Parameters
    ----------
    store, first
        First study and its store.
    second
        Second study.
    other
        Store of the second; the same where ``None``.
    """
    stores = (store, other or store)
    names = [study_name(one, name) for one, name in zip(stores, (first, second), strict=True)]
    held = [
        dict(one.ask("SELECT point, key FROM points WHERE study = ? ORDER BY position", (name,)))
        for one, name in zip(stores, names, strict=True)
    ]
    results = [results_of(one, list(keys.values())) for one, keys in zip(stores, held, strict=True)]
    units = {name: about[1] for one in stores for name, about in one.metrics().items()}
    rows = []
    for point in dict.fromkeys([*held[0], *held[1]]):
        pair = [found.get(keys.get(point, ""), {}) for keys, found in zip(held, results, strict=True)]
        said = point_text(stored_table(point))
        lacking = [i for i, keys in enumerate(held) if point not in keys]
        if lacking:
            rows.append([said, "", *("no point" if i in lacking else "" for i in (0, 1)), None])
            continue
        for metric in dict.fromkeys([*pair[0], *pair[1]]):
            values = [one.get(metric) for one in pair]
            if not _same(*values):
                texts = [_text(value, units.get(metric, "")) for value in values]
                ratio = values[1] / values[0] if all(_is_real(v) for v in values) and values[0] else None
                rows.append([said, metric, *texts, ratio])
    columns: list[Column | str] = [
        "point",
        "metric",
        Column("first", names[0]),
        Column("second", names[1]),
        Column("ratio", form=".4g"),
    ]
    same = len(set(held[0]) & set(held[1]))
    return Table(
        columns,
        rows,
        title=f"{names[0]} against {names[1]}",
        notes=[f"{same:,} points in both, {len(rows):,} differences"],
    )


def study_frame(table: Table) -> pd.DataFrame:
    """Return a table of a study as a pandas DataFrame (needs the extra ``frames``)."""
    try:
        import pandas as pd
    except ImportError as error:
        raise NopError("this needs pandas: pip install 'noptoolkit[frames]'") from error
    return pd.DataFrame(table.records())


def export_table(table: Table, path: str | Path) -> None:
    """Write a table as CSV, JSON or Parquet, as the ending says (Parquet needs the extra ``parquet``).

    Raises
    ------
    FormatError
        If the ending is another one, or the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending == ".csv":
        replace_file(path, table.csv())
    elif ending == ".json":
        replace_file(path, table.json())
    elif ending == ".parquet":
        replace_file(path, _parquet(table))
    else:
        raise FormatError(f"{path}: write .csv, .json or .parquet")


def study_name(store: Store, name: str | None) -> str:
    """Return the name of a study that is stored; the only one where ``None``."""
    known = store.studies()
    place = store.path or "the store in memory"
    if not known:
        raise NopError(f"{place} holds no study yet")
    if name is None:
        if len(known) > 1:
            raise NopError(f"{place} holds several studies: name one of {', '.join(known)}")
        return next(iter(known))
    if name not in known:
        raise UnknownNameError(f"no study {name!r} in {place}; {did_you_mean(name, known)}")
    return name


def _parquet(table: Table) -> bytes:
    import io

    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise NopError("Parquet needs pyarrow: pip install 'noptoolkit[parquet]'") from error
    records = table.records()
    keys = list(records[0]) if records else [column.key for column in table.columns]
    units = {column.key: column.unit for column in table.columns}
    arrays, fields = [], []
    for key in keys:
        held = [record[key] for record in records]
        if len({isinstance(value, str) for value in held if value is not None}) > 1:
            held = [None if value is None else str(value) for value in held]
        if any(isinstance(value, float) for value in held):
            held = [None if value is None else float(value) for value in held]
        arrays.append(pa.array(held))
        fields.append(pa.field(key, arrays[-1].type, metadata={"unit": units.get(key, "")}))
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), stream)
    return stream.getvalue()


def _names(store: Store, study: str) -> dict[str, str]:
    """Return the table that each parameter and metric of a study stands in."""
    found = {"status": "status"}
    first = store.ask("SELECT point FROM points WHERE study = ? ORDER BY position LIMIT 1000", (study,))
    for (point,) in first:
        found |= dict.fromkeys(stored_table(point), "settings")
    rows = store.ask(
        """SELECT name FROM metrics WHERE EXISTS (SELECT 1 FROM points JOIN results
        ON results.key = points.key WHERE points.study = ? AND results.name = metrics.name)
        ORDER BY metrics.rowid""",
        (study,),
    )
    return found | {name: "results" for (name,) in rows}


def _filter(text: str, names: dict[str, str], units: dict[str, str]) -> tuple[str, list[Any]]:
    """Return a comparison in the words of the database, and what it compares with."""
    found = filter_of(text, units)
    source, sign = names[found.name], found.sign
    if source == "status":
        return f"coalesce(evaluations.status, 'not yet') {sign} ?", [found.value]
    column = "text" if isinstance(found.value, str) else "number"
    one = f"SELECT 1 FROM {source} AS f WHERE f.key = points.key AND f.name = ? AND f.{column} {sign} ?"
    clause = f"EXISTS ({one})"
    return clause, [found.name, found.value]


def _unknown(name: str, names: dict[str, str]) -> str:
    raise UnknownNameError(f"no parameter or metric {name!r} in the study; {did_you_mean(name, names)}")


def results_of(store: Store, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the metrics of some points, by key and name."""
    found: dict[str, dict[str, Any]] = {key: {} for key in keys}
    if len(keys) > 500:
        rows = store.ask("SELECT key, name, number, text, missing FROM results")
    else:
        marks = ", ".join("?" * len(keys))
        rows = store.ask(f"SELECT key, name, number, text, missing FROM results WHERE key IN ({marks})", keys)
    for key, name, number, text, missing in rows:
        if key in found:
            found[key][name] = value_of(number, text, missing)
    return found


def shown(value: Any) -> Any:
    """Return a parameter's value as the cell of a table."""
    return value if value is None or isinstance(value, str | bool | int | float) else json.dumps(value)


def point_text(point: dict[str, Any]) -> str:
    """Return a point in one line."""
    return ", ".join(f"{name.removeprefix('params.')}={shown(value)}" for name, value in point.items())


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def _text(value: Any, unit: str) -> str:
    if value is None:
        return "not computed"
    if isinstance(value, Missing):
        return value.reason
    return value if isinstance(value, str) else value_text(value, unit)
