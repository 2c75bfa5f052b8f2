"""Tables as values: what they hold, and how they print."""

import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit.tables import Amount, Column, Missing, Table, text_table, value_text


@pytest.fixture
def sizes() -> Table:
    return Table(
        [
            Column("package", ""),
            Column("step", unit="s", meaning="makespan"),
            Column("wire_length", "wire length", unit="m"),
            Column("bottleneck"),
            Column("seed", shown=False),
        ],
        [
            ["mesh-4x4-in-network", np.float64(0.25), Missing("no positions"), "attn->e0", 0],
            ["tree", 0.125, 1.5, "root", np.int64(3)],
        ],
        title="two packages",
        notes=["synthetic routing"],
    )


def test_values_keep_their_type_and_units_stand_in_the_heading(sizes: Table) -> None:
    assert [type(value) for value in sizes.rows[0]] == [str, float, Missing, str, int]
    first, second = csv.DictReader(io.StringIO(sizes.csv()))
    assert float(first["step [s]"]) == 0.25
    assert first["wire_length [m]"] == ""
    assert first["remarks"] == "wire_length: no positions"
    assert float(second["wire_length [m]"]) == 1.5
    assert second["remarks"] == ""
    assert second["seed"] == "3"


def test_json_has_numbers_and_says_what_they_are(sizes: Table) -> None:
    data = json.loads(sizes.json())
    assert data["rows"][0]["step"] == 0.25
    assert data["rows"][0]["wire_length"] is None
    assert data["columns"][1] == {"key": "step", "title": "step", "unit": "s", "meaning": "makespan"}
    assert data["notes"] == ["synthetic routing"]
    assert Table(["x"], [[math.inf], [math.nan]]).as_json()["rows"] == [{"x": None}, {"x": None}]


def test_text_stands_left_and_numbers_right(sizes: Table) -> None:
    assert sizes.is_text() == [True, False, False, True]
    lines = sizes.text().splitlines()
    assert lines[0] == "two packages"
    assert lines[-1] == "synthetic routing"
    assert lines[3].split() == ["mesh-4x4-in-network", "250", "ms", "no", "positions", "attn->e0"]
    assert lines[1].index("bottleneck") == lines[3].index("attn->e0") == lines[4].index("root")
    assert lines[3].index("ms") == lines[4].index("ms")
    shown = sizes.html()
    assert '<td style="text-align: left">root</td>' in shown
    assert '<td style="text-align: right">125 ms</td>' in shown
    assert '<th title="makespan"' in shown or 'title="makespan"' in shown


def test_amounts_have_units_of_their_own() -> None:
    table = Table(["what", "value"], [["makespan", Amount(0.2, "s")], ["gap", Amount(0.013, form=".2f %")]])
    assert table.cells()[1] == [["makespan", "200 ms"], ["gap", "1.30 %"]]
    assert table.records()[0] == {"what": "makespan", "value": 0.2, "unit": "s"}
    assert table.records()[1]["unit"] == ""


def test_sideways_has_a_line_per_column_and_sections_are_tables_of_their_own(sizes: Table) -> None:
    turned = Table(sizes.columns, sizes.rows, "two packages", sizes.notes, ["a: one", "b: two"], True)
    head, body = turned.cells()
    assert head == ["", "mesh-4x4-in-network", "tree"]
    assert [row[0] for row in body] == ["step", "wire length", "bottleneck"]
    text = turned.text()
    assert text.index("a: one") < text.index("mesh-4x4") < text.index("b: two") < text.index("tree")
    assert text.endswith("synthetic routing")
    assert turned.html().count("<table>") == 2
    assert turned.records() == sizes.records()


def test_a_narrow_screen_wraps_headings_titles_and_remarks_but_no_number() -> None:
    names = [f"package-number-{i}-in-network" for i in range(6)]
    rows = [[name, 1.5e-3 * (i + 1)] for i, name in enumerate(names)]
    turned = Table([Column("package", ""), Column("step", unit="s")], rows, "word " * 30, sideways=True)
    assert max(map(len, turned.text(80).splitlines())) <= 80
    for i in range(6):
        assert f"{1.5 * (i + 1):g} ms" in turned.text(80)
    assert turned.text(None).count("\n") == 3
    long = Table(["name", "remark"], [["a", "some words and more " * 10]])
    assert max(map(len, long.text(60).splitlines())) <= 60
    assert " ".join(long.text(60).split()).count("some words and more") == 10


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="one key"):
        Table(["a", "a"], [])
    with pytest.raises(ValueError, match="2 columns, but a row of 1"):
        Table(["a", "b"], [[1]])
    with pytest.raises(ValueError, match="sections"):
        Table(["a"], [[1]], sections=["x", "y"])


def test_an_empty_table_prints_its_heading() -> None:
    assert Table(["lost", Column("time", unit="s")], []).text() == "lost  time\n----  ----"
    assert Table(["lost", Column("time", unit="s")], []).csv() == "lost,time [s]\n"


@given(st.lists(st.tuples(st.text("ab -", max_size=30), st.floats(0, 1e6)), min_size=1, max_size=5))
def test_numbers_come_back_from_csv_as_they_were(rows: list[tuple[str, float]]) -> None:
    table = Table(["name", Column("x", unit="B")], rows)
    read = list(csv.DictReader(io.StringIO(table.csv())))
    assert [float(row["x [B]"]) for row in read] == [value for _, value in rows]
    for width in (20, 80, None):
        assert table.text(width).splitlines()


def test_old_tables_of_text_still_print() -> None:
    assert text_table(["link", "load"], [["a", "3 GB"]]).splitlines()[2] == "a     3 GB"
    assert value_text(1_234_567) == "1,234,567"
