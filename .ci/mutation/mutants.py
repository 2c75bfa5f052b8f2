"""What can be broken: every mutant of a file, and some of a room drawn by a seed."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"__repr__", "__str__", "_repr_html_", "table", "notes", "cells", "text"}
"""Functions that only show."""
CLAIMS = {"strict", "stacklevel"}
"""Arguments that only say what holds anyway, or where a warning points."""
SWAPS: dict[type, tuple[str, ...]] = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"),
    ast.Eq: ("!=",), ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",),
    ast.In: ("not in",), ast.NotIn: ("in",),
    ast.Add: ("-",), ast.Sub: ("+",), ast.Mult: ("/",), ast.Div: ("*",), ast.FloorDiv: ("*",),
    ast.Mod: ("*",), ast.Pow: ("*",), ast.BitAnd: ("|",), ast.BitOr: ("&",), ast.BitXor: ("|",),
    ast.LShift: (">>",), ast.RShift: ("<<",), ast.And: ("or",), ast.Or: ("and",),
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "argmin": "argmax",
         "argmax": "argmin", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one file: ``old`` at a place of the text becomes ``new``."""

    path: str
    line: int
    begin: int
    end: int
    old: str
    new: str
    text: str
    """The line on which it begins, without its margin, and where it begins there."""
    column: int

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """What stays when other lines of the file change."""
        return self.path, self.text, self.column, " ".join(self.old.split()), self.new

    def __str__(self) -> str:
        old = " ".join(self.old.split())
        return f"{self.path}:{self.line}: {old[:60]!r} -> {self.new[:60]!r}"


def mutants_of(path: Path) -> list[Mutant]:
    """Return every mutant of a file, in the order of its text."""
    text = path.read_text()
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    data = text.encode()
    found: list[Mutant] = []

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    def add(node: ast.expr | ast.stmt, new: str, begin: int | None = None, end: int | None = None) -> None:
        begin = at(node.lineno, node.col_offset) if begin is None else begin
        end = at(node.end_lineno or 0, node.end_col_offset or 0) if end is None else end
        line = data[:begin].count(b"\n") + 1
        name = path.relative_to(ROOT).as_posix()
        whole = data[starts[line - 1] : starts[line]].decode()
        margin = len(whole) - len(whole.lstrip())
        column = begin - starts[line - 1] - margin
        found.append(Mutant(name, line, begin, end, data[begin:end].decode(), new, whole.strip(), column))

    def between(left: ast.expr, right: ast.expr, word: str) -> None:
        """Change the operator that stands between two operands, brackets and all left where they are."""
        begin, end = at(left.end_lineno or 0, left.end_col_offset or 0), at(right.lineno, right.col_offset)
        gap = data[begin:end].decode()
        operator = re.search(r"[^\s()#\\]+(\s+(not|in))?", gap)
        if operator:
            add(left, f" {word} ", begin + operator.start(), begin + operator.end())

    for node in computing(ast.parse(text)):
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                operands = [left, *others]
                for i, op in enumerate(ops):
                    for word in SWAPS.get(type(op), ()):
                        between(operands[i], operands[i + 1], word)
            case ast.BinOp(left=left, op=op, right=right):
                for word in SWAPS.get(type(op), ()):
                    between(left, right, word)
            case ast.BoolOp(op=op, values=values):
                between(values[0], values[1], SWAPS[type(op)][0])
            case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand) if not isinstance(
                operand, ast.Constant
            ):
                add(node, f"({ast.unparse(operand)})")
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                add(test, f"(not ({ast.unparse(test)}))")
            case ast.Constant(value=bool() as value):
                add(node, str(not value))
            case ast.Constant(value=int() as value):
                add(node, str(value + 1))
            case ast.Constant(value=float() as value):
                add(node, repr(2 * value if value else 1.0))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name) as func) if name in NAMES:
                end = at(func.end_lineno or 0, func.end_col_offset or 0)
                add(func, NAMES[name], end - len(name), end)
            case ast.AugAssign() | ast.Expr(value=ast.Call()) | ast.Continue() | ast.Break():
                add(node, "pass")
    return found


def computing(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what computes: no text, no messages, no annotations, no default of what only shows."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
            continue
        if isinstance(node, ast.FunctionDef) and node.name in SKIPPED:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.keyword) and node.arg in CLAIMS:
            continue
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "keywords") and not isinstance(
                node, ast.Call
            ):
                continue
            todo += [
                one for one in (value if isinstance(value, list) else [value]) if isinstance(one, ast.AST)
            ]


def sample_of(room: str, number: int, seed: int) -> list[Mutant]:
    """Return some mutants of a room, no two of one place, the same ones while their lines stay."""

    def draw(*key: object) -> str:
        return hashlib.sha256(repr((seed, *key)).encode()).hexdigest()

    every: dict[tuple[object, ...], list[Mutant]] = defaultdict(list)
    for path in sorted((ROOT / "noptoolkit" / room).rglob("*.py")):
        for mutant in mutants_of(path):
            every[mutant.path, mutant.text, mutant.column].append(mutant)
    places = sorted(every, key=lambda place: draw(*place))[:number]
    return [min(every[place], key=lambda mutant: draw(*mutant.key, mutant.line)) for place in places]


def equivalent() -> dict[tuple[str, str, int, str, str], str]:
    """Return the mutants that change nothing that could be seen, and why."""
    listed = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text()).get("mutant", [])
    return {
        (one["path"], one["text"], one["column"], one["old"], one["new"]): one["why"].strip()
        for one in listed
    }


def as_toml(mutant: Mutant) -> str:
    """Return a mutant as an entry of the list, its reason to be filled in."""
    words = zip(("path", "text", "column", "old", "new"), mutant.key, strict=True)
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in words]
    return "\n".join(["[[mutant]]", *lines, 'why = ""', ""])
