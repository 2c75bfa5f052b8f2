"""The serial step: one stage after another, all resources of a stage side by side.

A stage takes as long as its most occupied resource, and the step takes the sum of its stages.
"""

from __future__ import annotations

from collections.abc import Mapping

from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder
from noptoolkit.step.step import Block, Step
from noptoolkit.step.transfers import Transfer, add_up

__all__ = ["serial_graph"]


def serial_graph(step: Step) -> TaskGraph:
    """Return the task graph of a step in which each stage waits for the one before."""
    tasks = TaskGraphBuilder()
    barrier: tuple[int, ...] = ()

    def stage(kind: str, label: str, uses: Mapping[str, float]) -> None:
        nonlocal barrier
        ids = [tasks.add(time, name, barrier, kind=kind, label=label) for name, time in uses.items() if time]
        if len(ids) > 1:
            ids = [tasks.add(0.0, None, ids, kind="join", label=f"end of {label}")]
        barrier = tuple(ids) or barrier

    def cached(sent: Transfer | None) -> Mapping[str, float]:
        return {} if sent is None else add_up([sent.occupied] * step.micro_batches)

    def run(block: Block, name: str, backward: bool) -> None:
        where = f"{name} {'backward' if backward else 'forward'}"
        factor = step.backward_factor if backward else 1.0
        early = (*block.before, *block.beside) if step.loads_as_routed else block.slices
        stage("load", f"load {where}", add_up(part.load.occupied for part in early))
        stage("load", f"read cache {where}", cached(block.cache_read))
        stage("exchange", f"gather {where}", add_up(t.uses for t in block.gather))
        hosts = add_up({p.chiplet: factor * p.forward.sum()} for p in (*block.before, *block.beside))
        experts = add_up({p.chiplet: factor * p.forward.sum()} for p in block.experts)
        stages = [
            ("attention", hosts),
            ("dispatch", add_up(t.uses for t in block.dispatch)),
            ("expert", experts),
            ("combine", add_up(t.uses for t in block.combine)),
        ]
        for kind, uses in [*stages[1:], stages[0]] if backward else stages:
            stage(kind, f"{kind} {where}", uses)
            if kind == "attention" and block.scatter:
                stage("exchange", f"scatter {where}", add_up(t.uses for t in block.scatter))
            if kind == "attention" and step.loads_as_routed:
                stage("load", f"load experts {where}", add_up(p.load.occupied for p in block.experts))
        stage("store", f"write cache {where}", cached(block.cache_written))
        if backward:
            finish(block, where)

    def finish(block: Block, where: str) -> None:
        exchanged = add_up(block.exchange[kind].uses for kind, _ in block.exchanged)
        stage("exchange", f"exchange {where}", exchanged)
        stage("update", f"update {where}", add_up({p.chiplet: p.update} for p in block.slices))
        stage("store", f"store {where}", add_up(part.store.occupied for part in block.slices))

    blocks = [step.blocks[i] for i in step.layers]
    for layer, block in enumerate(blocks):
        run(block, f"L{layer}", backward=False)
    stage("load", "load head", add_up(part.load.occupied for part in step.head.slices))
    factor = 3.0 if step.training else 1.0
    stage("dispatch", "dispatch head", add_up(t.uses for t in step.head.dispatch))
    stage("head", "head", add_up({p.chiplet: factor * p.forward.sum()} for p in step.head.slices))
    stage("combine", "combine head", add_up(t.uses for t in step.head.combine))
    if step.training:
        finish(step.head, "head")
        for layer, block in reversed(list(enumerate(blocks))):
            run(block, f"L{layer}", backward=True)
    return tasks.build()
