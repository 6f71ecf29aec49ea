"""The catalogue: every statement that the application sends to its database, by name."""

import importlib
import pkgutil
import re
from functools import cache
from inspect import getsource

from msgspec import Struct

import core
import sql

HEADER = re.compile(r"\s*-- (?P<name>\w+\.\w+): (?P<words>.*?)\n(?!--)", re.DOTALL)
COST = re.compile(r"; ((?:reads|uses) .*)", re.DOTALL)
INDEXES = re.compile(r"uses (?!no index)(.*)")
LANED = re.compile(r"\.gather(?:_many)?\(\s*[\w.]+,\s*(\w+)")
PARAMETER = re.compile(r"%\((\w+)\)s")

READS_TABLE = "reads the whole table"
READS_MATCHING = "reads all that match"


class Statement(Struct, frozen=True):
    """A constant whose text opens with `-- name: purpose; cost`, over one line or more.

    `cost` is `uses index, index` or `uses no index`; before that, where it is so, READS_TABLE or
    READS_MATCHING, for what takes longer the more rows there are. `place` is the constant's module and name;
    `lane` is whether it runs in a lane, together with others', and not on a connection of the pool."""

    name: str
    purpose: str
    cost: str
    text: str
    place: str
    lane: bool

    @property
    def indexes(self) -> list[str]:
        """The indexes that it says it uses."""
        found = INDEXES.search(self.cost)
        return found[1].split(", ") if found else []

    @property
    def reads_all(self) -> bool:
        """Whether it says that it reads without a bound."""
        return self.cost.startswith((READS_TABLE, READS_MATCHING))

    @property
    def body(self) -> str:
        """The text without its header."""
        return HEADER.sub("", self.text, count=1).strip()

    @property
    def parameters(self) -> list[str]:
        """Their names, in the order of their first use."""
        return list(dict.fromkeys(PARAMETER.findall(self.text)))


@cache
def statements() -> list[Statement]:
    """Every statement, by name."""
    found = [
        _parse(text, header, f"{module.__name__}.{constant}", constant in LANED.findall(getsource(module)))
        for package in (core, sql)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        for module in [importlib.import_module(found.name)]
        for constant, text in vars(module).items()
        if isinstance(text, str) and (header := HEADER.match(text))
    ]
    return sorted(found, key=lambda statement: statement.name)


def _parse(text: str, header: re.Match[str], place: str, lane: bool) -> Statement:
    words = header["words"].replace("\n--", "")
    cost = COST.search(words)
    purpose, cost_words = (words[: cost.start()], cost[1]) if cost else (words, "")
    return Statement(header["name"], purpose, cost_words, text, place, lane)
