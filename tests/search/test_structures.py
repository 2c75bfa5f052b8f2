"""Search over switches, places, copying nodes and any figure: known optima, rules that are kept, files."""

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import noptoolkit as nop
from noptoolkit.bounds import TopologyClass, class_bound, class_like, design_bound, edge_bound, grid_class
from noptoolkit.bounds.belonging import not_of
from noptoolkit.cli.application import app
from noptoolkit.errors import FormatError, NopError, RoutingError, TopologyError
from noptoolkit.search import load_search, search
from noptoolkit.search.moves import moved, random_structure
from noptoolkit.search.objective import TrafficTime
from noptoolkit.search.structure import build, keeps_rules
from noptoolkit.studies import metric_figure
from noptoolkit.topology import mesh, nop_tree
from noptoolkit.traffic import DestinationSets, Traffic

TREE = nop_tree(2, 2, link_bandwidth="1 GB/s")


def from_first(names, amount=1e9):
    """One message from the first to all others."""
    members = np.array([[2 ** len(names) - 2]], np.uint64)
    return Traffic(
        names, np.zeros((len(names),) * 2), DestinationSets(np.zeros(1, int), members, np.array([amount]))
    )


@pytest.mark.parametrize(("copiers", "time"), [(0, 3.0), (1, 1.0), ("all", 1.0)])
def test_who_copies_is_chosen(copiers, time):
    """A root of one port: its neighbour copies, or the message crosses the link once for each member."""
    names = ("a", "b", "c", "d")
    within = TopologyClass(names, [1, 3, 1, 1], 1e9, "single", copiers=copiers)
    found = search(within, from_first(names), solves=200)
    assert (found.how, found.status) == ("every graph", "optimal")
    assert found.time == pytest.approx(time)
    assert found.verify()
    if copiers == 1:
        assert found.structure.copiers == (1,)
        assert [node.name for node in found.package.nodes if node.replicates] == ["b"]


def test_chiplets_exchange_places():
    """On a row with links to neighbours, pairs that talk are fast side by side, else they share a link."""
    demand = np.zeros((4, 4))
    demand[0, 3] = demand[1, 2] = 1e9
    traffic = Traffic(tuple(f"e{i}" for i in range(4)), demand + demand.T)
    row = grid_class(1, 4, ports=2, reach=1, bandwidth="1 GB/s", links="single")
    assert search(row, traffic, solves=50).time == pytest.approx(2.0)
    found = search(row.replace(movable=True), traffic, solves=50)
    assert (found.time, found.status) == (pytest.approx(1.0), "optimal")
    assert found.verify()
    spot = {node.name: node.position[0] for node in found.package.nodes}
    assert abs(spot["e0"] - spot["e3"]) == pytest.approx(0.01)
    assert class_bound(traffic, row.replace(movable=True)).time <= 1.0 + 1e-9
    with pytest.raises(TopologyError, match="class_bound"):
        design_bound(traffic, row.replace(movable=True))


def test_a_template_keeps_its_stacks_and_a_search_goes_on(tmp_path):
    tree = nop.load_topology("mozart-nop-tree")
    within = class_like(tree, switches=(8,) * 4)
    names = tuple(node.name for node in tree.nodes if node.name == "attn" or node.name[0] == "e")
    state = tmp_path / "state.json"
    found = search(within, [from_first(names), from_first(names)], solves=3, store=state)
    assert found.time == pytest.approx(2 * 1e9 / 128e9)  # every expert has one port
    assert (found.status, len(found.bounds)) == ("optimal", 2)
    assert {m.name for m in found.package.memories} == {m.name for m in tree.memories}
    assert found.verify()
    again = search(within, [from_first(names), from_first(names)], solves=3, store=state)
    assert again.time == found.time
    kept = json.loads(state.read_text())
    state.write_text(json.dumps({**kept, "place": [1, 0, *kept["place"][2:]]}))
    with pytest.raises(FormatError, match="breaks a rule"):
        search(within, [from_first(names), from_first(names)], solves=3, store=state)
    with pytest.raises(FormatError, match="another search"):
        search(within, from_first(names), solves=3, store=state)


def test_moves_stay_inside_the_class():
    within = class_like(
        nop.load_topology("mozart-nop-tree"), switches=(6,) * 4, copiers=2, movable=True, total=26
    )
    rng = np.random.default_rng(7)
    now = random_structure(within, rng)
    seen = set()
    for _ in range(60):
        then = moved(within, now, rng, fill=True)
        if then is not None:
            assert keeps_rules(within, then)
            now = then
            seen.add(then)
    package = build(within, now, "x")
    ports = dict(zip(within.nodes, within.node_ports.tolist(), strict=True))
    for node in (*package.chiplets, *package.switches):
        mine = [one for one in package.links if node.name in (one.a, one.b) and one.kind == "d2d"]
        assert len(mine) <= ports[node.name]
    assert sum(one.kind == "d2d" for one in package.links) <= 26
    assert sum(node.replicates for node in (*package.chiplets, *package.switches)) == 2
    assert len(seen) > 10
    assert any(one.place != now.place for one in seen)


