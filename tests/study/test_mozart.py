"""The published figures, the presets, and how far they are apart."""

import warnings

import numpy as np
import pytest

from noptoolkit.errors import NopWarning
from noptoolkit.formats import load_topology
from noptoolkit.study.calibration import Measurement, calibrate, leave_one_out, root_mean_square
from noptoolkit.study.mozart import _Reproduction, mozart_data, with_memory


@pytest.fixture(scope="module")
def reproduction() -> _Reproduction:
    return _Reproduction(lambda _: None)


@pytest.fixture(scope="module")
def measurements(reproduction: _Reproduction) -> list[Measurement]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        return list(reproduction.measurements())


FIXED = {"streaming": 0.0}


def test_thirteen_figures(measurements: list[Measurement]) -> None:
    assert len(measurements) == 13
    assert sum(m.baseline is not None for m in measurements) == 11


def test_the_fit_reaches_its_goal_and_the_preset_is_the_fit(measurements: list[Measurement]) -> None:
    fit = calibrate(measurements, fixed_exposed=FIXED)
    assert fit.rms <= 0.03
    assert fit.worst <= 0.06
    preset = mozart_data()["preset"]["calibrated"]
    for name in ("compute", "memory", "network"):
        assert getattr(fit.efficiency, name) == pytest.approx(preset[name], rel=0.01)
    for policy, share in preset["exposed"].items():
        assert fit.exposed[policy] == pytest.approx(share, abs=0.005)


def test_leaving_a_model_out_beats_the_null_model(measurements: list[Measurement]) -> None:
    left = leave_one_out(measurements, fixed_exposed=FIXED)
    assert [one.group for one in left] == ["Qwen3", "OLMoE", "DeepSeek"]
    ours = root_mean_square(left, lambda one: one.errors)
    null = root_mean_square(left, lambda one: one.null_errors)
    assert ours <= 0.055
    assert null > 2 * ours


def test_published_tables_agree_within_six_per_cent() -> None:
    products = [
        model["speed_up"][v] * model["latency"][v]
        for model in mozart_data()["model"]
        for v in ("A", "B", "C")
    ]
    assert np.abs(np.array(products) - 1).max() == pytest.approx(0.0584, abs=1e-4)


@pytest.mark.long
def test_slower_memory_gains_less_from_overlap(
    reproduction: _Reproduction, measurements: list[Measurement]
) -> None:
    fit = calibrate(measurements, fixed_exposed=FIXED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NopWarning)
        rows = list(reproduction.memory_trend(fit))
    for fast, slow in zip(rows[::2], rows[1::2], strict=True):
        assert fast.calibrated > slow.calibrated
        assert slow.calibrated < 1.1  # loading is nearly all there is, and cannot hide
        assert fast.bottom_up > slow.bottom_up
        assert fast.published is None
        assert fast.residual is None


def test_with_memory_changes_stacks_and_their_links_only() -> None:
    package = load_topology("mozart-nop-tree")
    slow = with_memory(package, "15.8 GB/s", "SSD")
    assert {m.bandwidth for m in slow.memories} == {15.8e9}
    stacks = {m.name for m in package.memories}
    for before, after in zip(package.links, slow.links, strict=True):
        assert (before == after) == (not {before.a, before.b} & stacks)
