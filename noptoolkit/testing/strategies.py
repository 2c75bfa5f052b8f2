"""Strategies for hypothesis (``noptoolkit[testing]``): sound packages, traffics, workloads and plans.

>>> from hypothesis import given
>>> from noptoolkit import congestion
>>> from noptoolkit.testing.strategies import packages_with_traffic
>>> @given(packages_with_traffic())
... def test_a_flow_is_no_faster_than_its_bound(drawn):
...     package, traffic = drawn
...     flow = congestion(package, traffic, routing="ecmp")
...     assert flow.time >= flow.time_bound
"""

from __future__ import annotations

import numpy as np

from noptoolkit.package import Chiplet, Link, Memory, Package, Switch
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.synthetic import SyntheticRouting
from noptoolkit.traffic import Traffic, from_matrix
from noptoolkit.workload import Batch, MoEModel, Workload

try:
    from hypothesis import strategies as st
except ImportError:  # the extra is named where something of it is asked for
    raise ImportError(
        "noptoolkit.testing.strategies needs hypothesis; pip install 'noptoolkit[testing]'"
    ) from None

__all__ = ["bandwidths", "names", "packages", "packages_with_traffic", "plans", "traffics", "workloads"]


def names(most: int = 12) -> st.SearchStrategy[str]:
    """Return names that a node may have: any text but '->' and numbers behind '#'."""
    letters = st.characters(exclude_characters="#>", codec="utf-8")
    return st.text(letters, min_size=1, max_size=most)


def bandwidths(low: float = 1e8, high: float = 1e12) -> st.SearchStrategy[float]:
    """Return bandwidths in B/s."""
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


@st.composite
def packages(
    draw: st.DrawFn,
    *,
    most: int = 8,
    low: float = 1e8,
    high: float = 1e12,
    switches: bool = True,
    memory: bool = False,
    odd_names: bool = False,
) -> Package:
    """Return connected packages of 2 to ``most`` nodes, with limits on ports here and there.

    Parameters
    ----------
    low, high
        Range of bandwidths, in B/s.
    switches, memory
        Whether there may be switches, and a memory stack.
    odd_names
        Whether names are any text; ``n0``, ``n1``, ... otherwise.
    """
    width = bandwidths(low, high)
    limit = st.none() | width
    count = draw(st.integers(2, most))
    if odd_names:
        called = draw(st.lists(names(), min_size=count, max_size=count, unique=True))
    else:
        called = [f"n{i}" for i in range(count)]
    nodes: list[Chiplet | Switch | Memory] = []
    for i, name in enumerate(called):
        copies, sums = draw(st.booleans()), draw(st.booleans())
        if i > 1 and switches and draw(st.booleans()):
            nodes.append(Switch(name, crossbar_bandwidth=draw(limit), replicates=copies, reduces=sums))
            continue
        nodes.append(
            Chiplet(
                name,
                "expert",
                injection_bandwidth=draw(limit),
                ejection_bandwidth=draw(limit),
                replicates=copies,
                reduces=sums,
            )
        )
    links = [Link(called[i], called[draw(st.integers(0, i - 1))], draw(width)) for i in range(1, count)]
    for _ in range(draw(st.integers(0, count))):
        a, b = draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))
        if a != b:
            links.append(Link(called[a], called[b], draw(width), half_duplex=draw(st.booleans())))
    if memory and draw(st.booleans()):
        nodes.append(Memory("stack", draw(width)))
        links.append(Link("stack", called[0], draw(width), kind="memory"))  # type: ignore[arg-type]
    return Package("drawn", nodes, links)


@st.composite
def traffics(draw: st.DrawFn, package: Package, *, most_bytes: float = 1e9) -> Traffic:
    """Return bytes between some of the chiplets of a package, perhaps none."""
    count = len(package.terminals)
    size = st.just(0.0) | st.floats(0.0, most_bytes, allow_subnormal=False)
    rows = draw(st.lists(st.lists(size, min_size=count, max_size=count), min_size=count, max_size=count))
    matrix = np.array(rows)
    np.fill_diagonal(matrix, 0.0)
    return from_matrix(package, matrix, endpoints=package.terminals)


@st.composite
def packages_with_traffic(draw: st.DrawFn, *, most: int = 8) -> tuple[Package, Traffic]:
    """Return a package and traffic on it."""
    package = draw(packages(most=most))
    return package, draw(traffics(package))


@st.composite
def workloads(draw: st.DrawFn, *, experts: int = 16) -> Workload:
    """Return small workloads with synthetic routing."""
    count = draw(st.sampled_from([n for n in (2, 4, 8, 16, 32, 64) if n <= experts]))
    top_k, layers = draw(st.integers(1, min(count, 4))), draw(st.integers(1, 3))
    heads = draw(st.sampled_from([1, 2, 4]))
    model = MoEModel(
        name="drawn",
        hidden=16 * draw(st.integers(1, 8)),
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_dim=16,
        vocab=100,
        expert_width=16 * draw(st.integers(1, 8)),
        experts=count,
        top_k=top_k,
    )
    batches = draw(st.sampled_from([1, 2, 4]))
    batch = Batch(
        sequences=batches * draw(st.integers(1, 4)),
        sequence_length=draw(st.integers(1, 64)),
        micro_batches=batches,
    )
    routing = SyntheticRouting(
        num_experts=count, top_k=top_k, tokens=draw(st.integers(8, 64)), layers=layers, topics=2
    )
    return Workload(name="drawn", model=model, batch=batch, routing=routing, source="drawn by hypothesis")


@st.composite
def plans(draw: st.DrawFn, *, ranks: int = 16) -> ParallelPlan:
    """Return plans whose degrees divide powers of two, for up to so many ranks."""
    degrees, left = [], ranks
    for _ in range(3):
        degree = draw(st.sampled_from([n for n in (1, 2, 4, 8, 16, 32) if n <= left]))
        degrees.append(degree)
        left //= degree
    tp, ep, pp = degrees
    return ParallelPlan(tp=tp, ep=ep, pp=pp)
