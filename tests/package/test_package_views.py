"""Any networkx graph in, and `Package.graph` as the package's equal."""

import networkx as nx
import pytest

from noptoolkit import Chiplet, Link, Memory, Package, load_topology, zero_load_latency
from noptoolkit.errors import NopWarning, TopologyError
from noptoolkit.formats import list_topologies
from noptoolkit.topology import connect, mesh, ring

EVERYTHING = Package(
    "everything",
    [Chiplet("e0", latency="2 ns", group="g"), Chiplet("e1"), Memory("h", "1 TB/s", serves=("e0",))],
    [
        Link("e1", "e0", "1 GB/s", reverse_bandwidth="2 GB/s", latency="3 ns", length="4 mm"),
        Link("e0", "h", "10 GB/s", half_duplex=True, kind="memory", energy_per_bit="1 pJ/bit"),
        Link("e0", "e1", 0.0, reverse_bandwidth="5 GB/s"),
        Link("e0", "e1", "7 GB/s", reverse_bandwidth="7 GB/s"),
        Link("e1", "e0", "7 GB/s", reverse_bandwidth="7 GB/s", kind="hybrid_bond"),
        Link("e1", "h", "1 GB/s", reverse_bandwidth=0.0),
        Link("h", "e1", "1 GB/s", reverse_bandwidth=0.0),
    ],
    source="here",
    assumed=["this", "that"],
)


@pytest.mark.parametrize("name", list_topologies())
def test_the_graph_of_a_preset_is_the_preset(name: str) -> None:
    package = load_topology(name)
    assert Package.from_networkx(package.graph) == package


def test_the_graph_says_everything() -> None:
    assert Package.from_networkx(EVERYTHING.graph) == EVERYTHING


def test_parallel_links_come_back_from_the_undirected_view() -> None:
    package = connect(ring(4), [("e0", "e1"), ("e0", "e1")], "32 GB/s", latency="9 ns")
    again = Package.from_networkx(package.graph.to_undirected())
    kinds = [
        sorted((sorted((link.a, link.b)), link.bandwidth, link.latency) for link in one.links)
        for one in (package, again)
    ]
    assert kinds[0] == kinds[1]


def test_edits_of_the_graph_hold() -> None:
    graph = nx.DiGraph(EVERYTHING.graph)
    total = graph.edges["e0", "e1"]["bandwidth"]
    graph.edges["e0", "e1"]["bandwidth"] = total / 2
    assert Package.from_networkx(graph).graph.edges["e0", "e1"]["bandwidth"] == total / 2
    graph = nx.DiGraph(mesh(2).graph)
    graph.edges["e0", "e1"]["latency"] = graph.edges["e1", "e0"]["latency"] = 7e-9
    graph.remove_edge("e1", "e3")
    edited = Package.from_networkx(graph)
    by_ends = {(link.a, link.b): link for link in edited.links}
    assert by_ends["e0", "e1"].latency == 7e-9
    assert by_ends["e3", "e1"].backward_bandwidth == 0.0
    assert len(edited.channels) == len(mesh(2).channels) - 1


@pytest.mark.parametrize(
    ("attribute", "values"),
    [("latency", (5e-9, 20e-9)), ("length", (1e-3, 2e-3)), ("energy_per_bit", (1e-12, 2e-12))],
)
def test_directions_that_differ_stay_apart(attribute: str, values: tuple[float, float]) -> None:
    graph = nx.DiGraph()
    graph.add_edge("a", "b", bandwidth=1e9, **{attribute: values[0]})
    graph.add_edge("b", "a", bandwidth=2e9, **{attribute: values[1]})
    package = Package.from_networkx(graph)
    assert [(link.a, link.bandwidth, getattr(link, attribute)) for link in package.links] == [
        ("a", 1e9, values[0]),
        ("b", 2e9, values[1]),
    ]
    if attribute == "latency":
        assert zero_load_latency(package).max == pytest.approx(20e-9)
    graph.edges["b", "a"][attribute] = values[0]
    assert len(Package.from_networkx(graph).links) == 1


def test_half_duplex_of_directed_edges() -> None:
    graph = nx.DiGraph()
    graph.add_edge("a", "b", bandwidth=1e9, half_duplex=True)
    graph.add_edge("b", "a", bandwidth=1e9, half_duplex=True)
    assert Package.from_networkx(graph).links == (Link("a", "b", 1e9, half_duplex=True),)
    graph.edges["b", "a"]["bandwidth"] = 2e9
    with pytest.raises(TopologyError, match="two bandwidths"):
        Package.from_networkx(graph)


