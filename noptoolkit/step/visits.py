"""What the writer of a step's tasks keeps of each pass through a block, and the stages that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from noptoolkit.scheduling import TaskGraphBuilder
from noptoolkit.step.step import Block

__all__ = ["Entry", "Ids", "Visit", "Written", "name_chains"]

Ids = Sequence[int]


@dataclass(eq=False)
class Visit:
    """One pass through a block, forward or backward."""

    block: Block
    name: str
    factor: float
    loaded: dict[int, Ids] = field(default_factory=dict)  # by slice: its loads
    place: dict[int, int] = field(default_factory=dict)  # by slice: its place in its chiplet's ring
    done: dict[int, list[int]] = field(default_factory=dict)  # by slice: its work, then what follows it


@dataclass
class Entry:
    """A slice in a chiplet's ring."""

    size: float
    loads: Ids
    release: int = -1


@dataclass
class Written:
    """A visit that was written task by task, for later ones of its kind to repeat."""

    name: str
    first: int
    last: int
    inputs: tuple[Ids, ...]
    ready: list[Ids]
    entries: dict[str, list[Entry]]
    released: dict[str, int]
    queue: dict[str, Ids]
    fronts: dict[str, list[int]]


def name_chains(tasks: TaskGraphBuilder, stages: Sequence[tuple[str, int]]) -> None:
    """Name sequences of stages for the lower bound.

    Neither the head nor attention waits for loads, so that they and the loads are seldom one chain.

    Parameters
    ----------
    stages
        Kind (``pass``, ``load``, ``head``; in backward passes with a prime) and index of each front, in
        order; -1 for none.
    """
    fronts = [(kind, front) for kind, front in stages if front >= 0]
    heads = [i for i, (kind, _) in enumerate(fronts) if kind == "head"]
    if not heads:
        return
    before = [front for kind, front in fronts[: heads[0]] if kind == "load"][-1:]
    head = fronts[heads[0]][1]
    after = [front for kind, front in fronts[heads[0] + 1 :] if kind == "'pass"]
    tasks.chain([*before, head])
    tasks.chain([*before, head, *after])
    tasks.chain([front for kind, front in fronts if kind.endswith("load") or kind == "head"])
