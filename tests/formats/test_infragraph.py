"""InfraGraph: what is written is read by its library as it was meant; what others write is read."""

from pathlib import Path

import pytest

from noptoolkit import Chiplet, Link, Package
from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats import import_topology, load_topology, save_topology
from noptoolkit.topology import mesh, ring

pytestmark = pytest.mark.filterwarnings("ignore:.*have no bandwidth in the file:noptoolkit.errors.NopWarning")

pytest.importorskip("infragraph")


def test_the_library_reads_ours(tmp_path: Path) -> None:
    from infragraph.infragraph_service import InfraGraphService

    package = load_topology("star-16")
    lost = " | ".join(save_topology(package, tmp_path / "s.infragraph"))
    service = InfraGraphService()
    service.set_graph((tmp_path / "s.infragraph").read_text())
    graph = service.get_networkx_graph()
    assert graph.number_of_nodes() == len(package.nodes)
    assert graph.number_of_edges() == len({frozenset((link.a, link.b)) for link in package.links})
    assert graph.edges["attn.0.xpu.0", "hub.0.switch.0"]["bandwidth"] == "512.0 GBps"
    assert graph.edges["e3.0.xpu.0", "hub.0.switch.0"]["latency"] == "1.0 ns"
    assert "3 parallel links" in lost


DEVICES = """
name: rack
devices:
- name: board
  components:
  - {name: gpu, count: 2, choice: xpu}
  - {name: fabric, count: 1, choice: switch}
  - {name: dram, count: 2, choice: memory}
  links:
  - {name: nv, physical: {bandwidth: {choice: gigabits_per_second, gigabits_per_second: 400.0},
                          latency: {choice: us, us: 1.5}}}
  - {name: bus, physical: {bandwidth: {choice: gigatransfers_per_second, gigatransfers_per_second: 32.0}}}
  edges:
  - {scheme: many2many, link: nv, ep1: {component: gpu}, ep2: {component: fabric}}
  - {scheme: one2one, link: bus, ep1: {component: 'gpu[0:2]'}, ep2: {component: 'dram[0:2]'}}
links: [{name: up, physical: {bandwidth: {choice: gigabytes_per_second, gigabytes_per_second: 25.0}}}]
instances: [{name: node, device: board, count: 2}]
edges:
- {scheme: one2one, link: up, ep1: {instance: 'node[0]', component: 'fabric[0]'},
   ep2: {instance: 'node[1]', component: 'fabric[0]'}}
"""


def test_devices_in_instances(tmp_path: Path) -> None:
    for name in ("rack.yaml", "rack.infragraph"):
        (tmp_path / name).write_text(DEVICES)
        read = import_topology(tmp_path / name, bandwidth="64 GB/s")
        package = read.package
        assert package.terminals == tuple(f"node.{i}.gpu.{k}" for i in (0, 1) for k in (0, 1))
        widths = {frozenset((link.a, link.b)): link.bandwidth for link in package.links}
        assert widths[frozenset(("node.0.gpu.1", "node.0.fabric.0"))] == 50e9
        assert widths[frozenset(("node.0.fabric.0", "node.1.fabric.0"))] == 25e9
        assert widths[frozenset(("node.1.gpu.1", "node.1.dram.1"))] == 64e9
        assert {round(link.latency * 1e9) for link in package.links} == {0, 1500}
        assert read.ignored == ("bandwidth in GT/s",)
        assert "64 GB/s for 4 links: the file does not say" in read.assumed


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("count: 2}]", "count: 99999}]", "at most 10000"),
        ("count: 2}]", "count: -1}]", "not a whole number"),
        ("choice: memory}", "choice: memory, count: 3}", "twice"),
        ("{name: gpu, count: 2, choice: xpu}", "{name: board, count: 2, choice: device}", "holds itself"),
        ("device: board", "device: bored", "not as InfraGraph has it|no chiplet"),
        ("'gpu[0:2]'", "'gpu[7:9]'", "not as InfraGraph has it|cannot be reached"),
        ("name: rack", "name: &a rack\nother: *a", "aliases"),
        ("scheme: many2many", "scheme: all2all", "not as InfraGraph has it"),
        ("gigabits_per_second: 400.0", "gigabits_per_second: true", "bandwidth .* is no number"),
        ("us: 1.5", "us: false", "latency .* is no number"),
    ],
)
def test_faulty_infragraphs(old: str, new: str, reason: str, tmp_path: Path) -> None:
    assert old in DEVICES
    (tmp_path / "x.infragraph").write_text(DEVICES.replace(old, new, 1))
    with pytest.raises(FormatError, match=reason) as caught:
        load_topology(tmp_path / "x.infragraph")
    assert "x.infragraph" in str(caught.value)


def test_what_infragraph_cannot_say(tmp_path: Path) -> None:
    one_way = ring(3).replace(links=[Link("e0", "e1", 1e9, 2e9), *ring(3).links[1:]])
    with pytest.raises(TopologyError, match="two bandwidths"):
        save_topology(one_way, tmp_path / "x.infragraph")
    odd = Package("p", [Chiplet("a.b"), Chiplet("c[0]")], [Link("a.b", "c[0]", 1e9)])
    assert any("names of 2 nodes" in text for text in save_topology(odd, tmp_path / "x.infragraph"))
    assert load_topology(tmp_path / "x.infragraph").terminals == ("node0", "node1")
    save_topology(mesh(2), tmp_path / "m.yaml", format="infragraph")
    assert load_topology(tmp_path / "m.yaml").terminals == mesh(2).terminals
