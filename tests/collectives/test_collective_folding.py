"""Symmetric groups by classes of channels: the same times as the programs that know no symmetry."""

import numpy as np
import pytest
from collective_cases import grid, random_package
from seeds import seeds

from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.collectives import KINDS, Request, collective
from noptoolkit.collectives.prices.pricing import groups_of
from noptoolkit.collectives.prices.symmetry import symmetry_of
from noptoolkit.network import flow_network


def boxes(count: int, size: int, *, ports: bool = False, memory: bool = False) -> Package:
    """Return boxes of chiplets round a switch, rails across boxes, and a spine over the rails."""
    limit = 3.0 if ports else None
    nodes: list[Chiplet | Switch | Memory] = []
    links = []
    for b in range(count):
        nodes.append(Switch(f"s{b}", crossbar_bandwidth=7.0 if ports else None))
        for c in range(size):
            nodes.append(Chiplet(f"{b}.{c}", role="expert", ejection_bandwidth=limit))
            links.append(Link(f"s{b}", f"{b}.{c}", 4.0))
            if memory:
                nodes.append(Memory(f"m{b}.{c}", 2.0))
                links.append(Link(f"m{b}.{c}", f"{b}.{c}", 9.0))
    for c in range(size):
        nodes.append(Switch(f"rail{c}"))
        links += [Link(f"rail{c}", f"{b}.{c}", 1.0) for b in range(count)]
    nodes.append(Switch("spine"))
    links += [Link("spine", f"rail{c}", float(count)) for c in range(size)]
    return Package("boxes", nodes, links)


def inside(count: int, size: int, kind: str) -> list[Request]:
    return [Request(kind, 1.0, [f"{b}.{c}" for c in range(size)]) for b in range(count)]


def across(count: int, size: int, kind: str) -> list[Request]:
    return [Request(kind, 1.0, [f"{b}.{c}" for b in range(count)]) for c in range(size)]


GROUPED = [kind for kind in KINDS if kind != "send"]


@pytest.mark.parametrize("kind", GROUPED)
@pytest.mark.parametrize("ports", [False, True])
def test_classes_give_the_times_of_column_generation(kind: str, ports: bool) -> None:
    package = boxes(3, 3, ports=ports, memory=not ports)
    for requests in (inside(3, 3, kind), across(3, 3, kind), inside(3, 3, kind) + across(3, 3, "all-to-all")):
        whole = collective(package, groups=requests, tol=1e-5)
        short = collective(package, groups=requests, tol=1e-5, trees=False)
        assert short.schedule is None or short.method == whole.method
        assert short.time == pytest.approx(whole.time, rel=2e-5)
        assert short.time_bound <= whole.time * (1 + 1e-9)
        assert short.time_bound_trees >= whole.time_bound_trees * (1 - 2e-5)
        short.verify()


def test_sends_and_unequal_shares() -> None:
    package = boxes(4, 3)
    sends = [Request("send", 1.0, [f"{b}.{c}", f"{(b + 2) % 4}.{c}"]) for b in range(4) for c in range(3)]
    shares = [
        Request("all-gather", None, [f"{b}.{c}" for c in range(3)], shares=[3.0, 1.0, 0.0]) for b in range(4)
    ]
    for requests in (sends, shares, sends[:1] + shares):
        whole = collective(package, groups=requests, tol=1e-5)
        short = collective(package, groups=requests, tol=1e-5, trees=False)
        assert short.time == pytest.approx(whole.time, rel=2e-5)


@pytest.mark.parametrize("seed", seeds(6, 12))
def test_copies_of_a_random_package(seed: int) -> None:
    one = random_package(seed + 900, relays=True, symmetric=seed % 2 == 0)
    rng = np.random.default_rng(seed)
    names = [node.name for node in one.nodes]
    nodes: list[Chiplet | Switch | Memory] = [Switch("hub")]
    links = []
    for copy in "xyz":
        for node in one.nodes:
            nodes.append(Switch(copy + node.name) if isinstance(node, Switch) else Chiplet(copy + node.name))
        links += [Link(copy + k.a, copy + k.b, k.bandwidth, k.backward_bandwidth) for k in one.links]
        links.append(Link("hub", copy + names[0], 2.0))
    package = Package("copies", nodes, links)
    members = rng.permutation(one.terminals)[: min(4, len(one.terminals))].tolist()
    requests = [Request(str(rng.choice(GROUPED)), 1.0, members), Request("all-gather", 2.0, members[:2])]
    mine = [Request(r.kind, r.size, [copy + m for m in r.members]) for copy in "xyz" for r in requests] + [
        Request("all-reduce", 1.0, [copy + members[0] for copy in "xyz"])
    ]
    found = symmetry_of(groups_of(flow_network(package), mine))
    assert len(found.chosen) <= 3
    whole = collective(package, groups=mine, tol=1e-5)
    short = collective(package, groups=mine, tol=1e-5, trees=False)
    assert short.time == pytest.approx(whole.time, rel=2e-5)
    assert short.time_bound <= whole.time * (1 + 1e-9)


def test_orbits_of_a_torus_and_of_boxes() -> None:
    torus = grid(4, 4, wrap=True)
    ids = np.arange(16).reshape(4, 4)
    rows = [Request("all-reduce", 1.0, [torus.experts[i] for i in row]) for row in ids]
    found = symmetry_of(groups_of(flow_network(torus), rows))
    assert (len(found.chosen), found.classes, int((found.counts > 0).sum())) == (1, 2, 1)
    assert found.counts.sum() == 4  # one member stands for the four of its row
    package = boxes(3, 3, memory=True)
    found = symmetry_of(groups_of(flow_network(package), inside(3, 3, "all-gather")))
    assert found.classes == 7  # to and from box switches, rails and spine; stacks that carry nothing
    assert found.weights.tolist() == [3.0]


def test_a_thousand_chiplets_in_boxes() -> None:
    package = boxes(128, 8)
    result = collective(package, groups=across(128, 8, "reduce-scatter"), trees=False)
    assert result.status == "exact"
    assert result.time == pytest.approx(127 / 128, rel=1e-6)  # one rail out of each chiplet
