"""Every script of the gallery runs, is short, and leaves pictures behind."""

import runpy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from noptoolkit.errors import NopWarning

LONG = (
    *("08_a_streaming_step", "10_scaling", "15_the_papers_table", "18_latency_against_load"),
    *("21_which_batch_loads_experts", "22_where_the_cache_lives", "26_the_best_package"),
    "27_found_packages",
)
ALL = sorted((Path(__file__).parents[2] / "gallery").glob("plot_*.py"))
SCRIPTS = [
    pytest.param(path, marks=pytest.mark.long if path.stem.endswith(LONG) else (), id=path.stem)
    for path in ALL
]
Names = dict[str, Any]


def _times(flows: Any) -> list[float]:
    return [flow.time for flow in flows]


def _three_degrees(names: Names) -> bool:
    return len(set(names["token"].topk.ravel() // 4)) == 6


def _tree_against_mesh(names: Names) -> bool:
    plain, fat, mesh = _times(names["uniform"])
    tree, no_copies, copies = _times(names["dispatches"])
    exact = {flow.status for flow in names["uniform"] + names["dispatches"]} == {"exact"}
    return exact and abs(plain / mesh - 3) < 1e-6 and fat < mesh and copies < tree < no_copies


def _transposed(names: Names) -> bool:
    dor, ecmp, best = _times(names["flows"])
    return abs(dor / best - 3) < 1e-6 and abs(ecmp / best - 1.25) < 1e-6


def _capped(names: Names) -> bool:
    found = {
        name: (one.c_t(names["fit"]), one.imbalance(names["fit"])) for name, one in names["layouts"].items()
    }
    beaten = all(a < b for a, b in zip(found["cap 1.1"], found["mozart"], strict=True))
    figures = [round(found["no cap"][0], 1), round(found["cap 1.02"][0], 1), round(found["no cap"][1], 2)]
    return beaten and figures == [5.3, 5.9, 1.37]


def _ablated(names: Names) -> bool:
    serial, overlap, copied, streaming = (plan.makespan for plan in names["plans"].values())
    return overlap < serial / 2 and copied < overlap / 2 and 0.94 < streaming / copied < 0.96


def _scaled(names: Names) -> bool:
    time = {key: flow.time for key, flow in names["flows"].items()}
    mesh, torus, tree = (
        [time[name, n] for n in (4, 32)] for name in ("mesh, X then Y", "torus, X then Y", "NoP-Tree")
    )
    slopes = all(
        480 < late / early < 700 for early, late in (mesh, torus, tree)
    )  # 64 to the power of 1.5 is 512
    return slopes and mesh[1] == 2 * torus[1] and 3 <= tree[0] / mesh[0] < tree[1] / mesh[1] < 4


def _degraded(names: Names) -> bool:
    worst = [round(100 * (loss.slowdown.max() - 1)) for loss in names["losses"]]
    return worst == [48, 38] and all(loss.slowdown.min() < 1.05 for loss in names["losses"])


def _levelled(names: Names) -> bool:
    ratios = [names["times"][by]["tree"] / names["times"][by]["mesh"] for by in ("bandwidth", "beachfront")]
    return [round(ratio, 3) for ratio in ratios] == [2.5, 1.25]


SAID: dict[str, Callable[[Names], bool]] = {
    "plot_03_all_to_all_on_a_tree": _tree_against_mesh,
    "plot_04_one_token": _three_degrees,
    "plot_05_routing_against_the_optimum": _transposed,
    "plot_07_copies_against_balance": _capped,
    "plot_08_a_streaming_step": _ablated,
    "plot_10_scaling": _scaled,
    "plot_11_a_degraded_wafer": _degraded,
    "plot_13_from_another_tool": lambda names: abs(names["flows"][0].time - 250e-6) < 1e-9,
    "plot_14_equal_cost": _levelled,
    "plot_27_found_packages": lambda names: abs(13 * names["found"].time - 93) < 0.01,
}
"""What the prose of a script says in figures, from the names that it leaves."""


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_runs_draws_and_is_what_it_says(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)  # a reader is told, the script is right
        names = runpy.run_path(str(script))
    assert SAID.get(script.stem, bool)(names), "the prose of the script quotes other figures"
    assert plt.get_fignums()
    for number in plt.get_fignums():
        plt.figure(number).draw_without_rendering()


@pytest.mark.parametrize("script", ALL, ids=lambda path: path.stem)
def test_script_is_one_short_idea(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"""'
    assert set(lines[2]) == {"="}
    assert len(lines[2]) == len(lines[1])
    assert len(lines) <= 48
