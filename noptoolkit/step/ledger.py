"""What lies where during a step: bytes by kind on every memory stack and in every chiplet's SRAM.

The model. *Stacks* hold the weights of their chiplets, each copy of an expert included, the embedding (an
equal part on each host), the optimiser's state, keys and values in prefill and decode, and in training the
activations that SRAM has no room for. *SRAM* holds two slices of weights, one in use while the next loads,
and activations in what is left.

Training keeps the activations of all layers from forward to backward. With hidden width d, h heads and g
key-value heads of width w, experts of width f, and k experts per token, that is, in values,

* on the hosts, per token and layer: d + (2 h + 2 g) w (the layer's input, queries, keys, values, and the
  result of attention) and d (the input of router and experts); with MLA the latents and the expanded queries,
  keys and values; in dense layers and shared experts 3 F more;
* on the chiplets of experts, per activation: d + 3 f (its input, gate, up, and their product);
* with recomputation, d and d per token on the hosts and d per activation: everything else is computed again.

Norms, softmax statistics and the logits, which are used at once, are left out, and so are gradients: an
update follows as soon as a gradient is whole. Moving activations between SRAM and stacks takes no time
(assumed).

Source of the counts: the inputs of all linear maps and of attention, as backward needs them (compare
Korthikanti et al., MLSys 2023).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from noptoolkit.errors import NopWarning
from noptoolkit.package import Chiplet, Memory, Package
from noptoolkit.tables import Column, Table
from noptoolkit.units import format_quantity
from noptoolkit.workload import MoEModel

__all__ = ["KINDS", "Holding", "Ledger", "activation_values"]

HALF_A_BYTE = 0.5
"""More than the error of sums of shares: what is a byte too large is told."""

KINDS = ("weights", "optimiser", "activations", "cache")


@dataclass(frozen=True)
class Holding:
    """Bytes of one kind in one place.

    Parameters
    ----------
    place : str
        Name of a memory stack, or of a chiplet: its SRAM.
    kind : str
        ``weights``, ``optimiser``, ``activations`` or ``cache``.
    size : float
        Bytes.
    """

    place: str
    kind: str
    size: float


@dataclass(frozen=True)
class Ledger:
    """What lies where during a step.

    Parameters
    ----------
    package : Package
        Package of the places.
    holdings : tuple of Holding
        Bytes by place and kind, each pair once.
    """

    package: Package
    holdings: tuple[Holding, ...]

    def of(self, place: str) -> dict[str, float]:
        """Return the bytes in one place by kind, in B."""
        return {held.kind: held.size for held in self.holdings if held.place == place}

    def used(self, place: str) -> float:
        """Return the bytes in one place, in B."""
        return sum(self.of(place).values())

    def total(self, kind: str) -> float:
        """Return the bytes of one kind in all places, in B."""
        return sum(held.size for held in self.holdings if held.kind == kind)

    def capacity(self, place: str) -> float | None:
        """Return the capacity of a stack or of a chiplet's SRAM, in B; ``None`` where it is not given."""
        node = self.package[place]
        if isinstance(node, Memory):
            return node.capacity
        return node.sram if isinstance(node, Chiplet) else None

    @property
    def overfull(self) -> tuple[str, ...]:
        """Places that hold more than their capacity, the fullest first."""
        share = {}
        for place in dict.fromkeys(held.place for held in self.holdings):
            capacity = self.capacity(place)
            if capacity is not None and self.used(place) > capacity + HALF_A_BYTE:
                share[place] = self.used(place) / max(capacity, 1e-300)
        return tuple(sorted(share, key=lambda place: -share[place]))

    def table(self) -> Table:
        """Return a row for each place: bytes by kind, in all, and the capacity."""
        places = list(dict.fromkeys(held.place for held in self.holdings))
        kinds = [kind for kind in KINDS if self.total(kind) > 0]
        columns = [Column("place"), *(Column(kind, unit="B") for kind in (*kinds, "in_all", "capacity"))]
        rows = []
        for place in places:
            held = self.of(place)
            rows.append(
                [place, *(held.get(kind, 0.0) for kind in kinds), self.used(place), self.capacity(place)]
            )
        return Table(columns, rows, title="What lies where")

    def warn(self, way_out: str, stacklevel: int) -> None:
        """Warn, once, of what fits nowhere, with the numbers and the way out."""
        if not (over := self.overfull):
            return
        worst = over[0]
        stacks = len(self.package.memories)
        parts = ", ".join(f"{kind} {format_quantity(size, 'B')}" for kind, size in self.of(worst).items())
        only = (
            "the weights need" if set(self.of(worst)) == {"weights"} else "weights and what a step keeps need"
        )
        warnings.warn(
            f"package {self.package.name!r}: {only} more memory than there is in {len(over)} of {stacks} "
            f"stacks, most in {worst!r}: {format_quantity(self.used(worst), 'B')} of "
            f"{format_quantity(self.capacity(worst) or 0.0, 'B')} ({parts}); times are as if they fitted; "
            f"{way_out}",
            NopWarning,
            stacklevel=stacklevel + 1,
        )


def activation_values(model: MoEModel, *, recompute: bool = False) -> Mapping[str, float]:
    """Return the values that training keeps of one layer, per token or activation.

    Returns
    -------
    mapping
        ``attention``, ``shared`` and ``dense`` per token, on the hosts; ``expert`` per activation.

    Examples
    --------
    >>> tiny = MoEModel("tiny", hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, vocab=16,
    ...                 expert_width=4, experts=4, top_k=2)
    >>> activation_values(tiny)["attention"], activation_values(tiny)["expert"]
    (40.0, 20.0)
    >>> activation_values(tiny, recompute=True)["expert"]
    8.0
    """
    d = model.hidden
    if recompute:
        return {"attention": 2.0 * d, "shared": 0.0, "dense": 0.0, "expert": float(d)}
    if (mla := model.latent_attention) is None:
        inner = (2 * model.heads + 2 * model.kv_heads) * model.head_dim
    else:
        expanded = mla.nope_dim + mla.rope_dim + mla.nope_dim + mla.value_dim + mla.value_dim
        inner = mla.query_rank + mla.kv_rank + mla.rope_dim + model.heads * expanded
    return {
        "attention": float(2 * d + inner),
        "shared": 3.0 * model.shared_experts * (model.shared_width or model.expert_width),
        "dense": 3.0 * model.dense_width,
        "expert": float(d + 3 * model.expert_width),
    }
