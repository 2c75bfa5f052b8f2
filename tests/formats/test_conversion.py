"""Other tools' files: written by hand, written by networkx, and written by an enemy."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest

from noptoolkit import Chiplet, Link, Package, Switch, physical
from noptoolkit.errors import FormatError, NopError, NopWarning, TopologyError, UnknownNameError
from noptoolkit.formats import convert, import_topology, load_topology, save_topology
from noptoolkit.formats.allocations import load_allocation
from noptoolkit.formats.arithmetic import parse_formula
from noptoolkit.topology import connect, mesh, nop_tree, ring

pytestmark = pytest.mark.filterwarnings("ignore:.*have no bandwidth in the file:noptoolkit.errors.NopWarning")

DATA = Path(__file__).parent / "data"


def test_anynet_by_hand() -> None:
    read = import_topology(DATA / "five.anynet", bandwidth="64 GB/s")
    package = read.package
    assert package.terminals == ("n0", "n1", "n2", "n3")
    assert [switch.name for switch in package.switches] == ["r1"]
    latency = {
        (channel.tail, channel.head): round(package.links[channel.link].latency * 1e9)
        for channel in package.channels
    }
    assert (latency["n0", "r1"], latency["r1", "n0"]) == (15, 1)
    assert (latency["n0", "n3"], latency["n3", "n0"]) == (1, 1)
    assert (latency["r1", "n3"], latency["n3", "r1"]) == (1, 4)
    assert {link.bandwidth for link in package.links} == {64e9}
    assert any("no bandwidth" in text for text in read.assumed)
    assert any("differ in latency" in text for text in read.assumed)


def test_anynet_rounds_latencies_up(tmp_path: Path) -> None:
    save_topology(ring(4, link_latency="2.2 ns"), tmp_path / "r.anynet")
    assert (tmp_path / "r.anynet").read_text().splitlines()[0] == "router 0 node 0 router 1 3 router 3 3"


def test_anynet_lines_of_nodes(tmp_path: Path) -> None:
    path = tmp_path / "nodes.anynet"
    path.write_text("node 0 router 0 3\nnode 1 router 1\nrouter 0 router 1 2\nnode 2 router 1 4\n\n")
    read = import_topology(path)
    latency = {(link.a, link.b): round(link.latency * 1e9) for link in read.package.links}
    assert latency == {("r1", "n1"): 1, ("r1", "n2"): 4, ("n0", "r1"): 2, ("r1", "n0"): 1}
    assert read.ignored == ("latency of the injection and ejection of 1 nodes",)


@pytest.mark.parametrize(
    ("name", "written"), [("r.anynet", "r.anynet"), ("4x4.anynet", "./4x4.anynet"), ("a-b_1.anynet",) * 2]
)
def test_names_that_booksim_reads(name: str, written: str, tmp_path: Path) -> None:
    save_topology(ring(4).replace(name="two\nlines = 1;"), tmp_path / name)
    config = (tmp_path / name).with_suffix(".cfg").read_text().splitlines()
    assert f"network_file = {written};" in config
    assert config[0].startswith("// two lines = 1;: a flit is")
    with pytest.raises(FormatError, match="know no such file name"):
        save_topology(ring(4), tmp_path / "my net.anynet")


def test_anynet_reports_what_it_cannot_say(tmp_path: Path) -> None:
    fat = nop_tree(2, 2, uplink_bandwidth="512 GB/s")
    lost = " ".join(save_topology(fat, tmp_path / "x.anynet"))
    assert "different bandwidths" in lost
    assert "replication" in lost
    double = connect(ring(4), [("e0", "e1")], "128 GB/s")
    assert "1 parallel links" in " ".join(save_topology(double, tmp_path / "y.anynet"))
    one_way = connect(ring(4), [("e0", "e2")], "128 GB/s", reverse_bandwidth=0.0)
    with pytest.raises(TopologyError, match="one-way"):
        save_topology(one_way, tmp_path / "z.anynet")


def test_rapidchiplet_by_hand() -> None:
    read = import_topology(DATA / "rapid" / "design.json")
    package = read.package
    assert package.name == "by hand"
    assert package.terminals == ("c0", "c1")
    assert package["c1"].position == pytest.approx((0.017, 0.004))
    assert package["m2"].size == pytest.approx((0.006, 0.004))
    assert isinstance(package["r0"], Switch)
    assert package["r0"].latency == pytest.approx(5e-9)
    first, _, last = package.links
    # 0.05 x 0.5 x 80 mm2 / (50 um)^2 = 800 bumps, 12 of them no data: 788 wires of 0.125 GB/s, half each way
    assert first.bandwidth == pytest.approx(394 * 0.125e9)
    # c0's PHY at (9, 4), c1's turned by 180 degrees at (12 + 1, 4): 4 mm, 2 x 12 + 1 cycles
    assert first.length == pytest.approx(4e-3)
    assert first.latency == pytest.approx(25e-9)
    assert last.latency == pytest.approx(
        (12 + 7) * 1e-9
    )  # one PHY, and 0.25 x 26 mm = 6.5 cycles, rounded up
    # the memory's PHY (0, 3) of 4 x 6, turned by 90 degrees: at (3, 0) of 6 x 4
    assert last.length == pytest.approx((abs(27 - 11) + abs(0 - 10)) * 1e-3)
    assert package["m2"].bandwidth == last.bandwidth
    assert any("1 GHz" in text for text in read.assumed)
    assert read.ignored


def test_rapidchiplet_refuses(tmp_path: Path) -> None:
    def broken(file: str, old: str, new: str) -> Path:
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
        shutil.copytree(DATA / "rapid", tmp_path / "d")
        path = tmp_path / "d" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return tmp_path / "d"

    cases = [
        ("packaging.json", "0.25 * x", "__import__('os').system('touch evaluated')", "not arithmetic"),
        ("packaging.json", "0.25 * x", "x ** 9999999", "not arithmetic"),
        ("packaging.json", "0.25 * x", "1 / (x - x)", "no value at"),
        ("packaging.json", "0.25 * x", "x" + "+x" * 500, "characters"),
        ("packaging.json", '"bump_pitch": 0.05', '"bump_pitch": 0', "ZeroDivision|not as RapidChiplet"),
        ("topology.json", '"outer_id": 0', '"outer_id": 99', "not between"),
        ("topology.json", '"inner_id": 0', '"inner_id": true', "not between"),
        ("topology.json", '"ep1"', '"ep3"', "not as RapidChiplet"),
        ("placement.json", '"name": "core"', '"name": "bore"', "not as RapidChiplet"),
        ("chiplets.json", '"x": 10', '"x": "ten"', "not as RapidChiplet"),
        ("chiplets.json", '"fraction_bump_area": 0.05', '"fraction_bump_area": 0', "no data wires"),
        ("design.json", '"topology.json"', '"../../../etc/passwd"', "leaves the design"),
        ("design.json", '"topology.json"', '"/etc/passwd"', "leaves the design"),
        ("design.json", '"topology.json"', '"none.json"', "no file"),
        ("design.json", '"topology.json"', "7", "must name a file"),
    ]
    for file, old, new, reason in cases:
        with pytest.raises(NopError, match=reason):
            import_topology(broken(file, old, new))


@pytest.mark.parametrize(
    ("text", "x", "value"),
    [
        ("lambda x : 0.25 * x", 8, 2),
        ("lambda length: -length + 2 ** 3 - (1 / 4)", 1, 6.75),
        ("lambda x: math.ceil(x / 2) + max(1, min(x, 9))", 3, 5),
        ("lambda x: math.sqrt(x)", 9, 3),
        ("12", 5, 12),
    ],
)
def test_formulas(text: str, x: float, value: float) -> None:
    assert parse_formula(text, "f")(x) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "lambda x: x.__class__",
        "lambda x: [x]",
        "lambda x: (lambda y: y)(x)",
        "lambda x, y: x",
        "lambda x=1: x",
        "lambda *x: x",
        "lambda x: y",
        "lambda x: True",
        "lambda x: 'a'",
        "lambda x: open(x)",
        "lambda x: math.factorial(x)",
        "lambda x: x ** x",
        "lambda x: x if x else 1",
        "import os",
        "(" * 150,
        "",
    ],
)
def test_formulas_that_are_none(text: str) -> None:
    with pytest.raises(FormatError):
        parse_formula(text, "f")


@pytest.mark.parametrize("suffix", [".graphml", ".json"])
@pytest.mark.parametrize("directed", [False, True])
def test_graphs_of_networkx(suffix: str, directed: bool, tmp_path: Path) -> None:
    graph = nx.petersen_graph()
    graph.nodes[0]["colour"] = "red"
    if directed:
        graph = graph.to_directed()
    path = tmp_path / f"petersen{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(nx.node_link_data(graph, edges="links")))
    else:
        nx.write_graphml(graph, path)
    read = import_topology(path, bandwidth="32 GB/s")
    assert len(read.package.experts) == 10
    assert len(read.package.links) == 15
    assert {link.backward_bandwidth for link in read.package.links} == {32e9}
    assert read.ignored == ("attribute 'colour' of a chiplet",)
    assert len(read.assumed) == 2


def test_networkx_reads_ours(tmp_path: Path) -> None:
    package = connect(mesh(3, memory=True), [("e0", "e1")], "64 GB/s")
    save_topology(package, tmp_path / "m.graphml")
    save_topology(package, tmp_path / "m.json")
    graphs = [
        nx.read_graphml(tmp_path / "m.graphml", force_multigraph=True),
        nx.node_link_graph(json.loads((tmp_path / "m.json").read_text()), edges="edges"),
    ]
    for graph in graphs:
        assert graph.number_of_nodes() == len(package.nodes)
        assert graph.number_of_edges() == len(package.links)
        assert graph.number_of_edges("e0", "e1") == 2
        assert graph.nodes["hbm0"]["bandwidth"] == 256e9


def test_dot_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "x.dot"
    path.write_text(
        """// a package
        strict graph "two words" {
          node [kind=chiplet, role=expert]; edge [bandwidth="64 GB/s"];
          rankdir = LR
          a -- b -- "c \\"d\\"" [latency="2 ns"] # a chain
          subgraph cluster_1 { node [role=io]; e:north -- a; }
          f [kind=switch, replicates=true]; f -- a [bandwidth=1e9]
          /* end */
        }"""
    )
    read = import_topology(path)
    package = read.package
    assert package.name == "two words"
    assert package.terminals == ("a", "b", 'c "d"', "e")
    assert package.with_role("io") == ("e",)
    assert package["f"] == Switch("f", replicates=True)
    assert [link.bandwidth for link in package.links] == [64e9, 64e9, 64e9, 1e9]
    assert package.links[1].latency == 2e-9


HOSTILE = {
    "expansion.graphml": '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><graphml>&b;</graphml>',
    "type.graphml": "<!DOCTYPE graphml><graphml><graph><node id='a'/></graph></graphml>",
    "deep.graphml": "<a>" * 100_000,
    "no.graphml": "<graphml><graph/></graphml>",
    "two.graphml": "<graphml><graph/><graph/></graphml>",
    "text.graphml": "hello",
    "ends.graphml": "<graphml><graph><node id='a'/><edge source='a'/></graph></graphml>",
    "lost.graphml": "<graphml><graph><node id='a'/><edge source='a' target='b'/></graph></graphml>",
    "deep.json": "[" * 100_000,
    "nan.json": '{"nodes": [{"id": 1, "flops": NaN}], "edges": []}',
    "list.json": "[]",
    "twice.json": '{"nodes": [{"id": 1}, {"id": 1}], "edges": []}',
    "bare.json": '{"nodes": [1], "edges": []}',
    "edge.json": '{"nodes": [{"id": 1}], "edges": [3]}',
    "kind.json": '{"nodes": [{"id": 1, "kind": "chip"}], "edges": []}',
    "bool.json": '{"nodes": [{"id": 1, "replicates": "maybe"}], "edges": []}',
    "unit.json": '{"nodes": [{"id": 1, "flops": "3 GB"}], "edges": []}',
    "place.json": '{"nodes": [{"id": 1, "x": "here", "y": 1}], "edges": []}',
    "digits.json": '{"nodes": [{"id": ' + "9" * 5000 + "}]}",
    "defaults.dot": "graph { node [" + ",".join(f"k{i}=v" for i in range(101)) + "]; a }",
    "changes.dot": "graph { " + "edge [a=b];" * 10_001 + " a }",
    "open.dot": "graph {",
    "digraph.dot": "graph { a -> b }",
    "html.dot": "graph { a [label=<b>] }",
    "deep.dot": "graph { " + "{" * 1000,
    "junk.dot": "graph { [[[ }",
    "tail.dot": "graph { a } graph { b }",
    "quote.dot": 'graph { "' + "\\" * 9999,
    "name.dot": "digraph subgraph subgraph",
    "assumed.dot": 'graph { assumed="[" ; a -- b }',
    "deep serves.dot": 'graph { a -- m ; m [kind=memory, bandwidth=1, serves="' + "[" * 5000 + '"] }',
    "number.dot": 'graph { assumed="7" ; a -- b }',
    "lone.yml": "topology: [ Ring ]\nnpus_count: [ 1 ]\nbandwidth: [ 1.0 ]\nlatency: [ 0.0 ]",
    "plus.dot": 'graph { a [label="b" + c] }',
    "hyper.graphml": "<graphml><graph><node id='a'/><hyperedge/></graph></graphml>",
    "deep.gml": "graph [ " + "a [ " * 1000,
    "close.gml": "graph [ ] ]",
    "value.gml": "graph [ node ]",
    "key.gml": "graph [ 3 4 ]",
    "two.gml": "graph [ ] graph [ ]",
    "id.gml": "graph [ node [ label 3 ] ]",
    "list.gml": "graph [ node [ id [ a 1 ] ] ]",
    "ends.gml": "graph [ node [ id 1 ] edge [ source 1 target 2 ] ]",
    "digits.gml": "graph [ node [ id 1 flops " + "9" * 5000 + " ] ]",
    "quote.gml": 'graph [ node [ id 1 label "',
    "words.anynet": "router zero node 0",
    "huge.anynet": "router 999999999999999 node 0",
    "short.anynet": "router",
    "tail.anynet": "router 0 node",
    "node.anynet": "node 0 node 1",
    "twice.anynet": "router 0 node 0\nrouter 1 node 0 router 0",
    "gap.anynet": "router 0 node 0 router 1\nrouter 1 node 2",
    "routers.anynet": "router 0 node 0 router 5\nrouter 5 node 1",
    "apart.anynet": "router 0 node 0\nrouter 1 node 1",
    "keys.yml": "topology: [ Ring ]\ncolour: red",
    "some.yml": "topology: [ Ring ]",
    "count.yml": "topology: [ Ring ]\nnpus_count: [ 99999999 ]\nbandwidth: [ 1 ]\nlatency: [ 1 ]",
    "links.yml": "topology: [ FullyConnected ]\nnpus_count: [ 4000 ]\nbandwidth: [ 1 ]\nlatency: [ 1 ]",
    "dims.yml": "topology: [ Ring, Ring ]\nnpus_count: [ 4 ]\nbandwidth: [ 1 ]\nlatency: [ 1 ]",
    "kind.yml": "topology: [ Rong ]\nnpus_count: [ 4 ]\nbandwidth: [ 1 ]\nlatency: [ 1 ]",
    "minus.yml": "topology: [ Ring ]\nnpus_count: [ 4 ]\nbandwidth: [ -1 ]\nlatency: [ 1 ]",
    "nan.yml": "topology: [ Ring ]\nnpus_count: [ 4 ]\nbandwidth: [ nan ]\nlatency: [ 1 ]",
    "zero.yml": "topology: [ Ring ]\nnpus_count: [ 4 ]\nbandwidth: [ 0 ]\nlatency: [ 1 ]",
    "tag.yml": "topology: !!python/object/apply:os.system ['ls']",
    "some.svg": "<svg/>",
    "some.xyz": "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(HOSTILE[name])
    with pytest.raises(NopError) as caught:
        load_topology(path)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("suffix", [".graphml", ".gml", ".json", ".dot", ".anynet", ".yml"])
def test_truncated_and_binary_files(suffix: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{suffix}"
    package = ring(4) if suffix == ".yml" else mesh(2, memory=suffix != ".anynet")
    save_topology(package, whole)
    text = whole.read_text()
    path = tmp_path / f"cut{suffix}"
    for end in range(0, len(text), max(len(text) // 40, 1)):
        path.write_text(text[:end])
        with contextlib.suppress(NopError):  # anything else would be a traceback
            assert isinstance(load_topology(path), Package)
    path.write_bytes(bytes(range(256)))
    with pytest.raises(FormatError, match="UTF-8"):
        load_topology(path)


@pytest.mark.parametrize("suffix", [".graphml", ".gml", ".json", ".dot", ".anynet", ".yml", ".toml"])
def test_messages_do_not_repeat_what_is_endless(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"long{suffix}"
    save_topology(ring(3) if suffix == ".yml" else mesh(2), path)
    number = {".anynet": "node 3", ".yml": "[ 3 ]", ".gml": "target 3"}.get(suffix, "e3")
    text = path.read_text()
    assert number in text
    path.write_text(text.replace(number, f"{number}{'x' * 50_000}", 1))
    with pytest.raises(NopError) as caught:
        load_topology(path)
    assert len(str(caught.value)) < 2000


def test_paths_that_no_file_can_have(tmp_path: Path) -> None:
    for path in (tmp_path / "a\0b.toml", tmp_path / ("x" * 5000 + ".dot"), tmp_path):
        with pytest.raises(FormatError):
            load_topology(path)
        with pytest.raises(FormatError):
            load_allocation(path)
    shutil.copytree(DATA / "rapid", tmp_path / "d")
    design = tmp_path / "d" / "design.json"
    for name in ("x" * 5000, "a\\u0000b"):
        design.write_text(design.read_text().replace('"topology.json"', f'"{name}"'))
        with pytest.raises(FormatError, match="no file"):
            load_topology(tmp_path / "d")
        shutil.copy(DATA / "rapid" / "design.json", design)


def test_astrasim_dimensions(tmp_path: Path) -> None:
    path = tmp_path / "n.yml"
    path.write_text(
        "# three dimensions\ntopology: [ Ring, FullyConnected, Switch ]\nnpus_count: [ 2, 3, 4 ]\n"
        "bandwidth: [ 200.0, 100.0, 50.0 ]  # GB/s\nlatency: [ 50.0, 500.0, 2000.0 ]\n"
    )
    package = load_topology(path)
    assert len(package.chiplets) == 24
    assert len(package.switches) == 6
    assert sum(link.bandwidth == 200 * 2**30 for link in package.links) == 12
    assert sum(link.bandwidth == 100 * 2**30 for link in package.links) == 8 * 3
    assert sum(link.latency == 2000e-9 for link in package.links) == 24


def test_names_of_formats(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'graphml'"):
        convert("mesh-4x4", tmp_path / "x", target_format="graphlm")
    with pytest.raises(FormatError, match="tells no format"):
        convert("mesh-4x4", tmp_path / "x.doc")
    with pytest.raises(FormatError, match="cannot be written"):
        convert("mesh-4x4", tmp_path / "none" / "x.dot")
    done = convert("mesh-4x4", tmp_path / "x.txt", target_format="dot")
    assert load_topology(tmp_path / "x.txt", format="dot") == done.package


ODD_NAMES = [
    "graph",
    "node",
    "}",
    "[",
    "=",
    ";",
    "subgraph",
    "a,b;[c]:{d}",
    'q"uote\\',
    " space ",
    "中央",
    "1",
    "<&>",
    "a\r\nb",
]


@pytest.mark.parametrize("suffix", [".toml", ".graphml", ".gml", ".dot", ".json"])
def test_names_come_back_whatever_they_are(suffix: str, tmp_path: Path) -> None:
    package = Package(
        'Spaß "中"\r\n2',
        [Chiplet(name, role="expert") for name in ODD_NAMES],
        [Link(ODD_NAMES[0], name, "0.5 TB/s", reverse_bandwidth=0) for name in ODD_NAMES[1:]]
        + [Link(name, ODD_NAMES[0], "0.25 TB/s", latency="1 ns") for name in ODD_NAMES[1:]],
        source="a → b & c",
        assumed=['all "of" it'],
    )
    assert save_topology(package, tmp_path / f"odd{suffix}") == ()
    assert load_topology(tmp_path / f"odd{suffix}") == package


def test_dot_keywords_are_keywords_where_they_are_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "x.dot"
    path.write_text(
        'graph { node [role=io]; a; "node" [role=compute]; { edge [bandwidth=2e9]; a -- b }; b -- "node" }'
    )
    package = load_topology(path, bandwidth="1 GB/s")
    assert [chiplet.role for chiplet in package.chiplets] == ["io", "compute", "io"]
    assert [link.bandwidth for link in package.links] == [2e9, 1e9]


@pytest.mark.parametrize(
    ("name", "suffix", "reason"),
    [
        ("a\x03b", ".graphml", "control characters"),
        ("a\0b", ".dot", "zero byte"),
        ("a\ud800b", ".toml", "not text that a file can hold"),
        ("a\ud800b", ".dot", "not text that a file can hold"),
    ],
)
def test_names_that_a_format_cannot_hold(name: str, suffix: str, reason: str, tmp_path: Path) -> None:
    nodes = [Chiplet(name, position=(0, 0), size=(1, 1)), Chiplet("c", position=(2, 0), size=(1, 1))]
    path = tmp_path / f"x{suffix}"
    path.write_text("what was there")
    with pytest.raises(NopError, match=reason):
        save_topology(Package("p", nodes, [Link(name, "c", 1e9)]), path)
    assert path.read_text() == "what was there"


def test_a_picture_shows_letters_that_it_cannot_hold(tmp_path: Path) -> None:
    nodes = [Chiplet("a\x03b", position=(0, 0), size=(1, 1)), Chiplet("c", position=(2, 0), size=(1, 1))]
    save_topology(Package("p", nodes, [Link("a\x03b", "c", 1e9)]), tmp_path / "x.svg")
    assert "\x03" not in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_a_chiplet_alone_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="one router alone"):
        save_topology(Package("p", [Chiplet("a")], []), tmp_path / "x.anynet")


def test_rapidchiplet_tells_what_happens_to_directions(tmp_path: Path) -> None:
    one_way = connect(ring(4), [("e0", "e2")], "128 GB/s", reverse_bandwidth=0.0)
    assert any("one-way" in text for text in save_topology(one_way, tmp_path / "design"))
    assert not any("one-way" in text for text in save_topology(ring(4), tmp_path / "design"))


def test_files_without_bandwidth_say_so(tmp_path: Path) -> None:
    path = tmp_path / "ring.dot"
    path.write_text("graph { a -- b; b -- c [bandwidth=2e9]; c -- a }")
    with pytest.warns(
        NopWarning, match=r"ring\.dot: 2 links have no bandwidth in the file, 128 GB/s is assumed"
    ):
        package = load_topology(path)
    assert [link.bandwidth / 1e9 for link in package.links] == [128.0, 2.0, 128.0]
    assert load_topology(path, bandwidth="1 GB/s").links[0].bandwidth == 1e9  # in silence
    plain = tmp_path / "net.anynet"
    plain.write_text("router 0 node 0 router 1\nrouter 1 node 1\n")
    with pytest.warns(NopWarning, match=r"1 links have no bandwidth"):
        load_topology(plain)


def test_dies_are_placed_for_formats_that_need_it(tmp_path: Path) -> None:
    bare = [replace(node, position=None, size=None) for node in ring(4).nodes]
    package = ring(4).replace(nodes=bare)
    with pytest.raises(TopologyError, match=r"place the package first, .*convert --place"):
        convert(package, tmp_path / "rc", target_format="rapidchiplet")
    done = convert(package, tmp_path / "rc", target_format="rapidchiplet", prepare=physical.place)
    assert all(node.position is not None for node in done.package.nodes)


def test_sizes_that_a_placement_made_up_are_told(tmp_path: Path) -> None:
    first, *others = ring(3).nodes
    package = ring(3).replace(nodes=[first, *(replace(node, size=None) for node in others)])
    done = convert(package, tmp_path / "placed.toml", prepare=physical.place)
    said = f"10 mm x 10 mm is the size of 2 nodes that had none: {others[0].name}, {others[1].name}"
    assert done.assumed == (said,)
    assert said in str(done.table())
    assert load_topology(tmp_path / "placed.toml").assumed == (*package.assumed, said)
    again = convert(done.package, tmp_path / "again.toml", prepare=physical.place)
    assert not again.assumed
