"""Groups at once: published interior-point optima, compact linear programs of their own, bad input."""

import networkx as nx
import numpy as np
import pytest
from collective_cases import grid, path, random_package, ring, star
from seeds import seeds

from noptoolkit import Chiplet, Link, Memory, Package, Switch, topology
from noptoolkit.collectives import CollectiveResult, Request, collective
from noptoolkit.errors import (
    InfeasibleError,
    NopError,
    RoutingError,
    TopologyError,
    UnknownNameError,
    WorkloadError,
)
from noptoolkit.testing.oracles.collective_program import compact_optimum


def named(package: Package, groups: list[list[int]], kind: str = "all-reduce") -> list[Request]:
    names = package.experts
    return [Request(kind, 1.0, [names[i] for i in group]) for group in groups]


def blocks(k: int, b: int) -> list[list[int]]:
    ids = np.arange(k * k).reshape(k, k)
    return [ids[i : i + b, j : j + b].ravel().tolist() for i in range(0, k, b) for j in range(0, k, b)]


def strided(k: int, s: int) -> list[list[int]]:
    ids = np.arange(k * k).reshape(k, k)
    return [ids[i::s, j::s].ravel().tolist() for i in range(s) for j in range(s)]


ROWS = np.arange(16).reshape(4, 4).tolist()
COLUMNS = np.arange(16).reshape(4, 4).T.tolist()
MESH, TORUS, TREE = grid(4, 4), grid(4, 4, wrap=True), topology.nop_tree(link_bandwidth=1.0)
MESH8 = grid(8, 8)

TOGETHER = [
    ("blocks", MESH, named(MESH, blocks(4, 2)), 0.75),
    ("strided", MESH, named(MESH, strided(4, 2)), 1.5),
    ("rows", MESH, named(MESH, ROWS), 1.0),
    ("rows and columns", MESH, named(MESH, ROWS) + named(MESH, COLUMNS, "all-to-all"), 1.0),
    ("torus blocks", TORUS, named(TORUS, blocks(4, 2)), 0.75),
    ("torus strided", TORUS, named(TORUS, strided(4, 2)), 0.75),
    ("torus rows", TORUS, named(TORUS, ROWS), 0.75),
    ("at switches", TREE, named(TREE, ROWS), 1.5),
    ("across switches", TREE, named(TREE, COLUMNS), 6.0),
    ("at and across", TREE, named(TREE, ROWS) + named(TREE, COLUMNS, "all-to-all"), 3.0),
    ("blocks of 8x8", MESH8, named(MESH8, blocks(8, 2)), 0.75),
    (
        "8x8 with experts",
        MESH8,
        named(MESH8, blocks(8, 2)) + named(MESH8, strided(8, 2), "all-to-all"),
        2.375,
    ),
]


@pytest.mark.parametrize(
    ("package", "requests", "time"), [c[1:] for c in TOGETHER], ids=[c[0] for c in TOGETHER]
)
def test_groups_together(package: Package, requests: list[Request], time: float) -> None:
    result = collective(package, groups=requests, tol=2e-3)
    assert result.time_bound * (1 - 1e-9) <= time * (1 + 1e-9)
    assert time * (1 - 2e-3) <= result.time <= time * (1 + 2e-3)
    assert result.status in ("exact", "certified")
    assert result.verify()


@pytest.mark.parametrize("seed", seeds(8, 24))
def test_small_group_sets_by_another_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    package = random_package(seed + 200, relays=False, symmetric=seed % 2 == 0)
    kinds = [
        "all-gather",
        "reduce-scatter",
        "all-reduce",
        "broadcast",
        "reduce",
        "all-to-all",
        "scatter",
        "gather",
    ]
    requests = []
    for _ in range(int(rng.integers(2, 4))):
        members = rng.permutation(package.terminals)[
            : int(rng.integers(2, min(len(package.terminals), 5) + 1))
        ]
        requests.append(Request(str(rng.choice(kinds)), float(rng.integers(1, 5)), members.tolist()))
    result = collective(package, groups=requests, tol=1e-4)
    exact = compact_optimum(package, requests)
    assert result.time == pytest.approx(exact, rel=2e-4)
    assert result.time_bound <= exact * (1 + 1e-6)
    assert result.time_bound_trees <= exact * (1 + 1e-6)
    assert result.verify()


