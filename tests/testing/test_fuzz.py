"""Mutants of sound files: every reader reads or refuses them."""

import resource
from pathlib import Path

import pytest

from noptoolkit.errors import FormatError
from noptoolkit.testing import fuzz, targets
from noptoolkit.testing.fuzz import attack, main
from noptoolkit.testing.targets import TARGETS, Target


@pytest.mark.parametrize("format", TARGETS)
def test_mutants_are_read_or_refused(format: str) -> None:
    if format == "infragraph":
        pytest.importorskip("infragraph")
    if format == "chakra":
        pytest.importorskip("google.protobuf")
    report = attack(format, 15, seed=23)
    assert not report.findings, "\n".join(map(str, report.findings))
    assert report.cases == report.read + report.refused == 15


@pytest.mark.long
@pytest.mark.parametrize("format", TARGETS)
def test_a_thousand_mutants_are_read_or_refused(format: str) -> None:
    report = attack(format, 1000, seed=7)
    assert not report.findings, "\n".join(map(str, report.findings))


def test_findings_are_found_and_made_small(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def reads(path: Path) -> object:
        text = path.read_bytes()
        if b"7" in text:
            raise KeyError(7)
        if b"8" in text:
            while True:
                pass
        raise FormatError("no")

    monkeypatch.setitem(targets.TARGETS, "plan", Target(".txt", reads, "text"))
    monkeypatch.setattr(fuzz, "samples_of", lambda _: [])
    with pytest.raises(IndexError):  # nothing to mutate
        attack("plan", 1)
    monkeypatch.setattr(Target, "mutant", lambda self, data, rng: data)
    monkeypatch.setattr(fuzz, "samples_of", lambda _: [b"a7bcd"])
    path = tmp_path / "case.txt"
    assert fuzz._outcome("plan", path, b"a7bcd", 0.2) == "KeyError at ?: 7"
    assert fuzz._outcome("plan", path, b"xx8", 0.05) == "too long"
    assert fuzz._outcome("plan", path, b"xx", 0.05) == "refused"
    assert fuzz._smaller("plan", path, b"abcdefg7hij", "KeyError at ?: 7", 0.2) == b"7"
    monkeypatch.undo()
    before = resource.getrlimit(resource.RLIMIT_AS)
    assert main(["quantity", "plan", "--cases", "3", "--seed", "1"]) == 0
    assert resource.getrlimit(resource.RLIMIT_AS) == before, "what runs next has less memory"
    assert "findings" in capsys.readouterr().out
