"""The throw-away PostgreSQL that every contender works on, with the same rows at the start of every run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.machine import cpu_microseconds
from core.local.embedded import temporary_postgres
from core.migrating.guard import apply

USERS, ADMINS, SALES = 10_000, 16, 200_000
PASSWORD = "clave-de-prueba"
NUMBERS = {
    "users": USERS,
    "admins": ADMINS,
    "sales": SALES,
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
SELECT setval(pg_get_serial_sequence('usuario', 'id'), %(users)s),
       setval(pg_get_serial_sequence('venta', 'id'), %(sales)s);
"""


FACTS = "SELECT current_setting('data_directory'), current_setting('server_version')"


@dataclass(frozen=True)
class BenchDatabase:
    url: str
    postmaster: int
    version: str

    def cpu_microseconds(self) -> float:
        return cpu_microseconds(self.postmaster)

    def new_sales(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM venta WHERE id > %s", [SALES])
            return int(count)

    def restore(self) -> None:
        """Takes the new sales out again, so that the next contender finds what the first one found."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DELETE FROM venta WHERE id > %s", [SALES])
            connection.execute("VACUUM (ANALYZE) venta")
            connection.execute("CHECKPOINT")


@contextmanager
def database() -> Iterator[BenchDatabase]:
    """A new PostgreSQL with its default durability, migrated and seeded; gone without a trace at the end."""
    with temporary_postgres(settings=SETTINGS) as url:
        apply(url, say=lambda line: None)
        with psycopg.connect(url, autocommit=True) as connection:
            psycopg.ClientCursor(connection).execute(SEED, NUMBERS)
            connection.execute("VACUUM (ANALYZE)")
            [(folder, version)] = connection.execute(FACTS)
        postmaster = int((Path(folder) / "postmaster.pid").read_text().split()[0])
        yield BenchDatabase(url, postmaster, version.split()[0])
