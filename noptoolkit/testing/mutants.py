"""Mutants of files: bytes changed blindly, and values changed where a parser will look at them."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from typing import Any

__all__ = ["NASTY", "mutate_bytes", "mutate_text", "mutate_tree", "mutate_zip"]

NASTY: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 255, 2**31, 2**63, -(2**63), 2**64, 10**18, 10**400, 0.5, -0.0, 1e-320, 1e308, -1e308),
    *(True, False, None, "", " ", "a", "x" * 5_000, "9" * 5_000, "1e999", "-inf", "nan", "0x" + "F" * 5_000),
    *("nan B/s", "1e400 GB/s", "-1 GB/s", "1 XB/s", "999999 TB/s", "1e-30 s", "5 parsec", "1_0 GB/s"),
    *("\x1b[31mred\x07", "\u202egnp.exe", "../../x", "/etc/passwd", "=1+1", "$x^$", "a->b", "b#2", "a\nb"),
    *("\ud800", "\0", "\u2028", "<b>", "&amp;", "&#0;", "{", "}", "[", '"', "'", "\\", "#", "//", "/*"),
    *([], {}, [[]], [None], [1, [2]], {"a": {}}, [0] * 1_000, ["x" * 3_000] + [1] * 3_000),
)
"""Values that readers have tripped over, and their like."""

_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_QUOTED = re.compile(rb'"[^"\n]{0,200}"')
_WORD = re.compile(rb"[A-Za-z_]{2,40}")


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to four blind changes."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 8, 64, 1000)))
        match rng.randrange(7):
            case 0:
                data = data[:at] + bytes(rng.randrange(256) for _ in range(to - at)) + data[to:]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:to] + data[at:to] * rng.choice((1, 1, 5, 200)) + data[to:]
            case 3:
                data = data[:at]
            case 4:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at:]
            case 5:
                other = rng.randrange(len(data) + 1)
                data = data[:at] + data[other : other + to - at] + data[to:]
            case _:
                data = data[:at] + bytes(byte ^ (1 << rng.randrange(8)) for byte in data[at:to]) + data[to:]
    return data


def mutate_text(data: bytes, rng: random.Random) -> bytes:
    """Return a text in which one to three numbers, quoted texts or words are others."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        pattern = rng.choice((_NUMBER, _NUMBER, _QUOTED, _WORD))
        places = list(pattern.finditer(data))
        if not places:
            continue
        place = rng.choice(places)
        if rng.random() < 0.2:  # another one of the same kind
            new = rng.choice(places).group()
        elif pattern is _QUOTED:
            new = json.dumps(str(rng.choice(NASTY))[:6_000]).encode()
        else:
            new = str(_short(rng.choice(NASTY))).encode("utf-8", "replace")[:6_000]
        data = data[: place.start()] + new + data[place.end() :]
    return data


def mutate_tree(value: Any, rng: random.Random) -> Any:
    """Return tables and lists in which one to three parts are others, are gone, or are there twice."""
    value = json.loads(json.dumps(value)) if _is_json(value) else value
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = _places(value)
        if not places:
            return _nasty(rng)
        holder, key = rng.choice(places)
        match rng.randrange(8):
            case 0 | 1 | 2:
                holder[key] = _nasty(rng)
            case 3:
                del holder[key]
            case 4:
                other, there = rng.choice(places)
                with_value = other[there] if _has(other, there) else None
                copied = json.dumps(with_value) if _is_json(with_value) else "null"  # nothing is shared
                holder[key] = json.loads(copied)
            case 5 if isinstance(holder, list):
                holder.insert(key, holder[key])
            case 5:
                holder[str(rng.choice(NASTY))[:5_000]] = holder.pop(key)
            case 6:
                holder[key] = [holder[key], *([0] * rng.choice((0, 1, 300)))]
            case _:
                deep: Any = holder[key]
                for _ in range(rng.choice((1, 40, 150))):
                    deep = [deep]
                holder[key] = deep
    return value


def mutate_zip(
    data: bytes, rng: random.Random, change: Callable[[str, bytes, random.Random], bytes]
) -> bytes:
    """Return an archive of which one or two members are others; its checks fit again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    for _ in range(rng.choice((1, 1, 2))):
        if not members:
            break
        at = rng.randrange(len(members))
        name, content = members[at]
        match rng.randrange(6):
            case 0:
                del members[at]
            case 1:
                members.insert(at, members[at])
            case 2:
                members[at] = (rng.choice((name + "x", "../" + name, "", rng.choice(members)[0])), content)
            case _:
                members[at] = (name, change(name, content, rng))
    target = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    kind = rng.choices(kinds, (6, 6, 1, 1))[0]
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        with zipfile.ZipFile(target, "w", kind) as archive:
            for name, content in members:
                archive.writestr(name.replace("\0", "") or "_", content)
    return target.getvalue()


def _nasty(rng: random.Random) -> Any:
    """Return one of the nasty values, of which lists are new ones: they will be changed."""
    value = rng.choice(NASTY)
    return json.loads(json.dumps(value)) if isinstance(value, list | dict) else value


def _short(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _has(holder: Any, key: Any) -> bool:
    return key < len(holder) if isinstance(holder, list) else key in holder


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return each part as what holds it and its key."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo and len(found) < 5_000:
        one = todo.pop()
        items: Any = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for key, part in items:
            found.append((one, key))
            todo.append(part)
    return found
