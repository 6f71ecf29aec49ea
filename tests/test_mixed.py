"""Mixed requests of several users at once, while connections are killed: to each its own answer, none lost."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import member

pytestmark = pytest.mark.anyio

CONNECTIONS = 64
BETWEEN_KILLS = 1_250
SALES = 20  # of each user, when it begins
KILL = """
SELECT pg_terminate_backend(pid)
  FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'ventas'
"""
STORED = "SELECT id, usuario_id, venta FROM venta WHERE venta > 0"

Rows = Callable[..., list[tuple[Any, ...]]]


class User:
    """Who asks."""

    def __init__(self, client: httpx.Client, *, admin: bool) -> None:
        self.id: int = client.id  # type: ignore[attr-defined]
        self.admin = admin
        self.token = client.headers["authorization"]


class Line:
    """A connection to the server, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(
        self, user: User, number: int, method: str, path: str, body: object = None
    ) -> tuple[int, Any]:
        """The status and the JSON of the answer, which must be the answer to this very request."""
        sent = b"" if body is None else json.dumps(body).encode()
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {user.token}\r\nX-Request-ID: r-{number}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        answer = json.loads(await self._reader.readexactly(int(headers["content-length"])))
        assert headers["x-request-id"] == f"r-{number}"
        return int(head[0].split()[1]), answer

    def close(self) -> None:
        self._writer.close()


class Mix:
    """What is asked, what was answered, and what the answers must be."""

    def __init__(self, users: list[User], sales: dict[int, int], chance: random.Random) -> None:
        self.users = users
        self.owners = dict(sales)  # by the sale's id
        self.sold: dict[int, tuple[int, int]] = {}  # owner and amount, by the id that was acknowledged
        self.doubtful: set[int] = set()  # amounts of sales that may or may not be there
        self.statuses: Counter[int] = Counter()
        self._ids = [user.id for user in users]
        self._chance = chance

    async def ask(self, line: Line, user: User, number: int) -> None:
        kinds = (self._user, self._sale, self._users, self._sales, self._sell)
        status = await kinds[number % len(kinds)](line, user, number)
        self.statuses[status] += 1

    async def _user(self, line: Line, user: User, number: int) -> int:
        id = self._chance.choice(self._ids)
        status, answer = await line.ask(user, number, "GET", f"/user/{id}")
        if status != 503:
            assert status == (200 if user.admin or user.id == id else 403)
            assert status == 403 or answer["id"] == id
        return status

    async def _sale(self, line: Line, user: User, number: int) -> int:
        id, owner = self._chance.choice(list(self.owners.items()))
        status, answer = await line.ask(user, number, "GET", f"/venta/{id}")
        if status != 503:
            assert status == (200 if user.admin or user.id == owner else 404)
            assert status == 404 or (answer["id"], answer["usuario_id"]) == (id, owner)
        return status

    async def _users(self, line: Line, user: User, number: int) -> int:
        limit = self._chance.randint(1, len(self._ids))
        status, answer = await line.ask(user, number, "GET", f"/user/?limit={limit}")
        if status != 503:
            assert status == (200 if user.admin else 403)
            assert status == 403 or [each["id"] for each in answer] == self._ids[:limit]
        return status

    async def _sales(self, line: Line, user: User, number: int) -> int:
        status, answer = await line.ask(user, number, "GET", f"/venta/?limit=3&usuario_id={user.id}")
        if status != 503:
            assert status == 200
            assert [each["usuario_id"] for each in answer] == [user.id] * 3
        return status

    async def _sell(self, line: Line, user: User, number: int) -> int:
        status, answer = await line.ask(
            user, number, "POST", "/venta/", {"venta": number, "ventas_productos": 1}
        )
        if status == 503:
            self.doubtful.add(number)
        else:
            assert status == 201
            assert answer["id"] not in self.sold
            self.sold[answer["id"]] = (user.id, number)
            self.owners[answer["id"]] = user.id
        return status


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def users(ana: httpx.Client, beto: httpx.Client, carla: httpx.Client, api: httpx.Client) -> list[User]:
    others = []
    for n in range(5):
        with member(api, f"u{n}") as client:
            others.append(User(client, admin=False))
    return [User(ana, admin=True), User(beto, admin=False), User(carla, admin=False), *others]


@pytest.fixture
def sales(users: list[User], rows: Rows) -> dict[int, int]:
    """The owner of each sale, by its id."""
    return dict(
        rows(
            """
            INSERT INTO venta (usuario_id, venta, ventas_productos)
            SELECT u.id, 0, 1 FROM usuario AS u, generate_series(1, %s)
            RETURNING id, usuario_id
            """,
            SALES,
        )
    )


@pytest.mark.parametrize("requests", [2_500, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_each_answer_belongs_to_its_request_and_its_caller(
    api: httpx.Client, users: list[User], sales: dict[int, int], rows: Rows, requests: int
) -> None:
    where = urlsplit(str(api.base_url))
    chance = random.Random(7)
    mix = Mix(users, sales, chance)
    numbers = iter(range(1, requests + 1))

    async def client(line: Line) -> None:
        for number in numbers:
            await mix.ask(line, chance.choice(users), number)
            if number % BETWEEN_KILLS == 0:
                rows(KILL)

    async with AsyncExitStack() as stack:
        lines = [Line(*await asyncio.open_connection(where.hostname, where.port)) for _ in range(CONNECTIONS)]
        for line in lines:
            stack.enter_context(closing(line))
        await asyncio.gather(*(client(line) for line in lines))

    assert mix.statuses.total() == requests
    assert mix.statuses[503] < requests / 10
    stored = {id: (owner, amount) for id, owner, amount in rows(STORED)}
    assert len({amount for _, amount in stored.values()}) == len(stored)
    assert {id: sale for id, sale in stored.items() if sale[1] not in mix.doubtful} == mix.sold
