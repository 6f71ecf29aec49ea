"""The migrations we ship: they go up and down, lock what they say, say what they lose, and pass the linter."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.faults_neighbours import MODES
from core.local.embedded import binaries
from core.migrating.guard import apply, rollback
from core.migrating.migrations import FOLDER, header, names, pending
from core.migrating.steps import MigrationStep, steps

pytestmark = pytest.mark.each_postgresql

ROOT = FOLDER.parent
DOCUMENT = ROOT / "docs" / "migrations.md"
LOCKS_OF = """
SELECT c.relname, regexp_replace(replace(l.mode, 'Lock', ''), '(?<=[a-z])(?=[A-Z])', ' ', 'g')
  FROM pg_locks AS l
  JOIN pg_class AS c ON c.oid = l.relation
 WHERE l.pid = %s AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"


def hush(line: str) -> None:
    """Hears the progress and says nothing."""


def schema(url: str) -> str:
    """What pg_dump says of the schema, without the random key of its last versions."""
    dump = subprocess.run(
        [binaries() / "pg_dump", "--schema-only", url], capture_output=True, text=True, check=True
    )
    return re.sub(r"^\\(un)?restrict .*$", "", dump.stdout, flags=re.MULTILINE)


def copy(names: list[str], folder: Path) -> Path:
    """A folder with only these of our migrations."""
    folder.mkdir()
    for name in names:
        shutil.copy(FOLDER / f"{name}.sql", folder)
        shutil.copy(FOLDER / f"{name}.rollback.sql", folder)
    return folder


@pytest.mark.parametrize("newest", [2, pytest.param(len(names()), marks=pytest.mark.slow, id="all")])
def test_each_one_goes_up_down_and_up_to_the_same_schema(
    empty_database: str, tmp_path: Path, newest: int
) -> None:
    older = len(names()) - newest
    apply(empty_database, copy(names()[:older], tmp_path / "older"), say=hush)
    levels = [schema(empty_database)]
    for number in range(older + 1, len(names()) + 1):
        folder = copy(names()[:number], tmp_path / str(number))
        apply(empty_database, folder, say=hush)
        levels.append(schema(empty_database))
        rollback(empty_database, 1, folder, confirm=lambda steps: True, say=hush)
        assert schema(empty_database) == levels[-2], (
            f"{names()[number - 1]}.rollback.sql leaves something behind"
        )
        apply(empty_database, folder, say=hush)
        assert schema(empty_database) == levels[-1]
    assert all(before != after for before, after in pairwise(levels))


def test_all_of_them_go_down_at_once_and_up_again(empty_database: str) -> None:
    apply(empty_database, say=hush)
    full = schema(empty_database)
    assert rollback(empty_database, len(names()), confirm=lambda steps: True, say=hush) == names()[::-1]
    assert pending(empty_database) == names()
    assert apply(empty_database, say=hush) == names()
    assert schema(empty_database) == full


@pytest.mark.parametrize("step", steps(FOLDER), ids=lambda step: step.name)
def test_each_locks_what_its_header_says(step: MigrationStep, empty_database: str, tmp_path: Path) -> None:
    before = copy(names()[: names().index(step.name)], tmp_path / "before")
    apply(empty_database, before, say=hush)
    assert declared_locks(step) == taken_locks(step, empty_database)


def test_an_index_built_concurrently_shows_its_lock(empty_database: str, tmp_path: Path) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE nota (id bigint)")
    (tmp_path / "0001_index_nota.sql").write_text(
        "-- Locks:  nota SHARE UPDATE EXCLUSIVE\n-- transactional: false\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS nota_id_idx ON nota (id);\n"
    )
    [step] = steps(tmp_path)
    assert declared_locks(step) == taken_locks(step, empty_database) == {"nota": "SHARE UPDATE EXCLUSIVE"}


def test_the_documented_example_is_true(empty_database: str, tmp_path: Path) -> None:
    apply(empty_database, copy(names()[:2], tmp_path / "before"), say=hush)
    example, index = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (tmp_path / "0003_add_pago.sql").write_text(example)
    (tmp_path / "0004_index_pago.sql").write_text(index)
    add, build = steps(tmp_path)
    assert declared_locks(add) == taken_locks(add, empty_database)
    with psycopg.connect(empty_database) as connection:
        connection.execute(example)
    assert declared_locks(build) == taken_locks(build, empty_database)
    assert squawk(*tmp_path.glob("*.sql")) == []


