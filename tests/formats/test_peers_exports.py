"""Exports to BookSim2, RapidChiplet and ASTRA-sim: right by the tools' own definitions, and no silent loss.

Fixtures are numbers of real runs: BookSim2 at 28f43299, RapidChiplet at 66e63e5, astra-network-analytical at
599a047.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from noptoolkit import Chiplet, Link, Memory, Package, Switch, congestion, load_topology, zero_load_latency
from noptoolkit.errors import FormatError, TopologyError
from noptoolkit.formats import BookSimOptions, convert, import_topology, list_topologies, save_topology
from noptoolkit.topology import connect, fully_connected, mesh, ring, star, torus
from noptoolkit.traffic import all_to_all

pytestmark = pytest.mark.filterwarnings("ignore:.*have no bandwidth in the file:noptoolkit.errors.NopWarning")

PRESETS = list_topologies()
IN_FULL = [name for name in PRESETS if not load_topology(name).switches]


def read(folder: Path, part: str) -> Any:
    """Return a part of a design with keys and values as RapidChiplet's ``helpers.py`` decodes them."""

    def key(text: Any) -> Any:
        mark = "__tuple__:"
        if isinstance(text, str) and text.startswith(mark):
            return tuple(map(key, json.loads(text[len(mark) :])))
        return text

    def value(data: Any) -> Any:
        if isinstance(data, dict) and "__tuple__" in data:
            return tuple(map(value, data["items"]))
        if isinstance(data, dict):
            return {key(name): value(entry) for name, entry in data.items()}
        return [value(entry) for entry in data] if isinstance(data, list) else data

    return value(json.loads((folder / f"{part}.json").read_text()))


class Design:
    """A design folder under RapidChiplet's published formulas (rapidchiplet.py), rotation left out."""

    def __init__(self, folder: Path) -> None:
        self.types, self.placement = read(folder, "chiplets"), read(folder, "placement")
        self.topology, self.packaging = read(folder, "topology"), read(folder, "packaging")
        self.technologies, self.table = read(folder, "technologies"), read(folder, "routing_table")["table"]
        self.traffic = read(folder, "traffic_by_chiplet")

    def links(self, measure: Any) -> dict[tuple[Any, Any], float]:
        found = {}
        for link in self.topology:
            ends = [(link[end]["type"], link[end]["outer_id"]) for end in ("ep1", "ep2")]
            found[ends[0], ends[1]] = found[ends[1], ends[0]] = measure(link)
        return found

    def kind(self, chiplet: int) -> Any:
        return self.types[self.placement["chiplets"][chiplet]["name"]]

    def length(self, link: Any) -> float:
        points = []
        for end in (link["ep1"], link["ep2"]):
            if end["type"] == "irouter":
                at = self.placement["interposer_routers"][end["outer_id"]]["position"]
                points.append((at["x"], at["y"]))
            else:
                at = self.placement["chiplets"][end["outer_id"]]["position"]
                phy = self.kind(end["outer_id"])["phys"][end["inner_id"]]
                points.append((at["x"] + phy["x"], at["y"] + phy["y"]))
        return abs(points[0][0] - points[1][0]) + abs(points[0][1] - points[1][1])

    def bandwidth(self, link: Any) -> float:
        widths = [math.inf]
        for end in (link["ep1"], link["ep2"]):
            if end["type"] == "chiplet":
                kind = self.kind(end["outer_id"])
                area = kind["dimensions"]["x"] * kind["dimensions"]["y"]
                bumps = (1 - kind["fraction_power_bumps"]) * area / self.packaging["bump_pitch"] ** 2
                share = kind["phys"][end["inner_id"]]["fraction_bump_area"]
                widths.append(math.floor(bumps * share - self.packaging["non_data_wires"]))
        return min(widths) / 2

    def link_latency(self, link: Any) -> int:
        given = self.packaging["link_latency"]
        if self.packaging["link_latency_type"] == "constant":
            return math.ceil(given)
        return math.ceil(eval(given)(self.length(link)))  # as RapidChiplet does, on our own file

    def latency(self) -> dict[str, float]:
        links = self.links(self.link_latency)

        def node(chiplet: int) -> float:
            kind = self.kind(chiplet)
            return kind["internal_latency"] + self.technologies[kind["technology"]]["phy_latency"]

        found, total = [], 0.0
        for (a, b), share in self.traffic.items():
            here, there = ("chiplet", a), ("chiplet", b)
            time = 3 + node(a) + node(b)  # into the network, out of it, and to the node
            while here != there:
                onward = self.table[here][there]
                time += links[here, onward]
                if onward != there and onward[0] == "irouter":
                    time += self.packaging["latency_irouter"]
                elif onward != there:
                    kind = self.kind(onward[1])
                    phy = self.technologies[kind["technology"]]["phy_latency"]
                    time += kind["internal_latency"] + 2 * phy
                here = onward
            found.append(time)
            total += share * time
        return {"min": min(found), "avg": total / sum(self.traffic.values()), "max": max(found)}

    def throughput(self) -> float:
        links = self.links(self.bandwidth)
        load = dict.fromkeys(links, 0.0)
        for (a, b), share in self.traffic.items():
            here, there = ("chiplet", a), ("chiplet", b)
            while here != there:
                load[here, self.table[here][there]] += share
                here = self.table[here][there]
        least = min(links[ends] / load[ends] for ends in links if load[ends])
        return least * sum(self.traffic.values())

    def cost_is_finite(self) -> bool:
        """Return whether RapidChiplet counts a die per wafer, of every chiplet and of the interposer."""
        chiplets, routers = self.placement["chiplets"], self.placement["interposer_routers"]
        spans = []
        for axis in "xy":
            low = [entry["position"][axis] for entry in (*chiplets, *routers)]
            high = [self.types[entry["name"]]["dimensions"][axis] for entry in chiplets] + [0.0] * len(
                routers
            )
            spans.append(max(a + b for a, b in zip(low, high, strict=True)) - min(low))
        areas = [(spans[0] * spans[1], "interposer")]
        areas += [
            (kind["dimensions"]["x"] * kind["dimensions"]["y"], "default") for kind in self.types.values()
        ]
        return all(
            math.floor(math.pi * r**2 / area - math.pi * 2 * r / math.sqrt(2 * area)) >= 1
            for area, r in ((area, self.technologies[name]["wafer_radius"]) for area, name in areas)
        )

    def paths(self, package: Package) -> dict[tuple[str, str], list[str]]:
        """Return the routing table as the path of every pair of the package."""
        dies = [node.name for node in package.nodes if not isinstance(node, Switch)]
        name = {("chiplet", i): die for i, die in enumerate(dies)}
        name |= {("irouter", i): switch.name for i, switch in enumerate(package.switches)}
        found = {}
        for a, b in self.traffic:
            here, there = ("chiplet", a), ("chiplet", b)
            path = [name[here]]
            while here != there:
                here = self.table[here][there]
                path.append(name[here])
            found[path[0], path[-1]] = path
        return found


