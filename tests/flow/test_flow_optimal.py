"""The solvers of the optimal routing against each other, and against programs of another making."""

import time

import networkx as nx
import numpy as np
import pytest
from flow_cases import all_to_all, from_graph, random_package, random_traffic
from scipy.optimize import linprog
from seeds import seeds

from noptoolkit.flow import congestion
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.optimal.first_order import solve_first_order
from noptoolkit.flow.optimal.linear_program import solve_linear_program
from noptoolkit.flow.optimal.path_columns import solve_path_columns
from noptoolkit.flow.optimal.symmetry import fold
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import routing_problem


def pair_program_time(package, traffic):
    """An independent linear program: one commodity per pair, nodes split by hand, scipy's simplex or dual."""
    names = [node.name for node in package.nodes]
    memory = {stack.name for stack in package.memories}
    channels = package.channels
    pairs = [
        (traffic.endpoints[i], traffic.endpoints[j], traffic.demand[i, j])
        for i, j in np.argwhere(traffic.demand > 0)
    ]
    m, count = len(channels), len(pairs)
    equal, owed, limit, limits = [], [], [], []
    for k, (source, target, amount) in enumerate(pairs):
        for name in names:
            row = np.zeros(count * m + 1)
            for a, channel in enumerate(channels):
                banned = {channel.tail} & memory - {source} or {channel.head} & memory - {target}
                if banned:
                    continue
                row[k * m + a] += (channel.head == name) - (channel.tail == name)
            equal.append(row)
            owed.append(amount * ((name == target) - (name == source)))
        for a, channel in enumerate(channels):
            if {channel.tail} & memory - {source} or {channel.head} & memory - {target}:
                row = np.zeros(count * m + 1)
                row[k * m + a] = 1
                equal.append(row)
                owed.append(0)

    def at_most(members, fixed, capacity):
        row = np.zeros(count * m + 1)
        for a in members:
            row[a : count * m : m] = 1
        row[-1] = -capacity
        limit.append(row)
        limits.append(-fixed)

    for a, channel in enumerate(channels):
        if package.links[channel.link].half_duplex:
            both = [b for b, other in enumerate(channels) if other.link == channel.link]
            at_most(both, 0, channel.bandwidth)
        else:
            at_most([a], 0, channel.bandwidth)
    for node in package.nodes:
        sent = sum(amount for source, _, amount in pairs if source == node.name)
        received = sum(amount for _, target, amount in pairs if target == node.name)
        if node.name in memory:
            at_most([], sent + received, node.bandwidth)
            continue
        if node.crossbar_bandwidth:
            at_most(
                [a for a, channel in enumerate(channels) if channel.head == node.name],
                0,
                node.crossbar_bandwidth,
            )
        if getattr(node, "injection_bandwidth", None):
            at_most([], sent, node.injection_bandwidth)
        if getattr(node, "ejection_bandwidth", None):
            at_most([], received, node.ejection_bandwidth)
    cost = np.zeros(count * m + 1)
    cost[-1] = 1
    return linprog(cost, np.array(limit), limits, np.array(equal), owed).fun


@pytest.mark.parametrize("seed", seeds(4, 8))
def test_agrees_with_a_program_per_pair(seed):
    package = random_package(seed, nodes=6)
    traffic = random_traffic(package, seed, density=0.4)
    flow = congestion(package, traffic)
    assert flow.status == "exact"
    assert flow.time == pytest.approx(pair_program_time(package, traffic), rel=1e-6)


def program_of(package, traffic):
    problem = routing_problem(package, traffic)
    return peel(problem, tree_loads(problem, take_first)).program


def brackets(solution, optimum):
    return solution.bound <= optimum * (1 + 1e-9) and optimum <= solution.time * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tol", [0.01, 0.002])
def test_large_scale_solvers_bracket_the_optimum(seed, tol):
    package = random_package(seed, nodes=16)
    program = program_of(package, random_traffic(package, seed))
    exact = solve_linear_program(program)
    floor = max(exact.bound, program.known)
    assert exact.time / floor - 1 < 1e-6
    for solver in (solve_first_order, solve_path_columns):
        solution = solver(program, tol=tol, deadline=time.perf_counter() + 300)
        assert brackets(solution, exact.time), solver
        assert solution.time / max(solution.bound, program.known) - 1 <= tol
        assert solution.time == pytest.approx(program.time(solution.flow.sum(axis=0)))


def test_a_tolerance_beyond_single_precision_ends():
    package = random_package(0, nodes=16)
    program = program_of(package, random_traffic(package, 0))
    exact = solve_linear_program(program)
    solution = solve_first_order(program, tol=1e-12, deadline=time.perf_counter() + 60)
    assert brackets(solution, exact.time)
    assert solution.time / max(solution.bound, program.known) - 1 < 1e-4


@pytest.mark.parametrize(
    "graph",
    [nx.grid_2d_graph(4, 5), nx.grid_2d_graph(4, 4, periodic=True), nx.petersen_graph(), nx.cycle_graph(9)],
    ids=["mesh", "torus", "petersen", "ring"],
)
def test_folding_keeps_the_optimum(graph):
    package = from_graph(graph)
    program = program_of(package, all_to_all(package))
    folded = fold(program)
    assert len(folded.program.ends) < len(program.ends) / 2
    whole, small = solve_linear_program(program), solve_linear_program(folded.program)
    assert small.time == pytest.approx(whole.time, rel=1e-6)
    flow = folded.unfold_flow(small.flow)
    assert program.time(flow.sum(axis=0)) == pytest.approx(whole.time, rel=1e-6)


def test_folding_sees_what_breaks_the_symmetry():
    package = from_graph(nx.cycle_graph(8))
    assert len(fold(program_of(package, all_to_all(package))).program.ends) == 1
    traffic = all_to_all(package)
    skewed = traffic.demand.copy()
    skewed[2, 5] += 1
    from noptoolkit.traffic import from_matrix

    assert fold(program_of(package, from_matrix(package, skewed))) is None
    uneven = from_graph(nx.cycle_graph(8), capacity_seed=0)
    assert fold(program_of(uneven, traffic)) is None


def test_igraph_leaves_the_callers_random_state_alone():
    import random

    random.seed(7)
    expected = random.random()
    random.seed(7)
    package = from_graph(nx.petersen_graph())
    fold(program_of(package, all_to_all(package)))
    assert random.random() == expected


def test_a_deadline_returns_the_interval_so_far():
    package = from_graph(nx.random_regular_graph(4, 60, seed=1), capacity_seed=1)
    program = program_of(package, random_traffic(package, 1))
    solution = solve_first_order(program, tol=1e-9, deadline=time.perf_counter() + 0.2)
    assert 0 < solution.bound < solution.time


@pytest.mark.parametrize("seed", range(3))
def test_relabelling_changes_nothing(seed):
    package = random_package(seed, nodes=7)
    traffic = random_traffic(package, seed)
    order = np.random.default_rng(seed).permutation(len(package.nodes))
    shuffled = package.replace(nodes=[package.nodes[i] for i in order], links=tuple(reversed(package.links)))
    assert congestion(shuffled, traffic.on(shuffled)).time == pytest.approx(
        congestion(package, traffic).time, rel=1e-6
    )
