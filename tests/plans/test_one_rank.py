"""A plan with everything 1 is today's step: the same operations on one chiplet, counted by other code."""

import pytest

import noptoolkit as nop
from noptoolkit import Batch, Chiplet, Link, Memory, MoEModel, Package, ParallelPlan
from noptoolkit.plans import check_plan
from noptoolkit.plans.plan_step import plan_step

FLOPS = 1e14


def one_chiplet() -> Package:
    """Return a chiplet whose memory is never what it waits for."""
    nodes = [
        Chiplet("e0", role="expert", flops=FLOPS, sram=1e13),
        Memory("hbm", bandwidth=1e22, capacity=1e13),
    ]
    return Package("one", nodes, [Link("hbm", "e0", bandwidth=1e22, kind="memory")])


def scores(model: MoEModel, batch: Batch) -> float:
    """Return the operations of the scores of a forward: 4 a d for each of a token's (s + 1) / 2 pairs."""
    pairs = batch.sequences * batch.sequence_length * (batch.sequence_length + 1) / 2
    return 4.0 * pairs * model.heads * model.head_dim * model.layers


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
@pytest.mark.parametrize("mode", ["training", "prefill"])
@pytest.mark.parametrize("name", ["olmoe-1b-7b", "deepseek-moe-16b", "mixtral-8x7b"])
def test_everything_one_is_todays_step(name: str, mode: str) -> None:
    """But for two things in training, each known.

    FlashAttention's backward computes the scores again, half of a forward's; and a plan's update takes its
    bytes, today's its operations (SGD: 2 a parameter).
    """
    workload = nop.load_workload(name).with_batch({"mode": mode})
    package = one_chiplet()
    step = plan_step(ParallelPlan(), workload, package)
    again = scores(workload.model, workload.batch) / 2 / FLOPS if mode == "training" else 0.0
    model = workload.model
    updated = model.parameters - model.vocab * model.hidden  # the embedding's rows are not counted today
    update = 2.0 * updated / FLOPS if mode == "training" else 0.0
    today = nop.schedule(package, workload)
    assert step.time - again == pytest.approx(today.makespan - update, rel=1e-7)
    assert step.time == pytest.approx(step.bound)


def test_everything_one_fits_everything() -> None:
    for name in ("olmoe-1b-7b", "deepseek-v3", "llama-4-scout"):
        workload = nop.load_workload(name)
        assert check_plan(ParallelPlan(), workload.model, workload.batch).world == 1
