"""The policies: how a step becomes a task graph.

``serial`` (Mozart's Baseline) does one thing after another: a block's weights are loaded, attention runs, all
tokens are dispatched, the experts run, results are combined, in training backwards likewise, then weights are
written back. The other policies overlap whatever precedence allows, micro-batch by micro-batch: weights of
the next block load while this one computes (``prefetch`` blocks ahead, as SRAM allows), channels carry one
micro-batch while another is computed. They add up as in the paper (arXiv 2603.07006): ``overlap`` is its A,
``all-to-all`` its B (tokens are copied and reduced in the network), ``streaming`` its C (experts laid
out by co-activation). ``best`` tries prefetch depths, orders of loading and numbers of micro-batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from noptoolkit._names import resolve
from noptoolkit.errors import ScheduleError, raise_collected
from noptoolkit.package import Chiplet
from noptoolkit.scheduling.step import Block, Slice, Step
from noptoolkit.scheduling.task_graph import TaskGraph, TaskGraphBuilder
from noptoolkit.scheduling.transfers import Transfer
from noptoolkit.traffic.routed import Degree
from noptoolkit.workload import Batch

__all__ = ["ORDERS", "POLICIES", "Order", "Policy", "overlapped_graph", "serial_graph"]

Order = Callable[[Sequence[Slice]], Sequence[Slice]]


def heavy_first(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of what is computed with them, most first."""
    return sorted(slices, key=lambda part: -float(part.forward.sum()))


def light_first(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of what is computed with them, least first."""
    return heavy_first(slices)[::-1]


def as_listed(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices in the order of the package's chiplets."""
    return list(slices)


ORDERS: Mapping[str, Order] = {"heavy": heavy_first, "light": light_first, "listed": as_listed}


def _as_tuple(value: object) -> tuple:  # type: ignore[type-arg]
    return value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True)
class Policy:
    """How a step is scheduled.

    Parameters
    ----------
    overlap
        Whether things of different kinds run at the same time.
    degree
        Copies of a token, see `noptoolkit.traffic.dispatch`.
    layout
        The allocator that is asked where no allocation is given.
    prefetch
        Blocks whose weights may load ahead of the one that computes; several are tried and the best kept.
    order
        In which order the experts' weights pass a port: a name in `ORDERS`, a callable from slices to
        slices, or ``None``: as urgency decides. A tuple is tried and the best kept.
    micro_batches
        Parts of the batch, as the workload says where ``None``. A tuple is tried and the best kept.
    """

    overlap: bool = True
    degree: Degree = "in-network"
    layout: str = "mozart"
    prefetch: int | tuple[int, ...] = 1
    order: str | Order | tuple[str | Order | None, ...] | None = None
    micro_batches: int | tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        faults = [
            f"prefetch {depth!r} must be a whole number, 0 or more"
            for depth in _as_tuple(self.prefetch)
            if not isinstance(depth, int) or depth < 0
        ]
        faults += [
            f"micro_batches {count!r} must be a whole number above 0"
            for count in _as_tuple(self.micro_batches)
            if count is not None and (not isinstance(count, int) or count < 1)
        ]
        raise_collected(ScheduleError, "policy", faults)

    def candidates(self, batch: Batch) -> list[tuple[int, str | Order | None, int]]:
        """Return every combination of prefetch, order and micro-batches to try.

        Of several numbers of micro-batches, those that do not divide the batch's sequences are left out.
        """
        counts = dict.fromkeys(count or batch.micro_batches for count in _as_tuple(self.micro_batches))
        fitting = [count for count in counts if batch.sequences % count == 0] or list(counts)
        orders, depths = _as_tuple(self.order), _as_tuple(self.prefetch)
        if not self.overlap:
            orders, depths = orders[:1], depths[:1]
        return [(depth, order, count) for count in fitting for order in orders for depth in depths]

    def graph(self, step: Step, prefetch: int, order: str | Order | None) -> TaskGraph:
        """Return the task graph of a step under this policy."""
        if not self.overlap:
            return serial_graph(step)
        return overlapped_graph(step, prefetch=prefetch, order=order)


