"""Closed forms of regular graphs with unit links: 248 values by the solvers, to 1e-9."""

import math

import pytest
from collective_cases import complete, grid, hypercube, path, ring, star

from noptoolkit import Chiplet, Link, Package, Switch, topology
from noptoolkit.collectives import collective

CASES: list[tuple[str, Package, str, float, str | None]] = []


def add(package: Package, root: str | None = None, **values: float) -> None:
    """Expect times of shares of 1 (all-gather, scatter) and of buffers of 1 (all-reduce, broadcast)."""
    for kind, value in values.items():
        CASES.append((f"{package.name} {kind}", package, kind.replace("_", "-"), value, root))


for n in range(3, 12):
    add(ring(n), all_gather=(n - 1) / 2, all_reduce=(n - 1) / n, broadcast=1 / 2, scatter=(n - 1) / 2)
    add(path(n), all_gather=n - 1, all_reduce=1, broadcast=1)
    add(complete(n), all_gather=1, all_reduce=2 / n, broadcast=1 / (n - 1))
    add(star(n), all_gather=n - 1, broadcast=1, scatter=n - 1)
for n in range(3, 9):
    add(star(n), all_reduce=2 * (n - 1) / n)
for d in range(2, 7):
    N = 2**d
    add(
        hypercube(d),
        all_gather=(N - 1) / d,
        all_reduce=2 * (N - 1) / (d * N),
        broadcast=1 / d,
        scatter=(N - 1) / d,
    )
for sides in [(2, 2), (3, 3), (2, 5), (4, 4), (3, 7), (5, 8), (3, 3, 3), (2, 3, 4), (4, 4, 4)]:
    N, D = math.prod(sides), len(sides)
    edges = sum(N - N // k for k in sides)
    add(
        grid(*sides), all_gather=(N - 1) / D, all_reduce=(N - 1) / edges, broadcast=1 / D, scatter=(N - 1) / D
    )
for sides in [(3, 3), (3, 4), (5, 5), (4, 8), (3, 3, 3), (3, 4, 5)]:
    N, D = math.prod(sides), len(sides)
    add(
        grid(*sides, wrap=True),
        all_gather=(N - 1) / (2 * D),
        all_reduce=(N - 1) / (D * N),
        broadcast=1 / (2 * D),
        scatter=(N - 1) / (2 * D),
    )
for G, k in [(2, 3), (4, 4), (3, 5)]:
    for trunk in (0.125, 0.5, 0.75, 1, 2, 4):
        tree = topology.nop_tree(
            groups=G, experts_per_group=k, link_bandwidth=1.0, uplink_bandwidth=float(trunk)
        )
        tree = tree.replace(name=f"tree {G}x{k} trunk {trunk}")
        gather = max(G * k - 1, (G * k - k) / trunk)
        add(
            tree,
            all_gather=gather,
            all_reduce=2 * gather / (G * k),
            broadcast=max(1, 1 / trunk),
            scatter=gather,
        )


def test_there_are_enough() -> None:
    assert len(CASES) >= 248


@pytest.mark.parametrize(
    ("kind", "package", "value", "root"), [(c[2], c[1], c[3], c[4]) for c in CASES], ids=[c[0] for c in CASES]
)
def test_closed_form(kind: str, package: Package, value: float, root: str | None) -> None:
    size = float(len(package.experts)) if kind in ("all-gather", "scatter") else 1.0
    result = collective(package, kind, size, root=root)
    assert result.time_bound == pytest.approx(
        value, rel=1e-6 if kind == "all-reduce" and package.switches else 1e-9
    )
    assert result.time == pytest.approx(value, rel=1e-9)
    assert result.status == "exact"
    assert result.schedule is not None
    assert result.verify()


@pytest.mark.parametrize("turned", [False, True])
def test_two_members_on_one_vertex_share_its_flow(turned: bool) -> None:
    """What a and b send to t parts 3 : 1 between two ways; each once took paths out of the flow of both."""
    nodes = [Chiplet("a"), Chiplet("b"), Chiplet("t"), Chiplet("u"), Switch("x"), Switch("y")]
    links = [Link("a", "b", 9e9)]
    for via, width in (("x", 3e9), ("y", 1e9)):
        links += [Link("a", via, width), Link(via, "t", width)]
    links.append(Link("t", "u", 9e9))
    package = Package("two ways", nodes, links)
    members = ("t", "u", "a", "b") if turned else ("a", "b", "t")
    found = collective(package, "all-to-all", 1e9 * len(members), among=members)
    assert found.time == pytest.approx(1.0 if turned else 0.5)
    assert found.schedule is not None
    assert found.verify()
