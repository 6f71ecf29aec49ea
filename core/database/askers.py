"""Statements written for many askers at once, and those who ask them."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from msgspec import Struct

from core.database.errors import problem_of
from core.database.instants import Columns
from core.database.naming import named
from core.problems import DB_SLOW, DatabaseUnavailable

TRIES, WAITS = "pg_try_advisory_xact_lock", "pg_advisory_xact_lock"
READ = re.compile(r"(\s|--.*\n)*SELECT\b")


def _quoted(text: str) -> bytes:
    return b'"%b"' % text.replace("\\", "\\\\").replace('"', '\\"').encode()


ELEMENTS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"NULL",
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    str: _quoted,
    bytes: lambda value: b'"\\\\x%b"' % value.hex().encode(),
    datetime: lru_cache(16)(lambda value: _quoted(value.isoformat())),  # mostly a list's first or last moment
}
PLAIN: dict[type, Callable[[Any], bytes]] = {  # the same outside an array
    int: lambda value: b"%d" % value,
    str: str.encode,
}


def element(value: object) -> bytes:
    """A value within PostgreSQL's text of an array, {1,NULL,"dos"}. Raises KeyError for an unknown type."""
    return ELEMENTS[type(value)](value)


def array(elements: Iterable[bytes]) -> bytes:
    return b"{%b}" % b",".join(elements)


def alone(parameters: Mapping[str, object]) -> dict[str, str]:
    """The parameters of a statement written for a batch that has a single asker."""
    return {name: array([element(value)]).decode() for name, value in parameters.items()}


class BatchStatement:
    """A statement written for a batch: each parameter is an array with one element per asker.

    Its first column is `n`, the 1-based position of the asker that the row is for. What it locks it locks with SKIP
    LOCKED or by TRIES: an asker who would have to wait gets a row whose second column is null; its third, if there is
    one, is what the asker waits for, else that is the first parameter. `patient` is the same statement, which waits."""

    def __init__(self, sql: str) -> None:
        self.names: list[str] = []
        self.skips = " SKIP LOCKED" in sql
        self.patient = sql.replace(" SKIP LOCKED", "").replace(TRIES, WAITS)
        self.sql = re.sub(r"%%|%\((\w+)\)s", self._placeholder, named(sql)).encode()

    def _placeholder(self, match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "%"
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"

    def elements(self, parameters: Mapping[str, object]) -> list[bytes]:
        """What an asker adds to each array. Raises KeyError for a value of an unknown type."""
        return [element(parameters[name]) for name in self.names]


class RoutedStatement(BatchStatement):
    """A statement for one asker, with plain parameters; by the first of them a cluster finds its shard."""

    def elements(self, parameters: Mapping[str, object]) -> list[bytes]:
        return [PLAIN[type(parameters[name])](parameters[name]) for name in self.names]


statement, routed = cache(BatchStatement), cache(RoutedStatement)


@cache
def reads(sql: str) -> bool:
    """Whether a statement changes nothing."""
    return READ.match(sql) is not None


class Asker(Struct, gc=False):
    """A request that waits for its rows: its `elements` of the statement's parameters, its `answer`, and
    when it `arrived` (seconds of the loop's clock)."""

    answer: asyncio.Future[list[Columns]]
    elements: list[bytes]
    arrived: float
    obstacle: bytes | None = None  # what a statement said that it would have to wait for

    @property
    def behind(self) -> bytes:
        """What it waits for, once it is held up: those behind the same thing wait together."""
        return self.obstacle or (self.elements[0] if self.elements else b"")

    def tell(self, rows: list[Columns]) -> None:
        if not self.answer.done():
            self.answer.set_result(rows)

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(problem_of(error))


def in_time(askers: Sequence[Asker], oldest: float) -> list[Asker]:
    """The askers that may go on waiting. Refuses those that arrived before `oldest`, which have waited too long."""
    for asker in askers:
        if asker.arrived < oldest:
            asker.refuse(DatabaseUnavailable(DB_SLOW))
    return [asker for asker in askers if not asker.answer.done()]


def columns(askers: Sequence[Asker]) -> list[bytes]:
    """The statement's parameters: an array each, with an element per asker."""
    return [array(column) for column in zip(*(asker.elements for asker in askers), strict=True)]


def hand_out(askers: Sequence[Asker], rows: Iterable[Columns], *, skips: bool = False) -> list[Asker]:
    """Tells each asker their rows. With `skips`, those who would have to wait are returned, and told nothing."""
    found: list[list[Columns]] = [[] for _ in askers]
    for row in rows:
        found[row[0] - 1].append(row)
    if not skips:
        for asker, theirs in zip(askers, found, strict=True):
            asker.tell(theirs)
        return []
    held = []
    for asker, theirs in zip(askers, found, strict=True):
        if theirs and theirs[0][1] is None:
            if theirs[0][2:]:
                asker.obstacle = b"%d" % theirs[0][2]
            held.append(asker)
        else:
            asker.tell(theirs)
    return held
