"""A server that is killed at random moments loses no acknowledged sale and makes none twice."""

import os
import random
import subprocess
import sys
import threading

import httpx
import pytest
from conftest import NO_TLS, SETTINGS

from core.checkout import CHECKOUT

CLIENTS = 16
SALES_EACH = 125
KILLS = 6


class ServerProcess:
    """`python app.py` on a free port; `url` once it listens."""

    def __init__(self, **settings: str) -> None:
        environ = {"PATH": os.defpath, "PORT": "0"} | SETTINGS | settings
        folder = CHECKOUT
        self._process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=environ, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        words = self._process.stdout.readline().split()
        assert words[:2] == ["Listening", "on"], words
        self.url = words[2]

    def kill(self) -> None:
        """kill -9: no chance to clean up."""
        self._process.kill()
        self._process.communicate()


class Crowd:
    """Clients that each record their sales, one key each, and repeat a request until it is answered."""

    def __init__(self, token: str) -> None:
        self.ids: dict[int, int] = {}
        self.unexpected: list[str] = []
        self.changed = threading.Condition()
        self._token = token
        self._url: str | None = None
        self._threads = [threading.Thread(target=self._sell, args=(n,)) for n in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def point_to(self, url: str | None) -> None:
        with self.changed:
            self._url = url
            self.changed.notify_all()

    def wait_for(self, sales: int) -> None:
        """Until that many are acknowledged."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.ids) >= sales or self.unexpected, 60)

    def _sell(self, number: int) -> None:
        with httpx.Client(headers={"Authorization": self._token}, timeout=10, verify=NO_TLS) as client:
            for sale in range(number * SALES_EACH, (number + 1) * SALES_EACH):
                while (id := self._try(client, sale)) is None and not self.unexpected:
                    pass
                with self.changed:
                    self.ids[sale] = id or 0
                    self.changed.notify_all()

    def _try(self, client: httpx.Client, sale: int) -> int | None:
        with self.changed:
            self.changed.wait_for(lambda: self._url)
            url = self._url
        headers = {"Idempotency-Key": f"venta-{sale}"}
        try:
            answer = client.post(
                f"{url}/venta/", json={"venta": sale, "ventas_productos": 1}, headers=headers
            )
        except httpx.TransportError:
            return None
        if answer.status_code == 201:
            return int(answer.json()["id"])
        if answer.status_code not in (409, 503):
            self.unexpected.append(answer.text)
        return None


@pytest.mark.slow
def test_each_key_has_exactly_one_sale_after_kills_at_random_moments(database, beto, rows):
    crowd = Crowd(beto.headers["authorization"])
    total = CLIENTS * SALES_EACH
    crowd.start()
    for moment in [*sorted(random.sample(range(total - CLIENTS), KILLS)), total]:
        server = ServerProcess(DATABASE_URL=database)
        crowd.point_to(server.url)
        crowd.wait_for(moment)
        server.kill()
        if moment < total:
            crowd.point_to(None)
    crowd.join()

    assert crowd.unexpected == []
    assert dict(rows("SELECT venta, id FROM venta")) == crowd.ids
    assert rows("SELECT count(*) FROM venta") == [(total,)]
    assert rows("SELECT count(*) FROM idempotencia") == [(total,)]
