"""Rooms against oracles that share nothing with them; and the suite itself, against rooms that are wrong."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from noptoolkit.testing import differential, duels
from noptoolkit.testing.differential import DUELS, compare, main
from noptoolkit.testing.duels import Carried
from noptoolkit.testing.problems import random_package

FEW = {"flow": 15, "multicast": 15, "collectives": 10, "simulator": 4, "schedule": 20, "allocation": 6}


@pytest.mark.parametrize("name", DUELS)
def test_rooms_agree_with_oracles(name: str) -> None:
    report = compare(name, FEW[name], seed=23)
    assert not report.findings, "\n".join(map(str, report.findings))


@pytest.mark.long
@pytest.mark.parametrize("name", DUELS)
@pytest.mark.parametrize("first", range(100, 1000, 100))
def test_hundreds_agree_with_oracles(name: str, first: int) -> None:
    report = compare(name, 100, seed=23, first=first)
    assert not report.findings, "\n".join(map(str, report.findings))


def test_a_wrong_bound_is_found_and_made_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    solve = duels.congestion

    def high(package: Any, traffic: Any, **options: Any) -> Any:
        flow = solve(package, traffic, **options)
        return dataclasses.replace(flow, time_bound=flow.time_bound * 1.01, time=flow.time * 1.02)

    monkeypatch.setattr(duels, "congestion", high)
    assert main(["flow", "--seed", "1", "--only", "3"]) == 1
    said = capsys.readouterr().out
    assert "flow --seed 1 --only 3: bound above the optimum of optimal" in said
    assert said.count("[[link]]") + said.count("{ a = ") == 1, said  # one link, one pair


def test_what_is_raised_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("no")

    monkeypatch.setattr(duels, "congestion", fail)
    [found] = compare("flow", 1, shrink=False).findings
    assert found.what == "ZeroDivisionError: no"
    with pytest.raises(SystemExit):
        differential.main(["flaw"])


def test_oracles_know_closed_forms() -> None:
    """A pair over a path of three: the slower of its links, its port, and twice over half duplex."""
    rng = np.random.default_rng(3)
    package = random_package(rng, nodes=(3, 3), ports=0.0, half_duplex=0.0)
    a, b = package.links[0], package.terminals
    one = ((b[0], (b[1],), 1e6, False),)
    both = (*one, (b[1], (b[0],), 1e6, False))
    pair = duels.Package("pair", package.nodes[:2], [dataclasses.replace(a, bandwidth=1e9, half_duplex=True)])
    for messages, time in ((one, 1e-3), (both, 2e-3)):
        problem = Carried(pair, messages)
        ends = [(root, members[0], size) for root, members, size, _ in messages]
        assert duels.least_flow_time(pair, ends) == pytest.approx(time)
        assert duels.least_time(pair, messages) == pytest.approx(time)
        assert list(duels.flow_faults(problem)) == []
