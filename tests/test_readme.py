"""The README's first table is what the command under it prints today."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from noptoolkit.cli import screen
from noptoolkit.cli.application import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def rows(text):
    """Return the words of every row of a table, but for the bottleneck: of equals any may be named."""
    lines = [line.split() for line in text.splitlines()]
    return [words for words in lines if words and words[0] != "bottleneck" and "──" not in words[0]]


@pytest.mark.filterwarnings("ignore::noptoolkit.errors.NopWarning")
def test_first_table_is_what_the_command_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(screen.output, "_width", 120)  # not that of the test that imported it first
    command = re.search(r"noptoolkit (compare .* --on qwen3-30b-a3b) --on", README).group(1)
    printed = CliRunner().invoke(app, command.split()).stdout
    shown = README.split("```text\n", 1)[1].split("```", 1)[0]
    assert len(rows(shown)) == 20
    assert rows(printed) == rows(shown)
