"""A schedule as a GIF: one frame for each part of the time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.animation import FFMpegWriter
from packages_to_draw import grid
from PIL import Image

from noptoolkit import plot
from noptoolkit.errors import FormatError, ScheduleError
from noptoolkit.scheduling import Schedule, TaskGraphBuilder, schedule_graph


@pytest.fixture
def plan() -> Schedule:
    tasks = TaskGraphBuilder()
    first = tasks.add(1e-6, "e0", kind="expert")
    sent = tasks.add(1e-6, "e0->e1", after=[first], kind="dispatch")
    tasks.add(2e-6, "e1", after=[sent], kind="expert")
    return schedule_graph(tasks.build())


def test_each_part_of_the_time_is_a_frame(plan: Schedule, tmp_path: Path) -> None:
    target = plot.animate(plan, tmp_path / "new" / "step.gif", frames=4, window=(0.0, 4e-6), package=grid(2))
    with Image.open(target) as film:
        assert film.n_frames == 4
        pictures = []
        for k in range(film.n_frames):
            film.seek(k)
            pictures.append(np.asarray(film.convert("RGB"), dtype=float))
    assert np.abs(pictures[0] - pictures[1]).max() > 50


def test_what_cannot_be_written_is_explained(
    plan: Schedule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FormatError, match=r"\.gif or \.mp4"):
        plot.animate(plan, tmp_path / "step.avi", package=grid(2))
    monkeypatch.setattr(FFMpegWriter, "isAvailable", lambda: False)
    with pytest.raises(FormatError, match="needs ffmpeg, which is not installed"):
        plot.animate(plan, tmp_path / "step.mp4", package=grid(2))
    with pytest.raises(ScheduleError, match="on a package"):
        plot.animate(plan, tmp_path / "step.gif")
