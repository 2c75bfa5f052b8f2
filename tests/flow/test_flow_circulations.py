"""Flows carry what is asked and nothing that goes round: cycles are taken out, demand and bounds stay."""

import networkx as nx
import numpy as np
import pytest
from flow_cases import random_package
from seeds import seeds

import noptoolkit as nop
from noptoolkit.flow.bounds.program import FlowProgram, peel
from noptoolkit.flow.carried import carried
from noptoolkit.flow.optimal import linear_program
from noptoolkit.flow.optimal.compiled_circulations import without_circulations
from noptoolkit.flow.optimal.linear_program import conservation_rows, solve_linear_program
from noptoolkit.flow.widths import folded_program
from noptoolkit.flow.widths.choices import choices_of
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.solution import TreeLoads
from noptoolkit.traffic import from_matrix


def cycles(program: FlowProgram, row: np.ndarray) -> bool:
    used = [(int(program.tail[a]), int(program.head[a])) for a in np.flatnonzero(row > 0)]
    return not nx.is_directed_acyclic_graph(nx.DiGraph(used))


def balance(program: FlowProgram, flow: np.ndarray) -> np.ndarray:
    found = np.zeros((len(flow), program.num_vertices))
    for row, here in zip(flow, found, strict=True):
        np.add.at(here, program.head, row)
        np.subtract.at(here, program.tail, row)
    return found


@pytest.mark.parametrize("seed", seeds(6, 60))
def test_no_commodity_goes_round_and_all_arrive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = random_package(seed, nodes=9)
    count = len(package.terminals)
    demand = rng.uniform(0, 1, (count, count)) * (rng.random((count, count)) < 0.4)
    np.fill_diagonal(demand, 0.0)
    problem = routing_problem(package, from_matrix(package, demand))
    nodes = len(package.nodes)
    nothing = TreeLoads(np.zeros(problem.network.num_arcs), np.zeros(nodes), np.zeros(nodes))
    program = peel(problem, nothing).program
    if program is None:
        return
    plain = solve_linear_program(program)
    assert plain is not None
    round_trip = rng.uniform(0, 1, plain.flow.shape) * (rng.random(plain.flow.shape) < 0.5)
    both = plain.flow.copy()
    for row, more in zip(both, round_trip, strict=True):  # as much each way between two vertices
        for a in np.flatnonzero(more):
            back = np.flatnonzero((program.tail == program.head[a]) & (program.head == program.tail[a]))
            if len(back):
                row[[a, back[0]]] += more[a]
    for flow in (plain.flow, both):
        found = without_circulations(program, flow)
        assert (found >= 0).all()
        assert (found <= flow).all()
        np.testing.assert_allclose(balance(program, found), balance(program, flow), atol=1e-9)
        assert not any(cycles(program, row) for row in found)


def test_all_of_a_load_is_somebodys() -> None:
    """The interior point of a mesh's dispatch once carried 52 MB for nobody on a single channel."""
    run = nop.run("mesh-4x4", "stdlib-moe", allocator="contiguous")
    flow = run.dispatch
    parts = carried(flow)
    assert parts is not None
    np.testing.assert_allclose(parts.by_sender.sum(axis=0), flow.load, rtol=1e-6, atol=1e-3)
    assert flow.verify()


def going_round(solver, program: FlowProgram, amount: float, lost: float):
    """Return the solver with a round trip in each commodity, beside which a float holds little else."""

    def solve(*args, **kwargs):
        columns, rows = solver(*args, **kwargs)
        kept = conservation_rows(program)[1]
        flow = np.zeros((len(program.ends), len(program.tail)))
        flow.ravel()[kept] = columns[: len(kept)] * (1 - lost)
        for end, row in zip(program.ends, flow, strict=True):
            for a, (u, v) in enumerate(zip(program.tail, program.head, strict=True)):
                back = np.flatnonzero((program.tail == v) & (program.head == u))
                if end not in (u, v) and len(back):
                    row[[a, back[0]]] += amount
                    break
            else:
                raise AssertionError("nothing goes round")
        return np.r_[flow.ravel()[kept], columns[len(kept) :]], rows

    return solve


def test_all_arrive_beside_what_goes_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bandwidths differ widely, the interior point has returned round trips of 4e13 x the demand."""
    package = nop.topology.mesh(3, link_bandwidth="1 GB/s")
    problem = routing_problem(package, nop.traffic.all_to_all(package, "1 GB"))
    nothing = TreeLoads(np.zeros(problem.network.num_arcs), np.zeros(9), np.zeros(9))
    program = peel(problem, nothing).program
    assert program is not None
    choices = choices_of(package, "d2d", directions="both", price=None)
    widths = folded_program.width_program(problem, choices)
    assert widths is not None
    _, use = widths.solve(0.1 * package.total_bandwidth)
    for module, asked in ((linear_program, program), (folded_program, widths.program)):
        monkeypatch.setattr(module, "run_highs", going_round(module.run_highs, asked, 1e18, 1e-3))
    round_too = solve_linear_program(program)
    assert round_too is not None
    gained = balance(program, round_too.flow)
    gained[np.arange(len(program.ends)), program.ends] = 0.0
    np.testing.assert_array_less(program.demand, gained + 1e-9)
    _, use_too = widths.solve(0.1 * package.total_bandwidth)
    np.testing.assert_allclose(use_too, use, rtol=0.05)
