"""What one caller may cost another: the others' figures with an offender at work, against the same without.

Takes about five minutes with 3 million sales of one account, or one with --quick; writes docs/fairness.md.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg

from bench.database import NUMBERS, SEED
from bench.fair_cases import CASES, PASSWORD, FairRow, Site
from bench.fair_client import Peer
from bench.machine import description
from bench.report import BEGIN, END, markdown
from core.checkout import CHECKOUT
from core.local.embedded import temporary_postgres
from core.migrating.guard import apply

PAGE = CHECKOUT / "docs/fairness.md"
HEAD = ("offender", "others", "goal", "measured")
USERS = 40

LARGE = """
INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)
SELECT 2, n %% 100000, 1 + n %% 20, timestamptz '2021-01-01Z' + n * interval '50 s' FROM generate_series(1, %s) AS n
"""


@contextmanager
def site(*, sales: int, seconds: float) -> Iterator[Site]:
    """A server on a PostgreSQL of its own, where user 2 has that many sales."""
    with temporary_postgres(settings={"shared_buffers": "256MB"}) as url:
        apply(url, say=lambda line: None)
        with psycopg.connect(url, autocommit=True) as connection:
            numbers = NUMBERS | {"users": USERS, "admins": 1, "sales": 1000, "sessions": 0}
            psycopg.ClientCursor(connection).execute(SEED, numbers)
            connection.execute(LARGE, [sales])
            connection.execute("VACUUM (ANALYZE)")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environ = os.environ | {
            "DATABASE_URL": url,
            "PORT": str(port),
            "JWT_SECRET": "a secret of the bench, 32 bytes or more",
            "BCRYPT_ROUNDS": "10",
            "TRUSTED_PROXIES": "1",
            "THROTTLE": "off",
        }
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=CHECKOUT, env=environ, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout
            next(line for line in server.stdout if line.startswith("Listening on "))
            address = f"http://127.0.0.1:{port}"
            yield Site(address, server.pid, url, asyncio.run(tokens(address)), seconds, sales)
        finally:
            server.terminate()
            server.communicate(timeout=60)


async def tokens(url: str) -> dict[int, str]:
    found = {}
    for user in (1, 2, 3, *range(9, 18)):
        form = f"username=u{user:06}&password={PASSWORD}".encode()
        with closing(Peer(url)) as peer:
            _, body = await peer.read("POST", "/login/", form, media="application/x-www-form-urlencoded")
        found[user] = body.decode().split('"')[3]
    return found


def table(rows: Sequence[FairRow]) -> str:
    return markdown(HEAD, [(row.offender, row.others, row.goal, row.figures) for row in rows])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("scripts/bench-fair", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sales, shorter turns; saved nowhere")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"only these: {', '.join(CASES)}")
    given = parser.parse_args(arguments)
    sales, seconds = (200_000, 2.0) if given.quick else (3_000_000, 8.0)
    rows = []
    with site(sales=sales, seconds=seconds) as place:
        for name, case in CASES.items():
            if not given.cases or name in given.cases:
                rows.append(asyncio.run(place.row(case)))
                print(f"{rows[-1].offender}: {rows[-1].figures}", flush=True)
    busy = f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"
    text = f"{description([])}; {busy}; {time.strftime('%Y-%m-%d')}.\n\n{table(rows)}"
    if not given.quick and not given.cases:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", "utf-8")
    print(f"\n{text}")
    return 0 if all(row.fair for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