POLICIES: Mapping[str, Policy] = {
    "serial": Policy(overlap=False, degree="copies", layout="contiguous"),
    "overlap": Policy(degree="copies", layout="contiguous"),
    "all-to-all": Policy(degree="in-network", layout="contiguous"),
    "streaming": Policy(degree="in-network", layout="mozart"),
    "best": Policy(prefetch=(0, 1, 2), order=(None, "heavy"), micro_batches=(None, 1, 2, 8, 16)),
}


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

    def run(block: Block, name: str, backward: bool) -> None:
        where = f"{name} {'backward' if backward else 'forward'}"
        factor = 2.0 if backward else 1.0
        stage("load", f"load {where}", _sum(part.load for part in block.slices))
        stage("load", f"read cache {where}", _sum([block.cache_read] * step.micro_batches))
        hosts = _sum({p.chiplet: factor * p.forward.sum()} for p in (*block.before, *block.beside))
        experts = _sum({p.chiplet: factor * p.forward.sum()} for p in block.experts)
        stages = [
            ("attention", hosts),
            ("dispatch", _sum(t.uses for t in block.dispatch)),
            ("expert", experts),
            ("combine", _sum(t.uses for t in block.combine)),
        ]
        for kind, uses in [*stages[1:], stages[0]] if backward else stages:
            stage(kind, f"{kind} {where}", uses)
        stage("store", f"write cache {where}", _sum([block.cache_written] * step.micro_batches))
        if backward:
            finish(block, where)

    def finish(block: Block, where: str) -> None:
        exchanged = [t.uses for p in block.slices for t in exchange_of(block, p)]
        stage("exchange", f"exchange {where}", _sum(exchanged))
        stage("update", f"update {where}", _sum({p.chiplet: p.update} for p in block.slices))
        stage("store", f"store {where}", _sum(part.store for part in block.slices))

    blocks = [step.blocks[i] for i in step.layers]
    for layer, block in enumerate(blocks):
        run(block, f"L{layer}", backward=False)
    stage("load", "load head", _sum(part.load for part in step.head.slices))
    factor = 3.0 if step.training else 1.0
    stage("head", "head", _sum({p.chiplet: factor * p.forward.sum()} for p in step.head.before))
    if step.training:
        finish(step.head, "head")
        for layer, block in reversed(list(enumerate(blocks))):
            run(block, f"L{layer}", backward=True)
    return tasks.build()


def overlapped_graph(step: Step, *, prefetch: int = 1, order: str | Order | None = None) -> TaskGraph:
    """Return the task graph of a step that overlaps whatever may overlap.

    Parameters
    ----------
    prefetch, order
        See `Policy`.
    """
    return _Overlap(step, prefetch, order).graph()


