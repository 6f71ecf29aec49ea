"""Pages a million deep against page 1, and a million sales in and out against psql: prints tables, writes docs/bulk.md.

Takes about ten minutes on two cores, or one with --quick.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import psycopg

from bench.bulk_client import Client
from bench.bulk_dialects import DIALECTS, Sale
from bench.contenders import CACHE, CONTENDERS
from bench.database import BenchDatabase, database
from bench.machine import OtherWork, cores, cpu_microseconds, description
from bench.report import BEGIN, END, markdown
from bench.server import ContenderServer, running
from core.checkout import CHECKOUT
from core.local.programs import binaries

PAGE = CHECKOUT / "docs/bulk.md"
COLUMNS = "usuario_id, venta, ventas_productos, creacion"

IN, OUT = "≥ ×0.5, ≤ 30 MB", "≥ ×0.5, ≤ 10 MB"
WAYS = {  # title, whom it is compared with, goal; in this order: an export finds what the last import left
    "psql in": ("psql `\\copy`, CSV in", "psql in", ""),
    "csv in": ("API, CSV in", "psql in", IN),
    "ndjson in": ("API, NDJSON in", "psql in", IN),
    "psql out": ("psql `\\copy`, CSV out", "psql out", ""),
    "csv out": ("API, CSV out", "psql out", OUT),
    "psql-json out": ("psql `\\copy`, row_to_json out", "psql-json out", ""),
    "ndjson out": ("API, NDJSON out", "psql-json out", OUT),
}

SALES = """
TRUNCATE venta RESTART IDENTITY;
INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)
SELECT CASE WHEN n %% 2 = 0 THEN 1 ELSE 2 + n %% 9999 END, n %% 100000, 1 + n %% 20,
       timestamptz '2020-01-01Z' + n * interval '97 s'
  FROM generate_series(1, %(sales)s) AS n
