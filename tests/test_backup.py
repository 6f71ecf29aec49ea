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
from conftest import OTHER_POSTGRESQLS, database_url, url_as

from core.checkout import CHECKOUT
from core.local.embedded import binaries, temporary_postgres
from core.local.programs import as_account, hand_over, temporary_folder
from core.migrating import guard
from core.migrating.migrations import pending

PAGE = (CHECKOUT / "docs" / "backup.md").read_text("utf-8")
UPGRADES = (CHECKOUT / "docs" / "upgrades.md").read_text("utf-8")
ON_EACH = pytest.mark.parametrize("version", [pytest.param(None, id="the suite's own"), *OTHER_POSTGRESQLS])
SALE = "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (1, %s, 1)"


def commands(section: str, page: str = PAGE) -> list[str]:
    """The shell commands of a section, block by block."""
    text = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def run(script: str, folder: Path, programs: Path | None = None, **variables: str) -> None:
    """Runs commands in a folder, as the user that PostgreSQL runs as, with a version's programs or the suite's own."""
    environ = {
        "PATH": f"{programs or binaries()}:{os.defpath}",
        "HOME": str(folder),
        "LC_ALL": "C",
    } | variables
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


def made_for_the_owner(server: str) -> str:
    """The URL of the database and the owner that docs/deploy.md makes."""
    page = (CHECKOUT / "docs" / "deploy.md").read_text("utf-8")
    role, database = re.findall(r'-c "(CREATE (?:ROLE|DATABASE) .*?)"', page)
    with psycopg.connect(database_url(server, "postgres"), autocommit=True) as admin:
        admin.execute("ALTER DATABASE ventas RENAME TO unused")
        admin.execute(role)
        admin.execute(database)
    return url_as("ventas", server)


def dump_and_restore(folder: Path, *, older: Path | None, newer: Path | None) -> None:
    """From one server to another, with the newer one's programs; raises where something is not as it was."""
    dump, restore = commands("A dump")
    with temporary_postgres(bin_dir=older) as old, temporary_postgres(bin_dir=newer) as new:
        owners, admin = made_for_the_owner(old), database_url(new, "postgres")
        restored = database_url(made_for_the_owner(new), "ventas_restored")
        fill(owners)
        run(dump, folder, newer, DATABASE_URL=owners)
        run(restore, folder, newer, ADMIN_URL=admin, RESTORED_URL=restored)
        with psycopg.connect(owners) as before, psycopg.connect(restored) as after:
            for table in ("usuario", "venta", "_yoyo_migration", "migracion_texto"):
                query = f"SELECT * FROM {table} ORDER BY 1"
                assert after.execute(query).fetchall() == before.execute(query).fetchall() != []
            after.execute(SALE, [2])
        with psycopg.connect(database_url(new, "ventas_restored")) as after:
            after.execute(SALE, [2])
            after.execute("SET ROLE ventas_app")
            assert after.execute("SELECT id, venta FROM venta ORDER BY id").fetchall() == [
                (1, 1),
                (2, 2),
                (3, 2),
            ]


@ON_EACH
def test_a_dump_brings_everything_back(version: Path | None, folder: Path) -> None:
    dump_and_restore(folder, older=version, newer=version)


@pytest.mark.parametrize("version", OTHER_POSTGRESQLS)
def test_a_dump_of_an_older_server_comes_into_a_newer_one(version: Path, folder: Path) -> None:
    dump_and_restore(folder, older=version, newer=None)


