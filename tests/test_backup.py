"""What docs/backup.md says is so: its commands bring the data back, and its table names all that is forgotten."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from conftest import database_url

from core.checkout import CHECKOUT
from core.local.embedded import binaries, temporary_postgres
from core.local.programs import as_account, hand_over, temporary_folder
from core.migrating import guard

PAGE = (CHECKOUT / "docs" / "backup.md").read_text("utf-8")
SALE = "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (1, %s, 1)"


def commands(section: str) -> list[str]:
    """The shell commands of a section, block by block."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def run(script: str, folder: Path, **variables: str) -> None:
    """Runs commands in a folder, as the user that PostgreSQL runs as."""
    environ = {"PATH": f"{binaries()}:{os.defpath}", "HOME": str(folder), "LC_ALL": "C"} | variables
    options = as_account() | {"cwd": folder, "env": environ}
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of that user, with the file that the commands name."""
    with temporary_folder() as path:
        (path / "docs").mkdir()
        (path / "docs" / "roles.sql").write_bytes((CHECKOUT / "docs" / "roles.sql").read_bytes())
        yield path


def fill(url: str) -> None:
    guard.apply(url, say=lambda line: None)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)"
            " VALUES ('ana', '$2b$12$' || repeat('a', 53), 'Ana', 'Paz', '2604538424', 'ana@example.com')"
        )
        connection.execute(SALE, [1])


def test_a_dump_brings_everything_back(folder: Path) -> None:
    dump, restore = commands("A dump")
    with temporary_postgres() as url:
        fill(url)
        restored = database_url(url, "ventas_restored")
        run(dump, folder, DATABASE_URL=url)
        run(restore, folder, DATABASE_URL=url, RESTORED_URL=restored)
        with psycopg.connect(url) as before, psycopg.connect(restored) as after:
            for table in ("usuario", "venta", "_yoyo_migration", "migracion_texto"):
                query = f"SELECT * FROM {table} ORDER BY 1"
                assert after.execute(query).fetchall() == before.execute(query).fetchall() != []
            after.execute(SALE, [2])
            after.execute("SET ROLE ventas_app")
            assert after.execute("SELECT id, venta FROM venta ORDER BY id").fetchall() == [(1, 1), (2, 2)]


def test_the_log_brings_back_a_point_in_time(folder: Path) -> None:
    copy, restore = commands("A point in time")
    archive = folder / "archive"
    archive.mkdir()
    hand_over(archive)
    said = dict(re.findall(r"^(archive_\w+) = '?(.*?)'?$", PAGE, re.MULTILINE))
    settings = {name: value.replace("ARCHIVE", str(archive)) for name, value in said.items()}
    with temporary_postgres(settings=settings) as url, psycopg.connect(url, autocommit=True) as connection:
        fill(url)
        run(copy, folder, DATABASE_URL=url)
        connection.execute(SALE, [2])
        [(moment,)] = connection.execute("SELECT now()")
        connection.execute("DELETE FROM usuario")
        send_the_log(connection)
    with (folder / "base" / "postgresql.auto.conf").open("a") as settings_file:
        settings_file.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\n")
    restored = f"postgresql://postgres@/ventas?host={quote(str(folder), safe='')}"
    try:
        run(restore, folder, ARCHIVE=str(archive), MOMENT=str(moment), RESTORED_URL=restored)
        with psycopg.connect(restored) as connection:
            assert connection.execute("SELECT venta FROM venta ORDER BY id").fetchall() == [(1,), (2,)]
    finally:
        run("pg_ctl stop --silent --pgdata=restored --mode=immediate", folder)


def send_the_log(connection: psycopg.Connection) -> None:
    """Returns once all that was written so far is in the archive."""
    [(file,)] = connection.execute("SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + 30
    while connection.execute(
        "SELECT coalesce(last_archived_wal, '') < %s FROM pg_stat_archiver", [file]
    ).fetchone()[0]:  # type: ignore[index]
        assert time.monotonic() < deadline, "nothing was archived"
        time.sleep(0.05)


def test_the_page_tells_of_every_table(rows) -> None:
    tables = rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname !~ '^_?yoyo_|^migracion_'"
    )
    listed = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    assert {name for cell in listed for name in re.findall(r"`(\w+)`", cell)} == {name for (name,) in tables}
