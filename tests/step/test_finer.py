"""Steps that are cut finer where their schedule stays away from its bound."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from seeds import seeds
from small_steps import small_package, small_workload

import noptoolkit as nop
from noptoolkit import Allocation, Chiplet, Link, Memory, Package, Switch, Workload
from noptoolkit.errors import RoutingError, ScheduleError
from noptoolkit.step import POLICIES, StepSchedule, finer, scheduler
from noptoolkit.step.finer import is_far

GROUPS = ((6, 128, 256), (6, 128, 256), (4, 96, 192))
"""Chiplets of each group, bandwidth of their links and of those to attention, in GB/s."""


def two_hosts() -> Package:
    """Two attention chiplets over three switches that copy and add, with groups of 6, 6 and 4 chiplets."""
    nodes: list[Chiplet | Switch | Memory] = []
    links = [Link("attn0", "attn1", "512 GB/s")]
    for host in ("attn0", "attn1"):
        nodes.append(Chiplet(host, role="attention", flops="524.288 TFLOP/s", sram="144.96 MB"))
        nodes.append(Memory(f"{host}-hbm", "819 GB/s", "24 GB", serves=(host,)))
        links.append(Link(host, f"{host}-hbm", "819 GB/s"))
    for g, (count, leaf, up) in enumerate(GROUPS):
        names = [f"e{g}-{i}" for i in range(count)]
        nodes.append(Switch(f"sw{g}", replicates=True, reduces=True))
        nodes += [Chiplet(name, role="expert", flops="294.912 TFLOP/s", sram="81.54 MB") for name in names]
        nodes.append(Memory(f"hbm{g}", "819 GB/s", "24 GB", serves=tuple(names)))
        links += [Link(f"sw{g}", host, f"{up} GB/s") for host in ("attn0", "attn1")]
        links += [Link(f"sw{g}", name, f"{leaf} GB/s") for name in names]
        links.append(Link(f"sw{g}", f"hbm{g}", "819 GB/s"))
    return Package("6, 6 and 4", nodes, links)


def qwen(layers: int) -> Workload:
    workload = nop.load_workload("qwen3-30b-a3b")
    return replace(workload, model=replace(workload.model, layers=layers))


def laid_out(package: Package, workload: Workload) -> Allocation:
    return nop.allocate(workload.trace, package, method="contiguous")


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
def test_tokens_that_wait_behind_slices_get_finer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    package, workload = two_hosts(), qwen(4)
    layout = laid_out(package, workload)
    found = nop.schedule(package, workload, layout)
    monkeypatch.setattr(finer, "FAR", float("inf"))
    coarse = nop.schedule(package, workload, layout)
    assert coarse.step.options.slices is None
    assert coarse.gap > 0.03
    assert found.step.options.slices in (4, 8)
    assert found.gap < 0.02
    assert (
        found.makespan == nop.schedule(package, workload, layout, slices=found.step.options.slices).makespan
    )
    assert found.verify()


def plans_made(monkeypatch: pytest.MonkeyPatch) -> list[StepSchedule]:
    """Return a list of all schedules that are made from here on."""
    made: list[StepSchedule] = []
    planned = scheduler._planned

    def kept(*given: object) -> StepSchedule:
        made.append(planned(*given))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(scheduler, "_planned", kept)
    return made


@pytest.fixture
def small() -> tuple[Package, Workload, Allocation]:
    """The first layer of the shipped trace, laid out by chance: a step that is far from its bound."""
    given = nop.load_workload("stdlib-moe")
    trace = given.trace.layer(0).tokens(slice(0, 2000))
    workload = replace(given, model=replace(given.model, layers=2), routing=trace)
    package = nop.load_topology("mesh-4x4")
    return package, workload, nop.allocate(trace, package, method="random")


def test_the_shortest_of_what_is_tried_is_kept(small, monkeypatch: pytest.MonkeyPatch) -> None:
    package, workload, layout = small
    made = plans_made(monkeypatch)
    found = nop.schedule(package, workload, layout, routing="shortest")
    cuts = [(plan.step.options.slices, plan.policy.parts) for plan in made]
    assert cuts[0] == (None, 1)
    assert len(cuts) == len(set(cuts)) > 1
    assert found.makespan == pytest.approx(min(plan.makespan for plan in made), rel=1e-9)
    assert found.makespan < made[0].makespan
    assert is_far(made[0])
    assert found.verify()


def test_what_was_asked_for_is_kept(small, monkeypatch: pytest.MonkeyPatch) -> None:
    package, workload, layout = small
    made = plans_made(monkeypatch)
    nop.schedule(package, workload, layout, routing="shortest", slices=2, parts=1)
    assert len(made) == 1
    nop.schedule(package, workload, layout, routing="shortest", parts=1)
    assert all(plan.policy.parts == 1 for plan in made)
    made.clear()
    nop.schedule(package, workload, layout, routing="shortest", policy="serial")
    nop.schedule(package, workload, layout, routing="shortest", contention="reserve")
    assert len(made) == 2  # nothing overlaps, or the bound does not count what holds a path


def test_large_schedules_are_not_tried_again(small, monkeypatch: pytest.MonkeyPatch) -> None:
    package, workload, layout = small
    made = plans_made(monkeypatch)
    monkeypatch.setattr(finer, "MOST_TASKS", 10)
    nop.schedule(package, workload, layout, routing="shortest")
    assert len(made) == 1


def makespans(
    package: Package, workload: Workload, layout: Allocation, **options: object
) -> dict[str, float]:
    """Return the makespan under ``optimal`` and each fixed routing that serves the package."""
    found = {}
    for name in ("optimal", "shortest", "dor", "ecmp"):
        with suppress(RoutingError):  # dor serves grids alone
            found[name] = nop.schedule(package, workload, layout, routing=name, **options).makespan  # type: ignore[arg-type]
    return found


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
def test_the_best_routing_stays_no_longer_than_a_fixed_one_cut_finer() -> None:
    """On a dragonfly ecmp wins with twice as many slices alone; whole, its bound is above the best of all."""
    package, workload = nop.load_topology("dragonfly-16"), nop.load_workload("stdlib-moe")
    layout = nop.allocate(workload.trace, package, method="mozart", rng=0)
    found = makespans(package, workload, layout)
    assert found["optimal"] <= min(found.values())


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
@pytest.mark.parametrize("seed", [18, *seeds(3, 30)])
def test_nor_than_one_in_any_order_that_is_tried(seed: int) -> None:
    """With seed 18 shortest paths lose in the first order, and win in another."""
    rng = np.random.default_rng(seed)
    package = small_package(rng)
    workload = small_workload(rng, package, "training")
    policy = replace(POLICIES["streaming"], prefetch=(0, 1), order=(None, "heavy"), micro_batches=(1, 2))
    found = makespans(package, workload, laid_out(package, workload), policy=policy)
    assert found["optimal"] <= min(found.values())


def test_a_finer_step_that_cannot_be_made_is_left_out(small, monkeypatch: pytest.MonkeyPatch) -> None:
    package, workload, layout = small
    monkeypatch.setattr(finer, "cut_step", lambda step, parts: None)

    def refuse(*given: object) -> None:
        raise ScheduleError("does not fit")

    monkeypatch.setattr(finer, "unrouted_step", refuse)
    found = nop.schedule(package, workload, layout, routing="shortest")
    assert found.step.options.slices is None
    assert found.policy.parts == 1
