"""The offenders, and what the others get meanwhile: each a ratio to the same without the offender."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.fair_client import Peer, Seen, at_work

PASSWORD = "clave-de-prueba"
SALE = {"venta": 1, "ventas_productos": 1}


@dataclass(frozen=True)
class Site:
    """A server, its database, and whoever it takes: `tokens` of users by their number, from 1; 1 is an admin."""

    url: str
    pid: int
    database: str
    tokens: dict[int, str]
    seconds: float
    sales: int  # of user 2
    peers: list[Peer] = field(default_factory=list)

    def peer(self, user: int | None = None, **headers: str) -> Peer:
        self.peers.append(Peer(self.url, self.tokens[user] if user else "", **headers))
        return self.peers[-1]

    async def row(self, case: "FairCase") -> "FairRow":
        """What a case says; its connections are closed after it."""
        try:
            return await case(self)
        finally:
            while self.peers:
                self.peers.pop().close()

    def until(self) -> float:
        return time.monotonic() + self.seconds

    def memory(self) -> float:
        """MB that the process has in memory."""
        [line] = [
            line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if "VmRSS" in line
        ]
        return int(line.split()[1]) / 1024


@dataclass(frozen=True)
class FairRow:
    """A line of the table; `fair` says whether every status is one that may be."""

    offender: str
    others: str
    goal: str
    figures: str
    fair: bool


async def measure(site: Site, others: list[tuple[Peer, str, str, object]], *, pause: float = 0) -> Seen:
    seen, ends = Seen(), site.until()
    await asyncio.gather(
        *(
            peer.keep_asking(seen, ends, method, path, body, pause=pause)
            for peer, method, path, body in others
        )
    )
    return seen


def sellers(site: Site) -> list[tuple[Peer, str, str, object]]:
    return [(site.peer(user), "POST", "/venta/", SALE) for user in range(10, 18)]


async def locked_row(site: Site) -> FairRow:
    without = await measure(site, sellers(site))
    async with await psycopg.AsyncConnection.connect(site.database) as blocker:
        await blocker.execute("SELECT FROM usuario WHERE id = 9 FOR UPDATE")
        posts = [
            site.peer(9).keep_asking(Seen(), site.until() + 5, "POST", "/venta/", SALE) for _ in range(10)
        ]
        async with at_work(*posts):
            await asyncio.sleep(0.3)
            beside = await measure(site, sellers(site))
            await blocker.rollback()
    return compared(
        "a `usuario` row locked elsewhere, its owner with 10 POSTs in flight",
        "POST a sale",
        "p95 ≤ 2 ×, no 503",
        without,
        beside,
        {201},
    )


async def large_account(site: Site) -> FairRow:
    without = await measure(site, sellers(site))
    posts = [site.peer(2).keep_asking(Seen(), site.until() + 5, "POST", "/venta/", SALE) for _ in range(4)]
    async with at_work(*posts):
        await asyncio.sleep(0.2)
        began = time.monotonic()
        deleted = await site.peer(1).ask("DELETE", "/user/2")
        took = time.monotonic() - began
        beside = await measure(site, sellers(site))
    row = compared(
        f"`DELETE` of an account with {site.sales:,} sales, itself still posting",
        "POST a sale",
        "p95 ≤ 2 ×; the delete answers ≤ 1 s",
        without,
        beside,
        {201},
    )
    figures = f"{row.figures}; the delete answered in {took:.2f} s"
    return FairRow(row.offender, row.others, row.goal, figures, row.fair and deleted == 200)


async def heavy_reads(site: Site) -> FairRow:
    login = f"username=u000010&password={PASSWORD}".encode()

    async def everyday() -> Seen:
        seen, ends = Seen(), site.until()

        async def log_in(address: str) -> None:
            peer = site.peer(x_forwarded_for=address)
            while time.monotonic() < ends:
                began = time.monotonic()
                media = "application/x-www-form-urlencoded"
                seen.statuses[await peer.ask("POST", "/login/", login, media=media)] += 1
                seen.seconds.append(time.monotonic() - began)

        asked = [
            (site.peer(10), "GET", "/venta/", None),
            (site.peer(11), "GET", "/venta/?limit=20", None),
            (site.peer(12), "PATCH", "/user/me", {"nombre": "Eva"}),
        ]
        await asyncio.gather(
            log_in("192.0.2.1"), *(peer.keep_asking(seen, ends, *what) for peer, *what in asked)
        )
        return seen

    without = await everyday()
    refused = Seen()
    paths = [
        "/venta/resumen",
        "/venta/?minimo=999999999999",
        "/venta/?total=exacto",
        "/venta/resumen?por=mes",
    ]
    heavy = [
        site.peer(2).keep_asking(refused, site.until() + 5, "GET", paths[n % 4], pause=0.05)
        for n in range(20)
    ]
    async with at_work(*heavy):
        await asyncio.sleep(0.3)
        beside = await everyday()
    return compared(
        f"one account, 20 heavy lists and sums over {site.sales:,} own sales",
        "login, lists, changes",
        "p95 ≤ 3 ×, no 503",
        without,
        beside,
        {200},
    )


async def trickling_imports(site: Site) -> FairRow:
    async def trickle() -> None:
        peer = site.peer(3, idempotency_key=str(time.monotonic_ns()))
        writer = await peer.half(
            "POST", "/venta/importar", b"venta,ventas_productos\n", 10_000_000, "text/csv"
        )
        while True:
            writer.write(b"1,1\n" * 225)
            await asyncio.sleep(0.1)

    seen = Seen()
    async with at_work(trickle(), trickle(), trickle()):
        await asyncio.sleep(0.5)
        for _ in range(5):
            for method, path, body in (
                ("POST", "/venta/importar", b"venta,ventas_productos\n1,1\n"),
                ("GET", "/venta/exportar", None),
            ):
                began = time.monotonic()
                seen.statuses[await site.peer(10).ask(method, path, body, media="text/csv")] += 1
                seen.seconds.append(time.monotonic() - began)
    figures = f"longest {max(seen.seconds):.2f} s; {said(seen)}"
    fair = not seen.statuses.keys() - {200, 201}
    return FairRow(
        "one account, three imports that trickle", "another's import or export", "begins ≤ 1 s", figures, fair
    )


async def costly_bodies(site: Site) -> FairRow:
    readers: list[tuple[Peer, str, str, object]] = [
        (site.peer(user), "GET", "/user/me", None) for user in range(10, 14)
    ]
    without = await measure(site, readers)
    keys = b"{" + b",".join(b'"k%d":[[[[]]]]' % n for n in range(60_000)) + b"}"
    bodies = [
        keys,
        b"[" * 1_000_000,
        b'{"username":"' + "ñ".encode() * 400_000 + b'"}',
        b"[" + b"1," * 400_000 + b"1]",
    ]
    costly = [
        site.peer().keep_asking(Seen(), site.until() + 5, "POST", "/user/", bodies[n % 4]) for n in range(16)
    ]
    async with at_work(*costly):
        await asyncio.sleep(0.3)
        beside = await measure(site, readers)
    return compared(
        "16 anonymous connections with the costliest bodies",
        "GET one user",
        "p99 ≤ 3 ×",
        without,
        beside,
        {200},
        0.99,
    )


async def parked_bodies(site: Site) -> FairRow:
    before = site.memory()
    for n in range(200):
        beginning = b"x" * (1 << 20) if n % 2 else b""
        with suppress(OSError):
            await site.peer().half("POST", "/user/", beginning, 2_000_000, "application/json")
    await asyncio.sleep(1)
    grown = site.memory() - before
    seen = await measure(site, [(site.peer(10), "GET", "/user/me", None)])
    figures = (
        f"+{grown:.0f} MB; GET one user meanwhile p95 {seen.percentile(0.95) * 1000:.1f} ms; {said(seen)}"
    )
    return FairRow(
        "200 connections that park a body without end",
        "memory of the process",
        "≤ +64 MB",
        figures,
        not seen.statuses.keys() - {200},
    )


async def registrations(site: Site) -> FairRow:
    async def register(n: int) -> None:
        user = {
            "username": f"nuevo{n}{time.monotonic_ns()}",
            "password": "una clave larga",
            "nombre": "N",
            "apellido": "N",
            "telefono": "26045384",
            "correo": f"nuevo{n}{time.monotonic_ns()}@example.com",
        }
        await site.peer(x_forwarded_for="192.0.2.7").ask("POST", "/user/", user)

    login = f"username=u000011&password={PASSWORD}".encode()
    seen = Seen()
    async with at_work(*(register(n) for n in range(80))):
        await asyncio.sleep(0.3)
        for _ in range(7):
            began = time.monotonic()
            media = "application/x-www-form-urlencoded"
            peer = site.peer(x_forwarded_for="192.0.2.8")
            seen.statuses[await peer.ask("POST", "/login/", login, media=media)] += 1
            seen.seconds.append(time.monotonic() - began)
    return FairRow(
        "80 registrations at once from one address",
        "login from another",
        "≤ 2 s, no 503",
        f"longest {max(seen.seconds):.2f} s; {said(seen)}",
        not seen.statuses.keys() - {200},
    )


def compared(
    offender: str, others: str, goal: str, without: Seen, beside: Seen, wanted: set[int], share: float = 0.95
) -> FairRow:
    alone, among = without.percentile(share) * 1000, beside.percentile(share) * 1000
    figures = f"p{share * 100:.0f} ×{among / alone:.1f} ({alone:.1f} → {among:.1f} ms); {said(beside)}"
    return FairRow(offender, others, goal, figures, not beside.statuses.keys() - wanted)


def said(seen: Seen) -> str:
    """The answers by status: `201 × 340, 503 × 2`."""
    return ", ".join(f"{status or 'cut'} × {count}" for status, count in sorted(seen.statuses.items()))


FairCase = Callable[[Site], Coroutine[None, None, FairRow]]
CASES: dict[str, FairCase] = {
    "locked row": locked_row,
    "heavy reads": heavy_reads,
    "trickling imports": trickling_imports,
    "costly bodies": costly_bodies,
    "parked bodies": parked_bodies,
    "registrations": registrations,
    "large account": large_account,  # last: user 2 is gone after it
}
