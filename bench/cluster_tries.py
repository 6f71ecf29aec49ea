"""What scripts/cluster-check tries on a distributed database."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from itertools import count

import psycopg
from msgspec import Struct

from core.caller import NOBODY, Origin
from core.condition import ALWAYS
from core.database.database import Database
from core.problems import DatabaseUnavailable
from sql import logins, sesiones, ventas
from sql.catalogue import statements
from sql.intentos import Tried
from sql.plans import planning, query_of

NOTHING_TRIED = Tried([], [])
HASH = "$2b$04$" + "." * 53
ORIGIN = Origin(actor=NOBODY, address="127.0.0.1", agent="cluster-check", request_id="cluster-check")
USERS = 200
OPERATIONS, CONNECTIONS = 3000, 32
# Statements for many, for which a cluster is sent others.
SENT_ELSEWHERE = [
    "sesiones.active",
    "logins.insert",
    "sesiones_rotation.rotate_each",
    "eliminaciones.step",
    "logins_factor.log_in",
    "ventas.by_id",
    "ventas.insert",
    "ventas_list.pages_of_users",
    "ventas_once.insert",
]
ACROSS = re.compile(  # what asks for the rows of more than one user
    r"\w+\.sweep|pressure\.figures|ventas_export\.(csv|ndjson)|ventas_list\.(count|estimate|page|page_oldest)"
    r"|ventas_sums\.(first|of_all_\w+)|ventas\.by_id_of_any"
)
ELSEWHERE = """
SELECT nodeport <> %(port)s
  FROM citus_shards
 WHERE shardid = get_shard_id_for_distribution_column('venta', %(id)s)
"""
SALE = {"venta": 100, "ventas_productos": 1}


class Row(Struct, frozen=True):
    """A line of the table: what was tried, what it should come to and what it came to."""

    what: str
    goal: str
    found: str
    met: bool


def plans(url: str) -> list[Row]:
    """How many tasks each statement is for the cluster, by EXPLAIN."""
    refused, several, planned = [], [], 0
    with planning(url) as planner:
        for statement in statements():
            known = statement.place.startswith("sql.") and query_of(statement) is not None
            if not known or statement.name in SENT_ELSEWHERE:
                continue
            try:
                tasks = [int(n) for n in re.findall(r"Task Count: (\d+)", planner.text(statement))]
            except psycopg.Error:
                refused.append(statement.name)
            else:
                planned += 1
                several += [statement.name] * (max(tasks, default=0) > 1)
    wrong = [name for name in several if not ACROSS.fullmatch(name)]
    across = ", ".join(f"`{name}`" for name in several if name not in wrong)
    return [
        Row("statements that the cluster plans", "all", _of(planned, refused), not refused),
        Row(
            "one row's or one user's: tasks on one shard only",
            "all",
            _of(planned - len(several), wrong),
            not wrong,
        ),
        Row("what asks every shard", "what is of every user", across, True),
    ]


def remote(url: str) -> list[Row]:
    """What a sale and a login send to the nodes."""
    sale = _sent(url, ventas.INSERT_ROUTED, usuario_id=1, **SALE)
    session = {"seconds": 60, "renewable": False, "address": "", "agent": ""}
    login = _sent(url, logins.OWNER, usuario_id=1, verified=HASH, verified_only=False, segundo_factor=False)
    login += _sent(url, logins.INSERT_ROUTED, usuario_id=1, **session)
    nodes = {node for _, node in sale}
    locks = [text for text, _ in login if "lock_shard_resources" in text]
    two_phases = [text for text, _ in sale + login if text.startswith("issuing PREPARE TRANSACTION")]
    return [
        Row("nodes that a new sale is sent to", "1", str(len(nodes)), len(nodes) == 1),
        Row("commits in two phases, of a sale and a login", "0", str(len(two_phases)), not two_phases),
        Row("locks of `usuario` on every node, of a login", "0", str(len(locks)), not locks),
    ]


async def sharing(db: Database, port: int) -> tuple[list[int], list[int]]:
    """The users whose rows are not on the worker at `port`, and those whose are."""
    elsewhere, there = [], []
    for id in range(1, USERS + 1):
        away = await db.one(bool, ELSEWHERE, id=id, port=port)
        (elsewhere if away else there).append(id)
    return elsewhere, there


async def working(db: Database, users: list[int]) -> tuple[int, int]:
    """How many of the users log in, sell, read, change and delete the sale; how many are refused as a 503."""
    done = refused = 0
    for id in users:
        try:
            opened = await logins.insert(
                db,
                id,
                ORIGIN,
                verified=HASH,
                seconds=60,
                renewable=False,
                verified_only=False,
                tried=NOTHING_TRIED,
            )
            sale = await ventas.insert(db, id, **SALE)
            assert opened and sale
            assert await sesiones.active(db, id, opened.id) and await ventas.by_id(db, sale, id)
            change = await ventas.update(
                db, sale, ORIGIN, usuario_id=id, condition=ALWAYS, venta=200, ventas_productos=None
            )
            gone = await ventas.delete(db, sale, ORIGIN, usuario_id=id, condition=ALWAYS)
            done += change.changed and gone.changed
        except DatabaseUnavailable:
            refused += 1
    return done, refused


async def rates(db: Database) -> dict[str, float]:
    """Operations a second, CONNECTIONS at a time: sales made, and read by their owners."""
    ids = []

    async def sell(n: int) -> None:
        ids.append((await ventas.insert(db, 1 + n % USERS, **SALE), 1 + n % USERS))

    async def read(n: int) -> None:
        id, owner = ids[n]
        assert id and await ventas.by_id(db, id, owner)

    return {"new sales": await _rate(sell), "reads of a sale by its id": await _rate(read)}


async def _rate(work: Callable[[int], Awaitable[None]]) -> float:
    numbers = count()

    async def client() -> None:
        while (n := next(numbers)) < OPERATIONS:
            await work(n)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return OPERATIONS / (time.perf_counter() - began)


def _sent(url: str, sql: str, **parameters: object) -> list[tuple[str, str]]:
    """Each message that the coordinator sends a node for a statement, and the node."""
    told: list[tuple[str, str]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET citus.log_remote_commands = on")
        connection.add_notice_handler(
            lambda said: told.append(
                (said.message_primary or "", (said.message_detail or "").partition(" connection")[0])
            )
        )
        connection.execute(sql, parameters)
    return told


def _of(good: int, bad: list[str]) -> str:
    return f"{good} of {good}" if not bad else f"{good} of {good + len(bad)}, not {', '.join(bad)}"
