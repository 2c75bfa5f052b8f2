"""What the writer of a step's tasks keeps of each pass through a block, and the stages that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from noptoolkit.scheduling import TaskGraphBuilder
from noptoolkit.step.step import Block

__all__ = ["Entry", "Ids", "Visit", "Written", "name_chains", "waiting_alike"]

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
    """A slice in a chiplet's ring: its bytes, its loads, what ends them, and what gives its room back."""

    size: float
    loads: range
    loaded: Ids
    release: int = -1

    def moved(self, shift: int) -> Entry:
        """Return the slice's copy, all of whose tasks come so much later."""
        loads = range(self.loads.start + shift, self.loads.stop + shift)
        return Entry(self.size, loads, [task + shift for task in self.loaded], self.release + shift)


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


def waiting_alike(
    these: Iterable[str], those: Iterable[str], lead: Mapping[str, frozenset[str]]
) -> list[tuple[Sequence[str], Sequence[str]]]:
    """Return groups of names, and with each the others that lead to all of its members."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in these:
        groups.setdefault(tuple(other for other in those if other in lead.get(name, ())), []).append(name)
    return [(names, others) for others, names in groups.items()]


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
