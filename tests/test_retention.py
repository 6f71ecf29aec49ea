"""What is kept long enough is forgotten: in small batches, without waiting for anybody, by the processes themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from conftest import SETTINGS, url_as

from app import sweeps
from commands.main import main
from core.database.database import Database
from core.process import start
from sql import auditoria_months, avisos, enlaces, idempotencia, intentos, sesiones

Rows = Callable[..., list[tuple]]

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

    assert asyncio.run(names()) == OLD.keys()


def test_a_sweep_forgets_what_may_go_and_nothing_else(database: str, rows: Rows, old: None) -> None:
    async def sweep_all() -> None:
        async with opened(database) as services:
            for sweep in sweeps(services):
                await sweep.job()

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


def test_migrate_drops_the_months_that_were_kept_long_enough(
    database: str, rows: Rows, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    this = datetime.now(UTC).date().replace(day=1)
    months = [this]
    while len(months) < 4:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    for month in months[1:]:
        make(rows, month)
    rows("INSERT INTO auditoria (usuario_id, accion, creacion) SELECT 1, 'login', unnest(%s::date[])", months)
    rows("INSERT INTO auditoria (usuario_id, accion, creacion) VALUES (1, 'login', '2001-02-03')")
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("AUDIT_MONTHS", "2")

    assert main(["migrate"]) == 0

    said = capsys.readouterr().out
    assert f"auditoria_{months[3]:%Y_%m}: dropped, it was kept long enough\n" in said
    assert f"auditoria_resto: 1 records from before {months[2]} forgotten\n" in said
    kept = rows("SELECT creacion::date FROM auditoria ORDER BY creacion DESC")
    assert [moment for (moment,) in kept] == months[:3]


def test_zero_months_keep_the_audit_for_ever(
    database: str, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows("INSERT INTO auditoria (usuario_id, accion, creacion) VALUES (1, 'login', '2001-02-03')")
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("AUDIT_MONTHS", "0")

    assert main(["migrate"]) == 0

    assert rows("SELECT count(*) FROM auditoria") == [(1,)]


def test_a_month_that_is_being_read_is_left_for_the_next_time(database: str, rows: Rows) -> None:
    make(rows, date(2001, 2, 1))
    said: list[str] = []
    with psycopg.connect(database) as report:
        report.execute("SELECT count(*) FROM auditoria")
        auditoria_months.drop_months(database, keep=0, say=said.append)
        assert said == ["auditoria_2001_02: left for the next time, canceling statement due to lock timeout"]
    auditoria_months.drop_months(database, keep=0, say=said.append)
    assert said[1:] == ["auditoria_2001_02: dropped, it was kept long enough"]


def make(rows: Rows, first: date) -> None:
    """The partition of a month, as `migrate` made it in its time."""
    end = (first + timedelta(days=31)).replace(day=1)
    rows(
        f"CREATE TABLE auditoria_{first:%Y_%m} PARTITION OF auditoria FOR VALUES FROM ('{first}') TO ('{end}')"
    )
