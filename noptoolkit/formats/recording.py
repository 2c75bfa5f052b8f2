"""What a trace file says, before the caller fills in what it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noptoolkit._seeds import generator_from
from noptoolkit._shown import shown
from noptoolkit.errors import FormatError, NopError, WorkloadError
from noptoolkit.limits import array_of
from noptoolkit.synthetic import draw_from_loads
from noptoolkit.trace import MOST_EXPERTS, Origin, RoutingTrace

__all__ = ["FIELDS", "Recording", "build_trace", "whole_number"]


@dataclass(frozen=True, eq=False)
class Recording:
    """Ids of a file's tokens, or the loads of its experts, and what the file says about them.

    Parameters
    ----------
    topk
        Ids, [layers, tokens, k] or [tokens, k].
    loads
        Activations of each expert, [experts], [layers, experts] or [domains, layers, experts].
    num_experts, top_k
        Of the model.
    weights, domain, domains, document, layers, origin, source
        As in `noptoolkit.RoutingTrace`.
    sparse
        Whether experts beyond the last of ``loads`` may exist, unused.
    """

    topk: ArrayLike | None = None
    loads: NDArray[Any] | None = None
    num_experts: int | None = None
    top_k: int | None = None
    weights: ArrayLike | None = None
    domain: ArrayLike | None = None
    domains: Sequence[str] = ()
    document: ArrayLike | None = None
    layers: ArrayLike | None = None
    origin: Origin = "unstated"
    source: str = ""
    sparse: bool = False

    @classmethod
    def of(cls, said: Mapping[str, Any], place: str) -> Recording:
        """Return the recording of a file's named values, arrays or plain ones.

        Raises
        ------
        FormatError
            If a value is not of the kind that its name asks for.
        """
        given = {key: value for key, value in said.items() if value is not None}
        for key in ("num_experts", "top_k"):
            if key in given:
                given[key] = whole_number(given[key], key, place)
        for key in ("origin", "source"):
            if key in given:
                given[key] = _text(given[key], key, place)
        for key in ("topk", "loads", "weights", "domain", "domains", "document", "layers"):
            if key in given:
                given[key] = array_of(given[key], place, key)
        for key in ("domains", "layers"):
            if key in given:
                given[key] = np.atleast_1d(given[key]).tolist()
        return cls(**given)


FIELDS = tuple(field.name for field in fields(Recording) if field.name != "sparse")
"""The names of what a file may say."""


def build_trace(
    recording: Recording,
    place: str,
    *,
    num_experts: int | None,
    top_k: int | None,
    tokens: int,
    rng: int | np.random.Generator | None,
) -> RoutingTrace:
    """Return the trace of a recording; tokens are drawn where it holds loads alone.

    Raises
    ------
    WorkloadError
        If the file and the caller contradict each other.
    FormatError
        If neither says how many experts there are, or what the file says is not a trace.
    """
    experts = _agreed(recording.num_experts, num_experts, "num_experts", place)
    k = _agreed(recording.top_k, top_k, "top_k", place)
    try:
        if recording.loads is not None:
            return _drawn(recording, place, experts, k, tokens, rng)
        if experts is None:
            raise WorkloadError("it does not say how many experts the model has; give num_experts=")
        if recording.topk is None:
            raise WorkloadError("it holds no ids")
        trace = RoutingTrace(
            recording.topk,
            experts,
            recording.origin,
            recording.source or place,
            weights=recording.weights,
            domain=recording.domain,
            domains=recording.domains,
            document=recording.document,
            layers=recording.layers,
        )
    except NopError as error:
        raise FormatError(f"{place}: {error}") from error
    _agreed(trace.top_k, k, "top_k", place)
    return trace


def _drawn(
    recording: Recording,
    place: str,
    experts: int | None,
    top_k: int | None,
    tokens: int,
    rng: int | np.random.Generator | None,
) -> RoutingTrace:
    loads = np.asarray(recording.loads)
    if not (np.issubdtype(loads.dtype, np.number) and 1 <= loads.ndim <= 3 and loads.size):
        raise WorkloadError(
            f"loads is an array of {loads.dtype} and shape {loads.shape}; "
            "give numbers as [experts], [layers, experts] or [domains, layers, experts]"
        )
    if top_k is None:
        raise WorkloadError("it holds loads and does not say how many experts a token uses; give top_k=")
    if recording.sparse and experts is not None and experts > loads.shape[-1]:
        loads = np.pad(loads, [(0, 0)] * (loads.ndim - 1) + [(0, experts - loads.shape[-1])])
    if experts not in (None, loads.shape[-1]):
        raise WorkloadError(f"it has the loads of {loads.shape[-1]} experts, not of {experts}")
    by_domain = loads.reshape(-1, *np.atleast_2d(loads).shape[-2:])
    if len(recording.domains) not in (0, len(by_domain)):
        raise WorkloadError(
            f"it names {len(recording.domains)} domains, and has the loads of {len(by_domain)}"
        )
    generator = generator_from(rng)
    shares = [len(part) for part in np.array_split(np.empty(tokens), len(by_domain))]
    drawn = [
        draw_from_loads(one, top_k, tokens=share, seed=generator).topk
        for one, share in zip(by_domain, shares, strict=True)
    ]
    return RoutingTrace(
        np.concatenate(drawn, axis=1),
        loads.shape[-1],
        "loads",
        recording.source or place,
        domain=np.repeat(np.arange(len(shares)), shares) if recording.domains else None,
        domains=recording.domains,
        layers=recording.layers,
    )


def _agreed(said: int | None, asked: int | None, what: str, place: str) -> int | None:
    if said is not None and asked is not None and said != asked:
        raise WorkloadError(f"{place}: {what} is {said} in the file, {asked} was asked for; is it its trace?")
    return asked if said is None else said


def whole_number(value: Any, what: str, place: str) -> int:
    """Return a count that a file says, such as the number of experts.

    Raises
    ------
    FormatError
        If it is no whole number, or out of range.
    """
    number = array_of(value, place, what)
    if number.size != 1 or not np.issubdtype(number.dtype, np.integer):
        raise FormatError(f"{place}: {what} {shown(value)} is not a whole number")
    if not 0 < number.item() <= MOST_EXPERTS:
        raise FormatError(f"{place}: {what} {shown(number.item())} is not between 1 and {MOST_EXPERTS}")
    return int(number.item())


def _text(value: Any, what: str, place: str) -> str:
    one = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    if not isinstance(one, str):
        raise FormatError(f"{place}: {what} is {shown(one)}, not text")
    return one
