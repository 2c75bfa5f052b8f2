"""Workloads: a mixture-of-experts model, a batch of tokens and the routing of its tokens to experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from noptoolkit._digests import digest, fields_of
from noptoolkit._numbers import is_whole
from noptoolkit._shown import shown
from noptoolkit.errors import WorkloadError, raise_collected
from noptoolkit.moe_model import LatentAttention, MoEModel
from noptoolkit.synthetic import SyntheticRouting
from noptoolkit.trace import Origin, RoutingTrace

__all__ = ["Batch", "LatentAttention", "MoEModel", "Workload"]

Mode = Literal["training", "prefill", "decode"]
MODES: tuple[Mode, ...] = ("training", "prefill", "decode")


@dataclass(frozen=True)
class Batch:
    """The tokens of one step.

    Parameters
    ----------
    sequences, sequence_length
        Of the whole step; for ``decode``, the length is that of the context and each sequence
        contributes one token.
    micro_batches
        Number of equal parts that the sequences are cut into.
    mode
        ``training`` (forward, backward, optimiser update), ``prefill`` or ``decode``.
    bytes_per_value
        Size of a parameter, an activation and a gradient, in B (2 for FP16).
    tokens_per_sequence
        Tokens of each sequence that a step of ``decode`` computes: 1, and those that are only proposed
        (speculative decoding, multi-token prediction).
    prompt_tokens
        Tokens of prompts that a step of ``decode`` computes beside (chunked prefill).
    cached
        Tokens of a prompt whose keys and values are there already: of each sequence in ``prefill``, of the
        prompt that ``prompt_tokens`` belong to in ``decode``.
    """

    sequences: int = 32
    sequence_length: int = 256
    micro_batches: int = 4
    mode: Mode = "training"
    bytes_per_value: int = 2
    tokens_per_sequence: int = 1
    prompt_tokens: int = 0
    cached: int = 0

    def __post_init__(self) -> None:
        faults = [
            f"{name} {getattr(self, name)} must be a whole number above 0"
            for name in (
                *("sequences", "sequence_length", "micro_batches", "bytes_per_value"),
                "tokens_per_sequence",
            )
            if not is_whole(getattr(self, name)) or getattr(self, name) <= 0
        ]
        faults += [
            f"{name} {getattr(self, name)} must be a whole number, 0 or more"
            for name in ("prompt_tokens", "cached")
            if not is_whole(getattr(self, name)) or getattr(self, name) < 0
        ]
        if not faults and self.mode != "decode" and (self.tokens_per_sequence > 1 or self.prompt_tokens):
            faults.append(f"tokens_per_sequence and prompt_tokens go with mode 'decode', not {self.mode!r}")
        if (
            not faults
            and self.cached
            and (self.mode == "training" or (self.mode == "decode" and not self.prompt_tokens))
        ):
            faults.append("cached goes with mode 'prefill', or with prompt_tokens in mode 'decode'")
        if not faults and self.sequences % self.micro_batches:
            faults.append(
                f"{self.sequences} sequences do not divide into {self.micro_batches} micro-batches; "
                "give a micro_batches that divides them"
            )
        if self.mode not in MODES:
            faults.append(f"no mode {self.mode!r}; known: {', '.join(MODES)}")
        raise_collected(WorkloadError, "batch", faults)

    @property
    def tokens(self) -> int:
        """Tokens that one step computes."""
        if self.mode != "decode":
            return self.sequences * self.sequence_length
        return self.sequences * self.tokens_per_sequence + self.prompt_tokens

    @property
    def longest(self) -> int:
        """The last position of any of its tokens."""
        if self.mode == "decode":
            return max(self.sequence_length, self.cached + self.prompt_tokens)
        return self.cached + self.sequence_length


@dataclass(frozen=True, eq=False)
class Workload:
    """A model, a batch and the routing of its tokens.

    Parameters
    ----------
    name
        Name in tables.
    model, batch
        Shape of one step.
    routing
        Trace, or the parameters of the synthetic generator (drawn once, when first asked for).
    source
        Origin of its numbers.
    assumed
        Assumptions that no source supports.
    """

    name: str
    model: MoEModel
    batch: Batch = field(default_factory=Batch)
    routing: RoutingTrace | SyntheticRouting | None = None
    source: str = ""
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = [
            f"{name} = {shown(getattr(self, name))}: give a {kind.__name__}"
            for name, kind in (("model", MoEModel), ("batch", Batch))
            if not isinstance(getattr(self, name), kind)
        ]
        routing = self.routing
        if not isinstance(routing, RoutingTrace | SyntheticRouting | None):
            faults.append(f"routing = {shown(routing)}: give a RoutingTrace or a SyntheticRouting")
        raise_collected(WorkloadError, f"workload {self.name!r}", faults)
        if routing is not None:
            if routing.num_experts != self.model.experts:
                faults.append(
                    f"the routing is over {routing.num_experts} experts, "
                    f"the model has {self.model.experts}; give it a trace of its own"
                )
            if routing.top_k != self.model.top_k:
                faults.append(
                    f"the routing has {routing.top_k} experts per token, "
                    f"the model uses {self.model.top_k}; give it a trace of its own"
                )
        batch, most = self.batch, self.model.context
        if batch.mode != "training" and most is not None and batch.longest > most:
            faults.append(
                f"a {batch.mode} of {batch.longest} positions is beyond the {most} that {self.model.name!r} "
                "knows; give a shorter sequence_length, or the model another context"
            )
        raise_collected(WorkloadError, f"workload {self.name!r}", faults)

    def check_routed(self) -> None:
        """Raise WorkloadError if the workload has no routing."""
        if self.routing is None:
            raise WorkloadError(
                f"workload {self.name!r} has no routing: give it a trace file, loads or a generator"
            )

    @property
    def origin(self) -> Origin:
        """Origin of the routing, see `RoutingTrace`; ``unstated`` without routing."""
        if self.routing is None:
            return "unstated"
        return self.routing.origin if isinstance(self.routing, RoutingTrace) else "synthetic"

    def digest(self) -> str:
        """Return the sha256 of what results depend on: shape of the model, batch and routing.

        Names, ``source``, ``assumed``, known positions and published totals do not count. A generator counts
        by its parameters, a trace by its ids; see `noptoolkit._digests`.

        Examples
        --------
        >>> from noptoolkit import load_workload
        >>> load_workload("olmoe-1b-7b").digest()[:12]
        '7483f76f3f6c'
        """
        routing = self.routing.digest() if isinstance(self.routing, RoutingTrace) else self.routing
        model = fields_of(self.model, without=("name", "context", "published_parameters"))
        return digest("workload", {"model": model, "batch": self.batch, "routing": routing})

    def with_batch(self, batch: int | Mapping[str, Any] | Batch | None) -> Workload:
        """Return a workload with another batch: a number of sequences, some other fields, or a whole `Batch`.

        Examples
        --------
        >>> import noptoolkit as nop
        >>> workload = nop.load_workload("qwen3-30b-a3b")
        >>> workload.with_batch(64).batch.sequences, workload.with_batch({"mode": "decode"}).batch.mode
        (64, 'decode')
        """
        if batch is None:
            return self
        if isinstance(batch, Batch):
            return self.replace(batch=batch)
        if isinstance(batch, Mapping):
            return self.replace(**{f"batch.{key}": value for key, value in batch.items()})
        if isinstance(batch, int) and not isinstance(batch, bool):
            return self.replace(sequences=batch)
        raise WorkloadError(
            f"batch={batch!r}: give a number of sequences, fields such as {{'sequences': 64}}, or a Batch"
        )

    def replace(self, **changes: Any) -> Workload:
        """Return a workload with some fields replaced, its own or those of its parts.

        Parameters
        ----------
        changes
            Fields by name: ``sequences=64``, ``mode="decode"``, ``top_k=4``, ``affinity=2.0``. A name that
            occurs twice is the model's; ``**{"routing.layers": 8}`` reaches the generator's. A generator
            follows the model's experts; a trace has to fit.

        Raises
        ------
        UnknownNameError
            If there is no such field.
        WorkloadError
            If a value is not of the field's type, or the parts do not fit each other.

        Examples
        --------
        >>> import noptoolkit as nop
        >>> workload = nop.load_workload("qwen3-30b-a3b").replace(sequences=64, mode="decode")
        >>> workload.batch.sequences, workload.batch.mode, workload.batch.tokens
        (64, 'decode', 64)
        """
        from noptoolkit.workload_edits import replace_fields

        return replace_fields(self, changes)

    @cached_property
    def trace(self) -> RoutingTrace:
        """The routing of its tokens; ``trace.origin`` says whether it is recorded or synthetic.

        Raises
        ------
        WorkloadError
            If the workload has no routing.
        """
        self.check_routed()
        assert self.routing is not None
        if isinstance(self.routing, SyntheticRouting):
            from noptoolkit.synthetic import draw_trace

            return draw_trace(self.routing)
        return self.routing
