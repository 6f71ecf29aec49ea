"""What a crowd of clients was promised, and whether the database kept it."""

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

CLIENTS = 8
KEYED, READ = 0.3, 0.2  # of the requests; the others are sales without a key


@dataclass
class Ledger:
    """Each sale has an amount of its own, so that the database tells which promise it belongs to."""

    promised: dict[int, int] = field(default_factory=dict)  # amount to id
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    requests: int = 0
    successes: list[float] = field(default_factory=list)
    _amounts: itertools.count = field(default_factory=lambda: itertools.count(1))

    def amount(self) -> int:
        return next(self._amounts)

    def note(self, answer: httpx.Response | None) -> None:
        self.requests += 1
        self.statuses[str(answer.status_code) if answer is not None else "none"] += 1
        if answer is not None and answer.is_success:
            self.successes.append(time.monotonic())

    def verdict(self, kept: dict[int, int]) -> tuple[int, int]:
        """How many promised sales are lost, and how many of all are doubled; `kept` counts them by amount."""
        lost = sum(amount not in kept for amount in self.promised)
        return lost, sum(count > 1 for count in kept.values())

    def unexpected(self, allowed: set[str]) -> list[str]:
        """Statuses that no promise covers, and answers that were somebody else's."""
        found = [f"{status}×{count}" for status, count in self.statuses.items() if status not in allowed]
        return found + self.wrong[:5]

    def recovery(self, healed: float) -> float:
        """Seconds from then to the next success."""
        return next((moment - healed for moment in self.successes if moment >= healed), float("inf"))


class Crowd:
    """Clients that sell and read until told to stop; `token` is theirs, `url` may be away at times."""

    def __init__(self, url: str, token: str, ledger: Ledger) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ledger = ledger
        self._stopping = False

    async def __aenter__(self) -> "Crowd":
        self._tasks = [asyncio.create_task(self._work()) for _ in range(CLIENTS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _work(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=30) as client:
            while not self._stopping:
                chance = random.random()
                if chance < READ and self._ledger.promised:
                    await self._read(client)
                elif chance < READ + KEYED:
                    await self._sell_once(client)
                else:
                    await self._sell(client, self._ledger.amount(), {})

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, **more: object
    ) -> httpx.Response | None:
        try:
            answer = await client.request(method, path, **more)  # type: ignore[arg-type]
        except httpx.TransportError:
            answer = None
        self._ledger.note(answer)
        if answer is None or answer.status_code == 503:
            await asyncio.sleep(0.02)
        return answer

    async def _sell(self, client: httpx.AsyncClient, amount: int, headers: dict[str, str]) -> bool:
        body = {"venta": amount, "ventas_productos": 1}
        answer = await self._ask(client, "POST", "/venta/", json=body, headers=headers)
        if answer is None or answer.status_code != 201:
            return False
        self._ledger.promised[amount] = answer.json()["id"]
        return True

    async def _sell_once(self, client: httpx.AsyncClient) -> None:
        """With a key, repeated until it is answered or the end."""
        amount = self._ledger.amount()
        headers = {"Idempotency-Key": f"venta-{amount}"}
        while not await self._sell(client, amount, headers) and not self._stopping:
            pass

    async def _read(self, client: httpx.AsyncClient) -> None:
        amount, id = random.choice(list(self._ledger.promised.items()))
        answer = await self._ask(client, "GET", f"/venta/{id}")
        if answer is not None and answer.status_code == 200 and answer.json()["venta"] != amount:
            self._ledger.wrong.append(f"venta {id} was answered as another")
