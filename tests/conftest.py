"""What the whole suite shares: each layout by search is found once in a session."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import seeds
from hypothesis import settings

from noptoolkit import stages
from noptoolkit.allocation import Allocation, PackageTime
from noptoolkit.package import Package
from noptoolkit.serving import server
from noptoolkit.step import StepSchedule
from noptoolkit.study import calibration, mozart
from noptoolkit.trace import RoutingTrace
from noptoolkit.workload import Workload

# The gate draws the same examples every time: what fails there fails again. `make long` draws new ones.
settings.register_profile("gate", derandomize=True)
settings.register_profile("random")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


TOGETHER: dict[str, tuple[str, ...]] = {
    "runs": (
        *("test_cli", "test_pipeline.py", "test_lazy_runs.py", "test_readme.py", "study/", "README.md"),
        *("docs/test_docs_blocks.py", "plot/test_gallery.py"),
    ),
    "step": ("step/", "scheduling/", "contracts/test_policies.py"),
    "simulate": ("simulate/", "contracts/test_plots.py"),
    "collectives": ("collectives/",),
    "allocation": ("allocation/", "contracts/test_allocators.py"),
    "flow": ("flow/", "routing/", "contracts/test_routings.py", "contracts/test_wrong_arguments.py"),
}
"""Tests that share compiled kernels or layouts: one worker of pytest-xdist runs a group, the longest first.

Kernels are compiled when they are first called, the simulator's for half a minute. Two workers that meet the
same kernel at the same time would both compile it.
"""


def pytest_configure(config: pytest.Config) -> None:
    """Leave seeds out before tests are collected, if only `make long` runs them."""
    seeds.LONG = config.option.markexpr != "not long"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort tests: groups first, as they are listed."""
    rank = {name: i for i, name in enumerate(TOGETHER)}
    items.sort(key=lambda item: rank.get(_group_of(item.nodeid), len(rank)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what gives whole groups, or files that are in none, to workers: ``--dist loadfile``."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class LoadGroups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group_of(nodeid)

    return LoadGroups(config, log)


def _group_of(nodeid: str) -> str:
    path = nodeid.partition("::")[0]
    place = path.removeprefix("tests/").removeprefix("noptoolkit/")
    return next((name for name, places in TOGETHER.items() if place.startswith(places)), path)


@pytest.fixture(scope="session", autouse=True)
def layouts_found_once() -> Iterator[None]:
    """Give a run the layout that an earlier run of the session found for the same question.

    Searching layouts takes most of a run's time, and the README, the commands, the pictures and the studies
    ask for the same few. A question is everything that `allocate` is given; `tests/allocation` and
    `tests/test_lazy_runs.py` see to it that the same question has the same answer.
    """
    find: Callable[..., Allocation] = stages.allocate
    known: dict[object, Allocation] = {}

    def allocate_once(
        trace: RoutingTrace,
        package: Package,
        *,
        method: object,
        objective: object,
        layer_time: PackageTime | None,
        rng: np.random.Generator,
    ) -> Allocation:
        state = hashlib.sha256(repr(rng.bit_generator.state).encode()).hexdigest()
        timed = None if layer_time is None else stages.content_of(layer_time)
        question = (trace.digest(), package.digest(), method, objective, timed, state)
        if question not in known:
            known[question] = find(
                trace, package, method=method, objective=objective, layer_time=layer_time, rng=rng
            )
        return known[question]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "allocate", allocate_once)
        yield


STEPS: dict[object, tuple[StepSchedule, list[warnings.WarningMessage]]] = {}


@pytest.fixture(scope="module", autouse=True)
def steps_found_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give a run the step that an earlier run of the group ``runs`` found for the same question.

    Only to what asks for steps inside the library: `noptoolkit.schedule` itself, which `tests/step` calls,
    answers every time anew. Warnings are said again.
    """
    if _group_of(request.node.nodeid) != "runs":
        yield
        return
    find: Callable[..., StepSchedule] = stages.schedule
    known = STEPS

    def schedule_once(
        package: Package, workload: Workload, allocation: Allocation | None = None, **options: Any
    ) -> StepSchedule:
        plain = {name: value for name, value in options.items() if name not in ("policy", "efficiency")}
        if not all(isinstance(value, str | int | float | None) for value in plain.values()):
            return find(package, workload, allocation, **options)
        layout = None if allocation is None else (allocation.method, allocation.digest())
        question = (package.name, package.digest(), workload.name, workload.digest(), layout)
        question = (*question, repr(sorted(options.items())))
        if question not in known:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                known[question] = find(package, workload, allocation, **options), told
        found, told = known[question]
        for one in told:
            warnings.warn(one.message, one.category, stacklevel=2)
        return found

    with pytest.MonkeyPatch.context() as patch:
        for module in (stages, server, calibration, mozart):
            patch.setattr(module, "schedule", schedule_once)
        yield
