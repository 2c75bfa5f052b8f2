"""A result whose parts do not fit together does not hold: one error, whatever is cut short."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import TaskGraphBuilder, bounds, plans, schedule_graph, topology, traffic
from noptoolkit.errors import NopError, RoutingError, ScheduleError

MESH = topology.mesh(2, link_bandwidth=1e9)
FLOW = nop.congestion(MESH, traffic.all_to_all(MESH, 1e6))
HALF = MESH.replace(links=[dataclasses.replace(link, half_duplex=True) for link in MESH.links])


def changed(result: Any, path: str, change: Any) -> Any:
    """Return a result with a field, or one of a field's, changed."""
    name, _, rest = path.partition(".")
    old = getattr(result, name)
    return dataclasses.replace(result, **{name: changed(old, rest, change) if rest else change(old)})


def short(values: Any) -> Any:
    return values[:-1]


def results() -> dict[str, Any]:
    tasks = TaskGraphBuilder()
    for _ in range(3):
        tasks.add(1.0, "pe")
    return {
        "flow": FLOW,
        "collective": nop.collective(MESH, "all-reduce", 1e6),
        "upgrade": FLOW.upgrade("d2d", to=2e9),
        "widths": FLOW.spend(1e9),
        "ladder": FLOW.ladder(1),
        "schedule": schedule_graph(tasks.build()),
        "pipeline": plans.pipeline("1f1b", plans.Stage(1.0, 2.0), 4, devices=2),
        "ports": bounds.any_package(MESH, traffic.all_to_all(MESH, 1e6), "ports"),
    }


@pytest.fixture(scope="module")
def honest() -> dict[str, Any]:
    return results()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("flow", "load"),
        ("flow", "prices"),
        ("flow", "network.names"),
        ("collective", "schedule.arcs"),
        ("collective", "schedule.root"),
        ("upgrade", "new"),
        ("upgrade", "before.load"),
        ("widths", "extra"),
        ("ladder", "flow.use"),
        ("schedule", "graph.need"),
        ("schedule", "graph.resources"),
        ("pipeline", "passes"),
        ("ports", "certificate.ports.count"),
    ],
)
def test_a_part_that_is_cut_short_is_a_fault(honest: dict[str, Any], name: str, path: str) -> None:
    result = honest[name]
    assert result.verify() in (None, True) or result.verify()
    with pytest.raises(NopError, match=r"does not hold|not|shape"):
        changed(result, path, short).verify()


def test_what_is_no_number_is_a_fault() -> None:
    plan = results()["schedule"]
    nan = np.array([1.0, np.nan, 1.0])
    with pytest.raises(ScheduleError, match="does not take as long"):
        dataclasses.replace(plan, graph=dataclasses.replace(plan.graph, duration=nan)).verify()
    bound = results()["ports"]
    with pytest.raises(RoutingError, match="-1 s"):
        dataclasses.replace(bound, time=-1.0).verify()
    with pytest.raises(RoutingError, match="does not hold"):
        dataclasses.replace(FLOW, efficiency=0.0).verify()


def test_the_use_of_shared_links_and_ports_is_that_of_the_trees() -> None:
    nodes = [dataclasses.replace(node, injection_bandwidth=9e9) for node in HALF.nodes]
    found = nop.collective(HALF.replace(nodes=nodes), "all-gather", 1e6)
    assert found.verify()
    busy = found.use / found.network.capacity
    for at in np.flatnonzero((busy > 0) & (busy < 0.9 * busy.max())):
        use = found.use.copy()
        use[at] *= 0.9
        with pytest.raises(RoutingError, match="is used by"):
            dataclasses.replace(found, use=use).verify()
