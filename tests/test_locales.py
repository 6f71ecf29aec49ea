"""Whatever the locale of the database, the same names are the same; and what cannot hold them is refused."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import PASSWORD, SETTINGS, client_of, database_url, new_user, problem, running
from psycopg.errors import FeatureNotSupported, InvalidParameterValue, UniqueViolation, WrongObjectType
from test_migrations import copy, hush

from core.checkout import CHECKOUT
from core.migrating.guard import apply
from core.migrating.migrations import FOLDER, MigrationError, UnsuitableError, names, pending, unsuitable

pytestmark = pytest.mark.each_postgresql

LOCALES = {
    "C": "LOCALE 'C' LOCALE_PROVIDER libc",
    "C.UTF-8": "LOCALE 'C.UTF-8' LOCALE_PROVIDER libc",
    "es_AR": "LOCALE 'es_AR.UTF-8' LOCALE_PROVIDER libc",
    "tr-TR": "LOCALE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'",
}
USER = """
INSERT INTO usuario (id, username, password, nombre, apellido, telefono, correo)
VALUES (%s, %s, '$2b$12$' || repeat('a', 53), 'Ana', 'Paz', '2604538424', %s)
"""
SALE = "INSERT INTO venta (id, usuario_id, venta, ventas_productos) VALUES (%s, %s, 1, 1)"
BEFORE = [name for name in names() if name < "0010"]


@contextmanager
def made(server: str, options: str) -> Iterator[str]:
    """A new database with these options, or a skipped test where the machine lacks the locale."""
    with psycopg.connect(server, autocommit=True) as connection:
        try:
            connection.execute(f"CREATE DATABASE locales TEMPLATE template0 {options}")
        except (FeatureNotSupported, InvalidParameterValue, WrongObjectType) as error:
            pytest.skip(str(error))
        yield database_url(server, "locales")
        connection.execute("DROP DATABASE locales WITH (FORCE)")


@pytest.mark.parametrize("options", LOCALES.values(), ids=LOCALES)
def test_letter_case_means_the_same_in_every_database(options: str, postgres: str) -> None:
    with made(postgres, f"ENCODING 'UTF8' {options}") as url:
        apply(url, say=hush)
        with running({"DATABASE_URL": url}) as address, client_of(address) as api:
            for name in ("ÑANDÚ", "IRMAK"):
                assert api.post("/user/", json=new_user(name)).status_code == 201
            for taken in ("ñandú", "Ñandú", "irmak"):
                problem(
                    api.post("/user/", json=new_user(taken, correo="x@example.com")), 409, "usuario_repetido"
                )
                problem(
                    api.post("/user/", json=new_user("otra", correo=f"{taken}@example.com")),
                    409,
                    "usuario_repetido",
                )
            for known in ("ñandú", "irmak", "irmak@example.com"):
                form = {"username": known, "password": PASSWORD}
                assert api.post("/login/", data=form).status_code == 200, known
            assert api.post("/user/", json=new_user("ırmak")).status_code == 201, "a letter of its own"


@pytest.mark.parametrize("options", LOCALES.values(), ids=LOCALES)
def test_a_search_finds_the_same_in_every_database(options: str, postgres: str) -> None:
    with made(postgres, f"ENCODING 'UTF8' {options}") as url:
        apply(url, say=hush)
        with running({"DATABASE_URL": url}) as address, client_of(address) as api:
            api.post("/user/", json=new_user("ana", nombre="Íñigo"))
            form = {"username": "ana", "password": PASSWORD}
            token = api.post("/login/", data=form).json()["access_token"]
            for q in ("íñ", "ÍÑI", "A"):
                found = api.get(
                    "/user/", params={"q": q}, headers={"Authorization": f"Bearer {token}"}
                ).json()
                assert [user["username"] for user in found] == ["ana"]


def test_rows_that_are_one_in_letter_case_are_named_and_nothing_changes(
    postgres: str, tmp_path: Path
) -> None:
    with (
        made(postgres, "ENCODING 'UTF8' LOCALE 'C'") as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        apply(url, copy(BEFORE, tmp_path / "before"), say=hush)
        for user in ((1, "ÑANDÚ", "1@x"), (2, "ñandú", "2@x"), (3, "ana", "É@x"), (4, "beto", "é@x")):
            connection.execute(USER, user)
        for owner in (1, 2):
            connection.execute(SALE, (7, owner))
        with pytest.raises(MigrationError) as stopped:
            apply(url, say=hush)
        for words in (
            "username of usuario 1, 2;",
            "correo of usuario 3, 4;",
            "id 7 of the venta of usuario 1, 2 ",
        ):
            assert words in str(stopped.value)
        assert [name for name in pending(url) if name < "0012"] == [
            "0010_alter_usuario_venta",
            "0011_index_usuario_venta",
        ]
        assert connection.execute("SELECT 1 FROM pg_collation WHERE collname = 'minusculas'").fetchall() == []


def test_a_row_that_comes_between_is_named_by_the_index(postgres: str, tmp_path: Path) -> None:
    with (
        made(postgres, "ENCODING 'UTF8' LOCALE 'C'") as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        apply(url, copy([*BEFORE, "0010_alter_usuario_venta"], tmp_path / "before"), say=hush)
        connection.execute(USER, (1, "Ñ", "1@x"))
        connection.execute(USER, (2, "ñ", "2@x"))
        with pytest.raises(MigrationError, match=r"is duplicated\.\); what came before it was kept"):
            apply(url, say=hush)
        connection.execute("DELETE FROM usuario WHERE id = 2")
        apply(url, say=hush)
        with pytest.raises(UniqueViolation, match="usuario_username_key"):
            connection.execute(USER, (3, "ñ", "3@x"))


def test_two_sales_never_have_one_id(rows: Callable[..., list[tuple]]) -> None:
    for id in (1, 2):
        rows(USER, id, f"u{id}", f"u{id}@x")
    rows(SALE, 7, 1)
    with pytest.raises(UniqueViolation, match="venta_id_key"):
        rows(SALE, 7, 2)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "una"}])
def test_a_sequence_left_behind_is_an_honest_503(ana, beto, rows, headers) -> None:
    for id in (1, 2):
        rows(SALE, id, ana.id)
    sale = {"venta": 1, "ventas_productos": 1}
    answer = beto.post("/venta/", json=sale, headers=headers)
    assert (
        problem(answer, 503, "bd_numeracion")["detail"]
        == "La base de datos dio un id que ya está en uso; nada quedó a medias."
    )
    rows("SELECT setval('venta_id_seq', 2)")
    assert beto.post("/venta/", json=sale, headers=headers).json()["id"] == 3


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_another_encoding_is_refused_in_one_line(encoding: str, postgres: str) -> None:
    with made(postgres, f"ENCODING '{encoding}' LOCALE 'C'") as url:
        assert refused(url, f"the database's encoding is {encoding}: make it anew, with ENCODING 'UTF8'")
        with pytest.raises(UnsuitableError):
            pending(url)


def test_tables_outside_public_are_refused_by_all(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE SCHEMA otro")
    url = f"{empty_database}&options=-csearch_path%3Dotro"
    words = (
        "the role's search_path leads to the schema otro: the tables belong in public;"
        " ALTER ROLE … SET search_path = public"
    )
    assert refused(url, words)
    with (
        psycopg.connect(url) as connection,
        pytest.raises(psycopg.Error, match="leads to otro: the tables belong in public"),
    ):
        connection.execute((CHECKOUT / "docs" / "roles.sql").read_text("utf-8"))


def refused(url: str, words: str) -> bool:
    """Whether `migrate`, and a server in production, end with these words and nothing worse."""
    environ = SETTINGS | {"DATABASE_URL": url, "APP_ENV": "production", "BCRYPT_ROUNDS": "10", "PORT": "0"}
    for command in (["migrate"], []):
        done = subprocess.run(
            [sys.executable, "app.py", *command],
            cwd=CHECKOUT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        said = done.stdout + done.stderr
        assert done.returncode in (1, 3), said
        assert words in said, said
        assert "Traceback" not in said
    return True


def test_a_server_that_is_too_old_is_refused() -> None:
    assert unsuitable(140_013, "UTF8", "public") == "PostgreSQL 14 is too old: use 15 or newer"
    assert unsuitable(150_000, "UTF8", "public") == ""


def test_every_small_letter_names_its_collation() -> None:
    texts = [path.read_text("utf-8") for path in (CHECKOUT / "sql").glob("*.py")]
    texts += [
        path.read_text("utf-8")
        for path in FOLDER.rglob("*.sql")
        if path.name > "0009" and "rollback" not in path.name
    ]
    found = [
        line
        for text in texts
        for line in text.splitlines()
        if re.search(r"(?<!\.)lower\((?!\))", line) and not line.startswith(("--", "COMMENT"))
    ]
    assert [line for line in found if line.count("lower(") != line.count("COLLATE minusculas")] == []