class _Overlap:
    """Writes the tasks of a step block by block; remembers what the next block waits for."""

    def __init__(self, step: Step, prefetch: int, order: str | Order | None) -> None:
        self.step, self.prefetch = step, prefetch
        self.order = None if order is None else resolve(order, ORDERS, "order")
        buffers = {
            node.name: node.sram
            for node in step.package.nodes
            if isinstance(node, Chiplet) and node.sram is not None
        }
        self.tasks = TaskGraphBuilder(buffers=buffers)
        self.buffers = buffers
        self.ready: list[tuple[int, ...]] = [()] * step.micro_batches  # what micro-batch b waits for
        self.released: dict[str, list[int]] = {}  # by chiplet: when it was done with each block
        self.loaded: dict[str, tuple[int, ...]] = {}  # by chiplet: its latest load
        self.queue: dict[str, tuple[int, ...]] = {}  # by port: its latest load, where the order is given

    def graph(self) -> TaskGraph:
        step = self.step
        blocks = [step.blocks[i] for i in step.layers]
        for layer, block in enumerate(blocks):
            self.forward(block, f"L{layer}")
        self.head(step.head)
        if step.training:
            for layer, block in reversed(list(enumerate(blocks))):
                self.backward(block, f"L{layer}")
        return self.tasks.build()

    def forward(self, block: Block, name: str) -> None:
        have = self.load(block, name)
        done: dict[int, list[int]] = {}
        for b in range(self.step.micro_batches):
            label = f"{name} m{b}"
            cached = self.move(block.cache_read, (), "load", f"cache {label}")
            attended = self.compute(block.before, b, 1.0, [*self.ready[b], *cached], have, done, label)
            self.move(block.cache_written, attended, "store", f"cache {label}")
            self.ready[b] = self.join([*self.middle(block, b, 1.0, attended, have, done, label)], label)
        self.release(block, done, name)

    def backward(self, block: Block, name: str) -> None:
        name = f"{name}'"
        have = self.load(block, name, backward=True)
        done: dict[int, list[int]] = {}
        for b in range(self.step.micro_batches):
            label = f"{name} m{b}"
            middle = self.join(self.middle(block, b, 2.0, self.ready[b], have, done, label), label)
            self.ready[b] = tuple(self.compute(block.before, b, 2.0, middle, have, done, label))
        self.update(block, done, name)

    def head(self, block: Block) -> None:
        have = self.load(block, "head")
        done: dict[int, list[int]] = {}
        factor = 3.0 if self.step.training else 1.0
        for b in range(self.step.micro_batches):
            self.ready[b] = tuple(
                self.compute(block.before, b, factor, self.ready[b], have, done, f"head m{b}")
            )
        if self.step.training:
            self.update(block, done, "head")
        else:
            self.release(block, done, "head")

    def middle(
        self,
        block: Block,
        b: int,
        factor: float,
        after: Sequence[int],
        have: Mapping[int, tuple[int, ...]],
        done: dict[int, list[int]],
        label: str,
    ) -> list[int]:
        """Add dispatch, experts and combine of a micro-batch, and what runs beside them."""
        ends = self.compute(block.beside, b, factor, after, have, done, label)
        if not block.experts:
            return list(ends) or list(after)
        add = self.tasks.add
        arrived = self.send(
            block.dispatch[b], dict.fromkeys(block.dispatch[b].uses, after), "dispatch", label
        )
        finished: dict[str, list[int]] = {}
        waits = {name: [arrived[r] for r in who if r in arrived] for name, who in self.step.waits.items()}
        for part in block.experts:
            before = [*(waits[part.chiplet] or after), *have[id(part)]]
            time = factor * float(part.forward[b])
            task = add(time, part.chiplet, before, kind="expert", label=f"expert {label}")
            done.setdefault(id(part), []).append(task)
            finished.setdefault(part.chiplet, []).append(task)
        sources: dict[str, list[int]] = {resource: [] for resource in block.combine[b].uses}
        silent: list[int] = []
        for name, ids in finished.items():
            leads = self.step.feeds[name]
            for resource in leads & sources.keys():
                sources[resource] += ids
            if not leads:
                silent += ids
        back = self.send(block.combine[b], sources, "combine", label)
        return [*ends, *back.values(), *silent]

    def send(
        self, sent: Transfer, after: Mapping[str, Sequence[int]], kind: str, label: str
    ) -> dict[str, int]:
        """Add a transfer: one task for each resource of the network, each after its own predecessors."""
        text = f"{kind} {label}"
        add = self.tasks.add
        return {r: add(time, r, after[r], kind=kind, label=text) for r, time in sent.uses.items()}

    def compute(
        self,
        parts: Sequence[Slice],
        b: int,
        factor: float,
        after: Sequence[int],
        have: Mapping[int, tuple[int, ...]],
        done: dict[int, list[int]],
        label: str,
    ) -> Sequence[int]:
        """Add the work of some hosts' slices on a micro-batch; return what follows waits for."""
        ids = []
        for part in parts:
            time = factor * float(part.forward[b])
            text = f"{part.kind} {label}"
            task = self.tasks.add(time, part.chiplet, [*after, *have[id(part)]], kind=part.kind, label=text)
            done.setdefault(id(part), []).append(task)
            ids.append(task)
        return ids or after

    def load(self, block: Block, name: str, backward: bool = False) -> dict[int, tuple[int, ...]]:
        """Add the loads of a block's weights as needed; return what each slice's work waits for."""
        have = {}
        experts: Sequence[Slice] = block.experts if self.order is None else self.order(block.experts)
        needed = (*block.beside, *experts)
        for part in (*needed, *block.before) if backward else (*block.before, *needed):
            released = self.released.get(part.chiplet, [])
            index = len(released) - 1 - self.prefetch
            gate = (released[index],) if index >= 0 else ()
            after = (*gate, *self.loaded.get(part.chiplet, ()))
            have[id(part)] = self.loaded[part.chiplet] = self.load_slice(part, after, name)
        return have

    def load_slice(self, part: Slice, gate: Sequence[int], name: str) -> tuple[int, ...]:
        """Add the load of a slice once its chiplet has room, behind earlier ones where an order is given."""
        ids: list[int] = []
        text = f"load {part.kind} {name}"
        buffer = part.chiplet if part.chiplet in self.buffers else None
        queued = self.order is not None and part.kind == "expert"
        for resource, time in part.load.items():
            after = (*gate, *self.queue.get(resource, ())) if queued else gate
            hold = part.size if buffer else 0.0
            task = self.tasks.add(time, resource, after, kind="load", label=text, buffer=buffer, hold=hold)
            buffer = None  # the first of the tasks takes the room for all
            ids.append(task)
            if queued:
                self.queue[resource] = (task,)
        if buffer:  # resident weights: no memory stack to load them from
            ids = [self.tasks.add(0.0, None, gate, kind="join", label=text, buffer=buffer, hold=part.size)]
        return tuple(ids)

    def move(self, uses: Mapping[str, float], after: Sequence[int], kind: str, label: str) -> tuple[int, ...]:
        """Add a movement between memory and chiplet: ports and channels, all at the same time."""
        add = self.tasks.add
        return tuple(add(time, name, after, kind=kind, label=label) for name, time in uses.items())

    def update(self, block: Block, done: dict[int, list[int]], name: str) -> None:
        """Add update and write-back of a block's weights."""
        stored: dict[int, list[int]] = {}
        computed: dict[tuple[str, int], list[int]] = {}
        for part in block.slices:
            computed.setdefault((part.kind, part.index), []).extend(done[id(part)])
        exchanged: dict[tuple[str, int], list[int]] = {}
        for part in block.slices:
            key = (part.kind, part.index)
            if part.kind in block.exchange and key not in exchanged:
                sent = block.exchange[part.kind]
                gate = self.join(computed[key], f"{part.kind} {name}")
                ids = self.send(sent, dict.fromkeys(sent.uses, gate), "exchange", f"{part.kind} {name}")
                exchanged[key] = list(ids.values())
        for part in block.slices:
            after = [*done[id(part)], *exchanged.get((part.kind, part.index), ())]
            text = f"{part.kind} {name}"
            new = (self.tasks.add(part.update, part.chiplet, after, kind="update", label=f"update {text}"),)
            stored[id(part)] = list(self.move(part.store, new, "store", f"store {text}") or new)
        self.release(block, stored, name)

    def release(self, block: Block, done: Mapping[int, list[int]], name: str) -> None:
        """Add what gives the slices' SRAM back, and note when each chiplet is done with the block."""
        by_chiplet: dict[str, list[int]] = {}
        for part in block.slices:
            buffer = part.chiplet if part.chiplet in self.buffers else None
            text = f"release {part.kind} {name}"
            task = self.tasks.add(
                0.0,
                None,
                done[id(part)],
                kind="join",
                label=text,
                buffer=buffer,
                hold=-part.size if buffer else 0.0,
            )
            by_chiplet.setdefault(part.chiplet, []).append(task)
        for chiplet, ids in by_chiplet.items():
            self.released.setdefault(chiplet, []).append(self.join(ids, name)[0])

    def join(self, ids: Sequence[int], label: str) -> tuple[int, ...]:
        """Return one task that ends when all of some have ended."""
        if len(ids) <= 1:
            return tuple(ids)
        return (self.tasks.add(0.0, None, ids, kind="join", label=f"end {label}"),)


def exchange_of(block: Block, part: Slice) -> list[Transfer]:
    """Return the exchange that a serial step does for a slice: once for all hosts."""
    first = next(other for other in block.slices if (other.kind, other.index) == (part.kind, part.index))
    return [block.exchange[part.kind]] if first is part and part.kind in block.exchange else []


def _sum(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + float(value)
    return total
