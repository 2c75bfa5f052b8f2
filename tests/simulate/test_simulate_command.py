"""What ``noptoolkit simulate`` refuses before it runs anything."""

import pytest

from noptoolkit.cli import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--allocator", "mozart"), "only counts with --on"),
        (("--threads", "2"), "only counts with --sweep"),
        (("--routing", "optimal"), "depends on the traffic; a router can follow shortest, ecmp"),
        (("--routing", "adaptiv"), "did you mean 'adaptive'"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    words: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", "mesh-4x4", "--rate", "0.2", *words])
    assert stopped.value.code
    assert said in capsys.readouterr().err
