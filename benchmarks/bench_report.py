"""Report pages: size, CPU time of making them beside the runs, and what a browser needs to show them.

python benchmarks/bench_report.py            (3 packages x 2 workloads, and 6 x 3)
python benchmarks/bench_report.py browser    (256 chiplets in headless Chromium: frames and the Gantt chart)

Goals: 5 s and 5 MB for the first, 10 s and 10 MB for the second; a frame under 50 ms when pointing at a map
of 256 chiplets; a Gantt chart of 40,000 tasks in 3 s. The browser's times are wall times: of a machine that
is busy with other things they are upper bounds, and CPU time of all its processes stands beside.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import noptoolkit as nop
from noptoolkit.study import Comparison

FIRST = ("mozart-nop-tree", "mesh-4x4", "torus-4x4")
SECOND = (*FIRST, "hypercube-16", "folded-torus-4x4", "mesh-4x4-in-network")
WORKLOADS = ("qwen3-30b-a3b", "olmoe-1b-7b", "gpt-oss-20b")
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
POINT = """async () => {
  const all = [...document.querySelectorAll('figure.map:not([hidden]) [data-c]')], found = [];
  for (let i = 0; i < 60; i++) {
    const one = all[(i * 37) % all.length], box = one.getBoundingClientRect(), begin = performance.now();
    one.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: box.x, clientY: box.y }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    found.push(performance.now() - begin);
  }
  found.sort((a, b) => a - b);
  return [found[30], found[57]];
}"""
GANTT = """async () => {
  const begin = performance.now();
  await nop.charts.show('gantt-0');
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  return performance.now() - begin;
}"""


def write(result: Comparison, name: str) -> Path:
    path = Path(tempfile.mkdtemp()) / "page.html"
    start = time.process_time()
    result.to_html(path)
    seconds = time.process_time() - start
    tasks = sum(len(run.plan.graph) for run in result.runs)
    print(f"{name:24} {seconds:5.2f} s CPU  {path.stat().st_size / 1e6:5.2f} MB  {tasks:,} tasks", flush=True)
    return path


def pages() -> None:
    for packages, workloads in ((FIRST, WORKLOADS[:2]), (SECOND, WORKLOADS)):
        start = time.process_time()
        result = nop.compare(packages, workloads, allocator="contiguous", routing="shortest")
        print(f"runs: {time.process_time() - start:.1f} s CPU")
        write(result, f"{len(packages)} packages x {len(workloads)}")


def processor(chromium: Any) -> float:
    """Return the CPU time of all processes of a browser, in s."""
    told = chromium.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    return float(sum(one["cpuTime"] for one in told["processInfo"]))


def browser() -> None:
    from playwright.sync_api import sync_playwright

    place = next(filter(None, map(shutil.which, BROWSERS)), None)
    if place is None:
        sys.exit("no Chromium here: make browser")
    mesh = nop.topology.mesh(16, attention=True, memory=True, flops="74 TFLOP/s")
    large = nop.compare(mesh, "stdlib-moe", allocator="contiguous", routing="shortest", metrics=["uniform"])
    small = nop.compare("mozart-nop-tree", "qwen3-30b-a3b", allocator="contiguous", routing="shortest")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=place, args=["--no-sandbox"])
        shown = chromium.new_page(viewport={"width": 1400, "height": 900})
        path = Path(tempfile.mkdtemp()) / "page.html"
        large.to_html(path)
        shown.goto(path.as_uri())
        shown.evaluate("nop.find('map-section').scrollIntoView()")
        shown.wait_for_timeout(500)
        median, most = shown.evaluate(POINT)
        print(f"map of 256 chiplets: a frame {median:.0f} ms, 95 % within {most:.0f} ms")
        shown.goto(write(small, "1 package x 1").as_uri())
        before = processor(chromium)
        waited = shown.evaluate(GANTT) / 1e3
        print(f"its Gantt chart: {waited:.2f} s, {processor(chromium) - before:.2f} s CPU")
        chromium.close()


if __name__ == "__main__":
    warnings.simplefilter("ignore", nop.errors.NopWarning)
    browser() if "browser" in sys.argv[1:] else pages()