@pytest.mark.parametrize("version", OTHER_POSTGRESQLS)
def test_a_cluster_is_upgraded_where_it_lies(version: Path, folder: Path) -> None:
    [upgrade] = commands("pg_upgrade", UPGRADES)
    url = f"postgresql://postgres@/ventas?host={quote(str(folder), safe='')}"
    start = f"pg_ctl start --silent --wait --log=log --options='-c listen_addresses= -k {folder}' --pgdata="
    run("initdb --username=postgres --encoding=UTF8 --locale=C.UTF-8 --pgdata=old >log", folder, version)
    run(f"{start}old; createdb --host={folder} --username=postgres ventas", folder, version)
    fill(url)
    run("pg_ctl stop --silent --pgdata=old", folder, version)
    run(upgrade, folder, OLD_BIN=str(version))
    run(f"{start}new", folder)
    try:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT id, venta FROM venta").fetchall() == [(1, 1)]
            assert connection.execute("SELECT lower('Ñ' COLLATE minusculas)").fetchall() == [("ñ",)]
            connection.execute(SALE, [2])
        assert pending(url) == []
    finally:
        run("pg_ctl stop --silent --pgdata=new --mode=immediate", folder)


@pytest.mark.parametrize("version", OTHER_POSTGRESQLS)
def test_a_logical_cut_over_loses_nothing_and_no_id_is_given_again(version: Path, folder: Path) -> None:
    begin, end = commands("Logical replication", UPGRADES)
    with (
        temporary_postgres(bin_dir=version, settings={"wal_level": "logical"}) as old,
        temporary_postgres() as new,
    ):
        fill(old)
        run(begin, folder, OLD_URL=old, NEW_URL=new)
        with psycopg.connect(old, autocommit=True) as connection:
            for amount in (2, 3):
                connection.execute(SALE, [amount])
            connection.execute("DELETE FROM venta WHERE id = 3")
        run(end, folder, OLD_URL=old, NEW_URL=new)
        with psycopg.connect(new) as connection:
            assert connection.execute("SELECT id, venta FROM venta ORDER BY id").fetchall() == [
                (1, 1),
                (2, 2),
            ]
            assert pending(new) == []
            connection.execute(SALE, [4])
            assert connection.execute("SELECT max(id) FROM venta").fetchone() == (4,)


def test_the_sequences_can_be_moved_past_their_tables(database: str) -> None:
    fill(database)
    [script] = re.findall(r"```sql\n(.*?)```", UPGRADES, re.DOTALL)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO venta (id, usuario_id, venta, ventas_productos) VALUES (2, 1, 1, 1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(SALE, [2])
        connection.execute(script)
        connection.execute(SALE, [2])


def test_it_moves_every_sequence_that_there_is(database: str) -> None:
    guard.apply(database, say=lambda line: None)
    [script] = re.findall(r"```sql\n(.*?)```", UPGRADES, re.DOTALL)
    with psycopg.connect(database) as connection:
        all_of_them = connection.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
        assert set(re.findall(r"setval\('(\w+)'", script)) == {name for (name,) in all_of_them}


@pytest.mark.slow
@ON_EACH
def test_the_log_brings_back_a_point_in_time(version: Path | None, folder: Path) -> None:
    copy, restore = commands("A point in time")
    archive = folder / "archive"
    archive.mkdir()
    hand_over(archive)
    said = dict(re.findall(r"^(archive_\w+) = '?(.*?)'?$", PAGE, re.MULTILINE))
    settings = {name: value.replace("ARCHIVE", str(archive)) for name, value in said.items()}
    with (
        temporary_postgres(bin_dir=version, settings=settings) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        fill(url)
        run(copy, folder, version, DATABASE_URL=url)
        connection.execute(SALE, [2])
        [(moment,)] = connection.execute("SELECT now()")
        connection.execute("DELETE FROM usuario")
        send_the_log(connection)
    with (folder / "base" / "postgresql.auto.conf").open("a") as settings_file:
        settings_file.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\n")
    restored = f"postgresql://postgres@/ventas?host={quote(str(folder), safe='')}"
    try:
        run(restore, folder, version, ARCHIVE=str(archive), MOMENT=str(moment), RESTORED_URL=restored)
        with psycopg.connect(restored) as connection:
            assert connection.execute("SELECT venta FROM venta ORDER BY id").fetchall() == [(1,), (2,)]
    finally:
        run("pg_ctl stop --silent --pgdata=restored --mode=immediate", folder, version)


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
