"""Prefill and decode on two groups of chiplets, by hand."""

import pytest
from decode_steps import workload

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.errors import TopologyError
from noptoolkit.nodes import cache_bytes
from noptoolkit.serving import PUBLISHED, Server, disaggregate, published_table


def star() -> Package:
    nodes = [Switch("hub", replicates=True, reduces=True)]
    links = []
    for name in ("e0", "e1", "e2", "e3"):
        nodes.append(Chiplet(name, flops="1 TFLOP/s", role="expert"))
        nodes.append(Memory(f"m-{name}", bandwidth="10 GB/s", capacity="1 GB", serves=(name,)))
        links += [Link("hub", name, "1 GB/s"), Link(f"m-{name}", name, "10 GB/s", kind="memory")]
    return Package("star", nodes, links)


def test_two_groups_by_hand() -> None:
    given = workload(1)
    found = disaggregate(
        star(), given, prefill=["e0", "e1"], decode=["e2", "e3"], prompt=64, output=11, batch=4
    )
    size = cache_bytes(given.model, 64)
    assert found.moved == size
    assert found.move_time == pytest.approx(size / 2 / 1e9)  # each host sends half over its link
    assert found.prefill.package.experts == ("e0", "e1")
    assert found.prefill_time == Server(found.prefill.package, given).prefill(64).time
    assert found.step == found.decode.decode(4, 64 + 5).time
    assert found.capacities == {
        "prefill": pytest.approx(1 / found.prefill_time),
        "move": pytest.approx(1 / found.move_time),
        "decode": pytest.approx(4 / found.step / 10),
    }
    assert found.requests_per_second == min(found.capacities.values())
    assert found.second_token == found.prefill_time + found.move_time + found.step
    assert "limits" in found.table().text()


def test_a_slow_stack_limits_the_move() -> None:
    package = star().with_memory_bandwidth("m-e2", "10 MB/s")
    found = disaggregate(package, workload(1), prefill=["e0", "e1"], decode=["e2", "e3"], prompt=64)
    assert "m-e2" in found.bottleneck


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((["e0"], ["e0", "e1"]), "'e0' is in both groups"),
        ((["hub"], ["e1"]), "no chiplet"),
        (([], ["e1"]), "no expert chiplet"),
    ],
)
def test_groups_that_cannot_be(groups, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        disaggregate(star(), workload(1), prefill=groups[0], decode=groups[1])


def test_derived_rows_follow_from_the_quoted_ones() -> None:
    value = {row.what: row.value for row in PUBLISHED}
    assert {row.origin for row in PUBLISHED} == {"quoted", "derived"}
    assert value["dispatch, EP 8 x 2, over a 50 GB/s NIC"] == 90 / 2 / 50
    assert value["dispatch, EP 8 x 4, over a 50 GB/s NIC"] == 61 * 3 / 4 / 50
    assert value["experts of a decode unit with copies"] == 144 * 2 == 256 + 32
    assert value["experts of a prefill unit with copies"] == 32 * 9 == 256 + 32
    share = value["prefill, share of input tokens from the cache"]
    computed = value["prefill, input tokens per node of 8 H800, cache hits counted"] * (1 - share)
    assert value["prefill, input tokens per node that are computed"] == pytest.approx(computed, abs=0.5)
    assert len(published_table().rows) == len(PUBLISHED)


def test_attention_on_every_chiplet_serves_more_than_on_one() -> None:
    """Caches and attention on all chiplets: four times the stacks, at a long context."""
    given = workload(1)
    package = star()
    one, all_ = (
        Server(package, given, options={"hosts": hosts}).decode(32, 512).time for hosts in (("e0",), "all")
    )
    assert all_ < one
    assert nop.topology.star(4).experts == ("e0", "e1", "e2", "e3")
