"""YAML of other tools as plain tables, lists and texts: no tags, no aliases, nothing constructed.

PyYAML reads it, so that block and flow style, quotes, comments and line breaks mean what they mean to any
YAML reader; scalars stay text, as yaml-cpp hands them to ASTRA-sim. Aliases are refused: they are what
exponential documents are made of, and configuration files have no use for them.
"""

from __future__ import annotations

from typing import Any

from noptoolkit.errors import FormatError

__all__ = ["parse_yaml"]

MOST_CHARACTERS = 200_000
MOST_DEPTH = 20


def parse_yaml(text: str, place: str, *, most: int = MOST_CHARACTERS) -> Any:
    r"""Return the value of a YAML text, every scalar as text.

    Parameters
    ----------
    text
        One document.
    place
        Name of the file, for errors.
    most
        Characters of the longest text that is read.

    Raises
    ------
    FormatError
        If it is not YAML, has aliases, a key twice, more than one document, or is nested too deeply.

    Examples
    --------
    >>> parse_yaml("counts:\n  - 4\n  - 2  # and a comment", "x.yml")
    {'counts': ['4', '2']}
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # ten times as fast, where libyaml is there
    if len(text) > most:
        raise FormatError(f"{place}: more than {most} characters; is it the right file?")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise FormatError(f"{place}: line {event.start_mark.line + 1}: aliases are not read")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_DEPTH:
                raise FormatError(f"{place}: nested too deeply; is it the right file?")
        node = yaml.compose(text, Loader=loader)
    except FormatError:
        raise
    except yaml.YAMLError as error:
        raise FormatError(f"{place}: no YAML: {' '.join(str(error).split())[:200]}") from None
    except (RecursionError, ValueError) as error:
        raise FormatError(f"{place}: no YAML ({type(error).__name__})") from None
    return None if node is None else _value(node, place)


def _value(node: Any, place: str) -> Any:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_value(entry, place) for entry in node.value]
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name is None or name in found:
            line = key.start_mark.line + 1
            raise FormatError(f"{place}: line {line}: a key that is not text, or twice: {str(name)[:40]!r}")
        found[name] = _value(value, place)
    return found
