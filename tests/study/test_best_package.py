"""The best package: hubs and chains that attain the bounds, trunks in closed form, and the table."""

import itertools

import numpy as np
import pytest
from typer.testing import CliRunner

import noptoolkit as nop
from noptoolkit import congestion
from noptoolkit.bounds import any_package, room_bound
from noptoolkit.cli.application import app
from noptoolkit.errors import NopError
from noptoolkit.package import Chiplet, Link, Memory, Package
from noptoolkit.physical import TECHNOLOGIES, violations
from noptoolkit.study import best_package
from noptoolkit.study.any_network import step_on_any_network
from noptoolkit.study.compiled_rows import tree_loads
from noptoolkit.study.contenders import chain_package, chain_time, hub_package, with_one_trunk_width
from noptoolkit.study.rows_of_dies import package_in_rows
from noptoolkit.study.whole_ports import whole_ports
from noptoolkit.tables import Missing
from noptoolkit.topology.composition import scale_bandwidth
from noptoolkit.traffic.demand import DestinationSets, Traffic


def sets_of(seed, count=6, messages=9):
    """Messages from r to random sets of the others."""
    rng = np.random.default_rng(seed)
    members = rng.integers(1, 1 << count, messages).astype(np.uint64) << np.uint64(1)
    names = ("r", *(f"c{i}" for i in range(count)))
    sets = DestinationSets(np.zeros(messages, np.int64), members[:, None], rng.random(messages) + 0.1)
    return Traffic(names, np.zeros((count + 1, count + 1)), sets, name="sets")


def bare(traffic):
    names = traffic.endpoints
    nodes = [Chiplet(name, position=(i * 0.01, 0.0), size=(0.005, 0.005)) for i, name in enumerate(names)]
    return Package("row", nodes, [Link(a, b, 1.0) for a, b in itertools.pairwise(names)])


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
@pytest.mark.parametrize("seed", range(3))
def test_a_hub_and_chains_attain_the_bounds(seed):
    traffic = sets_of(seed)
    hub = hub_package(bare(traffic), traffic)
    found = congestion(hub, traffic)
    assert found.time == pytest.approx(any_package(hub, traffic, "chiplet edge").time)
    assert found.time > 1.9 * any_package(hub, traffic, "all edge").time
    chains = chain_package(bare(traffic), traffic)
    bound = any_package(chains, traffic, "all edge").time
    assert bound == pytest.approx(any_package(chains, traffic, "chiplet edge").time)
    assert chain_time(chains, traffic) == pytest.approx(bound)
    assert congestion(chains, traffic, tol=1e-3).time == pytest.approx(bound, rel=0.02)


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
def test_loads_of_chains_by_every_order():
    """The expected load of each direction of each link, over all orders of each set."""
    traffic = sets_of(5, count=4, messages=5)
    load = np.zeros((5, 5))
    inside = traffic.multicast.contains(5)
    for row, amount in zip(inside, traffic.multicast.bytes, strict=True):
        orders = list(itertools.permutations(np.flatnonzero(row).tolist()))
        for order in orders:
            for a, b in itertools.pairwise((0, *order)):
                load[a, b] += amount / len(orders)
    chains = chain_package(bare(traffic), traffic)
    for link in chains.links:
        a, b = traffic.endpoints.index(link.a), traffic.endpoints.index(link.b)
        assert load[a, b] == pytest.approx(link.bandwidth / 1e3)
        assert load[b, a] in (pytest.approx(0.0), pytest.approx(link.bandwidth / 1e3))


def test_one_trunk_width_is_the_best_of_all():
    tree = nop.load_topology("mozart-nop-tree")
    out = nop.run(tree, "olmoe-1b-7b", allocator="contiguous").dispatch_traffic
    best = with_one_trunk_width(tree, out)

    def scaled(ratio):
        wide = tree.with_link_bandwidth("attn<->sw*", ratio * 1e9)
        wide = wide.with_link_bandwidth("sw*<->e*", 1e9)
        return congestion(wide, out).time * (4 * ratio + 16)

    bandwidth = {link.bandwidth for link in best.links if link.kind == "d2d"}
    assert len(bandwidth) == 2
    ratio = max(bandwidth) / min(bandwidth)
    assert scaled(ratio) <= min(scaled(0.9 * ratio), scaled(1.1 * ratio)) * (1 + 1e-9)