def test_first_order_method_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    from noptoolkit.collectives import optimum

    monkeypatch.setattr(optimum, "SMALL", 0)
    for _, package, requests, time in TOGETHER[:10]:
        result = collective(package, groups=requests)
        assert result.time_bound <= time * (1 + 1e-9)
        assert time * (1 - 1e-9) <= result.time <= time * 1.012
        result.verify()


def test_half_duplex_ports_and_crossbars() -> None:
    chiplets = [Chiplet(f"c{i}", injection_bandwidth=1.0, ejection_bandwidth=1.0) for i in range(4)]
    ring_links = [Link(f"c{i}", f"c{(i + 1) % 4}", 2.0) for i in range(4)]
    ports = collective(Package("ports", chiplets, ring_links), "all-gather", 4.0)
    assert ports.time == pytest.approx(3.0)  # each chiplet takes in three shares through a port of 1 B/s
    assert ports.cut is not None
    assert any("ejection" in name or "injection" in name for name in ports.cut.resources)
    assert ports.verify()
    half = [Link(f"c{i}", f"c{(i + 1) % 4}", 1.0, half_duplex=True) for i in range(4)]
    shared = collective(Package("half", [Chiplet(f"c{i}") for i in range(4)], half), "all-gather", 4.0)
    assert shared.time == pytest.approx(3.0)  # twice the 1.5 of full duplex
    assert shared.status == "exact"
    assert shared.verify()
    hub = [Switch("hub", crossbar_bandwidth=2.0), *(Chiplet(f"c{i}") for i in range(4))]
    crossed = collective(
        Package("crossbar", hub, [Link("hub", f"c{i}", 1.0) for i in range(4)]), "all-gather", 4.0
    )
    assert crossed.time == pytest.approx(12 / 2)  # 4 x 3 shares through 2 B/s
    assert crossed.verify()


def test_unbalanced_relay_is_said() -> None:
    nodes = [Switch("s"), Chiplet("a"), Chiplet("b"), Chiplet("c")]
    links = [Link("s", "a", 1.0), Link("s", "b", 1.0), Link("s", "c", 1.0, reverse_bandwidth=3.0)]
    result = collective(Package("unbalanced", nodes, links), "all-gather", 3.0)
    assert any("bound that trees need not reach" in note for note in result.notes())
    assert result.time >= result.time_bound
    assert result.verify()


def test_memory_as_root() -> None:
    nodes = [Chiplet("a"), Chiplet("b"), Memory("m", bandwidth=1.0)]
    package = Package("with memory", nodes, [Link("a", "b", 2.0), Link("m", "a", 4.0)])
    result = collective(package, "broadcast", 6.0, among=["m", "a", "b"], root="m")
    assert result.time == pytest.approx(6.0)
    assert result.verify()


