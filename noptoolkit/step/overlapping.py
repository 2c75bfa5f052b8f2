"""The overlapped step: everything starts as soon as precedence, resources and SRAM allow.

Weights of a slice load when the block ``prefetch + 1`` before has released its own on that chiplet and when
there is room: a chiplet's SRAM is a ring that slices enter and leave in the order in which they are needed,
so that the load of one waits for the release of those that it could not stand beside. Slices stay for all
micro-batches of their block; in training also until they are written back.

How transfers share the network (*contention*):

* ``factor``: a transfer occupies each resource for as long as its load needs there, all side by side: alone,
  it takes exactly the flow bound; resources serve one transfer after another;
* ``fluid``: a transfer is one flow whose rate max-min fairness decides, the same on all that it uses;
* ``reserve``: a transfer is cut into chunks, and each holds all its resources until the slowest is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from noptoolkit.package import Chiplet
from noptoolkit.scheduling.task_graph import TaskGraph, TaskGraphBuilder
from noptoolkit.step.step import Block, Slice, Step
from noptoolkit.step.transfers import Transfer

__all__ = ["CONTENTIONS", "overlapped_graph"]

CONTENTIONS = ("factor", "fluid", "reserve")

Ids = Sequence[int]


def overlapped_graph(
    step: Step,
    *,
    prefetch: int = 1,
    order: Callable[[Sequence[Slice]], Sequence[Slice]] | None = None,
    contention: str = "factor",
    chunks: int = 4,
) -> TaskGraph:
    """Return the task graph of a step that overlaps whatever may overlap; see `Policy` for the options."""
    return _Writer(step, prefetch, order, contention, chunks).graph()


@dataclass(eq=False)
class _Visit:
    """One pass through a block, forward or backward."""

    block: Block
    name: str
    factor: float
    loaded: dict[int, Ids] = field(default_factory=dict)  # by slice: its loads
    place: dict[int, int] = field(default_factory=dict)  # by slice: its place in its chiplet's ring
    done: dict[int, list[int]] = field(default_factory=dict)  # by slice: its work, then what follows it


@dataclass
class _Entry:
    """A slice in a chiplet's ring."""

    size: float
    loads: Ids
    release: int = -1


