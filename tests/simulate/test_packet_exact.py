"""Packet for packet equal to BookSim2, given the same random draws."""

import json
from pathlib import Path
from typing import Any

import pytest

import noptoolkit as nop
from noptoolkit.simulate import BOOKSIM, BOOKSIM_SPEEDUP, simulate, uniform

HERE = Path(__file__).parent
CASES = json.loads((HERE / "packet_exact.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{x['network']}-{x['config']}-{x['rate']}-{len(x['changes'])}" for x in CASES]
)
def test_every_packet_has_the_latency_that_booksim2_gives_it(case: dict[str, Any]) -> None:
    router = BOOKSIM if case["config"] == "base" else BOOKSIM_SPEEDUP
    names = {"num_vcs": "vcs", "vc_buf_size": "depth", "packet_size": "packet"}
    router = router.with_(**{names[key]: value for key, value in case["changes"].items()})
    if case["network"].startswith(("mesh", "torus")):
        build = nop.topology.mesh if case["network"].startswith("mesh") else nop.topology.torus
        package = build(int(case["network"].lstrip("meshtoru")))
        traffic, routing = uniform(package), "dor"
        router = router.with_(port_order="grid")
    else:
        package = nop.load_topology(
            HERE / "networks" / f"{case['network']}.any", format="booksim", bandwidth="128 GB/s"
        )
        numbered = sorted(package.terminals, key=lambda name: int(name.removeprefix("n")))
        traffic, routing = uniform(package, among=numbered), "booksim-min"
    run = simulate(
        package,
        traffic,
        rate=case["rate"] * router.packet,
        routing=routing,
        router=router,
        rng=1,
        allow_deadlock=True,
    )
    assert (run.checksum, run.packets) == (case["checksum"], case["packets"])
    assert run.latency == pytest.approx(case["mean_latency"], rel=1e-10)
    assert run.accepted == pytest.approx(case["accepted"], rel=1e-9)
    assert run.hops == pytest.approx(case["hops"], rel=1e-9)