def test_bad_input() -> None:
    package = ring(4)
    with pytest.raises(WorkloadError, match="group of one"):
        collective(package, "all-reduce", 1.0, among=["0"])
    with pytest.raises(WorkloadError, match="'1' is a member twice"):
        collective(package, "all-reduce", 1.0, among=["0", "1", "1"])
    with pytest.raises(UnknownNameError, match="no node named"):
        collective(package, "all-reduce", 1.0, among=["0", "zzz"])
    with pytest.raises(UnknownNameError, match="no node named"):
        collective(package, "all-reduce", 1.0, among=["zzz"])
    with pytest.raises(UnknownNameError, match="did you mean 'all-reduce'"):
        collective(package, "all-redcue", 1.0)
    with pytest.raises(UnknownNameError, match="did you mean 'two rings'"):
        collective(package, "all-reduce", 1.0, algorithm="two ring")
    with pytest.raises(WorkloadError, match="negative"):
        collective(package, "all-reduce", -1.0)
    with pytest.raises(NopError, match="not finite"):
        collective(package, "all-reduce", float("nan"))
    with pytest.raises(WorkloadError, match="switch 'hub' cannot be a member"):
        collective(star(3), "all-reduce", 1.0, among=["hub", "0"])
    with pytest.raises(WorkloadError, match="root '3' is not among the 2 members: name it there, too"):
        collective(package, "broadcast", 1.0, among=["0", "1"], root="3")
    with pytest.raises(UnknownNameError, match="no node named '9'"):
        collective(package, "broadcast", 1.0, root="9")
    with pytest.raises(WorkloadError, match="add up to"):
        collective(package, "all-gather", 5.0, shares=[1.0, 1.0, 1.0, 1.0])
    with pytest.raises(RoutingError, match="tol"):
        collective(package, "all-reduce", 1.0, tol=0.0)
    with pytest.raises(RoutingError, match=r"2, 4, 8, \.\.\. members, not 5"):
        collective(ring(5), "all-reduce", 1.0, algorithm="halving-doubling")
    with pytest.raises(TopologyError):
        collective("ring", "all-reduce", 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["ab", []])
def test_groups_that_are_no_list(wrong: object) -> None:
    with pytest.raises(WorkloadError, match="give a list of groups, each a list of names"):
        collective(topology.mesh(2), "all-gather", 1.0, groups=wrong)  # type: ignore[arg-type]


def test_no_terminals_and_unreachable_members() -> None:
    with pytest.raises(TopologyError, match="no chiplet"):
        Package("switches", [Switch("a"), Switch("b")], [Link("a", "b", 1.0)])
    memories = Package(
        "two memories",
        [Chiplet("a"), Memory("m", 1.0), Memory("w", 1.0)],
        [Link("a", "m", 1.0), Link("a", "w", 1.0)],
    )
    assert collective(memories, "send", 1.0, among=["m", "w"]).time == pytest.approx(1.0)
    one_way = [Link("a", "m", 1.0, reverse_bandwidth=0.0)]
    with pytest.raises((InfeasibleError, TopologyError)):
        collective(
            Package("cut off", [Chiplet("a"), Memory("m", 1.0)], one_way), "send", 1.0, among=["m", "a"]
        )


def test_zero_bytes_take_no_time() -> None:
    result = collective(ring(4), "all-reduce", 0)
    assert (result.time, result.time_bound, result.gap, result.status) == (0.0, 0.0, 0.0, "exact")
    assert not result.load.any()
    assert result.verify()


def test_verification_sees_a_wrong_schedule() -> None:
    import dataclasses

    result = collective(path(4), "all-gather", 4.0)
    assert result.schedule is not None
    wrong = [
        dataclasses.replace(result, time=result.time * 0.9),
        dataclasses.replace(
            result, schedule=dataclasses.replace(result.schedule, arcs=result.schedule.arcs[::-1].copy())
        ),
        dataclasses.replace(
            result, schedule=dataclasses.replace(result.schedule, amount=result.schedule.amount * 0.5)
        ),
        dataclasses.replace(result, time_bound=result.time_bound * 1.1),
        dataclasses.replace(result, load=result.load * 1.5),
        dataclasses.replace(result, requests=(Request("all-gather", 8.0, result.requests[0].members),)),
    ]
    for faulty in wrong:
        with pytest.raises(RoutingError, match="does not hold"):
            faulty.verify()


