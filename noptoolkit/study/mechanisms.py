"""Mechanisms of three systems as rows that run; where sources are secondary no figure is claimed.

* Piper (arXiv 2605.05049): a grid of pipeline stages x experts keeps each all-to-all inside a stage, so that
  EP may stay within nodes of Frontier. The times are those of the collectives engine on the graph of such
  nodes; the paper's MFU values reached us by a secondary source and are left out.
* WATOS (arXiv 2512.12279): under 1F1B stage i of p holds p - i micro-batches, so that memory is full at one
  end and idle at the other; a full stage spills to a helper, or computes again. Rows: the imbalance, what
  evening it out would need at most, and what recomputing costs on all stages or only on those that must.
* AquilaMoE (arXiv 2408.06567): a 7B model is scaled up to 16B, then out to experts; 6 N D FLOPs a phase, with
  the published tokens, against training the mixture from the start on as many tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from noptoolkit.errors import UnknownNameError
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.plans.group_times import Family, GroupTimes
from noptoolkit.plans.memory import plan_memory
from noptoolkit.plans.pipeline_stage import Stage
from noptoolkit.plans.pipelines import pipeline
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.study.published import PublishedRow, PublishedTable

__all__ = ["MECHANISMS", "reproduce_mechanism"]


def _piper() -> Iterator[PublishedRow]:
    times = GroupTimes(load_topology("frontier-32"))
    size = 64e6
    inside = times.interval(Family("all-to-all", 8, 1)).reached * size
    across = times.interval(Family("all-to-all", 8, 2)).reached * size
    yield PublishedRow(
        "all-to-all of 64 MB a rank, EP 8 inside a node",
        None,
        inside,
        "s",
        "secondary",
        "4 nodes of 8 dies",
    )
    yield PublishedRow(
        "all-to-all of 64 MB a rank, EP 8 over two nodes",
        None,
        across,
        "s",
        "secondary",
        "the same ranks",
    )
    yield PublishedRow("what leaving the node costs", None, across / inside, "", "secondary", "times", ".3g")


def _watos() -> Iterator[PublishedRow]:
    workload = load_workload("mixtral-8x22b")
    plan = ParallelPlan(tp=2, ep=8, pp=8, recompute="selective", micro_batches=32).on(128)
    memory = plan_memory(plan, workload.model, workload.batch)
    held = np.array([stage.total - stage.states for stage in memory.stages])
    yield PublishedRow("activations of the first stage", None, float(held[0]), "B", "secondary", str(plan))
    yield PublishedRow(
        "activations of the last stage", None, float(held[-1]), "B", "secondary", "logits included"
    )
    spill = float(np.maximum(held - held.mean(), 0.0).sum())
    yield PublishedRow(
        "spilled to helpers for even memory",
        None,
        spill,
        "B",
        "secondary",
        "sum over the stages above the mean",
    )
    plain, again = Stage(1.0, 2.0), Stage(1.0, 2.0, recompute=1.0)
    base = pipeline("1f1b", plain, 32, devices=8).makespan
    some = pipeline("1f1b", [again] * 4 + [plain] * 4, 32).makespan
    every = pipeline("1f1b", again, 32, devices=8).makespan
    yield PublishedRow(
        "recomputing on the first half, step", None, some / base, "", "secondary", "of none", ".3g"
    )
    yield PublishedRow(
        "recomputing on all stages, step", None, every / base, "", "secondary", "of none", ".3g"
    )


def _aquilamoe() -> Iterator[PublishedRow]:
    model = load_workload("aquilamoe-8x16b").model
    phases = ((7e9, 3.6e12), (16e9, 1.2e12), (float(model.active_parameters), 545e9))
    spent = [6 * parameters * tokens for parameters, tokens in phases]
    for name, flops in zip(("7B", "scaled up to 16B", "scaled out to 8x16B"), spent, strict=True):
        yield PublishedRow(
            f"FLOPs of the phase {name}", None, flops, "FLOP", "derived", "6 N D, published tokens"
        )
    scratch = 6 * model.active_parameters * sum(tokens for _, tokens in phases)
    yield PublishedRow(
        "scale-up then scale-out over the mixture from the start",
        None,
        sum(spent) / scratch,
        standing="derived",
        remark="as many tokens",
        form=".3g",
    )


MECHANISMS: Mapping[str, tuple[str, Callable[[], Iterator[PublishedRow]]]] = {
    "piper": ("Piper's mechanism: experts of a stage inside its nodes (arXiv 2605.05049)", _piper),
    "watos": ("WATOS's mechanism: memory over the stages of 1F1B (arXiv 2512.12279)", _watos),
    "aquilamoe": ("AquilaMoE's mechanism: scale-up, then scale-out (arXiv 2408.06567)", _aquilamoe),
}
"""Title and rows of each mechanism."""


def reproduce_mechanism(name: str) -> PublishedTable:
    """Return the rows of ``piper``, ``watos`` or ``aquilamoe``.

    Raises
    ------
    UnknownNameError
        If there is no such mechanism.

    Examples
    --------
    >>> all(row.published is None for row in reproduce_mechanism("aquilamoe").rows)
    True
    """
    if name not in MECHANISMS:
        raise UnknownNameError(f"no mechanism named {name!r}; known: {', '.join(MECHANISMS)}")
    title, rows = MECHANISMS[name]
    remark = "The mechanism as rows that run; the source's own figures are not claimed."
    return PublishedTable(title, tuple(rows()), (remark,))
