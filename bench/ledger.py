"""What a crowd of clients was promised, and whether the database kept it."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

import httpx

CLIENTS = 8
KEYED, READ = 0.3, 0.2  # of the requests; the others are sales without a key


@dataclass
class Ledger:
    """Each sale has an amount of its own, so that the database tells which promise it belongs to."""

    promised: dict[int, int] = field(default_factory=dict)  # amount to id
    successes: list[float] = field(default_factory=list)  # when
    troubles: list[tuple[float, str]] = field(default_factory=list)  # when, and what instead of success
    wrong: list[str] = field(default_factory=list)
    _amounts: itertools.count = field(default_factory=lambda: itertools.count(1))

    @property
    def requests(self) -> int:
        return len(self.successes) + len(self.troubles)

    def amount(self) -> int:
        return next(self._amounts)

    def note(self, outcome: str) -> None:
        """`success`, `refused`, `cut`, or the status."""
        if outcome == "success":
            self.successes.append(time.monotonic())
        else:
            self.troubles.append((time.monotonic(), outcome))

    def verdict(self, kept: dict[int, int]) -> tuple[int, int]:
        """How many promised sales are lost, and how many of all are doubled; `kept` counts them by amount."""
        lost = sum(amount not in kept for amount in self.promised)
        return lost, sum(count > 1 for count in kept.values())

    def unanswered(self, kept: dict[int, int]) -> int:
        """How many sales are there of which nobody was told."""
        return len(kept.keys() - self.promised.keys())

    def unexpected(self, allowed: Container[str], begin: float, end: float) -> list[str]:
        """What no promise covers: other troubles than these, or at another time; answers that were somebody else's."""
        found = Counter(
            trouble if trouble not in allowed else f"{trouble} while all was well"
            for moment, trouble in self.troubles
            if trouble not in allowed or not begin <= moment <= end
        )
        return [f"{what}×{count}" for what, count in found.items()] + self.wrong[:5]

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
        """The answer; none when the connection was refused, or ended without one."""
        answer = None
        try:
            answer = await client.request(method, path, **more)  # type: ignore[arg-type]
            self._ledger.note(outcome(answer))
        except httpx.ConnectError:
            self._ledger.note("refused")
        except httpx.TransportError:
            self._ledger.note("cut")
        if answer is None or not answer.is_success:
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


def outcome(answer: httpx.Response) -> str:
    """An honest 503 says when to try again."""
    if answer.is_success:
        return "success"
    honest = answer.status_code != 503 or "Retry-After" in answer.headers
    return str(answer.status_code) if honest else "503 without Retry-After"
