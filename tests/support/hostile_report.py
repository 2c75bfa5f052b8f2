"""A package, a traffic and a table whose names are all markup, script, control characters or turned."""

from pathlib import Path

import numpy as np

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package
from noptoolkit.report import write_report
from noptoolkit.simulate import check
from noptoolkit.tables import Column, Table
from noptoolkit.traffic import from_matrix

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "a\u202eb\u200f",
    "tab\there\x07",
    "${x}`@y{z}",
]


def hostile() -> Package:
    names = HOSTILE[:4]
    nodes = [Chiplet(name) for name in [*names, HOSTILE[4]]]
    links = [Link(a, b, "1 GB/s") for a, b in zip(names, [*names[1:], HOSTILE[4]], strict=True)]
    return Package("</title><script>alert(3)</script>", nodes, links)


def hostile_page(path: Path) -> None:
    package = hostile()
    flow = nop.congestion(package, from_matrix(package, 1e6 * (1 - np.eye(5)), name="</script><b>"))
    back = nop.congestion(package, from_matrix(package, 1e6 * np.eye(5)[::-1], name=HOSTILE[1]))
    turned = from_matrix(package, 1e3 * np.eye(5)[::-1], name=HOSTILE[2])
    seen = check(nop.congestion(package, turned, routing="shortest"))
    table = Table([Column("<i>", meaning='" onmouseover="x')], [["</td><script>"]])
    results = [flow.upgrade("d2d", to="2 GB/s"), flow, back, seen, table]
    write_report(results, path, command=["noptoolkit", "$(rm x)", "</pre><script>"])
