"""Names from files as text: never markup, never script, never an unseen or a turned letter.

Markup is left to jinja2, which escapes every value. What it lets pass are control characters, which a page
may not hold, and marks that turn the direction of writing, with which a name could look like another one:
both are shown as what they are. JSON inside a page may not end its script element.
"""

from __future__ import annotations

import json
from typing import Any

from noptoolkit._shown import visible as _visible_lines

__all__ = ["inline_json", "visible"]


def visible(text: str) -> str:
    r"""Return a text with control characters and marks of direction spelled out.

    Examples
    --------
    >>> print(visible("e0"), visible("a\u202eb"), visible("tab\there"))
    e0 a\u202eb tab\there
    """
    return _visible_lines(text).replace("\n", "\\n")


def inline_json(value: Any) -> str:
    r"""Return JSON that may stand inside a script element, with every text made `visible`.

    Examples
    --------
    >>> print(inline_json({"name": "</script>"}))
    {"name":"\u003c/script>"}
    """
    text = json.dumps(_visible(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _visible(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(one) for one in value]
    return value
