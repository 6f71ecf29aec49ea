"""The database under faults: honest 503s at once, reads repeated, changes never, and back as soon as PostgreSQL is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import Open, Rows, row, until
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.database.database import Database, open_database
from core.problems import ConstraintViolated, DatabaseUnavailable

pytestmark = pytest.mark.anyio

NEW_USER = """
INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
VALUES (%(username)s, '$2b$04$' || repeat('a', 53), 'N', 'A', '099123', %(username)s || '@example.com')
"""
NEW_USERS = """
WITH made AS (
    INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
    SELECT username, '$2b$04$' || repeat('a', 53), 'N', 'A', '099123', username || '@example.com'
      FROM unnest(%(username)s::text[]) AS asked (username)
    RETURNING id)
SELECT 1 AS n, id FROM made
"""
LIMITS = """
SELECT name, setting
  FROM pg_settings
 WHERE name IN ('application_name', 'idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout')
 ORDER BY name
"""
OURS = """
SELECT pid
  FROM pg_stat_activity
 WHERE application_name = 'ventas' AND datname = current_database()
"""
BEGUN = b"C\0\0\0\x0aBEGIN\0"
CRASHED = b"SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0"
IDS = "SELECT asked.n, asked.id FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)"


class Relay:
    """A road to the database that can be closed, opened again, fall silent, or end as PgBouncer's does: with an error
    behind the answer to BEGIN."""

    def __init__(self, url: str, folder: Path) -> None:
        self._to = conninfo_to_dict(url)
        self._path = folder / ".s.PGSQL.5432"
        self.url = make_conninfo(**self._to | {"host": str(folder), "port": 5432})
        self._server: asyncio.Server | None = None
        self._roads: set[asyncio.Task[None] | None] = set()
        self.silent = False
        self.crashes = False

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._carry, self._path)

    async def close(self) -> None:
        """Refuses new connections and cuts the old ones."""
        if self._server:
            self._server.close()
        while self._roads:
            if road := self._roads.pop():
                road.cancel()
                await asyncio.wait([road])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._roads.add(asyncio.current_task())
        host, port = str(self._to["host"]), self._to["port"]
        with closing(writer):
            if host.startswith("/"):
                there, back = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            else:
                there, back = await asyncio.open_connection(host, port)
            with closing(back):
                await asyncio.gather(self._way(reader, back), self._way(there, writer))

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if self.crashes:
                    error = b"E" + (len(CRASHED) + 4).to_bytes(4) + CRASHED
                    data = data.replace(BEGUN, BEGUN + error)
                if not self.silent:
                    writer.write(data)
        finally:
            writer.close()


@pytest.fixture
async def relay(database: str, tmp_path: Path) -> AsyncIterator[Relay]:
    relay = Relay(database, tmp_path)
    await relay.open()
    yield relay
    await relay.close()


def idle(db: Database) -> bool:
    """Whether every connection of the pool has been made, and nobody uses one."""
    stats = db.pool.get_stats()
    return stats["pool_available"] == stats["pool_size"]


async def refusal(asker: Awaitable[object]) -> str:
    """The `codigo` of the 503 that ends it."""
    with pytest.raises(DatabaseUnavailable) as refused:
        await asker
    return refused.value.kind.codigo


def active(rows: Rows, query: str) -> list[tuple[Any, ...]]:
    return rows("SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = %s", query)


def kill(rows: Rows) -> None:
    """Ends all our connections to this database."""
    rows(f"SELECT pg_terminate_backend(pid) FROM ({OURS}) AS ours")


async def test_rows_are_built_from_columns_in_order(db: Database) -> None:
    assert await db.one(row, "SELECT 1, %(text)s::text, NULL", text="ñ") == (1, "ñ", None)
    assert await db.one(row, "SELECT 1 WHERE false") is None
    assert await db.many(int, "SELECT generate_series(1, %(end)s)", end=3) == [1, 2, 3]
    assert await db.run(NEW_USER, username="ana") == 1
    assert await db.run("DELETE FROM usuario WHERE id < %(id)s", id=-(2**63)) == 0


@pytest.mark.parametrize("prepare", [True, False])
async def test_times_are_utc_whatever_the_database_prefers(opened: Open, rows: Rows, prepare: bool) -> None:
    [(name,)] = rows("SELECT current_database()")
    rows(f"ALTER DATABASE {name} SET timezone TO 'Asia/Tokyo'")
    db = await opened(prepare=prepare)
    moment = datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)

    loaded = await db.one(lambda at: at, "SELECT %(at)s::timestamptz", at=moment)

    assert (loaded, loaded.tzinfo) == (moment, UTC)
    assert await db.one(str, "SELECT current_setting('timezone')") == "UTC"


async def test_a_number_of_any_size_is_one_prepared_statement(opened: Open) -> None:
    db = await opened(pool_max=1)
    for number in (1, 40_000, 2**40):
        assert await db.one(int, "SELECT %(number)s + 0", number=number) == number

    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%+ 0'"
    assert await db.one(int, prepared) == 1


async def test_it_prepares_nothing_behind_pgbouncer(opened: Open) -> None:
    db = await opened(pool_max=1, prepare=False)
    assert await db.gather(row, IDS, id=1) == (1,)

    assert await db.one(int, "SELECT count(*) FROM pg_prepared_statements") == 0


async def test_connections_carry_their_limits_and_the_url_wins(opened: Open, database: str) -> None:
    db = await opened(make_conninfo(database, application_name="otra"), timeout=2.5)

    assert await db.many(row, LIMITS) == [
        ("application_name", "otra"),
        ("idle_in_transaction_session_timeout", "60000"),
        ("lock_timeout", "2500"),
        ("statement_timeout", "15000"),
    ]


async def test_it_never_opens_more_connections_than_allowed(opened: Open, rows: Rows) -> None:
    db = await opened(pool_max=5)

    await asyncio.gather(
        *(db.one(row, "SELECT pg_sleep(0.05)") for _ in range(20)),
        *(db.gather(row, IDS, id=n) for n in range(20)),
        *(db.gather_many(row, IDS, id=n) for n in range(20)),
    )

    assert len(rows(OURS)) <= 5


async def test_a_constraint_becomes_its_problem_on_a_shard_too(db: Database, rows: Rows) -> None:
    rows("ALTER INDEX usuario_username_key RENAME TO usuario_username_key_102034")
    await db.run(NEW_USER, username="ana")

    with pytest.raises(ConstraintViolated) as refused:
        await db.run(NEW_USER, username="ANA")

    assert refused.value.kind.codigo == "usuario_repetido"


@pytest.mark.parametrize("state", ["23505", "XX000"])
@pytest.mark.parametrize("words", ['violates constraint "%s"', "viola la restricción «%s»"])
async def test_a_workers_constraint_is_known_by_its_message(db: Database, state: str, words: str) -> None:
    message = words % "usuario_username_key_102008"
    told = f"DO $$ BEGIN RAISE '{message}' USING ERRCODE = '{state}'; END $$"

    with pytest.raises(ConstraintViolated, match="el username ya está en uso"):
        await db.run(told)


async def test_a_workers_sequence_behind_its_table_is_known_by_its_message(db: Database) -> None:
    told = """DO $$ BEGIN RAISE 'duplicate "sesion_pkey_102040"' USING ERRCODE = '23505'; END $$"""

    assert await refusal(db.run(told)) == "bd_numeracion"


async def test_a_worker_that_is_away_is_a_503(db: Database) -> None:
    away = "failure on connection marked as essential: worker-1:5432"

    assert await refusal(db.run(f"DO $$ BEGIN RAISE '{away}' USING ERRCODE = 'XX000'; END $$")) == (
        "bd_no_disponible"
    )


async def test_what_is_sent_together_is_all_or_nothing(opened: Open, rows: Rows) -> None:
    db = await opened(pool_max=1)
    made, refused = (NEW_USER, {"username": "ana"}), ("SELECT %(text)s::text::bigint", {"text": "nada"})

    for asked in ((made, refused), (refused, made)):
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await db.together(*asked)
        assert rows("SELECT count(*) FROM usuario") == [(0,)]

    assert await db.together(made, ("SELECT count(*) FROM usuario", {})) == [[], [(1,)]]
    assert rows("SELECT count(*) FROM usuario") == [(1,)]


async def test_a_client_that_leaves_ends_what_was_sent_together(opened: Open, rows: Rows) -> None:
    db = await opened(pool_max=1)
    asker = asyncio.ensure_future(db.together((NEW_USER, {"username": "ana"}), ("SELECT pg_sleep(60)", {})))
    await until(lambda: active(rows, "SELECT pg_sleep(60)"))

    asker.cancel()
    await asyncio.wait([asker])

    await until(lambda: not active(rows, "SELECT pg_sleep(60)"))
    assert await db.one(int, "SELECT count(*) FROM usuario") == 0


async def test_a_transaction_is_all_or_nothing(db: Database, rows: Rows) -> None:
    with pytest.raises(ConstraintViolated):
        async with db.transaction() as tx:
            await tx.run(NEW_USER, username="ana")
            await tx.run(NEW_USER, username="ana")
    async with db.transaction() as tx:
        await tx.run(NEW_USER, username="beto")

    assert rows("SELECT username FROM usuario") == [("beto",)]


@pytest.mark.parametrize(
    ("state", "codigo"),
    [
        ("25006", "bd_solo_lectura"),
        ("40001", "bd_lenta"),
        ("40P01", "bd_lenta"),
        ("53100", "bd_sin_espacio"),
        ("53300", "bd_sin_conexiones"),
        ("55P03", "bd_lenta"),
        ("57014", "bd_lenta"),
        ("57P01", "bd_reiniciando"),
        ("57P03", "bd_reiniciando"),
        ("58030", "bd_no_disponible"),
        ("CIINF", "bd_no_disponible"),
    ],
)
async def test_what_postgresql_cannot_do_now_is_a_503_that_says_why(
    db: Database, state: str, codigo: str
) -> None:
    assert await refusal(db.run(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state}'; END $$")) == codigo


async def test_it_leaves_a_read_only_server_to_look_for_the_primary(opened: Open, database: str) -> None:
    db = await opened(make_conninfo(database, options="-c default_transaction_read_only=on"), pool_max=1)
    before = await db.one(int, "SELECT pg_backend_pid()")

    assert await refusal(db.run(NEW_USER, username="ana")) == "bd_solo_lectura"

    assert await db.one(int, "SELECT pg_backend_pid()") != before


async def test_a_statement_that_takes_too_long_ends(opened: Open, database: str) -> None:
    db = await opened(make_conninfo(database, options="-c statement_timeout=50"))

    assert await refusal(db.one(row, "SELECT pg_sleep(60)")) == "bd_lenta"


async def test_a_statement_that_nobody_ends_is_given_up(
    opened: Open, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.database.executors.SILENCE_SECONDS", 0.1)
    db = await opened(pool_max=1)

    assert await refusal(db.one(row, "SELECT pg_sleep(60)")) == "bd_lenta"

    assert not active(rows, "SELECT pg_sleep(60)")
    assert await db.one(int, "SELECT 1") == 1


async def test_who_waits_too_long_for_a_connection_is_told(opened: Open) -> None:
    db = await opened(pool_max=1, timeout=0.2)
    async with db.transaction():
        assert await refusal(db.one(int, "SELECT 1")) == "bd_sin_conexiones"

    assert await db.one(int, "SELECT 1") == 1


async def test_it_refuses_at_once_when_too_many_wait(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.database.rooms.MOST_WAITING", 5)
    db = await opened(pool_max=1)
    async with db.transaction():
        askers = [asyncio.ensure_future(db.one(int, "SELECT 7")) for _ in range(20)]
        refused, waiting = await asyncio.wait(askers, return_when=asyncio.FIRST_COMPLETED)

    assert len(refused) >= 15
    assert {await refusal(asker) for asker in refused} == {"servidor_ocupado"}
    assert [await asker for asker in waiting] == [7] * len(waiting)


async def test_a_client_that_leaves_ends_its_query(db: Database, rows: Rows) -> None:
    asker = asyncio.ensure_future(db.one(row, "SELECT pg_sleep(60)"))
    await until(lambda: active(rows, "SELECT pg_sleep(60)"))

    asker.cancel()
    await asyncio.wait([asker])

    assert not active(rows, "SELECT pg_sleep(60)")
    assert await db.one(int, "SELECT 1") == 1


async def test_connections_that_died_while_idle_are_not_lent(db: Database, rows: Rows) -> None:
    await asyncio.gather(*(db.one(row, "SELECT pg_sleep(0.05)") for _ in range(5)))
    kill(rows)
    await until(lambda: not rows(OURS))

    assert await db.run(NEW_USER, username="ana") == 1


async def test_a_read_whose_connection_dies_is_repeated(db: Database, rows: Rows) -> None:
    query = "-- why\nSELECT 7 FROM pg_sleep(0.3)"
    asker = asyncio.ensure_future(db.one(int, query))
    await until(lambda: active(rows, query))
    kill(rows)

    assert await asker == 7


async def test_a_change_whose_connection_dies_is_not_repeated(db: Database, rows: Rows) -> None:
    change = "WITH slept AS (SELECT pg_sleep(0.3)) UPDATE usuario SET estado = true FROM slept"
    await db.run(NEW_USER, username="ana")
    asker = asyncio.ensure_future(db.run(change))
    await until(lambda: active(rows, change))
    kill(rows)

    assert await refusal(asker) in ("bd_reiniciando", "bd_no_disponible")
    assert rows("SELECT estado FROM usuario") == [(False,)]


async def test_a_read_planned_for_an_older_schema_is_repeated(opened: Open, rows: Rows) -> None:
    db = await opened(pool_max=1)
    rows("CREATE TABLE edad AS SELECT 40 AS edad")
    assert await db.one(row, "SELECT edad FROM edad") == (40,)

    rows("ALTER TABLE edad ALTER COLUMN edad TYPE text")

    assert await db.one(row, "SELECT edad FROM edad") == ("40",)


async def test_it_opens_while_the_database_is_away_and_says_so_at_once(opened: Open, relay: Relay) -> None:
    await relay.close()
    db = await opened(relay.url)

    async with asyncio.timeout(2):
        for _ in range(500):
            assert await refusal(db.one(int, "SELECT 1")) == "bd_no_disponible"
            assert await refusal(db.gather(row, IDS, id=1)) == "bd_no_disponible"


@pytest.mark.parametrize("ask", [lambda db: db.one(row, "SELECT 7"), lambda db: db.gather(row, IDS, id=7)])
async def test_it_is_back_as_soon_as_the_database_is(
    opened: Open, relay: Relay, ask: Callable[[Database], Awaitable[object]]
) -> None:
    db = await opened(relay.url)
    assert await ask(db) == (7,)
    await relay.close()
    assert await refusal(ask(db)) == "bd_no_disponible"
    await relay.open()

    async with asyncio.timeout(5):
        while True:
            try:
                assert await ask(db) == (7,)
                break
            except DatabaseUnavailable:
                await asyncio.sleep(0.01)


async def test_a_pooler_whose_server_ends_as_a_transaction_begins_is_said(opened: Open, relay: Relay) -> None:
    db = await opened(relay.url, pool_max=1)
    relay.crashes = True

    with pytest.raises(DatabaseUnavailable) as refused:
        async with db.transaction():
            pass

    assert refused.value.kind.codigo == "bd_no_disponible"
    relay.crashes = False
    async with db.transaction() as tx:
        assert await tx.one(int, "SELECT 7") == 7


async def test_a_database_that_falls_silent_is_given_up(opened: Open, relay: Relay) -> None:
    db = await opened(relay.url, timeout=0.3)
    assert await db.gather(row, IDS, id=7) == (7,)
    relay.silent = True

    async with asyncio.timeout(5):
        assert await refusal(db.gather(row, IDS, id=7)) == "bd_lenta"


@pytest.mark.parametrize("coalesce", [True, False])
async def test_a_change_that_is_not_answered_may_have_happened(
    opened: Open, relay: Relay, monkeypatch: pytest.MonkeyPatch, coalesce: bool
) -> None:
    monkeypatch.setattr("core.database.executors.SILENCE_SECONDS", 0.3)
    db = await opened(relay.url, timeout=1, coalesce=coalesce)
    assert await db.gather(int, NEW_USERS, username="ana")
    await until(lambda: idle(db))
    relay.silent = True

    assert await refusal(db.gather(int, NEW_USERS, username="beto")) == "resultado_desconocido"


async def test_a_commit_that_is_not_answered_may_have_happened(opened: Open, relay: Relay) -> None:
    db = await opened(relay.url, pool_max=1)

    with pytest.raises(DatabaseUnavailable) as refused:
        async with db.transaction() as tx:
            await tx.run(NEW_USER, username="ana")
            await relay.close()

    assert refused.value.kind.codigo == "resultado_desconocido"


async def test_its_connections_close_with_it(database: str, rows: Rows) -> None:
    async with open_database(database) as db:
        await asyncio.gather(*(db.one(row, "SELECT pg_sleep(0.05)") for _ in range(5)))
        await db.gather(row, IDS, id=1)

    await until(lambda: not rows(OURS))
