"""Chakra execution traces (MLCommons, ``et_def.proto`` as of May 2026): records out and in.

A trace is a file of protobuf messages, each after its length as a varint: ``GlobalMetadata``, then a ``Node``
for each task, with its type, its dependencies by id and its times in whole microseconds. What those do not
say of a task (exact duration, resources, buffers, flows) stands in attributes whose names begin with
``noptoolkit.``, so that a task graph comes back equal; other tools pass over them.
`noptoolkit.scheduling.execution_trace` makes task graphs of the records. Google's ``protobuf`` reads and
writes the messages (``noptoolkit[chakra]``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from noptoolkit.errors import FormatError
from noptoolkit.formats.results import replace_file

__all__ = ["NODE_TYPES", "ChakraNode", "ChakraTrace", "read_chakra", "write_chakra"]

NODE_TYPES = (
    "INVALID_NODE",
    "METADATA_NODE",
    "MEM_LOAD_NODE",
    "MEM_STORE_NODE",
    "COMP_NODE",
    "COMM_SEND_NODE",
    "COMM_RECV_NODE",
    "COMM_COLL_NODE",
)
"""Types of nodes; their index is their number in the schema."""

SCALARS = (
    *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
    *("fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
)
MOST_BYTES = 200_000_000
MOST_NODES = 2_000_000

Value = float | int | str | bool | bytes | tuple[Any, ...]


@dataclass(frozen=True)
class ChakraNode:
    """A node of an execution trace.

    Parameters
    ----------
    id
        Number that others depend on.
    name
        Name of the task.
    type
        One of `NODE_TYPES`.
    depends
        Ids of the nodes that come before, by control or data.
    start, duration
        Times in whole microseconds.
    attributes
        Other values by name.
    """

    id: int
    name: str
    type: str
    depends: tuple[int, ...] = ()
    start: int = 0
    duration: int = 0
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class ChakraTrace:
    """An execution trace: its nodes, and attributes of the whole."""

    nodes: tuple[ChakraNode, ...]
    attributes: Mapping[str, Value] = field(default_factory=dict)
    version: str = "1.0.0"


def write_chakra(trace: ChakraTrace, path: str | Path) -> None:
    """Write an execution trace.

    Parameters
    ----------
    trace
        Trace to write.
    path
        File, of the suffix ``.et`` by custom.

    Raises
    ------
    FormatError
        If ``protobuf`` is missing or the file cannot be written.
    """
    messages = _messages(str(path))
    whole = messages["GlobalMetadata"](version=trace.version)
    _fill(whole, trace.attributes)
    parts = [_framed(whole)]
    for node in trace.nodes:
        message = messages["Node"](
            id=node.id,
            name=node.name,
            type=NODE_TYPES.index(node.type),
            data_deps=node.depends,
            start_time_micros=node.start,
            duration_micros=node.duration,
        )
        _fill(message, node.attributes)
        parts.append(_framed(message))
    replace_file(path, b"".join(parts))


def read_chakra(path: str | Path) -> ChakraTrace:
    """Return what an execution trace holds.

    Parameters
    ----------
    path
        File of length-delimited messages, as Chakra's converter and ASTRA-sim have it.

    Raises
    ------
    FormatError
        If it is not such a file, or ``protobuf`` is missing.
    """
    place = str(path)
    messages = _messages(place)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise FormatError(f"{place}: cannot be read ({getattr(error, 'strerror', '') or error})") from None
    if len(data) > MOST_BYTES:
        raise FormatError(f"{place}: larger than {MOST_BYTES / 1e6:g} MB; is it the right file?")
    if data[:2] == b"\x1f\x8b":
        raise FormatError(f"{place}: compressed; unpack it with gunzip first")
    parts = _parts(data, place)
    first = next(parts, None)
    if first is None:
        raise FormatError(f"{place}: no Chakra trace: it is empty")
    whole = _parsed(messages["GlobalMetadata"], first, place, "the metadata")
    nodes = []
    for number, part in enumerate(parts):
        if number >= MOST_NODES:
            raise FormatError(f"{place}: more than {MOST_NODES} nodes; is it the right file?")
        message = _parsed(messages["Node"], part, place, f"node {number}")
        if not 0 < message.type < len(NODE_TYPES):
            raise FormatError(f"{place}: node {number}: type {message.type} is none of the schema's")
        depends = dict.fromkeys((*message.ctrl_deps, *message.data_deps))
        nodes.append(
            ChakraNode(
                int(message.id),
                str(message.name),
                NODE_TYPES[message.type],
                tuple(int(i) for i in depends),
                int(message.start_time_micros),
                int(message.duration_micros),
                _attributes(message),
            )
        )
    return ChakraTrace(tuple(nodes), _attributes(whole), str(whole.version))


def _parsed(kind: Any, part: bytes, place: str, what: str) -> Any:
    from google.protobuf.message import DecodeError

    message = kind()
    try:
        message.ParseFromString(part)
    except (DecodeError, ValueError) as error:
        raise FormatError(f"{place}: no Chakra trace: {what} cannot be read ({str(error)[:80]})") from None
    return message


def _fill(message: Any, attributes: Mapping[str, Value]) -> None:
    for name, value in attributes.items():
        entry = message.attr.add()
        entry.name = name
        several = isinstance(value, tuple)
        first = value[0] if isinstance(value, tuple) and value else value
        kind = _scalar(first)
        if several:
            getattr(entry, f"{kind}_list").values.extend(value)
            getattr(entry, f"{kind}_list").SetInParent()
        else:
            setattr(entry, f"{kind}_val", value)


def _scalar(value: object) -> str:
    for kind, name in ((bool, "bool"), (int, "int64"), (float, "double"), (str, "string"), (bytes, "bytes")):
        if isinstance(value, kind):
            return name
    return "int64"  # of an empty list


def _attributes(message: Any) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for entry in message.attr:
        which = entry.WhichOneof("value")
        if which is not None:
            value = getattr(entry, which)
            found[str(entry.name)] = tuple(value.values) if which.endswith("_list") else value
    return found


def _framed(message: Any) -> bytes:
    """Return a message after its length as a varint."""
    body = message.SerializeToString()
    length, prefix = len(body), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + bytes(body)


def _parts(data: bytes, place: str) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        length, shift = 0, 0
        while True:
            if at >= len(data) or shift > 28:
                raise FormatError(f"{place}: no Chakra trace: a length at byte {at} is cut off or too large")
            length |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                break
        if at + length > len(data):
            raise FormatError(f"{place}: no Chakra trace: a message at byte {at} is cut off")
        yield data[at : at + length]
        at += length


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    """Return the message classes of the schema, in a pool of their own."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    types = descriptor_pb2.FieldDescriptorProto
    package = "noptoolkit_chakra"
    file = descriptor_pb2.FileDescriptorProto(name="chakra.proto", package=package, syntax="proto3")

    def message(name: str, fields: Iterable[tuple[str, int, str, bool]], oneof: Sequence[str] = ()) -> None:
        made = file.message_type.add(name=name)
        if oneof:
            made.oneof_decl.add(name="value")
        for field_name, number, kind, several in fields:
            added = made.field.add(name=field_name, number=number)
            added.label = types.LABEL_REPEATED if several else types.LABEL_OPTIONAL
            if kind in SCALARS:
                added.type = getattr(types, f"TYPE_{kind.upper()}")
            else:
                added.type = types.TYPE_MESSAGE
                added.type_name = f".{package}.{kind}"
            if field_name in oneof:
                added.oneof_index = 0

    values = []
    for i, kind in enumerate(SCALARS):
        message(f"{kind.capitalize()}List", [("values", 1, kind, True)])
        values += [(f"{kind}_val", 2 * i + 3, kind, False)]
        values += [(f"{kind}_list", 2 * i + 4, f"{kind.capitalize()}List", False)]
    named = [("name", 1, "string", False), ("doc_string", 2, "string", False)]
    message("AttributeProto", [*named, *values], oneof=[entry[0] for entry in values])
    message("GlobalMetadata", [("version", 1, "string", False), ("attr", 2, "AttributeProto", True)])
    message(
        "Node",
        [
            ("id", 1, "uint64", False),
            ("name", 2, "string", False),
            ("type", 3, "int32", False),  # an enumeration, of the same form on the wire
            ("ctrl_deps", 4, "uint64", True),
            ("data_deps", 5, "uint64", True),
            ("start_time_micros", 6, "uint64", False),
            ("duration_micros", 7, "uint64", False),
            ("attr", 10, "AttributeProto", True),
        ],
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in ("GlobalMetadata", "Node")
    }


def _messages(place: str) -> dict[str, Any]:
    try:
        return _schema()
    except ImportError:
        raise FormatError(f"{place}: Chakra traces need protobuf; pip install 'noptoolkit[chakra]'") from None
