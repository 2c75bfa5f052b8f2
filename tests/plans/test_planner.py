"""The planner: equal to brute force, never prunes the optimum, says what it did not decide."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from seeds import seeds

from noptoolkit import Chiplet, Link, LinkKind, Memory, Package, Switch, load_workload, topology
from noptoolkit.collectives import collective
from noptoolkit.errors import InfeasibleError, NopError, PlanError, UnknownNameError
from noptoolkit.nodes import Efficiency
from noptoolkit.plans import ParallelPlan, groups
from noptoolkit.plans.constants import StepConstants, rates_of
from noptoolkit.plans.dispatching import COPIES
from noptoolkit.plans.group_times import Family, GroupTimes, family_groups
from noptoolkit.plans.memory import plan_memory
from noptoolkit.plans.plan_search import VARIANT_CLASSES, Search
from noptoolkit.plans.plan_step import plan_step, rooms_of_ranks
from noptoolkit.plans.planner import best_plans
from noptoolkit.plans.routed_experts import RoutedTimes
from noptoolkit.plans.space import PlanSpace
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import MoEModel, Workload

MEASURED = StepConstants(
    Efficiency(0.7, 0.8, 0.6), layer_overhead=1e-4, exposed_gradients=0.5, source="a test"
)


def machine(nodes: int, each: int, room: float = 64e9) -> Package:
    """Return nodes on a fabric, built by hand."""
    count = nodes * each
    parts = [Chiplet(f"gpu{i}", role="expert", flops=100e12) for i in range(count)]
    switches = [*(Switch(f"node{n}") for n in range(nodes)), Switch("fabric")]
    stacks = [Memory(f"hbm{i}", bandwidth=1e12, capacity=room, serves=(f"gpu{i}",)) for i in range(count)]
    links = [Link(f"gpu{i}", f"node{i // each}", 400e9) for i in range(count)]
    links += [Link(f"gpu{i}", "fabric", 50e9) for i in range(count)]
    links += [Link(f"hbm{i}", f"gpu{i}", 1e12, kind=LinkKind.MEMORY) for i in range(count)]
    return Package(f"machine-{nodes}x{each}", [*parts, *switches, *stacks], links)


def small(sequences: int = 8) -> Workload:
    """Return a model small enough to list all of its plans."""
    model = MoEModel(
        "small",
        hidden=512,
        layers=4,
        heads=8,
        kv_heads=4,
        head_dim=64,
        vocab=1024,
        expert_width=256,
        experts=4,
        top_k=2,
    )
    workload = load_workload("olmoe-1b-7b").replace(sequences=sequences, sequence_length=512, micro_batches=1)
    return Workload("small", model, workload.batch)


@pytest.mark.parametrize("kind", ["all-gather", "reduce-scatter", "all-to-all", "send"])
@pytest.mark.parametrize(("size", "stride"), [(2, 1), (4, 1), (4, 2), (2, 4), (8, 1)])
def test_two_levels_are_what_the_collectives_engine_finds(kind: str, size: int, stride: int) -> None:
    package = machine(2, 4)
    times = GroupTimes(package)
    ranks = family_groups(8, size, stride)
    names = [[package.experts[i] for i in group] for group in ranks]
    if kind == "send":
        names = [[a, b] for group in names for a, b in pairwise(group)]
    whole = 1e9 * (size if kind in ("all-gather", "reduce-scatter") else 1)
    found = collective(package, kind, whole, groups=names)
    time = times.bound(Family(kind, size, stride))
    assert times.is_known(Family(kind, size, stride))  # in closed form
    assert found.time_bound / 1e9 * (1 - 1e-9) <= time <= found.time / 1e9 * (1 + 1e-9)
    assert math.isclose(time, found.time / 1e9, rel_tol=0.01)


@pytest.mark.parametrize("folded", [True, False])
def test_families_are_the_groups_of_a_plan(folded: bool) -> None:
    plan_ = ParallelPlan(tp=2, cp=2, ep=2, etp=2, pp=2, dp=4, folded=folded)
    assert plan_.edp is not None
    stride = plan_.etp if folded else plan_.tp * plan_.cp
    inner = (plan_.edp, plan_.tp, plan_.cp, plan_.pp) if not folded else (plan_.edp, plan_.etp * plan_.ep)
    for name, family in {
        "tp": (2, 1),
        "cp": (2, 2),
        "dp_cp": (8, 2),
        "ep": (2, stride),
        "edp": inner,
    }.items():
        ours = {frozenset(group) for group in family_groups(32, *family).tolist()}
        assert ours == {frozenset(group) for group in groups(plan_, name).tolist()}


PACKAGES = [
    topology.mesh(2, 4, link_bandwidth="50 GB/s"),
    topology.nop_tree(2, 4, link_bandwidth="50 GB/s"),
    topology.ring(8, link_bandwidth="50 GB/s"),
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
@pytest.mark.parametrize("kind", ["all-gather", "all-to-all", "send"])
def test_cheap_bounds_are_below_the_certified_ones(package: Package, kind: str) -> None:
    for size, stride in ((2, 1), (4, 1), (2, 4), (4, 2)):
        times, family = GroupTimes(package), Family(kind, size, stride)
        cheap = times.bound(family)
        assert 0 < cheap <= times.interval(family).bound * (1 + 1e-9)


def every_plan(
    workload: Workload, package: Package, trace: RoutedTimes | None = None
) -> list[tuple[float, float, ParallelPlan]]:
    """Return step, memory and plan of every combination of numbers that works, without the space's help."""
    times = GroupTimes(package)
    found = []
    numbers = [n for n in (1, 2, 4, 8) if n <= times.world]
    schedules = [("1f1b", 1), ("interleaved", 2), ("interleaved", 4)]
    for tp, cp, pp, ep, etp in product(numbers, repeat=5):
        for m, (schedule, vpp), again in product([1, 2, 4, 8], schedules, ("selective", "full")):
            if workload.model.layers % (pp * vpp) and vpp > 1:
                continue
            try:
                candidate = ParallelPlan(
                    tp=tp, cp=cp, pp=pp, ep=ep, etp=etp, vpp=vpp, micro_batches=m, schedule=schedule,
                    recompute=again,  # type: ignore[arg-type]
                )  # fmt: skip
                if vpp > 1 and pp == 1:
                    continue
                step = plan_step(candidate, workload, package, constants=MEASURED, times=times, trace=trace)
            except NopError:
                continue
            memory = plan_memory(step.plan, workload.model, workload.batch)
            found.append((step.time, memory.total, step.plan))
    return sorted(found, key=lambda one: one[0])


