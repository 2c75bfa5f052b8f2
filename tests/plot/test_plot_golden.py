"""Pictures that were looked at and found good; a test fails where one changes to the eye.

After a change that is meant: run this file, look at what it leaves in the folder it names, and copy it over.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.testing.compare import compare_images
from packages_to_draw import grid, nop_tree, wired_grid

from noptoolkit import RoutingTrace, plot, topology
from noptoolkit.allocation import Allocation
from noptoolkit.flow import congestion
from noptoolkit.scheduling import Schedule, TaskGraphBuilder, schedule_graph
from noptoolkit.traffic import all_to_all, dispatch, from_matrix

GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 12.0  # root mean square of 255: fonts may differ by a hair, shapes may not


def _steps() -> Schedule:
    tasks = TaskGraphBuilder()
    before: list[int] = []
    for i in range(6):
        load = tasks.add(3e-6, "hbm0", kind="load")
        attention = tasks.add(2e-6, "attn", kind="attention")
        out = tasks.add(1e-6, "attn->e0", after=[attention], kind="dispatch")
        run = tasks.add(2.5e-6, f"e{i % 2}", after=[load, out, *before[-1:]], kind="expert")
        before.append(tasks.add(1e-6, "e0->attn", after=[run], kind="combine"))
    return schedule_graph(tasks.build())


def _token() -> Axes:
    package = nop_tree()
    layout = Allocation(package.experts, [[expert // 4 for expert in range(64)]])
    token = RoutingTrace([[0, 1, 5, 22, 23, 26, 40, 63]], num_experts=64)
    return plot.multicast(
        congestion(package, dispatch(package, token, layout, token_bytes=1.0), routing="ecmp")
    )


def _traffic() -> Axes:
    demand = np.add.outer(np.arange(16.0), np.arange(16.0)) % 7 * 1e6
    return plot.traffic(from_matrix(grid(4), demand, name="striped"))


def _load() -> Axes:
    package = wired_grid(4, wrap=True)
    return plot.load(congestion(package, all_to_all(package, "1 MB", among="terminals"), routing="ecmp"))


PICTURES: dict[str, Callable[[], Axes]] = {
    "nop-tree": lambda: plot.topology(nop_tree()),
    "torus": lambda: plot.topology(wired_grid(4, wrap=True)),
    "fat-tree": lambda: plot.topology(topology.fat_tree(4)),
    "stack": lambda: plot.topology(topology.mesh_3d(3, 3, 2)),
    "dies": lambda: plot.topology(topology.stack_sram(nop_tree(), capacity="80 MB", bandwidth="4 TB/s")),
    "load": _load,
    "token": _token,
    "traffic": _traffic,
    "gantt": lambda: plot.schedule(_steps(), critical=True),
    "breakdown": lambda: plot.breakdown({"once": _steps(), "again": _steps()}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_the_one_that_was_looked_at(name: str, tmp_path: Path) -> None:
    with plot.style("column"):
        picture = PICTURES[name]()
        drawn = tmp_path / f"{name}.png"
        picture.figure.savefig(drawn, dpi=100)
    difference = compare_images(str(GOLDEN / f"{name}.png"), str(drawn), tol=TOLERANCE)
    assert difference is None, difference
