"""The family of allocators: one line each."""

from __future__ import annotations

from noptoolkit.allocation.communities import place_by_communities, place_spectrally
from noptoolkit.allocation.merging import place_agglomerated, place_matched
from noptoolkit.allocation.mozart import place_mozart
from noptoolkit.allocation.partitioners import place_by_metis, place_by_mtkahypar
from noptoolkit.allocation.plain import (
    place_by_load,
    place_contiguous,
    place_randomly,
    place_round_robin,
)
from noptoolkit.allocation.portfolio import (
    place_automatically,
    place_by_annealing,
    place_by_descent,
    place_by_tabu,
)
from noptoolkit.allocation.problem import Allocator

__all__ = ["ALLOCATORS"]

ALLOCATORS: dict[str, Allocator] = {
    "auto": place_automatically,
    "contiguous": place_contiguous,
    "random": place_randomly,
    "round-robin": place_round_robin,
    "longest-first": place_by_load,
    "mozart": place_mozart,
    "agglomerative": place_agglomerated,
    "matching": place_matched,
    "spectral": place_spectrally,
    "leiden": place_by_communities,
    "descent": place_by_descent,
    "tabu": place_by_tabu,
    "annealing": place_by_annealing,
    "metis": place_by_metis,
    "mt-kahypar": place_by_mtkahypar,
}
