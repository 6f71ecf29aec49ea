"""The throw-away PostgreSQL that every contender works on, with the same rows at the start of every run."""

import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from bench.machine import cpu_microseconds
from core.local.embedded import temporary_postgres
from core.migrating.guard import apply

USERS, ADMINS, SALES, SESSIONS = 10_000, 16, 200_000, 512
Way = Literal["tcp", "tls", "socket"]
WAYS: dict[Way, str] = {"tcp": "TCP", "tls": "TCP with TLS", "socket": "a unix socket"}
PASSWORD = "clave-de-prueba"
NUMBERS = {
    "users": USERS,
    "admins": ADMINS,
    "sales": SALES,
    "sessions": SESSIONS,
    "hash": "$2b$10$DNb7I1Ve1h1GIeOffKi6Y.TXUfbdf6lPd6J3Zcc3WBoReml2vQ8ba",  # of PASSWORD
}
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "autovacuum": "off",
}

SEED = """
INSERT INTO usuario (id, username, password, nombre, apellido, telefono, correo, rol)
SELECT n, 'u' || to_char(n, 'FM000000'), %(hash)s, 'Nombre ' || n, 'Apellido ' || n, '600000000',
       'u' || to_char(n, 'FM000000') || '@example.com',
       CASE WHEN n <= %(admins)s THEN 'admin' ELSE 'usuario' END
  FROM generate_series(1, %(users)s) AS n;
INSERT INTO venta (id, usuario_id, venta, ventas_productos, creacion)
SELECT n, 1 + n %% %(users)s, n %% 100000, 1 + n %% 20, timestamptz '2025-01-01Z' + n * interval '1 minute'
  FROM generate_series(1, %(sales)s) AS n;
INSERT INTO sesion (usuario_id, expira, renovable)
SELECT %(admins)s + n, now() + interval '1 day', true
  FROM generate_series(1, %(sessions)s) AS n;
SELECT setval(pg_get_serial_sequence('usuario', 'id'), %(users)s),
       setval(pg_get_serial_sequence('venta', 'id'), %(sales)s);
"""


FACTS = "SELECT current_setting('data_directory'), current_setting('server_version')"


@dataclass(frozen=True)
class BenchDatabase:
    url: str
    postmaster: int
    version: str
    way: Way = "socket"

    def cpu_microseconds(self) -> float:
        return cpu_microseconds(self.postmaster)

    def new_sales(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM venta WHERE id > %s", [SALES])
            return int(count)

    def sessions(self) -> list[tuple[int, int]]:
        """The user and the id of each session whose refresh token has the number 0 again from now on."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("UPDATE sesion SET contador = 0 WHERE renovable")
            return connection.execute("SELECT usuario_id, id FROM sesion WHERE renovable").fetchall()

    def renewals(self) -> int:
        """How often refresh tokens have been used since."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            [(count,)] = connection.execute("SELECT sum(contador)::bigint FROM sesion WHERE renovable")
            return int(count)

    def restore(self) -> None:
        """Takes new sales and keys out again, so that the next contender finds what the first one found."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DELETE FROM venta WHERE id > %s", [SALES])
            connection.execute("TRUNCATE idempotencia")
            for table in ("venta", "sesion", "usuario"):
                connection.execute(f"VACUUM (ANALYZE) {table}")
            connection.execute("CHECKPOINT")


class NoTls(Exception):
    """These PostgreSQL programs were built without TLS."""


@contextmanager
def database(way: Way = "tcp", programs: Path | None = None) -> Iterator[BenchDatabase]:
    """A new PostgreSQL with its default durability, migrated and seeded; gone without a trace at the end.

    Contenders reach it by `way`. Raises NoTls."""
    host = _free_host()
    settings = SETTINGS if way == "socket" else SETTINGS | {"listen_addresses": host}
    with temporary_postgres(bin_dir=programs, settings=settings) as url:
        apply(url, say=lambda line: None)
        with psycopg.connect(url, autocommit=True) as connection:
            psycopg.ClientCursor(connection).execute(SEED, NUMBERS)
            connection.execute("VACUUM (ANALYZE)")
            [(folder, version)] = connection.execute(FACTS)
            if way != "socket":
                _open_to_tcp(connection, Path(folder), tls=way == "tls")
                url = f"postgresql://postgres@{host}:5432/ventas" + (
                    "?sslmode=require" if way == "tls" else ""
                )
        postmaster = int((Path(folder) / "postmaster.pid").read_text().split()[0])
        yield BenchDatabase(url, postmaster, version.split()[0], way)


def _free_host() -> str:
    """An address of this machine at which nobody listens on PostgreSQL's port."""
    for host in [
        "127.0.0.1",
        *(f"127.77.{random.randrange(1, 255)}.{random.randrange(1, 255)}" for _ in range(9)),
    ]:
        with socket.socket() as listener:
            try:
                listener.bind((host, 5432))
            except OSError:
                continue
            return host
    raise RuntimeError("every address has a PostgreSQL")


def _open_to_tcp(connection: psycopg.Connection, folder: Path, *, tls: bool) -> None:
    """Lets in whoever comes from this machine, and no other; with TLS, under a certificate of its own."""
    kind = "hostssl" if tls else "host"
    rules = folder / "pg_hba.conf"
    rules.write_text(f"{kind} all all 127.0.0.0/8 trust\n" + rules.read_text())
    if tls:
        [(able,)] = connection.execute(
            "SELECT count(*) > 0 FROM pg_settings WHERE name = 'ssl_library' AND setting <> ''"
        )
        if not able:
            raise NoTls
        key, certificate = folder / "server.key", folder / "server.crt"
        made = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
        ]
        subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        for file in (key, certificate):
            file.chmod(0o600)
            shutil.chown(file, folder.owner(), folder.group())
        connection.execute("ALTER SYSTEM SET ssl = on")
    connection.execute("SELECT pg_reload_conf()")
