"""Topology files: what may be written, what must be refused, and how it is said."""

from pathlib import Path

import pytest

from noptoolkit import Package
from noptoolkit.errors import FormatError, NopError, UnknownNameError
from noptoolkit.formats import dump_topology, list_topologies, load_topology, topology_descriptions
from noptoolkit.formats.topology_toml import parse_topology

STAR = """
schema = 1
name = "star"
source = "by hand"
assumed = ["all of it"]

[defaults.link]
bandwidth = "128 GB/s"
latency = "2 ns"

[[switch]]
name = "hub"
replicates = true

[[chiplet]]
name = "attn"
role = "attention"
position = ["1 mm", 0.002]
[[chiplet]]
name = "e0"
role = "expert"
flops = "74 TFLOP/s"

[[memory]]
name = "hbm"
bandwidth = "256 GB/s"
capacity = "8 GiB"
serves = ["e0"]

[[link]]
a = "hub"
b = "attn"
[[link]]
a = "hub"
b = "e0"
bandwidth = 64e9
reverse_bandwidth = "32 GB/s"
[[link]]
a = "hbm"
b = "hub"
kind = "memory"
half_duplex = true
"""


def test_explicit() -> None:
    package = parse_topology(STAR, "star.toml")
    assert [node.name for node in package.nodes] == ["attn", "e0", "hub", "hbm"]
    assert package["attn"].position == (0.001, 0.002)
    assert [link.bandwidth for link in package.links] == [128e9, 64e9, 128e9]
    assert package.links[1].reverse_bandwidth == 32e9
    assert {link.latency for link in package.links} == {2e-9}
    assert package.source == "by hand"
    assert package.assumed == ("all of it",)
    assert parse_topology(dump_topology(package), "dumped.toml") == package


def test_what_links_share_is_said_once() -> None:
    text = dump_topology(load_topology("mesh-4x4"))
    assert text.count('"128 GB/s"') == 1
    assert text.count('"memory"') == 6
    assert "[defaults.link]" in text


def test_order_survives() -> None:
    package = parse_topology(STAR, "star.toml")
    mixed = package.replace(nodes=package.nodes[::-1])
    assert parse_topology(dump_topology(mixed), "dumped.toml") == mixed


def test_parametric_is_the_builder() -> None:
    text = (
        'schema = 1\nname = "m"\nbuilder = "mesh"\n[params]\nrows = 2\ncolumns = 3\nlink_bandwidth = "1 GB/s"'
    )
    package = parse_topology(text, "m.toml")
    assert len(package.links) == 7
    assert package.links[0].bandwidth == 1e9


def test_a_builder_may_be_added_to_and_taken_from() -> None:
    text = """
    schema = 1
    name = "with an io"
    builder = "mesh"
    without = ["e0->e1"]
    [params]
    rows = 2
    [[chiplet]]
    name = "io"
    role = "io"
    [[link]]
    a = "io"
    b = "e0"
    bandwidth = "32 GB/s"
    """
    package = parse_topology(text, "m.toml")
    assert package.with_role("io") == ("io",)
    assert [channel.name for channel in package.channels if "e0" in channel.name][:2] == ["e0->e2", "e2->e0"]
    assert len(package.links) == 4


def test_all_faults_at_once() -> None:
    text = STAR.replace('"128 GB/s"', '"128 GB"').replace("flops", "flop").replace('"expert"', '"exprt"')
    with pytest.raises(FormatError) as caught:
        parse_topology(text, "star.toml")
    message = str(caught.value)
    assert message.startswith("star.toml: 3 faults")
    assert "bandwidth '128 GB' is in B, not in B/s" in message
    assert "chiplet 'e0': no key 'flop'; did you mean 'flops'?" in message
    assert "role = 'exprt'" in message


