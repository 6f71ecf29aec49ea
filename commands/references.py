"""What the source code refers to: from each function, class and constant, to others of ours."""

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

Names = dict[str, set[str]]


@cache
def references(root: Path, sources: tuple[str, ...]) -> Names:
    """What each top-level name of the files and folders `sources` refers to, as `module.name`."""
    found: Names = {}
    for source in sources:
        path = root / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            module = ".".join(file.relative_to(root).with_suffix("").parts)
            found |= _of_module(module, ast.parse(file.read_text("utf-8")))
    return found


def reached(names: Names, start: str, *, stop: Collection[str] = ()) -> set[str]:
    """All that `start` refers to, directly or through others, but for what only `stop` leads to."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or name in stop:
            continue
        seen.add(name)
        waiting += names.get(name, ())
    return seen


def _of_module(module: str, tree: ast.Module) -> Names:
    known = imported(tree)
    defined = [(name, node) for node in tree.body for name in _defined(node)]
    known |= {name: f"{module}.{name}" for name, _ in defined}
    return {f"{module}.{name}": set(_referred(node, known)) for name, node in defined}


def imported(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _referred(node: ast.AST, known: dict[str, str]) -> Iterator[str]:
    parts = list(_parts(node))
    own = _locals(node, parts)
    known = {name: full for name, full in known.items() if name not in own}
    for part in parts:
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in known:
            yield f"{known[part.value.id]}.{part.attr}"
        elif isinstance(part, ast.Name) and part.id in known:
            yield known[part.id]


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """All that a node is made of, but for annotations: they run nothing."""
    yield node
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    yield from _parts(part)


def _locals(node: ast.AST, parts: list[ast.AST]) -> set[str]:
    """The names that a function gives to values of its own."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return set()
    stored = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return stored | {part.arg for part in parts if isinstance(part, ast.arg)}
