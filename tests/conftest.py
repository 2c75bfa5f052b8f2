"""What the whole suite shares: each layout by search is found once in a session."""

import hashlib
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import settings

from noptoolkit import stages
from noptoolkit.allocation import Allocation, PackageTime
from noptoolkit.package import Package
from noptoolkit.trace import RoutingTrace

# The gate draws the same examples every time: what fails there fails again. `make long` draws new ones.
settings.register_profile("gate", derandomize=True)
settings.register_profile("random")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


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
