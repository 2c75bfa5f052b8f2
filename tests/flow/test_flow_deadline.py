"""One time limit for all stages of a solve, on a clock on which every look takes a second."""

import math
import time

import networkx as nx
import numpy as np
import pytest
from flow_cases import all_to_all, from_graph, random_traffic
from message_cases import capable, messages

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.errors import RoutingError
from noptoolkit.flow import congestion
from noptoolkit.flow.optimal import portfolio
from noptoolkit.flow.trees.dual_ascent import AscentTrees
from noptoolkit.traffic import DestinationSets, Traffic, from_matrix

LOOKS = 12  # seconds on this clock that set-up and clean-up may take beyond the limit


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second whenever it is read."""
    seconds = iter(range(10**9))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))


@pytest.fixture
def never_the_linear_program(monkeypatch):
    monkeypatch.setattr(portfolio, "SMALL_COLUMNS", 0)


def dense():
    package = from_graph(nx.random_regular_graph(4, 40, seed=1), capacity_seed=1)
    return package, random_traffic(package, 1)


def symmetric():
    package = from_graph(nx.grid_2d_graph(6, 6))
    return package, all_to_all(package)


def sparse():
    package = from_graph(nx.random_regular_graph(4, 60, seed=2), capacity_seed=2)
    order = np.random.default_rng(2).permutation(60)
    demand = np.zeros((60, 60))
    demand[order, np.roll(order, 1)] = 1
    return package, from_matrix(package, demand)


def multicast():
    """A ring of switches that copy, and messages beside a demand with choices."""
    nodes = [Switch(f"s{i}", replicates=True) for i in range(5)] + [
        Chiplet(f"e{i}", role="expert") for i in range(5)
    ]
    links = [Link(f"s{i}", f"s{(i + 1) % 5}", 1.0 + i / 7) for i in range(5)]
    links += [Link("s0", "s2", 0.7), *(Link(f"s{i}", f"e{i}", 3.0) for i in range(5))]
    package = Package("ring", nodes, links)
    rng = np.random.default_rng(3)
    names = tuple(f"e{i}" for i in range(5))
    sets = DestinationSets(np.arange(5), np.full((5, 1), 0b11111, np.uint64), rng.uniform(1, 2, 5))
    return package, Traffic(names, rng.pareto(1.5, (5, 5)), multicast=sets)


CASES = [dense, symmetric, sparse, multicast]


@pytest.mark.usefixtures("clock", "never_the_linear_program")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("limit", [1e-9, 30.0, 90.0])
def test_all_stages_share_one_limit(case, limit):
    flow = congestion(*case(), tol=1e-12, time_limit=limit)
    assert flow.seconds <= limit + LOOKS
    assert flow.status in ("time limit", "exact")
    assert 0 < flow.time_bound <= flow.time
    assert flow.verify()


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("limit", "sweeps"), [(30.0, 1), (150.0, 3), pytest.param(600.0, 9, marks=pytest.mark.long)]
)
def test_sweeps_over_large_sets_stop_in_the_middle(limit, sweeps, monkeypatch):
    """A block of messages is what may be under way when time is up; its sweep then proves nothing."""
    served = []
    serve = AscentTrees.serve

    def counted(self, messages, **options):
        if not options:
            served.append(len(messages))
        return serve(self, messages, **options)

    monkeypatch.setattr(AscentTrees, "serve", counted)
    graph = nx.convert_node_labels_to_integers(nx.grid_2d_graph(6, 6, periodic=True))
    package = capable(from_graph(graph, capacity_seed=4))
    rng = np.random.default_rng(4)
    members = np.zeros((100, 1), np.uint64)
    for row in members:
        for end in rng.choice(36, 12, replace=False):
            row[0] |= np.uint64(1) << np.uint64(end)
    sets = DestinationSets(rng.integers(0, 36, 100), members, rng.uniform(1, 2, 100))
    flow = congestion(package, messages(package, sets), tol=1e-6, time_limit=limit)
    assert flow.seconds <= limit + LOOKS
    assert flow.status == "time limit"
    assert sum(served) <= 100 * sweeps
    assert (flow.method == "Steiner tree packing") == (limit > 100)
    assert 0 < flow.time_bound <= flow.time
    assert flow.verify()


@pytest.mark.usefixtures("clock", "never_the_linear_program")
@pytest.mark.parametrize("case", [dense, symmetric, sparse])
def test_more_time_is_used_and_never_hurts(case):
    gaps = []
    for limit in (1e-9, 60.0, 240.0):
        flow = congestion(*case(), tol=1e-12, time_limit=limit)
        assert flow.seconds >= 0.7 * limit or flow.status == "exact"
        gaps.append(flow.gap)
    assert gaps[0] > gaps[1] >= gaps[2]


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_no_time_at_all_is_an_error(limit):
    with pytest.raises(RoutingError, match="time_limit"):
        congestion(*dense(), time_limit=limit)


@pytest.mark.parametrize("tol", [0.0, -0.1, math.nan])
def test_a_tolerance_of_nothing_is_an_error(tol):
    with pytest.raises(RoutingError, match="tol"):
        congestion(*dense(), tol=tol)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tol", [1e-9, pytest.param(10.0, marks=pytest.mark.long), math.inf])
def test_extreme_tolerances_give_honest_intervals(case, tol):
    flow = congestion(*case(), tol=tol)
    assert flow.verify()
    assert flow.time_bound <= flow.time
    assert flow.status in ("exact", "certified", "bounded")
    assert (flow.gap <= max(tol, 1e-6)) == (flow.status != "bounded")


def test_progress_is_told(monkeypatch):
    lines = []
    congestion(*symmetric(), report=lines.append)
    monkeypatch.setattr(portfolio, "SMALL_COLUMNS", 0)
    for case in CASES:
        congestion(*case(), tol=1e-4, report=lines.append)
    told = "\n".join(lines)
    for stage in ("symmetry", "linear program", "primal-dual hybrid gradient", "path column generation"):
        assert stage in told
