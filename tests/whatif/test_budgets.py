"""Budgets in bandwidth, die edge and cost, and the command line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from noptoolkit import topology, traffic
from noptoolkit.cli.application import app, main
from noptoolkit.errors import NopError
from noptoolkit.flow import best_widths
from noptoolkit.physical import TECHNOLOGIES, package_cost
from noptoolkit.whatif import budget_of, spend


def test_die_edge_is_bandwidth_over_density_at_both_ends():
    mesh = topology.mesh(4)
    demand = traffic.all_to_all(mesh, "1 MB")
    found = spend(mesh, demand, "4 mm")
    same = best_widths(mesh, demand, 4e-3 * TECHNOLOGIES["ucie-2d"].edge_density / 2)
    assert found.time == pytest.approx(same.time, rel=1e-9)
    assert found.spent == pytest.approx(4e-3)
    assert found.verify()
    finer = spend(mesh, demand, "4 mm", technology="ucie-2.5d")
    assert finer.time < found.time


def test_cost_is_measured_on_the_widened_package():
    mesh = topology.mesh(4)
    found = spend(mesh, traffic.all_to_all(mesh, "1 MB"), "cost 5")
    real = package_cost(found.package).total - package_cost(mesh).total
    assert real <= 5 * (1 + 1e-3)
    assert real >= 4.9
    assert found.time_bound <= found.time
    assert found.gap < 0.05


def test_a_share_is_one_of_the_links_that_join_dies():
    mesh = topology.mesh(3, link_bandwidth="1 GB/s")
    assert budget_of(mesh, "10 %").amount == pytest.approx(2.4e9)
    assert budget_of(mesh, 5e9).amount == 5e9
    assert (budget_of(mesh, "cost 1").price > 0).all()
    np.testing.assert_allclose(budget_of(mesh, "1 GB/s").price, 1.0)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("nan GB/s", "'nan GB/s' is not finite"),
        ("cost nan", "not finite"),
        ("inf %", "not finite"),
        ("4 GB", "edge .'4 mm'."),
        ("cost much", "write 'cost 5'"),
        ("ten %", "write '10 %'"),
        ("4", "edge"),
    ],
)
def test_budgets_that_are_none(budget, words):
    with pytest.raises(NopError, match=words):
        budget_of(topology.mesh(2), budget)


def run_command(*words):
    return CliRunner().invoke(app, ["what-if", *words])


def test_upgrade_spend_and_ladder_on_the_command_line(tmp_path):
    found = run_command("mesh-4x4", "--link", "e1<->e2", "--to", "256 GB/s", "--json", "-o", str(tmp_path))
    [table] = json.loads(found.stdout)["tables"]
    [row] = table["rows"]
    assert row["time"] == pytest.approx(100e-6, rel=1e-5)  # the four middle links become worth five
    assert row["forecast"] == pytest.approx(row["time"], rel=1e-6)  # inside the range of the price
    assert {path.name for path in tmp_path.iterdir()} == {
        "what-if-1.csv",
        "upgrade-1.png",
        "bandwidth-1.png",
    }
    found = run_command("mesh-4x4", "--spend", "512 GB/s", "--json")
    [table] = json.loads(found.stdout)["tables"]
    assert sum(row["spent"] for row in table["rows"]) <= 512e9 * (1 + 1e-9)
    found = run_command("mesh-4x4", "--rungs", "2", "--json")
    [table] = json.loads(found.stdout)["tables"]
    assert [row["rung"] for row in table["rows"]] == [1, 2]


def test_a_workload_on_the_command_line():
    options = ("--allocator", "contiguous", "--routing", "shortest")
    words = ("mesh-4x4", "--on", "stdlib-moe", *options, "--link", "attn<->e0", "--by", "-64 GB/s", "--json")
    found = run_command(*words, "--part", "attn", "--times", "4")
    tables = json.loads(found.stdout)["tables"]
    assert len(tables) == 4  # dispatch, combine, the step with the link, the step with the part
    assert "some links get less bandwidth than they have today" in tables[0]["notes"]
    assert tables[2]["rows"][1]["step"] > tables[2]["rows"][0]["step"]
    assert tables[3]["rows"][1]["package"] == "attn x 4"


@pytest.mark.parametrize(
    "words",
    [
        ("mesh-4x4", "--link", "e1->e2"),
        ("mesh-4x4", "--to", "1 GB/s"),
        ("mesh-4x4", "--step"),
        ("mesh-4x4", "--part", "links"),
    ],
)
def test_options_that_need_each_other(words):
    assert run_command(*words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mesh-4x4", "--link", "e1<->e22", "--to", "1 GB/s"), "did you mean 'e1->e2'"),
        (("mesh-4x4", "--link", "e1<->e2", "--to", "0 B/s"), "more than 0"),
        (("mesh-4x4", "--spend", "1 GB"), "a budget is bandwidth"),
    ],
)
def test_bad_input_is_one_line_without_a_traceback(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["what-if", *words])
    assert stopped.value.code == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
