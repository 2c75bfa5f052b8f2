"""Schedules of collectives in simulated routers."""

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit.collectives import collective
from noptoolkit.collectives.simulated import check_collective
from noptoolkit.errors import RoutingError
from noptoolkit.simulate import Router

ROUTER = Router(flit=1024.0)


@pytest.mark.parametrize(
    "kind", ["all-gather", "reduce-scatter", "all-reduce", "broadcast", "all-to-all", "gather"]
)
@pytest.mark.parametrize("package", [nop.topology.mesh(3), nop.topology.ring(5)], ids=str)
def test_a_paced_schedule_takes_its_fluid_time_and_latency(kind: str, package: nop.Package) -> None:
    result = collective(package, kind, "4 MB")
    assert result.schedule is not None
    seen = check_collective(result, router=ROUTER, checked=kind == "broadcast")
    assert 1 - 1e-9 <= seen.ratio * (1 + seen.extra) < 1.15
    assert seen.extra < 0.02
    carried = seen.run.flits * seen.run.flit_bytes  # every channel carries what the schedule says
    assert np.allclose(carried, result.load, rtol=0.03, atol=40 * seen.run.flit_bytes)


def test_a_hop_starts_once_its_chunk_is_there() -> None:
    """Down a chain of four, one chunk is stored and forwarded: three times the time of a link."""
    nodes = [nop.Chiplet(f"c{i}") for i in range(4)]
    chain = nop.Package("chain", nodes, [nop.Link(f"c{i}", f"c{i + 1}", "128 GB/s") for i in range(3)])
    result = collective(chain, "broadcast", "1 MB", root="c0")
    one, many = (check_collective(result, router=ROUTER, chunks=n) for n in (1, 100))
    assert one.ratio == pytest.approx(3, rel=0.02)
    assert many.ratio == pytest.approx(1.02, rel=0.02)
    assert one.in_chunks / result.time == pytest.approx(3)
    assert many.table().records()[-1]["what"] == "simulated"


def test_what_cannot_be_simulated_is_named() -> None:
    mesh = nop.topology.mesh(2)
    ring = collective(mesh, "all-reduce", "1 MB", algorithm="ring")
    with pytest.raises(RoutingError, match=r"synchronous steps|keeps no schedule"):
        check_collective(ring)
    with pytest.raises(RoutingError, match="chunks=0"):
        check_collective(collective(mesh, "all-gather", "1 MB"), chunks=0)
    with pytest.raises(RoutingError, match="are too many to run one by one; use fewer"):
        check_collective(collective(mesh, "all-gather", "1 MB"), chunks=10**23)


def test_chunks_are_as_many_as_pay() -> None:
    """Fewer fill the pipeline later; more are of whole flits, and the smallest tree has few."""
    result = collective(nop.topology.mesh(3, 2, attention=True), "all-reduce", "200 kB")
    few, chosen, many = (check_collective(result, chunks=n) for n in (16, None, 1024))
    assert few.chunks < chosen.chunks < many.chunks
    assert chosen.ratio < 0.8 * few.ratio
    assert chosen.ratio < 0.8 * many.ratio
    assert chosen.extra < 0.02 < many.extra
