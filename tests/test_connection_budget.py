"""At the start: a warning when the processes may open more connections than the database allows."""

from collections.abc import Callable

import httpx
import pytest
from fleets import until

from core.database import pool
from sql import connections


@pytest.fixture(autouse=True)
def one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SHARDED", "SELECT false")


def test_it_says_what_to_set(
    connect: Callable[..., httpx.Client], rows: Callable[..., list[tuple]], caplog: pytest.LogCaptureFixture
) -> None:
    [(allowed,)] = rows("SELECT current_setting('max_connections')::int")
    connect(INSTANCES="10", WEB_CONCURRENCY="2", DB_POOL_MAX="30")
    until(lambda: "connections may be needed" in caplog.text)
    [warning] = [record.getMessage() for record in caplog.records if "may be needed" in record.getMessage()]
    assert warning.startswith(
        "620 connections may be needed (20 processes with DB_POOL_MAX=30 and a listener)"
    )
    assert f"the database allows {allowed - 3}: set DB_POOL_MAX={(allowed - 3) // 20 - 1}" in warning


def test_a_limit_of_the_role_counts(
    connect: Callable[..., httpx.Client], rows: Callable[..., list[tuple]], caplog: pytest.LogCaptureFixture
) -> None:
    [(name,)] = rows("SELECT current_database()")
    rows(f"ALTER DATABASE {name} CONNECTION LIMIT 20")
    connect(WEB_CONCURRENCY="2")
    until(lambda: "22 connections may be needed" in caplog.text)
    assert "the database allows 20: set DB_POOL_MAX=9" in caplog.text


@pytest.mark.parametrize(("nodes", "needed"), [(2, 700), (20, 940)])  # of eight at most
def test_the_nodes_of_a_cluster_count(
    connect: Callable[..., httpx.Client],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    nodes: int,
    needed: int,
) -> None:
    monkeypatch.setattr(pool, "SHARDED", "SELECT true")
    monkeypatch.setattr(connections, "NODES", f"SELECT {nodes}")
    connect(INSTANCES="10", WEB_CONCURRENCY="2", DB_POOL_MAX="30")
    more = (needed - 620) // 20
    until(lambda: f"{needed} connections may be needed" in caplog.text)
    assert f"DB_POOL_MAX=30, {more} more for the nodes of the cluster and a listener)" in caplog.text


def test_it_is_silent_when_they_fit(
    connect: Callable[..., httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    api = connect()
    until(lambda: 'ventas_listening{dyno=""} 1.0' in api.get("/metrics").text)
    assert "connections" not in caplog.text
