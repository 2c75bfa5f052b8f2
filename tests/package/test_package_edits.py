"""Edits by name: links by channel, wildcard and kind, stacks with their bus; and what is warned of."""

import warnings

import pytest

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.errors import NopWarning, TopologyError, UnknownNameError, WorkloadError
from noptoolkit.topology import scale_bandwidth


def star(**bus: object) -> Package:
    """Return a switch with three leaves, one link doubled, and a stack with a half-duplex bus."""
    leaves = [Chiplet(f"e{i}", role="expert") for i in range(3)]
    links = [Link("sw", leaf.name, "128 GB/s") for leaf in leaves]
    stack = Memory("hbm0", "256 GB/s")
    return Package(
        "star",
        [Switch("sw"), *leaves, stack],
        [
            *links,
            Link("e2", "sw", "64 GB/s"),
            Link("hbm0", "sw", **({"bandwidth": "256 GB/s", "kind": "memory", "half_duplex": True} | bus)),
        ],
    )


def widths(package: Package) -> dict[str, float]:
    return {channel.name: channel.bandwidth / 1e9 for channel in package.channels}


@pytest.mark.parametrize(
    ("links", "changed"),
    [
        ("sw->e1", {"sw->e1"}),
        ("e1->sw", {"e1->sw"}),
        ("e1<->sw", {"sw->e1", "e1->sw"}),
        ("sw->e?", {"sw->e0", "sw->e1", "sw->e2"}),
        ("sw->e2#2", {"sw->e2#2"}),
        ("sw->e2*", {"sw->e2", "sw->e2#2"}),
        (["sw->e0", "e1->sw"], {"sw->e0", "e1->sw"}),
        ("memory", {"hbm0->sw", "sw->hbm0"}),
        ("hbm0->sw", {"hbm0->sw", "sw->hbm0"}),  # half duplex: one bandwidth
        (lambda link: link.b == "e0", {"sw->e0", "e0->sw"}),
    ],
)
def test_links_are_chosen_by_channel_wildcard_kind_and_function(links, changed):
    before = star()
    after = before.with_link_bandwidth(links, "32 GB/s")
    assert {name for name, width in widths(after).items() if width != widths(before)[name]} == changed
    assert {widths(after)[name] for name in changed} == {32.0}
    assert after.links[-1].half_duplex
    assert before == star()


def test_one_way_links_stay_one_way():
    package = Package(
        "loop",
        [Chiplet(n) for n in "abc"],
        [Link(*pair, "1 GB/s", reverse_bandwidth=0) for pair in ("ab", "bc", "ca")],
    )
    wider = package.with_link_bandwidth("d2d", "2 GB/s")
    assert widths(wider) == {"a->b": 2.0, "b->c": 2.0, "c->a": 2.0}
    assert widths(package.with_link_bandwidth("b<->a", "2 GB/s"))["a->b"] == 2.0


def test_unknown_links_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no link 'sw->e9'; did you mean 'sw->e2'\?.*'a<->b' both"):
        star().with_link_bandwidth("sw->e9", "1 GB/s")
    with pytest.raises(UnknownNameError, match="no link 'x\\*'"):
        star().with_link_bandwidth(["sw->e0", "x*"], "1 GB/s")
    with pytest.raises(TopologyError, match="must be above 0"):
        star().with_link_bandwidth("sw->e0", 0)


def test_a_link_is_lost_by_either_of_its_names():
    assert star().without("sw<->e0", "e0") == star().without("e0->sw", "e0")
    ring = Package("r", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 1e9), Link("a", "b", 2e9)])
    assert [link.bandwidth for link in ring.without("b<->a#2").links] == [1e9]
    with pytest.raises(UnknownNameError, match="no node or channel 'sw->e9'"):
        star().without("sw<->e9")


