"""The commands import and export: files, exit codes, and what a person sees meanwhile."""

import argparse
import os
import sys
from contextlib import contextmanager

import pytest

from commands import transfer
from commands.main import main
from core.process.environment import load

AWAY = load({"DATABASE_URL": "postgresql://127.0.0.1:1/x"})
HEAD = "venta,ventas_productos\n"
INSERT = """
INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
VALUES ('beto', '$2b$04$' || repeat('a', 53), 'Beto', 'Paz', '12345', 'beto@example.com')
RETURNING id
"""


@pytest.fixture
def beto(rows):
    """The id of a user made by SQL."""
    return rows(INSERT)[0][0]


@pytest.fixture
def run(database):
    """A function that runs a command with its arguments and returns its exit code."""

    def runner(command, *arguments):
        parser = argparse.ArgumentParser()
        transfer.add_arguments(parser, command)
        chosen = parser.parse_args([str(argument) for argument in arguments])
        return transfer.run(command, chosen, load({"DATABASE_URL": database}))

    return runner


@pytest.fixture
def sales(tmp_path):
    """A CSV of 30,000 sales without owner."""
    file = tmp_path / "ventas.csv"
    file.write_text(HEAD + "".join(f"{number},1\n" for number in range(30_000)))
    return file


@contextmanager
def _terminal(monkeypatch):
    """A file where standard error, which is a terminal within the block, can be read afterwards."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as stderr, monkeypatch.context() as patch, os.fdopen(ours, "rb", 0) as shown:
        patch.setattr(sys, "stderr", stderr)
        yield shown


def test_a_file_goes_in_and_comes_out_again(run, rows, beto, sales, tmp_path, capsys):
    assert run("import", sales, "--user", "BETO") == 0
    assert run("export", tmp_path / "todo.ndjson") == 0
    rows("DELETE FROM venta")
    assert run("import", tmp_path / "todo.ndjson") == 0

    assert rows("SELECT count(*), sum(venta), min(usuario_id) FROM venta") == [(30_000, 449_985_000, beto)]
    assert capsys.readouterr() == ("", "")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["todo.ndjson", "ventas.csv"]


def test_every_bad_line_is_told_and_nothing_imported(run, rows, beto, tmp_path, capsys):
    file = tmp_path / "malo.csv"
    file.write_text(HEAD + "1,1\nx,0\n\n1\n")

    assert run("import", file, "--user", "beto") == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{file}:3: venta: debe ser un número entero de 0 a 1000000000000000",
        f"{file}:3: ventas_productos: debe ser un número entero de 1 a 1000000",
        f"{file}:5: cuerpo: debe tener 2 columnas, como la cabecera; tiene 1",
        "error: nothing was imported",
    ]
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_a_refusal_names_the_option_that_would_read_the_file(run, beto, tmp_path, capsys):
    file = tmp_path / "planilla.csv"
    file.write_bytes(b"venta;ventas_productos;creacion\n1.500,00;1;31/01/2026\n1;1;\x80\n")

    assert run("import", file, "--user", "beto") == 1
    told = capsys.readouterr().err.lower()
    options = ["--decimal coma", "--fecha dma", "--charset windows-1252"]
    assert [option for option in options if f"se lee con {option}\n" in told] == options


def test_a_simulation_changes_nothing(run, rows, beto, sales):
    assert run("import", sales, "--user", "beto", "--simulate") == 0
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_an_export_may_be_of_one_user_and_some_time(run, rows, beto, tmp_path):
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)"
        " SELECT %s, n, 1, timestamptz '2026-01-01Z' + n * interval '1 day' FROM generate_series(0, 9) AS n",
        beto,
    )
    file = tmp_path / "enero.csv"

    assert (
        run(
            "export",
            file,
            "--user",
            "beto",
            "--since",
            "2026-01-03T00:00:00",
            "--until",
            "2026-01-05T00:00:00Z",
        )
        == 0
    )
    assert [line.split(",")[2] for line in file.read_text().splitlines()] == ["venta", "2", "3"]


def test_standard_input_and_output_are_files_too(run, rows, beto, sales, capfdbinary, monkeypatch):
    with sales.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert run("import", "-", "--user", "beto") == 0
    assert run("export", "-", "--format", "ndjson") == 0
    assert capfdbinary.readouterr().out.count(b'"venta":') == 30_000


@pytest.mark.parametrize("arguments", [["import", "/no/hay"], ["import", "/"], ["export", "/no/hay"]])
def test_a_file_that_cannot_be_is_an_error(run, arguments, capsys):
    assert run(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: /")
    assert "Errno" not in error


def test_a_user_who_does_not_exist_is_an_error(run, sales, capsys):
    assert run("import", sales, "--user", "nadie") == 1
    assert capsys.readouterr().err == "error: there is no user nadie\n"


def test_a_database_that_is_away_is_an_error(sales, capsys):
    parser = argparse.ArgumentParser()
    transfer.add_arguments(parser, "import")

    assert transfer.run("import", parser.parse_args([str(sales)]), AWAY) == 1
    assert "Connection refused" in capsys.readouterr().err


def test_a_time_that_is_none_is_an_error(run, capsys):
    assert run("export", "-", "--since", "ayer") == 1
    assert "ayer: a day like 2026-01-31 or a time like" in capsys.readouterr().err


def test_a_zone_that_is_none_suggests_near_ones(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run("export", "-", "--zona", "Buenos Aires")
    assert caught.value.code == 2
    assert "America/Argentina/Buenos_Aires" in capsys.readouterr().err


def test_a_reader_who_leaves_ends_the_export(run, database, beto, sales, capfd, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database)
    assert run("import", sales, "--user", "beto") == 0
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["export", "-"]) == 1
    assert "nobody reads the output any more" in capfd.readouterr().err


def test_a_terminal_shows_how_far_it_is(run, beto, sales, tmp_path, monkeypatch):
    with _terminal(monkeypatch) as terminal:
        assert run("import", sales, "--user", "beto") == 0
        assert run("export", tmp_path / "todo.csv") == 0
        shown = terminal.read(10**6)

    assert b"30,000 rows read, inserting them" in shown
    assert b"30,000 sales imported" in shown
    assert b"30,000 sales exported" in shown


def test_an_export_writes_into_a_pipe_and_through_a_link(run, rows, beto, tmp_path):
    rows("INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (%s, 1, 1)", beto)
    pipe, link = tmp_path / "pipe", tmp_path / "link.csv"
    os.mkfifo(pipe)
    link.symlink_to("real.csv")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    assert run("export", pipe) == run("export", link) == 0
    assert os.read(reader, 10**6) == (tmp_path / "real.csv").read_bytes()
    os.close(reader)
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_failed_export_leaves_the_file_as_it_was(run, tmp_path):
    file = tmp_path / "todo.csv"
    file.write_text("antes")
    (tmp_path / "todo.csv.part").mkdir()

    assert run("export", file) == 1
    assert file.read_text() == "antes"
