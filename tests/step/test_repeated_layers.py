"""Copies of a layer's tasks are the tasks that would have been written one by one."""

import numpy as np
import pytest

from noptoolkit import Batch, MoEModel, SyntheticRouting, Workload, allocate
from noptoolkit.errors import ScheduleError
from noptoolkit.scheduling import TaskGraphBuilder
from noptoolkit.scheduling.list_scheduling import list_schedule
from noptoolkit.step import Policy, StepOptions, overlapping, step_of
from noptoolkit.step.policies import MOST_CHUNKS
from noptoolkit.topology import mesh

MODEL = MoEModel(
    "m", hidden=64, layers=9, heads=4, kv_heads=2, head_dim=16, vocab=99, expert_width=32, experts=16, top_k=2
)


@pytest.mark.parametrize("contention", ["factor", "fluid"])
@pytest.mark.parametrize("mode", ["training", "decode"])
def test_a_copied_layer_is_the_layer_written_anew(
    monkeypatch: pytest.MonkeyPatch, mode: str, contention: str
) -> None:
    package = mesh(2, 4, attention=False, flops="1 TFLOP/s", sram="1 MB", memory=True)
    batch = Batch(sequences=8, sequence_length=16, micro_batches=4, mode=mode)  # type: ignore[arg-type]
    workload = Workload("m", MODEL, batch, SyntheticRouting(16, 2, tokens=256, layers=3, topics=4))
    layout = allocate(workload.trace, package, method="contiguous")
    step = step_of(package, workload, layout, StepOptions(routing="dor"))
    quick = overlapping.overlapped_graph(step, contention=contention)
    copies = []
    monkeypatch.setattr(overlapping._Writer, "repeated", lambda self, *args: copies.append(args))
    slow = overlapping.overlapped_graph(step, contention=contention)
    assert copies
    assert (quick.resources, quick.kinds, quick.needs) == (slow.resources, slow.kinds, slow.needs)
    assert quick.chains == slow.chains
    assert all(map(np.array_equal, quick.fronts, slow.fronts))
    assert (quick.labels == slow.labels).all()
    for name in (
        "duration",
        "need",
        "hold",
        "pred_ptr",
        "pred",
        "kind",
        "use_ptr",
        "use_resource",
        "use_time",
    ):
        assert np.array_equal(getattr(quick, name), getattr(slow, name)), name


@pytest.mark.parametrize("mode", ["training", "decode"])
def test_what_many_tasks_wait_for_as_one_changes_no_time(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    package = mesh(3, 4, flops="1 TFLOP/s", sram="20 kB", memory=True, attention=True)
    batch = Batch(sequences=8, sequence_length=16, micro_batches=4, mode=mode)  # type: ignore[arg-type]
    workload = Workload("m", MODEL, batch, SyntheticRouting(16, 2, tokens=256, layers=3, topics=4))
    layout = allocate(workload.trace, package, method="contiguous")
    step = step_of(package, workload, layout, StepOptions(routing="ecmp"))
    together = overlapping.overlapped_graph(step)
    monkeypatch.setattr(overlapping._Writer, "shared", lambda self, ids, count, label: ids)
    apart = overlapping.overlapped_graph(step)
    assert len(together.pred) < 0.9 * len(apart.pred)
    for rounds in (0, 2):
        one, other = (list_schedule(graph, rounds=rounds) for graph in (together, apart))
        assert one.makespan == other.makespan
        work = [(graph.duration > 0) for graph in (together, apart)]
        assert np.array_equal(one.start[work[0]], other.start[work[1]])


def test_a_copy_needs_a_stand_in_for_every_task_that_it_waits_for() -> None:
    tasks = TaskGraphBuilder()
    first = tasks.add(1.0, "pe", label="run L0")
    second = tasks.add(2.0, "pe", [first], label="run L1")
    assert tasks.repeat(second, second + 1, {first: second}, ("L1", "L2")) == 1
    graph = tasks.build()
    assert graph.labels.tolist() == ["run L0", "run L1", "run L2"]
    assert graph.pred.tolist() == [0, 1]
    with pytest.raises(ScheduleError, match="nothing stands for"):
        tasks.repeat(second, second + 1, {}, ("L1", "L3"))


@pytest.mark.parametrize("chunks", [0, MOST_CHUNKS + 1, 10**9, 1.5])
def test_a_transfer_is_cut_into_a_few_chunks(chunks: object) -> None:
    with pytest.raises(ScheduleError, match=rf"chunks .* must be a whole number from 1 to {MOST_CHUNKS}"):
        Policy(contention="reserve", chunks=chunks)  # type: ignore[arg-type]
    assert Policy(contention="reserve", chunks=MOST_CHUNKS).chunks == MOST_CHUNKS