def test_faults_of_the_graph_are_not_hidden_by_others() -> None:
    text = """schema = 1
    nmae = "typo"
    chiplet = [{name = "e0", rol = "expert"}, {name = "e1"}, {name = "e1"}]
    switch = [{name = "s", crossbar_bandwidth = "3 GB"}]
    link = [
      {a = "e0", b = "e9", bandwidth = "1 GB/s"},
      {a = "e0", b = "s", bandwidth = 0.0},
      {a = "e1", b = "s"},
    ]
    """
    with pytest.raises(FormatError) as caught:
        parse_topology(text.replace("\n      ", "").replace(",\n    ]", "]"), "all.toml")
    assert [line.removeprefix("  - ") for line in str(caught.value).splitlines()] == [
        "all.toml: 7 faults",
        "no key 'nmae'; did you mean 'name'?",
        "chiplet 'e0': no key 'rol'; did you mean 'role'?",
        "switch 's': crossbar_bandwidth '3 GB' is in B, not in B/s; write it like '256 GB/s'",
        "link 'e1'-'s': key 'bandwidth' is missing",
        "2 nodes are named 'e1'; give each its own name",
        "link 'e0'-'e9': no node named 'e9'; known: e0, e1, s",
        "link 'e0'-'s': zero bandwidth; leave the link out",
    ]


def test_links_to_what_a_broken_builder_would_have_made_are_not_to_blame() -> None:
    text = GOOD + 'rowz = 2\n[[link]]\na = "e0"\nb = "e3"\nbandwidth = "1 GB/s"'
    with pytest.raises(FormatError) as caught:
        parse_topology(text, "b.toml")
    assert str(caught.value) == "b.toml: [params]: no key 'rowz'; did you mean 'rows'?"