class _Writer:
    """Writes the tasks of a step block by block; remembers what the next block waits for."""

    def __init__(
        self,
        step: Step,
        prefetch: int,
        order: Callable[[Sequence[Slice]], Sequence[Slice]] | None,
        contention: str,
        chunks: int,
    ) -> None:
        self.step, self.prefetch, self.order = step, prefetch, order
        self.contention, self.chunks = contention, chunks
        self.sram = {
            node.name: node.sram
            for node in step.package.nodes
            if isinstance(node, Chiplet) and node.sram is not None
        }
        self.ports = {memory.name for memory in step.package.memories}
        self.tasks = TaskGraphBuilder(buffers=self.sram)
        self.ready: list[Ids] = [()] * step.micro_batches  # what micro-batch b waits for
        self.released: dict[str, list[int]] = {}  # by chiplet: when it was done with each block
        self.ring: dict[str, list[_Entry]] = {}  # by chiplet: slices in the order of entry
        self.queue: dict[str, Ids] = {}  # by port: its latest load of experts, where an order is given
        self.groups: dict[int, list[tuple[Sequence[str], Sequence[str]]]] = {}  # by transfer: who waits alike

    def graph(self) -> TaskGraph:
        step = self.step
        layers = [(step.blocks[i], f"L{layer}") for layer, i in enumerate(step.layers)]
        for block, name in layers:
            self.forward(_Visit(block, name, 1.0))
        self.head(_Visit(step.head, "head", 3.0 if step.training else 1.0))
        if step.training:
            for block, name in reversed(layers):
                self.backward(_Visit(block, f"{name}'", 2.0))
        self.close_rings()
        return self.tasks.build()

    def mark_loads(self, visit: _Visit) -> None:
        """Name the last loads of a block's experts as a stage for the lower bound, as attention is one."""
        last = {part.chiplet: part for part in visit.block.experts}
        self.tasks.front(visit.loaded[id(part)][0] for part in last.values())

    def forward(self, visit: _Visit) -> None:
        block = visit.block
        self.load(visit, [*block.before, *block.beside, *self.ordered(block.experts)])
        stage: list[int] = []
        for b in range(self.step.micro_batches):
            label = f"{visit.name} m{b}"
            cached = self.move(block.cache_read, (), "load", f"cache {label}")
            attended = self.compute(visit, block.before, b, [*self.ready[b], *cached])
            stage += attended
            self.move(block.cache_written, attended, "store", f"cache {label}")
            self.ready[b] = self.join(self.middle(visit, b, attended), label)
        self.tasks.front(stage)
        self.mark_loads(visit)
        self.release(visit)

    def backward(self, visit: _Visit) -> None:
        block = visit.block
        self.load(visit, [*block.beside, *self.ordered(block.experts), *block.before])
        for b in range(self.step.micro_batches):
            returned = self.join(self.middle(visit, b, self.ready[b]), f"{visit.name} m{b}")
            self.ready[b] = self.compute(visit, block.before, b, returned)
        self.mark_loads(visit)
        self.tasks.front(task for tasks in self.ready for task in tasks)
        self.update(visit)
        self.release(visit)

    def head(self, visit: _Visit) -> None:
        self.load(visit, visit.block.before)
        for b in range(self.step.micro_batches):
            self.ready[b] = self.compute(visit, visit.block.before, b, self.ready[b])
        if self.step.training:
            self.update(visit)
        self.release(visit)

    def middle(self, visit: _Visit, b: int, after: Ids) -> Ids:
        """Add dispatch, experts and combine of a micro-batch and what runs beside; return what ends it."""
        block, label = visit.block, f"{visit.name} m{b}"
        ends = list(self.compute(visit, block.beside, b, after)) if block.beside else []
        if not block.experts:
            return ends or after
        there, back = block.dispatch[b], block.combine[b]
        arrived = self.send(there, dict.fromkeys(there.uses, after), "dispatch", label)
        finished: dict[str, list[int]] = {part.chiplet: [] for part in block.experts}
        before: dict[str, Ids] = {}
        for names, resources in self.grouped(there, finished, there.uses, self.step.waits):
            gate = [arrived[r] for r in resources] or after
            before |= dict.fromkeys(names, self.shared(gate, len(names), f"dispatch {label}"))
        text = f"expert {label}"
        for part in block.experts:
            gate = [*before[part.chiplet], *visit.loaded[id(part)]]
            time = visit.factor * float(part.forward[b])
            task = self.tasks.add(time, part.chiplet, gate, kind="expert", label=text)
            visit.done.setdefault(id(part), []).append(task)
            finished[part.chiplet].append(task)
        gates: dict[str, Ids] = {}
        for resources, names in self.grouped(back, back.uses, finished, self.step.fed_by):
            gate = [task for name in names for task in finished[name]]
            gates |= dict.fromkeys(resources, self.shared(gate, len(resources), f"experts {label}"))
        for name, ids in finished.items():
            if self.step.feeds[name].isdisjoint(gates):
                ends += ids  # results that stay where they are
        return [*ends, *dict.fromkeys(self.send(back, gates, "combine", label).values())]

    def compute(self, visit: _Visit, parts: Sequence[Slice], b: int, after: Ids) -> Ids:
        """Add the work of some hosts' slices on a micro-batch; return what follows waits for."""
        ids = []
        for part in parts:
            text = f"{part.kind} {visit.name} m{b}"
            time = visit.factor * float(part.forward[b])
            gate = [*after, *visit.loaded[id(part)]]
            ids.append(self.tasks.add(time, part.chiplet, gate, kind=part.kind, label=text))
            visit.done.setdefault(id(part), []).append(ids[-1])
        return ids or after

    def send(self, sent: Transfer, after: Mapping[str, Ids], kind: str, label: str) -> dict[str, int]:
        """Add a transfer; return the task that ends its use of each resource."""
        text = f"{kind} {label}"
        add = self.tasks.add
        if self.contention == "factor":
            return {r: add(time, r, after[r], kind=kind, label=text) for r, time in sent.uses.items()}
        gate: Ids = list(dict.fromkeys(task for r in sent.uses for task in after[r]))
        if self.contention == "fluid":
            task = self.tasks.add_flow(sent.size, sent.uses, gate, kind=kind, label=text)
            return dict.fromkeys(sent.uses, task)
        for _ in range(self.chunks):
            gate = (add(sent.time / self.chunks, tuple(sent.uses), gate, kind=kind, label=text),)
        return dict.fromkeys(sent.uses, gate[0]) if sent.uses else {}

    def load(self, visit: _Visit, parts: Sequence[Slice]) -> None:
        """Add the loads of a block's weights, in the order in which each chiplet needs them."""
        for part in parts:
            released = self.released.get(part.chiplet, [])
            index = len(released) - 1 - self.prefetch
            gate: list[int] = [released[index]] if index >= 0 else []
            ring = self.ring.setdefault(part.chiplet, [])
            if ring:
                gate += ring[-1].loads
            visit.place[id(part)] = len(ring)
            loads = self.load_slice(part, gate, f"load {part.kind} {visit.name}")
            visit.loaded[id(part)] = loads
            ring.append(_Entry(part.size, loads))

    def load_slice(self, part: Slice, gate: Ids, text: str) -> Ids:
        """Add the load of a slice, behind earlier ones of its port where an order is given."""
        queued = self.order is not None and part.kind == "expert"
        after = {r: (*gate, *self.queue.get(r, ())) if queued else gate for r in part.load}
        buffer = part.chiplet if part.chiplet in self.sram else None
        ids: list[int] = []
        ports: list[str | None] = [r for r in part.load if r in self.ports]
        for resource in ports or [None]:
            hold = part.size if buffer else 0.0  # the first task takes the room for all
            time, before = (part.load[resource], after[resource]) if resource else (0.0, gate)
            kind = "load" if resource else "join"
            ids.append(
                self.tasks.add(time, resource, before, kind=kind, label=text, buffer=buffer, hold=hold)
            )
            buffer = None
        channels = {r: time for r, time in part.load.items() if r not in self.ports}
        ids += self.over_network(part.size, channels, gate, "load", text)
        if queued:
            self.queue.update({r: [ids[0]] for r in part.load if r in self.ports})
        return ids

    def move(self, uses: Mapping[str, float], after: Ids, kind: str, text: str) -> Ids:
        """Add a movement between chiplet and memory: ports and channels, all at the same time."""
        ports = [
            self.tasks.add(time, r, after, kind=kind, label=text)
            for r, time in uses.items()
            if r in self.ports
        ]
        channels = {r: time for r, time in uses.items() if r not in self.ports}
        size = sum(channels.values())
        return [*ports, *self.over_network(size, channels, after, kind, text)]

    def over_network(
        self, size: float, channels: Mapping[str, float], after: Ids, kind: str, text: str
    ) -> list[int]:
        if not channels:
            return []
        if self.contention == "fluid":
            return [self.tasks.add_flow(size, channels, after, kind=kind, label=text)]
        return [self.tasks.add(time, r, after, kind=kind, label=text) for r, time in channels.items()]

    def update(self, visit: _Visit) -> None:
        """Add exchange of gradients, update and write-back of a block's weights."""
        block = visit.block
        exchanged: dict[int, Ids] = {}  # by slice: the end of its exchange
        for (kind, _), parts in block.exchanged.items():
            sent, text = block.exchange[kind], f"{kind} {visit.name}"
            gate = self.join([task for part in parts for task in visit.done[id(part)]], text)
            ends = self.send(sent, dict.fromkeys(sent.uses, gate), "exchange", text)
            exchanged |= {id(part): list(dict.fromkeys(ends.values())) for part in parts}
        for part in block.slices:
            text = f"{part.kind} {visit.name}"
            after = [*visit.done[id(part)], *exchanged.get(id(part), ())]
            task = self.tasks.add(part.update, part.chiplet, after, kind="update", label=f"update {text}")
            visit.done[id(part)] = [task, *self.move(part.store, [task], "store", f"store {text}")]

    def release(self, visit: _Visit) -> None:
        """Add what gives the slices' room back, and note when each chiplet is done with the block."""
        by_chiplet: dict[str, list[int]] = {}
        for part in visit.block.slices:
            buffer = part.chiplet if part.chiplet in self.sram else None
            hold = -part.size if buffer else 0.0
            text = f"release {part.kind} {visit.name}"
            after = visit.done[id(part)]
            task = self.tasks.add(0.0, None, after, kind="join", label=text, buffer=buffer, hold=hold)
            by_chiplet.setdefault(part.chiplet, []).append(task)
            self.ring[part.chiplet][visit.place[id(part)]].release = task
        for chiplet, ids in by_chiplet.items():
            self.released.setdefault(chiplet, []).append(self.join(ids, visit.name)[0])

    def close_rings(self) -> None:
        """Let each load wait for the release of the slices that it could not stand beside."""
        for chiplet, size in self.sram.items():
            oldest, used = 0, 0.0
            ring = self.ring.get(chiplet, [])
            for entry in ring:
                used += entry.size
                while used > size * (1 + 1e-12):
                    for load in entry.loads:
                        self.tasks.wait(load, ring[oldest].release)
                    used -= ring[oldest].size
                    oldest += 1

    def ordered(self, experts: Sequence[Slice]) -> Sequence[Slice]:
        return experts if self.order is None else self.order(experts)

    def grouped(
        self, sent: Transfer, these: Iterable[str], those: Iterable[str], lead: Mapping[str, frozenset[str]]
    ) -> list[tuple[Sequence[str], Sequence[str]]]:
        """Return who waits alike for a transfer: names of these, and those that lead to each of them."""
        if id(sent) not in self.groups:
            groups: dict[tuple[str, ...], list[str]] = {}
            for name in these:
                groups.setdefault(tuple(other for other in those if other in lead.get(name, ())), []).append(
                    name
                )
            self.groups[id(sent)] = [(names, others) for others, names in groups.items()]
        return self.groups[id(sent)]

    def shared(self, ids: Ids, count: int, label: str) -> Ids:
        """Return what some tasks of a number wait for, as one task where many wait for many: a mesh has."""
        return self.join(ids, label) if count > 1 and len(ids) > 2 else ids

    def join(self, ids: Ids, label: str) -> Ids:
        """Return one task that ends when all of some have ended."""
        if len(ids) <= 1:
            return ids
        return (self.tasks.add(0.0, None, ids, kind="join", label=f"end {label}"),)
