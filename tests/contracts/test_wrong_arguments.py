"""What a newcomer gets wrong: every public verb names it, and none computes on."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import physical, topology, traffic
from noptoolkit.errors import NopError
from noptoolkit.nodes import Efficiency
from noptoolkit.synthetic import SyntheticRouting
from noptoolkit.workload import LatentAttention

NAN = math.nan
PACKAGE = topology.mesh(3, attention=True, memory=True, flops="1 TFLOP/s")
IDS = np.argsort(np.random.default_rng(0).random((2, 50, 18)))[..., :4]
TRACE = nop.RoutingTrace(IDS, num_experts=18)
LAYOUT = nop.allocate(TRACE, PACKAGE, method="contiguous")
MODEL = nop.MoEModel("tiny", 64, 2, 4, 4, 16, 100, expert_width=32, experts=18, top_k=4)
WORKLOAD = nop.Workload("tiny", MODEL, nop.Batch(8, 16, 2), TRACE)


def dispatched(**options: Any) -> object:
    given = {"token_bytes": 1.0, **options}
    return traffic.dispatch(PACKAGE, TRACE, LAYOUT, **given)


def planned(**options: Any) -> object:
    return nop.schedule(PACKAGE, WORKLOAD, LAYOUT, **options)


def all_to_all() -> nop.Traffic:
    return traffic.all_to_all(PACKAGE, 1.0)


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "congestion on a name": (lambda: nop.congestion("mesh-4x4", all_to_all()), "load_topology"),
    "congestion of a package": (lambda: nop.congestion(PACKAGE, PACKAGE), "is not a Traffic"),
    "all-to-all on a name": (lambda: traffic.all_to_all("mesh-4x4", 1.0), "load_topology"),
    "allocation on a name": (lambda: nop.allocate(TRACE, "mesh-4x4"), "load_topology"),
    "schedule on a name": (lambda: nop.schedule("mesh-4x4", WORKLOAD), "load_topology"),
    "schedule of a name": (lambda: nop.schedule(PACKAGE, "stdlib-moe"), "load_workload"),
    "profile of a name": (lambda: physical.profile("mesh-4x4"), "load_topology"),
    "latency on a name": (lambda: nop.zero_load_latency("mesh-4x4"), "load_topology"),
    "saving a workload": (lambda: nop.save_topology(WORKLOAD, "a.toml"), "load_topology"),
    "loading nothing": (lambda: nop.load_topology(None), "neither a name nor a path"),
    "a workload number": (lambda: nop.load_workload(3), "neither a name nor a path"),
    "a trace of nothing": (lambda: nop.load_trace(None), "not the path of a trace"),
    "more bytes than floats hold": (lambda: traffic.all_to_all(PACKAGE, 1e308), "too large to compute"),
    "text as a matrix": (lambda: traffic.from_matrix(PACKAGE, [["a"] * 10] * 10), "not a matrix of numbers"),
    "complex bytes": (
        lambda: traffic.from_matrix(PACKAGE, np.ones((10, 10), complex)),
        "not a matrix of numbers",
    ),
    "a ragged matrix": (lambda: traffic.from_matrix(PACKAGE, [[1], [1, 2]]), "not a matrix of numbers"),
    "negative traffic": (lambda: nop.Traffic(("e0", "e1"), np.array([[0.0, -1.0], [1, 0]])), "not negative"),
    "traffic of NaN": (
        lambda: nop.Traffic(("e0", "e1"), np.array([[0.0, NAN], [1, 0]])),
        "'e0' to 'e1' is nan B; bytes are finite and not negative",
    ),
    "endless traffic": (
        lambda: traffic.from_matrix(PACKAGE, np.full((10, 10), np.inf)),
        "is inf B; bytes are finite and not negative",
    ),
    "traffic of another shape": (lambda: nop.Traffic(("e0",), np.zeros((2, 2))), r"give \[1, 1\] bytes"),
    "negative tokens": (lambda: dispatched(tokens=-5), "a number above 0"),
    "tokens of NaN": (lambda: dispatched(tokens=NAN, degree="in-network"), "a number above 0"),
    "tokens as text": (lambda: dispatched(tokens="5"), "a number above 0"),
    "no source": (lambda: dispatched(source=[]), "one chiplet or more"),
    "a source twice": (lambda: dispatched(source=["e0", "e0"]), "each once"),
    "slices of nothing": (lambda: planned(slices=0), "slices=0"),
    "a million slices": (lambda: planned(slices=10**6), "slices=1000000"),
    "slices as text": (lambda: planned(slices="a"), "slices='a'"),
    "an efficiency of 2": (lambda: planned(efficiency=2), r"write Efficiency\(compute=0\.5\)"),
    "negative energy": (lambda: planned(energy_per_flop=-1.0), "negative"),
    "energy of NaN": (lambda: planned(energy_per_flop=NAN), "energy_per_flop nan is not finite"),
    "an efficiency of NaN": (lambda: planned(efficiency=Efficiency(NAN)), "compute nan must be a finite"),
    "an efficiency as text": (lambda: Efficiency(network="1"), "network '1' must be a finite number"),
    "a priority number": (lambda: planned(priority=3), "priority 3: give a name"),
    "a policy number": (lambda: planned(policy=3), "policy 3"),
    "a host number": (lambda: planned(hosts=3), "hosts=3: give"),
    "a tolerance as text": (lambda: nop.congestion(PACKAGE, all_to_all(), tol="x"), "tol 'x' must be"),
    "a tolerance of NaN": (lambda: nop.congestion(PACKAGE, all_to_all(), tol=NAN), "tol nan must be"),
    "efficiency as text": (lambda: nop.congestion(PACKAGE, all_to_all(), efficiency="x"), "efficiency 'x'"),
    "a limit of NaN": (lambda: nop.congestion(PACKAGE, all_to_all(), time_limit=NAN), "time_limit nan"),
    "a report of 3": (lambda: nop.congestion(PACKAGE, all_to_all(), report=3), "report=3 is not callable"),
    "minus 7 jobs": (lambda: nop.compare(PACKAGE, WORKLOAD, jobs=-7), "jobs=-7"),
    "jobs as text": (lambda: nop.compare(PACKAGE, WORKLOAD, jobs="2"), "jobs='2'"),
    "a link without bandwidth": (lambda: nop.Link("a", "b", None), "bandwidth None is not a quantity"),
    "a latency of None": (lambda: nop.Chiplet("a", latency=None), "latency None is not a quantity"),
    "a copying 'yes'": (lambda: nop.Switch("a", replicates="yes"), "replicates 'yes' must be True or False"),
    "a group of 1.5": (lambda: nop.Chiplet("a", group=1.5), r"group 1\.5 must be"),
    "a pair as a link": (lambda: nop.Package("p", [nop.Chiplet("a")], [("a", "b")]), "is not a link"),
    "half a value": (lambda: replace(MODEL, hidden=64.5), r"hidden 64\.5 must be a whole number"),
    "NaN layers": (lambda: replace(MODEL, layers=NAN), "layers nan must be a whole number"),
    "a norm of its own": (lambda: replace(MODEL, qk_norm="x"), "no qk_norm 'x'"),
    "half a rank": (lambda: LatentAttention(1.5, 1, 1, 1, 1), r"query_rank 1\.5 must be"),
    "an affinity of NaN": (lambda: SyntheticRouting(8, 2, affinity=NAN), "affinity nan must be a finite"),
    "infinite topics": (lambda: SyntheticRouting(8, 2, topics=math.inf), "topics inf must be a whole"),
    "endpoints that are none": (lambda: nop.zero_load_latency(PACKAGE, among="expert"), "'experts'"),
    "endpoint 3": (lambda: nop.check_deadlock(PACKAGE, among=3), "among=3"),
    "half an expert": (lambda: nop.RoutingTrace([[0, 1]], num_experts=4.5), r"num_experts=4\.5"),
    "experts as text": (lambda: nop.RoutingTrace([[0, 1]], num_experts="4"), "num_experts='4'"),
    "a trillion experts": (lambda: nop.RoutingTrace([[0, 1]], num_experts=10**12), "from 1 to 65536"),
    "all of NaN held out": (lambda: TRACE.split(held_out=NAN), "held_out=nan"),
    "half a chiplet": (lambda: nop.Allocation(("e0",), [0.5]), "chiplets are whole numbers"),
    "a chiplet twice": (lambda: nop.Allocation(("e0", "e0"), [0, 1]), "occurs twice"),
    "half of the groups": (lambda: nop.Allocation(("e0", "e1"), [0, 1], ((0,),)), "each of 0 to 1 once"),
}


@pytest.mark.parametrize(("call", "said"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_argument_is_named(call: Callable[[], object], said: str) -> None:
    with pytest.raises(NopError, match=said):
        call()


def test_energy_takes_text() -> None:
    plan = nop.schedule(PACKAGE, WORKLOAD, LAYOUT, energy_per_flop="1 pJ")
    assert plan.energy == nop.schedule(PACKAGE, WORKLOAD, LAYOUT, energy_per_flop=1e-12).energy


def test_what_a_caller_holds_stays_his() -> None:
    bytes_sent = np.array([[0.0, 1.0], [2.0, 0.0]])
    sent = nop.Traffic(("e0", "e1"), bytes_sent)
    ids = np.array([[[0, 1]]])
    trace = nop.RoutingTrace(ids, num_experts=2)
    assert nop.Traffic(("e0", "e1"), np.ones((2, 2))).demand.trace() == 0
    places = np.array([[0, 1]])
    layout = nop.Allocation(("e0", "e1"), places)
    bytes_sent[0, 1], ids[0, 0, 0], places[0, 0] = 9.0, 1, 1  # none of them was frozen
    assert sent.demand[0, 1] == 1.0
    assert trace.topk[0, 0, 0] == 0
    assert layout.chiplet_of_expert[0, 0] == 0
