"""The store of studies: one SQLite file that several processes write to at once.

Every evaluation is a transaction of its own in the write-ahead log (WAL): what is finished stays, whenever
the process is killed. An evaluation is kept once, by the digest of its point; studies name the evaluations
that they are made of.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from noptoolkit._version import __version__
from noptoolkit.allocation import Allocation
from noptoolkit.errors import NopError
from noptoolkit.limits import current
from noptoolkit.metrics import Metric
from noptoolkit.studies.evaluation import Evaluation, Value
from noptoolkit.studies.quantities import as_number
from noptoolkit.studies.schema import INDICES, MIGRATIONS, TABLES, VERSION
from noptoolkit.studies.space import Point
from noptoolkit.tables import Missing

__all__ = ["Store", "StoreError", "stored_table", "stored_value"]

APPLICATION = 0x4E4F5053  # "NOPS", in the header of the file
PATIENCE = 60.0
"""How long a process waits for another one's transaction, in s."""

FEW = 500
"""Keys that a query names; of more, all rows are read."""

ABANDONED = 3600.0
"""After how long a claim of another machine counts as abandoned, in s."""


class StoreError(NopError):
    """A store that cannot be read or written."""


class Store:
    """A store of evaluations.

    Parameters
    ----------
    path
        File; made where it is missing. ``None`` keeps everything in memory.
    create
        Whether a missing file is made; it is an error otherwise.
    read_only
        Whether the store is only read, so that it may lie where nothing can be written.

    Raises
    ------
    StoreError
        If the file is damaged, no store, read-only, or of a later version.

    Examples
    --------
    >>> with Store(None) as store:
    ...     store.studies()
    {}
    """

    def __init__(self, path: str | Path | None, *, create: bool = True, read_only: bool = False) -> None:
        self.path = None if path is None else Path(path)
        self._lock = threading.RLock()
        self._depth = 0
        self.read_only = read_only
        if self.path is not None and not (create and not read_only) and not self.path.is_file():
            raise StoreError(f"{self.path}: no such store")
        if self.path is not None and not self.path.parent.is_dir():
            raise StoreError(f"{self.path}: no folder {str(self.path.parent)!r} to put the store in")
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{time.time():.3f}"
        with self._told():
            self._base = self._connected()
        try:
            with self._told():
                self._open(create=create and not read_only)
        except BaseException:
            self._base.close()
            raise

    def __repr__(self) -> str:
        return f"Store({'in memory' if self.path is None else str(self.path)!r})"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the claims of this process and close the file."""
        with suppress(sqlite3.Error):  # a file that cannot be written to holds no claim that matters
            self._base.execute("DELETE FROM claims WHERE owner = ?", (self.owner,))
        self._base.close()

    def studies(self) -> dict[str, int]:
        """Return the number of points of each study, but of those whose names begin with a dot."""
        rows = self.ask("SELECT study, count(*) FROM points GROUP BY study")
        return {name: int(count) for name, count in rows if not str(name).startswith(".")}

    def metrics(self) -> dict[str, tuple[str, str, str, str]]:
        """Return title, unit, better direction and meaning of each metric that is stored."""
        rows = self.ask("SELECT name, title, unit, better, meaning FROM metrics")
        return {str(row[0]): (str(row[1]), str(row[2]), str(row[3]), str(row[4])) for row in rows}

    def ask(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._told(), self._lock:
            return self._base.execute(query, values).fetchall()

    def add_points(self, study: str, points: Iterable[tuple[str, Point]]) -> None:
        """Name the points of a study, in their order; those that it has stay."""
        [(start,)] = self.ask("SELECT coalesce(max(position), -1) + 1 FROM points WHERE study = ?", (study,))
        with self.writing() as base:
            for position, (key, point) in enumerate(points, start=int(start)):
                base.execute(
                    "INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?)",
                    (study, position, key, json.dumps(point, default=_shown)),
                )
                base.executemany(
                    "INSERT OR IGNORE INTO settings VALUES (?, ?, ?, ?)",
                    [(key, name, as_number(value), _word(value)) for name, value in point.items()],
                )

    def known(self, keys: Iterable[str]) -> dict[str, tuple[str, str, str, frozenset[str]]]:
        """Return status, version, layout's key and names of the results of the keys that are stored."""
        wanted = list(dict.fromkeys(keys))
        few = len(wanted) <= FEW
        which = f" WHERE key IN ({', '.join('?' * len(wanted))})" if few else ""
        given = wanted if few else ()
        asked = set(wanted)
        found = {
            key: (status, version, layout_key or "")
            for key, status, version, layout_key in self.ask(
                f"SELECT key, status, version, layout_key FROM evaluations{which}", given
            )
            if key in asked
        }
        names: dict[str, set[str]] = {key: set() for key in found}
        for key, name in self.ask(f"SELECT key, name FROM results{which}", given):
            if key in names:
                names[key].add(name)
        return {key: (*state, frozenset(names[key])) for key, state in found.items()}

    def save(self, found: Evaluation, metrics: Mapping[str, Metric], layout: str) -> None:
        """Store an evaluation, or add its metrics to those that are there, in one transaction."""
        status = "failed" if found.error else "done"
        record = found.record
        with self.writing() as base:
            base.execute(
                """INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET status = excluded.status, error = excluded.error,
                cpu = cpu + excluded.cpu,
                layout_key = coalesce(nullif(excluded.layout_key, ''), layout_key)""",
                (
                    found.key,
                    status,
                    found.error,
                    json.dumps(record, default=_shown),
                    record.get("package_digest"),
                    record.get("workload_digest"),
                    str(record.get("seed", "")),
                    __version__,
                    found.layout_key,
                    layout,
                    found.cpu,
                    "\n".join(found.warnings),
                ),
            )
            for name, value in found.values.items():
                base.execute(
                    "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", _row(found.key, name, value)
                )
            for name, metric in metrics.items():
                base.execute(
                    "INSERT OR IGNORE INTO metrics VALUES (?, ?, ?, ?, ?)",
                    (name, metric.title, metric.unit, metric.better, metric.meaning),
                )
            for name, body in found.artefacts.items():
                base.execute("INSERT OR REPLACE INTO artefacts VALUES (?, ?, ?)", (found.key, name, body))
            base.execute("DELETE FROM claims WHERE key = ?", (found.key,))

    def values(self, key: str) -> dict[str, Value]:
        """Return the metrics of an evaluation."""
        rows = self.ask("SELECT name, number, text, missing FROM results WHERE key = ?", (key,))
        return {name: value_of(number, text, missing) for name, number, text, missing in rows}

    def outcome(self, key: str) -> tuple[str, dict[str, Any]]:
        """Return the error (or nothing) and the record of an evaluation."""
        [(error, record)] = self.ask("SELECT error, record FROM evaluations WHERE key = ?", (key,))
        return str(error or ""), stored_table(record)

    def artefact(self, key: str, name: str) -> Any:
        """Return what was kept of an evaluation besides its metrics.

        Raises
        ------
        StoreError
            If nothing of this name was kept.
        """
        rows = self.ask("SELECT body FROM artefacts WHERE key = ? AND name = ?", (key, name))
        if not rows:
            raise StoreError(f"{self!r}: no {name!r} was kept of {key[:12]}; sweep with artefacts=[{name!r}]")
        return stored_value(rows[0][0])

    def save_layouts(self, layouts: Mapping[str, Allocation]) -> None:
        """Store layouts by the digest of what they depend on."""
        with self.writing() as base:
            for key, layout in layouts.items():
                base.execute("INSERT OR IGNORE INTO layouts VALUES (?, ?)", (key, _packed_layout(layout)))

    def layouts(self, keys: Iterable[str]) -> dict[str, Allocation]:
        """Return the layouts that are stored under some keys."""
        found = {}
        for key in set(keys):
            for (body,) in self.ask("SELECT body FROM layouts WHERE key = ?", (key,)):
                found[key] = _unpacked_layout(body)
        return found

    def layout_note(self, key: str) -> str:
        """Return in words which layout a point had; empty where none was asked for."""
        rows = self.ask("SELECT layout FROM evaluations WHERE key = ?", (key,))
        return str(rows[0][0] or "") if rows else ""

    def fixed_layouts(self) -> list[Allocation]:
        """Return the layouts that all points of a study share."""
        rows = self.ask("SELECT body FROM layouts WHERE key LIKE 'fixed %'")
        return [_unpacked_layout(body) for (body,) in rows]

    def claim(self, keys: Sequence[str]) -> list[str]:
        """Return those keys that this process may evaluate: no other one is at them."""
        with self.writing() as base:
            mine = []
            for key in keys:
                done = base.execute(
                    "INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", (key, self.owner, time.time())
                )
                if done.rowcount:
                    mine.append(key)
            return mine

    def release(self, keys: Iterable[str]) -> None:
        """Give up claims of this process."""
        with self.writing() as base:
            base.executemany(
                "DELETE FROM claims WHERE key = ? AND owner = ?", [(key, self.owner) for key in keys]
            )

    def release_abandoned(self) -> None:
        """Delete the claims of processes that are no more."""
        for key, owner, since in self.ask("SELECT key, owner, since FROM claims"):
            if owner != self.owner and _is_gone(owner, float(since)):
                with self.writing() as base:
                    base.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))

    def _connected(self) -> sqlite3.Connection:
        if self.path is None:
            return _connect(":memory:")
        if not self.read_only:
            return _connect(self.path)
        place = f"{self.path.resolve().as_uri()}?mode=ro"
        base = _connect(place, uri=True)
        try:
            base.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.OperationalError:  # no log can be made beside it: read the file as it is
            base.close()
            log = Path(f"{self.path}-wal")
            if log.is_file() and log.stat().st_size:
                raise  # finished points are in the log
            base = _connect(f"{place}&immutable=1", uri=True)
        return base

    def _open(self, *, create: bool) -> None:
        base = self._base
        [(application,)] = base.execute("PRAGMA application_id").fetchall()
        [(version,)] = base.execute("PRAGMA user_version").fetchall()
        [(tables,)] = base.execute("SELECT count(*) FROM sqlite_master").fetchall()
        if tables and application != APPLICATION:
            raise StoreError(f"{self.path}: an SQLite file, but no store of studies")
        if not tables and not create:
            raise StoreError(f"{self.path}: empty, and no store of studies")
        if version > VERSION:
            raise StoreError(
                f"{self.path}: of version {version} of the tables, this toolkit knows {VERSION}; update it"
            )
        if self.read_only:
            if tables and version < VERSION:
                raise StoreError(f"{self.path}: of version {version} of the tables; open it once for writing")
            return
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        if version == VERSION:
            return
        with self.writing():
            [(version,)] = base.execute(
                "PRAGMA user_version"
            ).fetchall()  # another process may have been first
            if not version:
                for statement in (*TABLES.values(), *INDICES):
                    base.execute(statement)
                base.execute(f"PRAGMA application_id = {APPLICATION}")
            for step in range(version or VERSION, VERSION):
                for statement in MIGRATIONS[step]:
                    base.execute(statement)
            base.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hold a transaction: all of what is written in it is stored, or nothing."""
        with self._told(), self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite says into one message with a way out."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeError) as error:
            raise StoreError(_message(self.path, error)) from error


def _connect(place: str | Path, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(place, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=uri)


def stored_value(body: str | bytes) -> Any:
    """Return the value of stored JSON, packed or not.

    Raises
    ------
    StoreError
        If it is damaged, or unpacks to more than the limit of tables.
    """
    try:
        if isinstance(body, bytes):
            unpack, most = zlib.decompressobj(), current().table_bytes
            body = unpack.decompress(body, most)
            if unpack.unconsumed_tail:
                raise StoreError(f"a stored value unpacks to more than {most:,} B (table_bytes)")
        return json.loads(body)
    except (ValueError, TypeError, RecursionError, zlib.error) as error:
        raise StoreError(
            f"a stored value is damaged ({str(error)[:80]}); the store cannot be trusted"
        ) from None


def stored_table(body: str | bytes) -> dict[str, Any]:
    """Return the table of stored JSON; see `stored_value`."""
    found = stored_value(body)
    if not isinstance(found, dict):
        raise StoreError("a stored table is damaged; the store cannot be trusted")
    return found


def value_of(number: float | None, text: str | None, missing: str | None) -> Value:
    """Return the value of a stored result; whole numbers come back as such."""
    if missing is not None:
        return Missing(missing)
    if text is None:
        return float("nan") if number is None else number
    return text if number is None else int(text)


def _row(key: str, name: str, value: Value) -> tuple[Any, ...]:
    if isinstance(value, Missing):
        return key, name, None, None, value.reason
    if isinstance(value, str):
        return key, name, None, value, None
    if isinstance(value, int) and not isinstance(value, bool):
        return key, name, float(value), str(value), None
    return key, name, float(value), None, None


def _message(path: Path | None, error: Exception) -> str:
    said = str(error)
    if "readonly" in said or "unable to open" in said:
        way = "it cannot be written to; copy it, or change its permissions and those of its folder"
    elif "full" in said or "disk I/O" in said:
        way = "finished points are kept; make room on the disk and run the same command again"
    elif "locked" in said or "busy" in said:
        way = "another process holds it; finished points are kept, run the same command again"
    elif "not a database" in said:
        way = (
            "it is no store, or its first page is damaged: "
            f"noptoolkit results {path} --recover NEW reads the others"
        )
    else:
        way = f"it is damaged; noptoolkit results {path} --recover NEW saves what can be read"
    return f"{path or 'store in memory'}: {said}: {way}"


def _is_gone(owner: str, since: float) -> bool:
    host, pid, _ = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return time.time() - since > ABANDONED
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()  # an earlier store of this process that was not closed


def _packed_layout(layout: Allocation) -> bytes:
    content = {
        "experts": layout.experts,
        "chiplet_of_expert": layout.chiplet_of_expert.tolist(),
        "groups": layout.groups,
        "method": layout.method,
        "replicas": layout.replicas.tolist(),
        "choice": layout.choice,
    }
    return zlib.compress(json.dumps(content).encode())


def _unpacked_layout(body: bytes) -> Allocation:
    content = stored_table(body)
    content["experts"] = tuple(content["experts"])
    layers = len(content["chiplet_of_expert"])
    content["replicas"] = np.array(content["replicas"], np.int64).reshape(layers, -1, 2)  # there may be none
    return Allocation(**content)


def _shown(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    return getattr(value, "name", None) or str(value)


def _word(value: Any) -> str:
    return (
        value if isinstance(value, str) else str(_shown(value)) if not _simple(value) else json.dumps(value)
    )


def _simple(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | list | tuple)
