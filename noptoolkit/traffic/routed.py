"""Dispatch and combine of one MoE layer, as a trace and an allocation make them.

Token t at source s goes to the chiplets D_t of its top-k experts. How many messages leave the source depends
on what the hardware can do, in three degrees:

* ``copies``: one per expert, k per token, even where two experts share a chiplet;
* ``chiplets``: one per distinct chiplet, |D_t| per token, C_T on average;
* ``in-network``: one per token, a multicast to D_t that nodes with ``replicates`` copy on the way.

Combine is dispatch backwards: results return to the source, and in the third degree nodes with ``reduces``
add partial results on the way. A message to the source's own chiplet is local and no traffic.

Tokens live on the attention chiplets if the package has any, else are spread evenly over the expert
chiplets: with n sources, each sends 1/n of the bytes of every token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noptoolkit._arrays import Bits, Floats, Ints
from noptoolkit._names import did_you_mean
from noptoolkit.allocation import Allocation
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.package import Package, expect_package
from noptoolkit.trace import RoutingTrace
from noptoolkit.traffic.demand import DestinationSets, Traffic
from noptoolkit.units import Quantity, parse_quantity

__all__ = ["DEGREES", "Degree", "combine", "dispatch", "returned"]

Degree = Literal["copies", "chiplets", "in-network"]
DEGREES: tuple[Degree, ...] = get_args(Degree)

MANY = 20_000  # tokens from which compiled loops pay for loading numba


def dispatch(
    package: Package,
    trace: RoutingTrace,
    allocation: Allocation,
    *,
    token_bytes: Quantity,
    degree: Degree = "chiplets",
    layer: int | None = None,
    source: str | Sequence[str] | None = None,
    tokens: float | None = None,
) -> Traffic:
    """Return the traffic that takes the tokens of one layer to their experts.

    Parameters
    ----------
    package
        Package whose chiplets hold the experts.
    trace
        Routing of the tokens; ``trace.tokens(slice)`` gives the traffic of a micro-batch.
    allocation
        Layout of the experts.
    token_bytes
        Size of one token, in B: hidden width times bytes per value.
    degree
        ``copies``, ``chiplets`` or ``in-network``.
    layer
        Index of one layer; ``None`` is the mean over the trace's layers.
    source
        Name or names of the chiplets where the tokens live; ``None`` is the attention chiplets, or all expert
        chiplets where there are none.
    tokens
        Tokens that the traffic stands for; ``None`` is those of the trace.

    Raises
    ------
    WorkloadError
        If allocation, trace and package do not fit each other.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, Switch
    >>> nodes = [Switch("hub"), Chiplet("root", role="attention"),
    ...          *(Chiplet(n, role="expert") for n in ("e0", "e1"))]
    >>> star = Package("star", nodes, [Link("hub", n.name, "1 GB/s") for n in nodes[1:]])
    >>> trace = RoutingTrace([[0, 1], [0, 2]], num_experts=4)
    >>> layout = Allocation(star.experts, [0, 0, 1, 1])
    >>> for degree in ("copies", "chiplets", "in-network"):
    ...     print(dispatch(star, trace, layout, token_bytes="1 kB", degree=degree))
    Traffic('dispatch (copies)': 3 endpoints, 4 kB in 2 demands, unstated)
    Traffic('dispatch (chiplets)': 3 endpoints, 3 kB in 2 demands, unstated)
    Traffic('dispatch (in-network)': 3 endpoints, 2 kB in 2 multicasts, unstated)
    """
    served, scale = _served(package, trace, allocation, token_bytes, degree, layer, tokens)
    sources = _sources(package, source)
    said: dict[str, Any] = {"name": f"dispatch ({degree})", "origin": trace.origin, "wiring": package.wiring}
    empty = np.zeros((len(package.terminals), len(package.terminals)))
    empty.flags.writeable = False
    if degree == "in-network":
        sets = _sets(package, served, sources, scale)
        return Traffic(package.terminals, empty, multicast=sets, **said)
    demand = _demand(package, served, sources, scale, distinct=degree == "chiplets")
    return Traffic(package.terminals, demand, **said)


def combine(
    package: Package,
    trace: RoutingTrace,
    allocation: Allocation,
    *,
    token_bytes: Quantity,
    degree: Degree = "chiplets",
    layer: int | None = None,
    source: str | Sequence[str] | None = None,
    tokens: float | None = None,
) -> Traffic:
    """Return the traffic that brings the experts' results back: `dispatch` backwards.

    Parameters and errors are those of `dispatch`; the degree ``in-network`` gives reductions.
    """
    there = dispatch(
        package,
        trace,
        allocation,
        token_bytes=token_bytes,
        degree=degree,
        layer=layer,
        source=source,
        tokens=tokens,
    )
    return returned(there)


def returned(dispatched: Traffic) -> Traffic:
    """Return the combine of a dispatch: as many bytes the other way, multicasts as reductions."""
    return Traffic(
        dispatched.endpoints,
        np.ascontiguousarray(dispatched.demand.T),
        reduction=dispatched.multicast,
        name=f"combine{dispatched.name.removeprefix('dispatch')}",
        origin=dispatched.origin,
        wiring=dispatched.wiring,
    )


def _served(
    package: Package,
    trace: RoutingTrace,
    allocation: Allocation,
    token_bytes: Quantity,
    degree: Degree,
    layer: int | None,
    tokens: float | None,
) -> tuple[NDArray[np.integer[Any]], float]:
    """Return the terminal that serves each choice, [tokens, k], and the bytes that each row stands for."""
    if degree not in DEGREES:
        raise UnknownNameError(f"no degree {degree!r}; {did_you_mean(degree, DEGREES)}")
    expect_package(package)
    allocation.check_fits(package)
    size = parse_quantity(token_bytes, "B", "token_bytes")
    if size <= 0:
        raise WorkloadError(f"token_bytes {size:g} B must be above 0")
    if layer is not None:
        trace, allocation = trace.layer(layer), allocation.layer(layer)
    terminal = np.array([package.terminals.index(name) for name in package.experts])
    small = terminal.astype(np.min_scalar_type(len(package.terminals)))
    served = small[allocation.chiplets(trace)].reshape(-1, trace.top_k)
    stands_for = trace.num_tokens if tokens is None else tokens
    if not isinstance(stands_for, (int, float)) or not 0 < stands_for < math.inf:
        raise WorkloadError(f"tokens={tokens!r}: give how many the traffic stands for, a number above 0")
    return served, size * stands_for / len(served)


def _sources(package: Package, source: str | Sequence[str] | None) -> Ints:
    if source is None:
        names: Sequence[str] = package.with_role("attention") or package.experts
    else:
        names = [source] if isinstance(source, str) else list(source)
        if not names or len(set(names)) < len(names):
            raise WorkloadError(f"source={source!r}: name one chiplet or more, each once")
    for name in names:
        if name not in package.terminals:
            hint = did_you_mean(name, package.terminals)
            raise UnknownNameError(f"package {package.name!r}: no chiplet named {name!r}; {hint}")
    return np.array([package.terminals.index(name) for name in names], dtype=np.int64)


def _demand(
    package: Package,
    served: NDArray[np.integer[Any]],
    sources: Ints,
    scale: float,
    distinct: bool,
) -> Floats:
    count = len(package.terminals)
    received = np.zeros(count)
    columns = np.ascontiguousarray(served.T)
    for j, column in enumerate(columns):
        if distinct:
            for earlier in columns[:j]:  # a chiplet counts where the token names it first
                column = np.where(earlier == column, count, column)
        received += np.bincount(column, minlength=count + 1)[:count]
    demand = np.zeros((count, count))
    demand[sources] = received * (scale / len(sources))
    np.fill_diagonal(demand, 0.0)
    demand.flags.writeable = False
    return demand


def _sets(package: Package, served: NDArray[np.integer[Any]], sources: Ints, scale: float) -> DestinationSets:
    """Return one message for each source and distinct set of terminals, the source left out."""
    members = _joined(served, -(-len(package.terminals) // 64))
    members, counts = _merged(members, np.ones(len(members)))
    roots, sets, sizes = [], [], []
    for source in sources:
        word, bit = divmod(int(source), 64)
        inside = np.uint64(1) << np.uint64(bit)
        distinct, tokens = members, counts
        if (members[:, word] & inside).any():
            others = members.copy()
            others[:, word] &= ~inside
            remote = others.any(axis=1)
            distinct, tokens = _merged(others[remote], counts[remote])
        sets.append(distinct)
        sizes.append(tokens * (scale / len(sources)))
        roots.append(np.full(len(distinct), source, dtype=np.int64))
    return DestinationSets(np.concatenate(roots), np.concatenate(sets), np.concatenate(sizes))


def _joined(served: NDArray[np.integer[Any]], words: int) -> Bits:
    """Return the set of terminals in each row, [tokens, words]."""
    members = np.zeros((len(served), words), dtype=np.uint64)
    if len(served) >= MANY:
        from noptoolkit.traffic.compiled_sets import join_bits

        join_bits(served, members)
        return members
    for column in served.T.astype(np.int64):
        members[np.arange(len(column)), column // 64] |= np.uint64(1) << (column % 64).astype(np.uint64)
    return members


def _merged(members: Bits, counts: Floats) -> tuple[Bits, Floats]:
    """Return the distinct rows, [sets, words], and the sum of the counts of each, [sets]."""
    if len(members) >= MANY:
        from noptoolkit.traffic.compiled_sets import merge_rows

        slots = np.zeros(1 << (2 * len(members) - 1).bit_length(), np.uint64)
        found, sums = np.empty_like(members), np.empty_like(counts)
        many = merge_rows(members, counts, slots, found, sums)
        return found[:many], sums[:many]
    distinct, which = np.unique(members, axis=0, return_inverse=True)
    total = np.bincount(which.ravel(), weights=counts, minlength=len(distinct))
    return distinct, total.astype(np.float64)
