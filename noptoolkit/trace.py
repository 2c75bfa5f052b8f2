"""The routing trace (experts of every token) and the statistics that layouts are made from.

A trace is an array of expert ids, [layers, tokens, k]. From it come (Mozart, arXiv 2603.07006) the
workload vector V (share of activations per expert), the co-activation matrix C (tokens that use both
experts) and its normalised form P. Tokens may carry a domain and the document that they stand in: a layout
is fitted on some tokens and judged on others (`RoutingTrace.split`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noptoolkit._arrays import Floats, Ints
from noptoolkit._digests import digest
from noptoolkit._names import did_you_mean
from noptoolkit._seeds import generator_from
from noptoolkit._shown import shown
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.hypergraph import Hypergraph, merge_sets

__all__ = ["MOST_EXPERTS", "ORIGINS", "Origin", "RoutingTrace", "expect_trace"]

MOST_EXPERTS = 65_536
"""Limit on the number of experts: statistics hold experts x experts, and more is a damaged file."""

Origin = Literal["recorded", "loads", "synthetic", "unstated"]
ORIGINS: dict[Origin, str] = {
    "recorded": "recorded routing",
    "loads": "routing drawn from recorded loads",
    "synthetic": "synthetic routing",
    "unstated": "routing of unstated origin",
}
"""What tables and pictures say of a trace, by its origin."""


@dataclass(frozen=True, eq=False, repr=False, init=False)
class RoutingTrace:
    """The top-k expert ids of every token in every MoE layer.

    Parameters
    ----------
    topk
        Expert ids, [layers, tokens, k] or [tokens, k]; distinct within a token.
    num_experts
        Routed experts of the model.
    origin
        ``recorded`` from a model, drawn from recorded ``loads`` alone (co-activation is then not known),
        ``synthetic``, or ``unstated`` if nobody says; shown wherever results of it appear.
    source
        Origin of the trace in words.
    weights
        Router weight of each id, of the shape of ``topk``, or ``None``.
    domain, domains
        Index of each token's domain, [tokens], and the domains' names; ``None`` and empty where not known.
    document
        Number of the document that each token stands in, [tokens], or ``None``.
    layers
        The layers' numbers in the model; counted from 0 where ``None``.

    Raises
    ------
    WorkloadError
        If it is empty, ragged or not of whole numbers, an id is out of range, a token repeats an expert,
        or the labels do not fit the tokens.

    Examples
    --------
    >>> trace = RoutingTrace([[0, 1], [1, 2], [1, 3]], num_experts=4)
    >>> trace
    RoutingTrace(1 layer, 3 tokens, top-2 of 4 experts, unstated)
    >>> trace.load()
    array([1, 3, 1, 1])
    """

    topk: NDArray[np.integer[Any]]
    num_experts: int
    origin: Origin
    source: str
    weights: NDArray[np.float32] | None
    domain: NDArray[np.integer[Any]] | None
    domains: tuple[str, ...]
    document: NDArray[np.integer[Any]] | None
    layers: tuple[int, ...]

    def __init__(
        self,
        topk: ArrayLike,
        num_experts: int,
        origin: Origin = "unstated",
        source: str = "",
        *,
        weights: ArrayLike | None = None,
        domain: ArrayLike | None = None,
        domains: Sequence[str] = (),
        document: ArrayLike | None = None,
        layers: ArrayLike | None = None,
    ) -> None:
        if origin not in ORIGINS:
            raise UnknownNameError(f"no origin {origin!r}; {did_you_mean(origin, ORIGINS)}")
        ids = _checked_ids(topk, num_experts)
        names = tuple(str(name) for name in domains)
        numbers = np.arange(len(ids)) if layers is None else np.asarray(layers)
        if numbers.shape != ids.shape[:1] or not np.issubdtype(numbers.dtype, np.integer):
            raise WorkloadError(f"layers is {layers!r}; give the number of each of the {len(ids)} layers")
        if (domain is None) != (not names):
            raise WorkloadError(
                "give both domain (one index per token) and domains (their names), or neither"
            )
        fields = {
            "topk": ids,
            "num_experts": int(num_experts),
            "origin": origin,
            "source": source,
            "weights": None if weights is None else _checked_weights(weights, ids.shape),
            "domain": None if domain is None else _checked_labels(domain, "domain", ids.shape[1], len(names)),
            "domains": names,
            "document": None if document is None else _checked_labels(document, "document", ids.shape[1]),
            "layers": tuple(numbers.tolist()),
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    def __repr__(self) -> str:
        layers = f"{self.num_layers} layer" + ("s" if self.num_layers != 1 else "")
        shape = f"{layers}, {self.num_tokens} tokens, top-{self.top_k} of {self.num_experts} experts"
        domains = f", {len(self.domains)} domains" if self.domains else ""
        return f"RoutingTrace({shape}{domains}, {self.origin})"

    @property
    def num_layers(self) -> int:
        """MoE layers recorded."""
        return int(self.topk.shape[0])

    @property
    def num_tokens(self) -> int:
        """Tokens recorded."""
        return int(self.topk.shape[1])

    @property
    def top_k(self) -> int:
        """Experts per token."""
        return int(self.topk.shape[2])

    def layer(self, index: int) -> RoutingTrace:
        """Return one layer as a trace."""
        if not -self.num_layers <= index < self.num_layers:
            raise WorkloadError(f"no layer {index}: the trace has layers 0 to {self.num_layers - 1}")
        return self._part([index], slice(None))

    def tokens(self, chosen: Any) -> RoutingTrace:
        """Return a trace of some tokens only: a slice, indices or a mask."""
        return self._part(slice(None), chosen)

    def in_domain(self, name: str) -> RoutingTrace:
        """Return a trace of one domain's tokens.

        Raises
        ------
        UnknownNameError
            If the trace has no domain of that name.
        """
        if self.domain is None or name not in self.domains:
            raise UnknownNameError(f"no domain named {name!r}; {did_you_mean(name, self.domains)}")
        return self.tokens(self.domain == self.domains.index(name))

    def load(self) -> Ints:
        """Return the number of activations of each expert, [experts]: the workload vector, unnormalised."""
        counts = np.bincount(self.topk.ravel(), minlength=self.num_experts)
        return counts.astype(np.int64)

    def digest(self) -> str:
        """Return the sha256 of the ids and of the tokens' domains and documents; see `noptoolkit._digests`.

        The ids' dtype, ``origin``, ``source``, router weights and the names of domains and layers do not
        count.
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        content = {"ids": self.topk, "experts": self.num_experts}
        for label in ("domain", "document"):
            if getattr(self, label) is not None:
                content[label] = getattr(self, label)
        return digest("trace", content)

    def hypergraph(self) -> Hypergraph:
        """Return the distinct top-k sets of all layers with their counts; worked out once."""
        return self._hypergraph

    def coactivation(self, *, normalised: bool = False) -> Floats:
        """Return how many tokens use both experts, summed over layers: C, or P where normalised.

        Parameters
        ----------
        normalised
            Whether to divide by the number of tokens (times layers), which makes an entry the probability
            that a token uses both. The paper does not define the normalisation of its P; this is our reading.

        Returns
        -------
        numpy.ndarray
            [experts, experts], symmetric, diagonal 0.

        Examples
        --------
        >>> RoutingTrace([[0, 1], [1, 0], [1, 2], [1, 2]], num_experts=3).coactivation(normalised=True)
        array([[0. , 0.5, 0. ],
               [0.5, 0. , 0.5],
               [0. , 0.5, 0. ]])
        """
        together = self._hypergraph.coactivation()
        return together / (self.num_layers * self.num_tokens) if normalised else together

    def split(
        self,
        *,
        rng: int | np.random.Generator | None = None,
        by: Literal["token", "document", "domain"] = "token",
        held_out: float = 0.5,
    ) -> list[tuple[RoutingTrace, RoutingTrace]]:
        """Return pairs of a trace to fit a layout on and a trace to judge it on.

        Parameters
        ----------
        rng
            Seed or generator that draws the held-out tokens.
        by
            Unit of the split. ``token`` and ``document`` give one pair: a share of the tokens, or of the
            documents with all their tokens, is held out. ``domain`` gives one pair per domain: fitted on that
            domain alone, judged on all others.
        held_out
            Share of the tokens or documents that is held out, between 0 and 1.

        Raises
        ------
        WorkloadError
            If a side would be empty, or the trace lacks the labels.

        Examples
        --------
        >>> trace = RoutingTrace([[0, 1], [1, 2], [0, 2], [1, 2]], 3, document=[0, 0, 1, 1])
        >>> [(fit, held)] = trace.split(rng=0, by="document")
        >>> fit.num_tokens, held.num_tokens
        (2, 2)
        """
        if by == "domain":
            return self._split_by_domain()
        if by not in ("token", "document"):
            raise UnknownNameError(
                f"cannot split by {by!r}; {did_you_mean(by, ('token', 'document', 'domain'))}"
            )
        unit = self.document if by == "document" else np.arange(self.num_tokens)
        if unit is None:
            raise WorkloadError("the trace has no document labels; split by='token' or record document ids")
        names = np.unique(unit)
        if not isinstance(held_out, (int, float)) or not 0 <= held_out <= 1:
            raise WorkloadError(f"held_out={held_out!r}: give a share from 0 to 1")
        count = round(held_out * len(names))
        if not 0 < count < len(names):
            raise WorkloadError(
                f"holding out {held_out:g} of {len(names)} {by}s leaves one side empty; "
                "give a share between 0 and 1 and at least two of them"
            )
        away = generator_from(rng).permutation(names)[:count]
        held = np.isin(unit, away)
        return [(self.tokens(~held), self.tokens(held))]

    def _split_by_domain(self) -> list[tuple[RoutingTrace, RoutingTrace]]:
        if self.domain is None:
            raise WorkloadError("the trace has no domain labels; split by='token' or record domains")
        present = np.unique(self.domain)
        if len(present) < 2:
            raise WorkloadError(
                f"the trace has one domain only, {self.domains[present[0]]!r}; split by='token'"
            )
        return [(self.tokens(self.domain == i), self.tokens(self.domain != i)) for i in present]

    @cached_property
    def _hypergraph(self) -> Hypergraph:
        return merge_sets(self.topk, self.num_experts)

    def _part(self, layers: Any, tokens: Any) -> RoutingTrace:
        return RoutingTrace(
            self.topk[layers][:, tokens],
            self.num_experts,
            self.origin,
            self.source,
            weights=None if self.weights is None else self.weights[layers][:, tokens],
            domain=None if self.domain is None else self.domain[tokens],
            domains=self.domains,
            document=None if self.document is None else self.document[tokens],
            layers=np.array(self.layers)[layers].tolist(),
        )


