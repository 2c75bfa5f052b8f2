"""How a table of text is set: in a terminal of some width, and as HTML."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence

from noptoolkit._shown import visible

__all__ = ["html_table", "text_table", "wrap_name", "wrapped"]

NAME_WIDTH = 13
"""Characters that a text cell keeps where a table is wider than the screen."""


def text_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: Sequence[bool] = (),
    width: int | None = None,
    blocks: bool = False,
) -> str:
    """Return rows of text under their headings.

    Parameters
    ----------
    head, rows
        Headings, and cells as text.
    text
        Whether each column is text, aligned left; the first one only where empty.
    width
        Characters of a line; no limit where ``None``. Headings break behind hyphens and spaces, cells of text
        at spaces; numbers stay whole.
    blocks
        Whether columns that do not fit go below the others, each block with the first column again.

    Examples
    --------
    >>> print(text_table(["link", "load"], [["a->b", "3 GB"], ["b->a", "12 GB"]]))
    link   load
    ----  -----
    a->b   3 GB
    b->a  12 GB
    """
    left = list(text) or [True] + [False] * (len(head) - 1)
    room = _widths(head, rows, left, width)
    if blocks and width is not None:
        chunks = _chunks(room, width)
        if len(chunks) > 1:
            return "\n\n".join(
                _grid([head[i] for i in chunk], [[row[i] for i in chunk] for row in rows], chunk, left, room)
                for chunk in chunks
            )
    return _grid(head, rows, range(len(head)), left, room)


def _grid(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    chunk: Sequence[int],
    left: Sequence[bool],
    room: Sequence[int],
) -> str:
    lines: list[str] = []
    widths = [room[i] for i in chunk]
    for row, is_head in [(head, True), *((row, False) for row in rows)]:
        cells: list[list[str]] = []
        for i, width, text in zip(chunk, widths, row, strict=True):
            if is_head:
                cells.append(wrap_name(text, width).split("\n"))
            elif left[i] and len(text) > width:
                cells.append(textwrap.wrap(text, width) or [""])
            else:
                cells.append([text])
        height = max(len(cell) for cell in cells)
        for line in range(height):
            parts = []
            for i, width, cell in zip(chunk, widths, cells, strict=True):
                # headings stand on the rule, cells hang from the top
                at = line - (height - len(cell)) if is_head else line
                piece = cell[at] if 0 <= at < len(cell) else ""
                parts.append(piece.ljust(width) if left[i] else piece.rjust(width))
            lines.append("  ".join(parts).rstrip())
        if is_head:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _widths(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool], width: int | None
) -> list[int]:
    """Return the characters of each column: as they are, or narrowed towards a width."""
    body = [max((len(row[i]) for row in rows), default=0) for i in range(len(head))]
    whole = [max(len(title), cells) for title, cells in zip(head, body, strict=True)]
    if width is None or sum(whole) + 2 * (len(whole) - 1) <= width:
        return whole
    narrow = []
    for i, title in enumerate(head):
        longest_part = max((len(line) for line in wrap_name(title, 0).split("\n")), default=0)
        narrow.append(max(longest_part, body[i]))
    over = sum(narrow) + 2 * (len(narrow) - 1) - width
    # the widest columns of text give way, the last first
    for i in sorted((i for i in range(1, len(head)) if left[i]), key=lambda i: (-narrow[i], -i)):
        if over <= 0:
            break
        kept = max(NAME_WIDTH, narrow[i] - over, *(len(word) for row in rows for word in row[i].split()), 0)
        kept = min(kept, narrow[i])
        over -= narrow[i] - kept
        narrow[i] = kept
    return narrow


def _chunks(room: Sequence[int], width: int) -> list[list[int]]:
    """Return the columns of each block: the first with as many others as fit, at least one."""
    chunks: list[list[int]] = []
    for i in range(1, len(room)):
        if not chunks or sum(room[j] + 2 for j in (*chunks[-1], i)) - 2 > width:
            chunks.append([0])
        chunks[-1].append(i)
    return chunks or [[0]]


def wrap_name(name: str, width: int) -> str:
    """Break a name behind its hyphens and spaces into lines of ``width``, or of its longest part.

    >>> print(wrap_name("mesh-4x4-in-network", 9))
    mesh-4x4-
    in-
    network
    >>> wrap_name("  lower bound", 20)
    '  lower bound'
    """
    if len(name) <= width:
        return name
    lines = [""]
    for part in re.findall(r"[^- ]*[- ]|[^- ]+$", name):
        if lines[-1] and len((lines[-1] + part).rstrip(" ")) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ") for line in lines if line.strip())


def wrapped(line: str, width: int | None) -> list[str]:
    """Return a line of text broken at spaces; none where it is empty."""
    if not line:
        return []
    return [
        piece
        for one in line.split("\n")
        for piece in (
            [one]
            if width is None
            else textwrap.wrap(one, width, break_long_words=False, break_on_hyphens=False)
        )
    ]


def html_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    notes: Sequence[str] = (),
    text: Sequence[bool] = (),
    head_tips: Sequence[str] = (),
    row_tips: Sequence[str] = (),
) -> str:
    """Return the same table as HTML, with a caption above and notes below it.

    Parameters
    ----------
    head, rows, text
        As for `text_table`.
    title, notes
        Caption, and paragraphs below the table.
    head_tips, row_tips
        Tooltips of the headings, and of the first cell of each row.

    Examples
    --------
    >>> print(html_table(["link", "load"], [["a->b", "3 GB"]], title="loads"))
    <table>
    <caption style="text-align: left; font-weight: bold">loads</caption>
    <thead><tr><th style="text-align: left">link</th><th style="text-align: right">load</th></tr></thead>
    <tbody>
    <tr><th style="text-align: left">a-&gt;b</th><td style="text-align: right">3 GB</td></tr>
    </tbody>
    </table>
    """
    left = list(text) or [True] + [False] * (len(head) - 1)
    lines = ["<table>"]
    if title:
        lines.append(
            f'<caption style="text-align: left; font-weight: bold">{html.escape(visible(title))}</caption>'
        )
    lines += [f"<thead>{_html_row(head, 'th', left, head_tips)}</thead>", "<tbody>"]
    lines += [_html_row(row, "td", left, row_tips[i : i + 1]) for i, row in enumerate(rows)]
    lines += ["</tbody>", "</table>"]
    lines += [f"<p>{html.escape(visible(note))}</p>" for note in notes]
    return "\n".join(lines)


def _html_row(cells: Sequence[str], tag: str, left: Sequence[bool], tips: Sequence[str]) -> str:
    row = ""
    for i, (cell, to_left) in enumerate(zip(cells, left, strict=True)):
        name = "th" if i == 0 else tag
        tip = f' title="{html.escape(visible(tips[i]))}"' if i < len(tips) and tips[i] else ""
        side = "left" if to_left else "right"
        row += f'<{name}{tip} style="text-align: {side}">{html.escape(visible(cell))}</{name}>'
    return f"<tr>{row}</tr>"