def test_ports_of_one_direction_and_packages_with_memory_are_recounted() -> None:
    chiplets = [
        Chiplet(f"c{i}", injection_bandwidth=1.0, ejection_bandwidth=2.0 if i else None) for i in range(4)
    ]
    links = [Link("s", f"c{i}", 2.0) for i in range(4)]
    package = Package("ports", [Switch("s", crossbar_bandwidth=3.0), *chiplets], links)
    for kind in (
        "broadcast",
        "scatter",
        "gather",
        "reduce-scatter",
        "all-gather",
        "all-reduce",
        "all-to-all",
    ):
        assert collective(package, kind, 6.0).verify()
    root = topology.nop_tree(2, 2, link_bandwidth=1.0).replace(name="tree")
    with_memory = root.replace(
        nodes=[*root.nodes, Memory("m", 1.0)], links=[*root.links, Link("attn", "m", 1.0)]
    )
    assert collective(with_memory, "send", 1.0, among=["attn", "e3"]).verify()


def test_a_group_without_bytes_among_others() -> None:
    package = grid(3, 3)
    names = package.experts
    requests = [Request("all-reduce", 0, names[:2]), Request("all-gather", 3.0, names[2:5])]
    result = collective(package, groups=requests)
    assert result.time == pytest.approx(collective(package, "all-gather", 3.0, among=names[2:5]).time)
    assert result.verify()


def test_relays_that_compute_never_make_it_slower() -> None:
    package = topology.mesh(3, 3, attention=True, link_bandwidth=1.0)
    without = collective(package, "all-reduce", 1.0, in_network=False)
    helped = collective(package, "all-reduce", 1.0, in_network=True)
    assert helped.time <= without.time * (1 + 1e-9)
    assert helped.time_bound <= helped.time
    assert helped.verify()


def test_schedules_of_many_groups_reach_the_bound() -> None:
    package = topology.torus(10, 10, link_bandwidth=1.0)
    names = package.experts
    groups = [[names[i] for i in block] for block in blocks(10, 2)]
    mixed = [Request("all-reduce", 1.0, group) for group in groups]
    mixed += [Request("all-to-all", 1.0, [names[i] for i in block]) for block in strided(10, 5)]
    for requests in (mixed[:25], mixed):
        result = collective(package, groups=requests)
        assert result.schedule is not None
        assert result.gap < 0.01
        assert result.verify()


def test_what_a_deadline_leaves_is_called_so_beyond_the_gap_alone() -> None:
    """The first loads of a large package: an interval, within ``tol`` or not, and no schedule."""
    large = Package.from_networkx(nx.random_regular_graph(4, 90, seed=8), bandwidth=1.0, name="large")
    groups = [large.terminals[:6], large.terminals[6:12]]

    def within(tol: float) -> CollectiveResult:
        found = collective(large, "all-gather", 1.0, groups=groups, tol=tol, time_limit=1e-9)
        assert found.schedule is None
        assert found.verify().bound == "prices"
        return found

    first = within(0.01)
    gap = first.time / first.time_bound_trees - 1
    assert first.status == "time limit"
    assert within(gap - 0.3).status == "time limit"
    assert within(first.gap * 1.01).status == "certified"


def test_groups_close_their_gap_where_bandwidths_are_twelve_powers_of_ten_apart() -> None:
    links = [Link("a", "b", 1e3), Link("b", "c", 1e15), Link("c", "d", 2e9)]
    package = Package("far apart", [Chiplet(name) for name in "abcd"], links)
    slow = Request("broadcast", 1e6, ["a", "b", "c"], root="a")
    result = collective(package, groups=[slow, Request("all-gather", 3e6, ["b", "c", "d"])], tol=1e-4)
    assert result.time == pytest.approx(1e3, rel=1e-9)
    assert result.status == "exact"
    assert result.verify()


def test_capacities_too_far_apart_for_whole_numbers_close_their_gap() -> None:
    links = [Link("a", "b", 1e5), Link("a", "c", 2.5e5), Link("c", "b", 1e15)]
    package = Package("rounded", [Chiplet(name) for name in "abc"], links)
    for kind in ("broadcast", "reduce", "scatter"):
        result = collective(
            package, kind, 3.5e5, among=["a", "b"], shares=[0, 3.5e5] if kind == "scatter" else None
        )
        assert result.time == pytest.approx(1.0, rel=1e-6), kind
        assert result.verify()
