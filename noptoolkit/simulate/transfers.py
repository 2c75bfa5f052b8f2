"""Lists of transfers with times and dependencies: what a schedule or a step gives the simulator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from noptoolkit._arrays import Ints
from noptoolkit._names import did_you_mean
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.traffic import DestinationSets, Traffic
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["Transfer", "Transfers"]

After = Sequence["int | tuple[int, str]"]


@dataclass(frozen=True)
class Transfer:
    """One transfer of a list.

    Parameters
    ----------
    kind : str
        ``send``, ``multicast`` or ``reduce``.
    root : int
        Number of the endpoint that sends (send, multicast) or collects (reduce).
    members : tuple of int
        Numbers of the others.
    bytes : float
        Size, in B.
    at, delay : float
        Earliest start, and time between the last thing waited for and the start, in s.
    after : tuple
        For each member, what its part waits for: pairs of a transfer and an endpoint's number, -1 for all of
        it.
    """

    kind: str
    root: int
    members: tuple[int, ...]
    bytes: float
    at: float
    delay: float
    after: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(eq=False)
class Transfers:
    """A list of transfers, built up one by one; each is known by the number that its method returns.

    Parameters
    ----------
    endpoints : sequence of str
        Names of the nodes that take part.
    name : str
        What tables and pictures call it.

    Examples
    --------
    A dispatch to two experts, whose results come back, added on the way, 1 us after each has its copy:

    >>> steps = Transfers(("attn", "e0", "e1"))
    >>> there = steps.multicast("attn", ["e0", "e1"], "4 kB")
    >>> back = steps.reduce("attn", ["e0", "e1"], "4 kB", delay="1 us",
    ...                     after={"e0": [(there, "e0")], "e1": [(there, "e1")]})
    >>> len(steps), steps.items[back].kind
    (2, 'reduce')
    """

    endpoints: Sequence[str]
    name: str = "transfers"
    items: list[Transfer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoints = tuple(self.endpoints)
        self._index = {name: n for n, name in enumerate(self.endpoints)}

    def __len__(self) -> int:
        return len(self.items)

    def send(
        self,
        source: str,
        destination: str,
        size: Quantity,
        *,
        at: Quantity = 0.0,
        delay: Quantity = 0.0,
        after: After = (),
    ) -> int:
        """Add a transfer from one endpoint to another; return its number.

        Parameters
        ----------
        size : str or float
            In B.
        at, delay : str or float
            Earliest start, and time between the last thing waited for and the start, in s.
        after : sequence
            Numbers of transfers that must have arrived; ``(number, name)`` is the copy of a multicast for
            one.
        """
        if source == destination:
            raise WorkloadError(
                f"{self._place()}: {source!r} sends to itself; leave it out, it is not traffic"
            )
        return self._add("send", source, [destination], size, at, delay, {destination: after})

    def multicast(
        self,
        root: str,
        members: Sequence[str],
        size: Quantity,
        *,
        at: Quantity = 0.0,
        delay: Quantity = 0.0,
        after: After = (),
    ) -> int:
        """Add a message from one endpoint to several, copied where nodes replicate; return its number."""
        return self._add("multicast", root, members, size, at, delay, dict.fromkeys(members, after))

    def reduce(
        self,
        root: str,
        members: Sequence[str],
        size: Quantity,
        *,
        at: Quantity = 0.0,
        delay: Quantity = 0.0,
        after: Mapping[str, After] | After = (),
    ) -> int:
        """Add partial results from several endpoints to one, added where nodes reduce; return its number.

        Parameters
        ----------
        after : sequence or mapping
            What every part waits for, or what that of each member does.
        """
        waits = after if isinstance(after, Mapping) else dict.fromkeys(members, after)
        return self._add("reduce", root, members, size, at, delay, waits)

    def traffic(self) -> Traffic:
        """Return all transfers together as a traffic, whose routes are found and bounds computed."""
        count = len(self.endpoints)
        demand = np.zeros((count, count))
        parts: dict[str, list[tuple[int, int, float]]] = {"multicast": [], "reduce": []}
        for item in self.items:
            if item.kind == "send":
                demand[item.root, item.members[0]] += item.bytes
            else:
                mask = sum(1 << n for n in item.members)
                parts[item.kind].append((item.root, mask, item.bytes))
        words = -(-count // 64)
        sets: list[DestinationSets | None] = []
        for rows in parts.values():
            if not rows:
                sets.append(None)
                continue
            flat = b"".join(mask.to_bytes(8 * words, "little") for _, mask, _ in rows)
            members = np.frombuffer(flat, dtype="<u8").astype(np.uint64).reshape(len(rows), words)
            roots: Ints = np.array([root for root, _, _ in rows], np.int64)
            sets.append(DestinationSets(roots, members, np.array([size for _, _, size in rows])))
        return Traffic(tuple(self.endpoints), demand, sets[0], sets[1], name=self.name)

    def _add(
        self,
        kind: str,
        root: str,
        members: Sequence[str],
        size: Quantity,
        at: Quantity,
        delay: Quantity,
        after: Mapping[str, After],
    ) -> int:
        numbers = [self._number(name) for name in members]
        first = self._number(root)
        if not numbers or len(set(numbers)) < len(numbers) or first in numbers:
            raise WorkloadError(
                f"{self._place()}: {kind} between {root!r} and {list(members)!r}: name one endpoint or "
                "more, each "
                "once, and not the root"
            )
        amount = parse_quantity(size, "B", "size")
        start, wait = parse_quantity(at, "s", "at"), parse_quantity(delay, "s", "delay")
        if not (amount > 0 and math.isfinite(amount)) or not (0 <= start < 1e3 and 0 <= wait < 1e3):
            raise WorkloadError(
                f"{self._place()}: {amount:g} B at {start:g} s, delay {wait:g} s: sizes are above 0, times "
                "are not "
                "negative and below 1000 s"
            )
        waits = []
        for name in members:
            given = []
            for what in after.get(name, ()):
                number, who = what if isinstance(what, tuple) else (what, None)
                if not isinstance(number, int) or not 0 <= number < len(self.items):
                    raise WorkloadError(f"{self._place()}: no transfer {number!r} yet; wait for earlier ones")
                whose = -1 if who is None else self._number(who)
                if whose >= 0 and whose not in self.items[number].members:
                    raise WorkloadError(f"{self._place()}: transfer {number} has no copy for {who!r}")
                given.append((number, whose))
            waits.append(tuple(given))
        self.items.append(Transfer(kind, first, tuple(numbers), amount, start, wait, tuple(waits)))
        return len(self.items) - 1

    def _number(self, name: str) -> int:
        if name not in self._index:
            raise UnknownNameError(
                f"{self._place()}: no endpoint {name!r}; {did_you_mean(name, self._index)}"
            )
        return self._index[name]

    def _place(self) -> str:
        return f"transfers {self.name!r}"
