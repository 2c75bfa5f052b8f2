"""Published tables beside ours: FRED's closed forms and its mesh baseline."""

import math

import networkx as nx
import pytest

from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.study import (
    PublishedRow,
    reproduce_deepseek_serving,
    reproduce_fred,
    reproduce_korthikanti,
    reproduce_mechanism,
    reproduce_parallel_folding,
)
from noptoolkit.study.fred import rim_shares
from noptoolkit.topology import mesh


def test_fred_closed_forms_and_what_its_mesh_can_reach() -> None:
    found = reproduce_fred()
    for count in (2, 4, 5):
        row = found[f"in-network over endpoint, {count} NPUs"]
        assert row.ratio is not None
        assert math.isclose(row.ratio, 1.0, rel_tol=1e-9)
    assert found["FRED-A: bandwidth of an NPU"].ours == 1875e9
    reduce = found["all-reduce of 1 GB on the mesh"]
    assert reduce.ours is not None
    assert math.isclose(reduce.ours, 0.6129032258 * 1e9 / 750e9, rel_tol=1e-6)  # the optimum of a 5 x 4 mesh
    stream = found["streaming from the rim, of full rate"]
    assert stream.ours is not None
    assert math.isclose(
        stream.ours, 1500 / 2048, rel_tol=1e-9
    )  # a corner's two links, 16 controllers elsewhere
    assert stream.published is not None
    assert math.isclose(stream.published, 750 / 1152)
    assert all(row.ours is None for row in found.rows if "over mesh" in row.figure)
    assert "89 %" in str(found.table())


def test_deep_ep_is_beside_what_the_links_allow() -> None:
    """A card of 50 GB/s carries all but the share of the own node: 16 / 8 and 32 / 24 of it, logically."""
    found = reproduce_deepseek_serving()
    for figure, share in (("dispatch, EP 8 x 2, logical", 16 / 8), ("combine, EP 8 x 2, logical", 16 / 8)):
        assert found[figure].ours == pytest.approx(share * 50e9)
    wide = found["dispatch and combine, EP 8 x 4, logical"]
    assert (wide.published, wide.ours) == (61e9, pytest.approx(32 / 24 * 50e9))
    assert {row.standing for row in found.rows} == {"quoted", "derived"}
    assert found["decode, GPUs of a unit"].ours is None
    assert "81.0% to 91.5%" in str(found.table())


def test_streaming_equals_a_maximum_flow_from_a_super_source() -> None:
    package = mesh(5, 4, link_bandwidth="750 GB/s")
    shares = rim_shares(package, 5, 4, 128e9)
    assert sum(shares.values()) == 18 * 128e9
    graph = nx.DiGraph()
    for channel in package.channels:
        graph.add_edge(channel.tail, channel.head, capacity=channel.bandwidth)

    def reaches(rate: float) -> bool:
        for name, share in shares.items():
            if share:
                graph.add_edge("source", name, capacity=rate * share)
        need = rate * sum(shares.values())
        return all(nx.maximum_flow_value(graph, "source", v) >= need * (1 - 1e-9) for v in package.experts)

    assert reaches(1500 / 2048)
    assert not reaches(1500 / 2048 * 1.001)


def test_a_row_says_how_its_value_is_sourced() -> None:
    with pytest.raises(WorkloadError, match="standing 'heard'"):
        PublishedRow("x", 1.0, 1.0, standing="heard")  # type: ignore[arg-type]


def test_korthikanti_is_reproduced_to_the_last_digit() -> None:
    found = reproduce_korthikanti()
    memory = [row for row in found.rows if row.unit == "B"]
    assert len(memory) == 12
    assert all(row.ours == row.published for row in memory)
    for row in found.rows:
        if row.unit == "":
            assert row.ratio is not None
            assert math.isclose(row.ratio, 1.0, abs_tol=5e-4)


def test_folding_meets_its_published_values_and_predicts_from_a_part() -> None:
    found = reproduce_parallel_folding(ranks=False)
    assert len(found.rows) == 36
    assert found.mean_error <= 0.05
    assert found.worst <= 0.15
    assert found.folding_from_mcore <= 0.09
    assert max(found.left_out.values()) <= 0.15
    again = reproduce_parallel_folding(refit=True, ranks=False)
    assert again.mean_error == pytest.approx(found.mean_error, abs=1e-3)  # the preset is a fit
    mixtral = next(row for row in found.rows if row.workload.name == "mixtral-8x22b")
    seconds = 0.463 * 128 * 989.5e12  # the published step: 4.482 s at 46.3 %
    from noptoolkit.plans.rank_work import model_flops

    assert model_flops(mixtral.workload.model, mixtral.workload.batch) / seconds == pytest.approx(
        4.482, abs=1e-3
    )


@pytest.mark.long
def test_published_plans_are_among_the_best_three() -> None:
    for rank in reproduce_parallel_folding().ranks:
        if not rank.model.startswith("llama"):  # its plan is not fully published
            assert rank.place is not None
            assert rank.place <= 3


@pytest.mark.parametrize("name", ["piper", "watos", "aquilamoe"])
def test_a_mechanism_runs_and_claims_no_figure(name: str) -> None:
    rows = reproduce_mechanism(name).rows
    assert all(row.published is None and row.ours is not None and row.ours > 0 for row in rows)


def test_an_unknown_mechanism_is_named() -> None:
    with pytest.raises(UnknownNameError, match="known: piper"):
        reproduce_mechanism("pipre")