def expect_trace(thing: object) -> None:
    """Raise WorkloadError if a thing is not a routing trace: the name of a workload, mostly."""
    if not isinstance(thing, RoutingTrace):
        what = "load_workload(name).trace is a workload's, load_trace(path) reads a file"
        raise WorkloadError(f"{thing!r} is not a RoutingTrace; {what}")


def _checked_ids(topk: ArrayLike, num_experts: int) -> NDArray[np.integer[Any]]:
    try:
        given = np.asarray(topk)
    except ValueError as error:
        raise WorkloadError("the trace is ragged: every token needs the same number of ids") from error
    if given.dtype == object:
        raise WorkloadError("the trace is ragged: every token needs the same number of expert ids")
    if given.ndim == 2:
        given = given[None]
    if given.ndim != 3 or given.size == 0:
        raise WorkloadError(
            f"the trace has shape {given.shape}; give ids as [layers, tokens, k] or [tokens, k]"
        )
    if not np.issubdtype(given.dtype, np.integer):
        raise WorkloadError(f"the trace holds {given.dtype}; expert ids are whole numbers")
    if not isinstance(num_experts, (int, np.integer)) or not 0 < num_experts <= MOST_EXPERTS:
        raise WorkloadError(f"num_experts={shown(num_experts)}: give a whole number from 1 to {MOST_EXPERTS}")
    k = given.shape[2]
    if k > num_experts:
        raise WorkloadError(f"{k} experts per token, but only {num_experts} experts")
    low, high = int(given.min()), int(given.max())
    if low < 0 or high >= num_experts:
        wrong = low if low < 0 else high
        raise WorkloadError(f"expert id {wrong} is out of range 0 to {num_experts - 1}")
    ordered = np.sort(given, axis=2)
    repeated = (ordered[:, :, 1:] == ordered[:, :, :-1]).any(axis=2)
    if repeated.any():
        layer, token = (int(i) for i in np.argwhere(repeated)[0])
        raise WorkloadError(
            f"layer {layer}, token {token} uses an expert twice: {given[layer, token].tolist()}"
        )
    ids = np.array(given, dtype=np.min_scalar_type(num_experts - 1))
    ids.flags.writeable = False
    return ids