def test_a_stack_changes_with_its_bus():
    fast = star().with_memory_bandwidth("hbm*", "1 TB/s")
    assert fast.memories[0].bandwidth == 1e12
    assert widths(fast)["hbm0->sw"] == 1000.0
    assert widths(fast)["sw->e0"] == 128.0
    with pytest.warns(NopWarning, match="'hbm0' has 1 TB/s, its links carry 256 GB/s and stay the limit"):
        slow = star().with_memory_bandwidth("hbm0", "1 TB/s", links=False)
    assert slow.with_memory_bandwidth("hbm0", "1 TB/s") == fast  # what the warning asks for
    with pytest.raises(UnknownNameError, match="no memory stack 'hbm7'; did you mean 'hbm0'"):
        star().with_memory_bandwidth("hbm7", "1 TB/s")


def test_raising_a_stack_through_replace_warns_only_where_its_bus_is_the_limit():
    wide = star(bandwidth="2 TB/s")

    def raised(package: Package) -> Package:
        memory = nop.Memory("hbm0", "1 TB/s")
        return package.replace(nodes=[*(n for n in package.nodes if n.name != "hbm0"), memory])

    assert raised(wide).memories[0].bandwidth == 1e12
    with pytest.warns(NopWarning, match="stay the limit"):
        raised(star())


def test_scaling_memories_scales_stacks_and_buses_and_leaves_links_alone():
    tree = nop.load_topology("mozart-nop-tree")
    twice = scale_bandwidth(tree, 2, memories="*")
    assert [m.bandwidth for m in twice.memories] == [2 * m.bandwidth for m in tree.memories]
    d2d = [link.kind == "d2d" for link in tree.links]
    ratio = [new.bandwidth / old.bandwidth for new, old in zip(twice.links, tree.links, strict=True)]
    assert ratio == [1.0 if kept else 2.0 for kept in d2d]
    both = scale_bandwidth(tree, 2, kind="d2d", memories="*")
    assert both.total_bandwidth == pytest.approx(2 * tree.total_bandwidth)


def test_a_raised_stack_with_its_bus_shortens_the_step():
    tree, workload = nop.load_topology("mozart-nop-tree"), nop.load_workload("stdlib-moe")
    layout = nop.allocate(workload.trace, tree, method="contiguous")
    now = nop.schedule(tree, workload, layout).makespan
    with pytest.warns(NopWarning, match="stay the limit"):
        alone = tree.with_memory_bandwidth("*", "4 TB/s", links=False)
    assert nop.schedule(alone, workload, layout).makespan == now
    assert nop.schedule(tree.with_memory_bandwidth("*", "4 TB/s"), workload, layout).makespan < now


def test_bare_numbers_draw_a_warning_and_units_of_capacity_do_not():
    with pytest.warns(NopWarning, match=r"'e0'-'e1' \(and 23 more\) has 128 B/s.*write '128 GB/s'"):
        nop.topology.mesh(4, 4, link_bandwidth=128)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nop.topology.mesh(4, 4, link_bandwidth=1.0)
        nop.topology.mesh(4, 4, link_bandwidth="1 MB/s")
        Package("slow memory", [Chiplet("a"), Memory("m", 128)], [Link("a", "m", 128, kind="memory")])


def test_sizes_and_positions_take_text():
    chiplet = Chiplet("a", position=("1 mm", 2e-3), size=("10 mm", "9 mm"))
    assert chiplet.position == (1e-3, 2e-3)
    assert chiplet.size == (1e-2, 9e-3)
    assert chiplet == Chiplet("a", position=(1e-3, 2e-3), size=[1e-2, 9e-3])
    with pytest.raises(TopologyError, match="size '10 mm' is not a pair of lengths"):
        Chiplet("a", size="10 mm")
    with pytest.raises(nop.formats.files.FormatError, match="position '3 s' is in s, not in m"):
        Switch("a", position=("3 s", 0))


