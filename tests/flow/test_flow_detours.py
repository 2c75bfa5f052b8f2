"""Detours: whatever the flow, balance stays, nothing new is overfull, and the time told is the flow's."""

import numpy as np
import pytest
from flow_cases import from_graph, random_package, random_traffic
from seeds import seeds

from noptoolkit import Chiplet, Link, Package
from noptoolkit.flow import congestion
from noptoolkit.flow.bounds.certificate import net_inflow, repair
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.optimal.detours import Detours, DetourSearch
from noptoolkit.flow.optimal.linear_program import solve_linear_program
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import routing_problem
from noptoolkit.topology import torus
from noptoolkit.traffic import from_matrix


def program_of(package, traffic):
    problem = routing_problem(package, traffic)
    return peel(problem, tree_loads(problem, take_first)).program


def ratios(program, flow):
    return (program.base + program.on_arcs @ flow.sum(axis=0)) / program.capacity


@pytest.mark.parametrize("seed", seeds(4, 8))
def test_a_flow_stays_one_and_nothing_new_is_overfull(seed):
    """On packages with half-duplex, one-way and parallel links, crossbars and memory stacks."""
    package = random_package(seed, nodes=14)
    program = program_of(package, random_traffic(package, seed))
    optimum = solve_linear_program(program).time
    before = repair(program, np.ones(len(program.tail)), np.zeros((len(program.ends), len(program.tail))))
    start = ratios(program, before)
    search = DetourSearch(program)
    balance = net_inflow(program.num_vertices, program.tail, program.head, before)
    for target in np.linspace(optimum, start.max(), 5):
        found = search.find(before.sum(axis=0), target)
        after = before.copy()
        found.take(after)
        assert after.min() >= 0
        np.testing.assert_allclose(
            net_inflow(program.num_vertices, program.tail, program.head, after), balance, atol=1e-9
        )
        end = ratios(program, after)
        assert found.time == pytest.approx(max(end.max(), program.known))
        assert np.all(end <= np.maximum(start, target) * (1 + 1e-9))
        assert optimum * (1 - 1e-6) <= found.time
    time, target = search.reach(before.sum(axis=0), optimum)
    assert time <= start.max() * (1 + 1e-12)
    assert np.isinf(target) or search.find(before.sum(axis=0), target).time == time


def test_a_target_missed_is_raised_until_one_is_reached(monkeypatch):
    """From 104 s towards 100 s, the next target midway to the best yet; none after one that is met."""
    package = torus(3, 3, link_bandwidth=1.0)
    program = program_of(package, random_traffic(package, 1))
    load = np.ones(len(program.tail))
    search = DetourSearch(program)
    monkeypatch.setattr(type(program), "time", lambda self, load: 104.0)
    nothing = np.zeros(0, np.int64)
    for times, told in (
        ([103.0, 101.0], (101.0, 103.0**0.5 * 10)),
        ([100.0, 99.0], (100.0, 100.0)),
        ([105.0, 105.0, 103.0, 103.0], (103.0, 100.0 * 1.04**0.75)),
    ):
        asked = iter(times)
        monkeypatch.setattr(
            search,
            "find",
            lambda load, target, asked=asked: Detours(next(asked), nothing, nothing, nothing, nothing),
        )
        assert search.reach(load, 100.0) == pytest.approx(told)


def test_two_ways_share_what_one_cannot_carry():
    """8 B over a channel of 1 B/s, with a way round of 3 B/s: 2 s, no commodity left out."""
    links = [
        Link("a", "b", 1.0),
        Link("a", "c", 3.0),
        Link("c", "b", 3.0),
        Link("x", "a", 9.0),
        Link("y", "a", 9.0),
    ]
    package = Package("roundabout", [Chiplet(name, role="expert") for name in "abcxy"], links)
    demand = np.zeros((5, 5))
    demand[3, 1], demand[4, 1] = 6.0, 2.0
    program = program_of(package, from_matrix(package, demand))
    flow = repair(program, np.ones(len(program.tail)), np.zeros((len(program.ends), len(program.tail))))
    whole = program.time(flow.sum(axis=0))
    found = DetourSearch(program).find(flow.sum(axis=0), whole / 4)
    assert found.time == pytest.approx(whole / 4)
    found.take(flow)
    assert ratios(program, flow).max() == pytest.approx(whole / 4)


@pytest.mark.parametrize("goal", [0.03, pytest.param(0.005, marks=pytest.mark.long)])
def test_answers_with_detours_are_verified(goal):
    import networkx as nx

    package = from_graph(nx.random_regular_graph(5, 90, seed=2), capacity_seed=3)
    flow = congestion(package, random_traffic(package, 4), tol=goal)
    assert flow.gap <= goal
    assert flow.verify()
    equal = torus(9, 9, link_bandwidth=1.0)
    flow = congestion(equal, random_traffic(equal, 5), tol=goal)
    assert flow.gap <= goal
    assert flow.verify()
