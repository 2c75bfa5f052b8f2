"""A real Dask cluster on loopback: the same rows, also when a worker is killed in the middle."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from noptoolkit.errors import NopError
from noptoolkit.studies import sweep, sweep_all

pytest.importorskip("distributed", reason="the extra 'distributed' is not installed")

SPACE = {
    "builder": "ring",
    "params.count": [4, 5, 6, 7, 8, 9],
    "params.flops": "1 TFLOP/s",
    "params.link_bandwidth": ["64 GB/s", "128 GB/s"],
    "workload": "stdlib-moe",
    "allocator": "contiguous",
}
SCHEDULER = """
import asyncio
from distributed import Scheduler
async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address=None, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(main())
"""
WORKER = """
import asyncio, sys
from distributed import Worker
async def main():
    async with Worker(sys.argv[1], nthreads=1, dashboard=False, local_directory=sys.argv[2]) as worker:
        print("ready", flush=True)
        await worker.finished()
asyncio.run(main())
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    def started(code: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=dict(os.environ),
        )

    scheduler = started(SCHEDULER)
    assert scheduler.stdout is not None
    address = scheduler.stdout.readline().strip()
    workers = [started(WORKER, address, str(tmp_path / f"w{i}")) for i in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == "ready"
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.communicate()


@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_loses_no_point(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[str]]]
) -> None:
    address, workers = cluster
    names = ["c_t", "total_bandwidth"]
    rows = []
    for row in sweep(SPACE, names, store=tmp_path / "a.db", scheduler=address):
        rows.append(row)
        if len(rows) == 3:
            workers[0].send_signal(signal.SIGKILL)
    rows.sort(key=lambda row: row.position)
    here = sweep_all(SPACE, names)
    assert [(r.key, r.values, r.error) for r in rows] == [(r.key, r.values, r.error) for r in here]


@pytest.mark.filterwarnings("ignore")
def test_no_scheduler_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from noptoolkit.studies import cluster

    monkeypatch.setattr(cluster, "PATIENCE", "1s")
    with pytest.raises(NopError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        sweep(SPACE, ["links"], scheduler="tcp://127.0.0.1:9")
    with pytest.raises(NopError, match="scheduler 'nonsense' is no address"):
        sweep(SPACE, ["links"], scheduler="nonsense")
