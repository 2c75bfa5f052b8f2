"""The family of allocators: one line each."""

from __future__ import annotations

from noptoolkit.allocation.mozart import place_mozart
from noptoolkit.allocation.plain import (
    place_by_load,
    place_contiguous,
    place_randomly,
    place_round_robin,
)
from noptoolkit.allocation.problem import Allocator

__all__ = ["ALLOCATORS"]

ALLOCATORS: dict[str, Allocator] = {
    "contiguous": place_contiguous,
    "random": place_randomly,
    "round-robin": place_round_robin,
    "longest-first": place_by_load,
    "mozart": place_mozart,
}
