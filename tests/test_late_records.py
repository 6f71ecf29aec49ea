"""Records that were on their way into the audit while their user was deleted: within minutes they are anonymous too."""

import asyncio
import json
import threading
from contextlib import suppress

import psycopg
import pytest
from conftest import url_as
from databases import Rows
from fleets import until
from psycopg.errors import DeadlockDetected, LockNotAvailable
from psycopg.sql import SQL, Identifier, Literal
from test_audit import records

from core.database.database import open_database
from sql import auditoria_late, auditoria_months

RECORD = """
INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes)
VALUES (%s, 'usuario_actualizado', %s, '10.9.8.7', 'zafiro/1.0', 'zeta', '{"nombre": "Zoe", "estado": true}')
"""
KEPT = "SELECT direccion, agente, peticion, antes FROM auditoria WHERE accion = 'usuario_actualizado'"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def sweep(database: str) -> int:
    """How many records the application's role makes anonymous in one go."""

    async def run() -> int:
        async with open_database(url_as("ventas_app", database)) as db:
            return await auditoria_late.anonymize(db)

    return asyncio.run(run())


@pytest.mark.parametrize("by_nobody", [True, False])
def test_a_record_that_was_on_its_way_becomes_anonymous(beto, database: str, rows: Rows, by_nobody) -> None:
    with psycopg.connect(database) as other:
        other.execute(RECORD, (0 if by_nobody else beto.id, beto.id))
        assert beto.delete("/user/me").status_code == 200

    assert rows(KEPT) == [("10.9.8.7", "zafiro/1.0", "zeta", {"nombre": "Zoe", "estado": True})]
    assert sweep(database) == 1
    assert rows(KEPT) == [("", "", "", {"estado": True})]
    assert sweep(database) == 0


def test_a_record_that_came_afterwards_becomes_anonymous(ana, beto, database: str, rows: Rows) -> None:
    ana.delete(f"/user/{beto.id}")
    rows(RECORD, beto.id, ana.id)

    assert sweep(database) == 1
    assert rows(KEPT) == [("", "", "", {"nombre": "Zoe", "estado": True})]
    assert records(ana, accion="usuario_eliminado")[0]["direccion"] == "127.0.0.1"


def test_records_of_those_who_stay_are_left_alone(ana, beto, carla, database: str, rows: Rows) -> None:
    carla.delete("/user/me")
    rows(RECORD, 0, beto.id)
    rows(RECORD, beto.id, carla.id)

    before = rows(KEPT)
    assert sweep(database) == 1  # what it says of Carla
    assert rows(KEPT) == [before[0], ("10.9.8.7", "zafiro/1.0", "zeta", {"estado": True})]


def test_of_many_it_takes_some_at_a_time(beto, database: str, rows: Rows) -> None:
    beto.delete("/user/me")
    rows(
        f"{RECORD.split('VALUES')[0]} SELECT %s, 'login', 1, '::1', '', '', NULL FROM generate_series(1, 150)",
        beto.id,
    )

    assert [sweep(database) for _ in range(3)] == [100, 50, 0]


def test_a_deletion_while_a_month_moves_leaves_nothing_behind(ana, beto, database: str, rows: Rows) -> None:
    [(month,)] = rows("SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date")
    name = auditoria_months.partition(month)
    for _ in range(3):
        rows(RECORD, 0, beto.id)
    bounds = {"name": Identifier(name), "first": Literal(f"{month} 00:00:00+00")}
    bounds["end"] = Literal(f"{auditoria_months.months_later(month, 1)} 00:00:00+00")
    deletion = threading.Thread(target=beto.delete, args=("/user/me",))

    with psycopg.connect(database) as moving, suppress(DeadlockDetected, LockNotAvailable):
        moving.execute("SET lock_timeout = '1s'")
        for statement in (auditoria_months.CREATE, auditoria_months.MOVE):
            moving.execute(SQL(statement).format(**bounds))
        deletion.start()
        until(lambda: rows(WAITING))
        for statement in (auditoria_months.CLOSE, auditoria_months.MOVE, auditoria_months.ATTACH):
            moving.execute(SQL(statement).format(**bounds))
    deletion.join()
    until(lambda: ana.delete(f"/user/{beto.id}").status_code == 404)

    assert rows(KEPT) == [("", "", "", {"estado": True})] * 3
    assert "zafiro" not in json.dumps(records(ana))