"""


class Bulk:
    def __init__(
        self, db: BenchDatabase, server: ContenderServer, folder: Path, *, rows: int, rounds: int
    ) -> None:
        self.db, self.server, self.folder = db, server, folder
        self.rows, self.rounds = rows, rounds
        self.token = Client(server).token

    def tables(self) -> Iterator[str]:
        yield "### Deep pages\n\n" + self.deep_pages()
        self.write_files()
        yield "### A file in, a file out\n\n" + self.transfers()
        yield "### The same file as others write it\n\n" + self.dialects()
        yield "### Files that are refused\n\n" + self.refusals()

    def client(self) -> Client:
        """On a new connection: the server closes one that is idle."""
        return Client(self.server, self.token)

    def deep_pages(self) -> str:
        """Pages of 100 of 2 × rows sales, half of them one user's: the first, and the one after `rows`, in turns."""
        self.sql(SALES, sales=2 * self.rows)
        self.sql("VACUUM ANALYZE venta")
        client, lines = self.client(), []
        for title, path, depth in (
            (f"everyone's {2 * self.rows:,}", "/venta/?", self.rows),
            (f"one user's {self.rows:,}", "/user/1/venta?", self.rows // 2),
        ):
            pages = (f"{path}limit=100", self.cursor(client, path, depth))
            times = [[self.timed(client.request, "GET", page) for page in pages] for _ in range(500)]
            first, deep = (median(column) * 1000 for column in zip(*times, strict=True))
            lines.append(
                [title, f"{depth:,}", f"{first:.2f}", f"{deep:.2f}", f"×{deep / first:.2f}", "≤ ×1.2"]
            )
        return markdown(("list", "depth", "page 1, ms", "deep page, ms", "deep / first", "goal"), lines)

    def cursor(self, client: Client, path: str, depth: int) -> str:
        """The page of 100 that begins after `depth` sales: the way there leads over pages of 1000."""
        page = f"{path}limit=1000"
        for _ in range(depth // 1000):
            _, headers, _ = client.request("GET", page)
            page = headers["link"].partition("<")[2].partition(">")[0]
        return page.replace("limit=1000", "limit=100")

    def transfers(self) -> str:
        """psql and the API in turns, each on an empty table, or on the same full one; then once more, beside others."""
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        growth: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(self.rounds):
            for name in WAYS:
                self.prepare(name)
                before = self.resident("VmRSS", reset=True)
                seconds[name].append(self.transfer(name))
                growth[name].append(self.resident("VmHWM") - before)
        waits = {"idle": self.waits(lambda: time.sleep(2))}
        for name in WAYS:
            self.prepare(name)
            waits[name] = self.waits(lambda name=name: self.transfer(name))
        lines = []
        for name, (title, peer, goal) in WAYS.items():
            rate, peer_rate = (self.rows / median(seconds[way]) for way in (name, peer))
            memory = "" if name == peer else f"{median(growth[name]):.1f}"
            times = f"×{rate / peer_rate:.2f}"
            lines.append([title, f"{rate:,.0f}", times, memory, *p50_p99(waits[name]), goal])
        lines.append(["nothing", "", "", "", *p50_p99(waits["idle"]), ""])
        head = ("meanwhile", "rows/s", "against psql", "memory, +MB", "GET one: p50 ms", "p99 ms", "goal")
        return markdown(head, lines)

    def prepare(self, name: str) -> None:
        if name.endswith("in"):
            self.sql("TRUNCATE venta RESTART IDENTITY; CHECKPOINT")

    def transfer(self, name: str) -> float:
        """The seconds that one took; raises where not all of it arrived."""
        client, kind = self.client(), name.split()[0]
        if name == "psql in":
            source = self.folder / "sales.csv"
            return self.timed(self.psql, f"\\copy venta ({COLUMNS}) FROM '{source}' (FORMAT csv, HEADER)")
        if name == "psql out":
            return self.timed(
                self.psql, f"\\copy venta (id, {COLUMNS}) TO '{self.folder}/out' (FORMAT csv, HEADER)"
            )
        if name == "psql-json out":
            return self.timed(
                self.psql, f"\\copy (SELECT row_to_json(v) FROM venta AS v) TO '{self.folder}/out'"
            )
        if name.endswith("out"):
            return self.timed(client.download, kind, self.folder / "out")
        took = self.timed(client.upload, self.folder / f"sales.{kind}")
        assert self.sql("SELECT count(*) FROM venta") == [(self.rows,)]
        return took

    def dialects(self) -> str:
        """A tenth of the rows in each dialect, in turns: how quick, and what it costs the server's core."""
        rows = self.rows // 10
        kept = (rows, sum(cents for _, cents, _, _ in self.sales(rows)))
        seconds: dict[str, list[float]] = {name: [] for name in DIALECTS}
        cpu: dict[str, list[float]] = {name: [] for name in DIALECTS}
        growth: dict[str, list[float]] = {name: [] for name in DIALECTS}
        for _ in range(self.rounds):
            for name, dialect in DIALECTS.items():
                file = self.folder / "dialect.csv"
                dialect.write(file, self.sales(rows))
                self.prepare("in")
                before, used = self.resident("VmRSS", reset=True), cpu_microseconds(self.server.pid)
                seconds[name].append(self.timed(self.client().upload, file, dialect.query, dialect.media))
                cpu[name].append((cpu_microseconds(self.server.pid) - used) / rows)
                growth[name].append(self.resident("VmHWM") - before)
                assert self.sql("SELECT count(*), sum(venta) FROM venta") == [kept]
        plain = median(cpu["plain"])
        lines = [
            [
                name,
                f"`{dialect.query}`" if dialect.query else "",
                f"{rows / median(seconds[name]):,.0f}",
                f"{median(cpu[name]):.1f}",
                f"×{median(cpu[name]) / plain:.1f}",
                f"{median(growth[name]):.1f}",
            ]
            for name, dialect in DIALECTS.items()
        ]
        head = ("file", "parameters", "rows/s", "server's CPU, µs a row", "against plain", "memory, +MB")
        return markdown(head, lines)

    def refusals(self) -> str:
        """Files with one bad line: what is answered, when, and what is left behind."""
        self.sql("TRUNCATE venta RESTART IDENTITY")
        good = (self.folder / "sales.csv").read_bytes().splitlines(keepends=True)
        lines = []
        for line, bad in ((self.rows + 1, b"1,x,1,\n"), (self.rows * 7 // 10, b"999999999,1,1,\n")):
            file = self.folder / "bad.csv"
            file.write_bytes(b"".join([*good[: line - 1], bad, *good[line:]]))
            began = time.perf_counter()
            status, problem = self.client().upload(file)
            took = time.perf_counter() - began
            said = "; ".join(f"{x['linea']:,}: {x['campo']} {x['mensaje']}" for x in problem["errores"])
            left = self.sql(
                "SELECT count(*), (SELECT count(*) FROM pg_class WHERE relname = 'importacion') FROM venta"
            )
            lines.append([said, str(status), f"{took:.1f}", f"{left[0][0]}, {left[0][1]}"])
        return markdown(("what is said", "status", "seconds", "sales and temporary tables left"), lines)

    def write_files(self) -> None:
        DIALECTS["plain"].write(self.folder / "sales.csv", self.sales(self.rows))
        with (self.folder / "sales.ndjson").open("w") as ndjson:
            ndjson.writelines(
                f'{{"usuario_id":{user},"venta":{cents},"ventas_productos":{products},"creacion":"{at.isoformat()}"}}\n'
                for user, cents, products, at in self.sales(self.rows)
            )

    def sales(self, rows: int) -> Iterator[Sale]:
        time_ = datetime(2025, 1, 1, tzinfo=UTC)
        for n in range(rows):
            time_ += timedelta(microseconds=1_000_000 + n * 7919 % 60_000_000)
            yield 1 + n * 31 % 10_000, n * 7919 % 10**7, 1 + n % 99, time_

    def waits(self, work: Callable[[], object]) -> list[float]:
        """How long each of someone else's requests for one user took, in seconds, while `work` went on."""
        waits: list[float] = []
        over = threading.Event()

        def others() -> None:
            client = self.client()
            while not over.wait(0.005):
                waits.append(self.timed(client.request, "GET", "/user/17"))

        thread = threading.Thread(target=others)
        thread.start()
        try:
            work()
        finally:
            over.set()
            thread.join()
        return waits

    def timed(self, work: Callable[..., object], *arguments: object) -> float:
        began = time.perf_counter()
        result = work(*arguments)
        took = time.perf_counter() - began
        assert not isinstance(result, tuple) or result[0] in (200, 201), result
        return took

    def psql(self, command: str) -> None:
        subprocess.run([binaries() / "psql", "-Xqd", self.db.url, "-c", command], check=True)

    def sql(self, statements: str, **parameters: object) -> list[tuple]:
        with psycopg.connect(self.db.url, autocommit=True) as connection:
            rows: list[tuple] = []
            for statement in statements.split(";"):
                cursor = connection.execute(statement, parameters)
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def resident(self, which: str, *, reset: bool = False) -> float:
        """Megabytes of the server now (VmRSS), or at most since the last reset (VmHWM)."""
        process = Path(f"/proc/{self.server.pid}")
        if reset:
            (process / "clear_refs").write_text("5")
        lines = (process / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def p50_p99(seconds: Sequence[float]) -> tuple[str, str]:
    cuts = quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:.1f}", f"{cuts[98] * 1000:.1f}"


@contextmanager
def bulk(*, rows: int, rounds: int) -> Iterator[Bulk]:
    CACHE.mkdir(exist_ok=True)
    with (
        database() as db,
        running(CONTENDERS[0], db.url, cores()[0]) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        yield Bulk(db, server, Path(folder), rows=rows, rounds=rounds)


def save(parts: Sequence[str]) -> None:
    """Writes the parts between the page's markers; the prose around them stays."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser("scripts/bench-bulk", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of psql and of the API (default: 3)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, 1 round, saved nowhere")
    options = parser.parse_args()
    rows, rounds = (100_000, 1) if options.quick else (1_000_000, options.rounds)
    with bulk(rows=rows, rounds=rounds) as bench:
        others = OtherWork(bench.db.postmaster)
        parts = []
        for table in bench.tables():
            print(table, end="\n\n", flush=True)
            parts.append(table)
        machine = description([f"PostgreSQL {bench.db.version}", f"Python {platform.python_version()}"])
        busy = f"other programs took {others.share():.0%} of a core"
        conditions = f"{machine}; {rows:,} rows, medians of {rounds} rounds; {busy}."
    print(conditions)
    if not options.quick:
        save([conditions, *parts])
    return 0


if __name__ == "__main__":
    sys.exit(main())
