"""Parts of the solvers that choose what is tried next, each with an answer that a reader can give."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from flow_cases import all_to_all, random_package, random_traffic

from noptoolkit import Chiplet, Link, Package
from noptoolkit.flow import congestion
from noptoolkit.flow.best_widths import search_of
from noptoolkit.flow.bounds.program import FlowProgram, peel
from noptoolkit.flow.optimal.linear_program import solve_linear_program
from noptoolkit.flow.optimal.scaled_program import solve_scaled_program
from noptoolkit.flow.trees.compiled_trees import meet_wide_sets
from noptoolkit.flow.trees.multicast import tree_loads
from noptoolkit.flow.trees.split_paths import MOST_COUNTS, MOST_PARTS, most_parts
from noptoolkit.flow.verification.trees import CALL, CHUNK, program_steps
from noptoolkit.flow.widths.choices import choices_of
from noptoolkit.routing.forwarding import take_first
from noptoolkit.routing.problem import routing_problem
from noptoolkit.traffic import Traffic


def program_of(package: Package, traffic: Traffic) -> FlowProgram:
    problem = routing_problem(package, traffic)
    program = peel(problem, tree_loads(problem, take_first)).program
    assert program is not None
    return program


@pytest.mark.parametrize("seed", range(3))
def test_shares_count_what_resources_carry_anyway(seed: int) -> None:
    """The program of shares against that of amounts, with a base on every resource."""
    package = random_package(seed, nodes=7)
    program = program_of(package, random_traffic(package, seed))
    rng = np.random.default_rng(seed)
    program = dataclasses.replace(program, base=rng.uniform(0, 3, len(program.base)) * program.capacity)
    exact = solve_linear_program(program)
    assert exact is not None
    found = solve_scaled_program(program, 2 * exact.time, tol=1e-6)
    assert found is not None
    assert found.time == pytest.approx(exact.time, rel=1e-6)
    assert found.bound == pytest.approx(exact.time, rel=1e-6)


def test_messages_meet_the_sets_that_hold_one_of_their_members() -> None:
    """200 endpoints and 70 sets: more words than one of either."""
    rng = np.random.default_rng(4)
    held, wanted = rng.random((200, 70)) < 0.02, rng.random((30, 200)) < 0.03
    wanted[0] = False

    def words(flags: np.ndarray) -> np.ndarray:
        padded = np.zeros((len(flags), -(-flags.shape[1] // 64) * 64), np.uint8)
        padded[:, : flags.shape[1]] = flags
        return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)

    holds = np.zeros((256, 2), np.uint64)
    holds[:200] = words(held)
    amount, rows, met = rng.uniform(1, 2, 30), np.arange(0, 30, 2), np.zeros(128)
    meet_wide_sets(rows, words(wanted), amount, holds, met)
    expected = (amount[:, None] * (wanted.astype(int) @ held > 0))[rows].sum(axis=0)
    assert met[:70] == pytest.approx(expected)
    assert not met[70:].any()


def test_few_roots_and_messages_may_take_many_parts() -> None:
    assert most_parts(1, 0) == min(MOST_PARTS, MOST_COUNTS)
    assert most_parts(4, 0) == min(MOST_PARTS // 4, MOST_COUNTS)
    assert most_parts(10 * MOST_PARTS, 1) == most_parts(1, 10 * MOST_COUNTS) == 1


@pytest.mark.parametrize("k", [1, 2, 5])
def test_steps_of_the_program_over_subsets_are_its_pairs_of_subsets(k: int) -> None:
    """Every subset is parted in every two, at every vertex, and goes from every vertex to every other."""
    subsets = [frozenset(s) for size in range(k + 1) for s in itertools.combinations(range(k), size)]
    halves = sum(part <= whole for whole in subsets for part in subsets) / 2
    for sets, vertices in ((1, 3), (7, 40)):
        batches = -(-sets // max(1, CHUNK // (vertices * max(vertices, 2**k))))
        expected = sets * (halves * vertices + len(subsets) * vertices**2) + batches * halves * CALL
        assert program_steps(sets, k, vertices) == pytest.approx(expected)


@pytest.mark.parametrize(("floor", "solves"), [(0.0, 3), (1.0, 0)])
def test_only_links_that_keep_nothing_are_spread_anew(floor: float, solves: int) -> None:
    links = [Link("a", "b", 2.0), Link("b", "c", 4.0), Link("a", "c", 1.0)]
    package = Package("triangle", [Chiplet(name) for name in "abc"], links)
    flow = congestion(package, all_to_all(package))
    search = search_of([flow], choices_of(package, floor=floor))
    search.ascend(5.0, 3)
    assert search.solves == solves