@pytest.mark.slow
def test_a_column_of_three_million_rows_is_filled_under_load(database: str) -> None:
    fill, constrain, validate = re.findall(r"```postgresql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    done, errors = threading.Event(), []
    impatient = make_conninfo(
        **conninfo_to_dict(database) | {"options": "-c lock_timeout=1s -c statement_timeout=3s"}
    )
    seller = threading.Thread(target=keep_selling, args=(impatient, done, errors.append))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)"
            " SELECT 'u' || n, '$2b$12$' || repeat('a', 53), 'A', 'P', '2604538424', 'u' || n || '@x'"
            " FROM generate_series(1, 1000) AS n"
        )
        connection.execute(
            "INSERT INTO venta (usuario_id, venta, ventas_productos) SELECT 1 + n % 1000, n, 1"
            " FROM generate_series(1, 3000000) AS n"
        )
        connection.execute("ALTER TABLE venta ADD COLUMN pago timestamptz")
        connection.execute("ALTER TABLE venta ALTER COLUMN pago SET DEFAULT now()")
        seller.start()
        for statement in re.split(r"(?<=;)\n\n", fill, maxsplit=1):
            connection.execute(statement)
        connection.execute(constrain)
        connection.execute(validate)
        done.set()
        seller.join()
        assert errors == []
        assert connection.execute("SELECT count(*) FROM venta WHERE pago IS NULL").fetchone() == (0,)


