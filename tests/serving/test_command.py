"""``noptoolkit serve`` prints what `serve` returns."""

import json

import pytest
from typer.testing import CliRunner

from noptoolkit.cli.application import app
from noptoolkit.errors import NopError


def test_serve_prints_a_table() -> None:
    words = ["serve", "mesh-4x4", "--on", "stdlib-moe", "--context", "64", "--batch", "1,4", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [row["batch"] for row in rows] == [1, 4]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rate", "0"), "rate=0.0: give arrivals per second"),
        (("--proposed", "10000"), "proposed=10000: give a whole number of tokens from 0 to 1000"),
        (("--batch", "8:1"), "batch='8:1'"),
    ],
)
def test_a_wrong_number_is_refused_before_anything_is_placed(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from noptoolkit.cli import serving

    monkeypatch.setattr(serving, "_layout", lambda *given: pytest.fail("experts were placed"))
    done = CliRunner().invoke(app, ["serve", "mesh-4x4", "--on", "stdlib-moe", *words])
    assert isinstance(done.exception, NopError)
    assert said in str(done.exception)


@pytest.mark.parametrize("words", [["--output", "8"], ["--chunk", "64"], ["--acceptance", "0.5"]])
def test_options_that_would_change_nothing_are_refused(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["serve", "mesh-4x4", "--on", "stdlib-moe", *words])
    assert done.exit_code == 2
