"""Plans as values: replicas that follow, groups of ranks against sets built by hand, and what is refused."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import noptoolkit as nop
from noptoolkit import Batch, MoEModel, ParallelPlan
from noptoolkit.errors import PlanError, UnknownNameError
from noptoolkit.plans import (
    DIMENSIONS,
    check_plan,
    chunks_of,
    coordinates,
    faults_of,
    groups,
    nearest_plan,
    stage_layers,
)

TINY = MoEModel(
    "tiny", hidden=8, layers=4, heads=4, kv_heads=2, head_dim=2, vocab=16, expert_width=8, experts=4, top_k=2
)


def spans(plan: ParallelPlan, dimension: str, node: int = 8) -> int:
    """Return the most nodes of so many consecutive ranks that one group touches."""
    return max(len({rank // node for rank in group}) for group in groups(plan, dimension).tolist())


def test_published_values_of_the_mapping() -> None:
    plan = ParallelPlan(tp=2, cp=2, ep=2, etp=2, pp=2).on(64)
    assert (plan.dp, plan.edp) == (8, 8)
    plan = ParallelPlan(tp=2, cp=2, dp=2, ep=8)
    assert groups(plan, "tp").tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert groups(plan, "cp").tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert groups(plan, "dp").tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert groups(plan, "ep").tolist() == [[*range(8)]]


@pytest.mark.parametrize(
    ("plan", "world", "nodes"),
    [
        (ParallelPlan(cp=8, ep=8, folded=False), 64, 8),
        (ParallelPlan(cp=8, ep=8), 64, 1),
        (ParallelPlan(tp=2, etp=2, ep=8, pp=8, folded=False), 128, 2),
        (ParallelPlan(tp=2, ep=8, pp=8), 128, 1),
    ],
)
def test_nodes_that_an_expert_group_spans_folded_and_not(plan: ParallelPlan, world: int, nodes: int) -> None:
    assert spans(plan.on(world), "ep") == nodes


SMALL = st.sampled_from([1, 2, 3, 4])


@st.composite
def plans(draw: st.DrawFn) -> ParallelPlan:
    tp, cp, pp, ep, etp = (draw(SMALL) for _ in range(5))
    dp = math.lcm(tp * cp, ep * etp) // (tp * cp) * draw(st.integers(1, 2))
    if draw(st.booleans()):
        return ParallelPlan(tp=tp, cp=cp, pp=pp, ep=ep, etp=tp, dp=ep * draw(st.integers(1, 2)), folded=False)
    return ParallelPlan(tp=tp, cp=cp, pp=pp, ep=ep, etp=etp, dp=dp)


@settings(max_examples=60, deadline=None)
@given(plans())
def test_groups_partition_the_ranks_and_meet_as_a_grid(plan: ParallelPlan) -> None:
    """Counted by loops over ranks: digits of the rank in mixed radix, groups are equal but for one digit."""
    assert plan.dp is not None
    assert plan.edp is not None
    sizes = {"tp": plan.tp, "cp": plan.cp, "dp": plan.dp, "pp": plan.pp, "ep": plan.ep, "etp": plan.etp}
    sizes |= {"edp": plan.edp, "dp_cp": plan.dp * plan.cp, "stage": plan.stage_ranks}
    places = coordinates(plan)
    same = {
        "tp": ("pp", "dp", "cp"),
        "cp": ("pp", "dp", "tp"),
        "dp": ("pp", "cp", "tp"),
        "pp": ("dp", "cp", "tp"),
        "dp_cp": ("pp", "tp"),
        "stage": ("pp",),
        "etp": ("pp", "edp", "ep"),
        "ep": ("pp", "edp", "etp"),
        "edp": ("pp", "ep", "etp"),
    }
    assert set(same) == set(DIMENSIONS)
    for dimension, fixed in same.items():
        found = {frozenset(group) for group in groups(plan, dimension).tolist()}
        by_key: dict[tuple[int, ...], set[int]] = {}
        for rank in range(plan.world):
            by_key.setdefault(tuple(int(places[name][rank]) for name in fixed), set()).add(rank)
        assert found == {frozenset(ranks) for ranks in by_key.values()}
        assert {len(group) for group in found} == {sizes[dimension]}
    digits = [places[name].tolist() for name in ("pp", "dp", "cp", "tp")]
    for rank, (pp, dp, cp, tp) in enumerate(zip(*digits, strict=True)):
        assert rank == ((pp * plan.dp + dp) * plan.cp + cp) * plan.tp + tp


def test_before_folding_the_experts_tensor_group_is_attentions() -> None:
    plan = ParallelPlan(tp=2, cp=2, ep=2, etp=2, dp=4, folded=False)
    assert sorted(groups(plan, "etp").tolist()) == groups(plan, "tp").tolist()
    for expert_group in groups(plan, "ep").tolist():
        assert any(set(expert_group) <= set(group) for group in groups(plan, "dp").tolist())


def test_replicas_follow_and_are_checked() -> None:
    assert ParallelPlan(tp=2, ep=8, edp=2).dp == 8
    assert ParallelPlan().on(7).dp == 7
    assert ParallelPlan(tp=2, dp=4).replace(tp=4).edp == 16
    assert ParallelPlan(vpp=2, pp=2).schedule == "interleaved"
    assert ParallelPlan(vpp=2, pp=2).replace(vpp=1).schedule == "1f1b"
    with pytest.raises(PlanError, match=r"edp = 3, but TP x CP x DP / \(ETP x EP\) = 1"):
        ParallelPlan(tp=2, ep=8, dp=4, edp=3)
    with pytest.raises(PlanError, match=r"how many replicas\? give dp, or the number of chiplets"):
        _ = ParallelPlan(tp=2).world
    with pytest.raises(PlanError, match=r"dp = 4, but world / \(TP x CP x PP\) = 8; the nearest plan"):
        ParallelPlan(tp=2, dp=4).on(16)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tp": 0}, "tp = 0 must be a whole number above 0"),
        ({"ep": 2.0}, r"ep = 2\.0 must be a whole number"),
        ({"pp": True}, "pp = True must be a whole number"),
        ({"zero": 4}, "zero = 4: the stages of ZeRO are 0, 1, 2 and 3"),
        ({"recompute": "some"}, "recompute = 'some': known: none, selective, full"),
        ({"schedule": "1f1"}, "schedule = '1f1': did you mean '1f1b'"),
        ({"vpp": 2, "schedule": "zb-h1"}, "vpp = 2 goes with schedule 'interleaved'"),
        ({"pp": 3, "schedule": "dualpipe"}, "pp = 3 must be even"),
        ({"layers": (1, 2), "pp": 3}, "layers: 2 numbers for PP x VPP = 3 virtual stages"),
        ({"layers": "12", "pp": 2}, "layers = '12': give a whole number"),
        ({"layers": 5}, "layers = 5: give a whole number"),
        ({"sp": "no"}, "sp = 'no' must be True or False"),
        ({"folded": 1}, "folded = 1 must be True or False"),
        ({"folded": False, "tp": 2}, "without folding ETP is TP: etp = 1, tp = 2"),
        ({"folded": False, "ep": 2, "dp": 3}, "2"),
        ({"tp": 4, "edp": 1, "ep": 2}, "ETP x EP x EDP = 2 is not divided by TP x CP = 4"),
        ({"micro_batches": -1}, "micro_batches = -1 must be"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        ParallelPlan(**fields)  # type: ignore[arg-type]


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="no dimension named 'tpp'; did you mean 'tp'"):
        groups(ParallelPlan(dp=1), "tpp")
    with pytest.raises(PlanError, match="no field 'tpp'; did you mean"):
        ParallelPlan(dp=1).replace(tpp=1)


@pytest.mark.parametrize(
    ("plan", "rule"),
    [
        (ParallelPlan(tp=3, dp=1), "heads % TP: 4 attention heads"),
        (ParallelPlan(ep=3, dp=3), "experts % EP: 4 experts are not divided by ep = 3"),
        (ParallelPlan(etp=3, dp=3), "expert_width % ETP: the width 8 is not divided by etp = 3"),
        (ParallelPlan(pp=8, dp=1), "layers >= PP x VPP: 8 virtual stages, but tiny has 4 layers"),
        (ParallelPlan(pp=2, layers=(1, 2), dp=1), "layers: the stages hold 3 layers, tiny has 4"),
        (ParallelPlan(cp=3, dp=1), "sequence % CP: sequences of 256 tokens"),
        (ParallelPlan(tp=4, cp=128, dp=1), "sequence % \\(CP x TP\\)"),
        (
            ParallelPlan(dp=3),
            "sequences % \\(DP x micro-batches\\): 32 sequences are not divided by dp = 3 x 4",
        ),
        (
            ParallelPlan(pp=2, vpp=2, micro_batches=1, dp=1),
            "the devices must divide the micro-batches; take 2",
        ),
        (ParallelPlan(pp=3, vpp=2, dp=1), "layers >= PP x VPP: 6 virtual stages"),
        (ParallelPlan(pp=4, schedule="dualpipe", dp=1), "at least twice the devices; take 8"),
    ],
)
def test_each_rule_names_itself_and_the_offer_breaks_none(plan: ParallelPlan, rule: str) -> None:
    with pytest.raises(PlanError, match=rule):
        check_plan(plan, TINY, Batch())
    near = nearest_plan(plan, plan.world, TINY, Batch())
    assert near is not None
    assert near.world == plan.world
    assert faults_of(near, TINY, Batch()) == []


def test_the_nearest_plan_is_the_nearest_by_brute_force() -> None:
    def distance(one: ParallelPlan, other: ParallelPlan) -> float:
        pairs = [(getattr(one, name), getattr(other, name)) for name in ("tp", "cp", "pp", "ep", "etp")]
        return float(sum((a != b) + abs(math.log2(a / b)) for a, b in pairs))

    asked, world = ParallelPlan(tp=4, ep=3, pp=2, dp=3), 24
    valid = []
    for tp, cp, pp, ep, etp in itertools.product(range(1, 25), repeat=5):
        if world % (tp * cp * pp) or world % (etp * ep * pp) or ep > 4 or etp > 8:
            continue
        plan = ParallelPlan(tp=tp, cp=cp, pp=pp, ep=ep, etp=etp, dp=world // (tp * cp * pp))
        if not faults_of(plan, TINY):
            valid.append(plan)
    near = nearest_plan(asked, world, TINY)
    assert near is not None
    assert distance(near, asked) == pytest.approx(min(distance(plan, asked) for plan in valid))


def test_models_without_experts_take_no_expert_parallelism() -> None:
    dense = MoEModel(
        "dense", hidden=8, layers=4, heads=4, kv_heads=2, head_dim=2, vocab=16, expert_width=8, experts=4,
        top_k=2, dense_layers=4, dense_width=16,
    )  # fmt: skip
    with pytest.raises(
        PlanError, match=r"dense has no MoE layers: ep = 2 .* the nearest plan that works: TP2 DP2"
    ):
        check_plan(ParallelPlan(tp=2, ep=2, dp=2), dense)
    assert check_plan(ParallelPlan(tp=2, dp=2), dense).world == 4


def test_the_world_of_a_plan_is_checked_with_the_numbers() -> None:
    with pytest.raises(
        PlanError, match=r"world % \(TP x CP x PP\): 12 ranks are not divided by 8; .*works: TP3 PP2 DP2"
    ):
        ParallelPlan(tp=4, pp=2).on(12)
    with pytest.raises(PlanError, match="a world of 0 ranks"):
        check_plan(ParallelPlan(), TINY, world=0)
    assert (
        nearest_plan(ParallelPlan(), 64, TINY, Batch(sequences=1, micro_batches=1, sequence_length=1)) is None
    )


def test_what_a_stage_holds() -> None:
    model = nop.load_workload("deepseek-v3").model
    plan = ParallelPlan(pp=4, vpp=2, dp=1)
    assert sum(stage_layers(plan, model)) == 61
    chunks = chunks_of(plan, model)
    assert [[chunk.stage for chunk in held] for held in chunks] == [[0, 4], [1, 5], [2, 6], [3, 7]]
    flat = sorted((chunk for held in chunks for chunk in held), key=lambda chunk: chunk.stage)
    assert [chunk.layers[0] for chunk in flat[1:]] == [chunk.layers[1] for chunk in flat[:-1]]
    assert (flat[0].dense_layers, flat[0].embedding, flat[-1].head) == (3, True, True)
    assert sum(chunk.moe_layers for chunk in flat) == model.moe_layers
    both = chunks_of(ParallelPlan(pp=4, schedule="dualpipe", dp=1), model)
    assert [[chunk.stage for chunk in held] for held in both] == [[0, 3], [1, 2], [2, 1], [3, 0]]
    uneven = ParallelPlan(pp=2, layers=(1, 60), dp=1)
    assert [held[0].num_layers for held in chunks_of(uneven, model)] == [1, 60]


def test_plans_of_the_papers_pass() -> None:
    for name, plan, world in [
        ("mixtral-8x22b", ParallelPlan(tp=2, ep=8, pp=8), 128),
        ("qwen2-57b-a14b", ParallelPlan(tp=2, ep=4, pp=4), 64),
        ("mixtral-8x22b-g8t8", ParallelPlan(tp=4, ep=8, pp=8), 128),
        ("llama3-8x70b", ParallelPlan(tp=8, ep=8, pp=16), 256),
    ]:
        workload = nop.load_workload(name)
        plan = plan.replace(micro_batches=1)
        sized = check_plan(plan, workload.model, workload.batch, world=world)
        assert sized.world == world
        assert np.array_equal(np.sort(groups(sized, "pp").ravel()), np.arange(world))
