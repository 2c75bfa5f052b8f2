"""Tables as plain text and as HTML: what results print as, in a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["html_table", "text_table"]


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text under their headings, the first column to the left, the others to the right.

    Examples
    --------
    >>> print(text_table(["link", "load"], [["a->b", "3 GB"], ["b->a", "12 GB"]]))
    link   load
    ----  -----
    a->b   3 GB
    b->a  12 GB
    """
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(lines)


def html_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", notes: Sequence[str] = ()
) -> str:
    """Return the same table as HTML, with a caption above and notes below it.

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
    lines = ["<table>"]
    if title:
        lines.append(f'<caption style="text-align: left; font-weight: bold">{html.escape(title)}</caption>')
    lines += [f"<thead>{_html_row(head, 'th')}</thead>", "<tbody>"]
    lines += [_html_row(row, "td") for row in rows]
    lines += ["</tbody>", "</table>"]
    lines += [f"<p>{html.escape(note)}</p>" for note in notes]
    return "\n".join(lines)


def _html_row(cells: Sequence[str], tag: str) -> str:
    first, *others = (html.escape(cell) for cell in cells)
    numbers = "".join(f'<{tag} style="text-align: right">{cell}</{tag}>' for cell in others)
    return f'<tr><th style="text-align: left">{first}</th>{numbers}</tr>'
