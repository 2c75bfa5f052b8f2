"""One comparison and one page for all tests of the report, and a browser where there is one."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import noptoolkit as nop
from noptoolkit.study import Comparison

BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)


@pytest.fixture(scope="session")
def result() -> Comparison:
    """Two small packages, all stages computed by routings that need no solver."""
    mesh = nop.topology.mesh(2, attention=True, memory=True, flops="74 TFLOP/s")
    tree = nop.topology.nop_tree(2, 2, attention=True, memory=True, flops="74 TFLOP/s")
    return nop.compare([mesh, tree], "stdlib-moe", allocator="contiguous", routing="shortest")


@pytest.fixture(scope="session")
def page(result: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page."""
    path = tmp_path_factory.mktemp("report") / "page.html"
    result.to_html(path)
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium of the system, that of ``NOPTOOLKIT_BROWSER`` or the first found on the path."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    place = os.environ.get("NOPTOOLKIT_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if place is None:
        pytest.skip(
            "no Chromium on this machine: apt-get install chromium-headless-shell (make browser does)"
        )
    with sync_api.sync_playwright() as play:
        made = play.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield made
        made.close()