@pytest.mark.parametrize(
    ("graph", "size"),
    [
        (nx.karate_club_graph(), (34, 78)),
        (nx.complete_bipartite_graph(2, 3), (5, 6)),
        (nx.random_geometric_graph(8, 1.5, seed=1), (8, 28)),
        (nx.grid_2d_graph(3, 3), (9, 12)),
        (nx.les_miserables_graph(), (77, 254)),
        (nx.MultiGraph([(0, 1, {"weight": 2}), (0, 1, {"weight": 3})]), (2, 2)),
        (nx.DiGraph([("a", "b"), ("b", "a")]), (2, 1)),
        (nx.Graph([(0, 0), (0, 1)]), (2, 1)),
        (nx.davis_southern_women_graph(), (32, 89)),
        (nx.stochastic_block_model([4, 4], [[1, 0.5], [0.5, 1]], seed=1), (8, 19)),
        (nx.geographical_threshold_graph(9, 0, seed=3), (9, 36)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*a package has no place for.*:noptoolkit.errors.NopWarning")
def test_any_graph(graph: "nx.Graph[object]", size: tuple[int, int]) -> None:
    package = Package.from_networkx(graph, bandwidth="64 GB/s")
    assert (len(package.chiplets), len(package.links)) == size
    assert package.terminals == tuple(map(str, graph.nodes))


def test_attributes_that_mean_something_else() -> None:
    graph = nx.Graph([("a", "b", {"kind": "fibre", "length": 3.0})])
    nx.set_node_attributes(graph, 10, "size")
    with pytest.warns(NopWarning, match="'size' of a chiplet, attribute 'kind'"):
        package = Package.from_networkx(graph, bandwidth="64 GB/s")
    assert package.links[0].length == 3.0
    nx.set_node_attributes(graph, "chiplet", "kind")  # its attributes are ours, then
    with pytest.raises(TopologyError, match=r"size = .10. does not fit"):
        Package.from_networkx(graph, bandwidth="64 GB/s")


def test_unknown_roles_are_named() -> None:
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, {0: "experts", 1: "io", 2: "hub"}, "role")
    with pytest.raises(
        TopologyError, match=r"(?s)'0': no role named 'experts'; did you mean 'expert'.*'hub'"
    ):
        Package.from_networkx(graph, bandwidth="64 GB/s")


def test_unknown_attributes_are_told_once() -> None:
    graph = nx.karate_club_graph()
    with pytest.warns(
        NopWarning, match="attribute 'club' of a chiplet, attribute 'weight' of a link"
    ) as told:
        Package.from_networkx(graph, bandwidth="64 GB/s")
    assert len(told) == 1


def test_where_the_bandwidth_stands() -> None:
    graph = nx.Graph([("a", "b", {"capacity": 400}), ("b", "c", {"capacity": "100"})])
    want = [50e9, 12.5e9]
    for choice in (
        ("capacity", "Gbit/s"),
        "capacity Gbit/s",
        "capacity Gbps",
        lambda a, b, data: float(data["capacity"]) * 1e9 / 8,
    ):
        package = Package.from_networkx(graph, bandwidth=choice)
        assert [link.bandwidth for link in package.links] == want
    assert Package.from_networkx(graph, bandwidth=("capacity", "GiB/s")).links[0].bandwidth == 400 * 2**30
    nx.set_edge_attributes(graph, "2 GB/s", "speed")
    with pytest.warns(NopWarning, match="'capacity' of a link"):
        assert Package.from_networkx(graph, bandwidth="speed").links[0].bandwidth == 2e9
    for choice, reason in (
        (("capacity", "parsec"), "unit 'parsec'"),
        (("capacities", "GB/s"), "did you mean 'capacity'"),
        ("capactiy GB/s", "did you mean 'capacity'"),
        ("400 GB", "is in B, not in B/s"),
        (None, "no bandwidth; pass"),
    ):
        with pytest.raises(TopologyError, match=reason):
            Package.from_networkx(graph, bandwidth=choice)
    graph.edges["a", "b"]["capacity"] = "fast"
    with pytest.raises(TopologyError, match="'fast' is not a number"):
        Package.from_networkx(graph, bandwidth=("capacity", "GB/s"))


def test_names_of_nodes() -> None:
    graph = nx.path_graph(2)
    nx.set_node_attributes(graph, {0: "Berne", 1: "Basle"}, "label")
    package = Package.from_networkx(graph, bandwidth=1e9, node_names="label")
    del graph.nodes[0]["label"]
    nx.set_node_attributes(graph, "Berne", "label")
    assert Package.from_networkx(nx.path_graph(2), bandwidth=1e9, node_names=lambda n, _: f"n{n}").index
    assert package.terminals == ("Berne", "Basle")
    with pytest.raises(TopologyError, match="2 nodes are named 'Berne'"):
        Package.from_networkx(graph, bandwidth=1e9, node_names="label")
    with pytest.raises(TopologyError, match="no attribute 'lable'"):
        Package.from_networkx(graph, bandwidth=1e9, node_names="lable")


def test_defaults_that_readers_leave_in_the_graph() -> None:
    graph = nx.Graph([("a", "b", {}), ("b", "c", {"bandwidth": 7e9})], edge_default={"bandwidth": 5e9})
    graph.graph["node_default"] = {"kind": "chiplet", "role": "io"}
    package = Package.from_networkx(graph)
    assert [link.bandwidth for link in package.links] == [5e9, 7e9]
    assert package.with_role("io") == ("a", "b", "c")
