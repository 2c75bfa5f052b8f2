"""Packages small enough to check by hand, and a canvas that leaves nothing behind."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import pytest

from noptoolkit import Chiplet, Link, Memory, Package, Switch

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def tree() -> Package:
    """An attention chiplet, two switches with two experts each, a memory stack; no positions."""
    nodes = [Chiplet("attn", role="attention"), Switch("sw0"), Switch("sw1")]
    nodes += [Chiplet(f"e{i}", role="expert") for i in range(4)]
    nodes += [Memory("hbm0", "256 GB/s")]
    links = [Link("attn", f"sw{g}", "512 GB/s") for g in range(2)]
    links += [Link(f"sw{i // 2}", f"e{i}", "128 GB/s") for i in range(4)]
    links += [Link("hbm0", "attn", "256 GB/s", kind="memory", half_duplex=True)]
    return Package("small tree", nodes, links)
