"""Reading files that may be anything: bounded, named in every error, nothing evaluated.

Also where presets are found: in the installed package (``noptoolkit/_data``) or beside it in a checkout.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, UnknownNameError
from noptoolkit.limits import check_values, current

__all__ = ["Kind", "descriptions", "find", "parse_toml", "preset_names", "read_text"]

Kind = Literal["topologies", "workloads"]
MOST_DOTS = 64
"""Dots of one dotted key: deeper ones make the TOML parser quadratic."""


@lru_cache(maxsize=4)
def _folder(kind: Kind) -> Path:
    installed = Path(__file__).parents[1] / "_data" / kind
    checkout = Path(__file__).parents[2] / kind
    return installed if installed.is_dir() else checkout


def preset_names(kind: Kind) -> tuple[str, ...]:
    """Return the names of the presets, sorted."""
    return tuple(sorted(path.stem for path in _folder(kind).glob("*.toml")))


def descriptions(kind: Kind) -> dict[str, str]:
    """Return the one-line description of each preset by name."""
    found = {}
    for name in preset_names(kind):
        path = _folder(kind) / f"{name}.toml"
        found[name] = str(parse_toml(read_text(path), path.name).get("description", ""))
    return found


def find(ref: str | Path, kind: Kind) -> Path:
    """Return the file that a preset name or a path means.

    Raises
    ------
    UnknownNameError
        If it is neither, with the nearest preset.
    FormatError
        If it is a path to something that is not a file.
    """
    if not isinstance(ref, (str, Path)):
        raise FormatError(f"{ref!r} is neither a name nor a path; give text or a Path")
    names = preset_names(kind)
    if isinstance(ref, str) and ref in names:
        return _folder(kind) / f"{ref}.toml"
    try:
        path = Path(ref).expanduser()
        exists = str(ref) != "" and path.exists()  # no name is not this folder
    except (OSError, ValueError, RuntimeError) as error:
        raise FormatError(f"{_short(ref)}: cannot be opened ({error})") from None
    if exists:
        return path
    singular = "topology" if kind == "topologies" else "workload"
    if isinstance(ref, Path) or path.suffix or len(path.parts) > 1:
        near = did_you_mean(path.stem, names)
        hint = f", and no {singular} preset; {near}" if near.startswith("did you mean") else ""
        raise FormatError(f"{_short(ref)}: no such file{hint}")
    hint = did_you_mean(_short(ref), names)
    raise UnknownNameError(f"no {singular} named {_short(ref)!r} and no file of that name; {hint}")


def read_text(path: Path, limit: Literal["text_bytes", "table_bytes"] = "text_bytes") -> str:
    """Return the text of a file.

    Parameters
    ----------
    path
        A file, a pipe or a device such as ``/dev/stdin``.
    limit
        Which of `noptoolkit.limits.Limits` bounds its bytes.

    Raises
    ------
    FormatError
        If it is missing, a folder, unreadable, larger than the limit, or not UTF-8 text.
    """
    most = getattr(current(), limit)
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # a path with zero bytes
        raise FormatError(f"{_short(path)!r}: cannot be read ({error})") from None
    if len(data) > most:
        raise FormatError(
            f"{path}: larger than {most / 1e6:g} MB; is it the right file? "
            f"If so, set NOPTOOLKIT_LIMITS={limit}=..."
        )
    try:
        text = data.decode("utf-8-sig")  # spreadsheets begin with a byte order mark
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path}: not text (byte {error.start} is not UTF-8); is it the right file?"
        ) from None
    if "\0" in text:
        raise FormatError(f"{path}: not text (it holds zero bytes); is it the right file?")
    return text


def parse_toml(text: str, place: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises
    ------
    FormatError
        If it is not TOML, nested absurdly deep, or holds numbers or texts beyond the limits.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") > MOST_DOTS and any(part.count(".") > MOST_DOTS for part in line.split(",")):
            raise FormatError(
                f"{place}: line {number}: more than {MOST_DOTS} dots in one key; nest less deeply"
            )
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise FormatError(f"{place}: nested too deeply; nest less deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{place}: no TOML: {error}") from None
    except ValueError:  # Python reads no whole numbers of so many digits
        raise FormatError(f"{place}: a number of thousands of digits; is it the right file?") from None
    check_values(data, place, finite=False)  # TOML has words for numbers that are not
    return data


def _short(ref: str | Path) -> str:
    text = str(ref)
    return text if len(text) <= 100 else text[:97] + "..."
