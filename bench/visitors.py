"""People who do a bit of everything, each with an account and sales of their own, and know what they are owed."""

import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field

import httpx

from bench.api import PASSWORD, person

IMPORTED = 20  # sales in each file
MIX = {
    "show": 30,
    "index": 14,
    "sell": 14,
    "sell_once": 8,
    "change": 8,
    "remove": 8,
    "profile": 8,
    "sums": 4,
    "renew": 3,
    "load": 1,
    "export": 1,
    "log_in": 0.5,
}


@dataclass
class Record:
    """What all visitors did, and what was not as promised."""

    done: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    amounts: itertools.count = field(default_factory=lambda: itertools.count(1))


class Visitor:
    """One person, one request at a time; each sale has an amount of its own, so that it can be told from all others."""

    def __init__(self, client: httpx.AsyncClient, username: str, record: Record) -> None:
        self._client = client
        self._username = username
        self._record = record
        self._refresh_token = ""
        self.id = 0
        self.requests = 0
        self.sold: dict[int, int] = {}  # amounts, by id
        self.loaded: set[int] = set()  # amounts from files
        self._last_file: list[int] = []

    @property
    def kept(self) -> list[int]:
        """The amounts of the sales that must be there."""
        return [*self.sold.values(), *self.loaded]

    async def register(self) -> None:
        if answer := await self._ask("POST", "/user/", 201, json=person(self._username)):
            self.id = answer.json()["id"]
        await self.log_in()

    async def act(self) -> None:
        """Something, chosen by chance."""
        name = random.choices(list(MIX), list(MIX.values()))[0]
        self._record.done[name] += 1
        await getattr(self, name)()

    async def log_in(self) -> None:
        """Ends the session, if there is one, and begins another."""
        if self._refresh_token:
            await self._ask("POST", "/login/revocar", 200, data={"token": self._refresh_token})
        form = {"username": self._username, "password": PASSWORD, "scope": "offline_access"}
        await self._enter(form)

    async def renew(self) -> None:
        await self._enter({"grant_type": "refresh_token", "refresh_token": self._refresh_token})

    async def profile(self) -> None:
        if answer := await self._ask("GET", "/user/me", 200):
            self._expect("GET /user/me", answer.json()["username"], self._username)

    async def sell(self) -> None:
        await self._sell({})

    async def sell_once(self) -> None:
        """With a key, and once more, as if the first answer had been lost."""
        amount = next(self._record.amounts)
        key = {"Idempotency-Key": f"venta-{amount}"}
        ids = [await self._sell(key, amount) for _ in range(2)]
        self._expect("POST /venta/ again", ids[1], ids[0])

    async def show(self) -> None:
        if self.sold:
            id, amount = self._one()
            if answer := await self._ask("GET", f"/venta/{id}", 200):
                self._expect(f"GET /venta/{id}", answer.json()["venta"], amount)

    async def change(self) -> None:
        if self.sold:
            id, amount = self._one()[0], next(self._record.amounts)
            if await self._ask("PATCH", f"/venta/{id}", 200, json={"venta": amount}):
                self.sold[id] = amount

    async def remove(self) -> None:
        if self.sold:
            id, _ = self._one()
            if await self._ask("DELETE", f"/venta/{id}", 200):
                del self.sold[id]

    async def index(self) -> None:
        """The newest sales, and the page after them."""
        if answer := await self._ask("GET", f"/venta/?limit=50&usuario_id={self.id}", 200):
            self._expect("GET /venta/", len(answer.json()), min(50, len(self.kept)))
            if "next" in answer.links:
                await self._ask("GET", answer.links["next"]["url"], 200)

    async def sums(self) -> None:
        if answer := await self._ask("GET", f"/venta/resumen?por=usuario&usuario_id={self.id}", 200):
            found = [(row["ventas"], row["importe"]) for row in answer.json()]
            self._expect("GET /venta/resumen", found, [(len(self.kept), sum(self.kept))] if self.kept else [])

    async def load(self) -> None:
        amounts = [next(self._record.amounts) for _ in range(IMPORTED)]
        file = "venta,ventas_productos\n" + "".join(f"{amount},1\n" for amount in amounts)
        csv = {"Content-Type": "text/csv"}
        if await self._ask("POST", "/venta/importar", 201, content=file, headers=csv):
            self.loaded.update(amounts)
            self._last_file = amounts

    async def export(self) -> None:
        """The last file comes back, its sales in their order."""
        if file := self._last_file:
            bounds = f"usuario_id={self.id}&minimo={file[0]}&maximo={file[-1]}"
            if answer := await self._ask("GET", f"/venta/exportar?formato=ndjson&{bounds}", 200):
                found = [json.loads(line)["venta"] for line in answer.text.splitlines()]
                self._expect("GET /venta/exportar", found, file)

    async def _enter(self, form: dict[str, str]) -> None:
        if answer := await self._ask("POST", "/login/", 200, data=form):
            tokens = answer.json()
            self._refresh_token = tokens["refresh_token"]
            self._client.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    async def _sell(self, headers: dict[str, str], amount: int = 0) -> int | None:
        amount = amount or next(self._record.amounts)
        body = {"venta": amount, "ventas_productos": 1}
        if answer := await self._ask("POST", "/venta/", 201, json=body, headers=headers):
            self.sold[answer.json()["id"]] = amount
            return int(answer.json()["id"])
        return None

    def _one(self) -> tuple[int, int]:
        return random.choice(list(self.sold.items()))

    async def _ask(self, method: str, path: str, status: int, **more: object) -> httpx.Response | None:
        """The answer if it has this status; any other is noted."""
        self.requests += 1
        try:
            answer = await self._client.request(method, path, **more)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            self._expect(f"{method} {path}", type(error).__name__, status)
            return None
        self._expect(f"{method} {path}", answer.status_code, status)
        return answer if answer.status_code == status else None

    def _expect(self, what: str, found: object, promised: object) -> None:
        if found != promised:
            self._record.unexpected[f"{what}: {found}, not {promised}"] += 1
