"""`seed`: a cast and a year of plausible sales, as often as wanted, and never in production."""

import secrets
import subprocess
from collections.abc import Callable

import httpx
from conftest import SETTINGS, log_in
from processes import run_command

Rows = Callable[..., list[tuple]]


def seed(database: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return run_command({"DATABASE_URL": database} | SETTINGS | settings, "seed", *arguments)


def test_it_adds_a_cast_that_logs_in_and_a_year_of_sales(
    database: str, api: httpx.Client, rows: Rows
) -> None:
    done = seed(database, "--sales", "3000", "--yes", TIMEZONE="America/Argentina/Buenos_Aires")
    assert done.stdout == (
        "3,000 sales of 8 users added, over a year\n"
        "new users: ana, beto, carla, diego, elena, fabian, graciela, hugo; their password: una clave de prueba\n"
    ), done.stderr
    headers = {"Authorization": f"Bearer {log_in(api, 'ana', 'una clave de prueba')}"}
    months = api.get(
        "/venta/resumen", params={"por": "mes", "zona": "America/Argentina/Buenos_Aires"}, headers=headers
    )
    assert len(months.json()) >= 1
    hours = "extract(hour FROM creacion AT TIME ZONE 'America/Argentina/Buenos_Aires')"
    [(sales, days, least, most)] = rows(
        f"SELECT count(*), count(DISTINCT creacion::date), min({hours}), max({hours}) FROM venta"
    )
    assert (sales, least, most) == (3000, 9, 20)
    assert days > 300


def test_it_may_be_run_again_and_changes_nobody(database: str, ana: httpx.Client, rows: Rows) -> None:
    before = rows("SELECT id, password, version FROM usuario")
    for _ in range(2):
        done = seed(database, "--users", "12", "--sales", "10", "--yes")
        assert done.stdout.startswith("10 sales of 12 users added"), done.stderr
    assert rows("SELECT id, password, version FROM usuario WHERE username = 'ana'") == before
    assert rows("SELECT count(*) FROM venta") == [(20,)]
    assert rows("SELECT username FROM usuario WHERE rol = 'admin'") == [("ana",)]


def test_it_wants_a_yes_for_another_database_and_refuses_production(database: str, rows: Rows) -> None:
    done = seed(database)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: DATABASE_URL names a database that others may use: add --yes\n"
    done = seed(database, "--yes", APP_ENV="production", JWT_SECRET=secrets.token_hex(32), BCRYPT_ROUNDS="10")
    assert (done.returncode, done.stderr) == (2, "error: production gets no invented sales\n")
    assert rows("SELECT count(*) FROM usuario") == [(0,)]
