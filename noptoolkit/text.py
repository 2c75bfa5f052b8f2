"""Tables as plain text: what results print as."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["text_table"]


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
