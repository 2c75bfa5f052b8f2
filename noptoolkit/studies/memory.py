"""What the points of one process share: workloads, layouts, traces, messages, congestion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

from noptoolkit.allocation import Allocation
from noptoolkit.stages import LayoutKey

__all__ = ["Bounded", "Memory", "layout_digest", "memory_of"]

MOST_STAGES = 128
"""Stages kept; the oldest are forgotten, so that a long study does not fill the memory."""


class Bounded(MutableMapping[tuple[Any, ...], Any]):
    """Mapping of a bounded size that forgets what was put in first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: dict[tuple[Any, ...], Any] = {}

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        return self._held[key]

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        self._held[key] = value
        while len(self._held) > self.most:
            del self._held[next(iter(self._held))]

    def __delitem__(self, key: tuple[Any, ...]) -> None:
        del self._held[key]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


class _Layouts(MutableMapping[LayoutKey, Allocation]):
    """Layouts by the digest of what they depend on, so that they can be stored and sent."""

    def __init__(self) -> None:
        self.held: dict[str, Allocation] = {}

    def __getitem__(self, key: LayoutKey) -> Allocation:
        return self.held[layout_digest(key)]

    def __setitem__(self, key: LayoutKey, value: Allocation) -> None:
        self.held[layout_digest(key)] = value

    def __delitem__(self, key: LayoutKey) -> None:
        del self.held[layout_digest(key)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and layout_digest(key) in self.held


@dataclass
class Memory:
    """What the points of one process share.

    Parameters
    ----------
    layouts
        Layouts by what they depend on, see `noptoolkit.stages.Run.layout_key`.
    shared
        Stages by what they depend on.
    """

    layouts: _Layouts = field(default_factory=_Layouts)
    shared: Bounded = field(default_factory=lambda: Bounded(MOST_STAGES))
    _once: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def once(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        """Return what is kept under a key, made when it is first asked for."""
        if key not in self._once:
            self._once[key] = make()
        return self._once[key]


def layout_digest(key: LayoutKey) -> str:
    """Return the sha256 of what a layout depends on."""
    return sha256(repr(key).encode()).hexdigest()


@lru_cache(maxsize=2)
def memory_of(study: str) -> Memory:
    """Return the memory of a worker process for one sweep, named by a token of its own."""
    return Memory()
