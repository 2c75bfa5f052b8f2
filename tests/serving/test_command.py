"""``noptoolkit serve`` prints what `serve` returns."""

import json

from typer.testing import CliRunner

from noptoolkit.cli.application import app


def test_serve_prints_a_table() -> None:
    words = ["serve", "mesh-4x4", "--on", "stdlib-moe", "--context", "64", "--batch", "1,4", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [row["batch"] for row in rows] == [1, 4]
