"""The one upgrade that pays most: against solving every candidate, and never above the best use."""

import json

import pytest
from typer.testing import CliRunner

import noptoolkit as nop
from noptoolkit.cli.application import app
from noptoolkit.errors import NopError
from noptoolkit.flow.widths.choices import choices_of
from noptoolkit.study import best_upgrade
from noptoolkit.study.best_upgrades import _candidates


def test_the_best_of_all_candidates_solved_one_by_one():
    run = nop.run("mozart-nop-tree", "stdlib-moe", allocator="contiguous")
    found = best_upgrade(run, "256 GB/s")
    choices = choices_of(run.package, "d2d")
    names, extras = _candidates(choices, 256e9)
    assert found.candidates == len(names)
    times = {}
    for name, extra in zip(names, extras, strict=True):
        wide = choices.widened(extra)
        assert wide.total_bandwidth == pytest.approx(run.package.total_bandwidth + 256e9)
        flows = (nop.congestion(wide, t) for t in (run.dispatch_traffic, run.combine_traffic))
        times[name] = sum(flow.time for flow in flows)
    assert found.time == pytest.approx(min(times.values()), rel=1e-3)
    assert times[found.what] == pytest.approx(found.time, rel=1e-3)
    assert found.best_use.time_bound <= found.time * (1 + 1e-6)
    assert found.tried <= found.candidates
    with pytest.raises(NopError, match="more than 0"):
        best_upgrade(run, "0 B/s")


def test_compare_what_if_on_the_command_line():
    words = ["compare", "mozart-nop-tree", "mesh-4x4", "--on", "stdlib-moe", "--allocator", "contiguous"]
    words += ["--metric", "all_to_all", "--what-if", "10 %", "--json"]
    rows = json.loads(CliRunner().invoke(app, words).stdout)["what_if"]["rows"]
    assert [row["package"] for row in rows] == ["mozart-nop-tree", "mesh-4x4"]
    assert all(row["time"] <= row["today"] and row["best_use"] <= row["time"] * 1.01 for row in rows)