def keep_selling(url: str, done: threading.Event, complain: Callable[[object], None]) -> None:
    """Sells and changes sales all over the table, a statement at a time, until `done`."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not done.is_set():
            try:
                connection.execute("INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (7, 1, 1)")
                connection.execute(
                    "UPDATE venta SET venta = venta + 1 WHERE id = (SELECT 1 + (random() * 2999999)::bigint)"
                )
            except psycopg.Error as error:
                complain(error)
                return


def declared_locks(step: MigrationStep) -> dict[str, str]:
    """Table and strongest lock, as `-- Locks:` says them: `usuario SHARE ROW EXCLUSIVE, a moment`."""
    modes = "|".join(sorted(MODES, key=len, reverse=True))
    return dict(re.findall(rf"(\w+) ({modes})\b", header(step.text)["Locks"]))


def taken_locks(step: MigrationStep, url: str) -> dict[str, str]:
    """Table and strongest lock that `step` takes on the tables which were there before it."""
    with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url, autocommit=True) as other:
        existing = {table for (table,) in connection.execute(TABLES)}
        pid = connection.info.backend_pid
        if step.transactional:
            with connection.transaction(force_rollback=True):
                for statement in step.statements:
                    connection.execute(statement)
                rows = other.execute(LOCKS_OF, [pid]).fetchall()
        else:
            rows = [
                row
                for statement in step.statements
                for row in locks_while_it_waits(statement, connection, other, existing)
            ]
    taken: dict[str, str] = {}
    for table, mode in rows:
        strongest = max(taken.get(table, MODES[0]), mode.upper(), key=MODES.index)
        taken |= {table: strongest} if table in existing else {}
    return taken


def locks_while_it_waits(
    statement: str, connection: psycopg.Connection, other: psycopg.Connection, existing: set[str]
) -> list[tuple]:
    """CONCURRENTLY waits for older writers: be one on every table, and look while it waits."""
    pid = connection.info.backend_pid
    thread = threading.Thread(target=connection.execute, args=(statement,))
    with other.transaction():
        for table in existing:
            other.execute(f'LOCK TABLE "{table}" IN ROW EXCLUSIVE MODE')
        thread.start()
        while (
            thread.is_alive()
            and not other.execute("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid]).fetchone()
        ):
            thread.join(0.01)
        rows = other.execute(LOCKS_OF, [pid]).fetchall()
    thread.join()
    return rows


@pytest.mark.parametrize("name", names())
def test_each_says_what_why_which_locks_and_what_is_lost(name: str) -> None:
    assert header((FOLDER / f"{name}.sql").read_text("utf-8")).keys() == {"What", "Why", "Locks", "Undo"}


def test_each_can_be_undone_and_every_file_belongs_to_one() -> None:
    assert all(step.undo for step in steps(FOLDER))
    files = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert files == {f"{name}{kind}.sql" for name in names() for kind in ("", ".rollback")}
    assert [step.name for step in steps(FOLDER)] == names()
    assert len({name[:4] for name in names()}) == len(names())


def test_no_lint_rule_complains_or_is_ignored() -> None:
    findings = [f for f in squawk(*(FOLDER / f"{name}.sql" for name in names())) if not replaces_a_check(f)]
    assert not findings, "\n".join(
        f"{f['file']}:{f['line']}: {f['rule_name']}: {f['message']}" for f in findings
    )
    assert not any("squawk-ignore" in path.read_text("utf-8") for path in FOLDER.rglob("*.sql"))
    assert "rules" not in (ROOT / ".squawk.toml").read_text("utf-8")


def test_the_linter_finds_only_that_a_rollback_drops_things() -> None:
    findings = squawk(*FOLDER.glob("*.rollback.sql"))
    findings = [finding for finding in findings if not replaces_a_check(finding)]
    allowed = {"ban-drop-table", "ban-drop-column", "constraint-missing-not-valid"}
    assert {finding["rule_name"] for finding in findings} <= allowed


def test_the_linter_does_find_an_index_that_blocks_writes(tmp_path: Path) -> None:
    (tmp_path / "bad.sql").write_text("CREATE INDEX usuario_telefono_idx ON usuario (telefono);\n")
    assert "require-concurrent-index-creation" in {f["rule_name"] for f in squawk(tmp_path / "bad.sql")}


def replaces_a_check(finding: dict[str, str]) -> bool:
    """Whether a constraint that is dropped is added again, with another text, by the same file."""
    text = Path(finding["file"]).read_text("utf-8")
    dropped = set(re.findall(r"DROP CONSTRAINT (?:IF EXISTS )?(\w+)", text))
    return finding["rule_name"] == "ban-drop-constraint" and dropped == set(
        re.findall(r"ADD CONSTRAINT (\w+)", text)
    )


def squawk(*files: Path) -> list[dict[str, str]]:
    program = Path(sys.executable).parent / "squawk"
    command = [program, "--config", ROOT / ".squawk.toml", "--reporter", "json", *files]
    found: list[dict[str, str]] = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    return found


def test_every_table_and_column_has_a_comment(empty_database: str) -> None:
    apply(empty_database, say=hush)
    with psycopg.connect(empty_database) as connection:
        missing = connection.execute(
            """
            SELECT c.relname, a.attname
              FROM pg_class AS c
              JOIN pg_attribute AS a ON a.attrelid = c.oid AND (a.attnum > 0 OR a.attname = 'tableoid')
             WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace = 'public'::regnamespace
               AND NOT c.relispartition AND NOT a.attisdropped AND c.relname !~ '^_?yoyo_'
               AND col_description(c.oid, greatest(a.attnum, 0)) IS NULL
            """
        ).fetchall()
    assert missing == []


def test_requests_go_on_while_one_waits_for_a_long_transaction(empty_database: str, tmp_path: Path) -> None:
    apply(empty_database, say=hush)
    folder = copy(names(), tmp_path / "next")
    (folder / "9999_add_nota.sql").write_text("ALTER TABLE usuario ADD COLUMN nota text;")
    impatient = make_conninfo(**conninfo_to_dict(empty_database) | {"options": "-c lock_timeout=3s"})
    done, errors = threading.Event(), []
    clients = [
        threading.Thread(target=keep_asking, args=(impatient, done, errors.append)),
        threading.Thread(target=keep_asking, args=(impatient, done, errors.append)),
    ]
    with psycopg.connect(empty_database) as long_transaction:
        long_transaction.execute("SELECT count(*) FROM usuario")
        for client in clients:
            client.start()
        apply(
            empty_database,
            folder,
            say=lambda line: long_transaction.rollback() if "attempt 2" in line else None,
        )
    done.set()
    for client in clients:
        client.join()
    assert errors == []
    assert pending(empty_database, folder) == []


def keep_asking(url: str, done: threading.Event, complain: Callable[[object], None]) -> None:
    """Reads from and writes to usuario, a statement at a time, until `done`."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not done.is_set():
            try:
                connection.execute("SELECT username FROM usuario WHERE id = 1")
                connection.execute("UPDATE usuario SET estado = true WHERE id = 1")
            except psycopg.Error as error:
                complain(error)
                return
