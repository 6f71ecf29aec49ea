"""What is kept long enough is forgotten: in small batches, without waiting for anybody, by the processes themselves."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import psycopg
import pytest
from conftest import SETTINGS, url_as

from background import retention
from background.sweeps import sweeps
from commands.main import main
from core.checkout import CHECKOUT
from core.database.database import Database
from core.process import start
from sql import (
    auditoria_months,
    auditoria_retention,
    avisos,
    enlaces,
    idempotencia,
    intentos,
    llaves,
    sesiones,
)
from sql.auditoria_months import partition

pytestmark = pytest.mark.each_postgresql

FAKETIME = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
Rows = Callable[..., list[tuple]]
Capture = pytest.CaptureFixture[str]

USERS = """
INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
SELECT 'u' || n, '$2b$12$' || repeat('a', 53), 'Ana', 'Paz', '2604538424', 'u' || n || '@example.com'
  FROM generate_series(1, 2100) AS n
"""
# 2,000 rows of each kind that may go, and 100 that must stay.
OLD = {
    "sesion": """
INSERT INTO sesion (usuario_id, expira)
SELECT n, now() + CASE WHEN n > 2000 THEN interval '1 hour' ELSE interval '-3 days' END
  FROM generate_series(1, 2100) AS n
""",
    "idempotencia": """
INSERT INTO idempotencia (usuario_id, clave, creacion, expira)
SELECT n, 'k', now() - interval '2 days',
       CASE WHEN n > 2000 THEN now() + interval '1 hour' ELSE now() - n * interval '1 second' END
  FROM generate_series(1, 2100) AS n
""",
    "enlace": """
INSERT INTO enlace (usuario_id, tipo, correo, clave, creacion, expira)
SELECT n, 'recuperacion', 'x@example.com', sha256('x'), now() - interval '9 days',
       now() + CASE WHEN n > 2000 THEN interval '1 hour' ELSE interval '-8 days' END
  FROM generate_series(1, 2100) AS n
""",
    "aviso": """
INSERT INTO aviso (usuario_id, tipo, correo, reversible, creacion, expira)
SELECT n, 'correo', 'x@example.com', true, now() - interval '11 days',
       now() + CASE WHEN n > 2000 THEN interval '1 hour' ELSE interval '-8 days' END
  FROM generate_series(1, 2100) AS n
""",
    "llave": """
INSERT INTO llave (usuario_id, nombre, ambitos, huella, creacion, expira)
SELECT n, 'caja', '{ventas:crear}', sha256('x'), now() - interval '1 year',
       now() + CASE WHEN n > 2000 THEN interval '1 hour' ELSE interval '-91 days' END
  FROM generate_series(1, 2100) AS n
""",
    "intento": """
INSERT INTO intento (clave, intentos, ultimo, conocida)
SELECT substr(sha256(n::text::bytea), 1, 16), 1,
       now() - CASE WHEN n > 2000 THEN interval '1 hour'
                    WHEN n > 1000 THEN interval '2 days' ELSE interval '31 days' END,
       n <= 1000
  FROM generate_series(1, 2100) AS n
