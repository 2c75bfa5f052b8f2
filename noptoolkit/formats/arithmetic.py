"""Formulas of one variable from other tools' files, read as arithmetic and never evaluated as code.

RapidChiplet writes link latency as text such as ``"lambda x : 0.25 * x"``. What is understood: numbers, the
variable, ``+ - * / **``, signs, brackets, ``min max ceil floor sqrt`` (with or without ``math.``), and
``a if x < b else c`` with one comparison.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

from noptoolkit.errors import FormatError

__all__ = ["MOST_CHARACTERS", "parse_formula"]

MOST_CHARACTERS = 600
MOST_EXPONENT = 8
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": math.sqrt,
}


def parse_formula(text: str, place: str) -> Callable[[float], float]:
    """Return the function that a text such as ``"lambda x: 0.25 * x"`` writes down.

    Parameters
    ----------
    text
        ``lambda`` and one variable, or a plain number.
    place
        What it belongs to, for errors.

    Raises
    ------
    FormatError
        If it is anything but arithmetic; also from the function, where the value is not finite.

    Examples
    --------
    >>> parse_formula("lambda x : 0.25 * x + 1", "link_latency")(8.0)
    3.0
    >>> parse_formula("lambda x: __import__('os').system('ls')", "link_latency")
    Traceback (most recent call last):
    noptoolkit.errors.FormatError: link_latency: "__import__('os').system('ls')" is not arithmetic of x
    """
    if len(text) > MOST_CHARACTERS:
        raise FormatError(f"{place}: a formula of {len(text)} characters; at most {MOST_CHARACTERS} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormatError(f"{place}: {text[:60]!r} is not a formula; write 'lambda x: 0.25 * x'") from None
    variable, body = "x", tree
    if isinstance(tree, ast.Lambda):
        names = [argument.arg for argument in tree.args.args]
        if len(names) != 1 or tree.args.defaults or tree.args.vararg or tree.args.kwarg:
            raise FormatError(f"{place}: {text[:60]!r}: a formula has one variable")
        variable, body = names[0], tree.body
    _check(body, variable, place)

    def formula(x: float) -> float:
        try:
            value = float(_value(body, x))
        except (ArithmeticError, ValueError, TypeError) as error:
            raise FormatError(f"{place}: {text[:60]!r} has no value at {x:g} ({error})") from None
        if not math.isfinite(value):
            raise FormatError(f"{place}: {text[:60]!r} is {value} at {x:g}")
        return value

    return formula


def _function(node: ast.Call) -> str:
    name = node.func
    if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "math":
        return name.attr
    return name.id if isinstance(name, ast.Name) else ""


def _check(node: ast.expr, variable: str, place: str) -> None:
    """Raise unless an expression is made of what is understood."""
    parts: list[ast.expr] = []
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name) if name == variable:
            return
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            parts = [operand]
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() | float() as exponent)):
            parts = [left] if abs(exponent) <= MOST_EXPONENT else []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            parts = [left, right]
        case ast.Call(args=arguments, keywords=[]) if _function(node) in FUNCTIONS:
            parts = arguments
        case ast.IfExp(
            test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=other
        ) if type(op) in COMPARISONS:
            parts = [left, right, body, other]
    if not parts:
        raise FormatError(f"{place}: {ast.unparse(node)[:60]!r} is not arithmetic of {variable}")
    for part in parts:
        _check(part, variable, place)


def _value(node: ast.expr, x: float) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name():
            return x
        case ast.UnaryOp(op=op, operand=operand):
            return -_value(operand, x) if isinstance(op, ast.USub) else _value(operand, x)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return float(_value(left, x) ** _value(right, x))
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_value(left, x), _value(right, x))
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=other):
            return _value(body if COMPARISONS[type(op)](_value(left, x), _value(right, x)) else other, x)
        case ast.Call(args=arguments):
            return FUNCTIONS[_function(node)](*(_value(part, x) for part in arguments))
    raise TypeError("unchecked expression")