@pytest.mark.parametrize("name", PRESETS)
def test_rapidchiplet_measures_what_the_package_measures(name: str, tmp_path: Path) -> None:
    package = load_topology(name)
    lost = " ".join(save_topology(package, tmp_path))
    design = Design(tmp_path)
    ends = {frozenset((link.a, link.b)) for link in package.links}
    assert len(design.topology) == len(ends)
    widths: dict[frozenset[str], float] = {}
    for link in package.links:
        pair = frozenset((link.a, link.b))
        widths[pair] = widths.get(pair, 0.0) + link.bandwidth * 8 / 1e9
    dies = [node.name for node in package.nodes if not isinstance(node, Switch)]
    names = {"chiplet": dies, "irouter": [switch.name for switch in package.switches]}
    for wire in design.topology:
        pair = frozenset(names[wire[end]["type"]][wire[end]["outer_id"]] for end in ("ep1", "ep2"))
        if wire["ep1"]["type"] == wire["ep2"]["type"] == "irouter":
            assert "links between switches" in lost
            assert design.bandwidth(wire) == math.inf
        else:
            assert design.bandwidth(wire) == widths[pair]
    for kind in design.types.values():
        assert sum(phy["fraction_bump_area"] for phy in kind["phys"]) <= 1
    if not any(link.latency for link in package.links):
        return  # its latencies are whole and above 0
    paths = design.paths(package)
    ours = zero_load_latency(package, routing=lambda a, b: paths[a, b])
    theirs = design.latency()
    assert theirs["max"] == pytest.approx(ours.max * 1e9 + 3, abs=1e-3)
    assert theirs["avg"] == pytest.approx(ours.mean * 1e9 + 3, abs=1e-3)
    if name in IN_FULL:
        n = len(package.terminals)
        time = congestion(package, all_to_all(package, 1.0, among="terminals"), routing=paths).time
        assert design.throughput() == pytest.approx(n * (n - 1) / time * 8 / 1e9)
    assert design.cost_is_finite()


