"""Closed forms of all-to-all, unit channels, one byte per ordered pair: by the optimal routing to 1e-6."""

import networkx as nx
import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.flow import congestion
from noptoolkit.traffic import from_matrix


def uniform(package, names=None):
    names = package.terminals if names is None else names
    return from_matrix(package, np.ones((len(names), len(names))), endpoints=tuple(names))


def optimal_time(graph, **options):
    plain = nx.Graph(graph.edges())  # without the attributes that some generators add
    package = Package.from_networkx(plain, bandwidth=1.0, name="graph")
    flow = congestion(package, uniform(package), **options)
    assert flow.status == "exact"
    assert flow.time_bound <= flow.time * (1 + 1e-12)
    return flow.time


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (nx.grid_2d_graph(4, 4), 4**3 / 4),
        (nx.grid_2d_graph(3, 3), 3 * 8 / 4),
        (nx.grid_2d_graph(5, 5), 5 * 24 / 4),
        (nx.grid_2d_graph(2, 4), 2 * 4**2 / 4),
        (nx.grid_2d_graph(3, 6), 3 * 6**2 / 4),
        (nx.grid_2d_graph(4, 4, periodic=True), 4**3 / 8),
        (nx.grid_2d_graph(5, 5, periodic=True), 5 * 24 / 8),
        (nx.cycle_graph(6), 6**2 / 8),
        (nx.cycle_graph(7), (7**2 - 1) / 8),
        (nx.path_graph(6), 9),
        (nx.path_graph(7), 12),
        (nx.complete_graph(6), 1),
        (nx.hypercube_graph(3), 2**3 / 2),
        (nx.complete_bipartite_graph(4, 4), (3 * 4 - 2) / 4),
        (nx.petersen_graph(), 5),
        (nx.star_graph(6), None),
    ],
    ids=lambda value: value.name if isinstance(value, nx.Graph) else None,
)
def test_closed_form(graph, expected):
    if expected is None:  # the hub of networkx's star is an endpoint too: 7 nodes, a leaf sends 6
        expected = graph.number_of_nodes() - 1
    assert optimal_time(graph) == pytest.approx(expected, rel=1e-6)


def star(leaves, crossbar=None, half_duplex=False):
    hub = Switch("hub", crossbar_bandwidth=crossbar)
    chiplets = [Chiplet(f"e{i}", role="expert") for i in range(leaves)]
    links = [Link("hub", chiplet.name, 1.0, half_duplex=half_duplex) for chiplet in chiplets]
    return Package("star", [hub, *chiplets], links)


def nop_tree(leaf=1.0, uplink=1.0):
    nodes = [Chiplet("root", role="attention")]
    links = []
    for g in range(4):
        nodes.append(Switch(f"sw{g}"))
        links.append(Link("root", f"sw{g}", uplink))
        for e in range(4):
            nodes.append(Chiplet(f"e{4 * g + e}", role="expert"))
            links.append(Link(f"sw{g}", f"e{4 * g + e}", leaf))
    return Package("tree", nodes, links)


@pytest.mark.parametrize("crossbar", [None, 20.0, 3.0])
def test_star_and_its_crossbar(crossbar):
    package = star(6, crossbar)
    flow = congestion(package, uniform(package))
    expected = max(5, 30 / (crossbar or np.inf))
    assert flow.time == flow.time_bound == pytest.approx(expected, rel=1e-12)
    assert flow.bottleneck == ("hub crossbar" if crossbar == 3.0 else "hub->e0")


@pytest.mark.parametrize(("leaf", "uplink"), [(1, 1), (1, 2), (1, 4), (2, 16)])
def test_tree_among_leaves_and_with_root(leaf, uplink):
    package = nop_tree(leaf, uplink)
    among = congestion(package, uniform(package, package.experts))
    assert among.time == pytest.approx(max(15 / leaf, 48 / uplink), rel=1e-12)
    assert among.status == "exact"
    with_root = congestion(package, uniform(package))
    assert with_root.time == pytest.approx(max(52 / uplink, 16 / leaf), rel=1e-12)
    dispatch = np.zeros((17, 17))
    dispatch[0, 1:] = 1
    flow = congestion(package, from_matrix(package, dispatch))
    assert flow.time == pytest.approx(max(1 / leaf, 4 / uplink), rel=1e-12)


def test_half_duplex_doubles():
    full, half = star(5), star(5, half_duplex=True)
    assert congestion(half, uniform(half)).time == 2 * congestion(full, uniform(full)).time


def test_demand_within_a_tree_that_hangs_on_a_cycle_is_verified():
    """All of the demand is forced, none of the cycle is used: what was stripped is the tree alone."""
    nodes = [Chiplet(f"n{i}") for i in range(5)]
    ends = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)]
    package = Package("lollipop", nodes, [Link(f"n{i}", f"n{j}", 1.0) for i, j in ends])
    demand = np.zeros((5, 5))
    demand[3, 4] = 2.0
    flow = congestion(package, from_matrix(package, demand))
    assert (flow.time, flow.status) == (2.0, "exact")
    assert flow.verify()
    nothing = congestion(package, from_matrix(package, 0 * demand))
    assert nothing.time == 0.0
    assert nothing.verify()
