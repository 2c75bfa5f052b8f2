"""Exact cuts and partitions against all vertex sets and all partitions of small random packages."""

import random

import pytest
from collective_cases import (
    random_package,
    slowest_partition,
    slowest_scattering,
    slowest_spreading,
)
from seeds import seeds

from noptoolkit import Package
from noptoolkit.collectives import collective
from noptoolkit.errors import InfeasibleError, NopError, TopologyError


def package_of(seed: int, **options: bool) -> Package:
    """Return the first package from a seed on that can be made: one-way links may cut terminals off."""
    while True:
        try:
            return random_package(seed, **options)
        except TopologyError:
            seed += 1000


@pytest.mark.parametrize("seed", seeds(30, 150))
def test_cuts_are_the_slowest_of_all(seed: int) -> None:
    package = package_of(seed, symmetric=seed % 2 == 0)
    rng = random.Random(seed)
    members = rng.sample(package.terminals, rng.randint(2, len(package.terminals)))
    shares = {name: rng.randint(0, 5) for name in members} | {members[0]: 3}
    one, everyone = dict.fromkeys(members, 1), set(members)
    try:
        gathered = collective(package, "all-gather", float(len(members)), among=members)
    except InfeasibleError:
        pytest.skip("members cut off from each other by one-way links")
    assert gathered.time_bound == pytest.approx(float(slowest_spreading(package, one, everyone)), rel=1e-12)
    uneven = collective(package, "all-gather", among=members, shares=shares)
    assert uneven.time_bound == pytest.approx(float(slowest_spreading(package, shares, everyone)), rel=1e-12)
    spread = collective(package, "broadcast", 1.0, among=members)
    assert spread.time_bound == pytest.approx(
        float(slowest_spreading(package, {members[0]: 1}, everyone)), rel=1e-12
    )
    scattered = collective(package, "scatter", among=members, shares=shares)
    owed = {name: x for name, x in shares.items() if name != members[0]}
    if any(owed.values()):
        expected = float(slowest_scattering(package, members[0], owed))
        assert scattered.time_bound == pytest.approx(expected, rel=1e-12)
        assert scattered.time == pytest.approx(expected, rel=1e-12)
    for result in (gathered, uneven, spread, scattered):
        assert result.verify()


@pytest.mark.parametrize("seed", seeds(20, 60))
def test_strength_is_the_slowest_of_all_partitions(seed: int) -> None:
    package = random_package(seed, relays=False, symmetric=True)
    result = collective(package, "all-reduce", 1.0)
    assert result.time_bound == pytest.approx(float(slowest_partition(package)), rel=1e-12)
    assert result.time == pytest.approx(result.time_bound, rel=1e-9)
    assert result.verify()


@pytest.mark.parametrize("seed", seeds(13, 40))
def test_reversal(seed: int) -> None:
    package = package_of(seed)
    backwards = package.replace(
        links=[
            type(link)(link.b, link.a, link.bandwidth, reverse_bandwidth=link.backward_bandwidth)
            for link in package.links
        ]
    )
    for kind, dual in (("all-gather", "reduce-scatter"), ("broadcast", "reduce"), ("scatter", "gather")):
        try:
            there = collective(package, kind, 7.0)
        except NopError:
            continue
        assert there.time_bound == pytest.approx(collective(backwards, dual, 7.0).time_bound, rel=1e-12)
