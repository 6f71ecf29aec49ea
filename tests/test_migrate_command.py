"""`migrate` on the command line: what it prints, what it asks, and exit codes a script can trust."""

import argparse
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from commands.migrate import add_arguments, run
from core.migrating.migrations import FOLDER, MigrationError, names

COMMAND = """
import argparse, sys
from pathlib import Path
from commands.migrate import add_arguments, run
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args(sys.argv[3:]), sys.argv[1], Path(sys.argv[2])))
"""
NOTA = """\
-- What:   notes.
-- Why:    to have some.
-- Locks:  none: the table
--         is new.
-- Undo:   drops the table: every note is lost.

CREATE TABLE nota (id bigint);
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two migrations."""
    (tmp_path / "0001_create_nota.sql").write_text(NOTA)
    (tmp_path / "0001_create_nota.rollback.sql").write_text("DROP TABLE nota;")
    (tmp_path / "0002_create_otra.sql").write_text(
        "-- transactional: false\nCREATE TABLE IF NOT EXISTS otra ();"
    )
    (tmp_path / "0002_create_otra.rollback.sql").write_text("DROP TABLE IF EXISTS otra;")
    return tmp_path


@pytest.fixture
def migrate(
    empty_database: str, folder: Path, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[int, str, str]]:
    """A function that runs the command and returns its exit code, standard output and standard error."""

    def command(*arguments: str, url: str = empty_database) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        code = run(parser.parse_args(arguments), url, folder)
        said = capsys.readouterr()
        return code, re.sub(r"\d+\.\d\d s", "0.00 s", said.out), said.err

    return command


def test_it_applies_what_is_pending_and_then_finds_nothing(
    migrate: Callable[..., tuple[int, str, str]],
) -> None:
    progress = """\
0001_create_nota: apply
0001_create_nota: done in 0.00 s
0002_create_otra: apply
0002_create_otra: done in 0.00 s
2 applied
"""
    assert migrate() == (0, progress, "")
    assert migrate() == (0, "nothing to apply\n", "")


def test_status_tells_pending_applied_edited_and_ahead(
    migrate: Callable[..., tuple[int, str, str]], folder: Path
) -> None:
    code, out, _ = migrate("--status")
    assert (code, out) == (3, f"pending  {'-':20} 0001_create_nota\npending  {'-':20} 0002_create_otra\n")
    migrate()
    code, out, _ = migrate("--status")
    assert code == 0
    assert re.fullmatch(r"(applied  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 000\w+\n){2}", out)
    (folder / "0001_create_nota.sql").write_text(NOTA + "-- edited\n")
    code, out, _ = migrate("--status")
    assert code == 4
    assert out.startswith("edited   2")
    (folder / "0002_create_otra.sql").unlink()
    code, out, _ = migrate("--status")
    assert code == 5
    assert out.splitlines()[1].startswith("ahead    2")


@pytest.mark.each_postgresql
def test_a_dry_run_shows_the_sql_and_the_locks_and_changes_nothing(
    migrate: Callable[..., tuple[int, str, str]], empty_database: str
) -> None:
    code, out, err = migrate("--dry-run")
    assert (code, err) == (0, "")
    assert "-- 0001_create_nota: statements: 1, one transaction\n-- locks: none: the table is new.\n" in out
    assert NOTA in out
    assert "-- 0002_create_otra: statements: 1, each on its own\n-- locks: its file does not say\n" in out
    assert out.endswith("-- 2 to apply\n")
    with psycopg.connect(empty_database) as connection:
        assert (
            connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            ).fetchall()
            == []
        )
    migrate()
    assert migrate("--dry-run") == (0, "-- nothing to apply\n", "")


def test_an_edited_file_prints_the_difference_until_it_is_accepted(
    migrate: Callable[..., tuple[int, str, str]], folder: Path
) -> None:
    migrate()
    (folder / "0001_create_nota.sql").write_text(NOTA.replace("bigint", "integer"))
    code, out, err = migrate()
    assert code == 4
    assert "-CREATE TABLE nota (id bigint);\n+CREATE TABLE nota (id integer);\n" in out
    assert err == (
        "error: edited after it was applied: 0001_create_nota;"
        " undo the edit, or record it with --accept 0001_create_nota\n"
    )
    assert migrate("--accept", "0001_create_nota") == (
        0,
        "0001_create_nota: its text is recorded as it is now\n",
        "",
    )
    assert migrate() == (0, "nothing to apply\n", "")
    assert migrate("--accept", "0003")[0] == 1


def test_a_database_ahead_of_the_code_stops_it(
    migrate: Callable[..., tuple[int, str, str]], folder: Path
) -> None:
    migrate()
    (folder / "0002_create_otra.sql").unlink()
    said = "error: the database is ahead of this code, which lacks 0002_create_otra: use the newer code\n"
    assert migrate() == (5, "", said)