@pytest.fixture(scope="module")
def listed() -> list[tuple[float, float, ParallelPlan]]:
    """Return every plan of the small model on four ranks."""
    return every_plan(small(), machine(2, 2))


def test_the_best_plan_is_that_of_brute_force(listed: list[tuple[float, float, ParallelPlan]]) -> None:
    check_against(listed, machine(2, 2))


def skewed(seed: int) -> RoutingTrace:
    """Return choices of the small model: tokens take the expert of their quarter, and one that they like."""
    rng = np.random.default_rng(seed)
    own = np.arange(64) // 16
    liking = 0.9 * rng.dirichlet([0.5] * 4, size=(2, 4)).repeat(16, axis=1) + 0.025
    liking[:, np.arange(64), own] = 0
    other = [[rng.choice(4, p=p / p.sum()) for p in layer] for layer in liking]
    chosen = np.stack([np.broadcast_to(own, (2, 64)), np.array(other)], axis=2)
    return RoutingTrace(chosen.astype(np.uint16), num_experts=4)


@pytest.mark.parametrize("seed", seeds(1, 12))
def test_under_a_trace_the_best_plan_is_that_of_brute_force(seed: int) -> None:
    workload, package, trace = small(), machine(2, 2), skewed(seed)
    routed = RoutedTimes(workload.model, workload.batch, GroupTimes(package), trace)
    brute = every_plan(workload, package, routed)
    found = best_plans(workload, package, constants=MEASURED, keep=3, trace=trace)
    assert math.isclose(found.best[0].time, brute[0][0], rel_tol=1e-12)
    assert found.gap <= 1e-9
    assert math.isclose(found.step.time, found.best[0].time, rel_tol=1e-12)
    assert found.step.routed is not None
    assert any("busiest member" in note for note in found.table().notes)


def test_tokens_that_stay_at_home_send_less_than_even_ones() -> None:
    """Why bounds of even tokens do not hold under a trace: half of these copies cross nothing."""
    quarter = np.arange(64) // 16
    chosen = np.stack([np.stack([quarter, quarter ^ 1], axis=1)] * 2)  # one's own expert, and a neighbour's
    workload, times = small(), GroupTimes(machine(2, 2))
    trace = RoutingTrace(chosen.astype(np.uint16), num_experts=4)
    routed = RoutedTimes(workload.model, workload.batch, times, trace)
    even = 2 * 2 * times.bound(Family("all-to-all", 4, 1))  # two copies of a token; dispatch and combine
    bounds = {
        (ep, stride): routed.bound(ep, stride) for ep, stride in ((2, 1), (2, 2), (4, 1))
    }  # before a solve
    assert all(low <= routed.interval(*key).reached * (1 + 1e-12) for key, low in bounds.items())
    assert routed.interval(4, 1).reached == pytest.approx(
        2 * 1 / (400e9 + 50e9)
    )  # one in the node, both ways
    assert routed.interval(4, 1).reached < even


