"""Digests of packages, workloads, traces and layouts: the same content, the same digest, anywhere."""

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noptoolkit as nop
from noptoolkit import Chiplet, Link, Memory, Package, RoutingTrace, Switch
from noptoolkit._digests import digest
from noptoolkit.formats.topology_toml import dump_topology, parse_topology
from noptoolkit.package.elements import Node

FROZEN = {
    "mozart-nop-tree": "3f5f855bb7e46ef08c599f0052ae8317e9e35c90ebfc36d6295606edda433967",
    "mesh-4x4": "8e46bab7405df7920a1fd4a8c2803dd37e4adea0899affc5f76ca655570d9081",
}
FROZEN_WORKLOADS = {
    "qwen3-30b-a3b": "109412a15f995b000e4e7173cdf8490daa741144a6270cd6d219635ca4267b8d",
    "stdlib-moe": "2e19750f514eb7a7d89f89fb4593e5c0067a7f1c7e9a59e42392f98dd1f1fbcb",
}
FROZEN_LAYOUT = "7047b8458e707062cd5f1cbb1d76a1429dfa40802958c7940163a7d78f72924d"


@pytest.mark.parametrize("name", FROZEN)
def test_digests_of_presets_never_change(name: str) -> None:
    package = nop.load_topology(name)
    assert package.digest() == FROZEN[name]
    renamed = package.replace(name="another", source="elsewhere", assumed=("nothing",))
    assert renamed.digest() == FROZEN[name]
    assert parse_topology(dump_topology(package), "again.toml").digest() == FROZEN[name]


def test_digests_of_workloads_and_layouts_never_change() -> None:
    for name, frozen in FROZEN_WORKLOADS.items():
        assert nop.load_workload(name).digest() == frozen
    trace, package = nop.load_workload("stdlib-moe").trace, nop.load_topology("mozart-nop-tree")
    layout = nop.allocate(trace, package, method="contiguous")
    assert layout.digest() == FROZEN_LAYOUT
    assert dataclasses.replace(layout, method="by hand").digest() == FROZEN_LAYOUT


def test_the_canonical_form_is_the_documented_one() -> None:
    """A second reading of the documentation, by hand: a list of a kind and a mapping."""
    form = b"l2:s4:demom2:s1:af1:1s1:bl2:f3:2.5n;"
    assert digest("demo", {"b": [2.5, None], "a": 1}) == hashlib.sha256(form).hexdigest()


def test_another_process_with_another_hash_seed_says_the_same() -> None:
    code = "import noptoolkit as nop; print(nop.load_topology('mesh-4x4').digest())"
    for seed in ("1", "2"):
        env = {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
        )
        assert done.stdout.strip() == FROZEN["mesh-4x4"]


@pytest.mark.parametrize("dtype", ["i1", "u2", "<i4", ">i4", "<i8", ">i8"])
def test_the_type_and_byte_order_of_ids_do_not_matter(dtype: str) -> None:
    ids = np.array([[[0, 1], [2, 3], [1, 3]]])
    plain = RoutingTrace(ids, 4)
    assert RoutingTrace(ids.astype(dtype), 4, "synthetic", "elsewhere").digest() == plain.digest()
    assert digest("x", ids.astype(dtype)) == digest("x", ids)
    assert RoutingTrace(np.asfortranarray(ids), 4).digest() == plain.digest()
    assert RoutingTrace(ids[:, ::-1], 4).digest() != plain.digest()
    assert RoutingTrace(ids, 5).digest() != plain.digest()
    assert RoutingTrace(ids, 4, document=[0, 0, 1]).digest() != plain.digest()


CHANGES = {
    "name": "z",
    "role": "io",
    "position": (1.0, 2.0),
    "size": (1.0, 1.0),
    "group": "g",
    "replicates": True,
    "reduces": True,
    "kind": "hybrid_bond",
    "half_duplex": True,
    "serves": ("a",),
    "a": "c",
    "b": "c",
}


def _package(node: Node, link: Link) -> Package:
    rest = [Link("c", "d", 1.0), Link("d", "a", 1.0), Link(node.name, "d", 1.0)]
    return Package("p", [Chiplet("a"), node, Chiplet("c"), Chiplet("d")], [link, *rest])


@pytest.mark.parametrize("cls", [Chiplet, Switch, Memory, Link])
def test_every_attribute_counts(cls: type) -> None:
    fields = [field.name for field in dataclasses.fields(cls)]
    found = set()
    for changed in [None, *fields]:
        change = {} if changed is None else {changed: CHANGES.get(changed, 7.0)}
        content = {"name": "b"} | ({"bandwidth": 1.0} if cls is Memory else {})
        if cls is Link:
            found.add(
                _package(Chiplet("b"), Link(**({"a": "a", "b": "b", "bandwidth": 1.0} | change))).digest()
            )
            continue
        end = change.get("name", "b")
        found.add(_package(cls(**(content | change)), Link("a", end, 1.0)).digest())
    assert len(found) == len(fields) + 1


def test_two_ways_to_write_one_link_are_one() -> None:
    one, other = (
        _package(Chiplet("b"), Link("a", "b", 128e9, reverse_bandwidth=back)).digest()
        for back in (None, "128 GB/s")
    )
    assert one == other


@given(st.floats(1e-12, 1e15), st.floats(1e-9, 1e-3))
def test_numbers_count_to_twelve_digits(number: float, change: float) -> None:
    assert digest("x", number) != digest("x", number * (1 + change))
    whole = int(min(number, 1e11))
    assert digest("x", float(whole)) == digest("x", whole)


def test_the_last_bits_do_not_count_zero_has_one_form_and_long_whole_numbers_have_all_their_digits() -> None:
    assert digest("x", 0.1 + 0.2) == digest("x", 0.3)
    assert digest("x", 0.0) == digest("x", -0.0) == digest("x", 0)
    assert digest("x", 2**80) != digest("x", 2**80 + 1)
    assert digest("x", True) != digest("x", 1)
    assert digest("x", "1") != digest("x", 1)
    assert digest("x", ["ab", "c"]) != digest("x", ["a", "bc"])
    with pytest.raises(TypeError, match="canonical"):
        digest("x", {1, 2})
    with pytest.raises(TypeError, match="whole numbers"):
        digest("x", np.array([0.5]))


def test_copies_count_but_not_how_they_are_padded() -> None:
    layout = nop.Allocation(("a", "b"), [[0, 1], [0, 1]])
    one = dataclasses.replace(layout, replicas=[[[0, 1]], [[-1, -1]]])
    padded = dataclasses.replace(layout, replicas=[[[-1, -1], [0, 1]], [[-1, -1], [-1, -1]]])
    assert one.digest() == padded.digest() != layout.digest()
    none = dataclasses.replace(layout, replicas=np.full((2, 3, 2), -1), choice="local")
    assert none.digest() == layout.digest()
