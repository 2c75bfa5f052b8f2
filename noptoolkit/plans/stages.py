"""What each rank of a pipeline holds: layers, and at its ends the embedding and the output head.

Virtual stage j of pp x vpp (in forward order) belongs to pipeline rank j mod pp (Megatron-Core's
interleaving). In DualPipe (DeepSeek-V3, arXiv 2412.19437) rank r holds stages r and pp - 1 - r, one for
each direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit.plans.pipeline_orders import ORDERS
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.workload import MoEModel

__all__ = ["Chunk", "chunks_of", "even_layers", "stage_layers"]


@dataclass(frozen=True)
class Chunk:
    """A virtual stage: consecutive layers of a model.

    Parameters
    ----------
    stage
        Its place in forward order, from 0.
    rank
        Pipeline rank that holds it.
    layers
        Its layers, first and one past the last.
    moe_layers, dense_layers
        How many of them have experts, and how many have not.
    embedding, head
        Whether it holds the embedding, or the output head.
    """

    stage: int
    rank: int
    layers: tuple[int, int]
    moe_layers: int
    dense_layers: int
    embedding: bool
    head: bool

    @property
    def num_layers(self) -> int:
        """Number of its layers."""
        return self.moe_layers + self.dense_layers


def even_layers(layers: int, stages: int) -> tuple[int, ...]:
    """Return layers spread over stages as evenly as can be; the ends, with embedding and head, come last.

    Examples
    --------
    >>> even_layers(56, 8), even_layers(61, 4), even_layers(3, 2)
    ((7, 7, 7, 7, 7, 7, 7, 7), (15, 16, 15, 15), (2, 1))
    """
    each, more = divmod(layers, stages)
    order = [*range(1, stages - 1), 0, stages - 1]
    longer = set(order[:more])
    return tuple(each + (stage in longer) for stage in range(stages))


def stage_layers(plan: ParallelPlan, model: MoEModel) -> tuple[int, ...]:
    """Return the number of layers of each virtual stage, in forward order: the plan's own, or even ones."""
    return plan.layers if plan.layers is not None else even_layers(model.layers, plan.stages)


def chunks_of(plan: ParallelPlan, model: MoEModel) -> tuple[tuple[Chunk, ...], ...]:
    """Return the chunks that each pipeline rank holds, [pp][chunks of the rank].

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> model = load_workload("deepseek-v3").model
    >>> first = chunks_of(ParallelPlan(pp=16, dp=1), model)[0][0]
    >>> first.num_layers, first.dense_layers, first.embedding, first.head
    (3, 3, True, False)
    """
    dense, start, chunks = model.is_dense, 0, []
    for stage, count in enumerate(stage_layers(plan, model)):
        stop = start + count
        plain = sum(dense[start:stop])
        chunks.append(
            Chunk(
                stage=stage,
                rank=stage % plan.pp,
                layers=(start, stop),
                moe_layers=count - plain,
                dense_layers=plain,
                embedding=stage == 0,
                head=stage == plan.stages - 1,
            )
        )
        start = stop
    if ORDERS[plan.schedule or "1f1b"].two_way:
        return tuple((chunks[rank], chunks[plan.pp - 1 - rank]) for rank in range(plan.pp))
    return tuple(tuple(chunks[rank :: plan.pp]) for rank in range(plan.pp))
