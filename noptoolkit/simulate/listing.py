"""Transfers as lists of packets: sizes, order, messages of trees, and what waits for what."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from noptoolkit._arrays import Bools, Floats, Ints
from noptoolkit.errors import RoutingError, WorkloadError
from noptoolkit.simulate import columns as c
from noptoolkit.simulate.plan import Plan
from noptoolkit.simulate.planes import GOLDEN, in_proportion
from noptoolkit.simulate.transfers import Transfer, Transfers
from noptoolkit.traffic import Traffic

__all__ = ["Listing", "listing_of", "transfers_of"]

MOST_PACKETS = 20_000_000
MOST_SUMS = 200_000_000


@dataclass(frozen=True, eq=False)
class Listing:
    """Packets of a list, and the arrays that follow their messages.

    Parameters
    ----------
    packets
        One row for each, [packets, 16].
    transfer
        Transfer that each packet is of, [packets].
    messages, members
        One row for each message, and its members as bits, [messages, 8] and [messages, words].
    sums
        Places for partial sums.
    follow_first, follow
        Packets that wait for each event.
    event_left
        Packets that must arrive for each event, [events].
    expected
        Contributions to the sums of each message, [messages].
    window
        How far the messages of one root may be ahead of its first that is not done, 0 for no limit.
    by_order
        Messages, those of each root in order, [messages].
    """

    packets: Ints
    transfer: Ints
    messages: Ints
    members: Ints
    sums: int
    follow_first: Ints
    follow: Ints
    event_left: Ints
    expected: Ints
    window: int
    by_order: Ints


def transfers_of(traffic: Traffic) -> Transfers:
    """Return a traffic as transfers that all may start at once."""
    found = Transfers(traffic.endpoints, traffic.name or "traffic")
    source, to = np.nonzero(traffic.demand)
    for a, b in zip(source.tolist(), to.tolist(), strict=True):
        found.items.append(Transfer("send", a, (b,), float(traffic.demand[a, b]), 0.0, 0.0, ((),)))
    for kind, sets in (("multicast", traffic.multicast), ("reduce", traffic.reduction)):
        if sets is None:
            continue
        inside = sets.contains(len(traffic.endpoints))
        for root, row, size in zip(sets.root.tolist(), inside, sets.bytes.tolist(), strict=True):
            members = tuple(int(n) for n in np.flatnonzero(row) if n != root)
            if members and size > 0:
                found.items.append(Transfer(kind, root, members, size, 0.0, 0.0, ((),) * len(members)))
    return found


def listing_of(
    plan: Plan, transfers: Transfers, trees: dict[int, list[tuple[int, float]]], window: int | None
) -> Listing:
    """Return the packets of transfers.

    Parameters
    ----------
    trees
        Trees of each transfer that is a message, with the share that goes along each.
    window
        Messages of one root that may be on their way; where ``None``, what the tables of sums hold.

    Raises
    ------
    WorkloadError
        If there are too many packets.
    RoutingError
        If the window is larger than the tables of sums, which might then wait for each other for good.
    """
    made = _Maker(plan, transfers, trees)
    for number in made.in_order():
        made.add(number)
    return made.done(window)


class _Maker:
    """The arrays on their way, transfer by transfer."""

    def __init__(self, plan: Plan, transfers: Transfers, trees: dict[int, list[tuple[int, float]]]) -> None:
        self.plan, self.transfers, self.trees = plan, transfers, trees
        router = plan.ports.router
        flit, clock = plan.ports.flit_bytes, float(router.clock)
        self.flits = [max(1, math.ceil(item.bytes / flit - 1e-6)) for item in transfers.items]
        self.packets = [-(-flits // router.packet) for flits in self.flits]
        total = sum(n * max(1, len(x.members)) for n, x in zip(self.packets, transfers.items, strict=True))
        if total > MOST_PACKETS:
            raise WorkloadError(
                f"transfers {transfers.name!r}: {total} packets, {MOST_PACKETS} are the most; take a larger "
                "Router(flit=) or Router(packet=), or less traffic"
            )
        self.clock = clock
        self.rows: list[Ints] = []
        self.of: list[Ints] = []
        self.messages: list[Ints] = []
        self.masks: list[int] = []
        self.turns: list[Floats] = []
        self.event_of: dict[tuple[int, int], tuple[int, ...]] = {}
        self.event_left: list[int] = []
        self.waits: list[tuple[Ints, list[int]]] = []
        self.expected: list[int] = []
        self.made = self.made_messages = 0

    def in_order(self) -> range:
        """Return the numbers of the transfers: those that are waited for stand before."""
        return range(len(self.transfers.items))

    def add(self, number: int) -> None:
        """Add a transfer's packets."""
        item = self.transfers.items[number]
        if item.kind == "send" or number not in self.trees:
            self._add_sends(number, item)
        else:
            self._add_message(number, item)

    def _sizes(self, number: int) -> Ints:
        packet, count = self.plan.ports.router.packet, self.packets[number]
        sizes = np.full(count, packet)
        sizes[-1] = self.flits[number] - packet * (count - 1)
        return sizes

    def _block(self, number: int, item: Transfer, count: int) -> Ints:
        rows = np.zeros((count, 16), np.int64)
        rows[:, [c.L_MESSAGE, c.L_PATH, c.L_NEXT, c.L_BEFORE, c.L_DONE, c.L_SENT]] = -1
        rows[:, c.L_TIME] = math.ceil(item.at * self.clock - 1e-6)
        rows[:, c.L_DELAY] = math.ceil(item.delay * self.clock - 1e-6)
        return rows

    def _add_sends(self, number: int, item: Transfer) -> None:
        """Add packets from one endpoint to one, or to each of a message where no router copies or adds."""
        size, count = self._sizes(number), self.packets[number]
        many = len(item.members)
        backward = item.kind == "reduce"
        events = [len(self.event_left) + (0 if backward else k) for k in range(many)]
        self.event_left += [count * many] if backward else [count] * many
        self.event_of[number, -1] = tuple(sorted(set(events)))
        for k, member in enumerate(item.members):
            self.event_of[number, member] = (events[k],)
            rows = self._block(number, item, count)
            a, b = (member, item.root) if backward else (item.root, member)
            rows[:, c.L_SRC], rows[:, c.L_DEST], rows[:, c.L_SIZE] = a, b, size
            rows[:, c.L_KIND], rows[:, c.L_EVENT] = self.plan.kind, events[k]
            rows[:, c.L_GROUP] = 0
            if self.plan.kind == c.PATH:
                rows[:, c.L_PATH] = self._paths(number, a * len(self.transfers.endpoints) + b, count)
            self._append(number, rows, item.after[k])

    def _paths(self, number: int, pair: int, count: int) -> Ints:
        """Return where the path of each packet of a pair begins, the parallel channels in proportion."""
        plan = self.plan
        assert plan.paths is not None
        assert plan.path_share is not None
        assert plan.path_first is not None
        first, last = plan.path_first[pair : pair + 2].tolist()
        shares = plan.path_share[first:last].tolist()
        chosen: Ints = plan.paths[first + in_proportion(shares, count, number)]
        return chosen

    def _add_message(self, number: int, item: Transfer) -> None:
        """Add the packets of a message along its trees."""
        forest = self.plan.forest
        assert forest is not None
        size, count = self._sizes(number), self.packets[number]
        mask = sum(1 << n for n in item.members)
        backward = item.kind == "reduce"
        base = len(self.event_left)
        rank = {member: k for k, member in enumerate(sorted(item.members))}
        events = 1 if backward else len(item.members)
        self.event_of[number, -1] = tuple(range(base, base + events))
        for member in item.members:
            self.event_of[number, member] = (base,) if backward else (base + rank[member],)
        left = np.zeros(events, np.int64)
        trees = self.trees[number]
        tree_of = np.array([tree for tree, _ in trees])[in_proportion([x for _, x in trees], count, number)]
        for tree in np.unique(tree_of).tolist():
            mine = np.flatnonzero(tree_of == tree)
            first = int(forest.first[tree])
            roots = first + np.arange(int(forest.roots[tree]))
            roots = np.array([g for g in roots.tolist() if self._mask(g) & mask], np.int64)
            starts = forest.leaf[tree, list(item.members)] if backward else roots
            messages = np.zeros((len(mine), 8), np.int64)
            messages[:, c.M_ROOT], messages[:, c.M_EVENT] = item.root, base
            messages[:, c.M_LEFT] = len(roots) if backward else len(item.members)
            messages[:, c.M_GROUPS] = first
            ids = self.made_messages + np.arange(len(mine))
            self.made_messages += len(mine)
            self.messages.append(messages)
            self.masks += [mask] * len(mine)
            self.expected += [len(item.members) if backward else 0] * len(mine)
            left += len(mine) * (len(roots) if backward else 1)
            for k, start in enumerate(starts.tolist()):
                rows = self._block(number, item, len(mine))
                rows[:, c.L_SRC] = item.members[k] if backward else item.root
                rows[:, c.L_DEST] = item.root if backward else item.members[0]
                rows[:, c.L_SIZE], rows[:, c.L_MESSAGE], rows[:, c.L_GROUP] = size[mine], ids, start
                rows[:, c.L_KIND], rows[:, c.L_EVENT] = c.REDUCTION if backward else c.MULTICAST, base
                self._append(number, rows, item.after[k if backward else 0], mine)
        self.event_left += left.tolist()

    def _mask(self, group: int) -> int:
        assert self.plan.forest is not None
        return int.from_bytes(self.plan.forest.masks[group].astype("<i8").tobytes(), "little")

    def _append(
        self, number: int, rows: Ints, after: tuple[tuple[int, int], ...], turn: Ints | None = None
    ) -> None:
        events = [event for what in after for event in self.event_of[what]]
        rows[:, c.L_NEED] = len(set(events))
        if events:
            self.waits.append((self.made + np.arange(len(rows)), sorted(set(events))))
        self.rows.append(rows)
        self.of.append(np.full(len(rows), number))
        start = number * GOLDEN % 1.0
        self.turns.append(
            ((np.arange(len(rows)) if turn is None else turn) + start) / max(1, self.packets[number])
        )
        self.made += len(rows)

    def done(self, window: int | None) -> Listing:
        """Return the arrays, with the packets in the order in which sources take them."""
        rows = np.concatenate(self.rows) if self.rows else np.zeros((0, 16), np.int64)
        of = np.concatenate(self.of) if self.of else np.zeros(0, np.int64)
        order = _turns(of, self.turns, *_stages(self.transfers))
        rows[:, c.L_ORDER] = order
        messages = np.concatenate(self.messages) if self.messages else np.zeros((1, 8), np.int64)
        words = -(-len(self.transfers.endpoints) // 64)
        flat = b"".join(mask.to_bytes(8 * words, "little") for mask in self.masks)
        members = np.frombuffer(flat, dtype="<i8").astype(np.int64).reshape(-1, words)
        members = members if len(members) else np.zeros((1, words), np.int64)
        own = rows[:, c.L_MESSAGE] >= 0
        first = np.full(len(messages), np.iinfo(np.int64).max)
        np.minimum.at(first, rows[own, c.L_MESSAGE], order[own])
        rank = np.lexsort((first, messages[:, c.M_ROOT]))
        begin = np.r_[True, np.diff(messages[rank, c.M_ROOT]) > 0]
        place = np.arange(len(rank)) - np.maximum.accumulate(np.where(begin, np.arange(len(rank)), 0))
        messages[rank, c.M_ORDER] = place
        rows[own, c.L_ORDER] = first[rows[own, c.L_MESSAGE]]
        reduces = np.array(self.expected, np.int64) > 0
        limit = self._window(window, messages, reduces)
        sums = self._sums(messages, reduces, limit)
        none = [np.zeros(0, np.int64)]
        holds = np.concatenate([np.repeat(events, len(ids)) for ids, events in self.waits] or none)
        waiting = np.concatenate([np.tile(ids, len(events)) for ids, events in self.waits] or none)
        by_event = np.argsort(holds, kind="stable")
        follow_first = np.searchsorted(holds[by_event], np.arange(len(self.event_left) + 1))
        follow = waiting[by_event].astype(np.int64)
        return Listing(
            rows, of, messages, members, sums, follow_first.astype(np.int64),
            follow if len(follow) else np.zeros(1, np.int64), np.array(self.event_left or [0], np.int64),
            np.array(self.expected, np.int64), limit, rank,
        )  # fmt: skip

    def _window(self, window: int | None, messages: Ints, reduces: Bools) -> int:
        roots = len(np.unique(messages[: len(reduces)][reduces, c.M_ROOT])) if reduces.any() else 0
        table = self.plan.ports.router.sums
        if window is not None and (not isinstance(window, int) or isinstance(window, bool) or window < 0):
            raise WorkloadError(f"token_window={window!r}: give a whole number of messages, 0 for no limit")
        if roots == 0:
            return window or 0
        if window is None:
            if table < roots:
                raise RoutingError(
                    f"{roots} roots collect sums and a router holds {table}; give Router(sums={roots}) or "
                    "more"
                )
            return table // roots
        if window == 0 or window * roots > table:
            needed = f"{window} x {roots} roots" if window else "no limit"
            raise RoutingError(
                f"token_window={window} lets {needed} sums be open and a router holds {table}: they could "
                "wait for "
                f"each other for good; give token_window={max(1, table // roots)} or less, or Router(sums=) "
                "more"
            )
        return window

    def _sums(self, messages: Ints, reduces: Bools, window: int) -> int:
        """Give each reduction places for its sums, those of a root in turn; return how many there are."""
        forest = self.plan.forest
        if forest is None or not reduces.any():
            return 1
        size = int(np.diff(forest.first).max())
        roots, row = np.unique(messages[:, c.M_ROOT], return_inverse=True)
        messages[:, c.M_SUMS] = (row.ravel() * window + messages[:, c.M_ORDER] % window) * size
        places = len(roots) * window * size
        if places > MOST_SUMS:
            raise WorkloadError(
                f"{places} places for partial sums, {MOST_SUMS} are the most; take a smaller window"
            )
        return places


def _stages(transfers: Transfers) -> tuple[Floats, Ints]:
    """Return when each transfer can start, in s, if nothing takes time, and how many wait one for the other.

    In the order of both, no transfer stands before one that it waits for: so a window that goes by this order
    never keeps back what is waited for.
    """
    start, stage = np.zeros(len(transfers.items)), np.zeros(len(transfers.items), np.int64)
    for number, item in enumerate(transfers.items):
        before = [other for waits in item.after for other, _ in waits]
        start[number] = max([item.at, *(start[other] + item.delay for other in before)])
        stage[number] = max((stage[other] + 1 for other in before), default=0)
    return start, stage


def _turns(of: Ints, turns: list[Floats], start: Floats, stage: Ints) -> Ints:
    """Return the place of each packet: by start and stage, then evenly mixed over the transfers."""
    if not turns:
        return np.zeros(0, np.int64)
    keys = (of, np.concatenate(turns), stage[of], start[of])
    order: Ints = np.argsort(np.lexsort(keys), kind="stable")
    return order


def sources_for(sources: Any, listing: Listing, key: Any, terminals: int) -> Any:
    """Return sources that send a list."""
    rows = listing.packets.copy()
    start = np.flatnonzero(rows[:, c.L_NEED] == 0)
    order = start[np.lexsort((rows[start, c.L_ORDER], rows[start, c.L_TIME]))]
    return sources._replace(
        mode=c.LISTED, key=key, li=rows, order=order, heap=np.zeros(len(rows) + 1, np.int64),
        heap_time=np.zeros(len(rows) + 1, np.int64), follow_first=listing.follow_first, follow=listing.follow,
        event_left=listing.event_left.copy(), token_window=listing.window,
        done_of_root=np.zeros(terminals, np.int64), by_order=listing.by_order,
        order_first=np.searchsorted(listing.messages[listing.by_order, c.M_ROOT], np.arange(terminals + 1)),
    )  # fmt: skip