HOSTILE = {
    "wrong keys": "schema = 1\n" + "".join(f"k{i} = 1\n" for i in range(30_000)),
    "wrong keys of a chiplet": "schema = 1\n[[chiplet]]\n" + "".join(f"k{i} = 1\n" for i in range(30_000)),
    "wrong chiplets": "schema = 1\n" + "[[chiplet]]\nn = 1\n" * 30_000,
    "lost links": "schema = 1\n"
    + "".join(f"[[chiplet]]\nname = 'c{i}'\n" for i in range(8_000))
    + "".join(f"[[link]]\na = 'c{i}'\nb = 'cc{i}'\nbandwidth = 1\n" for i in range(8_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_of_thousands_of_faults_the_first_are_told(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_topology(HOSTILE[name], "hostile.toml")
    assert "1000 faults or more" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 22
    assert len(str(caught.value)) < 5000


GOOD = 'schema = 1\nbuilder = "mesh"\n[params]\n'
BAD = {
    "no TOML": ("schema = ", "no TOML"),
    "no schema": ('builder = "mesh"', "'schema' is missing"),
    "future schema": ('schema = 2\nbuilder = "mesh"', "reads schema = 1"),
    "unknown builder": ('schema = 1\nbuilder = "mehs"', "did you mean 'mesh'"),
    "builder of another type": ("schema = 1\nbuilder = 7", "no builder named 7"),
    "unknown key": ('schema = 1\nbuilder = "mesh"\nnmae = "x"', "did you mean 'name'"),
    "unknown parameter": (GOOD + "rowz = 4", "did you mean 'rows'"),
    "negative size": (GOOD + "rows = -4", "nearest: 1"),
    "huge size": (GOOD + "rows = 100000000", "nearest: 65536"),
    "huge product": (GOOD + "rows = 60000\ncolumns = 60000", "65536"),
    "size of another type": (GOOD + "rows = 4.5", "rows = 4.5"),
    "boolean size": (GOOD + "rows = true", "rows = True"),
    "wrong unit": (GOOD + 'link_bandwidth = "256 GB"', "is in B, not in B/s"),
    "no unit": (GOOD + 'link_bandwidth = "256"', "has no unit"),
    "negative bandwidth": (GOOD + 'link_bandwidth = "-1 GB/s"', "negative bandwidth"),
    "zero bandwidth": (GOOD + "link_bandwidth = 0", "zero bandwidth"),
    "NaN": (GOOD + "link_bandwidth = nan", "not finite"),
    "infinite": (GOOD + "link_bandwidth = inf", "not finite"),
    "endless bandwidth": (GOOD + "link_bandwidth = " + "9" * 400, "digits in a whole number"),
    "boolean bandwidth": (GOOD + "link_bandwidth = true", "not a quantity"),
    "table for a quantity": (GOOD + "link_bandwidth = {}", "not a quantity"),
    "outline": (GOOD + 'chiplet_size = ["1 mm"]', "chiplet_size"),
    "negative outline": (GOOD + 'chiplet_size = ["-1 mm", "1 mm"]', "above 0"),
    "params of another type": ('schema = 1\nbuilder = "mesh"\nparams = 3', "must be a table"),
    "params without builder": ("schema = 1\n[params]\nrows = 4", "needs a 'builder'"),
    "builder and loose nodes": (GOOD + 'rows = 2\n[[chiplet]]\nname = "a"', "cannot be reached"),
    "without nobody": ('without = ["e9"]\n' + GOOD + "rows = 2", "no node or channel 'e9'"),
    "nothing": ("schema = 1", "no chiplet"),
    "unknown end": (STAR.replace('b = "e0"', 'b = "e9"'), "no node named 'e9'"),
    "no such kind": (STAR.replace('kind = "memory"', 'kind = "memry"'), "kind = 'memry'"),
    "defaults": (STAR.replace("latency", "latensy"), "did you mean 'latency'"),
    "defaults of no kind": (
        'schema = 1\n[defaults]\nbandwidth = "1 GB"',
        "its kind: [defaults.memory] or [defaults.link]",
    ),
    "a truth in quotes": (
        STAR.replace("replicates = true", 'replicates = "no"'),
        "= 'no': give true or false, without",
    ),
    "defaults of another type": ("schema = 1\ndefaults = 1", "must be a table"),
    "chiplets of another type": ("schema = 1\nchiplet = 3", "write [[chiplet]] tables"),
    "order": ('order = ["hub"]\n' + STAR, "order must list"),
    "a chiplet without name": ('schema = 1\n[[chiplet]]\nrole = "expert"', "chiplet number 1: key 'name'"),
    "a number of many digits": (GOOD + f"rows = {'9' * 5000}", "thousands of digits"),
    "deep nesting": ("schema = 1\nx = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "deep key": ("schema = 1\n" + "a." * 5000 + "b = 1", "dots in one key"),
}


@pytest.mark.parametrize("text", [pair[0] for pair in BAD.values()], ids=BAD)
def test_refused(text: str, request: pytest.FixtureRequest) -> None:
    reason = next(reason for bad, reason in BAD.values() if bad == text)
    with pytest.raises(FormatError) as caught:
        parse_topology(text, "bad.toml")
    assert str(caught.value).startswith("bad.toml:")
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_files_that_are_no_text(tmp_path: Path) -> None:
    binary, huge, zero = tmp_path / "b.toml", tmp_path / "h.toml", tmp_path / "z.toml"
    binary.write_bytes(bytes(range(256)))
    huge.write_bytes(b"#" * 11_000_000)
    zero.write_bytes(b"schema = 1\0")
    for path, reason in ((binary, "UTF-8"), (huge, "10 MB"), (zero, "zero bytes"), (tmp_path, "a folder")):
        with pytest.raises(FormatError, match=reason):
            load_topology(path)


def test_truncated_presets_never_trace_back() -> None:
    text = dump_topology(load_topology("mozart-nop-tree"))
    for end in range(0, len(text) - 2, 97):
        with pytest.raises(NopError, match=r"cut\.toml:"):
            parse_topology(text[:end], "cut.toml")


def test_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mesh-4x4'"):
        load_topology("mesh-4x5")
    with pytest.raises(FormatError, match="no such file"):
        load_topology("nowhere/mesh.toml")
    with pytest.raises(NopError):
        load_topology("x\0y")
    with pytest.raises(NopError):
        load_topology("x" * 100_000)
    assert isinstance(load_topology("mesh-4x4"), Package)
    assert set(topology_descriptions()) == set(list_topologies())
    assert all(topology_descriptions().values())


def test_a_package_is_returned_as_it_is() -> None:
    package = load_topology("mesh-4x4")
    assert load_topology(package) is package
