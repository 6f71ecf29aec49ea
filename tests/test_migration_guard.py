"""The migration guard: killed at any point, run twice at once, or kept waiting, the next run completes the work."""

import hashlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import yoyo
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.local.embedded import temporary_postgres
from core.local.programs import as_account, temporary_folder
from core.migrating.guard import AheadError, EditedError, accept, apply, plan, rollback
from core.migrating.migrations import FOLDER, LockNotGrantedError, MigrationError, names, pending, status
from core.migrating.session import RECORDS, PoolerError

MIGRATE = """
import sys
from pathlib import Path
from core.migrating.guard import apply
apply(sys.argv[1], Path(sys.argv[2]))
"""
BLOCKED = """
SELECT 1
  FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'migrate' AND wait_event_type = 'Lock'
"""
GONE = """
SELECT 1
 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'migrate')
"""
PATIENT = "SET lock_timeout = 0;\n"
BEFORE_ITS_RECORD = "LOCK TABLE migracion_texto IN SHARE MODE"


@pytest.fixture
def rows(empty_database: str) -> Iterator[Callable[..., list[tuple]]]:
    """A function that runs SQL on the test's database, each statement on its own, and returns the rows."""
    with psycopg.connect(empty_database, autocommit=True) as connection:

        def run(statement: str, *parameters: object) -> list[tuple]:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one migration: a table, nota."""
    write(tmp_path, "0001_create_nota", "CREATE TABLE nota (id bigint, texto text);", "DROP TABLE nota;")
    return tmp_path


def write(folder: Path, name: str, up: str, down: str | None = None) -> None:
    (folder / f"{name}.sql").write_text(up)
    if down is not None:
        (folder / f"{name}.rollback.sql").write_text(down)


def hush(line: str) -> None:
    """Hears the progress and says nothing."""


def agree(steps: object) -> bool:
    return True


def eventually(rows: Callable[..., list[tuple]], statement: str) -> None:
    """Returns once `statement` gives a row."""
    deadline = time.monotonic() + 30
    while not rows(statement):
        assert time.monotonic() < deadline, statement
        time.sleep(0.01)


@contextmanager
def transaction(url: str, statement: str) -> Iterator[psycopg.Connection]:
    """Somebody else's transaction, which has run `statement` and stays open."""
    with psycopg.connect(url) as connection:
        connection.execute(statement)
        yield connection
        connection.rollback()


@contextmanager
def blocked_migrate(url: str, folder: Path, rows: Callable[..., list[tuple]]) -> Iterator[subprocess.Popen]:
    """A process that migrates, once it waits for a lock that another transaction holds; killed at the end."""
    with subprocess.Popen([sys.executable, "-c", MIGRATE, url, str(folder)], cwd=FOLDER.parent) as process:
        try:
            eventually(rows, BLOCKED)
            yield process
        finally:
            process.kill()


def kill_while_blocked(url: str, folder: Path, rows: Callable[..., list[tuple]], blocker: str) -> None:
    """kill -9 of a `migrate` that another transaction's `blocker` holds up; its session ends though that goes on."""
    with transaction(url, blocker):
        with blocked_migrate(url, folder, rows):
            pass
        eventually(rows, GONE)