RUN = {
    # RapidChiplet's own output on our export: mean link length mm, latency min, avg, max, throughput, cost
    "mesh-4x4": (2.325, 4.0, 5.596, 8.0, 9947.4, 24525.41),
    "star-16": (94.570, 5.0, 5.0, 5.0, 17408.0, 63944.43),
    "wafer-mesh-16": (2.325, 4.0, 5.596, 8.0, 4973.7, 24525.41),
    "mozart-nop-tree": (44.788, 5.0, 6.412, 7.0, 5356.3, 63944.43),
}


@pytest.mark.parametrize("name", RUN)
def test_rapidchiplet_ran(name: str, tmp_path: Path) -> None:
    save_topology(load_topology(name), tmp_path)
    design = Design(tmp_path)
    lengths = list(design.links(design.length).values())
    length, low, mean, high, throughput, _ = RUN[name]
    assert sum(lengths) / len(lengths) == pytest.approx(length, abs=1e-3)
    latency = design.latency()
    assert (latency["min"], latency["max"]) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))
    assert latency["avg"] == pytest.approx(mean, abs=1e-3)
    assert design.throughput() == pytest.approx(throughput, abs=0.1)


def test_rapidchiplet_takes_stated_lengths_and_latencies(tmp_path: Path) -> None:
    base = mesh(2, link_latency="3 ns")
    lengths = (2e-3, 5e-3, 9e-3, 1e-3)
    links = [
        dataclasses.replace(link, length=length, latency=length * 1e-6)
        for link, length in zip(base.links, lengths, strict=True)
    ]
    package = base.replace(links=links)
    lost = " ".join(save_topology(package, tmp_path))
    assert "lengths" not in lost
    assert "latencies" not in lost
    design = Design(tmp_path)
    assert [design.length(wire) for wire in design.topology] == pytest.approx([x * 1e3 for x in lengths])
    assert [design.link_latency(wire) for wire in design.topology] == [2, 5, 9, 1]
    back = import_topology(tmp_path).package
    assert [link.latency for link in back.links] == pytest.approx([link.latency for link in links])
    assert [link.length for link in back.links] == pytest.approx(list(lengths))
    far = base.replace(links=[dataclasses.replace(base.links[0], length=1.0), *base.links[1:]])
    assert "lengths of 1 links" in " ".join(save_topology(far, tmp_path))
    other = base.replace(links=[dataclasses.replace(base.links[0], latency="9 ns"), *base.links[1:]])
    assert "latencies of 3 links: RapidChiplet has one" in " ".join(save_topology(other, tmp_path))


def test_rapidchiplet_finds_room_for_phys(tmp_path: Path) -> None:
    package = fully_connected(9, link_bandwidth="4 TB/s", chiplet_size=("2 mm", "2 mm"))
    save_topology(package, tmp_path)
    design = Design(tmp_path)
    assert design.packaging["bump_pitch"] < 0.05
    assert {design.bandwidth(wire) for wire in design.topology} == {32000.0}
    assert all(sum(phy["fraction_bump_area"] for phy in kind["phys"]) <= 1 for kind in design.types.values())


def test_rapidchiplet_leaves_out_files_of_very_many_pairs(tmp_path: Path) -> None:
    lost = save_topology(mesh(23), tmp_path)
    assert any("routing table and traffic: 529 chiplets" in text for text in lost)
    assert not (tmp_path / "routing_table.json").exists()
    assert len(import_topology(tmp_path).package.chiplets) == 529


