"""The pieces of the first-order method against plain linear algebra."""

import networkx as nx
import numpy as np
import pytest
from flow_cases import from_graph, random_traffic
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples

from noptoolkit.flow.bounds.certificate import without_zeros
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.optimal.first_order import Kernels, _project, _stiffness, _sum_at_vertices
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import routing_problem


@given(seed=st.integers(0, 10_000), size=st.integers(1, 300), reach=st.sampled_from([0.1, 1.0, 30.0]))
@settings(max_examples=examples(60), deadline=None)
def test_the_projection_is_the_nearest_point(seed, size, reach):
    rng = np.random.default_rng(seed)
    capacity, weight = rng.uniform(0.1, 2, size), rng.uniform(0.1, 9, size)
    y = np.round(rng.normal(0, reach, size), rng.integers(1, 6))  # rounded: ties
    found = _project(y, capacity, weight)
    assert found.min() >= 0
    assert capacity @ found <= 1 + 1e-9
    slope = weight * (found - y)  # of the distance: -multiplier x capacity where above 0, no less elsewhere
    multiplier = max(float(np.max(-slope / capacity)), 0.0)
    assert np.all(slope + multiplier * capacity >= -1e-9 * (1 + multiplier))
    assert np.abs((slope + multiplier * capacity) * found).max() <= 1e-7 * (1 + multiplier)
    assert multiplier * (1 - capacity @ found) <= 1e-7 * (1 + multiplier)


@pytest.mark.parametrize(
    "graph",
    [nx.grid_2d_graph(4, 5), nx.complete_graph(9), nx.random_regular_graph(4, 16, seed=1), nx.star_graph(5)],
    ids=["mesh", "complete", "random regular", "star and chords"],
)
def test_steps_are_as_long_as_the_incidence_allows(graph):
    graph = nx.Graph(graph)
    nodes = list(graph)
    nx.add_cycle(graph, nodes[: 2 * (len(nodes) // 2)])
    package = from_graph(graph, capacity_seed=1)
    problem = routing_problem(package, random_traffic(package, 1))
    program = peel(problem, tree_loads(problem, take_first)).program
    kernels = Kernels(program)
    flow = np.zeros((kernels.blocks, len(program.tail), kernels.lanes), np.float32)
    scale = np.ones((kernels.blocks, program.num_vertices, kernels.lanes), np.float32)
    kernels.spread(flow, scale)
    spread = _sum_at_vertices(program, scale)
    stiffness = _stiffness(program, scale, spread)
    assert stiffness <= 2
    most = 0.0
    for commodity, end in enumerate(program.ends):
        mine = scale[0, :, commodity].astype(float)
        incidence = np.zeros((program.num_vertices, len(program.tail)))
        arcs = np.arange(len(program.tail))
        incidence[program.head, arcs] += 1
        incidence[program.tail, arcs] -= 1
        scaled = incidence * np.sqrt(mine[program.tail])
        np.testing.assert_allclose(spread[0, :, commodity], np.sum(scaled**2, axis=1), rtol=1e-5)
        scaled /= np.sqrt(spread[0, :, commodity])[:, None]
        most = max(most, np.linalg.norm(scaled, 2) ** 2)
        longest = np.linalg.norm(np.delete(scaled, end, axis=0), 2) ** 2
        assert longest <= 2 + 1e-9
        assert 0.98 * longest <= stiffness
    assert stiffness <= 1.021 * most  # no more than it has to be: steps are as long as that allows


@pytest.mark.parametrize("worth", [0.0, 1e-9, 1.0, 1e6])
def test_no_price_is_zero(worth):
    """Every resource is worth the same share at least; otherwise prices are as they were."""
    capacity = np.array([1e-6, 1.0, 2.0, 1e6])
    prices = worth * np.array([-1.0, 1.0, 0.0, 3e-6])
    found = without_zeros(prices, capacity, share=1e-3)
    assert found @ capacity == pytest.approx(1)
    assert (found > 0).all()
    if worth >= 1e-2:
        assert found * capacity == pytest.approx(
            np.array([0.25e-3, 0.25 + 0.25e-3, 0.25e-3, 0.75 + 0.25e-3]) / 1.001
        )
    else:
        assert found[0] * capacity[0] >= 1e-7
