"""A damaged store: everything that can still be read, in a new file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError
from noptoolkit.studies.schema import TABLES
from noptoolkit.studies.store import Store, StoreError

__all__ = ["recover"]


def recover(damaged: str | Path, new: str | Path) -> dict[str, int]:
    """Write what can be read of a damaged store to a new one.

    Rows are read in the order of the file; where a page is damaged, the rows on it are skipped.

    Parameters
    ----------
    damaged, new
        Files; the new one must not exist.

    Returns
    -------
    dict
        Rows saved of each table.

    Raises
    ------
    StoreError
        If nothing can be read: the first page holds the list of tables.
    FormatError
        If the new file exists.

    Examples
    --------
    >>> recover("/nowhere/a.db", "/nowhere/b.db")
    Traceback (most recent call last):
    noptoolkit.studies.store.StoreError: /nowhere/a.db: no such store
    """
    source, target = Path(damaged), Path(new)
    if not source.is_file():
        raise StoreError(f"{source}: no such store")
    if target.exists():
        raise FormatError(f"{target}: exists already; name a new file")
    base = sqlite3.connect(f"file:{source.resolve()}?mode=ro", uri=True, isolation_level=None)
    saved: dict[str, int] = {}
    try:
        try:
            tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{source}: nothing can be read, its first page is damaged: {error}") from error
        with Store(target) as store:
            for table in TABLES:
                if table in tables and table != "claims":
                    saved[table] = _copy(base, store, table)
    finally:
        base.close()
    return saved


def _copy(base: sqlite3.Connection, store: Store, table: str) -> int:
    before = store.ask(f"SELECT count(*) FROM {table}")[0][0]
    width = len(store.ask(f"PRAGMA table_info({table})"))
    marks = ", ".join("?" * width)
    with store.writing() as target:
        for row in _readable(base, table):
            padded = (*row, *[None] * (width - len(row)))
            with contextlib.suppress(sqlite3.IntegrityError):  # a value that a damaged page lost
                target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", padded)
    return int(store.ask(f"SELECT count(*) FROM {table}")[0][0]) - int(before)


def _readable(base: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that can be read, skipping ranges of rowids that cannot."""
    low = 0
    top = 1 << 40
    for way in ("DESC", "ASC"):
        try:
            rows = base.execute(
                f"SELECT rowid FROM {table} NOT INDEXED ORDER BY rowid {way} LIMIT 1"
            ).fetchall()
        except sqlite3.DatabaseError:
            continue
        if not rows:
            return
        if way == "DESC":
            top = rows[0][0]
        else:
            low = rows[0][0]
    waiting = [(low, top)]
    while waiting:
        first, last = waiting.pop()
        try:
            yield from base.execute(
                f"SELECT * FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ? ORDER BY rowid", (first, last)
            ).fetchall()
        except sqlite3.DatabaseError:
            if first < last:
                middle = (first + last) // 2
                waiting += [(middle + 1, last), (first, middle)]
