"""The store: filters, versions, damage."""

import os
import random
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from noptoolkit.errors import FormatError, NopError, NopWarning, UnknownNameError
from noptoolkit.metrics import METRICS
from noptoolkit.studies import (
    Store,
    StoreError,
    diff_studies,
    export_table,
    recover,
    study_frame,
    study_table,
)
from noptoolkit.studies.evaluation import Evaluation
from noptoolkit.studies.filters import filter_of
from noptoolkit.studies.schema import VERSION
from noptoolkit.tables import Missing

OLD = Path(__file__).parent / "store-1.sql"


def filled(store: Store, count: int, study: str = "study", factor: float = 1.0) -> None:
    rng = random.Random(1)
    points = [
        (f"{study}{i:07d}", {"params.rows": i % 7, "params.link_bandwidth": f"{i} GB/s"})
        for i in range(count)
    ]
    store.add_points(study, points)
    chosen = {name: METRICS[name] for name in ("step", "links", "bottleneck")}
    for key, _ in points:
        values = {"step": factor * rng.random(), "links": rng.randrange(100), "bottleneck": "a->b"}
        store.save(Evaluation(key, values), chosen, "")


def test_filters_and_order_agree_with_python() -> None:
    with Store(None) as store:
        filled(store, 200)
        everything = study_table(store).records()
        found = study_table(
            store, where=["step < 500 ms", "params.link_bandwidth >= 0.05 TB/s"], sort="step", descending=True
        ).records()
    bandwidth = {f"{i} GB/s": i for i in range(200)}
    wanted = [
        row
        for row in everything
        if row["step"] < 0.5 and bandwidth[row["params.link_bandwidth"]] >= 50  # type: ignore[operator, index]
    ]
    wanted.sort(key=lambda row: -row["step"])  # type: ignore[operator]
    assert found == wanted
    assert found


def test_values_come_back_as_they_were() -> None:
    values = {"step": 0.1 + 0.2, "links": 12, "bottleneck": "a->b", "wire_length": Missing("no positions")}
    with Store(None) as store:
        store.add_points("study", [("k", {})])
        store.save(Evaluation("k", dict(values)), {name: METRICS[name] for name in values}, "")
        assert store.values("k") == values
        assert isinstance(store.values("k")["links"], int)
        assert store.metrics()["step"][1] == "s"


def test_two_studies_are_compared() -> None:
    with Store(None) as store:
        filled(store, 20, "a")
        filled(store, 21, "b", factor=2.0)
        table = diff_studies(store, "a", "b")
    records = table.records()
    ratios = [row["ratio"] for row in records if row["metric"] == "step"]
    assert ratios == pytest.approx([2.0] * 20)
    assert [row["first"] for row in records if row["metric"] == ""] == ["no point"]


def test_wrong_filters_get_the_nearest_name() -> None:
    with Store(None) as store:
        filled(store, 3)
        with pytest.raises(UnknownNameError, match="did you mean 'step'"):
            study_table(store, where=["stp < 1"])
        with pytest.raises(UnknownNameError, match="did you mean 'links'"):
            study_table(store, sort="link")
        with pytest.raises(FormatError, match="write it like"):
            study_table(store, where=["step; DROP TABLE points"])
        with pytest.raises(FormatError, match="step is in s, which '1 kg' is not"):
            study_table(store, where=["step < 1 kg"])
        with pytest.raises(UnknownNameError, match="no study 'studi'"):
            study_table(store, "studi")
    with pytest.raises(FormatError, match="mine is in B/s, which '1 ms' is not"):
        filter_of("mine > 1 ms", {"mine": "B/s"})  # a metric of one's own


