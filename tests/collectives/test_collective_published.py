"""Published systems to the printed digit, TACOS's values, files of schedules."""

from pathlib import Path

import pytest
from collective_cases import random_package
from seeds import seeds

from noptoolkit import Chiplet, Link, Package, Switch, topology
from noptoolkit.collectives import KINDS, collective
from noptoolkit.collectives.exports import as_data, as_tasks, from_data
from noptoolkit.collectives.msccl import as_msccl, from_msccl
from noptoolkit.errors import FormatError, NopError, RoutingError, TopologyError
from noptoolkit.formats.collective_schedules import load_collective, save_collective
from noptoolkit.scheduling import schedule_graph
from noptoolkit.study import reproduce_collectives

GB = 1e9


def a100(boxes: int) -> Package:
    """Return boxes of 8 GPUs on an NVSwitch (300 GB/s each), NICs of 25 GB/s, two InfiniBand switches."""
    nodes: list[Chiplet | Switch] = []
    links = []
    for b in range(boxes):
        nodes.append(Switch(f"nvswitch{b}"))
        for g in range(8):
            nodes.append(Chiplet(f"gpu{b}.{g}"))
            links.append(Link(f"gpu{b}.{g}", f"nvswitch{b}", 300 * GB))
            if boxes > 1:
                nodes.append(Switch(f"nic{b}.{g}"))
                links.append(Link(f"gpu{b}.{g}", f"nic{b}.{g}", 25 * GB))
                links.append(Link(f"nic{b}.{g}", f"ib{g % 2}", 25 * GB))
    if boxes > 1:
        nodes += [Switch("ib0"), Switch("ib1")]
    return Package(f"A100 x {boxes}", nodes, links)


@pytest.mark.parametrize(
    ("boxes", "bandwidth", "inside"), [(1, 342.857, 7), (2, 346.667, 15), (4, 266.667, 24), (8, 228.571, 56)]
)
def test_a100_all_gather(boxes: int, bandwidth: float, inside: int) -> None:
    package = a100(boxes)
    result = collective(package, "all-gather", GB)
    assert round(result.bandwidth / GB, 3) == bandwidth
    assert result.status in ("exact", "certified")
    assert result.cut is not None
    members = sum(name in package.terminals for name in result.cut.inside)
    assert members in (inside, 8 * boxes - inside, 24, 8)
    assert result.verify()


MI250_LINKS = [  # (die, die, Infinity Fabric links of 50 GB/s) of a server of eight MI250, two dies each
    *((0, 1, 4), (2, 3, 4), (4, 5, 4), (6, 7, 4), (8, 9, 4), (10, 11, 4), (12, 13, 4), (14, 15, 4)),
    *((0, 4, 2), (3, 7, 2), (8, 12, 2), (11, 15, 2), (0, 8, 1), (1, 5, 1), (1, 9, 1), (1, 10, 1)),
    *((2, 6, 1), (2, 9, 1), (2, 10, 1), (3, 11, 1), (4, 6, 1), (5, 6, 1), (5, 7, 1), (9, 13, 1)),
    *((10, 14, 1), (12, 14, 1), (13, 14, 1), (13, 15, 1)),
]


def mi250(boxes: int, dies: int) -> Package:
    """Return servers of the first dies of an MI250 server, 16 GB/s each to an InfiniBand switch."""
    nodes: list[Chiplet | Switch] = [Chiplet(f"{b}.{i}") for b in range(boxes) for i in range(dies)]
    links = [
        Link(f"{b}.{i}", f"{b}.{j}", 50 * GB * count)
        for b in range(boxes)
        for i, j, count in MI250_LINKS
        if j < dies
    ]
    if boxes > 1:
        nodes.append(Switch("ib"))
        links += [Link(f"{b}.{i}", "ib", 16 * GB) for b in range(boxes) for i in range(dies)]
    return Package(f"MI250 {boxes} x {dies}", nodes, links)


@pytest.mark.parametrize(
    ("boxes", "dies", "bandwidth", "ratio", "inside"),
    [
        (1, 16, 342.857, (7, 150), 14),
        (2, 16, 354.133, (15, 166), 30),
        (1, 8, 200.0, (1, 25), None),
        (2, 8, 208.0, (1, 13), None),
    ],
)
def test_mi250_all_gather(
    boxes: int, dies: int, bandwidth: float, ratio: tuple[int, int], inside: int | None
) -> None:
    """ForestColl's optimum: bandwidth, and the slowest cut's members per GB/s, as its own program prints."""
    package = mi250(boxes, dies)
    for kind in ("all-gather", "reduce-scatter"):
        result = collective(package, kind, GB)
        assert round(result.bandwidth / GB, 3) == bandwidth
        assert result.time_bound == pytest.approx(ratio[0] / ratio[1] / len(package.terminals), rel=1e-12)
        assert result.status == "exact"
        assert result.cut is not None
        if inside is not None and kind == "all-gather":
            assert sum(name in package.terminals for name in result.cut.inside) == inside
        assert result.verify()


