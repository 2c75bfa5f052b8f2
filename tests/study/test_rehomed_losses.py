"""Re-homed steps, worst cases and expectations: verified, against enumeration, and by closed forms."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from flow_cases import all_to_all
from typer.testing import CliRunner

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Package, topology
from noptoolkit.cli.application import app
from noptoolkit.errors import NopError
from noptoolkit.study import expected_step, expected_time, rehome, resilience, step_losses, worst_loss
from noptoolkit.study.loss_sets import draw_sets
from noptoolkit.study.rehoming import with_spares
from noptoolkit.traffic import from_matrix


@pytest.fixture(scope="module")
def run():
    small = topology.mesh(2, 3, attention=True, memory=True, flops="74 TFLOP/s")
    return nop.run(small, "stdlib-moe", allocator="contiguous", routing="shortest")


def test_drawn_sets_are_different_and_equally_likely():
    """Two of five links, four sets a draw: each of ten sets is in two fifths of 1,500 draws (chi squared)."""
    package = topology.ring(5)
    rng = np.random.default_rng(0)
    seen = Counter()
    for _ in range(1500):
        drawn = draw_sets(package, "links", 2, 4, rng)
        assert len({frozenset(names) for names in drawn}) == 4
        seen.update(frozenset(names) for names in drawn)
    assert len(seen) == 10
    expected = 1500 * 4 / 10
    assert sum((count - expected) ** 2 / expected for count in seen.values()) < 21.7  # 1 % of 9 degrees


def test_a_rehomed_step_verifies_and_every_expert_has_a_home(run):
    for lost in (["e1", "e2"], ["hbm0"], ["e0->e1"]):
        after = rehome(run, lost)
        assert after.run.plan.verify()
        layout = after.run.allocation
        layout.check_fits(after.run.package)
        held = np.bincount(layout.chiplet_of_expert[0], minlength=len(layout.experts))
        assert held.sum() == run.given.model.experts
        assert held.max() <= -(-run.given.model.experts // len(layout.experts))
        kept = [name for name in run.package.experts if name not in lost]
        for name in kept:  # nobody moves who need not
            old = set(np.flatnonzero(run.allocation.chiplet_of_expert[0] == run.package.experts.index(name)))
            new = set(np.flatnonzero(layout.chiplet_of_expert[0] == layout.experts.index(name)))
            assert old <= new
    everything = rehome(run, ["e1"], move="all")
    assert everything.run.plan.verify()


def test_what_is_cut_off_is_lost_too_and_what_cannot_work_says_why():
    tree = nop.run("mozart-nop-tree", "stdlib-moe", allocator="contiguous", routing="shortest")
    after = rehome(tree, ["attn->sw1"])
    assert set(after.cut_off) == {"sw1", "e4", "e5", "e6", "e7", "hbm1"}
    assert after.moved > 0
    assert after.run.plan.verify()
    assert rehome(tree, ["attn"]).reason == "no attention chiplet is left"
    assert rehome(tree, ["sw0", "sw1", "sw2", "sw3"]).reason == "no expert chiplet is left"
    with pytest.raises(NopError, match="'lost' or 'all'"):
        rehome(tree, ["e1"], move="some")


def test_losses_of_a_step_keep_fatal_ones_apart(run):
    found = step_losses(run, of="chiplets")
    assert len(found.after) == 7
    assert found.complete
    assert int((~found.lasting).sum()) == 1
    assert found.after[int(np.flatnonzero(~found.lasting)[0])].lost == ("attn",)
    assert found.worst.step == found.step[found.lasting].max()
    assert (found.step[found.lasting] >= [a.step_bound for a in found.after if a.reason == ""]).all()
    table = found.table(2)
    assert table.sections[0] == "no step is left after 1 of 7 losses"
    assert table.sections[-1] == "a step is left after 6 of 7 losses, and 4 more"
    assert "at most" in found.notes()[1]


@pytest.mark.long
def test_losses_side_by_side_are_the_same(run):
    one, two = (step_losses(run, of="links", trials=4, jobs=jobs, rng=0) for jobs in (1, 2))
    np.testing.assert_array_equal(one.step, two.step)


def test_a_spare_chiplet_takes_over_and_nothing_else_moves(run):
    spared = with_spares(run, 1)
    assert not (spared.allocation.chiplet_of_expert == 5).any()
    after = rehome(spared, ["e1"])
    moved = after.run.allocation.chiplet_of_expert[0] == after.run.package.experts.index("e5")
    assert (spared.allocation.chiplet_of_expert[0][moved] == 1).all()
    assert after.run.plan.verify()
    for wrong, words in ((6, "at least one has to work"), (["x"], "no expert chiplet")):
        with pytest.raises(NopError, match=words):
            with_spares(run, wrong)


def test_all_sets_are_the_worst_case():
    package = topology.mesh(2, 3, link_bandwidth=1.0)
    traffic = all_to_all(package)
    for k in (1, 2):
        found = worst_loss(package, traffic, k)
        every = resilience(package, traffic, k)
        finite = np.isfinite(every.time)
        assert found.exact
        assert found.time == pytest.approx(every.time[finite].max())
        torn = {frozenset(lost) for lost, b in zip(every.lost, every.time_bound, strict=True) if np.isinf(b)}
        assert bool(found.fatal) == bool(torn)
        assert not torn or frozenset(found.fatal) in torn
        assert (found.tried, found.never) == (len(every.lost), int(np.isinf(every.time).sum()))
        assert found.at_least <= every.time.max() * (1 + 1e-9)


def test_beyond_enumeration_the_worst_case_is_enclosed(monkeypatch):
    package = topology.mesh(4, 4, link_bandwidth=1.0)
    traffic = all_to_all(package)
    exact = worst_loss(package, traffic, 1)
    monkeypatch.setattr("noptoolkit.study.worst_losses.FEW", 0)
    found = worst_loss(package, traffic, 1, trials=3)
    assert not found.exact
    assert found.at_least <= exact.time * (1 + 1e-6)
    assert found.fatal == ()
    two = worst_loss(package, traffic, 2, trials=2)
    assert set(two.fatal) in ({"e0->e1", "e0->e4"}, {"e0->e4", "e1->e0"}, {"e4->e0", "e1->e0"}) or two.fatal
    assert "at least" in repr(found)
    assert "never completes without" in repr(two)
    assert two.at_least == np.inf


def test_a_fatal_set_is_the_worst_case():
    """Any two links of a ring; one pair in a corner of a mesh, beside the slowest that completes."""
    ring = topology.ring(8, link_bandwidth="128 GB/s")
    found = worst_loss(ring, all_to_all(ring), 2)
    assert (found.tried, found.never, found.lost, found.at_least) == (28, 28, (), np.inf)
    assert "never completes without e0->e1, e1->e2 (28 of 28 sets)" in repr(found)
    assert "at least" not in str(found.table())
    package = topology.mesh(2, 3, link_bandwidth=1.0)
    found = worst_loss(package, all_to_all(package), 2)
    assert 0 < found.never < found.tried
    assert "the worst that completes takes exactly" in repr(found)


def test_expected_time_has_its_closed_form_and_an_interval():
    """A ring of four: no loss 2 s, one loss 4 s, more never completes."""
    ring = topology.ring(4, link_bandwidth=1.0)
    p = 0.1
    found = expected_time(ring, all_to_all(ring), p, trials=20, rng=0)
    none, one = (1 - p) ** 4, 4 * p * (1 - p) ** 3
    assert found.working == pytest.approx(none + one)
    assert found.time == pytest.approx((none * 2 + one * 4) / (none + one))
    assert found.working_interval[0] <= none + one <= found.working_interval[1]
    assert np.isnan(found.time_interval).all()  # no drawn set works: no width is known, not even 0
    assert "no interval: 0 of 20 draws completed" in repr(found)
    assert expected_time(ring, all_to_all(ring), 0.0, trials=2).time == pytest.approx(2.0)
    with pytest.raises(NopError, match="from 0 to 1"):
        expected_time(ring, all_to_all(ring), 1.5)


def test_the_interval_of_an_expectation_covers_the_truth():
    """All 128 sets of lost links of a 2 x 3 mesh by their chance, against twelve sampled estimates."""
    package = topology.mesh(2, 3, link_bandwidth=1.0)
    traffic = all_to_all(package)
    p, links = 0.15, 7
    weight, total = 0.0, 0.0
    times = {(): resilience(package, traffic, 1).intact.time}
    for k in range(1, links + 1):
        found = resilience(package, traffic, k)
        times |= dict(zip(found.lost, found.time.tolist(), strict=True))
    for lost, time in times.items():
        chance = p ** len(lost) * (1 - p) ** (links - len(lost))
        if np.isfinite(time):
            weight += chance
            total += chance * time
    hits = 0
    for seed in range(12):
        found = expected_time(package, traffic, p, trials=25, rng=seed)
        low, high = found.time_interval
        hits += low <= total / weight <= high
        assert found.working_interval[0] <= found.working <= found.working_interval[1]
    assert hits >= 9


def test_expected_step(run):
    found = expected_step(run, 0.05, trials=3, rng=1)
    assert found.intact == run.plan.makespan
    assert 0 < found.working < 1
    assert found.time_interval[0] <= found.time <= found.time_interval[1]


def test_a_package_that_no_loss_leaves_connected():
    pair = Package("pair", [Chiplet("a"), Chiplet("b")], [Link("a", "b", 1.0)])
    after = resilience(pair, from_matrix(pair, [[0, 1.0], [1.0, 0]]))
    assert "no loss completes" in repr(after)
    found = worst_loss(pair, after.intact.traffic)
    assert found.fatal == ("a->b",)
    assert found.lost == ()
    assert "never completes without a->b (1 of 1 sets)" in repr(found)
    many = list(itertools.islice(after.table().rows, 3))
    assert len(many) == 1


def test_the_command_line_rehomes_and_expects():
    words = ["resilience", "mesh-4x4", "--on", "stdlib-moe", "--allocator", "contiguous", "--step", "--json"]
    words += ["--routing", "shortest", "--of", "chiplets", "--trials", "2", "--spares", "2"]
    found = CliRunner().invoke(app, words)
    rows = json.loads(found.stdout)["rows"]
    assert len(rows) == 2
    found = CliRunner().invoke(app, ["resilience", "mesh-4x4", "--worst", "--json"])
    assert json.loads(found.stdout)["rows"][0]["quantity"] == "time without loss"
    found = CliRunner().invoke(
        app, ["resilience", "mesh-4x4", "--probability", "0.01", "--trials", "3", "--json"]
    )
    assert len(json.loads(found.stdout)["rows"]) == 5
    for wrong in (["--step"], ["--spares", "1"], ["--worst", "--probability", "0.1"]):
        assert CliRunner().invoke(app, ["resilience", "mesh-4x4", *wrong]).exit_code == 2
