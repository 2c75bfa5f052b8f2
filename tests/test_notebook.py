"""What values show in a notebook and in a terminal, asked the way IPython's formatters ask."""

import subprocess
import sys
from xml.etree import ElementTree

import pytest

import noptoolkit as nop
from noptoolkit._pictures import picture_of
from noptoolkit.scheduling import TaskGraphBuilder, schedule_graph
from noptoolkit.tables import html_table, text_table

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def square() -> nop.Package:
    return nop.topology.mesh(2)


def test_package_draws_its_nodes_and_no_figure_stays_open(square: nop.Package) -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    picture = ElementTree.fromstring(square._repr_svg_())
    assert picture.tag == f"{SVG}svg"
    assert len(list(picture.iter(f"{SVG}path"))) > len(square.nodes) + len(square.links)
    assert plt.get_fignums() == before


def test_flow_draws_its_loads(square: nop.Package) -> None:
    flow = nop.congestion(square, nop.traffic.all_to_all(square, "1 MB"), routing="dor")
    picture = flow._repr_svg_()
    assert ElementTree.fromstring(picture).tag == f"{SVG}svg"
    assert picture != square._repr_svg_()


def test_same_value_same_picture(square: nop.Package) -> None:
    assert square._repr_svg_() == nop.topology.mesh(2)._repr_svg_()


def test_a_type_that_nobody_draws_has_no_picture() -> None:
    assert picture_of(object()) is None


def test_comparison_is_a_table_in_html_and_in_text() -> None:
    result = nop.compare(["mesh-4x4"], ["olmoe-1b-7b"], allocator="contiguous", routing="ecmp")
    shown = result._repr_html_()
    head, rows = result.cells("olmoe-1b-7b")
    table = ElementTree.fromstring(shown)
    assert [cell.text or "" for cell in table.iter("th")][: len(head)] == head
    assert len(list(table.iter("tr"))) == len(rows) + 1
    assert table.findtext("caption") == result.title("olmoe-1b-7b")
    assert "mesh-4x4" in str(result)


def test_schedule_is_a_table_with_its_notes() -> None:
    tasks = TaskGraphBuilder()
    tasks.add(2.0, "pe", after=[tasks.add(3.0, "dram", kind="load")])
    plan = schedule_graph(tasks.build())
    table = ElementTree.fromstring(f"<div>{plan._repr_html_()}</div>")
    assert table.findtext("table/caption") == repr(plan)
    assert [note.text for note in table.iter("p")] == plan.notes()
    assert ["makespan", "5 s", ""] in [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_resilience_is_a_table_with_its_notes(square: nop.Package) -> None:
    after = nop.resilience(square, nop.traffic.all_to_all(square, "1 MB"), routing="ecmp")
    table = ElementTree.fromstring(f"<div>{after._repr_html_()}</div>")
    assert (table.findtext("table/caption") or "").startswith(repr(after))
    assert [note.text for note in table.iter("p")] == after.notes()
    assert len(list(table.iter("tr"))) == 5


def test_profile_of_a_package_is_a_table(square: nop.Package) -> None:
    from noptoolkit.physical.profiles import profile

    shown = profile(square)._repr_html_()
    assert ElementTree.fromstring(f"<div>{shown}</div>").findtext("table/caption") == square.name


def test_html_is_the_text_table_escaped() -> None:
    head, rows = ["link", "load"], [["a->b", "<3 GB & more>"]]
    table = ElementTree.fromstring(html_table(head, rows, title="a < b"))
    cells = [[cell.text for cell in row] for row in table.iter("tr")]
    assert cells == [head, *rows]
    assert "<3 GB & more>" in text_table(head, rows)


def test_notes_stand_below_the_table() -> None:
    assert html_table(["x"], [["1"]], notes=["a & b"]).endswith("</table>\n<p>a &amp; b</p>")


def test_pictures_are_known_without_importing_matplotlib() -> None:
    code = (
        "import sys, noptoolkit.package; from noptoolkit._pictures import _artists, picture_of;"
        "print(len(_artists) == 1 and picture_of(1.0) is None, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_without_anywidget_the_picture_stands_in(monkeypatch):
    import sys

    from noptoolkit.notebook import explore

    mesh = nop.topology.mesh(2)
    assert explore(mesh).html.count("data-n=") == 4
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert explore(mesh)._repr_svg_().startswith("<?xml")