@pytest.mark.parametrize("routing", ["optimal", "shortest"])
def test_traffic_of_another_package_is_refused_unless_accepted(routing):
    ring, mesh = nop.topology.ring(16), nop.topology.mesh(4, 4)
    assert ring.terminals == mesh.terminals
    demand = nop.traffic.all_to_all(ring, "1 MB")
    with pytest.raises(WorkloadError, match=r"other nodes or links than 'mesh-4x4'.*traffic.on\(package\)"):
        nop.congestion(mesh, demand, routing=routing)
    accepted = nop.congestion(mesh, demand.on(mesh), routing=routing)
    assert accepted.time == nop.congestion(mesh, nop.traffic.all_to_all(mesh, "1 MB"), routing=routing).time
    assert nop.congestion(ring.with_link_bandwidth("d2d", "1 TB/s"), demand).time > 0  # same wiring


def test_dispatch_and_combine_remember_their_package():
    tree, mesh = nop.load_topology("mozart-nop-tree"), nop.load_topology("mesh-4x4")
    trace = nop.load_workload("stdlib-moe").trace
    layout = nop.allocate(trace, tree, method="contiguous")
    for make in (nop.traffic.dispatch, nop.traffic.combine):
        with pytest.raises(WorkloadError, match=r"traffic\.on"):
            nop.congestion(mesh, make(tree, trace, layout, token_bytes="4 kB"))


def test_a_layout_of_other_groups_is_refused_unless_accepted():
    trace = nop.load_workload("stdlib-moe").trace
    nodes = [Switch("hub"), *(Chiplet(f"e{i}", role="expert", group=f"g{i // 6}") for i in range(16))]
    uneven = Package("het", nodes, [Link("hub", n.name, "1 GB/s") for n in nodes[1:]])
    even = nop.load_topology("mesh-4x4")
    layout = nop.allocate(trace, uneven, method="contiguous")
    with pytest.raises(WorkloadError, match="for groups of 6, 6, 4 chiplets, package 'mesh-4x4'"):
        nop.traffic.dispatch(even, trace, layout, token_bytes="4 kB")
    accepted = layout.on(even)
    assert accepted.groups == even.expert_groups
    assert nop.traffic.dispatch(even, trace, accepted, token_bytes="4 kB").demand.sum() > 0
    by_hand = nop.Allocation(even.experts, layout.chiplet_of_expert)
    by_hand.check_fits(even)  # says nothing about groups


def test_packages_of_plain_compute_chiplets_run():
    plain = nop.topology.mesh(2, 2, role="compute", flops="74 TFLOP/s", memory=True)
    assert plain.experts == plain.terminals
    run = nop.run(plain, "stdlib-moe", allocator="contiguous", routing="shortest")
    experts = plain.replace(
        nodes=[*(nop.Chiplet(**(vars(n) | {"role": "expert"})) for n in plain.chiplets), *plain.memories]
    )
    same = nop.run(experts, "stdlib-moe", allocator="contiguous", routing="shortest")
    assert run.plan.makespan == same.plan.makespan
    assert run.uniform.time == same.uniform.time > 0


def test_patterns_are_among_the_experts_or_else_all_chiplets():
    mixed = Package(
        "mixed",
        [Chiplet("x", role="io"), Chiplet("y"), Chiplet("z")],
        [Link("x", "y", "1 GB/s"), Link("y", "z", "1 GB/s")],
    )
    assert nop.traffic.all_to_all(mixed, "1 B").demand.sum() == 6
    tree = nop.load_topology("mozart-nop-tree")
    assert nop.traffic.all_to_all(tree, "1 B").demand.sum() == 16 * 15


def test_a_thing_where_a_list_is_expected():
    one = nop.compare("mesh-4x4", "stdlib-moe", allocator="contiguous", routing="shortest")
    assert (one.packages, one.workloads) == (("mesh-4x4",), ("stdlib-moe",))
    with pytest.raises(WorkloadError, match="'stdlib-moe' is not a RoutingTrace; load_workload"):
        nop.allocate("stdlib-moe", nop.load_topology("mesh-4x4"))
    with pytest.raises(nop.formats.files.FormatError, match=r"no such file$"):
        nop.load_topology("nowhere/zzzzzz.toml")


@pytest.mark.parametrize("text", ["200 Gb/s", "200 Gbps", "200 Gbit/s", "25 GB/s"])
def test_bits_per_second_are_an_eighth(text):
    assert Link("a", "b", text).bandwidth == 25e9