def memory_design(folder: Path, relay: bool) -> Path:
    side = {"x": 4, "y": 4}
    phys = [{"x": x, "y": 2, "fraction_bump_area": 0.4} for x in (0, 4)]
    common = {"fraction_power_bumps": 0.5, "technology": "t", "power": 1, "unit_count": 1}
    kinds = {
        "core": {"dimensions": side, "type": "compute", "phys": phys[:1], "relay": True},
        "dram": {"dimensions": side, "type": "memory", "phys": phys, "relay": relay},
    }
    kinds = {name: kind | common | {"internal_latency": 3} for name, kind in kinds.items()}
    at = [
        {"position": {"x": 5 * i, "y": 0}, "rotation": 0, "name": name}
        for i, name in enumerate(("core", "dram", "core"))
    ]
    ends = [((0, 0), (1, 0)), ((1, 1), (2, 0))]
    parts = {
        "chiplets": kinds,
        "placement": {"chiplets": at, "interposer_routers": []},
        "topology": [
            {f"ep{k + 1}": {"type": "chiplet", "outer_id": o, "inner_id": i} for k, (o, i) in enumerate(pair)}
            for pair in ends
        ],
        "packaging": {
            "link_routing": "manhattan",
            "link_latency_type": "constant",
            "link_latency": 1,
            "bump_pitch": 0.05,
            "non_data_wires": 12,
        },
        "technologies": {"t": {"phy_latency": 12}},
    }
    for name, part in parts.items():
        (folder / f"{name}.json").write_text(json.dumps(part))
    (folder / "design.json").write_text(json.dumps({name: f"{name}.json" for name in parts}))
    return folder


def test_memory_with_several_links_stays_memory(tmp_path: Path) -> None:
    read = import_topology(memory_design(tmp_path, relay=True))
    package = read.package
    assert [memory.name for memory in package.memories] == ["m1"]
    assert [switch.name for switch in package.switches] == ["c1"]
    assert package.terminals == ("c0", "c2")
    assert any("1 memory chiplets that relay" in text for text in read.assumed)
    total = sum(link.bandwidth for link in package.links if "m1" not in (link.a, link.b))
    assert package["m1"].bandwidth == total  # type: ignore[union-attr]
    with pytest.raises(FormatError, match="cannot be reached"):  # memory that does not relay parts the cores
        import_topology(memory_design(tmp_path, relay=False))


def test_stated_losses_of_every_kind(tmp_path: Path) -> None:
    nodes = [
        Chiplet("a", position=(0, 0), size=(1e-2, 1e-2), injection_bandwidth="1 GB/s", latency="2 ns"),
        Chiplet("b", position=(2e-2, 0), size=(1e-2, 1e-2), crossbar_bandwidth="1 GB/s", reduces=True),
        Switch("s", position=(1e-2, 2e-2), size=(1e-3, 1e-3), latency="5 ns"),
        Memory("h", "8 GB/s", position=(4e-2, 0), size=(1e-2, 1e-2)),
    ]
    links = [
        Link("a", "b", "64 GB/s", half_duplex=True, energy_per_bit="1 pJ/bit"),
        Link("a", "b", "64 GB/s", latency="2.5 ns"),
        Link("a", "s", "32 GB/s", reverse_bandwidth="16 GB/s", kind="substrate"),
        Link("b", "s", "32 GB/s", length="30 mm"),
        Link("b", "h", "8 GB/s", kind="memory", half_duplex=True),
    ]
    package = Package("all kinds", nodes, links, source="somewhere")
    every = ("half duplex", "crossbar limits", "injection", "replication and reduction", "energies", "kinds")
    for path, more in (
        (
            tmp_path / "x.anynet",
            (
                "memory",
                "different bandwidths",
                "parallel",
                "routers (2 ns, 5 ns)",
                "rounded up",
                "lengths",
                "source",
            ),
        ),
        (
            tmp_path / "design",
            ("parallel", "differ by direction", "which chiplets a memory serves", "source"),
        ),
    ):
        lost = " | ".join(save_topology(package, path))
        for word in (*every, *more):
            assert word in lost, (path.name, word)
    one_way = connect(ring(4), [("e0", "e2")], "128 GB/s", reverse_bandwidth=0.0)
    assert any("one-way" in text for text in save_topology(one_way, tmp_path / "d"))


def test_flit_is_that_of_links_between_routers(tmp_path: Path) -> None:
    nodes = [Chiplet("a"), Chiplet("b"), Memory("h", "32 GB/s")]
    links = [Link("a", "b", "128 GB/s"), Link("h", "a", "32 GB/s", kind="memory")]
    save_topology(Package("m", nodes, links), tmp_path / "m.anynet")
    assert "a flit is 128 B at 1 GHz" in (tmp_path / "m.cfg").read_text()
    save_topology(Package("m", nodes, links), tmp_path / "n.anynet", booksim=BookSimOptions(clock="2 GHz"))
    assert "a flit is 64 B at 2 GHz" in (tmp_path / "n.cfg").read_text()


