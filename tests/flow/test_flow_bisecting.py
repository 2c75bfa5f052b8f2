"""Bisections that a routing proves, against closed forms and the mixed-integer program."""

import dataclasses
import re

import pytest
from flow_cases import random_package
from seeds import seeds

from noptoolkit import Package
from noptoolkit.flow import congestion
from noptoolkit.flow.bisecting import proved_bisection
from noptoolkit.physical import profile
from noptoolkit.structure.bisection_bandwidth import bisection
from noptoolkit.topology import cluscross, concentrated_mesh, dragonfly, hexamesh, mesh, octamesh, ring, torus
from noptoolkit.traffic import all_to_all

PROVED = [  # a link is 1 B/s; the closed form of each
    (mesh(8, link_bandwidth=1.0), 8, "dor"),
    (mesh(6, 8, link_bandwidth=1.0), 6, "dor"),
    (torus(8, link_bandwidth=1.0), 16, "dor"),
    (ring(50, link_bandwidth=1.0), 2, "ecmp"),
    (concentrated_mesh(4, link_bandwidth=1.0), 4, "dor"),
    (dragonfly(4, terminals=2, global_links=2, groups=8, link_bandwidth=1.0), 16, "optimal"),
    (octamesh(8, link_bandwidth=1.0), 22, "optimal"),
    (hexamesh(4, link_bandwidth=1.0), 17, "optimal"),
]


@pytest.mark.parametrize(("package", "links", "routing"), PROVED, ids=lambda case: getattr(case, "name", ""))
def test_closed_forms(package: Package, links: int, routing: str) -> None:
    assert bisection(package).status == "bounded"
    cut = proved_bisection(package, time_limit=None)
    assert (cut.bandwidth, cut.status) == (links, "exact")
    assert cut.proof == f"uniform throughput by {routing}"
    flow = congestion(package, all_to_all(package, 1.0, among="terminals"), routing=routing)
    n = len(package.terminals)
    assert (n // 2) * ((n + 1) // 2) / flow.time > links - 1  # rounded up: cuts are whole links


@pytest.mark.parametrize("seed", seeds(5, 12))
def test_no_bound_is_above_the_least_cut(seed: int) -> None:
    package = random_package(seed, nodes=10)
    exact = bisection(package, exact=True)
    limits = bisection(package, exact=False)
    throughput = 1 / congestion(package, all_to_all(package, 1.0, among="terminals")).time
    bound = bisection(package, exact=False, throughput=throughput).bound
    assert limits.bound <= bound <= exact.bandwidth * (1 + 1e-6)
    proved = proved_bisection(package, time_limit=None)
    assert proved.bandwidth == pytest.approx(exact.bandwidth)


def test_ports_do_not_weaken_the_proof() -> None:
    package = mesh(8, link_bandwidth=1.0, injection_bandwidth=0.01, crossbar_bandwidth=0.5)
    assert proved_bisection(package).status == "exact"
    assert package.chiplets[0].injection_bandwidth == 0.01


def test_the_profile_says_which_proof_or_which_interval() -> None:
    cut = profile(mesh(8))
    assert cut.entries["bisection"].meaning.endswith("exact")
    assert "bisection: proof by uniform throughput by dor" in cut.notes()
    open_ = profile(cluscross(8, link_bandwidth="1 GB/s"))
    assert open_.entries["bisection"].meaning.endswith("at most")
    assert any(re.search(r"none has less than \d+ GB/s", line) for line in open_.notes())  # as time allows


def test_memory_stacks_carry_nothing() -> None:
    package = mesh(8, memory=True, memory_bandwidth=0.001, link_bandwidth=1.0)
    assert proved_bisection(package).bandwidth == 8
    assert dataclasses.replace(proved_bisection(package), half=()).bound == 8