""",
}
SWEEPS: dict[str, Callable[[Database], Awaitable[int]]] = {
    "sesion": sesiones.sweep,
    "idempotencia": idempotencia.sweep,
    "enlace": enlaces.sweep,
    "aviso": avisos.sweep,
    "intento": intentos.sweep,
    "llave": llaves.sweep,
}


@asynccontextmanager
async def opened(url: str):
    async with start.services(SETTINGS | {"DATABASE_URL": url_as("ventas_app", url)}) as services:
        yield services


@pytest.fixture
def old(rows: Rows) -> None:
    rows(USERS)
    for insert in OLD.values():
        rows(insert)


def test_each_table_that_fills_by_itself_is_swept_in_the_background(database: str) -> None:
    async def names() -> set[str]:
        async with opened(database) as services:
            return {sweep.name for sweep in sweeps(services)}

    others = {"eliminacion", "auditoria_late", "factor", "llave_uso"}  # which have tests of their own
    assert asyncio.run(names()) == OLD.keys() | others


def test_a_sweep_forgets_what_may_go_and_nothing_else(database: str, rows: Rows, old: None) -> None:
    async def sweep_all() -> None:
        async with opened(database) as services:
            for sweep in sweeps(services):
                while await sweep.job():
                    continue

    asyncio.run(sweep_all())
    for table in OLD:
        assert rows(f"SELECT count(*) FROM {table}") == [(100,)]


@pytest.mark.parametrize("table", OLD)
def test_a_sweep_takes_a_small_batch_at_a_time(table: str, database: str, old: None) -> None:
    async def first_batch() -> int:
        async with opened(database) as services:
            return await SWEEPS[table](services.db)

    assert 0 < asyncio.run(first_batch()) <= 1000


@pytest.mark.parametrize("table", ["enlace", "aviso", "intento"])
def test_a_sweep_leaves_alone_what_somebody_works_on(
    table: str, database: str, rows: Rows, old: None
) -> None:
    async def sweep() -> None:
        async with opened(database) as services:
            while await SWEEPS[table](services.db):
                pass

    with psycopg.connect(database) as other:
        [(busy,)] = other.execute(
            f"SELECT count(*) FROM (SELECT FROM {table} LIMIT 7 FOR UPDATE) AS worked_on"
        )
        asyncio.run(sweep())
    assert rows(f"SELECT count(*) FROM {table}") == [(100 + busy,)]


@pytest.fixture
def months(database: str, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """This month and the three before it, newest first, each with a partition and a record; AUDIT_MONTHS is 2."""
    [(this,)] = rows("SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date")
    found = [auditoria_months.months_later(this, -ago) for ago in range(4)]
    for month in found:
        make(rows, month)
    rows("INSERT INTO auditoria (usuario_id, accion, creacion) SELECT 1, 'login', unnest(%s::date[])", found)
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("AUDIT_MONTHS", "2")
    return found


def kept(rows: Rows) -> list[date]:
    return [moment for (moment,) in rows("SELECT creacion::date FROM auditoria ORDER BY creacion DESC")]


def test_retention_drops_the_months_that_were_kept_long_enough(
    months: list[date], rows: Rows, capsys: Capture
) -> None:
    assert main(["retention", "--yes"]) == 0

    said = capsys.readouterr().out
    assert f"{partition(months[3])}: due\n{partition(months[3])}: dropped, it was kept long enough\n" in said
    assert kept(rows) == months[:3]
    assert main(["retention"]) == 0
    assert capsys.readouterr().out == "nothing is due\n"


def test_it_asks_before_it_drops(months: list[date], rows: Rows, capsys: Capture) -> None:
    assert main(["retention"]) == 2
    assert capsys.readouterr().err == "error: it asks first: run it at a terminal, or add --yes\n"
    assert kept(rows) == months


def test_migrate_drops_nothing_and_shows_what_is_due(months: list[date], rows: Rows, capsys: Capture) -> None:
    told = f"-- {partition(months[3])} was kept long enough: `scripts/ventas retention` drops it\n"
    for arguments, tells in (([], False), (["--dry-run"], True), (["--status"], True)):
        assert main(["migrate", *arguments]) == 0
        assert (told in capsys.readouterr().out) == tells
    assert main(["retention", "--dry-run"]) == 0
    assert kept(rows) == months


@pytest.mark.skipif(not FAKETIME, reason="this machine has no libfaketime")
def test_the_servers_clock_decides(months: list[date], rows: Rows) -> None:
    environ = os.environ | {"BCRYPT_ROUNDS": "4", "LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": "+10y"}
    command = [sys.executable, "app.py", "retention", "--yes"]
    done = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert kept(rows) == months[:3]


def test_it_refuses_where_nothing_was_recorded_for_longer_than_that(
    months: list[date], rows: Rows, capsys: Capture
) -> None:
    rows("DELETE FROM auditoria WHERE creacion > %s", months[3])
    assert main(["retention", "--yes"]) == 1
    assert "older than the limit: is the server's clock right? Nothing was dropped" in capsys.readouterr().err
    assert kept(rows) == months[3:]


def test_zero_months_keep_the_audit_for_ever(
    months: list[date], rows: Rows, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("AUDIT_MONTHS", "0")
    assert main(["retention", "--yes"]) == 0
    assert kept(rows) == months


def test_a_process_with_another_limit_drops_nothing_until_it_is_accepted(
    months: list[date], rows: Rows, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert main(["migrate"]) == 0
    monkeypatch.setenv("AUDIT_MONTHS", "1")
    assert main(["retention", "--yes"]) == 1
    assert "AUDIT_MONTHS is 1 here and 2 in the database: set it alike" in capsys.readouterr().err
    assert kept(rows) == months

    assert main(["retention", "--yes", "--accept"]) == 0
    assert kept(rows) == months[:2]


def test_a_server_says_that_it_has_another_limit(
    months: list[date], database: str, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    rows("INSERT INTO retencion (tabla, meses) VALUES ('auditoria', 60)")

    async def serve() -> None:
        async with opened(database) as services, retention.watching(services):
            async with asyncio.timeout(10):
                while not caplog.records:  # noqa: ASYNC110 - what it waits for happens in PostgreSQL
                    await asyncio.sleep(0.01)

    with caplog.at_level("WARNING", "ventas"):
        asyncio.run(serve())
    assert "AUDIT_MONTHS is 24 here and 60 in the database" in caplog.text


def test_the_owner_may_have_it_swept(months: list[date], database: str, rows: Rows) -> None:
    settings = SETTINGS | {"DATABASE_URL": database, "AUDIT_MONTHS": "2", "RETENTION_SWEEP": "on"}

    async def sweep() -> None:
        async with start.services(settings) as services:
            [audit] = [sweep for sweep in sweeps(services) if sweep.name == "auditoria"]
            await audit.job()

    asyncio.run(sweep())
    assert kept(rows) == months[:3]


def test_a_sweep_without_the_right_to_says_so(
    months: list[date], database: str, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    async def sweep() -> None:
        async with opened(database) as services:
            await retention.sweep(services)

    with caplog.at_level("WARNING", "ventas"):
        asyncio.run(sweep())
    assert "retention: permission denied" in caplog.text
    assert kept(rows) == months


def test_a_month_that_is_being_read_is_left_for_the_next_time(database: str, rows: Rows) -> None:
    rows("INSERT INTO auditoria (usuario_id, accion) VALUES (1, 'login')")
    make(rows, date(2001, 2, 1))
    said: list[str] = []
    with psycopg.connect(database) as report:
        report.execute("SELECT count(*) FROM auditoria")
        auditoria_retention.forget(database, 1, say=said.append)
        assert said == ["auditoria_2001_02: left for the next time, canceling statement due to lock timeout"]
    auditoria_retention.forget(database, 1, say=said.append)
    assert said[1:] == ["auditoria_2001_02: dropped, it was kept long enough"]


def make(rows: Rows, first: date) -> None:
    """The partition of a month, as `migrate` made it in its time."""
    end = auditoria_months.months_later(first, 1)
    rows(f"CREATE TABLE {partition(first)} PARTITION OF auditoria FOR VALUES FROM ('{first}') TO ('{end}')")