def test_dgx2_all_gather() -> None:
    """Two DGX-2 as in TE-CCL's files: 125 GB/s to the switch, 12.5 GB/s from every odd GPU to an even one."""
    nodes: list[Chiplet | Switch] = []
    links = []
    for b in range(2):
        nodes += [Switch(f"switch{b}"), *(Chiplet(f"gpu{b}.{g}") for g in range(16))]
        links += [Link(f"gpu{b}.{g}", f"switch{b}", 125 * GB) for g in range(16)]
        links += [
            Link(f"gpu{b}.{g}", f"gpu{1 - b}.{g - 1}", 12.5 * GB, reverse_bandwidth=0.0)
            for g in range(1, 16, 2)
        ]
    result = collective(Package("DGX-2 x 2", nodes, links), "all-gather", GB)
    assert round(result.bandwidth / GB, 2) == 129.03  # an odd GPU takes in 31 shares at 125 GB/s
    assert result.time_bound == pytest.approx(31 / 125 / 32, rel=1e-12)
    assert result.status == "exact"
    assert result.verify()


def test_a100_all_reduce_is_two_phases() -> None:
    result = collective(a100(2), "all-reduce", GB)
    assert result.time == pytest.approx(0.0057692, rel=1e-4) or result.time == pytest.approx(
        GB * 6 / 65 / 16 / GB, rel=1e-4
    )
    assert result.time_bound == pytest.approx(result.time, rel=1e-4)
    assert result.verify()


def test_tacos_never_beats_the_bound() -> None:
    found = reproduce_collectives("tacos")
    ratios = [published / ours.time_bound for _, published, ours in found.rows]
    expected = [1.0006, 1.02, 1.0103, 1.0423, 1.0138, 1.0070, 1.1546, 1.0185, 1.0151, 1.0392, 1.0185, 1.0006]
    assert [round(ratio, 4) for ratio in ratios] == expected
    assert min(ratios) > 1
    for _, _, ours in found.rows:
        assert ours.verify()


def test_te_ccl_systems() -> None:
    for name, value, ours in reproduce_collectives("te-ccl").rows:
        assert round(ours.bandwidth / GB, 2) == round(value / GB, 2), name
        assert ours.status == "exact"
        assert ours.verify()


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_back(kind: str, tmp_path: Path) -> None:
    mesh = topology.mesh(3, 3, link_bandwidth=1.0)
    members = mesh.experts[:2] if kind == "send" else mesh.experts
    result = collective(mesh, kind, 9.0, among=members)
    save_collective(tmp_path / "s.json", as_data(result))
    again = from_data(mesh, load_collective(tmp_path / "s.json"), place="s.json")
    assert again.time == pytest.approx(result.time)
    assert again.time_bound == pytest.approx(result.time_bound, rel=1e-6)
    save_collective(tmp_path / "s.xml", as_msccl(result))
    read = from_data(mesh, from_msccl(mesh, load_collective(tmp_path / "s.xml"), result.requests[0]))
    assert read.time >= result.time_bound * (1 - 1e-9)
    if result.requests[0].motion != "exchange":  # every hop is one channel, and no path is lost
        assert read.time == pytest.approx(result.time)


def test_tasks_take_at_least_the_fluid_time() -> None:
    result = collective(topology.mesh(3, 3, link_bandwidth=1.0), "all-reduce", 9.0)
    spans = [schedule_graph(as_tasks(result, chunks)).makespan for chunks in (1, 8)]
    assert result.time <= spans[1] <= spans[0]


def test_hostile_files_are_refused() -> None:
    mesh = topology.mesh(2, 2, link_bandwidth=1.0)
    data = as_data(collective(mesh, "all-gather", 4.0))
    tree = data["trees"][0]
    for change in (
        {"amount": float("nan")},
        {"amount": "x"},
        {"hops": [["e0", "e3"]]},
        {"hops": [[]]},
        {"hops": 3},
        {"request": 7},
        {"after": 99},
        {"root": "zzz"},
        {"part": "zzz"},
    ):
        with pytest.raises(NopError):
            from_data(mesh, {**data, "trees": [{**tree, **change}, *data["trees"][1:]]})
    for wrong in ({}, [], {**data, "schema": 2}, {**data, "requests": 3}, {**data, "trees": [{}]}):
        with pytest.raises(NopError):
            from_data(mesh, wrong)  # type: ignore[arg-type]
    with pytest.raises(RoutingError):
        from_data(mesh, {**data, "trees": data["trees"][1:]})
    request = collective(mesh, "all-gather", 4.0).requests[0]
    for text in (
        "",
        "<algo/>",
        "<!DOCTYPE a><algo/>",
        "<algo nchunksperloop='x'/>",
        "<x><gpu><tb/></gpu></x>",
    ):
        with pytest.raises(FormatError):
            from_msccl(mesh, text, request)


@pytest.mark.parametrize("seed", seeds(13, 40))
def test_every_kind_is_verified_on_random_packages(seed: int) -> None:
    try:
        package = random_package(seed + 500)
    except TopologyError:
        pytest.skip("one-way links cut terminals off")
    refused: list[str] = []
    for kind in KINDS:
        members = package.terminals[:2] if kind == "send" else package.terminals
        try:
            result = collective(package, kind, 12.0, among=members)
        except NopError as error:
            refused.append(str(error))
            continue
        assert result.time >= result.time_bound * (1 - 1e-9)
        assert (
            result.gap < 0.5 or result.status == "bounded" or any("relay" in note for note in result.notes())
        )
        result.verify()
    assert all("reach" in text or "path" in text for text in refused)
