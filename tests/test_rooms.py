"""The rooms of the house: which may call which, read from the imports of every module."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from core.checkout import CHECKOUT

SHARED = {
    "core.addresses",
    "core.caller",
    "core.checkout",
    "core.condition",
    "core.instants",
    "core.periods",
    "core.problems",
    "core.trace",
    "core.zones",
}
MAY_CALL = {
    "app": {"background", "commands", "handlers", "sql", "core.auth", "core.http", "core.process"},
    "background": {"sql", "core.auth", "core.database", "core.migrating", "core.process"},
    "commands": {
        "handlers",  # what they check and take: a command refuses what the API refuses
        "sql",
        "core.auth",
        "core.database",
        "core.files",
        "core.http",
        "core.local",
        "core.migrating",
        "core.process",
    },
    "handlers": {
        "sql",
        "core.auth",
        "core.database",
        "core.describe",
        "core.files",
        "core.http",
        "core.migrating",
        "core.process",
    },
    "sql": {"core.auth", "core.database", "core.files", "core.http", "core.migrating"},
    "core.auth": {"core.database", "core.http"},
    "core.database": set(),
    "core.describe": {"core.http"},
    "core.files": set(),
    "core.http": {"core.files"},
    "core.local": set(),
    "core.migrating": set(),
    "core.process": {"core.auth", "core.database", "core.files", "core.local", "core.migrating"},
}
PSYCOPG = {"sql", "commands", "core.database", "core.migrating", "core.process"}
STARLETTE = {"app", "handlers", "core.auth", "core.describe", "core.http", "core.process"}


def room(module: str) -> str:
    """`core.http` of `core.http.routing`, `sql` of `sql.ventas`; a shared module is a room of its own."""
    if module in SHARED:
        return module
    return ".".join(module.split(".")[: 2 if module.startswith("core.") else 1])


def modules() -> Iterator[tuple[str, ast.Module]]:
    for name in ("app.py", "background", "commands", "core", "handlers", "sql"):
        path = CHECKOUT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield named(file), ast.parse(file.read_text("utf-8"))


def named(file: Path) -> str:
    return ".".join(file.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that a module imports when it runs; what is only for the type checker does not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module
        else:
            yield from imports(node)


TREES = dict(modules())
NAMES = TREES.keys()
IMPORTS = {name: set(imports(tree)) for name, tree in TREES.items()}


def broken(imports_of: dict[str, set[str]]) -> list[str]:
    """Every import that goes against the arrows, as a line for the one who wrote it."""
    return [
        f"{module} may not import {other}"
        for module, others in imports_of.items()
        for other in sorted(others)
        if not allowed(module, other)
    ]


def allowed(module: str, other: str) -> bool:
    here, there = room(module), room(other)
    package = other.partition(".")[0]
    if package in ("psycopg", "psycopg_pool"):
        return here in PSYCOPG
    if package == "starlette":
        return here in STARLETTE
    if package not in {name.partition(".")[0] for name in MAY_CALL} or here == there or other == "core":
        return True
    if there in SHARED:
        return here != "core.local"
    return there in MAY_CALL.get(here, set())


def test_every_import_follows_the_arrows() -> None:
    assert broken(IMPORTS) == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    own = {name: {other for other in others if other in NAMES} for name, others in IMPORTS.items()}
    tuple(TopologicalSorter(own).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("core.database.pool", "core.http.messages"),
        ("core.http.endpoint", "core.database.database"),
        ("core.http.endpoint", "core.process.services"),
        ("core.local.embedded", "core.problems"),
        ("core.problems", "core.http.messages"),
        ("handlers.ventas", "commands.transfer"),
        ("handlers.ventas", "psycopg"),
        ("sql.ventas", "handlers.ventas"),
        ("sql.ventas", "starlette.requests"),
    ],
)
def test_an_import_against_the_arrows_is_named(module: str, other: str) -> None:
    assert broken({module: {other}}) == [f"{module} may not import {other}"]


def test_no_two_classes_share_a_name() -> None:
    trees = [
        *TREES.values(),
        *(ast.parse(file.read_text("utf-8")) for file in (CHECKOUT / "bench").glob("*.py")),
    ]
    names = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_handlers_hold_no_sql() -> None:
    statement = re.compile(r"\s*(-- \w+\.\w+:|SELECT |INSERT INTO |UPDATE \w+ SET |DELETE FROM )")
    found = [
        (name, node.lineno)
        for name, tree in TREES.items()
        if room(name) == "handlers"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and statement.match(node.value)
    ]
    assert found == []


def test_production_imports_nothing_of_the_embedded_postgresql() -> None:
    check = "import sys, app, core.process.start; sys.exit(' '.join(m for m in sys.modules if 'core.local' in m) or 0)"
    subprocess.run([sys.executable, "-c", check], cwd=CHECKOUT, check=True)