def test_options_of_booksim(tmp_path: Path) -> None:
    options = BookSimOptions("0.5 GHz", packet_size=4, vcs=2, vc_buffer=9, injection_rate=0.25)
    save_topology(ring(3, link_latency="3 ns"), tmp_path / "r.anynet", booksim=options)
    config = (tmp_path / "r.cfg").read_text()
    for line in (
        "packet_size = 4;",
        "num_vcs = 2;",
        "vc_buf_size = 9;",
        "injection_rate = 0.25;",
        "injection_rate_uses_flits = 1;",
    ):
        assert line in config
    assert (tmp_path / "r.anynet").read_text().splitlines()[0] == "router 0 node 0 router 1 2 router 2 2"
    with pytest.raises(FormatError, match="options of BookSim"):
        save_topology(ring(3), tmp_path / "r.dot", booksim=options)
    for wrong in ({"vcs": 0}, {"packet_size": 1.5}, {"injection_rate": 2}, {"clock": 0}, {"vcs": True}):
        with pytest.raises(FormatError, match=next(iter(wrong))):
            BookSimOptions(**wrong)  # type: ignore[arg-type]


def test_whole_cycles_stay_whole(tmp_path: Path) -> None:
    for cycles in range(1, 60):  # 3e-9 x 1e9 is a little more than 3
        save_topology(ring(3, link_latency=f"{cycles} ns"), tmp_path / f"{cycles}.anynet")
        first = (tmp_path / f"{cycles}.anynet").read_text().splitlines()[0]
        assert first == f"router 0 node 0 router 1 {cycles} router 2 {cycles}"


def test_concentration_comes_back(tmp_path: Path) -> None:
    text = "router 0 node 0 node 1 node 5 router 1 1\nrouter 1 node 3 node 4 node 2 router 0 1 router 2 4\n"
    text += "router 2 node 6 router 1 4\n"
    (tmp_path / "c.anynet").write_text(text)
    done = convert(tmp_path / "c.anynet", tmp_path / "d.anynet")
    assert not any("concentrated" in lost for lost in done.lost)
    lines = (tmp_path / "d.anynet").read_text().splitlines()
    assert lines == [
        "router 0 node 0 node 1 node 5 router 1 1",
        "router 1 node 2 node 3 node 4 router 0 1 router 2 4",
        "router 2 node 6 router 1 4",
    ]
    apart = convert(tmp_path / "c.anynet", tmp_path / "e.anynet", booksim=BookSimOptions(concentration=False))
    assert len(apart.path.read_text().splitlines()) == 9
    save_topology(star(4), tmp_path / "s.anynet", booksim=BookSimOptions(concentration=True))
    assert (tmp_path / "s.anynet").read_text() == "router 0 node 0 node 1 node 2 node 3\n"


def test_directions_of_anynet_stay(tmp_path: Path) -> None:
    text = "router 0 node 0 router 1 15\nrouter 1 node 1 router 0 2\n"
    (tmp_path / "c.anynet").write_text(text)
    done = convert(tmp_path / "c.anynet", tmp_path / "d.anynet")
    assert (tmp_path / "d.anynet").read_text() == text
    assert any("differ in latency" in told for told in done.assumed)


def test_deadlock_is_told(tmp_path: Path) -> None:
    """BookSim hangs on ring(16) at 0.5 with deadlock warnings; torus-4x4 runs at any load."""
    done = convert(ring(16), tmp_path / "r.anynet")
    told = [text for text in done.lost if "can deadlock" in text]
    assert len(told) == 1
    assert "e0->e1, e1->e2" in told[0]
    assert f"// {told[0]}" in (tmp_path / "r.cfg").read_text().splitlines()
    done = convert("torus-4x4", tmp_path / "t.anynet")
    assert not any("deadlock" in text for text in done.lost)


def uneven(*bandwidths: str, latency: str = "1 ns") -> Package:
    chiplets = [Chiplet(f"e{i}", role="expert") for i in range(3)]
    links = [Link("h", f"e{i}", width, latency=latency) for i, width in enumerate(bandwidths)]
    return Package("uneven", [Switch("h"), *chiplets], links)


