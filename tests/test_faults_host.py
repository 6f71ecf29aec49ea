"""The machine fails: a disk that fills, a clock that jumps; nothing acknowledged is lost, nothing is half-written."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from conftest import client_of, log_in, member, problem
from processes import server_process

from bench.faults_host import Clock, Unavailable, filled, node_on, small_disk
from bench.nodes import url_of
from core.migrating import guard

pytestmark = pytest.mark.slow

SALE = {"venta": 1500, "ventas_productos": 2}
BATCH = [SALE] * 10_000


@pytest.fixture
def disk() -> Iterator[object]:
    try:
        with small_disk() as folder:
            yield folder
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def clock(tmp_path) -> Clock:
    try:
        return Clock(tmp_path)
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_a_full_disk_is_said_and_nothing_is_half_written(disk, connect):
    with node_on(disk) as database:
        guard.apply(url_of(database), say=lambda line: None)
        with member(connect(DATABASE_URL=url_of(database)), "ana") as ana:
            assert ana.post("/venta/lote", json=BATCH).status_code == 201
            with filled(disk):
                answer = ana.post("/venta/lote", json=BATCH, headers={"Idempotency-Key": "lleno"})
                problem(answer, 503, "bd_sin_espacio")
                assert answer.headers["Retry-After"]
                assert ana.get("/user/me").status_code == 200
                assert len(ana.get("/venta/?limit=10").json()) == 10
            assert ana.get("/venta/?total=exacto&limit=1").headers["X-Total-Count"] == "10000"

            again = ana.post("/venta/lote", json=BATCH, headers={"Idempotency-Key": "lleno"})

            assert again.status_code == 201
            assert "Idempotent-Replayed" not in again.headers
            assert ana.get("/venta/?total=exacto&limit=1").headers["X-Total-Count"] == "20000"


def test_the_servers_clock_jumps_ahead_and_back(clock, database):
    with (
        server_process(DATABASE_URL=database, **clock.environ) as server,
        client_of(server.url) as api,
        member(api, "ana") as ana,
    ):
        key = {"Idempotency-Key": "una"}
        first = ana.post("/venta/", json=SALE, headers=key).json()["id"]

        clock.jump("+2h")
        problem(ana.get("/user/me"), 401, "token_invalido")
        with client_of(server.url, headers={"Authorization": f"Bearer {log_in(api, 'ana')}"}) as ahead:
            again = ahead.post("/venta/", json=SALE, headers=key)
            assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (first, "true")
            later = ahead.post("/venta/", json=SALE).json()["id"]
            created = datetime.fromisoformat(ahead.get(f"/venta/{later}").json()["creacion"])
            assert created < datetime.now(UTC) + timedelta(hours=1)  # the database's clock decides
        of_the_future = {"Authorization": f"Bearer {log_in(api, 'ana')}"}

        clock.jump("+0")
        assert ana.get("/user/me").status_code == 200
        problem(api.get("/user/me", headers=of_the_future), 401, "token_invalido")
        assert [sale["id"] for sale in ana.get("/venta/").json()] == [later, first]
        assert ana.post("/venta/", json=SALE, headers=key).json()["id"] == first
        assert server.stop() == 0