@pytest.mark.long
def test_the_best_plan_is_that_of_brute_force_on_eight_ranks() -> None:
    check_against(every_plan(small(), machine(2, 4)), machine(2, 4))


def check_against(brute: list[tuple[float, float, ParallelPlan]], package: Package) -> None:
    """Compare the planner with a list of all plans: best ones, least memory, a budget."""
    workload = small()
    found = best_plans(workload, package, constants=MEASURED, keep=4)
    assert len(brute) > 100
    assert math.isclose(found.best[0].time, brute[0][0], rel_tol=1e-12)
    assert found.gap <= 1e-9
    keys = list(dict.fromkeys((p.tp, p.cp, p.pp, p.ep, p.etp) for _, _, p in brute))
    times: dict[tuple[int, ...], float] = {}
    for time, _, p in brute:
        times.setdefault((p.tp, p.cp, p.pp, p.ep, p.etp), time)
    assert [b.time for b in found.best] == pytest.approx([times[k] for k in keys[:4]], rel=1e-12)
    least = min(memory for _, memory, _ in brute)
    smallest = best_plans(workload, package, constants=MEASURED, objective="memory").best[0]
    assert math.isclose(smallest.memory, least, rel_tol=1e-9)
    middle = sorted(memory for _, memory, _ in brute)[len(brute) // 3]
    within = best_plans(workload, package, constants=MEASURED, budget=middle).best[0]
    assert math.isclose(within.time, min(t for t, memory, _ in brute if memory <= middle), rel_tol=1e-12)


def test_the_space_holds_every_plan_of_brute_force(listed: list[tuple[float, float, ParallelPlan]]) -> None:
    workload = small()
    space = PlanSpace(workload.model, workload.batch, 4)
    assert {p for _, _, p in listed} == set(space.plans())


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_no_bound_of_a_node_is_above_a_plan_below_it(data: st.DataObject) -> None:
    workload = small(data.draw(st.sampled_from([8, 16])))
    if data.draw(st.booleans()):
        workload = workload.replace(shared_experts=1, **{"model.layers": 8, "mode": "training"})
    schedules = data.draw(st.sampled_from([("1f1b", "interleaved"), ("1f1b", "zb-h1"), ("gpipe",)]))
    package = data.draw(st.sampled_from([machine(2, 4), machine(1, 4)]))
    constants = data.draw(st.sampled_from([MEASURED, StepConstants()]))
    times = GroupTimes(package)
    space = PlanSpace(workload.model, workload.batch, times.world, schedules, zeros=(0, 1, 2, 3))
    routed = None
    if data.draw(st.booleans()):
        copies = data.draw(st.sampled_from(COPIES))
        trace = skewed(data.draw(st.integers(0, 99)))
        routed = RoutedTimes(workload.model, workload.batch, times, trace, copies)
    search = Search(space, rates_of(package), constants, times, rooms_of_ranks(package, times), routed)
    families = list(space.families())
    for _ in range(15):
        family = data.draw(st.sampled_from(families))
        ep, etp = data.draw(st.sampled_from(space.splits(family)))
        variants = list(space.variants(family))
        variant = data.draw(st.sampled_from(variants))
        chosen = space.plan(family, ep, etp, variant)
        if chosen is None:
            continue
        time = search.step(chosen, search.costs(chosen, reached=True))
        bounds = search.bounds
        passed = bounds.family(family)
        first = bounds.step(family, passed, schedules, None)
        mapped = bounds.mapping(family, passed, ep, etp)
        second = bounds.step(family, mapped, schedules, None)
        last = bounds.again(mapped) if variant.recompute == "full" else mapped
        third = bounds.step(family, last, (variant.schedule,), variant.vpp)
        assert max(first, second, third) <= time * (1 + 1e-9)
        assert first <= second * (1 + 1e-9)
        memory = search.memory_of(chosen)
        assert bounds.memory(family) <= memory
        assert bounds.memory(family, ep, etp) <= memory
        step = plan_step(chosen, workload, package, constants=constants, times=times, trace=routed)
        assert math.isclose(step.time, time, rel_tol=1e-12)
        assert step.bound <= step.time * (1 + 1e-12)


@pytest.mark.parametrize("routed", [False, True])
def test_on_a_mesh_the_best_plan_is_solved_and_certified(routed: bool) -> None:
    workload, trace = small(), skewed(3) if routed else None
    package = topology.mesh(2, 4, link_bandwidth="20 GB/s", flops="100 TFLOP/s", memory=True)
    found = best_plans(workload, package, constants=MEASURED, trace=trace, time_limit=600)
    assert found.best[0].solved
    assert found.gap <= 0.0101
    assert found.undecided == 0
    assert found.lower_bound <= found.best[0].time
    assert math.isclose(found.step.time, found.best[0].time, rel_tol=1e-12)
    assert found.step.bound <= found.step.time


def test_a_limit_of_time_counts_what_is_undecided() -> None:
    package = topology.mesh(4, 4, link_bandwidth="20 GB/s", flops="100 TFLOP/s", memory=True)
    workload = small(64)
    found = best_plans(workload, package, constants=MEASURED, time_limit=1e-6)
    assert found.best[0].solved  # the plan that the smallest bounds lead to
    assert found.undecided > 0
    assert found.lower_bound <= found.best[0].bound <= found.best[0].time
    assert any("Time ran out" in note for note in found.table().notes)


def test_a_placement_is_part_of_the_answer() -> None:
    package, workload = machine(2, 4), small()
    split = ParallelPlan(tp=4, pp=2)
    near = plan_step(split, workload, package)
    far = plan_step(split, workload, package, placement=np.array([0, 4, 1, 5, 2, 6, 3, 7]))
    assert far.time > near.time
    with pytest.raises(PlanError, match="a chiplet of its own"):
        plan_step(split, workload, package, placement=np.zeros(8, int))


def test_a_plan_of_one_rank_is_computation_alone() -> None:
    package = machine(1, 1)
    step = plan_step(ParallelPlan(), small(1), package)
    assert set(step.breakdown) == {"compute", "bubble", "exposed gradients", "update"}
    assert step.breakdown["bubble"] == pytest.approx(0.0, abs=1e-12)
    assert step.time == pytest.approx(step.bound)


def test_what_cannot_be_planned_is_said() -> None:
    workload, package = small(), machine(2, 2)
    with pytest.raises(InfeasibleError, match="out of memory: no plan fits in 1 MB a rank"):
        best_plans(workload, package, budget="1 MB")
    with pytest.raises(UnknownNameError, match="did you mean 'step'"):
        best_plans(workload, package, objective="setp")
    with pytest.raises(UnknownNameError, match="did you mean '1f1b'"):
        best_plans(workload, package, schedules=("1fb1",))
    with pytest.raises(PlanError, match="not above 0 B"):
        best_plans(workload, package, budget="-1 GB")
    with pytest.raises(UnknownNameError, match="no number 'tq'"):
        best_plans(workload, package, fixed={"tq": 2})
    assert plan_step("TP2 PP2", workload, package).plan.tp == 2
    with pytest.raises(PlanError, match="keep = 0"):
        best_plans(workload, package, keep=0)
    with pytest.raises(PlanError, match="not decode"):
        best_plans(workload.replace(mode="decode"), package)
    with pytest.raises(PlanError, match="does not say how fast it computes"):
        best_plans(workload, topology.mesh(2, 2, flops=None))
    with pytest.raises(PlanError, match="nearest plan that works"):
        plan_step(ParallelPlan(tp=3), workload, package)
    with pytest.raises(InfeasibleError, match=r"fixed TP3: world % .* are not divided by 3"):
        best_plans(workload, package, fixed={"tp": 3})


@pytest.mark.parametrize("budget", [None, "5 GB", "3 GB"])
def test_every_variant_is_in_one_class(budget: str | None) -> None:
    found = best_plans(small(), machine(2, 2), budget=budget, schedules=("1f1b", "interleaved"), keep=3)
    counts = found.counts
    assert sum(counts[name] for name in VARIANT_CLASSES) == counts["variants"] > 0
    assert counts["families"] + counts["families_oom"] <= counts["all"] == len(list(found.space.families()))
    assert counts["mappings_oom"] <= counts["mappings"]
    assert counts["waiting"] == 0
    level = [row["why"] for row in found.table().records() if row["rank"] > 1 and row["behind"] < 5e-4]
    assert all(why.endswith("level with the best") for why in level)


def test_compute_is_said_in_parts() -> None:
    workload, package = small(), machine(2, 2)
    constants = StepConstants(layer_overhead="1 ms")
    step = plan_step("TP2 PP2", workload, package, constants=constants)
    parts = step.compute_parts
    assert sum(parts.values()) == pytest.approx(step.breakdown["compute"])
    layers = step.workload.model.layers // 2
    assert parts["layer overhead"] == pytest.approx(1e-3 * layers * step.costs.micro_batches)
    assert parts["memory traffic"] > 0
