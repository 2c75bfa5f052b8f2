"""The overlapped step: everything starts as soon as precedence, resources and SRAM allow.

Weights of a slice load when the block ``prefetch + 1`` positions earlier has released its own on that chiplet
and when there is room: a chiplet's SRAM is a ring that slices enter and leave in the order in which they are
needed, so that the load of one waits for the release of those that it could not stand beside. Slices stay for
all micro-batches of their block; in training also until they are written back.

How transfers share the network (*contention*):

* ``factor``: a transfer occupies each resource for as long as its load needs there, all side by side: alone,
  it takes exactly the flow bound; resources serve one transfer after another;
* ``fluid``: a transfer is one flow whose rate max-min fairness decides, the same on all that it uses;
* ``reserve``: a transfer is cut into chunks, and each holds all its resources until the slowest is done.

A relaxed step (``Step.relaxed``) is written with each lane of a transfer as one flow: such a
graph is for bounds only.

Layers of the same kind give the same tasks, but for what they wait for. The first such visit to a block is
written task by task, later ones are copies (`TaskGraphBuilder.repeat`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from noptoolkit.errors import ScheduleError
from noptoolkit.package import Chiplet
from noptoolkit.scheduling import TaskGraph, TaskGraphBuilder
from noptoolkit.step.step import Block, Slice, Step
from noptoolkit.step.transfers import Lane, Transfer
from noptoolkit.step.visits import Ring, Visit, Written, name_chains, waiting_alike

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
        self.contention, self.chunks = "relaxed" if step.relaxed else contention, chunks
        self.sram = {
            node.name: node.sram - step.resident.get(node.name, 0.0)
            for node in step.package.nodes
            if isinstance(node, Chiplet) and node.sram is not None
        }
        self.tasks = TaskGraphBuilder(buffers=self.sram)
        self.ready: list[Ids] = [()] * step.micro_batches  # what micro-batch b waits for
        self.released: dict[str, list[int]] = {}  # by chiplet: when it was done with each block
        self.ring: dict[str, Ring] = {}  # by chiplet
        self.queue: dict[str, Ids] = {}  # by port: its latest load of experts, where an order is given
        self.groups: dict[int, list[tuple[Sequence[str], Sequence[str]]]] = {}  # by transfer: who waits alike
        self.written: dict[tuple[int, bool], Written] = {}  # by block and direction
        self.marked: dict[str, list[int]] = {}  # of the visit: tasks of its stages, by kind
        self.stages: list[tuple[str, int]] = []  # kind and front

    def graph(self) -> TaskGraph:
        step = self.step
        layers = list(enumerate(step.layers))
        for layer, kind in layers:
            self.visit(kind, f"L{layer}", backward=False)
        self.head(Visit(step.head, "head", 3.0 if step.training else 1.0))
        if step.training:
            for layer, kind in reversed(layers):
                self.visit(kind, f"L{layer}'", backward=True)
        self.close_rings()
        name_chains(self.tasks, self.stages)
        return self.tasks.build()

    def visit(self, kind: int, name: str, *, backward: bool) -> None:
        """Add a pass through a block: a copy of the last one of its kind if it waits for as many tasks."""
        block = self.step.blocks[kind]
        inputs = self.inputs(block)
        before = self.written.get((kind, backward))
        if before is None or not self.repeated(before, name, inputs):
            self.marked = {}
            first, places = len(self.tasks), {name: len(ring) for name, ring in self.ring.items()}
            one = Visit(block, name, self.step.backward_factor if backward else 1.0)
            (self.backward if backward else self.forward)(one)
            self.written[kind, backward] = Written(
                name,
                first,
                len(self.tasks),
                inputs,
                list(self.ready),
                {
                    name: (slice(places.get(name, 0), len(ring)), ring.loaded)
                    for name, ring in self.ring.items()
                },
                {part.chiplet: self.released[part.chiplet][-1] for part in block.slices},
                dict(self.queue),
                self.marked,
            )
        for stage in ("load", "pass") if backward else ("pass", "load"):
            self.name_stage(("'" if backward else "") + stage, self.marked.get(stage, []))

    def inputs(self, block: Block) -> tuple[Ids, ...]:
        """Return the tasks that a visit to a block may wait for, in a fixed order."""
        chiplets = list(dict.fromkeys(part.chiplet for part in block.slices))
        gates = [tuple(self.gate(chiplet)) for chiplet in chiplets]
        latest = [self.ring[name].loaded if name in self.ring else () for name in chiplets]
        queues = [self.queue[port] for port in sorted(self.queue)]
        return (*self.ready, *gates, *latest, *queues)

    def repeated(self, before: Written, name: str, inputs: tuple[Ids, ...]) -> bool:
        """Copy a visit, if the tasks that it waits for can stand for those that the copy would."""
        if list(map(len, before.inputs)) != list(map(len, inputs)):
            return False
        replaced: dict[int, int] = {}
        for old, new in zip(before.inputs, inputs, strict=True):
            for i, j in zip(old, new, strict=True):
                if replaced.setdefault(i, j) != j:
                    return False
        shift = self.tasks.repeat(before.first, before.last, replaced, (before.name, name))

        def moved(ids: Ids) -> Ids:
            return [i + shift if i >= before.first else replaced[i] for i in ids]

        self.ready = [moved(ids) for ids in before.ready]
        for chiplet, (part, loaded) in before.entries.items():
            self.ring[chiplet].repeat(part, loaded, shift)
        for chiplet, task in before.released.items():
            self.released[chiplet].append(task + shift)
        self.queue |= {port: moved(ids) for port, ids in before.queue.items()}
        self.marked = {stage: [i + shift for i in ids] for stage, ids in before.fronts.items()}
        return True

    def name_stage(self, kind: str, tasks: Ids) -> None:
        self.stages.append((kind, self.tasks.front(tasks)))

    def mark_loads(self, visit: Visit) -> None:
        """Note the last loads of a block's experts as a stage for the lower bound."""
        last = {part.chiplet: part for part in visit.block.experts}
        self.marked["load"] = [visit.loaded[part.index][0] for part in last.values()]

    def forward(self, visit: Visit) -> None:
        block = visit.block
        routed = self.step.loads_as_routed
        early = () if routed else self.ordered(block.experts)
        self.load(visit, [*block.before, *block.beside, *early])
        stage: list[int] = []
        ends: list[Ids] = []
        for b in range(self.step.micro_batches):
            label = f"{visit.name} m{b}"
            cached = self.move(block.cache_read, (), f"cache {label}")
            waits = [*self.ready[b], *self.among(block.gather, b, self.ready[b], f"gather {label}")]
            attended = self.compute(visit, block.before, b, [*waits, *cached])
            attended = [*attended, *self.among(block.scatter, b, attended, f"scatter {label}")]
            stage += attended
            ends.append(attended)
            self.move(block.cache_written, attended, f"cache {label}")
            if not routed:
                self.ready[b] = self.join(self.middle(visit, b, attended), label)
        if routed:
            self.load(visit, self.ordered(block.experts), ends)
            for b, attended in enumerate(ends):
                label = f"{visit.name} m{b}"
                self.ready[b] = self.join(self.middle(visit, b, attended), label)
        self.marked["pass"] = stage
        self.mark_loads(visit)
        self.release(visit)

    def among(self, sent: Sequence[Transfer], b: int, after: Ids, text: str) -> Ids:
        """Add what tensor-parallel hosts send each other; return what follows waits for."""
        if not sent:
            return ()
        ends = self.send(sent[b], dict.fromkeys(sent[b].parts, after), text)
        return self.join(list(dict.fromkeys(ends.values())), text)

    def backward(self, visit: Visit) -> None:
        block = visit.block
        self.load(visit, [*block.beside, *self.ordered(block.experts), *block.before])
        for b in range(self.step.micro_batches):
            returned = self.join(self.middle(visit, b, self.ready[b]), f"{visit.name} m{b}")
            self.ready[b] = self.compute(visit, block.before, b, returned)
        self.mark_loads(visit)
        self.marked["pass"] = [task for tasks in self.ready for task in tasks]
        self.update(visit)
        self.release(visit)

    def head(self, visit: Visit) -> None:
        self.load(visit, [*visit.block.before, *visit.block.experts])
        for b in range(self.step.micro_batches):
            computed = self.compute(visit, visit.block.before, b, self.ready[b])
            self.ready[b] = self.join(self.middle(visit, b, computed), f"head m{b}")
        self.name_stage("head", [task for tasks in self.ready for task in tasks])
        if self.step.training:
            self.update(visit)
        self.release(visit)

    def middle(self, visit: Visit, b: int, after: Ids) -> Ids:
        """Add dispatch, experts and combine of a micro-batch and what runs beside; return what ends it."""
        block, label = visit.block, f"{visit.name} m{b}"
        ends = list(self.compute(visit, block.beside, b, after)) if block.beside else []
        if not block.experts:
            return ends or after
        there, back = block.dispatch[b], block.combine[b]
        arrived = self.send(there, dict.fromkeys(there.parts, after), label)
        finished: dict[str, list[int]] = {part.chiplet: [] for part in block.experts}
        before: dict[str, Ids] = {}
        slices = Counter(part.chiplet for part in block.experts)
        for names, lanes in self.grouped(there, finished, there.parts, self.step.waits):
            gate = [arrived[lane] for lane in lanes] or after
            waiting = sum(slices[name] for name in names)
            before |= dict.fromkeys(names, self.shared(gate, waiting, f"dispatch {label}"))
        text = f"expert {label}"
        for part in block.experts:
            gate = [*before[part.chiplet], *visit.loaded[part.index]]
            time = visit.factor * float(part.forward[b])
            task = self.tasks.add(time, part.chiplet, gate, kind=part.kind, label=text)
            visit.done.setdefault(part.index, []).append(task)
            finished[part.chiplet].append(task)
        gates: dict[str, Ids] = {}
        lanes_back = back.parts.keys()
        together = {
            name: self.shared(ids, len(self.step.feeds[name] & lanes_back), f"experts {label}")
            for name, ids in finished.items()
        }
        for lanes, names in self.grouped(back, back.parts, finished, self.step.fed_by):
            gate = [task for name in names for task in together[name]] or after
            gates |= dict.fromkeys(lanes, self.shared(gate, len(lanes), f"experts {label}"))
        for name, ids in finished.items():
            if self.step.feeds[name].isdisjoint(gates):
                ends += ids  # results that stay where they are
        if self.step.relaxed:  # what no single chiplet waits for, the whole block does
            waited = frozenset().union(*self.step.waits.values())
            ends += [task for lane, task in arrived.items() if lane not in waited]
        return [*ends, *dict.fromkeys(self.send(back, gates, label).values())]

    def compute(self, visit: Visit, parts: Sequence[Slice], b: int, after: Ids) -> Ids:
        """Add the work of some hosts' slices on a micro-batch; return what follows waits for."""
        ids = []
        for part in parts:
            text = f"{part.kind} {visit.name} m{b}"
            time = visit.factor * float(part.forward[b])
            gate = [*after, *visit.loaded[part.index]]
            ids.append(self.tasks.add(time, part.chiplet, gate, kind=part.kind, label=text))
            visit.done.setdefault(part.index, []).append(ids[-1])
        return ids or after

    def send(self, sent: Transfer, after: Mapping[str, Ids], label: str) -> dict[str, int]:
        """Add a transfer; return the task that ends its use of each lane."""
        kind, text = sent.kind, f"{sent.kind} {label}"
        if self.contention == "relaxed":
            return {name: self.relaxed(lane, after[name], kind, text) for name, lane in sent.parts.items()}
        if self.contention == "factor":
            tasks = [(name, *use) for name, lane in sent.parts.items() for use in lane.uses.items()]
            gates = [after[name] for name, _, _ in tasks]
            times, resources = [time for _, _, time in tasks], [resource for _, resource, _ in tasks]
            added = self.tasks.add_each(times, resources, gates, kind=kind, label=text)
            return {name: task for (name, _, _), task in zip(tasks, added, strict=True)}
        gate: Ids = list(dict.fromkeys(task for r in sent.uses for task in after[r]))
        if self.contention == "fluid":
            task = self.tasks.add_flow(sent.size, sent.uses, gate, kind=kind, label=text)
            return dict.fromkeys(sent.uses, task)
        for _ in range(self.chunks):
            gate = (self.tasks.add(sent.time / self.chunks, tuple(sent.uses), gate, kind=kind, label=text),)
        return dict.fromkeys(sent.uses, gate[0]) if sent.uses else {}

    def relaxed(self, lane: Lane, after: Ids, kind: str, text: str) -> int:
        return self.tasks.add_flow(1.0, lane.uses, after, kind=kind, label=text, least=lane.least)

    def gate(self, chiplet: str) -> Ids:
        """Return what the loads of a block wait for on a chiplet: an earlier block to be done there."""
        released = self.released.get(chiplet, [])
        index = len(released) - 1 - self.prefetch
        return [released[index]] if index >= 0 else []

    def load(self, visit: Visit, parts: Sequence[Slice], routed: Sequence[Ids] = ()) -> None:
        """Add the loads of a block's weights, in the order in which each chiplet needs them.

        ``routed`` are the routers of all micro-batches, where loads wait for the first that uses a slice.
        """
        last = {part.index for part in {part.chiplet: part for part in parts}.values()}
        for part in parts:
            if part.index in visit.loaded:  # read for another chiplet, and brought here, too
                continue
            text = f"load {part.kind} {visit.name}"
            together = (part,) if part.reading is None else visit.block.readings[part.reading]
            gates: dict[str, list[int]] = {}
            for one in together:
                ring = self.ring.setdefault(one.chiplet, Ring())
                gates[one.chiplet] = [*self.gate(one.chiplet), *ring.loaded]
                visit.place[one.index] = len(ring)
            used = np.any([one.forward > 0 for one in together], axis=0)
            routers = routed[int(np.argmax(used))] if routed else ()
            if len(together) == 1:
                loads = self.load_slice(part, [*gates[part.chiplet], *routers], text)
            else:
                loads = self.load_together(together, gates, routers, text)
            if any(one.index in last for one in together):  # a stage for the lower bound: see `mark_loads`
                loaded = self.join(loads, text)
            else:
                loaded = self.shared(loads, len(together) * (1 + self.step.micro_batches), text)
            for one in together:
                self.ring[one.chiplet].enter(one.room, loads, loaded)
            visit.loaded |= dict.fromkeys([one.index for one in together], loaded)

    def load_together(
        self, parts: Sequence[Slice], gates: Mapping[str, Ids], routers: Ids, text: str
    ) -> range:
        """Add one load of the weights of several chiplets, which begins when all of them have room."""
        first = len(self.tasks)
        for part in parts:
            buffer = part.chiplet if part.chiplet in self.sram else None
            hold = part.room if buffer else 0.0
            gate = [*gates[part.chiplet], *routers]
            self.tasks.add(0.0, None, gate, kind="join", label=text, buffer=buffer, hold=hold)
        readers = [part for part in parts if part.reads]
        if len(readers) != 1:
            raise ScheduleError(
                f"{text}: {len(readers)} slices read what {len(parts)} chiplets want, not one"
            )
        rooms = range(first, len(self.tasks))
        return range(first, self.load_slice(readers[0], rooms, text, held=True).stop)

    def load_slice(self, part: Slice, gate: Ids, text: str, *, held: bool = False) -> range:
        """Add the load of a slice, behind earlier ones of its port where an order is given.

        ``held`` says that the room for it is taken already.
        """
        buffer = part.chiplet if part.chiplet in self.sram and not held else None
        hold = part.room if buffer else 0.0  # the first task takes the room for all
        queued = self.order is not None and part.kind == "expert"
        sent, first = part.load, len(self.tasks)
        if self.contention == "relaxed":
            queues = [task for port in sent.ports if queued for task in self.queue.get(port, ())]
            room = self.tasks.add(0.0, None, gate, kind="join", label=text, buffer=buffer, hold=hold)
            self.relaxed(Lane(sent.occupied, sent.least or 0.0), [room, *queues], "load", text)
        else:
            ports: list[str | None] = [*sent.ports]
            for port in ports or [None]:
                after = gate if port is None or not queued else (*gate, *self.queue.get(port, ()))
                time, kind = (0.0, "join") if port is None else (sent.ports[port], "load")
                self.tasks.add(time, port, after, kind=kind, label=text, buffer=buffer, hold=hold)
                buffer, hold = None, 0.0
            self.over_network(sent, gate, "load", text)
        if queued:
            self.queue.update({port: [first] for port in sent.ports})
        return range(first, len(self.tasks))

    def move(self, sent: Transfer | None, after: Ids, text: str) -> Ids:
        """Add a movement between chiplet and memory: ports and channels, all at the same time."""
        if sent is None or not sent.occupied:
            return []
        if self.contention == "relaxed":
            return [self.relaxed(Lane(sent.occupied, sent.least or 0.0), after, sent.kind, text)]
        ports = [self.tasks.add(time, r, after, kind=sent.kind, label=text) for r, time in sent.ports.items()]
        return [*ports, *self.over_network(sent, after, sent.kind, text)]

    def over_network(self, sent: Transfer, after: Ids, kind: str, text: str) -> list[int]:
        if not sent.uses:
            return []
        if self.contention == "fluid":
            return [self.tasks.add_flow(sent.size, sent.uses, after, kind=kind, label=text)]
        uses, gates = sent.uses, [after] * len(sent.uses)
        return [*self.tasks.add_each([*uses.values()], [*uses], gates, kind=kind, label=text)]

    def update(self, visit: Visit) -> None:
        """Add exchange of gradients, update and write-back of a block's weights."""
        block = visit.block
        exchanged: dict[int, Ids] = {}  # by slice: the end of its exchange
        for (kind, _), parts in block.exchanged.items():
            sent, text = block.exchange[kind], f"{kind} {visit.name}"
            gate = self.join([task for part in parts for task in visit.done[part.index]], text)
            ends = self.send(sent, dict.fromkeys(sent.parts, gate), text)
            exchanged |= {part.index: list(dict.fromkeys(ends.values())) for part in parts}
        for part in block.slices:
            text = f"{part.kind} {visit.name}"
            after = [*visit.done[part.index], *exchanged.get(part.index, ())]
            task = self.tasks.add(part.update, part.chiplet, after, kind="update", label=f"update {text}")
            visit.done[part.index] = [task, *self.move(part.store, [task], f"store {text}")]

    def release(self, visit: Visit) -> None:
        """Add what gives the slices' room back, and note when each chiplet is done with the block."""
        by_chiplet: dict[str, list[int]] = {}
        for part in visit.block.slices:
            buffer = part.chiplet if part.chiplet in self.sram else None
            hold = -part.room if buffer else 0.0
            text = f"release {part.kind} {visit.name}"
            after = visit.done[part.index]
            task = self.tasks.add(0.0, None, after, kind="join", label=text, buffer=buffer, hold=hold)
            by_chiplet.setdefault(part.chiplet, []).append(task)
            self.ring[part.chiplet].releases[visit.place[part.index]] = task
        for chiplet, ids in by_chiplet.items():
            self.released.setdefault(chiplet, []).append(self.join(ids, visit.name)[0])

    def close_rings(self) -> None:
        """Let each load wait for the release of the slices that it could not stand beside."""
        for chiplet, size in self.sram.items():
            if chiplet in self.ring:
                self.tasks.wait_each(*self.ring[chiplet].waits(size))

    def ordered(self, experts: Sequence[Slice]) -> Sequence[Slice]:
        return experts if self.order is None else self.order(experts)

    def grouped(
        self, sent: Transfer, these: Iterable[str], those: Iterable[str], lead: Mapping[str, frozenset[str]]
    ) -> list[tuple[Sequence[str], Sequence[str]]]:
        """Return who waits alike for a transfer: names of these, and those that lead to each of them."""
        if sent.index not in self.groups:
            self.groups[sent.index] = waiting_alike(these, those, lead)
        return self.groups[sent.index]

    def shared(self, ids: Ids, count: int, label: str) -> Ids:
        """Return what some tasks of a number wait for, as one task where many wait for many: a mesh has."""
        return self.join(ids, label) if count > 1 and len(ids) > 2 else ids

    def join(self, ids: Ids, label: str) -> Ids:
        """Return one task that ends when all of some have ended."""
        if len(ids) <= 1:
            return ids
        return (self.tasks.add(0.0, None, ids, kind="join", label=f"end {label}"),)
