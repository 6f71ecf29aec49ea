"""Migrations: what the folder holds, what a database has of it, and where the two differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege

from core.checkout import CHECKOUT

FOLDER = CHECKOUT / "migrations"
OLDEST = 15  # PostgreSQL's version
NAME = re.compile(r"[0-9]+_\w+")
HEADER = re.compile(r"^-- (What|Why|Locks|Undo): +(.*(?:\n--  .*)*)", re.MULTILINE)


class MigrationError(Exception):
    """Why migrating stopped: one line, no secrets. `exit_code` is what the command ends with."""

    exit_code = 1
    diff = ""


class LockNotGrantedError(MigrationError):
    """A lock was not granted, however often it was asked for."""

    exit_code = 6


class UnsuitableError(MigrationError):
    """The server or the database is not one that the product works with."""


@dataclass(frozen=True)
class Migration:
    """A migration as the code has it (`text`) and as the database has it (the rest)."""

    name: str
    text: str | None
    applied_at: datetime | None = None
    applied_text: str | None = None

    @property
    def state(self) -> str:
        """`applied`, `pending`, `edited` (since it was applied) or `ahead` (the code does not have it)."""
        if self.text is None:
            return "ahead"
        if self.applied_at is None:
            return "pending"
        return "applied" if self.applied_text in (None, self.text) else "edited"

    def diff(self) -> str:
        """From the applied text to the file's, as a unified diff."""
        before, after = (self.applied_text or "").splitlines(), (self.text or "").splitlines()
        names = f"{self.name} as applied", f"{self.name}.sql"
        return "\n".join(difflib.unified_diff(before, after, *names, lineterm=""))


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the folder's migrations, in order: its numbered .sql files."""
    return sorted(path.stem for path in folder.glob("*.sql") if NAME.fullmatch(path.stem))


def pending(url: str, folder: Path = FOLDER) -> list[str]:
    """Names of the folder's migrations that the database at `url` (libpq's URL) lacks, in order.

    Two short queries, safe through any pooler; edited files and a database ahead of the code do not matter.
    Raises MigrationError when the database cannot be asked.
    """
    with plain_errors(), connect(url) as connection:
        done = applied(connection)
    return [name for name in names(folder) if name not in done]


def status(url: str, folder: Path = FOLDER) -> list[Migration]:
    """Every migration that the folder or the database knows, in order; changes nothing."""
    with plain_errors(), connect(url) as connection:
        return read(connection, folder)


def read(connection: psycopg.Connection[Any], folder: Path) -> list[Migration]:
    """As `status`, on an open connection."""
    files, done = set(names(folder)), applied(connection)
    texts = dict[str, str]()
    if table_exists(connection, "migracion_texto"):
        texts.update(connection.execute("SELECT migracion, texto FROM migracion_texto").fetchall())
    return [
        Migration(
            name,
            (folder / f"{name}.sql").read_text("utf-8") if name in files else None,
            done.get(name),
            texts.get(name),
        )
        for name in sorted(files | done.keys())
    ]


def connect(url: str) -> psycopg.Connection[Any]:
    """An autocommit connection to any URL that libpq takes; nothing is prepared, so it passes a pooler.

    Raises UnsuitableError where `unsuitable` finds a reason."""
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its message would quote the URL, and the password with it
        raise MigrationError("the database URL is not one that PostgreSQL understands") from None
    defaults: dict[str, Any] = {"connect_timeout": 10, "fallback_application_name": "migrate"}
    connection = psycopg.connect(
        **defaults | parameters, client_encoding="utf8", autocommit=True, prepare_threshold=None
    )
    encoding = connection.info.parameter_status("server_encoding") or ""
    [(schema,)] = connection.execute("SELECT current_schema()").fetchall()
    if reason := unsuitable(connection.info.server_version, encoding, schema):
        connection.close()
        raise UnsuitableError(reason)
    return connection


def unsuitable(version: int, encoding: str, schema: str | None) -> str:
    """Why the product cannot work there, or nothing. `version` is libpq's number, `schema` where tables are made."""
    if version < OLDEST * 10_000:
        return f"PostgreSQL {version // 10_000} is too old: use {OLDEST} or newer"
    if encoding != "UTF8":
        return f"the database's encoding is {encoding}: make it anew, with ENCODING 'UTF8' TEMPLATE template0"
    if schema != "public":
        return (
            f"the role's search_path leads to the schema {schema}: the tables belong in public;"
            " ALTER ROLE … SET search_path = public"
        )
    return ""


def table_exists(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether `name` is a table on the search path."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
    return row is not None and bool(row[0])


def header(text: str) -> dict[str, str]:
    """The sentences that open a migration, by their words: What, Why, Locks, Undo."""
    return {word: re.sub(r"\n-- +", " ", sentence) for word, sentence in HEADER.findall(text)}


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns the driver's errors into MigrationError."""
    try:
        yield
    except InsufficientPrivilege as error:
        advice = "migrate as the owner of the tables, then run docs/roles.sql"
        raise MigrationError(f"{one_line(error)}: {advice}") from error
    except psycopg.Error as error:
        raise MigrationError(one_line(error)) from error


def one_line(error: psycopg.Error) -> str:
    """PostgreSQL's own sentence, or else the driver's words, on one line."""
    return error.diag.message_primary or " ".join(str(error).split())


def applied(connection: psycopg.Connection[Any]) -> dict[str, datetime]:
    """When each migration that the database has was applied, by name."""
    if not table_exists(connection, "_yoyo_migration"):
        return {}
    rows = connection.execute("SELECT migration_id, applied_at_utc FROM _yoyo_migration")
    return {name: moment.replace(tzinfo=UTC) for name, moment in rows}
