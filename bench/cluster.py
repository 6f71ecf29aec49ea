"""Distributes a new database over a running Citus cluster, tries it there and on the way back, and prints a table.

The URLs are of servers where databases may be made, as a superuser: the check makes its own, and drops them at the end.
The last worker is stopped and started only by the commands given for that. Takes about two minutes.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.cluster_tries import HASH, USERS, Row, plans, rates, remote, sharing, working
from core.checkout import CHECKOUT
from core.database.database import open_database
from core.local.programs import binaries, run
from core.migrating import guard
from core.migrating.migrations import FOLDER

NAME = "ventas_cluster_check"
LEAST = 0.3  # of the rate of a database that is not distributed, on the same machine
ROLES = CHECKOUT / "docs" / "roles.sql"
THERE, BACK = FOLDER / "scale-out" / "distribute.sql", FOLDER / "scale-out" / "undistribute.sql"
PEOPLE = f"""
INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
SELECT 'u' || n, '{HASH}', 'Ana', 'Paz', '2604538424', 'u' || n || '@example.com' FROM generate_series(1, {USERS}) AS n;
INSERT INTO venta (usuario_id, venta, ventas_productos)
SELECT 1 + n % {USERS}, n, 1 FROM generate_series(1, 20000) AS n;
INSERT INTO sesion (usuario_id, expira) SELECT id, now() + interval '1 day' FROM usuario;
INSERT INTO idempotencia (usuario_id, clave) SELECT id, 'una' FROM usuario;
INSERT INTO enlace (usuario_id, tipo, correo, clave, expira)
SELECT id, 'verificacion', correo, sha256('una'), now() + interval '1 hour' FROM usuario;
INSERT INTO llave (usuario_id, nombre, ambitos, huella, expira)
SELECT id, 'caja', ARRAY['ventas:leer'], sha256('una'), now() + interval '1 hour' FROM usuario;
"""
HELD = """
SELECT (SELECT count(*) FROM usuario), (SELECT count(*) FROM venta), (SELECT sum(venta) FROM venta),
       (SELECT count(*) FROM sesion), (SELECT count(*) FROM idempotencia), (SELECT count(*) FROM enlace),
       (SELECT count(*) FROM llave)
"""


@contextmanager
def new_databases(servers: list[str], name: str) -> Iterator[list[str]]:
    """The URLs of a new database on each server."""

    def each(*commands: str) -> None:
        for server in servers:
            with psycopg.connect(server, autocommit=True) as connection:
                for command in commands:
                    connection.execute(command)  # type: ignore[call-overload]

    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    each(drop, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    try:
        yield [make_conninfo(server, dbname=name) for server in servers]
    finally:
        each(drop)


def execute(url: str, *texts: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for text in texts:
            connection.execute(text)  # type: ignore[call-overload]


def psql(url: str, *files: Path) -> None:
    """Runs files as docs/scale-out.md says."""
    for file in files:
        run(binaries() / "psql", "-qX", "-v", "ON_ERROR_STOP=1", url, stdin=file.read_text("utf-8"))


def held(url: str) -> tuple[object, ...] | None:
    """How much there is in each table."""
    with psycopg.connect(url) as connection:
        return connection.execute(HELD).fetchone()


def join(urls: list[str]) -> None:
    """Makes a cluster of the databases; the first is the coordinator's."""
    for url in urls:
        execute(url, "CREATE EXTENSION citus")
    with psycopg.connect(urls[0], autocommit=True) as connection:
        for number, url in enumerate(urls):
            node = conninfo_to_dict(url)
            function = "citus_add_node" if number else "citus_set_coordinator_host"
            connection.execute(f"SELECT {function}(%s, %s::integer)", [node["host"], node.get("port", 5432)])  # type: ignore[call-overload]


def command(line: str) -> None:
    """Runs what the caller gave to stop or start a worker."""
    subprocess.run(line, shell=True, check=True)


async def down(url: str, worker: str, stop: str, start: str) -> list[Row]:
    """What users can do while a worker is stopped, and after it."""
    port = int(conninfo_to_dict(worker).get("port") or 5432)
    async with open_database(url) as db:
        others, theirs = await sharing(db, port)
        await asyncio.to_thread(command, stop)
        try:
            went_on, _ = await working(db, others)
            done, refused = await working(db, theirs)
        finally:
            await asyncio.to_thread(command, start)
        back, _ = await working(db, theirs)
    return [
        Row(
            "a worker is stopped: users of the others log in, sell, read, change and delete",
            "all",
            f"{went_on} of {len(others)}",
            went_on == len(others),
        ),
        Row(
            "its own users meanwhile",
            "503",
            f"{refused} of {len(theirs)}",
            refused == len(theirs) and not done,
        ),
        Row("its own users once it is back", "all", f"{back} of {len(theirs)}", back == len(theirs)),
    ]


async def speed(plain: str, cluster: str) -> list[Row]:
    """What the cluster does in a second beside a plain database on the coordinator's server."""
    async with open_database(plain) as db:
        before = await rates(db)
    async with open_database(cluster, pool_max=32) as db:
        after = await rates(db)
    return [
        Row(
            f"{what} a second, 32 at once",
            f"≥ {LEAST} × plain",
            f"{after[what]:,.0f}, {after[what] / before[what]:.2f} × {before[what]:,.0f}",
            after[what] >= LEAST * before[what],
        )
        for what in before
    ]


def check(servers: list[str], stop: str, start: str) -> list[Row]:
    """The lines of the table."""
    rows = []
    with new_databases(servers, NAME) as urls, new_databases(servers[:1], f"{NAME}_plain") as [plain]:
        for url in (urls[0], plain):
            guard.apply(url, say=lambda line: None)
            execute(url, PEOPLE)
        before, began = held(urls[0]), perf_counter()
        join(urls)
        psql(urls[0], ROLES, THERE, ROLES)
        lost = "nothing" if held(urls[0]) == before else "something"
        took = f"{lost}, in {perf_counter() - began:.0f} s"
        rows.append(Row("lost by distributing", "nothing", took, lost == "nothing"))
        rows += plans(urls[0]) + remote(urls[0])
        if stop and start:
            rows += asyncio.run(down(urls[0], urls[-1], stop, start))
        rows += asyncio.run(speed(plain, urls[0]))
        before = held(urls[0])
        psql(urls[0], BACK)
        for url in urls:
            execute(url, "DROP EXTENSION citus CASCADE")
        psql(urls[0], ROLES)
        lost = "nothing" if held(urls[0]) == before else "something"
        rows.append(Row("lost on the way back", "nothing", lost, lost == "nothing"))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser("scripts/cluster-check", description=__doc__)
    parser.add_argument("coordinator", metavar="COORDINATOR_URL")
    parser.add_argument("workers", metavar="WORKER_URL", nargs="+")
    parser.add_argument(
        "--stop", default="", metavar="COMMAND", help="stops the last worker's server at once"
    )
    parser.add_argument(
        "--start", default="", metavar="COMMAND", help="starts it again, and waits until it is ready"
    )
    options = parser.parse_args()
    try:
        rows = check([options.coordinator, *options.workers], options.stop, options.start)
    except (psycopg.Error, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("| what was tried | goal | found |\n|---|---|---|")
    print("\n".join(f"| {row.what} | {row.goal} | {row.found} |" for row in rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
