import dataclasses
import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit import Chiplet, Link, LinkKind, Memory, Package, Switch
from noptoolkit.errors import FormatError, TopologyError, UnknownNameError


def star(leaves: int = 4, **link: object) -> Package:
    nodes = [Switch("hub"), *(Chiplet(f"e{i}", role="expert") for i in range(leaves))]
    return Package("star", nodes, [Link("hub", f"e{i}", "128 GB/s", **link) for i in range(leaves)])


def test_channels_are_both_directions_of_each_link_in_order() -> None:
    names = [channel.name for channel in star(2).channels]
    assert names == ["hub->e0", "e0->hub", "hub->e1", "e1->hub"]


def test_parallel_and_one_way_links() -> None:
    links = [Link("a", "b", 1.0), Link("a", "b", 2.0), Link("a", "b", 3.0, reverse_bandwidth=0)]
    package = Package("p", [Chiplet("a"), Chiplet("b")], links)
    assert [c.name for c in package.channels] == ["a->b", "b->a", "a->b#2", "b->a#2", "a->b#3"]
    assert package.to_sparse().toarray().tolist() == [[0.0, 6.0], [3.0, 0.0]]
    assert package.graph.edges["a", "b"]["channels"] == (0, 2, 4)
    assert package.total_bandwidth == 9.0


def test_links_as_arrays() -> None:
    bus = Link("c", "a", 4.0, half_duplex=True)
    package = Package(
        "p",
        [Chiplet(name) for name in "abc"],
        [Link("a", "b", 1.0), Link("b", "c", 2.0, reverse_bandwidth=0.0), bus, Link("b", "a", 3.0)],
    )
    assert package.link_ends.tolist() == [[0, 1], [1, 2], [2, 0], [1, 0]]
    assert package.link_bandwidths.tolist() == [[1, 1], [2, 0], [4, 4], [3, 3]]
    assert package.link_totals.tolist() == [2, 2, 4, 6]
    assert package.total_bandwidth == 14
    assert package.channel_names == tuple(channel.name for channel in package.channels)
    assert package.channel_names[-2:] == ("b->a#2", "a->b#2")
    with pytest.raises(ValueError, match="read-only"):
        package.link_ends[0] = 1


def test_half_duplex_bandwidth_counts_once() -> None:
    assert star(4, half_duplex=True).total_bandwidth == star(4).total_bandwidth / 2


def test_value_semantics() -> None:
    one, two = star(), star()
    assert one == two
    assert hash(one) == hash(two)
    assert len({one, two, star(5)}) == 2
    assert one.graph.number_of_edges() == 8  # a cached view does not travel with the pickle
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert again.channels == one.channels
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "other"  # type: ignore[misc]
    with pytest.raises(nx.NetworkXError):
        one.graph.add_node("x")


def test_every_fault_is_told_once() -> None:
    nodes = [Chiplet("a", role="atention"), Chiplet("a"), Memory("hbm", "256 GB/s", serves=("z",))]
    links = [Link("a", "hbn", 1.0), Link("a", "a", 1.0), Link("a", "hbm", 0.0), Link("a", "hbm", -1.0)]
    with pytest.raises(TopologyError) as caught:
        Package("bad", nodes, links)
    message = str(caught.value)
    for part in (
        "7 faults",
        "2 nodes are named 'a'",
        "did you mean 'attention'?",
        "serves no node named 'z'",
        "no node named 'hbn'; did you mean 'hbm'?",
        "joins two different nodes",
        "zero bandwidth",
        "negative bandwidth",
    ):
        assert part in message


def test_disconnected_terminals() -> None:
    nodes = [Chiplet("a"), Chiplet("b"), Chiplet("c")]
    with pytest.raises(TopologyError, match="'c' cannot be reached from 'a'"):
        Package("p", nodes, [Link("a", "b", 1.0)])
    with pytest.raises(TopologyError, match="'b' cannot reach 'a'"):
        Package("p", nodes[:2], [Link("a", "b", 1.0, reverse_bandwidth=0)])


