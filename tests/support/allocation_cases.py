"""Small packages and traces for the allocation tests."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from noptoolkit import Chiplet, Link, Package, RoutingTrace, Switch, SyntheticRouting
from noptoolkit.allocation import LayoutProblem
from noptoolkit.allocation.allocating import layout_problems
from noptoolkit.allocation.layout import count_distinct
from noptoolkit.synthetic import draw_trace

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def tree(groups: int, per_group: int, root: bool = True) -> Package:
    """A root, a switch per group, expert chiplets below."""
    chiplets = [
        Chiplet(f"e{g * per_group + i}", role="expert", group=f"g{g}", flops="1 TFLOP/s")
        for g in range(groups)
        for i in range(per_group)
    ]
    switches = [Switch(f"sw{g}", replicates=True, reduces=True) for g in range(groups)]
    top = Chiplet("root", role="attention") if root else Switch("root", replicates=True, reduces=True)
    links = [Link("root", s.name, "1 GB/s") for s in switches]
    links += [Link(f"sw{i // per_group}", c.name, "1 GB/s") for i, c in enumerate(chiplets)]
    return Package("tree", [top, *switches, *chiplets], links)


def grid(rows: int, columns: int) -> Package:
    """A mesh of expert chiplets, each column a group."""
    chiplets = [
        Chiplet(f"e{r * columns + c}", role="expert", group=f"g{c}", flops="1 TFLOP/s", replicates=True)
        for r in range(rows)
        for c in range(columns)
    ]
    links = [
        Link(f"e{r * columns + c}", f"e{r * columns + c + 1}", "1 GB/s")
        for r in range(rows)
        for c in range(columns - 1)
    ]
    links += [Link(f"e{i}", f"e{i + columns}", "1 GB/s") for i in range((rows - 1) * columns)]
    return Package("grid", chiplets, links)


def topical(
    experts: int = 32, top_k: int = 4, tokens: int = 1200, layers: int = 1, seed: int = 0
) -> RoutingTrace:
    """Synthetic routing with strong co-activation."""
    topics = 8 if experts % 8 == 0 else 2
    return draw_trace(SyntheticRouting(experts, top_k, tokens, layers, topics, affinity=3.0, seed=seed))


def problem_of(trace: RoutingTrace, groups: int = 4, per_group: int = 4, **options) -> LayoutProblem:
    (problem,) = layout_problems(trace, tree(groups, per_group), **options)
    return problem


@lru_cache
def all_layouts(experts: int, chiplets: int) -> np.ndarray:
    """Every layout with equally many experts per chiplet, up to the chiplets' names, [layouts, experts]."""
    return np.array(list(_layouts(tuple(range(experts)), experts // chiplets, experts, 0)))


def _layouts(left: tuple[int, ...], size: int, experts: int, chiplet: int) -> Iterator[np.ndarray]:
    if not left:
        yield np.zeros(experts, dtype=np.int64)
        return
    for others in combinations(left[1:], size - 1):
        block = (left[0], *others)
        rest = tuple(e for e in left if e not in block)
        for places in _layouts(rest, size, experts, chiplet + 1):
            places[list(block)] = chiplet
            yield places


def least_connectivity(problem: LayoutProblem, chiplets: int) -> float:
    """The fewest copies of any layout, by trying all of them."""
    places = all_layouts(problem.num_experts, chiplets)
    return float((count_distinct(places[:, problem.sets]) @ problem.counts).min())


@pytest.fixture(scope="session")
def gptoss() -> RoutingTrace:
    path = DATA / "gptoss20b_top4.npz"
    if not path.exists():
        pytest.skip("needs the recorded gpt-oss-20b routing in ../shared/data")
    with np.load(path) as data:
        return RoutingTrace(data["topk"], num_experts=32, source="gpt-oss-20b")