def _checked_weights(weights: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    given = np.array(weights)
    if not np.issubdtype(given.dtype, np.number):
        raise WorkloadError(f"weights holds {given.dtype}; router weights are numbers")
    with np.errstate(over="ignore"):  # what is not finite is refused below
        given = given.astype(np.float32)
    if given.shape == shape[1:]:
        given = given[None]
    if given.shape != shape:
        raise WorkloadError(f"weights has shape {given.shape}, the ids {shape}; give one weight per id")
    if not np.isfinite(given).all():
        raise WorkloadError("weights holds NaN or infinite values; router weights are finite")
    given.flags.writeable = False
    return given


def _checked_labels(
    labels: ArrayLike, what: str, tokens: int, names: int | None = None
) -> NDArray[np.integer[Any]]:
    given = np.array(labels)
    if given.shape != (tokens,) or not np.issubdtype(given.dtype, np.integer):
        raise WorkloadError(
            f"{what} has shape {given.shape} of {given.dtype}; "
            f"give one whole number for each of the {tokens} tokens"
        )
    if given.min() < 0 or (names is not None and given.max() >= names):
        wrong = int(given.min() if given.min() < 0 else given.max())
        raise WorkloadError(
            f"{what} {wrong} is out of range" + (f": there are {names} names" if names else "")
        )
    given.flags.writeable = False
    return given