def test_tables_leave_as_csv_json_and_frames(tmp_path: Path) -> None:
    with Store(None) as store:
        filled(store, 5)
        table = study_table(store)
    export_table(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[0].split(",")[3] == "step [s]"
    export_table(table, tmp_path / "a.json")
    with pytest.raises(FormatError, match=r"write \.csv"):
        export_table(table, tmp_path / "a.xls")
    pandas = pytest.importorskip("pandas")
    assert isinstance(study_frame(table), pandas.DataFrame)


def test_parquet_keeps_values_and_units(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with Store(None) as store:
        filled(store, 5)
        table = study_table(store)
    export_table(table, tmp_path / "a.parquet")
    read = parquet.read_table(tmp_path / "a.parquet")
    assert read.column("step").to_pylist() == [row["step"] for row in table.records()]
    assert read.schema.field("step").metadata[b"unit"] == b"s"


def test_the_previous_version_is_opened_and_brought_up_to_date(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    base = sqlite3.connect(file)
    base.executescript(OLD.read_text())
    base.close()
    with Store(file) as store:
        assert store.ask("PRAGMA user_version") == [(VERSION,)]
        assert study_table(store).records()[0]["links"] == 4
        filled(store, 2, "more")
    with Store(file) as store:
        assert store.studies() == {"study": 1, "more": 2}


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to be looked at " * 40)
    with pytest.raises(StoreError, match="no store"):
        Store(text)
    other = tmp_path / "other.db"
    base = sqlite3.connect(other)
    base.execute("CREATE TABLE a (b)")
    base.close()
    with pytest.raises(StoreError, match="no store of studies"):
        Store(other)
    later = tmp_path / "later.db"
    Store(later).close()
    base = sqlite3.connect(later)
    base.execute(f"PRAGMA user_version = {VERSION + 1}")
    base.close()
    with pytest.raises(StoreError, match="update it"):
        Store(later)
    with pytest.raises(StoreError, match="no such store"):
        Store(tmp_path / "none.db", create=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to everything")
def test_a_read_only_store_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    with Store(file) as store:
        filled(store, 1)
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StoreError, match="cannot be written to"), Store(file) as store:
            filled(store, 2)
    finally:
        tmp_path.chmod(0o755)


def test_a_full_disk_is_told_and_finished_points_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        filled(store, 20)
        [(pages,)] = store.ask("PRAGMA page_count")
        store.ask(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to run out of room
        with pytest.raises(StoreError, match="finished points are kept; make room"):
            filled(store, 4000, "more")
    with Store(tmp_path / "a.db") as store:
        assert len(study_table(store, "study")) == 20


def read_all(file: Path, keys: Iterable[str]) -> None:
    with Store(file) as store:
        study_table(store, where=["step < 1"])
        for key in keys:
            store.values(key)


def test_a_damaged_store_is_told_and_recovered(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    with Store(file) as store:
        filled(store, 400)
        store.ask("PRAGMA wal_checkpoint(TRUNCATE)")
        before = {row[0]: store.values(row[0]) for row in store.ask("SELECT key FROM evaluations")}
    data = bytearray(file.read_bytes())
    page = 4096
    for number in (len(data) // page // 2, len(data) // page // 3):
        data[number * page : (number + 1) * page] = os.urandom(page)
    file.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="--recover"):
        read_all(file, before)
    saved = recover(file, tmp_path / "new.db")
    assert saved["evaluations"] >= 300
    with Store(tmp_path / "new.db") as store:
        for (key,) in store.ask("SELECT key FROM evaluations"):
            found = store.values(key)
            assert found.items() <= before[key].items()
    with pytest.raises(FormatError, match="exists already"):
        recover(file, tmp_path / "new.db")


def test_claims_of_the_dead_are_taken_over() -> None:
    with Store(None) as store:
        with store.writing() as base:
            base.execute(
                "INSERT INTO claims VALUES ('a', ?, ?)",
                (f"{store.owner.split(':')[0]}:999999999:0", time.time()),
            )
            base.execute("INSERT INTO claims VALUES ('b', 'elsewhere:1:0', ?)", (time.time(),))
            base.execute("INSERT INTO claims VALUES ('c', 'elsewhere:1:0', 0)")
        store.release_abandoned()
        assert store.claim(["a", "b", "c"]) == ["a", "c"]


def test_a_store_without_studies_says_so() -> None:
    with Store(None) as store, pytest.raises(NopError, match="no study yet"):
        study_table(store)


@pytest.mark.parametrize("how", ["random", "zero", "tables"])
def test_a_damaged_first_page_is_told_and_the_rest_recovered(tmp_path: Path, how: str) -> None:
    file = tmp_path / "a.db"
    with Store(file) as store:
        filled(store, 60)
        store.ask("PRAGMA wal_checkpoint(TRUNCATE)")
        before = study_table(store).records()
    data = bytearray(file.read_bytes())
    first, last = (100, 3000) if how == "tables" else (0, 4096)
    data[first:last] = bytes(last - first) if how == "zero" else random.Random(1).randbytes(last - first)
    file.write_bytes(data)
    with pytest.raises(StoreError, match="--recover"):
        read_all(file, [])
    with pytest.warns(NopWarning, match="its first page is damaged"):
        saved = recover(file, tmp_path / "new.db")
    assert (saved["evaluations"], saved["points"], saved["results"]) == (60, 60, 180)
    with Store(tmp_path / "new.db") as store:
        assert study_table(store).records() == before


def test_what_holds_no_row_is_not_recovered(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.write_bytes(random.Random(2).randbytes(40_000))
    with pytest.warns(NopWarning), pytest.raises(StoreError, match="nothing can be read"):
        recover(file, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_store_may_be_read_only(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        filled(store, 3)
    with Store(tmp_path / "a.db", read_only=True) as store:
        assert len(study_table(store)) == 3
        with pytest.raises(StoreError, match="cannot be written to"):
            filled(store, 1, "more")
    with pytest.raises(StoreError, match="no such store"):
        Store(tmp_path / "b.db", read_only=True)
