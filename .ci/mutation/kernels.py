"""Which compiled functions contain which names: what has to be compiled again when one of them is changed."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

Name = tuple[str, str]
"""A module and what it defines."""


def module_of(path: str) -> str:
    """Return the module that a file of the house is."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Kernels:
    """The compiled functions of the house and what they mention."""

    def __init__(self, root: Path) -> None:
        self.users: dict[Name, set[Name]] = defaultdict(set)
        """Each name and the definitions, in modules that are compiled, that mention it."""
        self.imports: dict[str, dict[str, Name]] = {}
        """What each file imports from others of the house, under the name that it has there."""
        for path in (root / "noptoolkit").rglob("*.py"):
            text, name = path.read_text(), path.relative_to(root).as_posix()
            tree, module = ast.parse(text), module_of(name)
            self.imports[name] = {
                one.asname or one.name: (node.module, one.name)
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("noptoolkit")
                for one in node.names
            }
            if not (path.name.startswith("compil") or re.search(r"\bn?jit\b", text)):
                continue
            for definition in tree.body:
                mentioned = {one.id for one in ast.walk(definition) if isinstance(one, ast.Name)}
                for defined in defined_by(definition):
                    for word in mentioned:
                        self.users[self.imports[name].get(word, (module, word))].add((module, defined))

    def stale(self, path: str, names: set[str]) -> set[Name]:
        """Return a file's names and all definitions in compiled modules that contain them."""
        found = todo = {(module_of(path), name) for name in names}
        while todo:
            todo = set().union(*(self.users[one] for one in todo)) - found
            found = found | todo
        return found

    def mentions(self, path: str, text: str, stale: set[Name]) -> set[int]:
        """Return the lines of a file that mention some of these names."""
        words = [here for here, name in self.imports[path].items() if name in stale]
        words += [name for module, name in stale if module == module_of(path)]
        if not words:
            return set()
        pattern = re.compile(rf"\b({'|'.join(map(re.escape, words))})\b")
        return {number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)}


def defined_by(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()
