"""``noptoolkit plan``: what it prints, and what it refuses."""

import json

import pytest

from noptoolkit.cli.application import main
from noptoolkit.errors import PlanError
from noptoolkit.plans.plan_names import fields_of_plan, plan_of


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_best_plans_are_printed_with_their_certificate(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--package", "wafer-mesh-16", "--set", "layers=2", "--keep", "2", "--json"]
    code, out, _ = run(capsys, "plan", "olmoe-1b-7b", *words)
    assert code == 0
    table = json.loads(out)
    assert len(table["rows"]) == 2
    assert any("under this model" in note for note in table["notes"])


def test_a_plan_is_shown_with_its_bound(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "show", "TP2 EP4 PP2", "--on", "olmoe-1b-7b", "--package", "wafer-mesh-16"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "no schedule of this plan" in out
    assert "MFU" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["show", "TP3", "--on", "olmoe-1b-7b"], 1, "nearest plan that works"),
        (["show", "TP2"], 2, "--on MODEL"),
        (["show", "--on", "olmoe-1b-7b"], 2, "which plan to show"),
        (["show", "TX2", "--on", "olmoe-1b-7b"], 1, "no field 'TX'"),
        (["olmoe-1b-7b", "--budget", "1 MB"], 1, "out of memory"),
        (["olmoe-1b-7b", "--objective", "setp"], 1, "did you mean 'step'"),
        (["olmoe-1b-7b", "--schedule", "1fb1"], 1, "did you mean '1f1b'"),
        (["olmoe-1b-7b", "mixtral-8x22b"], 2, "one model at a time"),
        (["olmoe-1b-7b", "--constants", "magic"], 2, "ideal, eos"),
        (["olmoe-1b-7b", "--fix", "TP5"], 1, "the fixed TP5: world % (TP x CP x PP): 16 ranks"),
        (["olmoe-1b-7b", "--fix", "CP0"], 1, "fixed cp = 0"),
        (["olmoe-1b-7b", "--fix", "EP64 ETP8"], 1, "not divided by 512"),
        (["olmoe-1b-7b", "--fix", "VPP3"], 1, "no plan has the fixed VPP3"),
        (["olmoe-1b-7b", "--mode", "decode"], 1, "not decode"),
        (["olmoe-1b-7b", "--copies", "chiplets"], 2, "without --routed"),
        (["olmoe-1b-7b", "--energy-per-flop", "1 pJ"], 2, "say show PLAN"),
    ],
)
def test_what_is_refused_is_said(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    ended, out, err = run(capsys, "plan", *words, "--package", "wafer-mesh-16")
    assert ended == code
    assert says in " ".join((out + err).replace("│", " ").split())


def test_the_help_names_the_option_of_the_workload(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plan", "--help")
    assert "typing." not in out


def test_names_of_plans_are_read() -> None:
    assert fields_of_plan("tp=2, EP8/pp4") == {"tp": 2, "ep": 8, "pp": 4}
    plan = plan_of("TP2 EP4 ETP2 PP8 VPP7 DP8 not folded")
    assert (plan.etp, plan.folded, plan.schedule) == (2, False, "interleaved")
    assert plan_of(str(plan)) == plan
    assert plan_of("PP4 dualpipe recompute full").recompute == "full"
    for text in ("TP", "2TP", "TP2 TP4", "TP2 micro_batch=1", ""):
        if text:
            with pytest.raises(PlanError):
                plan_of(text)


def test_a_plan_that_does_not_fit_says_so_first(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "plan",
        "show",
        "TP2 EP8 PP8 VPP7",
        "--on",
        "mixtral-8x22b",
        "--package",
        "dgx-h100-64",
        "--json",
    ]
    _, out, _ = run(capsys, *words)
    table = json.loads(out)
    assert "out of memory: stage 0 needs 125 GB of 80 GB" in table["title"]
    assert all(column["meaning"] for column in table["columns"])
    compute = next(row for row in table["rows"] if row["what"] == "compute")
    assert "memory traffic" in compute["remark"]
