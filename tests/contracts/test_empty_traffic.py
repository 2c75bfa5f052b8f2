"""Nothing to carry: no false alarm of `verify()` on any preset, and nothing passed for want of bytes."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit.collectives import collective
from noptoolkit.errors import RoutingError
from noptoolkit.flow import FlowResult
from noptoolkit.formats import list_topologies
from noptoolkit.traffic import Traffic


@cache
def nothing_on(name: str, routing: str) -> FlowResult:
    package = nop.load_topology(name)
    ends = tuple(node.name for node in package.chiplets)
    return nop.congestion(package, Traffic(ends, np.zeros((len(ends), len(ends)))), routing=routing)


def first_channel() -> Any:
    ring = nop.load_topology("ring-16")
    return nop.congestion(ring, nop.traffic.all_to_all(ring, 1.0), routing="shortest").bottleneck


FAULTS: dict[str, Callable[[FlowResult], dict[str, Any]]] = {
    "time": lambda found: {"time": 1.0},
    "no time": lambda found: {"time": np.nan},
    "bound": lambda found: {"time_bound": 1.0},
    "load": lambda found: {"load": found.load + np.eye(1, len(found.load))[0]},
    "status": lambda found: {"status": "bounded"},
    "bottleneck": lambda found: {"bottleneck": first_channel()},
}


@pytest.mark.parametrize("name", list_topologies())
@pytest.mark.parametrize("routing", ["optimal", "ecmp"])
def test_no_false_alarm_without_traffic(name: str, routing: str) -> None:
    found = nothing_on(name, routing)
    assert found.verify()
    assert (found.time, found.time_bound, found.load.sum()) == (0, 0, 0)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["mesh-4x4-in-network", "mozart-nop-tree", "dgx-h100-64", "wafer-mesh-16"])
def test_nothing_is_passed_for_want_of_traffic(name: str, fault: str) -> None:
    found = nothing_on(name, "optimal")
    with pytest.raises(RoutingError):
        dataclasses.replace(found, **FAULTS[fault](found)).verify()


def test_collectives_of_no_bytes() -> None:
    for kind in ("broadcast", "all-gather", "all-reduce", "all-to-all"):
        found = collective(nop.topology.mesh(2, link_bandwidth=1.0), kind, 0.0)
        assert found.verify()
        assert found.time == found.time_bound == 0
        for wrong in ({"time": 1.0}, {"time_bound": 1.0}, {"theorem": "no bytes, all time"}):
            with pytest.raises(RoutingError, match="does not hold"):
                dataclasses.replace(found, **wrong).verify()
