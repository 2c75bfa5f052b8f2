"""Dispatch and combine against a per-token recount and the closed forms by C_T."""

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package, RoutingTrace, Switch, SyntheticRouting
from noptoolkit.allocation import Allocation, allocate
from noptoolkit.errors import NopError
from noptoolkit.synthetic import draw_trace
from noptoolkit.traffic import combine, dispatch

TRACE = draw_trace(SyntheticRouting(32, 4, 500, 3, seed=4))


def star(leaves: int, root: bool) -> Package:
    chiplets = [Chiplet(f"e{i}", role="expert") for i in range(leaves)]
    tops = [Chiplet("root", role="attention")] if root else []
    nodes = [
        *chiplets[:2],
        *tops,
        *chiplets[2:],
    ]  # the root between the experts: indices must not assume order
    return Package("star", [Switch("hub"), *nodes], [Link("hub", n.name, "1 GB/s") for n in nodes])


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("layer", [None, 1])
def test_all_degrees_equal_a_recount(root: bool, layer: int | None) -> None:
    package = star(16, root)
    layout = allocate(TRACE, package, method="random", rng=1)
    sources = ["root"] if root else list(package.experts)
    index = {name: i for i, name in enumerate(package.terminals)}
    copies = np.zeros((len(index), len(index)))
    distinct, messages = copies.copy(), {}
    layers = range(3) if layer is None else [layer]
    for i in layers:
        for token in TRACE.topk[i]:
            names = [package.experts[c] for c in layout.chiplet_of_expert[i][token]]
            for source in sources:
                size = 10.0 / len(sources) / len(layers)
                for name in names:
                    copies[index[source], index[name]] += size
                for name in set(names):
                    distinct[index[source], index[name]] += size
                away = frozenset(index[name] for name in set(names) - {source})
                messages[index[source], away] = messages.get((index[source], away), 0.0) + size
    messages = {key: size for key, size in messages.items() if key[1]}
    np.fill_diagonal(copies, 0)
    np.fill_diagonal(distinct, 0)

    def made(degree: str):
        return dispatch(package, TRACE, layout, token_bytes=10, degree=degree, layer=layer)

    np.testing.assert_allclose(made("copies").demand, copies)
    np.testing.assert_allclose(made("chiplets").demand, distinct)
    sets = made("in-network").multicast
    reached = sets.contains(len(index))
    found = {
        (int(r), frozenset(np.flatnonzero(row).tolist())): size
        for r, row, size in zip(sets.root, reached, sets.bytes, strict=True)
    }
    assert found == pytest.approx(messages)
    assert len(found) == len(sets)


def test_bytes_follow_c_t() -> None:
    package = star(16, True)
    layout = allocate(TRACE, package, method="contiguous")
    size = {
        degree: dispatch(package, TRACE, layout, token_bytes="1 kB", degree=degree)
        for degree in ("copies", "chiplets", "in-network")
    }
    assert size["copies"].demand.sum() == pytest.approx(500 * 4 * 1000)
    assert size["chiplets"].demand.sum() == pytest.approx(500 * layout.c_t(TRACE) * 1000)
    assert size["in-network"].multicast.bytes.sum() == pytest.approx(500 * 1000)


@pytest.mark.parametrize("degree", ["copies", "chiplets", "in-network"])
def test_combine_is_dispatch_backwards(degree: str) -> None:
    package = star(8, False)
    layout = allocate(TRACE, package, method="contiguous")
    there = dispatch(package, TRACE, layout, token_bytes=2, degree=degree)
    back = combine(package, TRACE, layout, token_bytes=2, degree=degree)
    assert (back.demand == there.demand.T).all()
    assert back.multicast is None
    assert back.reduction is there.multicast or (back.reduction.members == there.multicast.members).all()
    assert back.name == f"combine ({degree})"


@pytest.mark.parametrize("root", [True, False])
def test_sets_deliver_what_separate_copies_do(root: bool) -> None:
    package = star(8, root)
    layout = allocate(TRACE, package, method="contiguous")
    for make in (dispatch, combine):
        apart = make(package, TRACE, layout, token_bytes=2, degree="chiplets").demand.copy()
        np.fill_diagonal(apart, 0.0)
        sets = make(package, TRACE, layout, token_bytes=2, degree="in-network")
        np.testing.assert_allclose(sets.delivered(), apart, rtol=1e-12)