AMONG = [
    "tree as drawn",
    "tree, best trunk width",
    "tree, best widths",
    "one hub that copies",
]


@pytest.fixture(scope="module")
def answer():
    (found,) = best_package("olmoe-1b-7b", allocator="contiguous", step=False, among=AMONG)
    return found


def test_nothing_beats_the_bounds(answer):
    for one in answer.contenders:
        assert one.times["chiplet edge"] >= answer.bound("chiplet edge") * (1 - 1e-9)
        assert one.times["all edge"] >= answer.bound("all edge") * (1 - 1e-9)
        for like in ("wire", "cost"):
            assert isinstance(one.times[like], Missing) or one.times[like] >= answer.bound(like)
            assert answer.bound(like, any_layout=True) <= answer.bound(like)
    named = {one.name: one.times for one in answer.contenders}
    for like in ("chiplet edge", "all edge"):
        assert answer.bound(like, any_layout=True) < answer.bound(like)
    assert named["one hub that copies"]["chiplet edge"] == pytest.approx(answer.bound("chiplet edge"))
    tree = [
        named[f"tree{kind}"]["chiplet edge"] for kind in (" as drawn", ", best trunk width", ", best widths")
    ]
    assert tree == sorted(tree, reverse=True)


def test_the_table_says_over_what_bounds_range(answer):
    text = str(answer)
    assert "any package, this layout" in text
    assert "any package, any layout" in text
    assert "switches free: the best is one hub that copies" in text
    assert len(answer.table().rows) == 2 + len(answer.contenders)


@pytest.mark.parametrize("step", [False, pytest.param(True, marks=pytest.mark.long)])
def test_whole_ports(step):
    """Four experts of one port each: no class beats what fills it; the widest switch attains it."""
    tree = nop.topology.nop_tree(
        2, 2, link_bandwidth="1 GB/s", memory=True, flops="1 TFLOP/s", attention_flops="1 TFLOP/s"
    )
    base = nop.run(tree, "stdlib-moe", allocator="contiguous")
    found = whole_ports(base, step=step, solves=4)
    drawn, wider, widest, *by_step = found.rows
    assert drawn.time == pytest.approx(base.dispatch.time + base.combine.time)
    for row in found.rows:
        assert row.bound <= row.time * (1 + 1e-6)
        assert row.found.verify()
    assert widest.time <= wider.time * (1 + 1e-3) <= drawn.time * (1 + 2e-3)
    assert [row[1] for row in found.table().rows] == ["dispatch + combine"] * 3 + ["step"] * step
    assert all(row.step <= drawn.step * (1 + 1e-6) for row in by_step)


def test_a_layout_of_its_own_is_no_worse():
    (found,) = best_package(
        "stdlib-moe", allocator="contiguous", step=False, own_layouts=True, among=["tree as drawn"]
    )
    assert found.contenders[0].own_layout == pytest.approx(found.contenders[0].times["chiplet edge"])
    assert len(found.tables()) == 1