def test_memory_never_forwards() -> None:
    nodes = [Chiplet("a"), Memory("m", 1.0), Chiplet("b")]
    with pytest.raises(TopologyError, match="'b' cannot be reached"):
        Package("p", nodes, [Link("a", "m", 1.0), Link("m", "b", 1.0)])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Link("a", "b", "256 GB"), FormatError),
        (lambda: Link("a", "b", float("nan")), FormatError),
        (lambda: Link("a", "b", float("inf")), FormatError),
        (lambda: Link("a", "b", 1.0, kind="wires"), UnknownNameError),
        (lambda: Chiplet("a", position=(1.0,)), TopologyError),  # type: ignore[arg-type]
        (lambda: Package("empty", [], []), TopologyError),
        (lambda: Package("p", [Chiplet("a->b")], []), TopologyError),
        (lambda: Package("p", ["a"], []), TopologyError),  # type: ignore[list-item]
        (lambda: Package("p", [Chiplet("a", flops=-1)], []), TopologyError),
        (lambda: star()["e9"], UnknownNameError),
        (lambda: star().replace(nam="x"), UnknownNameError),
        (lambda: star().without("e0->e1"), UnknownNameError),
    ],
)
def test_bad_input(make: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()  # type: ignore[operator]


def test_without_drops_links_and_memory_with_nobody_left() -> None:
    memory = Memory("hbm", "256 GB/s", serves=("e0",))
    package = star().replace(
        nodes=(*star().nodes, memory), links=(*star().links, Link("hub", "hbm", 1.0, kind=LinkKind.MEMORY))
    )
    left = package.without("e0")
    assert left.terminals == ("e1", "e2", "e3")
    assert left.memories == ()
    assert len(left.links) == 3
    assert package.without("hub->hbm", "hbm").links == package.without("hbm").links


def test_expert_groups_keep_order() -> None:
    names = [("a", "g1"), ("b", "g0"), ("c", "g1"), ("d", None)]
    nodes = [Chiplet(name, role="expert", group=group) for name, group in names]
    links = [Link("a", other, 1.0) for other in "bcd"]
    assert Package("p", nodes, links).expert_groups == ((0, 2), (1,), (3,))


def test_igraph_ids_are_ours() -> None:
    package = star()
    graph = package.to_igraph()
    ends = [(graph.vs[edge.source]["name"], graph.vs[edge.target]["name"]) for edge in graph.es]
    assert ends == [(channel.tail, channel.head) for channel in package.channels]


@given(st.integers(3, 12), st.integers(0, 2**32 - 1))
def test_networkx_round_trip(size: int, seed: int) -> None:
    base = nx.connected_watts_strogatz_graph(size, 2, 0.3, seed=seed)
    package = Package.from_networkx(base, bandwidth="1 GB/s", name="random")
    again = Package.from_networkx(package.graph)
    assert again.nodes == package.nodes
    key = np.lexsort(np.nonzero(package.to_sparse().toarray()))
    assert len(key) == len(again.channels)
    assert (again.to_sparse() != package.to_sparse()).nnz == 0


def test_from_networkx_tells_every_fault() -> None:
    graph = nx.Graph([("a", "b"), ("b", "c")])
    graph.nodes["a"]["kind"] = "chipled"
    graph.nodes["b"]["latency"] = "2 GB"
    with pytest.raises(TopologyError) as caught:
        Package.from_networkx(graph)
    for part in ("did you mean 'chiplet'?", "latency = '2 GB' does not fit", "no bandwidth; pass bandwidth="):
        assert part in str(caught.value)


def test_channels_of_one_name_are_refused():
    """Nodes b and b#2: the second link from a to b and the first to b#2 would both be a->b#2."""
    nodes = [Chiplet("a"), Chiplet("b"), Chiplet("b#2")]
    links = [Link("a", "b", "1 GB/s"), Link("a", "b", "1 GB/s"), Link("a", "b#2", "1 GB/s")]
    with pytest.raises(TopologyError, match=r"2 channels are named 'a->b#2'"):
        Package("twins", nodes, links)
    apart = Package("apart", nodes, [links[0], links[2]])
    assert len(set(apart.channel_names)) == len(apart.channels)


def test_no_name_of_a_group_is_taken_for_a_chiplet_alone():
    nodes = [Chiplet("a", role="expert", group="only b"), Chiplet("b", role="expert")]
    assert Package("two", nodes, [Link("a", "b", "1 GB/s")]).expert_groups == ((0,), (1,))
    nodes = [Chiplet("a", role="expert", group="b"), Chiplet("b", role="expert")]
    assert Package("two", nodes, [Link("a", "b", "1 GB/s")]).expert_groups == ((0,), (1,))


def test_links_to_stacks_are_memory_links():
    nodes = [Switch("hub"), Chiplet("a"), Memory("h", "1 TB/s")]
    links = [
        Link("hub", "a", "1 GB/s"),
        Link("h", "hub", "2 GB/s"),
        Link("h", "a", "1 GB/s", kind="substrate"),
    ]
    package = Package("star", nodes, links)
    assert [link.kind for link in package.links] == [LinkKind.D2D, LinkKind.MEMORY, LinkKind.SUBSTRATE]
    wider = package.with_link_bandwidth("d2d", "8 GB/s")
    assert [link.bandwidth / 1e9 for link in wider.links] == [8.0, 2.0, 1.0]
    assert Package.from_networkx(package.graph) == package


def test_groups_may_be_numbers():
    nodes = [Chiplet(name, role="expert", group=group) for name, group in zip("abc", (0, 1, 0), strict=True)]
    package = Package("ring", nodes, [Link(*ends, "1 GB/s") for ends in ("ab", "bc", "ca")])
    assert package.expert_groups == ((0, 2), (1,))
    assert nodes[0].group == "0"
    assert Memory("h", "1 GB/s", serves="a").serves == ("a",)
