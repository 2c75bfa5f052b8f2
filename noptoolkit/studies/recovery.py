"""A damaged store: everything that can still be read, in a new file."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from noptoolkit.errors import FormatError, NopWarning
from noptoolkit.studies.schema import TABLES
from noptoolkit.studies.store import Store, StoreError

__all__ = ["recover"]

PAGE = 4096
"""Bytes of a page of a store: SQLite's own choice since 2016."""


def recover(damaged: str | Path, new: str | Path) -> dict[str, int]:
    """Write what can be read of a damaged store to a new one.

    Rows are read in the order of the file; where a page is damaged, the rows on it are skipped. Where the
    first page is damaged, which says where each table begins, that of an empty store stands in: a store makes
    its tables in one order, so that each begins on the same page in all of them.

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
        If nothing can be read.
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
    with TemporaryDirectory() as folder:
        base = _opened(source)
        first = _tables(base)
        if first is None:
            base.close()
            base = _opened(_with_first_page(source, Path(folder)))
            first = _tables(base)
            warnings.warn(
                f"{source}: its first page is damaged; that of an empty store stands in",
                NopWarning,
                stacklevel=2,
            )
        saved: dict[str, int] = {}
        try:
            with Store(target) as store:
                for table in TABLES:
                    if table in (first or ()) and table != "claims":
                        saved[table] = _copy(base, store, table)
        finally:
            base.close()
    if not any(saved.values()):
        for ending in ("", "-wal", "-shm"):
            Path(f"{target}{ending}").unlink(missing_ok=True)
        raise StoreError(f"{source}: nothing can be read: no row of a store was found in it")
    return saved


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True, isolation_level=None)


def _tables(base: sqlite3.Connection) -> set[str] | None:
    """Return the tables of a store, or ``None`` where the first page does not say."""
    try:
        rows = base.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.DatabaseError:
        return None
    return {name for name, _ in rows} & set(TABLES) or None


def _with_first_page(source: Path, folder: Path) -> Path:
    """Return a copy of a file whose first page is that of an empty store.

    Offsets of the header are those of https://www.sqlite.org/fileformat2.html#the_database_header.
    """
    fresh, copied = folder / "fresh.db", folder / "copied.db"
    with Store(fresh) as store:
        store.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    page = bytearray(fresh.read_bytes()[:PAGE])
    size = source.stat().st_size
    page[28:32] = (size // PAGE).to_bytes(4, "big")  # pages of the file
    page[32:40] = bytes(8)  # no list of free pages
    shutil.copyfile(source, copied)
    with copied.open("r+b") as file:
        file.write(page)
    log = Path(f"{source}-wal")
    if log.is_file():
        shutil.copyfile(log, f"{copied}-wal")
    return copied


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
