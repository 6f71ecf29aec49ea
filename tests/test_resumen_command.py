"""The command resumen: sums by a shop's own calendar, as CSV."""

import argparse

import pytest

from commands import sums
from commands.main import main
from core.process.environment import load

SHOP = ["--zona", "America/Argentina/Buenos_Aires"]
USERS = """
INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)
SELECT name, '$2b$04$' || repeat('a', 53), 'Beto', 'Paz', '12345', name || '@example.com'
  FROM unnest(ARRAY['beto', 'carla']) AS name
RETURNING id
"""
SALES = """
INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)
VALUES (%(beto)s, 150000, 3, '2026-01-31T10:00-03'), (%(beto)s, 5, 1, '2026-01-31T22:15-03'),
       (%(carla)s, 1000000000000000, 2, '2026-03-01T12:00-03')
"""


@pytest.fixture
def resumen(database, rows, capsys):
    """A function that runs the command on sales of Beto's and Carla's: the exit code, standard output and error."""
    (beto,), (carla,) = rows(USERS)
    rows(SALES.replace("%(beto)s", str(beto)).replace("%(carla)s", str(carla)))

    def run(*arguments):
        parser = argparse.ArgumentParser()
        sums.add_arguments(parser)
        code = sums.run(parser.parse_args(arguments), load({"DATABASE_URL": database}))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_a_day_is_the_shops_own(resumen):
    both = ["--user", "beto", "--since", "2026-01-31", "--until", "2026-02-01"]
    head = "periodo,ventas,productos,importe\n"

    assert resumen(*both, *SHOP) == (0, f"{head}2026-01-31,2,4,150005\n2026-02-01,0,0,0\n", "")
    assert resumen(*both) == (0, f"{head}2026-01-31,1,3,150000\n2026-02-01,1,1,5\n", "")


def test_amounts_are_written_as_the_spreadsheet_writes_them(resumen):
    spanish = ["--decimal", "coma", "--separador", "puntoycoma", *SHOP]
    months = ["--por", "mes", "--since", "2026-01-01", "--until", "2026-03-31"]

    assert resumen(*months, *spanish)[1].splitlines() == [
        "periodo;ventas;productos;importe",
        "2026-01-01;2;4;1500,05",
        "2026-02-01;0;0;0,00",
        "2026-03-01;1;2;10000000000000,00",
    ]


def test_each_user_has_a_line_however_many_there_are(resumen, monkeypatch):
    monkeypatch.setattr(sums, "PAGE", 1)
    _, printed, _ = resumen("--por", "usuario")
    assert [line.split(",", 1)[1] for line in printed.splitlines()] == [
        "ventas,productos,importe",
        "2,4,150005",
        "1,2,1000000000000000",
    ]


def test_a_mistyped_year_spoils_no_sum_of_a_user(resumen, rows):
    rows("UPDATE venta SET creacion = '2062-01-31Z' WHERE ventas_productos = 2")
    rows("UPDATE venta SET creacion = '0026-01-31Z' WHERE ventas_productos = 1")

    assert [line.split(",", 1)[1] for line in resumen("--por", "usuario")[1].splitlines()[1:]] == [
        "1,3,150000"
    ]


def test_who_sold_nothing_in_that_time_has_the_header_alone(resumen):
    assert resumen("--por", "usuario", "--since", "2027-01-01") == (
        0,
        "usuario_id,ventas,productos,importe\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "ayer"], "ayer: a day like 2026-01-31"),
        (["--until", "2026-01-31T10:00:00+24:00"], "a time like 2026-01-31T10:00:00-03:00 is wanted"),
        (["--user", "nadie"], "there is no user nadie"),
        (["--since", "0001-01-01"], "more than 20,000 periods: give a later --since"),
    ],
)
def test_what_cannot_be_is_an_error_and_prints_no_sum(resumen, arguments, told):
    code, printed, error = resumen(*arguments)
    assert (code, printed) == (1, "")
    assert told in error


def test_it_is_a_command_of_its_own(resumen, database, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["resumen", "--por", "semana", "--since", "2026-01-26", "--until", "2026-02-01", *SHOP]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["2026-01-26,2,4,150005"]
