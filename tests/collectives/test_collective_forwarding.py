"""Chiplets that may not forward: closed forms, a program of its own over all trees, and what is refused."""

import dataclasses
import itertools

import networkx as nx
import numpy as np
import pytest
from collective_cases import complete, path, ring, star
from seeds import seeds
from typer.testing import CliRunner

from noptoolkit import Chiplet, Link, Package, Switch, topology
from noptoolkit.cli.application import app
from noptoolkit.collectives import Request, collective
from noptoolkit.errors import InfeasibleError, NopError, RoutingError


def test_closed_forms_of_a_star() -> None:
    n = 5
    package = star(n)  # every byte leaves its owner once for each receiver
    for kind, time in (
        ("broadcast", (n - 1) * 1.0),
        ("reduce", (n - 1) * 1.0),
        ("all-gather", (n - 1) / n),
        ("reduce-scatter", (n - 1) / n),
        ("all-reduce", 2 * (n - 1) / n),
        ("all-to-all", (n - 1) / n),
        ("scatter", (n - 1) / n),
    ):
        result = collective(package, kind, 1.0, forwards=False)
        assert result.time == pytest.approx(time, rel=1e-6)
        assert result.status == "exact"
        assert result.non_forwarding == tuple(str(i) for i in range(n))
        assert result.verify()
    assert collective(package, "broadcast", 1.0).time == pytest.approx(1.0)
    some = collective(package, "broadcast", 1.0, root="0", forwards=["1", "2", "3", "4"])
    assert some.time == pytest.approx(1.0)  # the root's own copies need no forwarding
    assert some.verify()


def test_nothing_passes_a_chiplet_on_a_ring() -> None:
    with pytest.raises(InfeasibleError, match="cannot be reached"):
        collective(ring(4), "all-gather", 4.0, forwards=False)
    with pytest.raises(InfeasibleError, match="let a chiplet between them forward"):
        collective(path(3), "send", 1.0, among=["0", "2"], forwards=["0", "2"])
    one_way = collective(ring(4), "send", 1.0, among=["0", "2"], forwards=["1"])
    assert one_way.time == pytest.approx(1.0)  # both ways round without the closed one: .5
    assert one_way.verify()
    assert collective(ring(4), "send", 1.0, among=["0", "2"]).time == pytest.approx(0.5)


def test_complete_graph_needs_no_forwarding_for_shares() -> None:
    package = complete(5)
    for kind in ("all-gather", "reduce-scatter", "all-to-all"):
        closed = collective(package, kind, 5.0, forwards=False)
        assert closed.time == pytest.approx(1.0)
        assert closed.verify()


def every_tree(package: Package, request: Request, closed: set[str]) -> float:
    """Solve the program over all simple paths and all trees of the members: tiny packages only."""
    from scipy.optimize import linprog

    arcs: dict[tuple[str, str], float] = {}
    for channel in package.channels:
        arcs[channel.tail, channel.head] = arcs.get((channel.tail, channel.head), 0.0) + channel.bandwidth
    graph = nx.DiGraph(list(arcs))
    index = {arc: i for i, arc in enumerate(arcs)}
    members = request.members

    def paths(u: str, v: str) -> list[list[int]]:
        found = []
        for way in nx.all_simple_paths(graph, u, v):
            if not set(way[1:-1]) & closed:
                found.append([index[arc] for arc in itertools.pairwise(way)])
        return found

    ways = {(u, v): paths(u, v) for u in members for v in members if u != v}
    columns: list[tuple[int, np.ndarray]] = []
    shares = request.share_bytes()
    owed = []
    for r, root in enumerate(members):
        if shares[r] <= 0:
            continue
        others = [m for m in members if m != root]
        for parents in itertools.product(members, repeat=len(others)):
            tree = dict(zip(others, parents, strict=True))
            if any(p != root and p in closed for p in parents):
                continue
            ok = True
            for v in others:
                seen = {v}
                while v != root:
                    v = tree[v]
                    if v in seen:
                        ok = False
                        break
                    seen.add(v)
                if not ok:
                    break
            if not ok:
                continue
            hops = [(v, p) if request.motion == "collect" else (p, v) for v, p in tree.items()]
            for choice in itertools.product(*(ways[hop] for hop in hops)):
                use = np.zeros(len(arcs))
                for way in choice:
                    for a in way:
                        use[a] += shares[r]
                columns.append((len(owed), use / np.array(list(arcs.values()))))
        owed.append(1.0)
    table = np.array([use for _, use in columns]).T
    equal = np.array([[float(c == k) for c, _ in columns] for k in range(len(owed))])
    found = linprog(
        np.r_[1.0, np.zeros(len(columns))],
        np.c_[-np.ones(len(arcs)), table],
        np.zeros(len(arcs)),
        np.c_[np.zeros(len(owed)), equal],
        owed,
        method="highs",
    )
    return float(found.fun)


@pytest.mark.parametrize("seed", seeds(8, 16))
def test_random_packages_by_all_trees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 5))
    nodes: list[Chiplet | Switch] = [Switch("s"), *(Chiplet(f"c{i}") for i in range(count))]
    links = [Link("s", f"c{i}", float(rng.integers(1, 4))) for i in range(count)]
    for _ in range(2):
        a, b = rng.permutation(count)[:2]
        links.append(Link(f"c{a}", f"c{b}", float(rng.integers(1, 4)), float(rng.integers(1, 4))))
    package = Package(f"r{seed}", nodes, links)
    open_ones = [f"c{i}" for i in range(count) if rng.random() < 0.4]
    kind = ["all-gather", "reduce-scatter", "broadcast", "reduce"][seed % 4]
    request = Request(kind, 3.0, [f"c{i}" for i in range(3)])
    result = collective(package, groups=[request], forwards=open_ones)
    closed = {f"c{i}" for i in range(count)} - set(open_ones)
    assert result.time == pytest.approx(every_tree(package, request, closed), rel=1e-5)
    assert result.verify()


def test_groups_of_a_tree() -> None:
    tree = topology.nop_tree(4, 4, link_bandwidth=1.0)
    groups = [tree.experts[i : i + 4] for i in range(0, 16, 4)]
    both = [Request("all-reduce", 1.0, group) for group in groups] + [Request("all-to-all", 1.0, groups[0])]
    result = collective(tree, groups=both, forwards=["attn"])
    assert result.time == pytest.approx(1.5 + 0.75, rel=0.01)
    assert result.verify()


@pytest.mark.long
def test_more_vertices_than_column_generation_takes() -> None:
    wide = star(84)
    many = collective(wide, "all-gather", 84.0, forwards=False)
    assert many.time == pytest.approx(83.0, rel=0.01)
    assert many.status in ("exact", "certified")


def test_verification_sees_forwarding_where_there_is_none() -> None:
    result = collective(star(4), "broadcast", 1.0)
    assert result.verify()
    with pytest.raises(RoutingError, match="does not hold"):
        dataclasses.replace(result, non_forwarding=("1", "2", "3")).verify()


def test_bad_input_and_the_command() -> None:
    with pytest.raises(RoutingError, match="forwards"):
        collective(star(3), "all-gather", 1.0, forwards="none")
    with pytest.raises(NopError, match="no node named"):
        collective(star(3), "all-gather", 1.0, forwards=["zzz"])
    with pytest.raises(RoutingError, match="'optimal' alone"):
        collective(star(3), "all-reduce", 1.0, forwards=False, algorithm="ring")
    found = CliRunner().invoke(app, ["collective", "star-16", "--kind", "broadcast", "--forwards", "none"])
    assert found.exit_code == 0, found.output
    assert "may not forward" in found.output