def test_astrasim_refuses_uneven_switches(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    package = uneven("100 GB/s", "50 GB/s", "100 GB/s")
    with pytest.raises(TopologyError, match="equal links in each dimension"):
        save_topology(package, path)
    late = package.replace(links=[Link("h", f"e{i}", 1e9, latency=i * 1e-9) for i in range(3)])
    with pytest.raises(TopologyError, match="equal links in each dimension"):
        save_topology(late, path)
    with pytest.raises(TopologyError, match="two bandwidths"):
        save_topology(package.replace(links=[*package.links[:2], Link("h", "e2", 1e9, 2e9)]), path)
    assert not path.exists()


def test_astrasim_reports(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    twice = uneven(*["64 GB/s"] * 3)
    twice = twice.replace(links=[*twice.links, *twice.links])
    lost = " ".join(save_topology(twice, path))
    assert "3 parallel links: written as one link" in lost
    assert {link.bandwidth for link in load_topology(path).links} == {128e9}
    half = ring(4)
    half = half.replace(
        nodes=[
            dataclasses.replace(chiplet, latency="2 ns", injection_bandwidth=1e9) for chiplet in half.chiplets
        ],
        links=[dataclasses.replace(link, half_duplex=True) for link in half.links],
    )
    lost = " ".join(save_topology(half, path))
    for word in ("half duplex of 4 links", "latencies of 4 routers (2 ns)", "injection and ejection limits"):
        assert word in lost
    done = convert("star-16", path)
    assert any("'attn' (attention), 4 links" in text for text in done.lost)
    assert path.read_text().splitlines()[:2] == ["topology: [ Switch ]", "npus_count: [ 16 ]"]


@pytest.mark.parametrize("kinds", ["Ring, Switch", "Switch, FullyConnected", "Switch, Switch, Ring"])
def test_products_with_switches_come_back(kinds: str, tmp_path: Path) -> None:
    count = kinds.count(",") + 1
    text = (
        f"topology: [ {kinds} ]\nnpus_count: [ {', '.join('4425'[:count])} ]\n"
        f"bandwidth: [ {', '.join(['50.0', '25.0', '12.5'][:count])} ]\n"
        f"latency: [ {', '.join(['500.0', '1.5', '0.0'][:count])} ]\n"
    )
    (tmp_path / "a.yml").write_text(text)
    convert(tmp_path / "a.yml", tmp_path / "b.yml")
    assert (tmp_path / "b.yml").read_text() == text


def test_styles_of_yaml(tmp_path: Path) -> None:
    flow = "topology: [ Ring, Switch ]\nnpus_count: [ 4, 2 ]\nbandwidth: [ 50, 25 ]\nlatency: [ 5, 1e1 ]\n"
    block = (
        "---\n# block\ntopology:\n- Ring\n- 'Switch'\nnpus_count:\n  - 4\n  - 2\n"
        'bandwidth: [50,\n  25]\n"latency": [ 5, # ns\n 1e1 ]\nextra: {a: [1]}\n'
    )
    for name, text in (("flow.yml", flow), ("block.yml", block)):
        (tmp_path / name).write_text(text)
    got = import_topology(tmp_path / "block.yml")
    assert got.package.links == load_topology(tmp_path / "flow.yml").links
    assert got.ignored == ("key 'extra'",)
    for text, reason in (
        (flow + "latency: [ 1 ]\n", "or twice: 'latency'"),
        (flow.replace("[ 5, 1e1 ]", "&a [ 5, *a ]"), "aliases"),
        (flow.replace("[ 5, 1e1 ]", "[" * 30 + "]" * 30), "nested too deeply"),
        (flow.replace("[ 5, 1e1 ]", "[ 5, [ 1 ] ]"), "latency: give one entry"),
        (flow.replace("[ 5, 1e1 ]", "[ 5, "), "no YAML"),
        (flow + "---\na: 1\n", "no YAML"),
        ("x" * 300_000, "characters"),
    ):
        (tmp_path / "bad.yml").write_text(text)
        with pytest.raises(FormatError, match=reason):
            load_topology(tmp_path / "bad.yml")


ASTRA_RAN = {
    # congestion-aware backend, 1 MiB from each to each, ns; a switch stores and forwards
    "ring-16": 294914,
    "fully-connected-16": 8193,
    "star-16": 245762,
}


@pytest.mark.parametrize("name", ASTRA_RAN)
def test_astrasim_ran(name: str, tmp_path: Path) -> None:
    convert(name, tmp_path / "x.yml")
    package = load_topology(tmp_path / "x.yml")
    time = congestion(package, all_to_all(package, 2**20, among="experts"), routing="shortest").time * 1e9
    if name == "star-16":  # 15 messages to the switch one after the other, then 15 from it
        time *= 2
    assert ASTRA_RAN[name] - time in (pytest.approx(1), pytest.approx(2))
    assert torus(4)  # products of several dimensions run in the congestion-unaware backend alone
