"""Which endpoints run a statement: found in the source code, from each entry to the statements it leads to."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from commands.references import imported, reached, references
from core.checkout import CHECKOUT

SOURCES = ("app.py", "background", "commands", "core", "handlers", "sql")


def callers(commands: Iterable[str]) -> dict[str, list[str]]:
    """For each function, class or constant, as `module.name`, the entries that lead to it.

    An entry is a call of the API (`GET /user/{id}`), a command, whose function has its name (`scripts/ventas
    create-admin`: `_create_admin`), `any request with a token`, or `in the background`."""
    names = references(CHECKOUT, SOURCES)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for entry, start, stop in _entries(names, commands):
        for name in sorted(reached(names, start, stop={stop})):
            if entry not in found[name]:
                found[name].append(entry)
    return found


def _entries(names: Iterable[str], commands: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Each entry, where it starts, and what it refers to that is another entry."""
    for call, handler in _calls():
        yield call, handler, ""
    yield "any request with a token", "app.stack", "app.routes"
    yield "in the background", "app.application", "app.stack"
    for command in commands:
        function = re.compile(rf"commands\.\w+\._{command.replace('-', '_')}")
        for name in filter(function.fullmatch, names):
            yield f"scripts/ventas {command}", name, ""


def _calls() -> Iterator[tuple[str, str]]:
    """Each call of the map in app.py, and its handler."""
    tree = ast.parse((CHECKOUT / "app.py").read_text("utf-8"))
    known = imported(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("at"), args=[ast.Constant(str(path))], keywords=methods):
                for method in methods:
                    match method.value:
                        case ast.Attribute(value=ast.Name(module), attr=name):
                            yield f"{method.arg} {path}", f"{known[module]}.{name}"
