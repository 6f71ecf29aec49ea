"""Lists, exports and sums read a follower, and never less than what was already written."""

import pytest
from conftest import member

from bench.nodes import node, standby_of, url_of
from core.migrating import guard


@pytest.fixture(scope="module")
def pair():
    """A migrated primary and a standby of it."""
    with node() as primary:
        guard.apply(url_of(primary), say=lambda line: None)
        with standby_of(primary) as standby:
            yield primary, standby


@pytest.fixture
def served(pair, connect):
    """A client of a server that reads the standby, which has nobody else's rows."""
    primary, standby = pair
    primary.execute("TRUNCATE usuario CASCADE")
    return connect(DATABASE_URL=url_of(primary), READ_DATABASE_URL=url_of(standby))


def test_what_was_written_is_read_at_once(served):
    with member(served, "ana") as ana:
        for count in range(1, 30):
            ana.post("/venta/", json={"venta": count, "ventas_productos": 1})
            assert len(ana.get("/venta/").json()) == count
            assert ana.get("/venta/resumen?por=usuario").json()[0]["ventas"] == count
        assert len(ana.get("/venta/exportar?formato=ndjson").text.splitlines()) == count


def test_a_follower_that_lags_is_not_read(pair, served):
    _, standby = pair
    with member(served, "ana") as ana:
        standby.execute("SELECT pg_wal_replay_pause()")
        try:
            ana.post("/venta/", json={"venta": 1, "ventas_productos": 1})
            assert len(ana.get("/venta/").json()) == 1
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")


def test_a_follower_that_is_away_is_not_needed(pair, connect):
    primary, _ = pair
    primary.execute("TRUNCATE usuario CASCADE")
    away = "postgresql://nadie@127.0.0.1:1/nada"
    with member(connect(DATABASE_URL=url_of(primary), READ_DATABASE_URL=away), "ana") as ana:
        assert ana.get("/venta/").json() == []


def test_the_follower_does_the_reading(pair, served):
    _, standby = pair
    with member(served, "ana") as ana:
        for _ in range(5):
            assert ana.get("/venta/").status_code == 200
        queries = standby.execute("SELECT query FROM pg_stat_activity WHERE application_name = 'ventas'")
    assert any("FROM venta" in query for (query,) in queries)