def test_any_function_of_a_package_can_be_made_small():
    within = TopologyClass(("a", "b", "c", "d"), 3, 1e9, "single")
    found = search(within, lambda package: len(package.links), solves=100)
    assert (found.cost, found.status, found.verify()) == (3, "optimal", True)
    with pytest.raises(NopError, match="was 2, computed again 3"):
        dataclasses.replace(found, cost=2.0).verify()
    with pytest.raises(NopError, match="is no objective"):
        search(within, "step")


def test_a_metric_of_a_study_is_a_figure_and_rules_of_a_technology_hold():
    package = mesh(2, link_bandwidth="8 GB/s")
    figure = metric_figure("uniform", "stdlib-moe", like=package, allocator="contiguous")
    within = class_like(package, ports=3, technology="ucie-2d", links="single")
    found = search(within, figure, solves=4)
    assert found.verify()
    assert found.cost == pytest.approx(figure(found.package))
    with pytest.raises(TopologyError, match=r"nothing was found.*breaks"):
        search(
            class_like(package.with_link_bandwidth("d2d", "90 TB/s"), technology="ucie-2d"), figure, solves=4
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"switches": (1, 3)}, "joins nothing"),
        ({"switches": (3,)}, "has 2 switches"),
        ({"links": "split"}, "edge_bound"),
        ({"ports": 0}, r"^ports = 0 of 'attn': give whole numbers above 0$"),
        ({"copiers": 99}, "give 'given', 'all', or a number"),
        ({"technology": "uci"}, "did you mean"),
        ({"ports": 1, "switches": (2, 2)}, "holds no connected package"),
    ],
)
def test_faults_of_a_class(changes, words):
    with pytest.raises(NopError, match=words):
        class_like(TREE, **changes)


def test_a_class_is_of_equal_links():
    wide = TREE.with_link_bandwidth("sw0<->e0", "2 GB/s")
    with pytest.raises(TopologyError, match="ports of one bandwidth"):
        class_like(wide)


def test_dispatch_and_combine_are_bounded_under_one_layout_alone():
    tree = nop_tree(2, 2, link_bandwidth="1 GB/s", flops="1 TFLOP/s", attention_flops="1 TFLOP/s")
    within = class_like(tree, switches=(4, 4))
    figure = metric_figure("all_to_all", "stdlib-moe", like=tree, allocator="contiguous")
    found = search(within, figure, solves=3)
    made = nop.run(tree, "stdlib-moe", allocator="contiguous")
    tokens = search(within, [made.dispatch_traffic, made.combine_traffic], solves=3)
    assert found.cost_bound == pytest.approx(tokens.cost_bound)
    assert 0 < found.cost_bound <= found.cost
    assert found.verify()
    for free in (
        metric_figure("all_to_all", "stdlib-moe", allocator="contiguous"),
        metric_figure("links", "stdlib-moe", like=tree, allocator="contiguous"),
        metric_figure(
            "all_to_all", "stdlib-moe", like=tree, allocator="contiguous", **{"edit.scale_bandwidth": 2.0}
        ),
    ):
        assert free.bounds(within) == ()
    text = str(search(within, free, solves=1).table())
    assert "no bound of dispatch + combine over a class is known" in text
    assert max(map(len, text.splitlines()[:4])) <= 80


def test_a_metric_of_a_plan_needs_a_plan():
    with pytest.raises(NopError, match="'plan_step' is of a parallel plan, and none is given"):
        metric_figure("plan_step", "stdlib-moe", allocator="contiguous")
    assert metric_figure("plan_step", "stdlib-moe", plan="EP4").name == "plan_step"


