"""Text that is not ours where people see it: on a terminal, a page, in a spreadsheet, as the name of a file.

Names in files are anybody's. They are data everywhere inside, and made harmless at the place where they are
shown: what moves a cursor, turns the direction of writing, or means something to a spreadsheet or a path.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any, TypeVar

__all__ = ["file_name", "harmless_cell", "shown", "visible", "visible_json"]

T = TypeVar("T")
MOST_LETTERS_OF_A_FILE = 100

_SUSPECT = re.compile("[^ -~\\n\\u00a1-\\u00ac\\u00ae-\\u05ff\\u0900-\\u1dff]")
"""What is looked at letter by letter: not ASCII, Latin, Greek or Cyrillic."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_FORMULA = tuple("=+-@\t\r\n")
_NUMBER = re.compile(r"[+-]?(\d[\d_,]*\.?\d*|\.\d+)([eE][+-]?\d+)?( ?%| ?x)?")


def visible(text: str) -> str:
    r"""Return a text with what is not seen written out: controls, escapes, marks of direction, half letters.

    Examples
    --------
    >>> visible("\x1b[31mred \u202etxt.exe") == "\\x1b[31mred \\u202etxt.exe"
    True
    """
    return _SUSPECT.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1] if unicodedata.category(match[0]) in _HIDDEN else match[0]


def visible_json(text: str) -> str:
    r"""Return JSON or TOML in which letters that are not seen stand as escapes; it says the same.

    Examples
    --------
    >>> visible_json('"a\u202eb"') == '"a\\u202eb"'
    True
    """
    return _SUSPECT.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    letter = match[0]
    if letter == "\t" or unicodedata.category(letter) not in _HIDDEN:
        return letter
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def harmless_cell(text: T) -> T | str:
    """Return a text for a cell of a spreadsheet: nothing hidden, and no formula; what is no text stays.

    A text that a spreadsheet would compute gets an apostrophe in front, which spreadsheets do not show.

    Examples
    --------
    >>> harmless_cell("=HYPERLINK(1)"), harmless_cell("-12.5"), harmless_cell("e0->e1")
    ("'=HYPERLINK(1)", '-12.5', 'e0->e1')
    """
    if not isinstance(text, str):
        return text
    hidden = visible(text)
    if text.startswith(_FORMULA) and not (len(text) < 40 and _NUMBER.fullmatch(text)):
        return f"'{hidden}"
    return hidden


def shown(value: Any, most: int = 60) -> str:
    """Return a value for a message: its ``repr``, cut, also where that would have thousands of digits.

    Examples
    --------
    >>> shown("x" * 100, 12), shown(10**5000)
    ("'xxxxxxxx...", 'a number of 5001 digits')
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole numbers of more than 4300 digits
        if isinstance(value, int):
            digits = int(value.bit_length() * 0.30102999566398120) + 1
            return f"a number of {digits} digits"
        text = f"a {type(value).__name__} with a number of thousands of digits"
    return text if len(text) <= most else text[: most - 3] + "..."


def file_name(name: str) -> str:
    """Return a name for a file: ASCII letters, digits and ``-_.``, of its own for each name.

    What else a name holds becomes ``_``, followed by some digits of the name's own, so that two names never
    share a file.

    Examples
    --------
    >>> file_name("mesh-4x4"), file_name("a/../../b"), file_name("..")
    ('mesh-4x4', 'a_.._.._b-feddf167', '_-5ec1f7e7')
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-")[:MOST_LETTERS_OF_A_FILE].rstrip(".")
    if plain and plain == name:
        return plain
    own = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain or '_'}-{own}"
