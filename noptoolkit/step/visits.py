"""What the writer of a step's tasks keeps of each pass through a block, and the stages that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit.scheduling import TaskGraphBuilder
from noptoolkit.step.step import Block

__all__ = ["Ids", "Ring", "Visit", "Written", "name_chains", "waiting_alike"]

Ids = Sequence[int]

NOBODY: frozenset[str] = frozenset()


@dataclass(eq=False)
class Visit:
    """One pass through a block, forward or backward."""

    block: Block
    name: str
    factor: float
    loaded: dict[int, Ids] = field(default_factory=dict)  # by slice: its loads
    place: dict[int, int] = field(default_factory=dict)  # by slice: its place in its chiplet's ring
    done: dict[int, list[int]] = field(default_factory=dict)  # by slice: its work, then what follows it


@dataclass(eq=False)
class Ring:
    """The slices that enter and leave a chiplet's SRAM, in the order of entry.

    Of each its bytes, its loads (the first, and the one behind the last), and what gives its room back; of
    the latest what ends its loads.
    """

    sizes: list[float] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    releases: list[int] = field(default_factory=list)
    loaded: Ids = ()

    def __len__(self) -> int:
        return len(self.sizes)

    def enter(self, size: float, loads: range, loaded: Ids) -> None:
        """Add a slice."""
        self.sizes.append(size)
        self.begins.append(loads.start)
        self.ends.append(loads.stop)
        self.releases.append(-1)
        self.loaded = loaded

    def repeat(self, part: slice, loaded: Ids, shift: int) -> None:
        """Add copies of some slices, all of whose tasks come so much later, as those that end the loads."""
        self.sizes += self.sizes[part]
        for tasks in (self.begins, self.ends, self.releases):
            tasks += [task + shift for task in tasks[part]]
        self.loaded = [task + shift for task in loaded]

    def waits(self, room: float) -> tuple[Ints, Ints]:
        """Return the loads that wait until an earlier slice leaves some bytes of room, and its release."""
        entered: list[int] = []
        left: list[int] = []
        used = 0.0
        for i, size in enumerate(self.sizes):
            used += size
            while used > room * (1 + 1e-12):
                used -= self.sizes[len(left)]
                entered.append(i)
                left.append(len(left))
        begins = np.array(self.begins, np.int64)[entered]
        counts = np.array(self.ends, np.int64)[entered] - begins
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        releases = np.array(self.releases, np.int64)[left]
        return np.repeat(begins, counts) + within, np.repeat(releases, counts)


@dataclass
class Written:
    """A visit that was written task by task, for later ones of its kind to repeat."""

    name: str
    first: int
    last: int
    inputs: tuple[Ids, ...]
    ready: list[Ids]
    entries: dict[str, tuple[slice, Ids]]
    released: dict[str, int]
    queue: dict[str, Ids]
    fronts: dict[str, list[int]]


def waiting_alike(
    these: Iterable[str], those: Iterable[str], lead: Mapping[str, frozenset[str]]
) -> list[tuple[Sequence[str], Sequence[str]]]:
    """Return groups of names, and with each the others that lead to all of its members."""
    groups: dict[tuple[str, ...], list[str]] = {}
    known: dict[frozenset[str], tuple[str, ...]] = {}  # many have the same
    others = list(those)
    for name in these:
        leads = lead.get(name, NOBODY)
        if leads not in known:
            known[leads] = tuple(other for other in others if other in leads)
        groups.setdefault(known[leads], []).append(name)
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
