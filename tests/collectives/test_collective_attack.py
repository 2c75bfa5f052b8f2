"""Random small packages with ports, groups and relays that compute, against a program of their own."""

import numpy as np
import pytest
from collective_cases import random_package
from compact_program import compact_optimum
from seeds import seeds

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.collectives import Request, collective

KINDS = [
    "all-gather",
    "reduce-scatter",
    "all-reduce",
    "broadcast",
    "reduce",
    "all-to-all",
    "scatter",
    "gather",
]


def with_ports(package: Package, rng: np.random.Generator) -> tuple[Package, Package]:
    """Return a package with random limits of what chiplets send and receive, and it with cores as nodes."""
    nodes: list[Chiplet | Switch] = []
    apart: list[Chiplet | Switch] = []
    links = [Link(k.a, k.b, k.bandwidth, k.backward_bandwidth) for k in package.links]
    cores = []
    for node in package.nodes:
        if isinstance(node, Switch):
            nodes.append(node)
            apart.append(node)
            continue
        there = float(rng.integers(1, 5)) if rng.random() < 0.6 else None
        back = float(rng.integers(1, 5)) if rng.random() < 0.6 else None
        nodes.append(Chiplet(node.name, injection_bandwidth=there, ejection_bandwidth=back))
        apart += [Switch(f"{node.name} router"), Chiplet(node.name)]
        cores.append(Link(node.name, f"{node.name} router", there or 1e3, back or 1e3))
    routers = {node.name: f"{node.name} router" for node in package.nodes if isinstance(node, Chiplet)}
    moved = [
        Link(routers.get(k.a, k.a), routers.get(k.b, k.b), k.bandwidth, k.backward_bandwidth) for k in links
    ]
    return Package(package.name, nodes, links), Package("apart", apart, [*moved, *cores])


def asked(package: Package, rng: np.random.Generator, most: int) -> list[Request]:
    requests = []
    for _ in range(int(rng.integers(1, most + 1))):
        names = rng.permutation(package.terminals)
        members = names[: int(rng.integers(2, min(len(names), 4) + 1))].tolist()
        requests.append(Request(str(rng.choice(KINDS)), float(rng.integers(1, 5)), members))
    return requests


def check_ports(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = random_package(seed + 5000, relays=seed % 3 > 0, symmetric=seed % 2 == 0)
    package, apart = with_ports(plain, rng)
    requests = asked(package, rng, 3)
    result = collective(package, groups=requests, tol=1e-4)
    exact = compact_optimum(apart, requests)
    assert result.time == pytest.approx(exact, rel=3e-4), f"seed {seed}: {requests}"
    assert result.time_bound <= exact * (1 + 1e-6), f"seed {seed}"
    assert result.time_bound_trees <= exact * (1 + 1e-6), f"seed {seed}"
    assert result.verify(), f"seed {seed}"
    loads = collective(package, groups=requests, tol=1e-4, trees=False)
    assert loads.time == pytest.approx(exact, rel=3e-4), f"seed {seed}, by classes: {requests}"
    assert loads.time_bound <= exact * (1 + 1e-6), f"seed {seed}, by classes"


def check_relays_that_compute(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = random_package(seed + 9000, relays=True, symmetric=True)
    members = package.terminals[: int(rng.integers(2, len(package.terminals) + 1))]
    request = Request("all-reduce", 1.0, members)
    result = collective(package, groups=[request], in_network=True, tol=1e-3)
    plain = collective(package, groups=[request], in_network=False, tol=1e-3)
    relaxed = compact_optimum(package, [request], computing=True)
    assert result.time >= relaxed * (1 - 1e-6), f"seed {seed}: faster than any relays that compute"
    assert result.time <= plain.time * (1 + 1e-9), f"seed {seed}"
    assert result.time_bound <= result.time * (1 + 1e-9), f"seed {seed}"
    assert result.verify(), f"seed {seed}"


@pytest.mark.parametrize("seed", seeds(6, 16))
def test_ports_and_groups(seed: int) -> None:
    check_ports(seed)


@pytest.mark.parametrize("seed", seeds(4, 10))
def test_relays_that_compute(seed: int) -> None:
    check_relays_that_compute(seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(100, 600, 50))
def test_many_ports_and_groups(first: int) -> None:
    for seed in range(first, first + 50):
        check_ports(seed)
        check_relays_that_compute(seed)