@pytest.mark.parametrize("leaves", [63, 64, 70, 130])
def test_bit_sets_of_large_packages(leaves: int) -> None:
    package = star(leaves, True)
    trace = draw_trace(SyntheticRouting(2 * leaves, 6, 50, 1, topics=2, seed=1))
    layout = allocate(trace, package, method="contiguous")
    unicast = dispatch(package, trace, layout, token_bytes=1).demand
    sets = dispatch(package, trace, layout, token_bytes=1, degree="in-network").multicast
    np.testing.assert_allclose(sets.bytes @ sets.contains(len(package.terminals)), unicast.sum(axis=0))


def test_micro_batches_add_up() -> None:
    package = star(8, True)
    layout = allocate(TRACE, package, method="contiguous")
    whole = dispatch(package, TRACE, layout, token_bytes=1, layer=2).demand
    parts = [
        dispatch(package, TRACE.tokens(slice(i, i + 125)), layout, token_bytes=1, layer=2).demand
        for i in range(0, 500, 125)
    ]
    np.testing.assert_allclose(sum(parts), whole)


def test_a_trace_can_stand_for_more_tokens() -> None:
    package = star(8, True)
    layout = allocate(TRACE, package, method="contiguous")
    one = dispatch(package, TRACE, layout, token_bytes=1).demand
    ten = dispatch(package, TRACE, layout, token_bytes=1, tokens=5000).demand
    np.testing.assert_allclose(ten, 10 * one)


def test_a_token_at_home_is_no_traffic() -> None:
    package = star(2, False)
    trace = RoutingTrace([[0, 1]], num_experts=4)
    layout = Allocation(package.experts, [0, 0, 1, 1])
    traffic = dispatch(package, trace, layout, token_bytes=8)
    assert traffic.demand.tolist() == [[0, 0], [4, 0]]
    assert dispatch(package, trace, layout, token_bytes=8, source="e0").demand.sum() == 0
    sets = dispatch(package, trace, layout, token_bytes=8, degree="in-network").multicast
    assert sets.root.tolist() == [1]
    nothing = dispatch(package, trace, layout, token_bytes=8, degree="in-network", source="e0")
    assert len(nothing.multicast) == 0


def test_origin_of_the_trace_is_kept() -> None:
    package = star(8, True)
    assert "synthetic" in repr(
        dispatch(package, TRACE, allocate(TRACE, package, method="contiguous"), token_bytes=1)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degree": "chiplet"}, "no degree 'chiplet'; did you mean 'chiplets'"),
        ({"token_bytes": 0}, "token_bytes 0 B must be above 0"),
        ({"token_bytes": "3 s"}, "token_bytes '3 s' is in s, not in B"),
        ({"source": "hub"}, "no chiplet named 'hub'"),
        ({"layer": 3}, "no layer 3: the trace has layers 0 to 2"),
    ],
)
def test_errors_name_thing_and_way_out(options: dict, message: str) -> None:
    package = star(8, True)
    with pytest.raises(NopError, match=message):
        dispatch(
            package, TRACE, allocate(TRACE, package, method="contiguous"), **({"token_bytes": 1} | options)
        )


def test_an_allocation_for_another_package_is_refused() -> None:
    with pytest.raises(NopError, match=r"is for 8 chiplets .* package 'star' has 16; allocate again"):
        dispatch(star(16, True), TRACE, allocate(TRACE, star(8, True), method="contiguous"), token_bytes=1)


@pytest.mark.parametrize("leaves", [20, 63, 64, 130])
@pytest.mark.parametrize("root", [True, False])
def test_compiled_sets_equal_the_plain_ones(leaves: int, root: bool, monkeypatch) -> None:
    package = star(leaves, root)
    trace = draw_trace(SyntheticRouting(2 * leaves, 3, 400, 2, topics=2, seed=leaves))
    layout = allocate(trace, package, method="contiguous")

    def found() -> list[dict]:
        sets = [
            make(package, trace, layout, token_bytes=3, degree="in-network") for make in (dispatch, combine)
        ]
        return [
            {
                (int(r), row.tobytes()): size
                for r, row, size in zip(part.root, part.members, part.bytes, strict=True)
            }
            for part in (sets[0].multicast, sets[1].reduction)
        ]

    plain = found()
    monkeypatch.setattr("noptoolkit.traffic.routed.MANY", 1)
    for one, other in zip(found(), plain, strict=True):
        assert one == pytest.approx(other)