def test_a_rollback_undoes_the_last_or_the_last_few(migrate: Callable[..., tuple[int, str, str]]) -> None:
    migrate()
    progress = "0002_create_otra: undo\n0002_create_otra: done in 0.00 s\n1 undone\n"
    assert migrate("--rollback", "--yes") == (0, progress, "")
    migrate()
    code, out, _ = migrate("--rollback", "2", "--yes")
    assert code == 0
    assert out.endswith("2 undone\n")
    assert migrate("--status")[0] == 3
    assert migrate("--rollback", "--yes") == (1, "", "error: cannot undo 1: the database has only 0\n")


def test_a_rollback_without_a_terminal_needs_yes(migrate: Callable[..., tuple[int, str, str]]) -> None:
    migrate()
    said = "error: --rollback asks first: run it at a terminal, or add --yes\n"
    assert migrate("--rollback") == (2, "", said)
    assert migrate("--status")[0] == 0


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 3), ("n", 2, 0), ("", 2, 0), ("\x04", 130, 0)])
def test_at_a_terminal_a_rollback_asks(
    migrate: Callable[..., tuple[int, str, str]],
    empty_database: str,
    folder: Path,
    answer: str,
    code: int,
    left: int,
) -> None:
    migrate()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", COMMAND, empty_database, folder, "--rollback", "2"]
    with subprocess.Popen(
        command, cwd=FOLDER.parent, stdin=theirs, stdout=subprocess.PIPE, text=True
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert "0001_create_nota: drops the table: every note is lost.\nUndo 2? [y/N] " in out
    assert migrate("--status")[0] == left


def test_a_lock_that_is_not_granted_has_its_own_code(
    migrate: Callable[..., tuple[int, str, str]], empty_database: str, folder: Path
) -> None:
    migrate()
    (folder / "0003_edit.sql").write_text(
        "SET LOCAL lock_timeout = '10ms'; ALTER TABLE nota ADD COLUMN dos text;"
    )
    with psycopg.connect(empty_database) as other:
        other.execute("SELECT count(*) FROM nota")
        code, _, err = migrate("--attempts", "2")
    assert (code, err) == (
        6,
        "error: 0003_edit: canceling statement due to lock timeout; gave up after 2 attempts\n",
    )


def test_an_interrupted_one_says_so_and_leaves_nothing(
    migrate: Callable[..., tuple[int, str, str]], empty_database: str, folder: Path
) -> None:
    migrate()
    (folder / "0003_edit.sql").write_text("SET LOCAL lock_timeout = 0; ALTER TABLE nota ADD COLUMN dos text;")
    with psycopg.connect(empty_database) as other, psycopg.connect(empty_database, autocommit=True) as rows:
        other.execute("SELECT count(*) FROM nota")
        command = [sys.executable, "-c", COMMAND, empty_database, folder]
        with subprocess.Popen(command, cwd=FOLDER.parent, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 30
            while not rows.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted: run it again to go on\n")
    assert migrate()[0] == 0


def test_an_unreachable_database_is_one_line(migrate: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = migrate(url="postgresql://ana:secreta@/ventas?host=/nowhere")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: .*/nowhere.*\n", err)
    assert (
        migrate(url="ventas://ana:secreta@host/")[2]
        == "error: the database URL is not one that PostgreSQL understands\n"
    )


def test_a_wrong_number_is_wrong_usage(
    migrate: Callable[..., tuple[int, str, str]], capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit, match="2"):
        migrate("--rollback", "0")
    assert "must be 1 or more" in capsys.readouterr().err


def test_help_and_document_list_the_same_exit_codes(
    migrate: Callable[..., tuple[int, str, str]], capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit, match="0"):
        migrate("--help")
    told = re.findall(r"^ +(\d+)  (.*)$", capsys.readouterr().out, re.MULTILINE)
    document = (FOLDER.parent / "docs" / "migrations.md").read_text("utf-8").replace("`", "")
    assert told == re.findall(r"^\| (\d+) \| (.*) \|$", document, re.MULTILINE)
    errors = [MigrationError, *MigrationError.__subclasses__()]
    assert {str(error.exit_code) for error in errors} <= {code for code, _ in told}


@pytest.mark.each_postgresql
def test_four_at_once_on_an_empty_database_all_succeed(empty_database: str) -> None:
    command = [sys.executable, "app.py", "migrate"]
    environ = os.environ | {"DATABASE_URL": empty_database}
    options = {
        "cwd": FOLDER.parent,
        "env": environ,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    running = [subprocess.Popen(command, **options) for _ in range(4)]  # type: ignore[call-overload]
    said = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert sum(f"{len(names())} applied" in out for out, _ in said) == 1