def small(seed=2):
    """A root and six others of different outlines, each with a stack, and messages to random sets."""
    traffic = sets_of(seed)
    rng = np.random.default_rng(seed)
    sides = rng.uniform(0.008, 0.012, (7, 2)).round(4)
    nodes = [
        Chiplet(name, size=tuple(size), position=(0.05 * i, 0.0), role="expert" if i else "attention")
        for i, (name, size) in enumerate(zip(traffic.endpoints, sides.tolist(), strict=True))
    ]
    hub = nop.Switch("hub", position=(0.0, 0.1), size=(0.01, 0.01))
    stacks = [
        Memory(f"m{i}", 1e12, 1e9, position=(0.05 * i, -0.05), size=(0.003, 0.004), serves=(name,))
        for i, name in enumerate(("r", "c0", "c3"))
    ]
    links = [Link("hub", name, 1e9) for name in traffic.endpoints]
    links += [
        Link("m0", "r", 1e12, kind="memory"),
        *(Link(m.name, "hub", 1e12, kind="memory") for m in stacks[1:]),
    ]
    return Package("small", [*nodes, hub, *stacks], links), traffic


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
@pytest.mark.parametrize("seed", range(3))
def test_dies_in_rows_keep_every_rule_and_no_bound_is_beaten(seed):
    package, traffic = small(seed)
    rows, known = package_in_rows(package, traffic)
    assert [one.rule for one in violations(rows, "ucie-2d")] == []
    assert max(one.needed / one.available for one in violations(scale_bandwidth(rows, 1.01), "ucie-2d")) > 1.0
    assert {node.name for node in package.nodes} - {"hub"} == {node.name for node in rows.nodes}
    flow = congestion(rows, traffic.on(rows), tol=1e-3)
    bound = room_bound(package, traffic)
    assert bound <= flow.time <= known * (1 + 2e-3)
    assert known <= 3 * bound
    equal = rows.with_link_bandwidth("d2d", 1e15)
    tightest = max(one.needed / one.available for one in violations(equal, "ucie-2d") if one.rule != "reach")
    full = scale_bandwidth(equal, 1 / tightest)
    assert flow.time <= congestion(full, traffic.on(full), tol=1e-3).time * (1 + 2e-3)


def test_room_counted_die_by_die():
    package, traffic = small()
    technology = TECHNOLOGIES["ucie-2d"]
    sets = traffic.multicast
    slowest = {}
    for i, name in enumerate(traffic.endpoints):
        width, height = package[name].size
        through = sum(
            amount
            for words, amount in zip(sets.members.ravel().tolist(), sets.bytes.tolist(), strict=True)
            if i == 0 or words >> i & 1
        )
        room = min(
            2 * (width + height) * technology.edge_density, width * height / 2 * technology.areal_density
        )
        slowest[name] = 2 * through / room
    assert room_bound(package, traffic) == pytest.approx(max(slowest.values()))
    assert room_bound(package, traffic, roots_alone=True) == pytest.approx(slowest["r"])


def test_trees_of_messages_by_hand():
    """A line a-b-c-d: a message from a to c and d crosses each link once; one to b crosses one."""
    price = np.full((4, 4), np.inf)
    for a, b in ((0, 1), (1, 2), (2, 3)):
        price[a, b] = price[b, a] = 1.0 + a
    inside = np.array([[False, False, True, True], [False, True, False, False]])
    load, total = tree_loads(price, np.zeros(2, np.int64), inside, np.array([5.0, 2.0]))
    assert load[0, 1] == 7.0
    assert load[1, 2] == load[2, 3] == 5.0
    assert load.sum() == 17.0
    assert total == 7.0 * 1 + 5.0 * 2 + 5.0 * 3


def test_no_network_makes_a_step_shorter_than_any_network():
    tree = nop.topology.nop_tree(
        2, 2, link_bandwidth="1 GB/s", memory=True, flops="1 TFLOP/s", attention_flops="1 TFLOP/s"
    )
    base = nop.run(tree, "stdlib-moe", allocator="contiguous")
    least = step_on_any_network(base)
    assert least <= base.plan.lower_bound * (1 + 1e-9)
    wide = scale_bandwidth(tree, 1e6)
    fast = nop.run(wide, "stdlib-moe", allocator=base.allocation)
    assert least <= fast.plan.makespan * (1 + 1e-9)
    assert least == pytest.approx(fast.plan.lower_bound, rel=0.05)


def test_on_is_for_best_package_alone():
    found = CliRunner().invoke(app, ["reproduce", "fred", "--on", "olmoe-1b-7b"])
    assert found.exit_code == 2
    assert "has its own workloads" in found.output


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
def test_several_roots():
    traffic = sets_of(1)
    sets = traffic.multicast
    two = DestinationSets(np.arange(len(sets)) % 2, sets.members, sets.bytes)
    with pytest.raises(NopError, match="several roots"):
        chain_package(bare(traffic), Traffic(traffic.endpoints, traffic.demand, two))