CLASSES = {
    "grid": grid_class(2, 3, ports=3, bandwidth="1 GB/s", links="single"),
    "reach 2": grid_class(2, 3, ports=3, bandwidth="1 GB/s", links="single", reach=2),
    "whole": grid_class(2, 3, ports=3, bandwidth="1 GB/s", links="whole"),
    "wire": grid_class(2, 3, ports=3, bandwidth="1 GB/s", links="single", wire=12),
    "total": grid_class(2, 3, ports=3, bandwidth="1 GB/s", links="single", total=8),
    "a port less": grid_class(2, 3, ports=[3, 3, 3, 2, 3, 3], bandwidth="1 GB/s", links="single"),
    "wider": grid_class(2, 3, ports=3, bandwidth="2 GB/s", links="single"),
    "movable, reach 1": grid_class(2, 3, ports=3, bandwidth="1 GB/s", reach=1).replace(movable=True),
    "movable, reach 2": grid_class(2, 3, ports=3, bandwidth="1 GB/s", reach=2).replace(movable=True),
    "a switch": grid_class(2, 3, ports=3, bandwidth="1 GB/s").replace(switches=(3,), positions=None),
}
HOLDS_TOO = {("movable, reach 2", "reach 2"), ("movable, reach 2", "movable, reach 1")}
"""Bounds of a class that holds another's packages."""


@pytest.mark.parametrize("name", CLASSES)
def test_a_bound_belongs_to_its_class_and_traffic(name):
    demand = nop.traffic.all_to_all(mesh(2, 3), "1 GB")
    bound = class_bound(demand, CLASSES[name])
    for other, within in CLASSES.items():
        assert bool(not_of(bound, demand, within)) == (other != name and (name, other) not in HOLDS_TOO)
    assert not_of(bound, nop.traffic.all_to_all(mesh(2, 3), "1.01 GB"), CLASSES[name])
    edge = edge_bound(demand, "8 GB/s")
    assert not_of(edge, demand, CLASSES[name]) == ["a bound by EdgeCertificate is none of a class"]


@pytest.mark.parametrize("copiers", [0, "all"])
def test_a_bound_of_messages_to_sets_belongs_to_them(copiers):
    names = ("a", "b", "c", "d")
    within = TopologyClass(names, 2, 1e9, "single", copiers=copiers)
    traffic = from_first(names)
    bound = class_bound(traffic, within)
    assert not not_of(bound, traffic, within)
    assert not_of(bound, from_first(names, 2e9), within)
    if copiers == 0:
        assert not_of(bound, traffic, within.replace(copiers="all"))
    needs = dataclasses.replace(bound.certificate.needs, sent=2 * bound.certificate.needs.sent)
    forged = dataclasses.replace(bound, certificate=dataclasses.replace(bound.certificate, needs=needs))
    assert not_of(forged, traffic, within) == ["a bound is of another traffic"]


FILE = """
schema = 1
[class]
package = "tree.toml"
switches = [4, 4]
[traffic]
kind = "all-to-all"
bytes = "1 GB"
[search]
solves = 6
"""
METRIC = """
[objective]
metric = "links"
workload = "stdlib-moe"
allocator = "contiguous"
"""


def test_the_command_for_a_package_and_a_metric(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nop.save_topology(TREE, "tree.toml")
    given = tmp_path / "search.toml"
    without = FILE.replace('[traffic]\nkind = "all-to-all"\nbytes = "1 GB"\n', "")
    given.write_text(without + METRIC)
    found = CliRunner().invoke(app, ["search", str(given), "-o", "best.toml", "--json"])
    assert found.exit_code == 0, found.output
    (row,) = json.loads(found.stdout)["rows"]
    assert row["value"] == 5  # one switch of four ports for four experts, and the chiplet above
    for text, words in (
        (FILE + METRIC, "both given"),
        (without + METRIC.replace('metric = "links"\n', ""), "has no metric"),
        (FILE.replace('package = "tree.toml"', "rows = 2\nreach = 1"), "have no places"),
        (FILE.replace('"all-to-all"', '"dispatch"'), "needs a workload"),
    ):
        given.write_text(text)
        with pytest.raises(FormatError, match=words):
            load_search(given)


def test_a_result_that_is_wrong_in_one_way_is_seen():
    within = grid_class(2, 2, ports=2, bandwidth="1 GB/s", links="single")
    demand, other = (nop.traffic.all_to_all(mesh(2), size) for size in ("1 GB", "2 GB"))
    found = search(within, demand, solves=50)
    assert found.verify()
    shorter = dataclasses.replace(found.structure, edges=found.edges[:-1])
    for wrong, said in (
        ({"cost": found.cost / 2}, "cost is not what its flows take"),
        ({"structure": shorter}, "not that of its structure"),
        ({"package": build(within, shorter, "chain")}, "a flow is of another package"),
        ({"bounds": (class_bound(other, within),)}, "a bound is of another traffic"),
        ({"bounds": (class_bound(demand, within.replace(ports=3)),)}, "another|other ports"),
        ({"figure": TrafficTime((other,))}, "a flow is of another traffic"),
        ({"bounds": ()}, "1 traffics have 1 flows and 0 bounds"),
    ):
        with pytest.raises(RoutingError, match=said):
            dataclasses.replace(found, **wrong).verify()
