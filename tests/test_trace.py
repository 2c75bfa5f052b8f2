"""The routing trace: statistics against counting by hand, parts keep their labels, faults are named."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noptoolkit import RoutingTrace
from noptoolkit.errors import NopError, UnknownNameError, WorkloadError
from noptoolkit.hypergraph import merge_sets


def drawn(experts: int, top_k: int, tokens: int = 40, seed: int = 0, **labels: object) -> RoutingTrace:
    rng = np.random.default_rng(seed)
    ids = rng.random((2, tokens, experts)).argsort(axis=2)[:, :, :top_k]
    return RoutingTrace(ids, experts, **labels)  # type: ignore[arg-type]


def labelled() -> RoutingTrace:
    return drawn(
        8,
        3,
        tokens=12,
        weights=np.linspace(0, 1, 72).reshape(2, 12, 3),
        domain=np.arange(12) // 4,
        domains=("code", "prose", "tests"),
        document=np.arange(12) // 2,
        layers=(3, 7),
        origin="recorded",
    )


shapes = st.tuples(st.integers(2, 12), st.integers(1, 6), st.integers(0, 99)).filter(lambda s: s[1] <= s[0])


@given(shapes)
def test_statistics_are_counts(shape: tuple[int, int, int]) -> None:
    experts, top_k, seed = shape
    trace = drawn(experts, top_k, seed=seed)
    load, together = np.zeros(experts), np.zeros((experts, experts))
    sets: dict[tuple[int, ...], int] = {}
    for row in trace.topk.reshape(-1, top_k).tolist():
        members = tuple(sorted(row))
        sets[members] = sets.get(members, 0) + 1
        for expert in members:
            load[expert] += 1
        for i, j in combinations(members, 2):
            together[i, j] += 1
            together[j, i] += 1
    assert (trace.load() == load).all()
    assert (trace.coactivation() == together).all()
    assert np.allclose(trace.coactivation(normalised=True), together / 80)
    graph = trace.hypergraph()
    assert [tuple(row) for row in graph.sets.tolist()] == sorted(sets)
    assert graph.counts.tolist() == [sets[members] for members in sorted(sets)]
    assert graph.num_tokens == 80


def test_sets_too_wide_for_one_word_merge_alike() -> None:
    trace = drawn(300, 9, seed=1)  # 9 ids of 9 bits
    doubled = np.concatenate([trace.topk, trace.topk[:, ::-1, ::-1]], axis=1)
    graph = merge_sets(doubled, 300)
    assert len(graph.sets) == 80
    assert (graph.counts == 2).all()
    assert (np.diff(graph.sets.astype(int), axis=1) > 0).all()
    narrow = merge_sets(doubled % 300, 2**20)
    assert (graph.sets == narrow.sets).all()


@given(shapes, st.integers(1, 5))
def test_c_t_is_the_connectivity_of_the_hypergraph(shape: tuple[int, int, int], parts: int) -> None:
    experts, top_k, seed = shape
    trace = drawn(experts, top_k, seed=seed)
    part = np.random.default_rng(seed).integers(0, parts, experts)
    c_t = np.mean([len(set(row)) for row in part[trace.topk.reshape(-1, top_k)].tolist()])
    graph = trace.hypergraph()
    touched = np.array([len(set(row)) for row in part[graph.sets].tolist()])
    assert c_t == pytest.approx(graph.counts @ (touched - 1) / graph.num_tokens + 1)


def test_incidence_has_one_row_per_set() -> None:
    graph = RoutingTrace([[0, 1], [1, 0], [2, 3]], num_experts=5).hypergraph()
    assert graph.incidence().toarray().tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]


def test_arrays_are_read_only() -> None:
    trace = labelled()
    for array in (trace.topk, trace.weights, trace.domain, trace.document, trace.hypergraph().sets):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_layer_keeps_its_number_and_its_labels() -> None:
    trace = labelled()
    layer = trace.layer(1)
    assert layer.layers == (7,)
    assert trace.weights is not None
    assert layer.weights is not None
    assert (layer.weights == trace.weights[1]).all()
    assert (layer.document == trace.document).all()
    assert repr(layer) == "RoutingTrace(1 layer, 12 tokens, top-3 of 8 experts, 3 domains, recorded)"
    with pytest.raises(WorkloadError, match="no layer 2"):
        trace.layer(2)


def test_a_domain_keeps_its_tokens() -> None:
    trace = labelled()
    prose = trace.in_domain("prose")
    assert (prose.topk == trace.topk[:, 4:8]).all()
    with pytest.raises(UnknownNameError, match="did you mean 'prose'"):
        trace.in_domain("pros")
    with pytest.raises(UnknownNameError, match="there are none here"):
        drawn(4, 2).in_domain("prose")


def test_split_by_token_is_a_partition_and_repeats() -> None:
    trace = drawn(8, 3, tokens=100, document=np.arange(100))
    [(fit, held)] = trace.split(rng=5, held_out=0.2)
    assert (fit.num_tokens, held.num_tokens) == (80, 20)
    assert fit.document is not None
    assert held.document is not None
    assert sorted([*fit.document, *held.document]) == list(range(100))
    [(_, again)] = trace.split(rng=5, held_out=0.2)
    assert (again.topk == held.topk).all()
    [(_, other)] = trace.split(rng=6, held_out=0.2)
    assert (other.topk != held.topk).any()


def test_split_by_document_keeps_documents_whole() -> None:
    [(fit, held)] = labelled().split(rng=0, by="document", held_out=0.34)
    assert fit.document is not None
    assert held.document is not None
    assert not set(fit.document.tolist()) & set(held.document.tolist())
    assert held.num_tokens == 4


def test_split_by_domain_fits_each_and_judges_on_the_others() -> None:
    pairs = labelled().split(by="domain")
    assert len(pairs) == 3
    for i, (fit, held) in enumerate(pairs):
        assert fit.domain is not None
        assert set(fit.domain.tolist()) == {i}
        assert held.domain is not None
        assert set(held.domain.tolist()) == {0, 1, 2} - {i}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"by": "document"}, "no document labels"),
        ({"by": "domain"}, "no domain labels"),
        ({"by": "tokens"}, "did you mean 'token'"),
        ({"held_out": 0.0}, "leaves one side empty"),
        ({"held_out": 1.0}, "leaves one side empty"),
    ],
)
def test_a_split_that_cannot_be_names_its_reason(how: dict[str, object], message: str) -> None:
    with pytest.raises(NopError, match=message):
        drawn(4, 2).split(**how)  # type: ignore[arg-type]
    with pytest.raises(WorkloadError, match="one domain only, 'code'"):
        labelled().in_domain("code").split(by="domain")


@pytest.mark.parametrize(
    ("topk", "options", "message"),
    [
        ([[0, 1], [2]], {}, "ragged"),
        ([], {}, "shape"),
        ([[[]]], {}, "shape"),
        ([[0.5, 1.0]], {}, "whole numbers"),
        ([[0, 4]], {}, "expert id 4 is out of range 0 to 3"),
        ([[-1, 2]], {}, "expert id -1"),
        ([[0, 1], [2, 2]], {}, "layer 0, token 1 uses an expert twice"),
        ([[0, 1, 2, 3, 4]], {}, "5 experts per token, but only 4"),
        ([[0, 1]], {"weights": [[0.5]]}, "one weight per id"),
        ([[0, 1]], {"weights": [[0.5, np.nan]]}, "finite"),
        ([[0, 1]], {"weights": [["a", "b"]]}, "weights are numbers"),
        ([[0, 1]], {"layers": ["a"]}, "give the number"),
        ([[0, 1]], {"domain": [0]}, "domain .* and domains"),
        ([[0, 1]], {"domain": [1], "domains": ["code"]}, "domain 1 is out of range: there are 1 names"),
        ([[0, 1]], {"domain": [0, 0], "domains": ["code"]}, "domain has shape"),
        ([[0, 1]], {"document": [0.5]}, "document has shape"),
        ([[0, 1]], {"document": [-1]}, "document -1"),
        ([[0, 1]], {"layers": [0, 1]}, "give the number of each of the 1 layers"),
        ([[0, 1]], {"origin": "recorder"}, "did you mean 'recorded'"),
    ],
)
def test_a_faulty_trace_names_its_fault(topk: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(NopError, match=message):
        RoutingTrace(topk, 4, **options)  # type: ignore[arg-type]
