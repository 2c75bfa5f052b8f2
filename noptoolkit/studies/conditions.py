"""Conditions on a point, written as text: a small grammar that is read, never executed.

Names of parameters (``params.groups``) and of metrics, numbers, texts, quantities (``'128 GB/s'``), the
comparisons, ``+ - * / // % **``, ``and``, ``or``, ``not``, ``in`` and lists.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from noptoolkit._names import did_you_mean
from noptoolkit.errors import FormatError, NopError, UnknownNameError
from noptoolkit.studies.quantities import as_number

__all__ = ["Condition", "condition"]

MOST_LETTERS = 2000
MOST_POWER = 64.0

COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True)
class Condition:
    """A test of a point.

    Parameters
    ----------
    text
        As it is written, or the name of the function.
    test
        The test itself.

    Examples
    --------
    >>> wide = condition("params.link_bandwidth >= '100 GB/s' and builder != 'mesh'",
    ...                  ["params.link_bandwidth", "builder"])
    >>> wide.holds({"params.link_bandwidth": "128 GB/s", "builder": "torus"})
    True
    """

    text: str
    test: Callable[[Mapping[str, Any]], Any] = field(compare=False, repr=False)

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Return whether a point meets it.

        Raises
        ------
        NopError
            If it cannot be worked out: text times text, a division by 0.
        """
        try:
            return bool(self.test(point))
        except (TypeError, ZeroDivisionError, ValueError, OverflowError, KeyError) as error:
            raise NopError(f"condition {self.text!r} cannot be worked out: {error}") from error


def condition(given: str | Callable[[Any], bool], names: Sequence[str]) -> Condition:
    """Return a condition over some names.

    Raises
    ------
    FormatError
        If the text is not of the grammar.
    UnknownNameError
        If it names something else, with the nearest name.
    """
    if not isinstance(given, str):
        if not callable(given):
            raise FormatError(f"condition {given!r} is neither text nor a function of a point")
        return Condition(getattr(given, "__name__", "a function"), given)
    if len(given) > MOST_LETTERS:
        raise FormatError(f"condition of {len(given)} letters: more than {MOST_LETTERS}")
    try:
        tree = ast.parse(given.strip(), mode="eval").body
        _check(tree, given, names)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormatError(f"condition {given!r} cannot be read; write it like 'params.rows <= 8'") from None
    return Condition(given, lambda point: _value(tree, point))


def _check(node: ast.AST, text: str, names: Sequence[str]) -> None:
    if isinstance(node, ast.Name | ast.Attribute):
        name = _dotted(node)
        if name is None:
            raise FormatError(f"condition {text!r}: write a name as in params.rows")
        if name not in names:
            raise UnknownNameError(f"condition {text!r}: no parameter {name!r}; {did_you_mean(name, names)}")
        return
    allowed = (
        ast.BoolOp,
        ast.And,
        ast.Or,
        ast.UnaryOp,
        ast.Not,
        ast.USub,
        ast.BinOp,
        ast.Compare,
        ast.In,
        ast.NotIn,
        ast.List,
        ast.Tuple,
        ast.Load,
        ast.Constant,
        *COMPARE,
        *ARITHMETIC,
    )
    if not isinstance(node, allowed) or (
        isinstance(node, ast.Constant) and not isinstance(node.value, int | float | str | bool)
    ):
        raise FormatError(
            f"condition {text!r}: {type(node).__name__} is not part of it; compare names with numbers"
        )
    for child in ast.iter_child_nodes(node):
        _check(child, text, names)


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _value(node: ast.AST, point: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return _comparable(node.value)
    if isinstance(node, ast.Name | ast.Attribute):
        return _comparable(point[_dotted(node) or ""])
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, point) for item in node.elts]
    if isinstance(node, ast.BoolOp):
        parts = (bool(_value(item, point)) for item in node.values)
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, point)
        return not inner if isinstance(node.op, ast.Not) else -inner
    if isinstance(node, ast.BinOp):
        return ARITHMETIC[type(node.op)](_number(node.left, point), _number(node.right, point))
    assert isinstance(node, ast.Compare)
    left = _value(node.left, point)
    for sign, item in zip(node.ops, node.comparators, strict=True):
        right = _value(item, point)
        if isinstance(sign, ast.In | ast.NotIn):
            met = (left in right) == isinstance(sign, ast.In)
        else:
            met = COMPARE[type(sign)](left, right)
        if not met:
            return False
        left = right
    return True


def _number(node: ast.AST, point: Mapping[str, Any]) -> float:
    value = _value(node, point)
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value


def _comparable(value: Any) -> Any:
    """Return a number where a value is one or a quantity, else the value itself."""
    number = as_number(value)
    if number is not None and not isinstance(value, bool):
        return number
    return list(value) if isinstance(value, tuple) else value
