"""Odd packages through every format: refused in words, or written; and what is lost is never silent."""

import importlib.util
import random
import shutil
from pathlib import Path

import pytest
from seeds import seeds

from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.errors import NopError
from noptoolkit.formats import FORMATS, load_topology, save_topology

pytestmark = pytest.mark.filterwarnings("ignore:.*have no bandwidth in the file:noptoolkit.errors.NopWarning")

NAMES = [
    "a",
    "b c",
    "n0",
    "r1",
    "e.0",
    "x[0]",
    "中",
    "-1",
    '"q"',
    "#h",
    "a:b",
    "null",
    "1e5",
    "\n",
    "{",
    "&amp;",
]
WIDTHS, DELAYS = (1.0, 1e9, 1e30, 1e-9, 3.3e9), (0.0, 1e-9, 2.5e-9, 1e3, 1e-15)
PLACES, SIZES = (0.0, 1e-3, 1e3, -2e-3), (1e-3, 1e-9, 1.0)
INFRAGRAPH = importlib.util.find_spec("infragraph") is not None


def odd_package(rng: random.Random) -> Package | None:
    names = rng.sample(NAMES, rng.randint(2, 6))
    nodes: list[Chiplet | Switch | Memory] = []
    for i, name in enumerate(names):
        place = {"position": rng.choices(PLACES, k=2), "size": rng.choices(SIZES, k=2)}
        given: dict[str, object] = {"latency": rng.choice(DELAYS)} | (place if rng.random() < 0.8 else {})
        match rng.choice("cccsm") if i else "c":
            case "s":
                nodes.append(Switch(name, **given))  # type: ignore[arg-type]
            case "m":
                nodes.append(Memory(name, rng.choice(WIDTHS), **given))  # type: ignore[arg-type]
            case _:
                nodes.append(Chiplet(name, **given))  # type: ignore[arg-type]
    links = []
    for i in range(1, len(names) + rng.randint(0, 3)):
        a, b = (names[rng.randrange(i)], names[i]) if i < len(names) else rng.sample(names, 2)
        length, half = rng.choice((None, 1e-3, 1e3)), rng.random() < 0.2
        back = None if half or i < len(names) else rng.choice((None, 0.0, 2e9))
        delay, width = rng.choice(DELAYS), rng.choice(WIDTHS)
        links.append(Link(a, b, width, back, latency=delay, half_duplex=half, length=length))
    try:
        return Package("odd", nodes, links)
    except NopError:
        return None


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
@pytest.mark.parametrize("seed", seeds(13, 40))
def test_odd_packages(seed: int, tmp_path: Path) -> None:
    package = odd_package(random.Random(seed))
    if package is None:
        return
    assert Package.from_networkx(package.graph) == package
    for name, format in FORMATS.items():
        path = tmp_path / name / f"x{''.join(format.suffixes[:1])}"
        path.parent.mkdir()
        try:
            lost = save_topology(package, path, format=name)
        except NopError:
            continue
        if format.read is not None and (name != "infragraph" or INFRAGRAPH):
            back = load_topology(path, format=name)  # what is written can be read
            assert lost or back == package
        shutil.rmtree(path.parent)