def test_killed_amid_its_statements_nothing_is_left(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0002_two", PATIENT + "CREATE TABLE uno (); ALTER TABLE nota ADD COLUMN dos text;")
    kill_while_blocked(empty_database, folder, rows, "LOCK TABLE nota")
    assert rows("SELECT to_regclass('uno')") == [(None,)]
    assert apply(empty_database, folder, say=hush) == ["0002_two"]
    assert rows("SELECT dos FROM nota, uno") == []


def test_killed_before_its_record_nothing_is_left(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0002_two", PATIENT + "CREATE TABLE dos ();", "DROP TABLE dos;")
    kill_while_blocked(empty_database, folder, rows, BEFORE_ITS_RECORD)
    assert rows("SELECT to_regclass('dos')") == [(None,)]
    assert pending(empty_database, folder) == ["0002_two"]
    assert apply(empty_database, folder, say=hush) == ["0002_two"]
    assert rollback(empty_database, 2, folder, confirm=agree, say=hush) == ["0002_two", "0001_create_nota"]


def test_killed_between_two_the_first_stays(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0002_two", "CREATE TABLE dos ();")
    write(folder, "0003_three", PATIENT + "ALTER TABLE nota ADD COLUMN tres text;")
    kill_while_blocked(empty_database, folder, rows, "LOCK TABLE nota")
    assert pending(empty_database, folder) == ["0003_three"]
    assert apply(empty_database, folder, say=hush) == ["0003_three"]


def test_killed_while_it_builds_an_index_it_builds_it_anew(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write_indexes(folder)
    kill_while_blocked(empty_database, folder, rows, "INSERT INTO nota VALUES (1, 'a')")
    assert rows("SELECT indisvalid FROM pg_index WHERE indexrelid = 'nota_id_idx'::regclass") == [(False,)]
    heard: list[str] = []
    assert apply(empty_database, folder, say=heard.append) == ["0002_index_nota"]
    assert "0002_index_nota: dropping index nota_id_idx, which an interrupted run left invalid" in heard
    assert rows("SELECT indisvalid FROM pg_index WHERE indrelid = 'nota'::regclass") == [(True,), (True,)]


def test_killed_before_the_record_of_an_index_it_records_it(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write_indexes(folder)
    kill_while_blocked(empty_database, folder, rows, BEFORE_ITS_RECORD)
    built = rows(
        "SELECT indexrelid FROM pg_index WHERE indrelid = 'nota'::regclass AND indisvalid ORDER BY 1"
    )
    assert len(built) == 2
    assert apply(empty_database, folder, say=hush) == ["0002_index_nota"]
    assert rows("SELECT indexrelid FROM pg_index WHERE indrelid = 'nota'::regclass ORDER BY 1") == built


def test_killed_while_it_undoes_an_index_it_undoes_it(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    write_indexes(folder)
    apply(empty_database, folder, say=hush)
    rows("DROP INDEX nota_id_idx")
    assert rollback(empty_database, 1, folder, confirm=agree, say=hush) == ["0002_index_nota"]
    assert rows("SELECT indexrelid FROM pg_index WHERE indrelid = 'nota'::regclass") == []


def write_indexes(folder: Path) -> None:
    write(
        folder,
        "0002_index_nota",
        "-- transactional: false\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS nota_id_idx ON nota (id);\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS nota_texto_idx ON nota (texto);\n",
        "DROP INDEX CONCURRENTLY IF EXISTS nota_texto_idx; DROP INDEX CONCURRENTLY IF EXISTS nota_id_idx;",
    )


def test_killed_before_yoyo_made_its_tables_it_goes_on(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    rows(RECORDS)
    assert [migration.state for migration in status(empty_database, folder)] == ["pending"]
    assert apply(empty_database, folder, say=hush) == ["0001_create_nota"]


def test_of_two_at_once_one_waits_and_finds_nothing_to_do(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0002_two", PATIENT + "ALTER TABLE nota ADD COLUMN dos text;")
    heard: queue.Queue[str] = queue.Queue()
    found: list[list[str]] = []
    second = threading.Thread(target=lambda: found.append(apply(empty_database, folder, say=heard.put)))
    with (
        transaction(empty_database, "LOCK TABLE nota") as blocker,
        blocked_migrate(empty_database, folder, rows) as first,
    ):
        second.start()
        [(pid,)] = rows(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert heard.get(timeout=30).startswith(f"waiting: process {pid} of ")
        blocker.rollback()
        assert first.wait(timeout=30) == 0
        second.join()
    assert found == [[]]
    assert heard.empty()
    assert rows("SELECT operation, migration_id FROM _yoyo_log ORDER BY created_at_utc") == [
        ("apply", "0001_create_nota"),
        ("apply", "0002_two"),
    ]


def test_it_tries_again_when_a_lock_is_not_granted(empty_database: str, folder: Path) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0002_two", "SET LOCAL lock_timeout = '50ms'; ALTER TABLE nota ADD COLUMN dos text;")
    heard: list[str] = []
    with transaction(empty_database, "SELECT count(*) FROM nota") as blocker:

        def say(line: str) -> None:
            heard.append(line)
            if "attempt 2 of 10" in line:
                blocker.rollback()

        assert apply(empty_database, folder, say=say) == ["0002_two"]
    assert heard[:2] == [
        "0002_two: apply",
        "0002_two: canceling statement due to lock timeout; attempt 2 of 10 in 0.5 s",
    ]


def test_it_gives_up_when_a_lock_is_never_granted(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0002_two", "CREATE TABLE dos (); ALTER TABLE nota ADD COLUMN dos text;")
    with (
        transaction(empty_database, "SELECT count(*) FROM nota"),
        pytest.raises(LockNotGrantedError, match="lock timeout; gave up after 1 attempts"),
    ):
        apply(empty_database, folder, say=hush, attempts=1)
    assert rows("SELECT to_regclass('dos')") == [(None,)]


def test_settings_of_one_migration_do_not_reach_the_next(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    write(
        folder, "0002_set", "-- transactional: false\nSET lock_timeout = '7s'; SET statement_timeout = '8s';"
    )
    write(folder, "0003_keep", "CREATE TABLE ajustes AS SELECT name, setting FROM pg_settings;")
    apply(empty_database, folder, say=hush)
    assert rows("SELECT name, setting FROM ajustes WHERE name ~ '^(lock|statement)_timeout$' ORDER BY 1") == [
        ("lock_timeout", "1000"),
        ("statement_timeout", "0"),
    ]


def test_an_error_names_the_statement_and_keeps_nothing(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    write(folder, "0002_two", "CREATE TABLE dos (); SELECT 1 / 0;")
    with pytest.raises(MigrationError) as caught:
        apply(empty_database, folder, say=hush)
    assert str(caught.value) == "0002_two: statement 2 of 2: division by zero; nothing of it was kept"
    assert rows("SELECT to_regclass('dos')") == [(None,)]
    assert pending(empty_database, folder) == ["0002_two"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("CREATE TABLE dos (); -- then\n COMMIT;", "statement 2 begins or ends a transaction"),
        ("/* new */ BEGIN; CREATE TABLE dos (); END;", "statement 1 begins or ends a transaction"),
        (
            "-- transactional: false\nCREATE INDEX CONCURRENTLY x ON nota (id);",
            "statement 1 cannot be run again",
        ),
        (
            "-- transactional: false\nSET lock_timeout = 0; DROP INDEX CONCURRENTLY x;",
            "statement 2 cannot be run again",
        ),
        ("-- transactional: false\nUPDATE nota SET id = id + 1;", "statement 1 cannot be run again"),
    ],
)
def test_it_refuses_what_a_crash_could_leave_half_done(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]], text: str, why: str
) -> None:
    write(folder, "0002_two", text)
    with pytest.raises(MigrationError, match=f"0002_two: {why}"):
        apply(empty_database, folder, say=hush)
    assert rows("SELECT to_regclass('nota')") == [(None,)]


def test_an_edited_file_stops_it_and_shows_the_difference(empty_database: str, folder: Path) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0001_create_nota", "CREATE TABLE nota (id bigint, texto text NOT NULL);")
    write(folder, "0002_two", "CREATE TABLE dos ();")
    for refused in (apply, plan):
        with pytest.raises(EditedError, match="0001_create_nota") as caught:
            refused(empty_database, folder)
        assert caught.value.diff.splitlines() == [
            "--- 0001_create_nota as applied",
            "+++ 0001_create_nota.sql",
            "@@ -1 +1 @@",
            "-CREATE TABLE nota (id bigint, texto text);",
            "+CREATE TABLE nota (id bigint, texto text NOT NULL);",
        ]
    assert pending(empty_database, folder) == ["0002_two"]


def test_an_edited_file_does_not_stop_a_server_that_starts(empty_database: str, folder: Path) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0001_create_nota", "CREATE TABLE nota ();")
    write(folder, "0002_two", "CREATE TABLE dos ();")
    heard: list[str] = []
    assert apply(empty_database, folder, say=heard.append, stop_at_edits=False) == ["0002_two"]
    assert heard[0].startswith("warning: edited after it was applied: 0001_create_nota")
    assert [migration.state for migration in status(empty_database, folder)] == ["edited", "applied"]


def test_an_accepted_edit_is_recorded(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0001_create_nota", "CREATE TABLE nota (); -- ñ\n")
    accept(empty_database, ["0001_create_nota"], folder, say=hush)
    assert rows("SELECT texto FROM migracion_texto") == [("CREATE TABLE nota (); -- ñ\n",)]
    digest = hashlib.sha256((folder / "0001_create_nota.sql").read_bytes()).hexdigest()
    assert rows("SELECT sha256 FROM migracion_texto") == [(digest,)]
    assert apply(empty_database, folder, say=hush) == []


def test_it_accepts_only_what_is_applied(empty_database: str, folder: Path) -> None:
    apply(empty_database, folder, say=hush)
    write(folder, "0002_two", "CREATE TABLE dos ();")
    with pytest.raises(MigrationError, match="0002_two: no applied migration"):
        accept(empty_database, ["0001_create_nota", "0002_two"], folder, say=hush)


def test_a_database_ahead_of_the_code_stops_it_but_not_a_server(empty_database: str, folder: Path) -> None:
    write(folder, "0002_two", "CREATE TABLE dos ();", "DROP TABLE dos;")
    apply(empty_database, folder, say=hush)
    (folder / "0002_two.sql").unlink()
    write(folder, "0003_three", "CREATE TABLE tres ();")
    with pytest.raises(AheadError, match="lacks 0002_two"):
        apply(empty_database, folder, say=hush)
    with pytest.raises(AheadError, match="lacks 0002_two"):
        rollback(empty_database, 1, folder, confirm=agree, say=hush)
    assert pending(empty_database, folder) == ["0003_three"]


def test_what_yoyo_itself_applied_is_taken_over(
    empty_database: str, folder: Path, rows: Callable[..., list[tuple]]
) -> None:
    parameters = conninfo_to_dict(empty_database)
    with yoyo.get_backend(f"postgresql+psycopg:///{parameters['dbname']}?{as_query(parameters)}") as backend:
        backend.apply_migrations(backend.to_apply(yoyo.read_migrations(str(folder))))
    rows("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4194304)")
    heard: list[str] = []
    assert apply(empty_database, folder, say=heard.append) == []
    assert heard == ["0001_create_nota: was applied without its text, which is recorded now"]
    assert rows("SELECT migracion FROM migracion_texto") == [("0001_create_nota",)]
    assert rows("SELECT pid FROM yoyo_lock") == []


def as_query(parameters: dict) -> str:
    return "&".join(
        f"{name}={value}" for name, value in parameters.items() if name in ("host", "port", "user")
    )


def test_yoyo_itself_understands_the_records(empty_database: str, folder: Path) -> None:
    apply(empty_database, folder, say=hush)
    parameters = conninfo_to_dict(empty_database)
    with yoyo.get_backend(f"postgresql+psycopg:///{parameters['dbname']}?{as_query(parameters)}") as backend:
        assert not backend.to_apply(yoyo.read_migrations(str(folder)))


def test_a_missing_rollback_file_undoes_nothing(empty_database: str, folder: Path) -> None:
    write(folder, "0002_two", "CREATE TABLE dos ();", "-- nothing\n")
    write(folder, "0003_three", "CREATE TABLE tres ();", "DROP TABLE tres;")
    apply(empty_database, folder, say=hush)
    with pytest.raises(
        MigrationError, match=r"0002_two\.rollback\.sql is missing or empty: nothing was undone"
    ):
        rollback(empty_database, 2, folder, confirm=agree, say=hush)
    with pytest.raises(MigrationError, match="cannot undo 4: the database has only 3"):
        rollback(empty_database, 4, folder, confirm=agree, say=hush)
    assert pending(empty_database, folder) == []


def test_a_rollback_that_fails_keeps_the_migration(empty_database: str, folder: Path) -> None:
    write(folder, "0002_two", "CREATE TABLE dos ();", "DROP TABLE dos; DROP TABLE tres;")
    apply(empty_database, folder, say=hush)
    with pytest.raises(MigrationError, match='0002_two: statement 2 of 2: table "tres" does not exist'):
        rollback(empty_database, 1, folder, confirm=agree, say=hush)
    assert [migration.state for migration in status(empty_database, folder)] == ["applied", "applied"]


def test_files_that_are_not_numbered_are_no_migrations(empty_database: str, folder: Path) -> None:
    write(folder, "post-apply", "CREATE TABLE siempre ();")
    write(folder, "notes", "CREATE TABLE apuntes ();")
    assert pending(empty_database, folder) == apply(empty_database, folder, say=hush) == ["0001_create_nota"]
    assert names(folder) == ["0001_create_nota"]


@pytest.mark.parametrize(
    "extra",
    [
        {"sslmode": "prefer", "application_name": "release"},
        {"host": "/nowhere,{host}", "port": "5432,{port}", "target_session_attrs": "read-write"},
    ],
    ids=["options", "several hosts"],
)
def test_it_takes_every_url_that_libpq_takes(
    empty_database: str, folder: Path, extra: dict[str, str]
) -> None:
    parameters = {"port": "5432"} | conninfo_to_dict(empty_database)
    url = make_conninfo(**parameters | {name: value.format(**parameters) for name, value in extra.items()})
    assert apply(url, folder, say=hush) == ["0001_create_nota"]
    assert pending(url, folder) == []


def test_a_percent_encoded_password_opens_the_door_and_is_never_shown(folder: Path) -> None:
    with temporary_folder() as private:
        rules = private / "pg_hba.conf"
        rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        shutil.chown(rules, private.owner())
        with temporary_postgres(settings={"hba_file": str(rules)}) as server:
            with psycopg.connect(server) as connection:
                connection.execute("CREATE ROLE \"a/b@c\" LOGIN PASSWORD 'p@ss/w:%r d'")
                connection.execute('GRANT CREATE ON SCHEMA public TO "a/b@c"')
            url = server.replace("postgres@", "a%2Fb%40c:{}@")
            assert apply(url.format("p%40ss%2Fw%3A%25r%20d"), folder, say=hush) == ["0001_create_nota"]
            for wrong in ("s3cr3t", "s3cr3t%"):
                with pytest.raises(MigrationError) as caught:
                    pending(url.format(wrong), folder)
                assert "s3cr3t" not in str(caught.value)
                assert "\n" not in str(caught.value)


def test_a_database_that_is_away_is_told_in_one_line(folder: Path) -> None:
    with pytest.raises(MigrationError) as caught:
        pending("postgresql:///ventas?host=/nowhere", folder)
    assert "/nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pending_does_not_import_yoyo() -> None:
    check = "import sys, core.migrating.migrations, commands.migrate; sys.exit('yoyo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=FOLDER.parent, check=False).returncode == 0


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_through_a_pooler_it_asks_for_the_direct_url(empty_database: str, folder: Path, mode: str) -> None:
    with pgbouncer(empty_database, mode) as url:
        for refused in (apply, lambda url, folder: rollback(url, 1, folder, confirm=agree)):
            with pytest.raises(PoolerError, match="set DATABASE_DIRECT_URL to the database's own"):
                refused(url, folder)
        assert pending(url, folder) == ["0001_create_nota"]
        if mode == "session":
            assert apply(url, folder, say=hush, through_pooler=True) == ["0001_create_nota"]
            assert pending(url, folder) == []


@contextmanager
def pgbouncer(url: str, mode: str, **settings: object) -> Iterator[str]:
    """The URL of a PgBouncer, with more settings, before the database at `url`."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("needs pgbouncer")
    database = conninfo_to_dict(url)
    with temporary_folder() as folder:
        (folder / "users").write_text(f'"{database["user"]}" ""\n')
        (folder / "ini").write_text(
            f"""
            [databases]
            {database["dbname"]} = host={database["host"]} port={database.get("port", 5432)}
            [pgbouncer]
            unix_socket_dir = {folder}
            listen_port = 6432
            pool_mode = {mode}
            auth_type = trust
            auth_file = {folder}/users
            """.replace(" " * 12, "")
            + "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        pooled = make_conninfo(**database | {"host": str(folder), "port": "6432"})
        with subprocess.Popen([program, "-q", folder / "ini"], **as_account()) as process:
            try:
                while not listens(folder / ".s.PGSQL.6432"):
                    assert process.poll() is None, "pgbouncer does not start"
                yield pooled
            finally:
                process.send_signal(signal.SIGTERM)


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
