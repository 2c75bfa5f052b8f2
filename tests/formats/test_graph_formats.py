"""GraphML, GML, DOT and node-link JSON by their definitions, and against networkx as another reader."""

import json
from pathlib import Path

import networkx as nx
import pytest

from noptoolkit import load_topology, zero_load_latency
from noptoolkit.errors import FormatError
from noptoolkit.formats import import_topology, list_topologies, save_topology
from noptoolkit.topology import connect, mesh

pytestmark = pytest.mark.filterwarnings("ignore:.*have no bandwidth in the file:noptoolkit.errors.NopWarning")

BACK_AND_FORTH = nx.DiGraph()
BACK_AND_FORTH.add_edge("a", "b", bandwidth=1e9, latency=5e-9)
BACK_AND_FORTH.add_edge("b", "a", bandwidth=1e9, latency=20e-9)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", [".graphml", ".gml", ".json", ".dot"])
def test_directions_keep_their_latencies(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"g{suffix}"
    match suffix:
        case ".graphml":
            nx.write_graphml(BACK_AND_FORTH, path)
        case ".gml":
            nx.write_gml(BACK_AND_FORTH, path)
        case ".json":
            path.write_text(json.dumps(nx.node_link_data(BACK_AND_FORTH, edges="edges")))
        case ".dot":
            path.write_text(
                "digraph g { a -> b [bandwidth=1e9, latency=5e-9]; b -> a [bandwidth=1e9, latency=20e-9] }"
            )
    read = import_topology(path)
    assert zero_load_latency(read.package).max == pytest.approx(20e-9)
    assert any("differ in latency" in text for text in read.assumed)


GRAPHML = """<graphml>
<key id="w" for="edge" attr.name="bandwidth"><default>5e9</default></key>
<key id="k" for="node" attr.name="kind"><default>chiplet</default></key>
<key id="l" for="all" attr.name="latency"><default>3e-9</default></key>
<key id="n" for="graph" attr.name="name"><default>by default</default></key>
<graph edgedefault="undirected">
<node id="hub"><data key="k">switch</data></node><node id="a"/><node id="b"><data key="l">0</data></node>
<edge source="hub" target="a"/><edge source="hub" target="b" directed="true"><data key="w">7e9</data></edge>
<edge source="b" target="a"/>
</graph></graphml>"""


def test_defaults_and_directions_of_graphml(tmp_path: Path) -> None:
    read = import_topology(write(tmp_path / "x.graphml", GRAPHML))
    package = read.package
    assert package.name == "by default"
    assert [switch.name for switch in package.switches] == ["hub"]
    assert [(link.bandwidth, link.backward_bandwidth) for link in package.links] == [
        (5e9, 5e9),
        (7e9, 0.0),
        (5e9, 5e9),
    ]
    assert {link.latency for link in package.links} == {3e-9}
    assert [node.latency for node in package.nodes] == [3e-9, 3e-9, 0.0]
    assert read.assumed == ()
    assert read.ignored == ("attribute 'latency' of the graph",)


def test_strict_dot_merges(tmp_path: Path) -> None:
    text = "Strict GRAPH { a -- b [bandwidth=1e9]; B -- a; b -- a [latency=2e-9]; a -- b [bandwidth=3e9] }"
    package = load_topology(write(tmp_path / "x.dot", text))
    assert [(link.a, link.b, link.bandwidth, link.latency) for link in package.links] == [
        ("a", "b", 3e9, 2e-9),
        ("B", "a", 128e9, 0.0),
    ]
    loose = text.removeprefix("Strict ")
    assert len(load_topology(write(tmp_path / "y.dot", loose)).links) == 4
    directed = "strict digraph { a -> b; b -> a; a -> b; b -> c; c -> a }"
    package = load_topology(write(tmp_path / "z.dot", directed))
    assert [channel.name for channel in package.channels] == ["a->b", "b->a", "b->c", "c->a"]
    keyed = "graph { a -- b [key=1]; a -- b [key=2]; b -- a [key=1, bandwidth=4e9] }"
    assert [link.bandwidth for link in load_topology(write(tmp_path / "k.dot", keyed)).links] == [4e9, 128e9]


@pytest.mark.parametrize(
    ("edges", "pairs"),
    [
        ("hub -- {a b c}", {"hub a", "hub b", "hub c"}),
        ("{a b} -- {c d}", {"a c", "a d", "b c", "b d"}),
        ("{a b} -- c -- subgraph s {d e}", {"a c", "b c", "c d", "c e"}),
        ("subgraph s {a b}; c -- subgraph s {}", {"c a", "c b"}),
        ("a -- {b -- c}", {"b c", "a b", "a c"}),
        ('a -- {b [role=io]; node [role=io]; "c d"} -- e', {"a b", "a c d", "b e", "c d e"}),
        ("a -- {b {c d}}", {"a b", "a c", "a d"}),
    ],
)
def test_dot_edges_to_sets(edges: str, pairs: set[str], tmp_path: Path) -> None:
    package = load_topology(write(tmp_path / "x.dot", f"graph {{ edge [bandwidth=2e9] {edges} }}"))
    assert {f"{link.a} {link.b}" for link in package.links} == pairs
    assert {link.bandwidth for link in package.links} == {2e9}


def test_dot_says_what_it_leaves_out(tmp_path: Path) -> None:
    text = 'graph { rankdir=LR; a:n -- b; subgraph s { name=other; color=red; b -- c } label="x" + "y" }'
    read = import_topology(write(tmp_path / "x.dot", text))
    assert read.package.name == "x"
    assert set(read.ignored) == {
        "attribute 'rankdir' of the graph",
        "attribute 'label' of the graph",
        "attribute 'name' of a subgraph",
        "attribute 'color' of a subgraph",
        "ports of edges",
    }
    with pytest.raises(FormatError, match="line 1: '<' is an HTML string"):
        load_topology(write(tmp_path / "y.dot", "graph { a [label=<b>] }"))


def test_a_set_times_a_set_is_bounded(tmp_path: Path) -> None:
    many = " ".join(f"n{i}" for i in range(2000))
    with pytest.raises(FormatError, match="edges; is it the right file"):
        load_topology(write(tmp_path / "x.dot", f"graph {{ {{ {many} }} -- {{ {many} }} }}"))


@pytest.mark.parametrize("name", list_topologies())
def test_networkx_reads_our_gml(name: str, tmp_path: Path) -> None:
    package = connect(load_topology(name), [load_topology(name).terminals[:2]], "64 GB/s")
    save_topology(package, tmp_path / "x.gml")
    graph = nx.read_gml(tmp_path / "x.gml")
    assert list(graph.nodes) == [node.name for node in package.nodes]
    assert graph.number_of_edges() == len(package.links)
    total = sum(data["bandwidth"] for _, _, data in graph.edges(data=True))
    assert total == pytest.approx(sum(link.bandwidth for link in package.links))


def test_gml_of_networkx(tmp_path: Path) -> None:
    graph = nx.karate_club_graph()
    nx.write_gml(graph, tmp_path / "k.gml")
    read = import_topology(tmp_path / "k.gml")
    assert (len(read.package.chiplets), len(read.package.links)) == (34, 78)
    assert read.ignored == ("attribute 'club' of a chiplet", "attribute 'weight' of a link")


ZOO = """graph [
  # as the Topology Zoo has it
  Creator "Topology Zoo &#38; &quot;friends&quot;"
  node [ id 0 label "Z&#252;rich" Longitude 8.55 graphics [ x 1.0 y 2.0 ] ]
  node [ id 1 label "Bern" ] node [ id 4 label "Genf" ]
  edge [ source 0 target 1 LinkSpeed "10" LinkSpeedUnits "G" LinkSpeedRaw 10000000000.0 ]
  edge [ source 0 target 1 LinkSpeed "155" LinkSpeedUnits "M" ]
  edge [ source 1 target 4 ]
]"""


def test_speeds_of_the_topology_zoo(tmp_path: Path) -> None:
    path = write(tmp_path / "z.gml", ZOO)
    read = import_topology(path, bandwidth="LinkSpeed LinkSpeedUnits")
    assert read.package.terminals == ("Zürich", "Bern", "Genf")
    assert [link.bandwidth for link in read.package.links] == [1.25e9, 155e6 / 8, 128e9]
    assert "128 GB/s for 1 links: the file does not say" in read.assumed
    assert "list 'graphics' of a node" in read.ignored
    assert not any("'LinkSpeed'" in text for text in read.ignored)
    raw = import_topology(path, bandwidth=("LinkSpeedRaw", "bit/s"))
    assert [link.bandwidth for link in raw.package.links] == [1.25e9, 128e9, 128e9]
    with pytest.raises(FormatError, match=r"z.gml: .*no edge has 'Speed'"):
        import_topology(path, bandwidth=("Speed", "bit/s"))
    save_topology(mesh(2), tmp_path / "m.anynet")
    with pytest.raises(FormatError, match="no attributes of links"):
        import_topology(tmp_path / "m.anynet", bandwidth=("Speed", "bit/s"))


def test_labels_that_are_not_names(tmp_path: Path) -> None:
    path = write(tmp_path / "z.gml", ZOO.replace('"Bern"', '"Genf"'))
    read = import_topology(path)
    assert read.package.terminals == ("0", "1", "4")
    assert "attribute 'label' of a chiplet" in read.ignored
